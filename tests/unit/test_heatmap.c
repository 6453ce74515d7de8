#include "heat/heatmap.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "naive_model.h"

#define USDT(price) ((int64_t)((price)*1e8 + 0.5))

static int64_t bin(const char *text)
{
    int64_t bin_e12;

    assert_int_equal(price_bin_parse(str_of(text), &bin_e12), 0);
    return bin_e12;
}

/* A map with its last snapshot, fed with one candle after the other. */
struct rig {
    struct heatmap *map;
    struct snapshot snapshot;
    int64_t time_ms;
};

static struct rig rig_new(const char *bin_text)
{
    return (struct rig){.map = heatmap_new(bin(bin_text), &leverage_mix_default)};
}

static void rig_deinit(struct rig *rig)
{
    snapshot_deinit(&rig->snapshot);
    heatmap_free(rig->map);
}

static struct heatmap_change rig_candle(struct rig *rig, double open, double high, double low,
                                        double close, double oi_delta)
{
    struct candle candle = {.open_time_ms = rig->time_ms += 60000,
                            .step_ms = 60000,
                            .open_e8 = USDT(open),
                            .high_e8 = USDT(high),
                            .low_e8 = USDT(low),
                            .close_e8 = USDT(close)};
    struct heatmap_change change = heatmap_apply(rig->map, &candle, oi_delta);

    heatmap_snapshot(rig->map, &rig->snapshot);
    return change;
}

static struct heatmap_change rig_still(struct rig *rig, double oi_delta)
{
    return rig_candle(rig, 100, 100, 100, 100, oi_delta);
}

static void assert_level(const struct rig *rig, size_t index, int64_t bucket, int64_t long_cents,
                         int64_t short_cents)
{
    assert_true(index < rig->snapshot.level_count);
    assert_int_equal(rig->snapshot.levels[index].bucket, bucket);
    assert_int_equal(rig->snapshot.levels[index].long_cents, long_cents);
    assert_int_equal(rig->snapshot.levels[index].short_cents, short_cents);
}

static void assert_empty(const struct rig *rig)
{
    struct heatmap_totals totals = heatmap_totals(rig->map);

    assert_true(totals.live_long == 0 && totals.live_short == 0);
    assert_int_equal(totals.live_groups, 0);
    assert_int_equal(totals.live_buckets, 0);
    assert_int_equal(rig->snapshot.level_count, 0);
}

static void assert_conserved(const struct heatmap *map)
{
    struct heatmap_totals t = heatmap_totals(map);
    double rest = t.created - t.live_long - t.live_short - t.consumed - t.removed;

    assert_true(fabs(rest) <= 1e-9 * t.created);
    assert_true(t.live_long >= 0 && t.live_short >= 0);
}

TEST(a_rising_candle_opens_longs_below_it)
{
    struct rig rig = rig_new("1");

    assert_int_equal(rig_candle(&rig, 99.9, 100, 99.9, 100, 1000).created, 5);
    assert_int_equal(rig.snapshot.level_count, 5);
    assert_level(&rig, 0, 80, 15000, 0);
    assert_level(&rig, 1, 90, 30000, 0);
    assert_level(&rig, 2, 96, 25000, 0);
    assert_level(&rig, 3, 98, 20000, 0);
    assert_level(&rig, 4, 99, 10000, 0);
    rig_deinit(&rig);
}

TEST(a_falling_candle_opens_shorts_above_it)
{
    struct rig rig = rig_new("1");

    assert_int_equal(rig_candle(&rig, 100.1, 100.1, 100, 100, 1000).created, 5);
    assert_int_equal(rig.snapshot.level_count, 5);
    assert_level(&rig, 0, 100, 0, 10000);
    assert_level(&rig, 1, 101, 0, 20000);
    assert_level(&rig, 2, 103, 0, 25000);
    assert_level(&rig, 3, 109, 0, 30000);
    assert_level(&rig, 4, 119, 0, 15000);
    rig_deinit(&rig);
}

