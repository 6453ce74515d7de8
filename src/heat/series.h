/* series.h - from stored rows to the model's input: candles of one interval, each with its change
 * of open interest.
 *
 * Buckets are aligned to the epoch by interval. Candles aggregate first open, max high, min low,
 * last close, summed volume. A bucket's open interest is the mean of its points; oi_delta is its
 * change against the previous bucket that has any (the first bucket, or a candle whose bucket has
 * no point: 0). Pure. */
#ifndef HEATCAST_HEAT_SERIES_H
#define HEATCAST_HEAT_SERIES_H

#include "heat/candle.h"

struct series_row {
    struct candle candle;
    double oi_delta; /* USDT */
};

/* What the next rows are reckoned against, so that a series can be continued: cut anywhere between
 * two buckets, the rows are the same. `{0}` starts afresh. Equal means give a delta of exactly 0.
 */
struct series_state {
    int64_t oi_bucket_sum_e6[2]; /* see series.c: the last bucket's exact mean as sum and count */
    uint32_t oi_count;
};

/* Aggregates to `interval_ms`. `candles` come ordered by (bucket, step, open time) and may mix
 * steps that divide the interval: in each bucket the step that covers most of it is taken, the
 * finest where two cover the same. `points` come ordered by time. Points in buckets before the
 * first candle's count as previous buckets. Appends to *rows, an owned array that grows
 * (mem_realloc); *row_count is how many there are. */
void series_build(struct series_state *state, int64_t interval_ms, const struct candle *candles,
                  size_t candle_count, const struct oi_point *points, size_t point_count,
                  struct series_row **rows, size_t *row_count);

#endif
