#include "heat/leverage.h"

#include "test.h"

static void assert_refused(const char *text, int expected)
{
    struct leverage_mix mix = {{7}};
    int err = leverage_mix_parse(str_of(text), &mix);

    if (err != expected) print_error("\"%s\": %s\n", text, error_text(err));
    assert_int_equal(err, expected);
    assert_true(mix.share[0] == 7);
}

TEST(weights_are_normalised)
{
    struct leverage_mix mix;

    assert_int_equal(leverage_mix_parse(STR("5:15,10:30,25:25,50:20,100:10"), &mix), 0);
    assert_memory_equal(&mix, &leverage_mix_default, sizeof(mix));
    assert_int_equal(leverage_mix_parse(STR("100:0.6,5:1e-1,25:.3"), &mix), 0);
    assert_true(mix.share[0] == 0.1 && mix.share[1] == 0 && mix.share[2] == 0.3);
    assert_true(mix.share[3] == 0 && mix.share[4] == 0.6);
}

TEST(a_tier_not_named_gets_nothing)
{
    struct leverage_mix mix;

    assert_int_equal(leverage_mix_parse(STR("50:3"), &mix), 0);
    for (int i = 0; i < LEVERAGE_TIERS; i++)
        assert_true(mix.share[i] == (leverage_tiers[i] == 50 ? 1 : 0));
}

TEST(blanks_around_numbers_are_let_pass)
{
    struct leverage_mix mix;

    assert_int_equal(leverage_mix_parse(STR(" 5 : 1 , 10: 1"), &mix), 0);
    assert_true(mix.share[0] == 0.5 && mix.share[1] == 0.5);
}

TEST(what_is_no_list_of_weights_is_refused)
{
    static const char *const texts[] = {
        "",     " ",     ",",        "5",     "5:",    ":5",     "5:1,",      ",5:1",  "5:1,,10:1",
        "5=1",  "5:1:1", "5:x",      "5:nan", "5:inf", "5:0x10", "five:1",    "5.0:1", "5e0:1",
        "+5:1", "5:1;",  "5:1 10:1", "5:1e",  "5:.",   "5:--1",  "5:1,10:1 x"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_refused(texts[i], ERR_SYNTAX);
}

TEST(another_tier_is_refused)
{
    assert_refused("20:1", ERR_UNKNOWN);
    assert_refused("5:1,125:1", ERR_UNKNOWN);
    assert_refused("99999999999999999999999:1", ERR_UNKNOWN);
    assert_refused("0:1", ERR_UNKNOWN);
}

TEST(impossible_weights_are_refused)
{
    assert_refused("5:-1", ERR_RANGE);
    assert_refused("5:1,5:1", ERR_RANGE);
    assert_refused("5:0,10:0", ERR_RANGE);
    assert_refused("5:1e300", ERR_RANGE);
    assert_refused("5:1000000001", ERR_RANGE);
    assert_refused("5:1e-10", ERR_RANGE); /* 0 in the decimals that count */
}

TEST(liquidation_is_where_the_margin_is_used_up)
{
    for (int i = 0; i < LEVERAGE_TIERS; i++) {
        /* (1 - 0.004) / L in 10^-5, which all tiers divide. */
        int32_t distance = 99600 / leverage_tiers[i];

        assert_int_equal(distance * leverage_tiers[i], 99600);
        assert_int_equal(liquidation_factor_e5[SIDE_LONG][i], 100000 - distance);
        assert_int_equal(liquidation_factor_e5[SIDE_SHORT][i], 100000 + distance);
    }
}
