#include "heat/series.h"

#include <string.h>

#include "test.h"

enum { M = 60000 };

/* What a build gives, with the state it goes on from. */
struct build {
    struct series_state state;
    struct series_row *rows;
    size_t row_count;
};

static void build(struct build *b, int64_t interval_ms, const struct candle *candles,
                  size_t candle_count, const struct oi_point *points, size_t point_count)
{
    series_build(&b->state, interval_ms, candles, candle_count, points, point_count, &b->rows,
                 &b->row_count);
}

static struct candle still(int64_t time_ms, int64_t step_ms, int64_t price)
{
    return (struct candle){time_ms, step_ms, price, price, price, price, 1};
}

TEST(candles_aggregate_to_first_open_max_high_min_low_last_close_summed_volume)
{
    static const struct candle candles[] = {
        {15 * M, 5 * M, 100, 110, 95, 105, 1.5},
        {20 * M, 5 * M, 105, 130, 101, 102, 2},
        {25 * M, 5 * M, 102, 104, 90, 91, 0.25},
        {30 * M, 5 * M, 91, 92, 90, 92, 1},
    };
    struct build b = {0};

    build(&b, 15 * M, candles, 4, NULL, 0);
    assert_int_equal(b.row_count, 2);
    assert_int_equal(b.rows[0].candle.open_time_ms, 15 * M);
    assert_int_equal(b.rows[0].candle.step_ms, 15 * M);
    assert_int_equal(b.rows[0].candle.open_e8, 100);
    assert_int_equal(b.rows[0].candle.high_e8, 130);
    assert_int_equal(b.rows[0].candle.low_e8, 90);
    assert_int_equal(b.rows[0].candle.close_e8, 91);
    assert_true(b.rows[0].candle.volume == 3.75);
    assert_true(b.rows[0].oi_delta == 0);
    assert_int_equal(b.rows[1].candle.open_time_ms, 30 * M);
    assert_int_equal(b.rows[1].candle.close_e8, 92);
    free(b.rows);
}

TEST(a_bucket_starts_where_the_epoch_says_and_not_its_first_candle)
{
    struct candle candles[] = {still(25 * M, 5 * M, 7), still(40 * M, 5 * M, 8)};
    struct build b = {0};

    build(&b, 15 * M, candles, 2, NULL, 0);
    assert_int_equal(b.row_count, 2);
    assert_int_equal(b.rows[0].candle.open_time_ms, 15 * M);
    assert_int_equal(b.rows[1].candle.open_time_ms, 30 * M);
    assert_int_equal(series_bucket(-1, 15 * M), -15 * M);
    assert_int_equal(series_bucket(-15 * M, 15 * M), -15 * M);
    assert_int_equal(series_bucket(0, 15 * M), 0);
    free(b.rows);
}

TEST(the_step_that_covers_most_of_a_bucket_is_taken)
{
    /* Two of 1m against one of 5m; then five of 1m, which cover the same. */
    struct candle candles[] = {
        still(0, M, 1),         still(M, M, 1),          still(0, 5 * M, 2), still(5 * M, M, 3),
        still(6 * M, M, 3),     still(7 * M, M, 3),      still(8 * M, M, 3), still(9 * M, M, 3),
        still(5 * M, 5 * M, 4), still(10 * M, 5 * M, 5),
    };
    struct build b = {0};

    build(&b, 5 * M, candles, ARRAY_LEN(candles), NULL, 0);
    assert_int_equal(b.row_count, 3);
    assert_int_equal(b.rows[0].candle.open_e8, 2);
    assert_int_equal(b.rows[1].candle.open_e8, 3);
    assert_true(b.rows[1].candle.volume == 5);
    assert_int_equal(b.rows[2].candle.open_e8, 5);
    free(b.rows);
}

TEST(interest_is_the_change_of_the_mean)
{
    struct candle candles[] = {still(0, 5 * M, 1), still(5 * M, 5 * M, 1), still(10 * M, 5 * M, 1)};
    struct oi_point points[] = {{0, 1000000},     {M, 2000000},         {5 * M, 3000000},
                                {9 * M, 3000000}, {9 * M + 1, 3000003}, {10 * M, 1000000}};
    struct build b = {0};

    build(&b, 5 * M, candles, 3, points, ARRAY_LEN(points));
    assert_int_equal(b.row_count, 3);
    assert_true(b.rows[0].oi_delta == 0);
    assert_true(b.rows[1].oi_delta == 1.500001);
    assert_true(b.rows[2].oi_delta == -2.000001);
    free(b.rows);
}

TEST(a_candle_without_interest_has_none_and_the_next_is_reckoned_from_before)
{
    struct candle candles[] = {still(0, 5 * M, 1), still(5 * M, 5 * M, 1), still(10 * M, 5 * M, 1)};
    struct oi_point points[] = {{0, 1000000}, {10 * M, 4000000}};
    struct build b = {0};

    build(&b, 5 * M, candles, 3, points, 2);
    assert_true(b.rows[1].oi_delta == 0);
    assert_true(b.rows[2].oi_delta == 3);
    free(b.rows);
}

TEST(interest_without_a_candle_is_what_the_next_is_reckoned_from)
{
    struct candle candles[] = {still(5 * M, 5 * M, 1), still(15 * M, 5 * M, 1)};
    struct oi_point points[] = {
        {0, 1000000}, {5 * M, 2000000}, {10 * M, 7000000}, {15 * M, 8000000}};
    struct build b = {0};

    build(&b, 5 * M, candles, 2, points, 4);
    assert_true(b.rows[0].oi_delta == 1); /* against the bucket before the first candle */
    assert_true(b.rows[1].oi_delta == 1); /* and not 6 */
    free(b.rows);
}

