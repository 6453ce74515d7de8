#include "heat/heatmap.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heat/buckets.h"
#include "heat/decimal.h"
#include "heat/heap.h"
#include "heat/sum.h"

/* Groups below this vanish in a shrink. One that the model puts at 0.01 exactly stays, so the
 * limit is lower by more than a volume's own rounding errors, and by less than matters. */
static const double dust_usdt = 0.01 * (1 - 1e-12);

/* The scale below which the volumes are restated. Stored volumes of live groups then lie between
 * 10^-2 and 10^12 / scale: far inside what a double holds. */
static const double scale_min = 1e-100;

/* In both heaps of dead entries: so many more than live ones are kept, then they are swept. */
enum { DEAD_SPARE = 64 };

/* What one tier opened at one candle. Its slot is free when no heap mentions it any more. */
struct group {
    double stored;   /* volume in USDT / scale */
    uint32_t bucket; /* slot in `buckets`, while live */
    uint8_t side;    /* enum side */
    uint8_t entries; /* in how many heaps it still stands */
    bool live;
};

/* A volume in USDT is a stored volume times `scale`; shrinking all volumes alike is a
 * multiplication of `scale`. Every live group is in by_price of its side and in by_volume; a group
 * that left by one heap is dead in the other until it comes to the top there or is swept. */
struct heatmap {
    int64_t bin_e12;
    struct leverage_mix mix;

    int64_t time_ms, close_e8; /* of the newest candle; 0 before the first */
    double scale;              /* scale_min <= scale <= 1 between calls */

    struct group *groups; /* owned; numbers are stable, addresses are not */
    size_t group_count, group_capacity;
    uint32_t *free_groups; /* owned, as large as groups; a stack of free numbers */
    size_t free_count;

    struct heap by_price[SIDES]; /* the next to be liquidated on top: see liquidation_key() */
    struct heap by_volume;       /* the smallest on top: see volume_key() */
    struct buckets buckets;      /* stored volumes */
    struct sum live[SIDES];      /* stored volumes; exactly 0 where no group is live */
    uint64_t live_count[SIDES];

    struct sum created, consumed, removed;            /* USDT */
    uint64_t created_groups_new, consumed_groups_new; /* since the last snapshot */
};

struct heatmap *heatmap_new(int64_t bin_e12, const struct leverage_mix *mix)
{
    struct heatmap *map = mem_zalloc(sizeof(*map));

    assert(bin_e12 > 0 && bin_e12 <= PRICE_BIN_MAX_E12);
    map->bin_e12 = bin_e12;
    map->mix = *mix;
    map->scale = 1;
    return map;
}

/* Drops every group. */
static void groups_clear(struct heatmap *map)
{
    for (int side = 0; side < SIDES; side++) {
        heap_deinit(&map->by_price[side]);
        map->live[side] = (struct sum){0};
        map->live_count[side] = 0;
    }
    heap_deinit(&map->by_volume);
    buckets_deinit(&map->buckets);
    free(map->groups);
    free(map->free_groups);
    map->groups = NULL;
    map->free_groups = NULL;
    map->group_count = map->group_capacity = map->free_count = 0;
    map->scale = 1;
}

void heatmap_free(struct heatmap *map)
{
    if (!map) return;
    groups_clear(map);
    free(map);
}

/* The order in which price reaches the groups of a side, greatest first, in whole 10^-8 USDT: a
 * long is hit when floor(liquidation price) >= low, a short when -ceil(liquidation price) >= -high.
 * Prices of candles are whole too, so the rounding changes no comparison. */
static int64_t liquidation_key(enum side side, int64_t entry_e8, int32_t factor_e5)
{
    static const int64_t one = 100000;
    int128 price_e13 = (int128)entry_e8 * factor_e5;

    if (side == SIDE_SHORT) price_e13 += one - 1;
    price_e13 = price_e13 <= INT64_MAX ? (int64_t)price_e13 / one : price_e13 / one;
    return side == SIDE_SHORT ? -(int64_t)price_e13 : (int64_t)price_e13;
}

/* Positive doubles are ordered like their bits; the smallest volume has the greatest key. */
static int64_t volume_key(double stored)
{
    int64_t bits;

    memcpy(&bits, &stored, sizeof(bits));
    return -bits;
}

static uint64_t live_groups(const struct heatmap *map)
{
    return map->live_count[SIDE_LONG] + map->live_count[SIDE_SHORT];
}

