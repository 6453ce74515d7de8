/* series.h - from stored rows to the model's input: candles of one interval, each with its change
 * of open interest.
 *
 * Buckets are aligned to the epoch by interval. Candles aggregate first open, max high, min low,
 * last close, summed volume. A bucket's open interest is the mean of its points; its change is
 * against the previous bucket that has any, whether a candle is there or not. oi_delta is the
 * change of the candle's bucket, and 0 where the bucket has no point or no bucket before it has.
 *
 * A request from start to end, as the reference answers it: take the stored candles with
 * start <= open_time <= end and the points with start <= time <= end, both ends included, nothing
 * before the start to compare with, and build. So the first bucket's delta is 0, a candle that
 * opens at the end makes a row, and the last bucket (or, where the start is not aligned, the
 * first) is made of what is inside: at 15m of 5m rows up to 00:00 it is one candle and one point.
 * Of 18 ways to clip tried, this is the only one that gives all six reference requests.
 *
 * Pure. */
#ifndef HEATCAST_HEAT_SERIES_H
#define HEATCAST_HEAT_SERIES_H

#include "heat/candle.h"
#include "heat/decimal.h"

struct series_row {
    struct candle candle; /* opens at its bucket's start; step_ms is the interval */
    double oi_delta;      /* USDT */
};

/* What the next rows are reckoned against, so that a series can be continued: cut anywhere between
 * two buckets, the rows are the same. `{0}` starts afresh. */
struct series_state {
    int128 oi_sum_e6;  /* of the newest bucket with points: their sum and number, so that the */
    uint32_t oi_count; /* mean is exact; 0 before the first */
};

/* Aggregates to `interval_ms`. `candles` come ordered by (bucket, step, open time), no two the
 * same, and may mix steps that divide the interval: in each bucket the step that covers most of it
 * is taken, the finest where two cover the same. `points` come ordered by time; those before the
 * first candle's bucket, between and after count as previous ones for what follows. Equal means
 * give a delta of exactly 0. Appends to *rows, an owned array that is grown to what it needs by
 * mem_realloc (NULL at first); *row_count is how many there are. */
void series_build(struct series_state *state, int64_t interval_ms, const struct candle *candles,
                  size_t candle_count, const struct oi_point *points, size_t point_count,
                  struct series_row **rows, size_t *row_count);

/* The start of the interval that a moment is in. */
int64_t series_bucket(int64_t time_ms, int64_t interval_ms);

#endif
