#include "feed/replay.h"

#include "test.h"

#define FIRST 1000000
#define LAST  2000000

static struct replay replay = {.speed = 10, .from_part = 0.5, .from_ms = -1, .started_ms = 500};

static void expect(int64_t now_ms, int64_t clock_ms, uint64_t lap)
{
    struct replay_position p = replay_at(&replay, FIRST, LAST, now_ms);

    assert_int_equal(p.clock_ms, clock_ms);
    assert_int_equal(p.lap, lap);
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