static uint32_t group_take(struct heatmap *map)
{
    if (map->free_count) return map->free_groups[--map->free_count];
    if (map->group_count == map->group_capacity) {
        map->group_capacity = map->group_capacity ? map->group_capacity * 2 : 64;
        map->groups = mem_realloc(map->groups, map->group_capacity * sizeof(*map->groups));
        map->free_groups =
            mem_realloc(map->free_groups, map->group_capacity * sizeof(*map->free_groups));
    }
    assert(map->group_count < UINT32_MAX);
    return (uint32_t)map->group_count++;
}

static void group_open(struct heatmap *map, enum side side, int64_t key, int64_t bucket,
                       double volume)
{
    double stored = volume / map->scale;
    uint32_t number = group_take(map);

    map->groups[number] = (struct group){
        .stored = stored,
        .bucket = buckets_add(&map->buckets, bucket, side, stored),
        .side = (uint8_t)side,
        .entries = 2,
        .live = true,
    };
    heap_push(&map->by_price[side], key, number);
    heap_push(&map->by_volume, volume_key(stored), number);
    sum_add(&map->live[side], stored);
    map->live_count[side]++;
    sum_add(&map->created, volume);
}

/* Takes a live group off the books; its heap entries are the caller's. Returns its volume. */
static double group_close(struct heatmap *map, struct group *group)
{
    enum side side = group->side;

    group->live = false;
    buckets_remove(&map->buckets, group->bucket, side, group->stored);
    if (--map->live_count[side])
        sum_add(&map->live[side], -group->stored);
    else
        map->live[side] = (struct sum){0};
    return group->stored * map->scale;
}

/* One heap less mentions the group. */
static void group_release(struct heatmap *map, uint32_t number)
{
    if (--map->groups[number].entries == 0) map->free_groups[map->free_count++] = number;
}

/* Rids a heap of its dead entries when they outnumber the `live` ones. */
static void heap_sweep(struct heatmap *map, struct heap *heap, uint64_t live)
{
    size_t kept = 0;

    if (heap->count <= 2 * live + DEAD_SPARE) return;
    for (size_t i = 0; i < heap->count; i++) {
        if (map->groups[heap->entries[i].item].live)
            heap->entries[kept++] = heap->entries[i];
        else
            group_release(map, heap->entries[i].item);
    }
    heap->count = kept;
    heap_rebuild(heap);
}

static uint32_t consume(struct heatmap *map, enum side side, int64_t reached)
{
    struct heap *heap = &map->by_price[side];
    const struct heap_entry *top;
    uint32_t count = 0;

    while ((top = heap_top(heap)) && top->key >= reached) {
        uint32_t number = top->item;

        if (map->groups[number].live) {
            sum_add(&map->consumed, group_close(map, &map->groups[number]));
            count++;
        }
        heap_pop(heap);
        group_release(map, number);
    }
    return count;
}

static uint32_t create(struct heatmap *map, const struct candle *candle, double delta)
{
    enum side side = candle->close_e8 >= candle->open_e8 ? SIDE_LONG : SIDE_SHORT;
    int64_t entry_e8 = candle->close_e8;
    uint32_t count = 0;

    for (int tier = 0; tier < LEVERAGE_TIERS; tier++) {
        int32_t factor_e5 = liquidation_factor_e5[side][tier];
        double volume = delta * map->mix.share[tier];

        if (volume == 0) continue;
        group_open(map, side, liquidation_key(side, entry_e8, factor_e5),
                   price_bin_bucket(entry_e8, factor_e5, map->bin_e12), volume);
        count++;
    }
    return count;
}

static void vanish_dust(struct heatmap *map)
{
    const struct heap_entry *top;

    while ((top = heap_top(&map->by_volume))) {
        uint32_t number = top->item;
        struct group *group = &map->groups[number];

        if (group->live) {
            if (group->stored * map->scale >= dust_usdt) return;
            sum_add(&map->removed, group_close(map, group));
        }
        heap_pop(&map->by_volume);
        group_release(map, number);
    }
}

/* Makes stored volumes plain volumes again: once in a while, when the scale gets too small. */
static void restate(struct heatmap *map)
{
    for (size_t i = 0; i < map->group_count; i++)
        map->groups[i].stored *= map->scale;
    for (int side = 0; side < SIDES; side++)
        sum_scale(&map->live[side], map->scale);
    buckets_scale(&map->buckets, map->scale);
    /* The same factor for all leaves the order as it was: still a heap. */
    for (size_t i = 0; i < map->by_volume.count; i++) {
        struct heap_entry *entry = &map->by_volume.entries[i];

        entry->key = volume_key(map->groups[entry->item].stored);
    }
    map->scale = 1;
}

