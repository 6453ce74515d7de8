#include "feed/clocks.h"

#include "test.h"

/* Of symbol 1, and of symbol 2, whose data is longer and comes later. */
#define FIRST 1000000
#define LAST  2000000
#define THEN  5000000
#define END   8000000

static const struct replay half = {.speed = 10, .from_part = 0.5, .from_ms = -1};

/* Of four symbols; 0 and 3 have no data. */
static struct clocks begun(void)
{
    struct clocks clocks;

    clocks_init(&clocks, &half, 4);
    clocks_begin(&clocks, 2, THEN, END, 500);
    clocks_begin(&clocks, 1, FIRST, LAST, 500);
    return clocks;
}

static void change(struct clocks *clocks, struct replay_change change, int64_t now_ms)
{
    clocks_change(clocks, &change, now_ms);
}

static void assert_state(const struct clocks *clocks, int64_t now_ms, int64_t position_ms)
{
    struct replay_state state = clocks_state(clocks, now_ms);

    assert_int_equal(state.position_ms, position_ms);
    assert_int_equal(state.start_ms, FIRST);
    assert_int_equal(state.end_ms, END);
}

static void assert_clock(const struct clocks *clocks, size_t index, int64_t now_ms,
                         int64_t clock_ms, uint64_t lap)
{
    struct replay_clock clock = clocks_at(clocks, index, now_ms);

    assert_int_equal(clock.clock_ms, clock_ms);
    assert_int_equal(clock.lap, lap);
}

TEST(each_symbol_has_its_clock_and_the_longest_data_s_is_told)
{
    struct clocks clocks = begun();

    assert_clock(&clocks, 1, 600, (FIRST + LAST) / 2 + 1000, 0);
    assert_clock(&clocks, 2, 600, (THEN + END) / 2 + 1000, 0);
    assert_state(&clocks, 600, (THEN + END) / 2 + 1000);
    clocks_deinit(&clocks);
}

TEST(without_data_there_is_no_position)
{
    struct clocks clocks;
    struct replay_state state;

    clocks_init(&clocks, &half, 3);
    state = clocks_state(&clocks, 600);
    assert_true(state.speed == 10 && !state.is_paused);
    assert_int_equal(state.position_ms, -1);
    assert_int_equal(state.start_ms, -1);
    assert_int_equal(state.end_ms, -1);
    change(&clocks, (struct replay_change){.has_paused = true, .is_paused = true}, 700);
    assert_true(clocks_state(&clocks, 700).is_paused);
    clocks_deinit(&clocks);
}

TEST(a_new_speed_counts_from_now_on)
{
    struct clocks clocks = begun();

    change(&clocks, (struct replay_change){.has_speed = true, .speed = 100}, 1500);
    assert_clock(&clocks, 1, 1500, (FIRST + LAST) / 2 + 10000, 0);
    assert_clock(&clocks, 1, 1600, (FIRST + LAST) / 2 + 20000, 0);
    assert_state(&clocks, 1600, (THEN + END) / 2 + 20000);
    assert_true(clocks_state(&clocks, 1600).speed == 100);
    clocks_deinit(&clocks);
}

TEST(what_is_paused_stands_and_goes_on_from_there)
{
    struct clocks clocks = begun();

    change(&clocks, (struct replay_change){.has_paused = true, .is_paused = true}, 1500);
    assert_state(&clocks, 999999, (THEN + END) / 2 + 10000);
    change(&clocks, (struct replay_change){.has_paused = true}, 999999);
    assert_state(&clocks, 1000099, (THEN + END) / 2 + 11000);
    assert_clock(&clocks, 1, 1000099, (FIRST + LAST) / 2 + 11000, 0);
    clocks_deinit(&clocks);
}

