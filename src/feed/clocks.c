#include "feed/clocks.h"

#include <stdlib.h>

static bool has_data(const struct replay_clock *clock)
{
    return clock->last_ms > 0;
}

/* The symbol whose data are nearest to a moment (-1: to none); of several, the longest. */
static size_t find_leader(const struct clocks *clocks, int64_t time_ms)
{
    size_t leader = clocks->count;
    int64_t least = 0, longest = 0;

    for (size_t i = 0; i < clocks->count; i++) {
        const struct replay_clock *clock = &clocks->clocks[i];
        int64_t span = clock->last_ms - clock->first_ms, away = 0;

        if (!has_data(clock)) continue;
        if (time_ms >= 0) away = MAX(clock->first_ms - time_ms, time_ms - clock->last_ms);
        away = MAX(away, 0);
        if (leader < clocks->count && (away > least || (away == least && span <= longest)))
            continue;
        leader = i;
        least = away;
        longest = span;
    }
    return leader;
}

void clocks_init(struct clocks *clocks, const struct replay *replay, size_t count)
{
    *clocks = (struct clocks){.replay = *replay, .count = count, .leader = count};
    clocks->clocks = mem_zalloc(count * sizeof(*clocks->clocks));
}

void clocks_deinit(struct clocks *clocks)
{
    free(clocks->clocks);
}

void clocks_begin(struct clocks *clocks, size_t index, int64_t first_ms, int64_t last_ms,
                  int64_t now_ms)
{
    clocks->clocks[index] = replay_begin(&clocks->replay, first_ms, last_ms, now_ms);
    clocks->leader = find_leader(clocks, -1);
}

struct replay_clock clocks_at(const struct clocks *clocks, size_t index, int64_t now_ms)
{
    return replay_at(&clocks->replay, &clocks->clocks[index], now_ms);
}

struct replay_state clocks_state(const struct clocks *clocks, int64_t now_ms)
{
    struct replay_state state = {clocks->replay.speed, clocks->replay.is_paused, -1, -1, -1};

    if (clocks->leader == clocks->count) return state;
    state.position_ms = clocks_at(clocks, clocks->leader, now_ms).clock_ms;
    for (size_t i = 0; i < clocks->count; i++) {
        const struct replay_clock *clock = &clocks->clocks[i];

        if (!has_data(clock)) continue;
        if (state.start_ms < 0 || clock->first_ms < state.start_ms)
            state.start_ms = clock->first_ms;
        state.end_ms = MAX(state.end_ms, clock->last_ms);
    }
    return state;
}

static bool set_pace(struct clocks *clocks, const struct replay_change *change, int64_t now_ms)
{
    struct replay *replay = &clocks->replay;
    double speed = change->has_speed ? change->speed : replay->speed;
    bool is_paused = change->has_paused ? change->is_paused : replay->is_paused;

    if (speed == replay->speed && is_paused == replay->is_paused) return false;
    for (size_t i = 0; i < clocks->count; i++)
        clocks->clocks[i] = clocks_at(clocks, i, now_ms);
    replay->speed = speed;
    replay->is_paused = is_paused;
    return true;
}

/* Do they all stand as they would after seek()? */
static bool stand_at(const struct clocks *clocks, int64_t time_ms, int64_t now_ms)
{
    for (size_t i = 0; i < clocks->count; i++) {
        struct replay_clock now = clocks_at(clocks, i, now_ms);
        struct replay_clock then = replay_seek(&now, time_ms, now_ms);

        if (!has_data(&now)) continue;
        if (now.clock_ms != then.clock_ms || now.part_ms > 0 || now.held_ms > 0) return false;
    }
    return clocks->leader == find_leader(clocks, time_ms);
}

static bool seek(struct clocks *clocks, int64_t time_ms, int64_t now_ms)
{
    if (stand_at(clocks, time_ms, now_ms)) return false;
    for (size_t i = 0; i < clocks->count; i++)
        clocks->clocks[i] = replay_seek(&clocks->clocks[i], time_ms, now_ms);
    clocks->leader = find_leader(clocks, time_ms);
    return true;
}

struct replay_changed clocks_change(struct clocks *clocks, const struct replay_change *change,
                                    int64_t now_ms)
{
    struct replay_changed changed = {0};

    changed.pace = set_pace(clocks, change, now_ms);
    if (change->has_position) changed.position = seek(clocks, change->position_ms, now_ms);
    return changed;
}