TEST(a_change_where_no_candle_was_is_nobodys)
{
    struct candle candles[] = {still(0, 5 * M, 1), still(10 * M, 5 * M, 1),
                               still(15 * M, 5 * M, 1)};
    struct oi_point points[] = {{0, 1000000}, {5 * M, 9000000}, {15 * M, 9500000}};
    struct build b = {0};

    build(&b, 5 * M, candles, 3, points, 3);
    assert_true(b.rows[1].oi_delta == 0);
    assert_true(b.rows[2].oi_delta == 0.5);
    free(b.rows);
}

TEST(equal_means_change_nothing_at_all)
{
    /* A third more or less: 10/3 against 20/6, neither of them a double. */
    struct candle candles[] = {still(0, 10 * M, 1), still(10 * M, 10 * M, 1)};
    struct oi_point points[] = {{0, 3},          {1, 3},          {2, 4},
                                {10 * M, 3},     {10 * M + 1, 4}, {10 * M + 2, 3},
                                {10 * M + 3, 4}, {10 * M + 4, 3}, {10 * M + 5, 3}};
    struct build b = {0};

    build(&b, 10 * M, candles, 2, points, ARRAY_LEN(points));
    assert_true(b.rows[1].oi_delta == 0);
    free(b.rows);
}

TEST(the_largest_interest_does_not_overflow)
{
    enum { POINTS = 1440 };
    static struct oi_point points[2 * POINTS];
    int64_t day = 1440 * M, most = (int64_t)(OI_MAX_USDT * 1e6);
    struct candle candles[] = {still(0, day, 1), still(day, day, 1)};
    struct build b = {0};

    for (int i = 0; i < POINTS; i++) {
        points[i] = (struct oi_point){i * M, most};
        points[POINTS + i] = (struct oi_point){day + i * M, most - 1};
    }
    build(&b, day, candles, 2, points, 2 * POINTS);
    assert_true(b.rows[1].oi_delta == -1e-6);
    free(b.rows);
}

TEST(nothing_in_gives_nothing_out_but_points_are_remembered)
{
    struct candle candle = still(5 * M, 5 * M, 1);
    struct oi_point points[] = {{0, 1000000}, {5 * M, 3000000}};
    struct build b = {0};

    build(&b, 5 * M, NULL, 0, NULL, 0);
    assert_null(b.rows);
    build(&b, 5 * M, NULL, 0, points, 1);
    assert_int_equal(b.row_count, 0);
    build(&b, 5 * M, &candle, 1, points + 1, 1);
    assert_int_equal(b.row_count, 1);
    assert_true(b.rows[0].oi_delta == 2);
    free(b.rows);
}

/* A stored history with gaps, two steps and missing interest. */
struct history {
    struct candle candles[4000];
    struct oi_point points[4000];
    size_t candle_count, point_count;
};

static void history_fill(struct history *h, uint64_t *seed, int64_t interval_ms)
{
    h->candle_count = h->point_count = 0;
    for (int64_t bucket = 0; bucket < 200; bucket++) {
        int64_t start = bucket * interval_ms;

        for (int64_t step = M; step <= 5 * M; step += 4 * M) {
            for (int64_t at = 0; at < interval_ms; at += step) {
                int64_t price = 100 + (int64_t)(test_random(seed) % 10);

                if (test_random(seed) % (step == M ? 2 : 3) == 0)
                    h->candles[h->candle_count++] = still(start + at, step, price);
            }
        }
        for (int64_t at = 0; at < interval_ms; at += 5 * M) {
            int64_t value = (int64_t)(test_random(seed) % 1000000000);

            if (test_random(seed) % 3 == 0)
                h->points[h->point_count++] = (struct oi_point){start + at, value};
        }
    }
}

/* Builds what is before `end_ms` and not built yet. */
static void build_until(struct build *b, const struct history *h, int64_t interval_ms,
                        int64_t end_ms, size_t *candle, size_t *point)
{
    size_t candle_end = *candle, point_end = *point;

    while (candle_end < h->candle_count && h->candles[candle_end].open_time_ms < end_ms)
        candle_end++;
    while (point_end < h->point_count && h->points[point_end].time_ms < end_ms)
        point_end++;
    build(b, interval_ms, h->candles + *candle, candle_end - *candle, h->points + *point,
          point_end - *point);
    *candle = candle_end;
    *point = point_end;
}

TEST(a_series_cut_between_buckets_anywhere_is_the_same)
{
    static struct history h;
    int64_t interval_ms = 15 * M;
    uint64_t seed = 8;

    for (int round = 0; round < 200; round++) {
        struct build whole = {0}, parts = {0};
        size_t candle = 0, point = 0;

        history_fill(&h, &seed, interval_ms);
        build(&whole, interval_ms, h.candles, h.candle_count, h.points, h.point_count);
        for (int64_t bucket = 0; bucket < 200;) {
            bucket += round == 0 ? 1 : (int64_t)(test_random(&seed) % 20);
            build_until(&parts, &h, interval_ms, bucket * interval_ms, &candle, &point);
        }
        build_until(&parts, &h, interval_ms, INT64_MAX, &candle, &point);
        assert_true(whole.row_count > 150);
        assert_int_equal(parts.row_count, whole.row_count);
        assert_memory_equal(parts.rows, whole.rows, whole.row_count * sizeof(*whole.rows));
        free(whole.rows);
        free(parts.rows);
    }
}