TEST(a_position_is_set_for_all_and_told_by_the_nearest_data)
{
    struct clocks clocks = begun();

    change(&clocks, (struct replay_change){.has_position = true, .position_ms = LAST - 500}, 600);
    assert_clock(&clocks, 1, 600, LAST - 500, 1);
    assert_clock(&clocks, 2, 600, THEN, 1);
    assert_state(&clocks, 610, LAST - 400);
    change(&clocks, (struct replay_change){.has_position = true, .position_ms = LAST + 1}, 700);
    assert_state(&clocks, 700, LAST);
    change(&clocks, (struct replay_change){.has_position = true, .position_ms = THEN - 1}, 800);
    assert_state(&clocks, 800, THEN);
    assert_clock(&clocks, 1, 800, LAST, 3);
    clocks_deinit(&clocks);
}

TEST(speed_pause_and_position_may_change_at_once)
{
    struct clocks clocks = begun();
    struct replay_change all = {true, true, true, 50, true, THEN + 7};

    clocks_change(&clocks, &all, 600);
    assert_state(&clocks, 9000, THEN + 7);
    change(&clocks, (struct replay_change){.has_paused = true}, 9000);
    assert_state(&clocks, 9010, THEN + 507);
    clocks_deinit(&clocks);
}

static void assert_changed(struct clocks *clocks, struct replay_change wish, int64_t now_ms,
                           bool pace, bool position)
{
    struct replay_changed changed = clocks_change(clocks, &wish, now_ms);

    assert_int_equal(changed.pace, pace);
    assert_int_equal(changed.position, position);
}

TEST(what_is_so_already_touches_no_clock)
{
    static const struct replay_change same = {.has_speed = true, .speed = 10, .has_paused = true},
                                      nothing = {0};
    struct clocks clocks = begun();
    struct replay_clock before = clocks.clocks[2];

    assert_changed(&clocks, nothing, 600, false, false);
    assert_changed(&clocks, same, 700, false, false);
    assert_memory_equal(&clocks.clocks[2], &before, sizeof(before));
    assert_changed(&clocks, (struct replay_change){.has_speed = true, .speed = 9}, 800, true,
                   false);
    assert_int_equal(clocks.clocks[2].at_ms, 800);
    clocks_deinit(&clocks);
}

TEST(clocks_that_stand_at_a_position_are_not_moved_there_again)
{
    struct clocks clocks = begun();
    struct replay_change stop = {.has_paused = true, .is_paused = true},
                         there = {.has_position = true, .position_ms = THEN + 7};

    assert_changed(&clocks, stop, 600, true, false);
    assert_changed(&clocks, there, 700, false, true);
    assert_changed(&clocks, there, 800, false, false);
    assert_clock(&clocks, 2, 800, THEN + 7, 1);
    there.position_ms++;
    assert_changed(&clocks, there, 800, false, true);
    /* Neither end is moved, but another's time is told. */
    there.position_ms = LAST + 1;
    assert_changed(&clocks, there, 900, false, true);
    there.position_ms = THEN - 1;
    assert_changed(&clocks, there, 900, false, true);
    assert_state(&clocks, 900, THEN);
    clocks_deinit(&clocks);
}

TEST(a_clock_within_a_millisecond_is_not_at_its_beginning)
{
    struct clocks clocks;
    struct replay_change slow = {.has_speed = true, .speed = 0.5},
                         there = {.has_position = true, .position_ms = FIRST + 5};

    clocks_init(&clocks, &half, 2);
    clocks_begin(&clocks, 0, FIRST, LAST, 500);
    assert_changed(&clocks, slow, 500, true, false);
    assert_changed(&clocks, there, 500, false, true);
    assert_changed(&clocks, there, 500, false, false);
    assert_changed(&clocks, there, 501, false, true);
    assert_clock(&clocks, 0, 501, FIRST + 5, 2);
    clocks_deinit(&clocks);
}

TEST(symbols_without_data_are_no_matter)
{
    struct clocks clocks;
    struct replay_change there = {.has_position = true, .position_ms = (FIRST + LAST) / 2};

    clocks_init(&clocks, &half, 2);
    clocks_begin(&clocks, 0, FIRST, LAST, 500);
    assert_changed(&clocks, there, 500, false, false);
    clocks_deinit(&clocks);
}
