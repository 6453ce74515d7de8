#include "base/histogram.h"

const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    10,      20,      50,       100,      200,      500,       1000,   2000,
    5000,    10000,   20000,    50000,    100000,   200000,    500000, 1000000,
    2000000, 5000000, 10000000, 20000000, 50000000, 100000000,
};

/* On one thread a load and a store are enough: no lock prefix. */
static void add(_Atomic int64_t *value, int64_t by, memory_order order)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by, order);
}

/* How many bounds lie below it: halving steps, five for 22 bounds. */
static unsigned bucket_of(int64_t us)
{
    unsigned index = 0;

    for (unsigned step = 16; step; step /= 2)
        if (index + step <= HISTOGRAM_BOUNDS && histogram_bounds_us[index + step - 1] < us)
            index += step;
    return index;
}

void histogram_observe(struct histogram *histogram, int64_t us)
{
    us = MAX(us, 0);
    add(&histogram->sum_us, us, memory_order_relaxed);
    /* Whoever sees it counted sees it in the sum. */
    add(&histogram->buckets[bucket_of(us)], 1, memory_order_release);
}

void histogram_merge(struct histogram_sum *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += atomic_load_explicit(&from->buckets[i], memory_order_acquire);
    into->sum_us += atomic_load_explicit(&from->sum_us, memory_order_relaxed);
}

int64_t histogram_count(const struct histogram_sum *sum)
{
    int64_t count = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += sum->buckets[i];
    return count;
}

int64_t histogram_percentile_us(const struct histogram_sum *sum, unsigned percent)
{
    int64_t count = histogram_count(sum), within = 0;

    for (unsigned i = 0; count && i < HISTOGRAM_BOUNDS; i++) {
        within += sum->buckets[i];
        /* In doubles: a count times a hundred may not fit. */
        if ((double)within >= (double)count * percent / 100) return histogram_bounds_us[i];
    }
    return -1;
}
