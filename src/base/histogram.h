/* histogram.h - how long things took: how many within each bound, and the sum.
 *
 * One thread observes, any thread reads: plain loads and stores, so that an observation costs a few
 * nanoseconds and no other core its cache line. The bounds are the same for all, so that histograms
 * of several threads can be summed. A sum is a moment's view: the count is always that of the
 * buckets, the sum of times may be an observation ahead of it, never behind. */
#ifndef HEATCAST_BASE_HISTOGRAM_H
#define HEATCAST_BASE_HISTOGRAM_H

#include <stdatomic.h>

#include "base/base.h"

/* 1-2-5 from 10 us to 100 s; bucket i holds what took at most bound i, and more than the one before
 * it; the last bucket holds the rest. */
#define HISTOGRAM_BOUNDS  22
#define HISTOGRAM_BUCKETS (HISTOGRAM_BOUNDS + 1)
extern const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS];

struct histogram {
    _Atomic int64_t buckets[HISTOGRAM_BUCKETS];
    _Atomic int64_t sum_us;
};

/* A copy that one thread has to itself; `{0}` is a valid empty one. */
struct histogram_sum {
    int64_t buckets[HISTOGRAM_BUCKETS];
    int64_t sum_us;
};

/* On the owning thread only. A time below 0 (clocks of two threads that disagree) counts as 0. */
void histogram_observe(struct histogram *histogram, int64_t us);

/* From any thread. */
void histogram_merge(struct histogram_sum *into, const struct histogram *from);

int64_t histogram_count(const struct histogram_sum *sum);
/* The least bound that so many percent of the times kept; -1 when there are none, or not even the
 * last bound was kept by so many. */
int64_t histogram_percentile_us(const struct histogram_sum *sum, unsigned percent);

#endif
