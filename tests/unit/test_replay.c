#include "feed/replay.h"

#include "test.h"

#define FIRST 1000000
#define LAST  2000000

static struct replay replay = {.speed = 10, .from_part = 0.5, .from_ms = -1};

static void assert_clock(const struct replay_clock *clock, int64_t clock_ms, uint64_t lap)
{
    assert_int_equal(clock->clock_ms, clock_ms);
    assert_int_equal(clock->lap, lap);
}

/* Of a clock that was begun at 500. */
static void expect(int64_t now_ms, int64_t clock_ms, uint64_t lap)
{
    struct replay_clock clock = replay_begin(&replay, FIRST, LAST, 500);

    clock = replay_at(&replay, &clock, now_ms);
    assert_clock(&clock, clock_ms, lap);
}

TEST(a_replay_starts_where_it_is_told_and_runs_at_its_speed)
{
    expect(500, 1500000, 0);
    expect(501, 1500010, 0);
    expect(500 + 1000, 1510000, 0);
    expect(0, 1500000, 0); /* before its start: at its start */
}

TEST(at_the_end_it_pauses_and_begins_a_new_lap)
{
    expect(500 + 50000, LAST, 0);
    expect(500 + 52999, LAST, 0);
    expect(500 + 53000, 1500000, 1);
    expect(500 + 53000 + 50000, LAST, 1);
    expect(500 + 10 * 53000, 1500000, 10);
}

TEST(a_start_outside_of_the_data_is_moved_to_its_near_end)
{
    struct replay saved = replay;

    replay.from_ms = 5;
    expect(500, FIRST, 0);
    replay.from_ms = LAST + 5;
    expect(500, LAST, 0);
    replay = saved;
}

/* However often it is asked, and so made the start of the next answer. */
TEST(a_clock_that_is_looked_at_runs_as_one_that_is_not)
{
    struct replay_clock begin = replay_begin(&replay, FIRST, LAST, 0), seen = begin, clock;
    uint64_t seed = 3;

    for (int64_t now = 0; now < 400000; now += 1 + (int64_t)(test_random(&seed) % 7000)) {
        seen = replay_at(&replay, &seen, now);
        clock = replay_at(&replay, &begin, now);
        assert_clock(&seen, clock.clock_ms, clock.lap);
    }
    assert_int_equal(seen.lap, 7);
}

/* At a speed whose milliseconds are no whole ones: what is left of one is not lost by looking. */
TEST(a_slow_clock_that_is_looked_at_all_the_time_loses_nothing)
{
    struct replay slow = {.speed = 0.9, .from_ms = FIRST};
    struct replay_clock begin = replay_begin(&slow, FIRST, LAST, 0), seen = begin, clock;

    for (int64_t now = 0; now <= 1000000; now++)
        seen = replay_at(&slow, &seen, now);
    clock = replay_at(&slow, &begin, 1000000);
    assert_int_equal(clock.clock_ms, 1900000);
    assert_in_range(seen.clock_ms, 1899999, 1900000);
    seen = replay_at(&slow, &seen, 1000000 + 111112 + 2999);
    assert_clock(&seen, LAST, 0);
    seen = replay_at(&slow, &seen, 1000000 + 111112 + 3000);
    assert_clock(&seen, FIRST, 1);
}

TEST(a_paused_clock_stands_still_and_goes_on_from_there)
{
    struct replay changed = replay;
    struct replay_clock clock = replay_begin(&changed, FIRST, LAST, 0);

    clock = replay_at(&changed, &clock, 1000);
    changed.is_paused = true;
    clock = replay_at(&changed, &clock, 900000);
    assert_clock(&clock, 1510000, 0);
    changed.is_paused = false;
    clock = replay_at(&changed, &clock, 900001);
    assert_clock(&clock, 1510010, 0);
}

TEST(a_clock_paused_at_the_end_is_held_there_for_what_is_left)
{
    struct replay changed = replay;
    struct replay_clock clock = replay_begin(&changed, FIRST, LAST, 0);

    clock = replay_at(&changed, &clock, 50000 + 1000);
    changed.is_paused = true;
    clock = replay_at(&changed, &clock, 900000);
    assert_clock(&clock, LAST, 0);
    changed.is_paused = false;
    clock = replay_at(&changed, &clock, 901999);
    assert_clock(&clock, LAST, 0);
    clock = replay_at(&changed, &clock, 902000);
    assert_clock(&clock, 1500000, 1);
}

TEST(another_speed_goes_on_from_where_the_clock_is)
{
    struct replay changed = replay;
    struct replay_clock clock = replay_begin(&changed, FIRST, LAST, 0);

    clock = replay_at(&changed, &clock, 1000);
    changed.speed = 1000;
    clock = replay_at(&changed, &clock, 1000);
    assert_clock(&clock, 1510000, 0);
    clock = replay_at(&changed, &clock, 1001);
    assert_clock(&clock, 1511000, 0);
}

TEST(a_clock_that_is_set_begins_a_lap_and_the_next_one_where_all_do)
{
    struct replay_clock begin = replay_begin(&replay, FIRST, LAST, 0), clock;

    clock = replay_seek(&begin, 1900000, 7);
    assert_clock(&clock, 1900000, 1);
    clock = replay_at(&replay, &clock, 7 + 10000);
    assert_clock(&clock, LAST, 1);
    clock = replay_at(&replay, &clock, 7 + 13000);
    assert_clock(&clock, 1500000, 2);
    clock = replay_seek(&clock, 5, 20000);
    assert_clock(&clock, FIRST, 3);
    clock = replay_seek(&clock, LAST + 5, 20000);
    assert_clock(&clock, LAST, 4);
    clock = replay_at(&replay, &clock, 20000 + 2999);
    assert_clock(&clock, LAST, 4);
}

TEST(where_to_start_is_a_part_or_a_time)
{
    struct replay r = {.from_part = 0.25, .from_ms = 7};
    static const char *const bad[] = {"",    "%",    "x%",         "-1%", "50",
                                      "5 %", "101%", "2025-13-01", "1e9%"};

    assert_int_equal(replay_from_parse(STR("75%"), &r), 0);
    assert_true(r.from_part == 0.75 && r.from_ms == -1);
    assert_int_equal(replay_from_parse(STR("0%"), &r), 0);
    assert_int_equal(replay_from_parse(STR("100%"), &r), 0);
    assert_int_equal(replay_from_parse(STR("12.5%"), &r), 0);
    assert_true(r.from_part == 0.125);
    assert_int_equal(replay_from_parse(STR("2025-12-29"), &r), 0);
    assert_int_equal(r.from_ms, 1766966400000);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(replay_from_parse(str_of(bad[i]), &r) < 0);
}
