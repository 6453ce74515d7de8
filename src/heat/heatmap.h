/* heatmap.h - the market model: open position groups of one symbol, and what a candle does to them.
 *
 * For each candle in time order, with the change of open interest that came with it:
 *   1. consume: long groups with liquidation price >= low and short groups with liquidation
 *      price <= high are gone;
 *   2. oi_delta > 0: one group per leverage tier opens at the close, long when close >= open,
 *      else short, its volume the tier's share of the delta; a share of 0 opens nothing;
 *   3. oi_delta < 0: every volume shrinks by the same factor 1 - min(|delta| / total, 1); groups
 *      below 0.01 USDT vanish.
 *
 * Incremental: a candle costs the groups it consumes, creates and lets vanish, and a shrink is one
 * multiplication however many groups are open. Memory goes with the groups that are open. Pure: no
 * clock, no I/O, no threads, no globals; a heatmap belongs to one thread at a time. Usable by
 * itself: this floor and base/ are all it needs.
 *
 * Source of the model: the reference vectors under tests/, made with the original Python model. */
#ifndef HEATCAST_HEAT_HEATMAP_H
#define HEATCAST_HEAT_HEATMAP_H

#include "heat/candle.h"
#include "heat/leverage.h"
#include "heat/price_bin.h"
#include "heat/snapshot.h"

struct heatmap;

/* `bin_e12` is above 0 and at most PRICE_BIN_MAX_E12; the mix is copied. */
struct heatmap *heatmap_new(int64_t bin_e12, const struct leverage_mix *mix) MUST_CHECK;
void heatmap_free(struct heatmap *map);

/* Groups (one per tier and candle) that a candle opened and consumed. */
struct heatmap_change {
    uint32_t created;
    uint32_t consumed;
};

/* Advances the state by one candle, which must be later than the last and have sane prices
 * (candle.h). `oi_delta` in USDT, finite. Anything else is a bug and asserts. */
struct heatmap_change heatmap_apply(struct heatmap *map, const struct candle *candle,
                                    double oi_delta);

/* Volumes in USDT since heatmap_new(): created = live + consumed + removed, to rounding. Removed is
 * what step 3 took, vanished groups included. */
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