TEST(a_candle_that_closes_where_it_opened_opens_longs)
{
    struct rig rig = rig_new("1");

    rig_candle(&rig, 100, 101, 99.5, 100, 1000);
    assert_true(rig.snapshot.long_total == 1000 && rig.snapshot.short_total == 0);
    rig_deinit(&rig);
}

TEST(a_long_goes_when_the_low_touches_it_and_not_a_unit_before)
{
    struct rig rig = rig_new("1");

    rig_still(&rig, 1000); /* 100x is liquidated at 99.004, 50x at 98.008 */
    assert_int_equal(rig_candle(&rig, 100, 100, 99.00400001, 100, 0).consumed, 0);
    assert_int_equal(rig_candle(&rig, 100, 100, 99.004, 100, 0).consumed, 1);
    assert_int_equal(rig_candle(&rig, 100, 100, 98.00800001, 100, 0).consumed, 0);
    assert_int_equal(rig_candle(&rig, 100, 100, 98.008, 100, 0).consumed, 1);
    assert_int_equal(rig.snapshot.level_count, 3);
    rig_deinit(&rig);
}

TEST(a_short_goes_when_the_high_touches_it_and_not_a_unit_before)
{
    struct rig rig = rig_new("1");

    rig_candle(&rig, 101, 101, 100, 100, 1000); /* 100x is liquidated at 100.996 */
    assert_int_equal(rig_candle(&rig, 100, 100.99599999, 100, 100, 0).consumed, 0);
    assert_int_equal(rig_candle(&rig, 100, 100.996, 100, 100, 0).consumed, 1);
    assert_int_equal(rig.snapshot.level_count, 4);
    rig_deinit(&rig);
}

TEST(a_liquidation_price_between_two_prices_is_met_on_its_own_side)
{
    struct rig rig = rig_new("1");
    struct candle candle = {1, 1, 100000007, 100000007, 100000007, 100000007, 0};

    /* 100x: 1.00000007 * 0.99004 = 0.9900400693028, so a low of .99004006 meets it, .99004007
     * does not. */
    heatmap_apply(rig.map, &candle, 1000);
    candle = (struct candle){2, 1, 100000000, 100000000, 99004007, 100000000, 0};
    assert_int_equal(heatmap_apply(rig.map, &candle, 0).consumed, 0);
    candle = (struct candle){3, 1, 100000000, 100000000, 99004006, 100000000, 0};
    assert_int_equal(heatmap_apply(rig.map, &candle, 0).consumed, 1);
    /* Shorts of 1.00000007, 100x: 1.0099600706972. */
    candle = (struct candle){4, 1, 100000008, 100000008, 100000007, 100000007, 0};
    heatmap_apply(rig.map, &candle, 1000);
    candle = (struct candle){5, 1, 100000007, 100996007, 100000007, 100000007, 0};
    assert_int_equal(heatmap_apply(rig.map, &candle, 0).consumed, 0);
    candle = (struct candle){6, 1, 100000007, 100996008, 100000007, 100000007, 0};
    assert_int_equal(heatmap_apply(rig.map, &candle, 0).consumed, 1);
    rig_deinit(&rig);
}

TEST(what_a_candle_opens_it_does_not_consume)
{
    struct rig rig = rig_new("1");
    struct heatmap_change change = rig_candle(&rig, 100, 100, 50, 100, 1000);

    assert_int_equal(change.created, 5);
    assert_int_equal(change.consumed, 0);
    assert_int_equal(rig_candle(&rig, 100, 100, 50, 100, 0).consumed, 5);
    assert_empty(&rig);
    rig_deinit(&rig);
}

TEST(a_tier_without_weight_opens_nothing)
{
    struct leverage_mix mix;
    struct rig rig = {0};

    assert_int_equal(leverage_mix_parse(STR("25:1,5:0"), &mix), 0);
    rig.map = heatmap_new(bin("1"), &mix);
    assert_int_equal(rig_still(&rig, 1000).created, 1);
    assert_int_equal(rig.snapshot.positions_created, 1);
    assert_int_equal(heatmap_totals(rig.map).live_groups, 1);
    assert_level(&rig, 0, 96, 100000, 0);
    rig_deinit(&rig);
}

