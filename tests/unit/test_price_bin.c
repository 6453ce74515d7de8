#include "heat/price_bin.h"

#include "heat/decimal.h"
#include "test.h"

static int64_t decimal(const char *text, unsigned decimals)
{
    int64_t value = INT64_MIN;
    int err = decimal_parse(str_of(text), decimals, &value);

    if (err) print_error("\"%s\": %s\n", text, error_text(err));
    assert_int_equal(err, 0);
    return value;
}

static void assert_bin(const char *text, int64_t expected_e12)
{
    int64_t bin_e12 = 7;

    assert_int_equal(price_bin_parse(str_of(text), &bin_e12), 0);
    assert_true(bin_e12 == expected_e12);
}

static void assert_bin_refused(const char *text, int expected)
{
    int64_t bin_e12 = 7;

    assert_int_equal(price_bin_parse(str_of(text), &bin_e12), expected);
    assert_true(bin_e12 == 7);
}

TEST(decimals_are_exact)
{
    assert_true(decimal("0", 8) == 0);
    assert_true(decimal("-0", 8) == 0);
    assert_true(decimal("98450.12345678", 8) == INT64_C(9845012345678));
    assert_true(decimal("+1.5", 1) == 15);
    assert_true(decimal("-.5", 3) == -500);
    assert_true(decimal("5.", 0) == 5);
    assert_true(decimal("1e2", 2) == 10000);
    assert_true(decimal("2.5E-3", 4) == 25);
    assert_true(decimal("12345e+3", 0) == 12345000);
    assert_true(decimal("9223372036854775807", 0) == INT64_MAX);
    assert_true(decimal("0.000000000000000000000000000000000000000000001e46", 0) == 10);
    assert_true(decimal("100000000000000000000000000000000000000000000000000e-50", 0) == 1);
    assert_true(decimal("0e999999999999999999", 18) == 0);
    assert_true(decimal("1e-999999999999999999", 18) == 0);
    assert_true(decimal("19828966484978700000000000.0000000000000000e-16", 0) == 1982896648);
}

TEST(decimals_round_half_away_from_zero)
{
    assert_true(decimal("0.5", 0) == 1);
    assert_true(decimal("-0.5", 0) == -1);
    assert_true(decimal("0.4999999999999999999999999999999999999999", 0) == 0);
    assert_true(decimal("2.345", 2) == 235);
    assert_true(decimal("5e-1", 0) == 1);
    assert_true(decimal("5e-2", 0) == 0);
    assert_true(decimal("9e-2", 0) == 0);
}

TEST(what_is_no_decimal_is_refused)
{
    static const char *const texts[] = {"",    " ",   "1 ",   " 1",  "x",    ".",   "-",
                                        "e5",  "1e",  "1e+",  "1e-", "1.2.", "1,5", "0x1",
                                        "nan", "inf", "1e5e", "--1", "+-1",  "1.e", "1e1.5"};
    int64_t value = 7;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(decimal_parse(str_of(texts[i]), 8, &value), ERR_SYNTAX);
    assert_int_equal(decimal_parse(STR("9223372036854775808"), 0, &value), ERR_RANGE);
    assert_int_equal(decimal_parse(STR("-9223372036854775808"), 0, &value), ERR_RANGE);
    assert_int_equal(decimal_parse(STR("1e19"), 0, &value), ERR_RANGE);
    assert_int_equal(decimal_parse(STR("1e999999999999999999"), 0, &value), ERR_RANGE);
    assert_int_equal(decimal_parse((struct str){0}, 0, &value), ERR_SYNTAX);
    assert_true(value == 7);
}

TEST(a_bin_is_any_plain_number_up_to_a_million)
{
    assert_bin("100", 100 * PRICE_BIN_ONE_E12);
    assert_bin("1e2", 100 * PRICE_BIN_ONE_E12);
    assert_bin("2.5", 2500000000000);
    assert_bin("0.00000001", 10000);
    assert_bin("1e-12", 1);
    assert_bin("1000000", PRICE_BIN_MAX_E12);
    assert_bin("0.30000000000000004", 300000000000); /* 0.1 + 0.2 as some print it */
}

TEST(a_bin_of_nothing_or_too_much_is_refused)
{
    assert_bin_refused("0", ERR_RANGE);
    assert_bin_refused("-1", ERR_RANGE);
    assert_bin_refused("1e-13", ERR_RANGE);
    assert_bin_refused("1000000.000000000001", ERR_RANGE);
    assert_bin_refused("1e300", ERR_RANGE);
    assert_bin_refused("hundred", ERR_SYNTAX);
    assert_bin_refused("", ERR_SYNTAX);
}

TEST(the_default_bin_is_the_round_number_below_a_500th)
{
    static const struct {
        const char *price, *bin;
    } cases[] = {{"98000", "100"},
                 {"3400", "5"},
                 {"0.1", "0.0002"},
                 {"99999.99999999", "100"},
                 {"100000", "200"},
                 {"250000", "500"},
                 {"499.99999999", "0.5"},
                 {"500", "1"},
                 {"0.00000001", "0.00000000002"},
                 {"0.00001", "0.00000002"},
                 {"500000000", "1000000"},
                 {"1000000000", "1000000"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_true(price_bin_default(decimal(cases[i].price, 8)) == decimal(cases[i].bin, 12));
}

TEST(a_price_is_in_the_bucket_that_starts_at_or_below_it)
{
    int64_t hundred = 100 * PRICE_BIN_ONE_E12;

    assert_true(price_bin_bucket(decimal("1000", 8), 80000, hundred) == 8);
    assert_true(price_bin_bucket(decimal("1000", 8), 79999, hundred) == 7);
    assert_true(price_bin_bucket(decimal("999999999.99999999", 8), 100000, hundred) == 9999999);
    assert_true(price_bin_bucket(decimal("1000000000", 8), 100000, hundred) == 10000000);
    assert_true(price_bin_bucket(1, 99999, 1) == 9999); /* 10^-8 * 0.99999 in 10^-12 */
    assert_true(price_bin_bucket(decimal("1000000000", 8), 119920, 1) == INT64_MAX);
}
