/* naive_model.h - the market model as its three sentences say it: one array of groups, walked for
 * everything. Slow, and plain enough to be believed; and seeded markets to try it on. */
#ifndef HEATCAST_TEST_NAIVE_MODEL_H
#define HEATCAST_TEST_NAIVE_MODEL_H

#include <math.h>
#include <stdlib.h>

#include "heat/decimal.h"
#include "heat/heatmap.h"
#include "test.h"

struct naive_group {
    int128 price_e13;
    long double volume;
    bool is_long;
};

struct naive_model {
    struct naive_group *groups; /* owned */
    size_t count, capacity;
    struct leverage_mix mix;
    uint32_t created, consumed; /* by the last candle */
};

static inline void naive_deinit(struct naive_model *model)
{
    free(model->groups);
    *model = (struct naive_model){0};
}

static inline void naive_open(struct naive_model *model, struct naive_group group)
{
    if (group.volume == 0) return;
    if (model->count == model->capacity) {
        model->capacity = MAX(64, 2 * model->capacity);
        model->groups = mem_realloc(model->groups, model->capacity * sizeof(*model->groups));
    }
    model->groups[model->count++] = group;
    model->created++;
}

static inline void naive_consume(struct naive_model *model, const struct candle *candle)
{
    size_t kept = 0;

    for (size_t i = 0; i < model->count; i++) {
        struct naive_group group = model->groups[i];

        if (group.is_long ? group.price_e13 >= (int128)candle->low_e8 * 100000
                          : group.price_e13 <= (int128)candle->high_e8 * 100000)
            model->consumed++;
        else
            model->groups[kept++] = group;
    }
    model->count = kept;
}

static inline void naive_create(struct naive_model *model, const struct candle *candle,
                                double delta)
{
    for (int i = 0; i < LEVERAGE_TIERS; i++) {
        bool is_long = candle->close_e8 >= candle->open_e8;
        /* 1 -+ (1 - 0.004) / L, in 10^-5 */
        int32_t distance = 99600 / leverage_tiers[i];

        naive_open(model, (struct naive_group){
                              .price_e13 = (int128)candle->close_e8 *
                                           (is_long ? 100000 - distance : 100000 + distance),
                              .volume = (long double)delta * model->mix.share[i],
                              .is_long = is_long,
                          });
    }
}

static inline void naive_shrink(struct naive_model *model, long double loss)
{
    long double total = 0, factor;
    size_t kept = 0;

    for (size_t i = 0; i < model->count; i++)
        total += model->groups[i].volume;
    factor = total > 0 ? 1 - fminl(loss / total, 1) : 0;
    for (size_t i = 0; i < model->count; i++) {
        struct naive_group group = model->groups[i];

        group.volume *= factor;
        if (group.volume >= 0.01L * (1 - 1e-12L)) model->groups[kept++] = group;
    }
    model->count = kept;
}

static inline void naive_apply(struct naive_model *model, const struct candle *candle,
                               double oi_delta)
{
    model->created = model->consumed = 0;
    naive_consume(model, candle);
    if (oi_delta > 0) naive_create(model, candle, oi_delta);
    if (oi_delta < 0) naive_shrink(model, -(long double)oi_delta);
}

struct naive_level {
    int64_t bucket;
    long double volume[SIDES];
};

static inline int naive_level_order(const void *a, const void *b)
{
    const struct naive_level *left = a, *right = b;

    return (left->bucket > right->bucket) - (left->bucket < right->bucket);
}

/* Every level with anything open, ascending; the caller frees. */
static inline struct naive_level *naive_levels(const struct naive_model *model, int64_t bin_e12,
                                               size_t *count)
{
    struct naive_level *levels = mem_zalloc((model->count + 1) * sizeof(*levels));
    size_t kept = 0;

    for (size_t i = 0; i < model->count; i++) {
        const struct naive_group *group = &model->groups[i];

        levels[i].bucket = (int64_t)(group->price_e13 / ((int128)bin_e12 * 10));
        levels[i].volume[group->is_long ? SIDE_LONG : SIDE_SHORT] = group->volume;
    }
    qsort(levels, model->count, sizeof(*levels), naive_level_order);
    for (size_t i = 0; i < model->count; i++) {
        if (kept && levels[kept - 1].bucket == levels[i].bucket) {
            levels[kept - 1].volume[SIDE_LONG] += levels[i].volume[SIDE_LONG];
            levels[kept - 1].volume[SIDE_SHORT] += levels[i].volume[SIDE_SHORT];
        } else {
            levels[kept++] = levels[i];
        }
    }
    *count = kept;
    return levels;
}

static inline bool naive_near(long double exact, int64_t cents)
{
    return fabsl((long double)cents / 100 - exact) <= 0.005L + 1e-9L * fmaxl(1, fabsl(exact));
}

/* The snapshot is the naive model's state: same levels, same order, volumes to 1e-9 and rounding;
 * a level of less than half a cent may be left out. */
static inline void naive_compare(const struct naive_model *model, const struct snapshot *snapshot)
{
    size_t count, at = 0;
    struct naive_level *levels = naive_levels(model, snapshot->bin_e12, &count);

    for (size_t i = 0; i < count; i++) {
        struct level ours = {.bucket = levels[i].bucket};

        if (at < snapshot->level_count && snapshot->levels[at].bucket == levels[i].bucket)
            ours = snapshot->levels[at++];
        assert_true(naive_near(levels[i].volume[SIDE_LONG], ours.long_cents));
        assert_true(naive_near(levels[i].volume[SIDE_SHORT], ours.short_cents));
    }
    assert_int_equal(at, snapshot->level_count);
    free(levels);
}

/* A random walk with wicks and, now and then, a crash. */
struct naive_market {
    uint64_t seed;
    int64_t time_ms, step_ms, price_e8, price_min_e8, price_max_e8;
    double move;         /* of a candle, as a part of the price */
    double money;        /* of a usual oi_delta */
    double shrink_share; /* of candles whose oi_delta is negative */
};

static inline double naive_uniform(struct naive_market *market)
{
    return (double)(test_random(&market->seed) >> 11) * 0x1p-53;
}

static inline int64_t naive_move(struct naive_market *market, int64_t price_e8, double size)
{
    double to = (double)price_e8 * (1 + size * (2 * naive_uniform(market) - 1));

    to = fmin(fmax(to, (double)market->price_min_e8), (double)market->price_max_e8);
    return (int64_t)to;
}

static inline struct candle naive_candle(struct naive_market *market)
{
    double size = market->move * (test_random(&market->seed) % 200 ? 1 : 30);
    struct candle candle = {.open_time_ms = market->time_ms += market->step_ms,
                            .step_ms = market->step_ms,
                            .open_e8 = market->price_e8};
    int64_t up, down;

    candle.close_e8 = market->price_e8 = naive_move(market, candle.open_e8, size);
    up = naive_move(market, candle.open_e8, size);
    down = naive_move(market, candle.open_e8, size);
    candle.high_e8 = MAX(MAX(candle.open_e8, candle.close_e8), MAX(up, down));
    candle.low_e8 = MIN(MIN(candle.open_e8, candle.close_e8), MIN(up, down));
    return candle;
}

static inline double naive_delta(struct naive_market *market)
{
    double size = market->money * -log(1 - naive_uniform(market));

    if (test_random(&market->seed) % 20 == 0) return 0;
    return naive_uniform(market) < market->shrink_share ? -size : size;
}

#endif