TEST(falling_interest_shrinks_every_level_alike)
{
    struct rig rig = rig_new("1");

    rig_still(&rig, 1000);
    rig_still(&rig, -250);
    assert_int_equal(rig.snapshot.level_count, 5);
    assert_level(&rig, 0, 80, 11250, 0);
    assert_level(&rig, 4, 99, 7500, 0);
    assert_conserved(rig.map);
    rig_deinit(&rig);
}

TEST(falling_by_all_there_is_or_more_leaves_exactly_nothing)
{
    static const double losses[] = {-1000, -1000.5, -1e300};

    for (size_t i = 0; i < ARRAY_LEN(losses); i++) {
        struct rig rig = rig_new("1");

        rig_still(&rig, 1000);
        rig_still(&rig, losses[i]);
        assert_empty(&rig);
        assert_conserved(rig.map);
        assert_int_equal(rig_still(&rig, -1).consumed, 0); /* of nothing */
        assert_int_equal(rig_still(&rig, 500).created, 5);
        assert_level(&rig, 0, 80, 7500, 0);
        assert_conserved(rig.map);
        rig_deinit(&rig);
    }
}

TEST(below_a_cent_vanishes_in_a_shrink_a_cent_stays)
{
    struct rig rig = rig_new("1");

    rig_still(&rig, 0.2);  /* .03 .06 .05 .04 .02 */
    rig_still(&rig, -0.1); /* .015 .03 .025 .02 .01 */
    assert_int_equal(heatmap_totals(rig.map).live_groups, 5);
    rig_still(&rig, -0.01); /* .0135 .027 .0225 .018 .009 */
    assert_int_equal(heatmap_totals(rig.map).live_groups, 4);
    assert_int_equal(rig.snapshot.positions_consumed, 0);
    assert_conserved(rig.map);
    rig_deinit(&rig);
}

TEST(small_groups_stay_until_something_shrinks)
{
    struct rig rig = rig_new("1");

    assert_int_equal(rig_still(&rig, 0.01).created, 5);
    assert_int_equal(heatmap_totals(rig.map).live_groups, 5);
    assert_int_equal(rig.snapshot.level_count, 0); /* none is half a cent */
    rig_still(&rig, -1e-9);
    assert_empty(&rig);
    rig_deinit(&rig);
}

TEST(positions_are_counted_since_the_last_snapshot)
{
    struct rig rig = rig_new("1");
    struct candle candle = {1, 1, USDT(100), USDT(100), USDT(100), USDT(100), 0};

    heatmap_apply(rig.map, &candle, 10);
    candle.open_time_ms++;
    heatmap_apply(rig.map, &candle, 10);
    rig_candle(&rig, 100, 100, 99, 100, 10);
    assert_int_equal(rig.snapshot.positions_created, 15);
    assert_int_equal(rig.snapshot.positions_consumed, 2);
    heatmap_snapshot(rig.map, &rig.snapshot);
    assert_int_equal(rig.snapshot.positions_created, 0);
    assert_int_equal(rig.snapshot.positions_consumed, 0);
    rig_deinit(&rig);
}

TEST(a_new_map_has_an_empty_snapshot)
{
    struct rig rig = rig_new("2.5");

    heatmap_snapshot(rig.map, &rig.snapshot);
    assert_int_equal(rig.snapshot.time_ms, 0);
    assert_int_equal(rig.snapshot.current_price_e8, 0);
    assert_int_equal(rig.snapshot.bin_e12, bin("2.5"));
    assert_empty(&rig);
    rig_deinit(&rig);
}

