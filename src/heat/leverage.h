/* leverage.h - the leverage tiers: how new volume is spread over them, and where each is
 * liquidated. Pure; the tables are const. */
#ifndef HEATCAST_HEAT_LEVERAGE_H
#define HEATCAST_HEAT_LEVERAGE_H

#include "base/base.h"
#include "heat/buckets.h"

enum { LEVERAGE_TIERS = 5 };
extern const int leverage_tiers[LEVERAGE_TIERS]; /* 5, 10, 25, 50, 100 */

/* What share of new volume opens at each tier; sums to 1. */
struct leverage_mix {
    double share[LEVERAGE_TIERS];
};
extern const struct leverage_mix leverage_mix_default; /* .15 .30 .25 .20 .10 */

/* "5:15,10:30,25:25,50:20,100:10": weights of tiers, normalised; tiers not named get 0. A weight
 * is a plain number from 0 to 10^9 of which 9 decimals count. ERR_SYNTAX for anything else,
 * ERR_UNKNOWN for another tier, ERR_RANGE for a negative, repeated, huge or all-zero weight; *mix
 * is untouched then. */
int leverage_mix_parse(struct str text, struct leverage_mix *mix) MUST_CHECK;

/* Liquidation price over entry price in units of 10^-5, exact: with maintenance margin rate 0.004
 * it is 1 - 1/L + 0.004/L for a long at leverage L, 1 + 1/L - 0.004/L for a short. */
extern const int32_t liquidation_factor_e5[SIDES][LEVERAGE_TIERS];

#endif
