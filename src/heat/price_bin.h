/* price_bin.h - the size of a heatmap's price buckets, an exact decimal in units of 10^-12 USDT
 * (`_e12`). Pure. */
#ifndef HEATCAST_HEAT_PRICE_BIN_H
#define HEATCAST_HEAT_PRICE_BIN_H

#include "base/base.h"

#define PRICE_BIN_ONE_E12 INT64_C(1000000000000)
#define PRICE_BIN_MAX_E12 (1000000 * PRICE_BIN_ONE_E12)

/* A bucket size as exact decimal: "100" -> 100 * 10^12, "1e2" is one too. Digits beyond 10^-12,
 * such as a binary fraction printed in full has, are rounded off. ERR_SYNTAX if it is not a
 * number, ERR_RANGE unless 10^-12 <= bin <= 1 000 000; *bin_e12 is untouched then. */
int price_bin_parse(struct str text, int64_t *bin_e12) MUST_CHECK;

/* The stream's bucket of a symbol: the greatest of 1, 2, 5 times a power of ten that is at most
 * price / 500 and 1 000 000. */
int64_t price_bin_default(int64_t price_e8);

/* The bucket that a price is in: floor(price / bin). One beyond int64, which takes a bin of less
 * than the 10^18th part of the price, is counted in the last bucket there is. */
int64_t price_bin_bucket(int64_t entry_e8, int32_t factor_e5, int64_t bin_e12);

#endif