TEST(cents_are_rounded_half_away_from_zero_and_end_at_int64)
{
    struct leverage_mix mix;
    struct rig rig = {0};

    assert_int_equal(leverage_mix_parse(STR("5:1"), &mix), 0);
    rig.map = heatmap_new(bin("1"), &mix);
    rig_still(&rig, 0.125);
    assert_level(&rig, 0, 80, 13, 0);
    rig_still(&rig, 0.375); /* 0.5 */
    assert_level(&rig, 0, 80, 50, 0);
    rig_still(&rig, 1e300);
    assert_level(&rig, 0, 80, INT64_MAX, 0);
    rig_deinit(&rig);
}

TEST(prices_at_both_ends_have_their_buckets)
{
    struct heatmap *map = heatmap_new(1, &leverage_mix_default); /* 10^-12 USDT */
    struct candle candle = {1, 1, 1, 1, 1, 1, 0};
    struct snapshot snapshot = {0};

    heatmap_apply(map, &candle, 1000); /* at 10^-8: 5x is liquidated at 8008 * 10^-12 */
    heatmap_snapshot(map, &snapshot);
    assert_int_equal(snapshot.level_count, 5);
    assert_int_equal(snapshot.levels[0].bucket, 8008);
    assert_int_equal(snapshot.levels[4].bucket, 9900);

    candle = (struct candle){2, 1, USDT(1e9), USDT(1e9), USDT(1e9), USDT(1e9), 0};
    assert_int_equal(heatmap_apply(map, &candle, 1000).created, 5);
    heatmap_snapshot(map, &snapshot);
    assert_int_equal(snapshot.level_count, 6);
    assert_true(snapshot.levels[5].bucket == INT64_MAX); /* all beyond the last bucket */
    assert_int_equal(snapshot.levels[5].long_cents, 100000);
    snapshot_deinit(&snapshot);
    heatmap_free(map);
}

/* ---- random markets against the naive model ---- */

/* Longs at or above the low and shorts at or below the high cannot be there after a candle that
 * opened nothing. */
static void assert_none_crossed(const struct snapshot *snapshot, const struct candle *candle)
{
    for (size_t i = 0; i < snapshot->level_count; i++) {
        const struct level *level = &snapshot->levels[i];
        int128 from_e12 = (int128)level->bucket * snapshot->bin_e12;
        int128 to_e12 = from_e12 + snapshot->bin_e12;

        if (from_e12 >= (int128)candle->low_e8 * 10000) assert_int_equal(level->long_cents, 0);
        if (to_e12 <= (int128)candle->high_e8 * 10000) assert_int_equal(level->short_cents, 0);
    }
}

static void assert_totals_agree(const struct heatmap *map, const struct naive_model *naive)
{
    struct heatmap_totals totals = heatmap_totals(map);
    long double live[SIDES] = {0};

    for (size_t i = 0; i < naive->count; i++)
        live[naive->groups[i].is_long ? SIDE_LONG : SIDE_SHORT] += naive->groups[i].volume;
    assert_int_equal(totals.live_groups, naive->count);
    assert_true(fabsl(live[SIDE_LONG] - totals.live_long) <=
                fmaxl(0.005L, 1e-9L * live[SIDE_LONG]));
    assert_true(fabsl(live[SIDE_SHORT] - totals.live_short) <=
                fmaxl(0.005L, 1e-9L * live[SIDE_SHORT]));
}

static void walk_beside_naive(struct naive_market market, const char *bin_text, int candle_count)
{
    struct naive_model naive = {.mix = leverage_mix_default};
    struct rig rig = rig_new(bin_text);
    uint64_t consumed = 0;
    size_t most = 0;

    for (int i = 0; i < candle_count; i++) {
        struct candle candle = naive_candle(&market);
        double delta = naive_delta(&market);
        struct heatmap_change change = heatmap_apply(rig.map, &candle, delta);

        naive_apply(&naive, &candle, delta);
        assert_int_equal(change.created, naive.created);
        assert_int_equal(change.consumed, naive.consumed);
        consumed += change.consumed;
        most = MAX(most, naive.count);
        assert_totals_agree(rig.map, &naive);
        assert_conserved(rig.map);
        if (test_random(&market.seed) % 4) continue;
        heatmap_snapshot(rig.map, &rig.snapshot);
        naive_compare(&naive, &rig.snapshot);
        if (delta <= 0) assert_none_crossed(&rig.snapshot, &candle);
    }
    print_message("bin %s: %d candles, up to %zu groups, %llu consumed\n", bin_text, candle_count,
                  most, (unsigned long long)consumed);
    naive_deinit(&naive);
    rig_deinit(&rig);
}

