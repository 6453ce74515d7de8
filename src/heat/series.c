#include "heat/series.h"

#include <assert.h>

int64_t series_bucket(int64_t time_ms, int64_t interval_ms)
{
    int64_t offset = time_ms % interval_ms;

    return time_ms - offset - (offset < 0 ? interval_ms : 0);
}

/* Some of the caller's candles or points, in their order; the walk shortens them from the front. */
struct candle_span {
    const struct candle *at;
    size_t count;
};

struct point_span {
    const struct oi_point *at;
    size_t count;
};

/* Takes the points of the first one's bucket into the state; returns how the mean changed. */
static double oi_advance(struct series_state *state, int64_t interval_ms, struct point_span *points)
{
    int64_t end_ms = series_bucket(points->at->time_ms, interval_ms) + interval_ms;
    struct series_state next = {0};
    int64_t last_ms = INT64_MIN;
    double delta = 0;

    for (; points->count && points->at->time_ms < end_ms; points->at++, points->count--) {
        assert(points->at->time_ms >= last_ms);
        last_ms = points->at->time_ms;
        next.oi_sum_e6 += points->at->value_e6;
        next.oi_count++;
    }
    if (state->oi_count) {
        /* The difference of two fractions, its numerator exact: 10^18 a point, 10^6 points in
         * each bucket, make 10^30 of the 10^38 there is room for. */
        int128 change = next.oi_sum_e6 * state->oi_count - state->oi_sum_e6 * next.oi_count;

        delta = (double)change / ((double)next.oi_count * state->oi_count * 1e6);
    }
    *state = next;
    return delta;
}

/* Takes the points before `end_ms`; returns the change in the last bucket before it, 0 where that
 * has none. */
static double oi_advance_to(struct series_state *state, int64_t interval_ms, int64_t end_ms,
                            struct point_span *points)
{
    double delta = 0;

    while (points->count && points->at->time_ms < end_ms) {
        bool is_last = points->at->time_ms >= end_ms - interval_ms;
        double change = oi_advance(state, interval_ms, points);

        if (is_last) delta = change;
    }
    return delta;
}

/* Cuts off the candles before `end_ms`. */
static struct candle_span take_bucket(struct candle_span *candles, int64_t end_ms)
{
    struct candle_span bucket = {candles->at, 0};

    for (; candles->count && candles->at->open_time_ms < end_ms; candles->at++, candles->count--)
        bucket.count++;
    return bucket;
}

/* Of one bucket's candles, those of the step that covers most of it. */
static struct candle_span choose_step(struct candle_span bucket)
{
    struct candle_span best = {0}, same;
    int64_t covered = 0;

    for (; bucket.count; bucket.at += same.count, bucket.count -= same.count) {
        same = (struct candle_span){bucket.at, 1};
        while (same.count < bucket.count && same.at[same.count].step_ms == same.at->step_ms) {
            assert(same.at[same.count].open_time_ms > same.at[same.count - 1].open_time_ms);
            same.count++;
        }
        assert(same.count == bucket.count || same.at[same.count].step_ms > same.at->step_ms);
        if ((int64_t)same.count * same.at->step_ms > covered) {
            covered = (int64_t)same.count * same.at->step_ms;
            best = same;
        }
    }
    return best;
}

static struct candle merge(struct candle_span candles, int64_t interval_ms)
{
    struct candle all = candles.at[0];

    assert(all.step_ms > 0 && interval_ms % all.step_ms == 0);
    all.open_time_ms = series_bucket(all.open_time_ms, interval_ms);
    all.step_ms = interval_ms;
    all.close_e8 = candles.at[candles.count - 1].close_e8;
    for (size_t i = 1; i < candles.count; i++) {
        all.high_e8 = MAX(all.high_e8, candles.at[i].high_e8);
        all.low_e8 = MIN(all.low_e8, candles.at[i].low_e8);
        all.volume += candles.at[i].volume;
    }
    return all;
}

static void row_append(struct series_row **rows, size_t *row_count, size_t *capacity,
                       struct series_row row)
{
    if (*row_count == *capacity) {
        *capacity = MAX(64, *capacity * 2);
        *rows = mem_realloc(*rows, *capacity * sizeof(**rows));
    }
    (*rows)[(*row_count)++] = row;
}

void series_build(struct series_state *state, int64_t interval_ms, const struct candle *candles,
                  size_t candle_count, const struct oi_point *points, size_t point_count,
                  struct series_row **rows, size_t *row_count)
{
    struct candle_span candle_rest = {candles, candle_count};
    struct point_span point_rest = {points, point_count};
    size_t capacity = *row_count; /* there may be more behind it: only the allocator knows */
    int64_t end_ms = INT64_MIN;

    assert(interval_ms > 0);
    while (candle_rest.count) {
        int64_t start_ms = series_bucket(candle_rest.at->open_time_ms, interval_ms);
        struct series_row row;

        assert(start_ms >= end_ms);
        end_ms = start_ms + interval_ms;
        row.candle = merge(choose_step(take_bucket(&candle_rest, end_ms)), interval_ms);
        row.oi_delta = oi_advance_to(state, interval_ms, end_ms, &point_rest);
        row_append(rows, row_count, &capacity, row);
    }
    while (point_rest.count)
        oi_advance(state, interval_ms, &point_rest);
}
