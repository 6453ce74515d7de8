/* heatmap.h - the market model: open position groups of one symbol, and what a candle does to them.
 *
 * For each candle in time order, with the change of open interest that came with it:
 *   1. consume: long groups with liquidation price >= low and short groups with liquidation
 *      price <= high are gone;
 *   2. oi_delta > 0: one group per leverage tier opens at the close, long when close >= open,
 *      else short, its volume the tier's share of the delta;
 *   3. oi_delta < 0: every volume shrinks by the same factor 1 - min(|delta| / total, 1); groups
 *      below 0.01 USDT vanish.
 *
 * Incremental: a candle costs the groups it consumes, creates and lets vanish, and a shrink is one
 * multiplication however many groups are open. Pure: no clock, no I/O, no threads, no globals; a
 * heatmap belongs to one thread at a time. Usable by itself: this floor and base/ are all it needs.
 *
 * Source of the model: the reference vectors under tests/, made with the original Python model. */
#ifndef HEATCAST_HEAT_HEATMAP_H
#define HEATCAST_HEAT_HEATMAP_H

#include "heat/candle.h"
#include "heat/snapshot.h"

enum { LEVERAGE_TIERS = 5 };
extern const int leverage_tiers[LEVERAGE_TIERS]; /* 5, 10, 25, 50, 100 */

/* What share of new volume opens at each tier; sums to 1. */
struct leverage_mix {
    double share[LEVERAGE_TIERS];
};
extern const struct leverage_mix leverage_mix_default; /* .15 .30 .25 .20 .10 */

/* "5:15,10:30,25:25,50:20,100:10": weights of tiers, normalised; tiers not named get 0. ERR_SYNTAX
 * for anything else, ERR_UNKNOWN for another tier, ERR_RANGE for a negative, repeated or all-zero
 * weight; *mix is untouched then. */
int leverage_mix_parse(struct str text, struct leverage_mix *mix) MUST_CHECK;

/* A bucket size as exact decimal: 100 -> 100 * 10^13. ERR_RANGE unless 0 < bin <= 1 000 000 and
 * at least 10^-13; ERR_SYNTAX if not a plain decimal number ("1e2" is one too). */
int price_bin_parse(struct str text, int64_t *bin_e13) MUST_CHECK;
/* The member of 1-2-5 * 10^k nearest below price / 500: the stream's bucket of a symbol. */
int64_t price_bin_default(int64_t price_e8);

struct heatmap;

struct heatmap *heatmap_new(int64_t bin_e13, const struct leverage_mix *mix) MUST_CHECK;
void heatmap_free(struct heatmap *map);

/* Groups (one per tier and candle) that a candle opened and consumed. */
struct heatmap_change {
    uint32_t created;
    uint32_t consumed;
};

/* Advances the state by one candle, which must be later than the last. `oi_delta` in USDT, finite.
 */
struct heatmap_change heatmap_apply(struct heatmap *map, const struct candle *candle,
                                    double oi_delta);

/* Volumes in USDT since heatmap_new(): created = live + consumed + removed, to rounding. */
struct heatmap_totals {
    double created, consumed, removed;
    double live_long, live_short;
    uint64_t live_groups;
    size_t live_buckets;
};
struct heatmap_totals heatmap_totals(const struct heatmap *map);

/* The state as price levels, ascending; costs the number of live buckets. Fills every field of
 * *snapshot; its memory is reused when it was filled before. positions_created and _consumed count
 * since the previous call. Not const: it also tidies the map's order of buckets. */
void heatmap_snapshot(struct heatmap *map, struct snapshot *snapshot);

#endif