static void shrink(struct heatmap *map, double loss)
{
    struct sum all = map->live[SIDE_LONG];
    double total;

    sum_add(&all, map->live[SIDE_SHORT].value);
    sum_add(&all, map->live[SIDE_SHORT].rest);
    total = all.value * map->scale;
    if (loss >= total) {
        sum_add(&map->removed, total);
        groups_clear(map);
        return;
    }
    sum_add(&map->removed, loss);
    map->scale *= (total - loss) / total;
    vanish_dust(map);
    if (map->scale < scale_min) restate(map);
}

static void assert_candle(const struct heatmap *map, const struct candle *candle)
{
    assert(candle->open_time_ms > map->time_ms || map->close_e8 == 0);
    assert(candle->low_e8 > 0);
    assert(candle->low_e8 <= candle->open_e8 && candle->open_e8 <= candle->high_e8);
    assert(candle->low_e8 <= candle->close_e8 && candle->close_e8 <= candle->high_e8);
    assert(candle->high_e8 <= (int64_t)PRICE_MAX_USDT * PRICE_ONE_E8);
}

struct heatmap_change heatmap_apply(struct heatmap *map, const struct candle *candle,
                                    double oi_delta)
{
    struct heatmap_change change = {0};

    assert(isfinite(oi_delta));
    assert_candle(map, candle);
    map->time_ms = candle->open_time_ms;
    map->close_e8 = candle->close_e8;

    change.consumed = consume(map, SIDE_LONG, candle->low_e8);
    change.consumed += consume(map, SIDE_SHORT, -candle->high_e8);
    if (oi_delta > 0) change.created = create(map, candle, oi_delta);
    if (oi_delta < 0) shrink(map, -oi_delta);

    for (int side = 0; side < SIDES; side++)
        heap_sweep(map, &map->by_price[side], map->live_count[side]);
    heap_sweep(map, &map->by_volume, live_groups(map));
    map->created_groups_new += change.created;
    map->consumed_groups_new += change.consumed;
    return change;
}

struct heatmap_totals heatmap_totals(const struct heatmap *map)
{
    return (struct heatmap_totals){
        .created = map->created.value,
        .consumed = map->consumed.value,
        .removed = map->removed.value,
        .live_long = map->live[SIDE_LONG].value * map->scale,
        .live_short = map->live[SIDE_SHORT].value * map->scale,
        .live_groups = live_groups(map),
        .live_buckets = map->buckets.live_count,
    };
}

/* Whole cents, half away from zero; what is beyond int64 is its end. */
static int64_t cents(double usdt)
{
    double exact = usdt * 100;
    int64_t whole;

    if (exact >= 0x1p63) return INT64_MAX;
    whole = (int64_t)exact;
    return whole + (exact - (double)whole >= 0.5);
}

static void snapshot_add(struct snapshot *snapshot, const struct bucket *bucket, double scale)
{
    struct level level = {
        .bucket = bucket->key,
        .long_cents = cents(bucket->volume[SIDE_LONG].value * scale),
        .short_cents = cents(bucket->volume[SIDE_SHORT].value * scale),
    };

    if (level.long_cents || level.short_cents) snapshot->levels[snapshot->level_count++] = level;
}

void heatmap_snapshot(struct heatmap *map, struct snapshot *snapshot)
{
    snapshot->time_ms = map->time_ms;
    snapshot->bin_e12 = map->bin_e12;
    snapshot->current_price_e8 = map->close_e8;
    snapshot->positions_created = map->created_groups_new;
    snapshot->positions_consumed = map->consumed_groups_new;
    snapshot->long_total = map->live[SIDE_LONG].value * map->scale;
    snapshot->short_total = map->live[SIDE_SHORT].value * map->scale;
    map->created_groups_new = map->consumed_groups_new = 0;

    snapshot_reserve(snapshot, map->buckets.live_count);
    snapshot->level_count = 0;
    buckets_sort(&map->buckets);
    for (size_t i = 0; i < map->buckets.order_count; i++)
        snapshot_add(snapshot, &map->buckets.slots[map->buckets.order[i].slot], map->scale);
}
