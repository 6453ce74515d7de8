/* How long things took, counted by bounds. */
#include "test.h"

#include <pthread.h>

#include "base/histogram.h"

static struct histogram_sum read_out(const struct histogram *histogram)
{
    struct histogram_sum sum = {0};

    histogram_merge(&sum, histogram);
    return sum;
}

/* The bucket that one observation of `us` is counted in. */
static unsigned bucket_of(int64_t us)
{
    struct histogram histogram = {0};
    struct histogram_sum sum;
    unsigned index = 0;

    histogram_observe(&histogram, us);
    sum = read_out(&histogram);
    assert_int_equal(histogram_count(&sum), 1);
    while (!sum.buckets[index])
        index++;
    return index;
}

TEST(the_bounds_rise_from_10_us_beyond_a_minute)
{
    assert_int_equal(histogram_bounds_us[0], 10);
    for (unsigned i = 1; i < HISTOGRAM_BOUNDS; i++) {
        int64_t below = histogram_bounds_us[i - 1], above = histogram_bounds_us[i];

        assert_true(above == 2 * below || 2 * above == 5 * below);
    }
    assert_true(histogram_bounds_us[HISTOGRAM_BOUNDS - 1] > 60 * INT64_C(1000000));
}

TEST(a_bound_belongs_to_its_bucket_and_the_next_microsecond_does_not)
{
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        assert_int_equal(bucket_of(histogram_bounds_us[i] - 1), i);
        assert_int_equal(bucket_of(histogram_bounds_us[i]), i);
        assert_int_equal(bucket_of(histogram_bounds_us[i] + 1), i + 1);
    }
}

TEST(what_is_beyond_the_bounds_has_the_outer_buckets)
{
    assert_int_equal(bucket_of(0), 0);
    assert_int_equal(bucket_of(INT64_MAX), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(bucket_of(-1), 0);
    assert_int_equal(bucket_of(INT64_MIN), 0);
}

TEST(every_time_is_in_the_bucket_that_a_walk_over_the_bounds_finds)
{
    uint64_t seed = 7;

    for (unsigned i = 0; i < 20000; i++) {
        int64_t us = (int64_t)(test_random(&seed) >> (1 + test_random(&seed) % 63));
        unsigned expected = 0;

        while (expected < HISTOGRAM_BOUNDS && us > histogram_bounds_us[expected])
            expected++;
        assert_int_equal(bucket_of(us), expected);
    }
}

TEST(a_time_below_0_counts_as_0_in_the_sum)
{
    struct histogram histogram = {0};

    histogram_observe(&histogram, 30);
    histogram_observe(&histogram, -50);
    assert_int_equal(read_out(&histogram).sum_us, 30);
}

TEST(merging_adds_buckets_counts_and_sums)
{
    struct histogram one = {0}, other = {0};
    struct histogram_sum sum = {0};

    histogram_observe(&one, 5);
    histogram_observe(&one, 70);
    histogram_observe(&other, 70);
    histogram_observe(&other, INT64_C(200000000));
    histogram_merge(&sum, &one);
    histogram_merge(&sum, &other);
    assert_int_equal(sum.buckets[0], 1);
    assert_int_equal(sum.buckets[3], 2);
    assert_int_equal(sum.buckets[HISTOGRAM_BUCKETS - 1], 1);
    assert_int_equal(histogram_count(&sum), 4);
    assert_int_equal(sum.sum_us, 200000145);
}

static void *observe_many(void *histogram)
{
    for (unsigned i = 0; i < 1000000; i++)
        histogram_observe(histogram, 1000);
    return NULL;
}

TEST(a_reader_beside_the_writer_sees_no_count_without_its_time)
{
    struct histogram histogram = {0};
    struct histogram_sum sum;
    int64_t before = 0;
    pthread_t writer;

    assert_int_equal(pthread_create(&writer, NULL, observe_many, &histogram), 0);
    do {
        sum = read_out(&histogram);
        assert_true(histogram_count(&sum) >= before);
        before = histogram_count(&sum);
        assert_true(sum.sum_us >= before * 1000);
    } while (before < 1000000);
    pthread_join(writer, NULL);
    assert_int_equal(read_out(&histogram).sum_us, INT64_C(1000000) * 1000);
}

TEST(a_percentile_is_the_bound_that_so_many_kept)
{
    struct histogram_sum sum = {0};

    assert_int_equal(histogram_percentile_us(&sum, 50), -1);
    sum.buckets[2] = 98; /* at most 50 us */
    sum.buckets[6] = 1;  /* at most 1 ms */
    sum.buckets[HISTOGRAM_BUCKETS - 1] = 1;
    assert_int_equal(histogram_percentile_us(&sum, 1), 50);
    assert_int_equal(histogram_percentile_us(&sum, 98), 50);
    assert_int_equal(histogram_percentile_us(&sum, 99), 1000);
    assert_int_equal(histogram_percentile_us(&sum, 100), -1);
}
