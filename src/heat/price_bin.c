#include "heat/price_bin.h"

#include <assert.h>

#include "heat/decimal.h"

int price_bin_parse(struct str text, int64_t *bin_e12)
{
    int64_t value;
    int err = decimal_parse(text, 12, &value);

    if (err) return err;
    if (value <= 0 || value > PRICE_BIN_MAX_E12) return ERR_RANGE;
    *bin_e12 = value;
    return 0;
}

int64_t price_bin_default(int64_t price_e8)
{
    static const int steps[] = {5, 2, 1};
    int64_t most_e12 = PRICE_BIN_MAX_E12;

    assert(price_e8 > 0);
    /* price_e8 * 10^4 / 500, never below 20. */
    if (price_e8 < PRICE_BIN_MAX_E12 / 20) most_e12 = price_e8 * 20;
    for (int64_t power = PRICE_BIN_MAX_E12;; power /= 10) {
        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
            if (steps[i] * power <= most_e12) return steps[i] * power;
        }
    }
}

int64_t price_bin_bucket(int64_t entry_e8, int32_t factor_e5, int64_t bin_e12)
{
    int128 price_e13 = (int128)entry_e8 * factor_e5;
    int128 bucket;

    assert(bin_e12 > 0);
    /* floor(floor(x / 10) / bin) = floor(x / (10 bin)); in 64 bits, the common case, it is fast. */
    if (price_e13 <= INT64_MAX) return (int64_t)price_e13 / 10 / bin_e12;
    bucket = price_e13 / 10 / bin_e12;
    return bucket > INT64_MAX ? INT64_MAX : (int64_t)bucket;
}
