#include "heat/leverage.h"

#include <string.h>

#include "heat/decimal.h"

const int leverage_tiers[LEVERAGE_TIERS] = {5, 10, 25, 50, 100};

const struct leverage_mix leverage_mix_default = {{.15, .30, .25, .20, .10}};

const int32_t liquidation_factor_e5[SIDES][LEVERAGE_TIERS] = {
    [SIDE_LONG] = {80080, 90040, 96016, 98008, 99004},
    [SIDE_SHORT] = {119920, 109960, 103984, 101992, 100996},
};

enum { WEIGHT_DECIMALS = 9 };
static const int64_t weight_max_e9 = INT64_C(1000000000) * 1000000000;

/* What is before the first `separator`, without blanks; *rest is what is behind it, or has no `at`
 * when there was none. */
static struct str cut(struct str text, char separator, struct str *rest)
{
    const char *found = text.size ? memchr(text.at, separator, text.size) : NULL;
    size_t size = found ? (size_t)(found - text.at) : text.size;

    *rest = found ? (struct str){found + 1, text.size - size - 1} : (struct str){0};
    return str_trim((struct str){text.at, size});
}

static int tier_index(int64_t leverage)
{
    for (int i = 0; i < LEVERAGE_TIERS; i++) {
        if (leverage_tiers[i] == leverage) return i;
    }
    return ERR_UNKNOWN;
}

/* "25:30": the tier's index, and its weight. */
static int weight_parse(struct str text, int64_t *weight_e9)
{
    struct str weight, tier = cut(text, ':', &weight);
    int64_t leverage, value;
    int err;

    if (!weight.at) return ERR_SYNTAX;
    for (size_t i = 0; i < tier.size; i++) {
        if (tier.at[i] < '0' || tier.at[i] > '9') return ERR_SYNTAX;
    }
    err = decimal_parse(str_trim(weight), WEIGHT_DECIMALS, &value);
    if (err) return err;
    err = decimal_parse(tier, 0, &leverage);
    if (err) return err == ERR_RANGE ? ERR_UNKNOWN : err;
    if (value < 0 || value > weight_max_e9) return ERR_RANGE;
    *weight_e9 = value;
    return tier_index(leverage);
}

int leverage_mix_parse(struct str text, struct leverage_mix *mix)
{
    int64_t weight_e9[LEVERAGE_TIERS] = {0};
    bool named[LEVERAGE_TIERS] = {false};
    double sum = 0;

    do {
        int64_t value = 0;
        int tier = weight_parse(cut(text, ',', &text), &value);

        if (tier < 0) return tier;
        if (named[tier]) return ERR_RANGE;
        named[tier] = true;
        weight_e9[tier] = value;
    } while (text.at);
    for (int i = 0; i < LEVERAGE_TIERS; i++)
        sum += (double)weight_e9[i];
    if (sum == 0) return ERR_RANGE;
    for (int i = 0; i < LEVERAGE_TIERS; i++)
        mix->share[i] = (double)weight_e9[i] / sum;
    return 0;
}