static struct naive_market market_at(uint64_t seed, int64_t price_e8)
{
    return (struct naive_market){
        .seed = seed,
        .step_ms = 60000,
        .price_e8 = price_e8,
        .price_min_e8 = MAX(1, price_e8 / 3),
        .price_max_e8 = MIN(USDT(PRICE_MAX_USDT), price_e8 * 3),
        .move = 0.003,
        .money = 1e6,
        .shrink_share = 0.5,
    };
}

TEST(usual_prices_agree_with_the_naive_model)
{
    walk_beside_naive(market_at(1, USDT(98000)), "100", 4000);
    walk_beside_naive(market_at(2, USDT(3400)), "2.5", 4000);
    walk_beside_naive(market_at(3, USDT(0.1)), "0.0002", 4000);
}

TEST(tiny_prices_agree_with_the_naive_model)
{
    walk_beside_naive(market_at(4, USDT(0.00001)), "0.00000001", 4000);
    walk_beside_naive(market_at(5, USDT(0.00001)), "0.000000000001", 2000);
    walk_beside_naive(market_at(6, 3), "1e-9", 2000);
}

TEST(big_prices_agree_with_the_naive_model)
{
    walk_beside_naive(market_at(7, USDT(9e8)), "1000000", 4000);
    walk_beside_naive(market_at(8, USDT(9e8)), "0.00000001", 2000);
    walk_beside_naive(market_at(9, USDT(5e6)), "1e-12", 2000);
}

TEST(a_bucket_for_every_group_and_one_for_all_agree_with_the_naive_model)
{
    walk_beside_naive(market_at(10, USDT(98000)), "0.00000001", 3000);
    walk_beside_naive(market_at(11, USDT(98000)), "1000000", 3000);
}

TEST(mostly_falling_interest_agrees_with_the_naive_model)
{
    struct naive_market market = market_at(12, USDT(200));

    market.shrink_share = 0.8;
    walk_beside_naive(market, "1", 10000);
    market.shrink_share = 0.97;
    walk_beside_naive(market, "1", 10000);
}

TEST(dust_agrees_with_the_naive_model)
{
    struct naive_market market = market_at(13, USDT(200));

    market.money = 0.2;
    walk_beside_naive(market, "0.5", 10000);
    market.money = 0.02;
    walk_beside_naive(market, "0.5", 10000);
}

TEST(mostly_rising_interest_agrees_with_the_naive_model)
{
    struct naive_market market = market_at(14, USDT(200));

    market.shrink_share = 0.02;
    market.money = 1e9;
    walk_beside_naive(market, "0.1", 3000);
}

/* A million opened, then half of all gone, again and again: the scale falls by 2^-10000 in all,
 * far below what a double holds. */
TEST(ten_thousand_halvings_agree_with_the_naive_model)
{
    struct naive_model naive = {.mix = leverage_mix_default};
    struct rig rig = rig_new("1");

    for (int i = 0; i < 20000; i++) {
        struct heatmap_totals totals = heatmap_totals(rig.map);
        double delta = i % 2 ? -(totals.live_long + totals.live_short) / 2 : 1e6;
        struct candle candle = {i, 1, USDT(100), USDT(100), USDT(100), USDT(100), 0};

        heatmap_apply(rig.map, &candle, delta);
        naive_apply(&naive, &candle, delta);
        assert_totals_agree(rig.map, &naive);
    }
    heatmap_snapshot(rig.map, &rig.snapshot);
    naive_compare(&naive, &rig.snapshot);
    assert_conserved(rig.map);
    naive_deinit(&naive);
    rig_deinit(&rig);
}

