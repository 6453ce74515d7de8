#include "heat/candle.h"

#include <math.h>
#include <stdio.h>

#include "heat/decimal.h"
#include "test.h"

TEST(a_price_keeps_its_decimals)
{
    static const char *const texts[] = {"98450",
                                        "98450.1",
                                        "0.00000001",
                                        "0.00001234",
                                        "3426.715",
                                        "9999999.99999999",
                                        "0.1",
                                        "1000000000",
                                        "12345678.1234567",
                                        "999999999.123456"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int64_t exact_e8, price_e8 = 0;

        assert_int_equal(decimal_parse(str_of(texts[i]), 8, &exact_e8), 0);
        assert_int_equal(price_from_double(strtod(texts[i], NULL), &price_e8), 0);
        assert_int_equal(price_e8, exact_e8);
        assert_true(price_to_double(price_e8) == strtod(texts[i], NULL));
    }
}

TEST(any_price_of_15_digits_and_8_decimals_comes_through)
{
    uint64_t seed = 5;

    for (int i = 0; i < 200000; i++) {
        int decimals = (int)(test_random(&seed) % 9);
        int64_t digits =
            1 + (int64_t)(test_random(&seed) % (INT64_C(1) << test_random(&seed) % 50));
        int64_t exact_e8, price_e8 = 0;
        char text[40];

        snprintf(text, sizeof(text), "%llde-%d", (long long)digits, decimals);
        if (strtod(text, NULL) > PRICE_MAX_USDT) continue;
        assert_int_equal(decimal_parse(str_of(text), 8, &exact_e8), 0);
        assert_int_equal(price_from_double(strtod(text, NULL), &price_e8), 0);
        assert_int_equal(price_e8, exact_e8);
    }
}

TEST(what_cannot_be_a_price_is_refused)
{
    static const double prices[] = {0, -0.0, -1, 1e-9, 4e-9, 1000000000.1, 1e300};
    int64_t price_e8 = 7;

    for (size_t i = 0; i < ARRAY_LEN(prices); i++)
        assert_int_equal(price_from_double(prices[i], &price_e8), ERR_RANGE);
    assert_int_equal(price_from_double(NAN, &price_e8), ERR_RANGE);
    assert_int_equal(price_from_double(INFINITY, &price_e8), ERR_RANGE);
    assert_int_equal(price_from_double(-INFINITY, &price_e8), ERR_RANGE);
    assert_int_equal(price_e8, 7);
    assert_int_equal(price_from_double(5e-9, &price_e8), 0);
    assert_int_equal(price_e8, 1);
}