/* Snapshots tidy the map; they must not change what it says. */
TEST(a_snapshot_in_between_changes_nothing)
{
    struct naive_market market = market_at(15, USDT(98000));
    struct rig often = rig_new("20"), once = rig_new("20");

    for (int i = 0; i < 20000; i++) {
        struct candle candle = naive_candle(&market);
        double delta = naive_delta(&market);

        heatmap_apply(often.map, &candle, delta);
        heatmap_apply(once.map, &candle, delta);
        if (test_random(&market.seed) % 3 == 0) heatmap_snapshot(often.map, &often.snapshot);
    }
    heatmap_snapshot(often.map, &often.snapshot);
    heatmap_snapshot(once.map, &once.snapshot);
    assert_true(once.snapshot.level_count > 50);
    assert_int_equal(often.snapshot.level_count, once.snapshot.level_count);
    assert_memory_equal(often.snapshot.levels, once.snapshot.levels,
                        once.snapshot.level_count * sizeof(struct level));
    assert_true(often.snapshot.long_total == once.snapshot.long_total);
    assert_true(often.snapshot.short_total == once.snapshot.short_total);
    rig_deinit(&often);
    rig_deinit(&once);
}

enum { YEAR_OF_MINUTES = 365 * 24 * 60 };

TEST(nothing_is_lost_in_a_year_of_minutes)
{
    struct naive_market market = market_at(16, USDT(98000));
    struct rig rig = rig_new("100");
    double long_levels = 0, short_levels = 0;

    market.move = 0.001;
    for (int i = 0; i < YEAR_OF_MINUTES; i++) {
        struct candle candle = naive_candle(&market);

        heatmap_apply(rig.map, &candle, naive_delta(&market));
    }
    assert_conserved(rig.map);
    heatmap_snapshot(rig.map, &rig.snapshot);
    assert_int_equal(rig.snapshot.level_count, heatmap_totals(rig.map).live_buckets);
    for (size_t i = 0; i < rig.snapshot.level_count; i++) {
        long_levels += (double)rig.snapshot.levels[i].long_cents / 100;
        short_levels += (double)rig.snapshot.levels[i].short_cents / 100;
    }
    assert_true(fabs(long_levels - rig.snapshot.long_total) <= 0.005 * 2000);
    assert_true(fabs(short_levels - rig.snapshot.short_total) <= 0.005 * 2000);

    /* All of it leaves again: what was added in a year is taken away to nothing. */
    rig.time_ms = market.time_ms;
    rig_candle(&rig, 98000, 98000, 0.00000001, 98000, 0);
    assert_true(heatmap_totals(rig.map).live_long == 0);
    rig_candle(&rig, 98000, 1e9, 98000, 98000, 0);
    assert_empty(&rig);
    assert_conserved(rig.map);
    rig_deinit(&rig);
}

static size_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* Groups leave by liquidation only, then by shrinking only: what lies dead in the heaps and the
 * order of buckets meanwhile must not pile up. (Under a sanitizer mallinfo2 tells nothing.) */
TEST(memory_goes_with_the_open_groups)
{
    struct rig rig = rig_new("0.0001");
    size_t start = memory_in_use();

    for (int i = 0; i < 200000; i++) {
        double price = 100 + i % 1000 * 0.01;

        rig_candle(&rig, price, 1000, 1, price, 1000); /* the last candle's are consumed */
    }
    assert_true(memory_in_use() < start + 100000);
    for (int i = 0; i < 100000; i++) {
        double price = 100 + i % 1000 * 0.01;

        rig_candle(&rig, price, price, price, price, i % 2 ? -999.9999 : 1000);
    }
    assert_true(heatmap_totals(rig.map).live_groups < 100);
    assert_true(memory_in_use() < start + 100000);
    rig_deinit(&rig);
}
