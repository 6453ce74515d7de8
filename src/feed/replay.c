#include "feed/replay.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

/* At the end of the data the last state stays in view for this long, in real time. */
#define HOLD_MS 3000

int replay_from_parse(struct str text, struct replay *replay)
{
    char number[16], *end;
    double percent;
    int64_t time_ms;
    int err;

    if (!text.size || text.at[text.size - 1] != '%') {
        err = time_parse(text, &time_ms);
        if (!err) replay->from_ms = time_ms;
        return err;
    }
    if (text.size > sizeof(number) || text.at[0] < '0' || text.at[0] > '9') return ERR_SYNTAX;
    for (size_t i = 0; i + 1 < text.size; i++)
        number[i] = text.at[i];
    number[text.size - 1] = '\0';
    percent = strtod(number, &end);
    if (*end) return ERR_SYNTAX;
    if (percent > 100) return ERR_RANGE;
    replay->from_part = percent / 100;
    replay->from_ms = -1;
    return 0;
}

static int64_t lap_start(const struct replay *replay, int64_t first_ms, int64_t last_ms)
{
    double span_ms = (double)(last_ms - first_ms);
    int64_t from_ms =
        replay->from_ms >= 0 ? replay->from_ms : first_ms + (int64_t)(span_ms * replay->from_part);

    return MIN(MAX(from_ms, first_ms), last_ms);
}

struct replay_clock replay_begin(const struct replay *replay, int64_t first_ms, int64_t last_ms,
                                 int64_t now_ms)
{
    return (struct replay_clock){.first_ms = first_ms,
                                 .last_ms = last_ms,
                                 .at_ms = now_ms,
                                 .clock_ms = lap_start(replay, first_ms, last_ms)};
}

/* The clock's way to the end of the data, in real time. */
static double way_ms(const struct replay *replay, const struct replay_clock *clock)
{
    return ((double)(clock->last_ms - clock->clock_ms) - clock->part_ms) / replay->speed;
}

/* What is left of a lap, in real time. */
static double rest_ms(const struct replay *replay, const struct replay_clock *clock)
{
    return way_ms(replay, clock) + HOLD_MS - clock->held_ms;
}

/* `elapsed_ms` of real time later, within the lap. */
static void advance(const struct replay *replay, struct replay_clock *clock, double elapsed_ms)
{
    double rest = way_ms(replay, clock), gone_ms = clock->part_ms + elapsed_ms * replay->speed;

    if (elapsed_ms < rest) {
        clock->clock_ms += (int64_t)gone_ms;
        clock->part_ms = gone_ms - floor(gone_ms);
    } else {
        clock->clock_ms = clock->last_ms;
        clock->part_ms = 0;
        clock->held_ms += elapsed_ms - rest;
    }
}

struct replay_clock replay_at(const struct replay *replay, const struct replay_clock *since,
                              int64_t now_ms)
{
    double elapsed_ms = (double)MAX(now_ms - since->at_ms, 0), left_ms, lap_ms;
    struct replay_clock clock = *since;

    clock.at_ms = MAX(now_ms, since->at_ms);
    if (replay->is_paused) return clock;
    left_ms = rest_ms(replay, &clock);
    if (elapsed_ms >= left_ms) {
        elapsed_ms -= left_ms;
        clock.held_ms = 0;
        clock.part_ms = 0;
        clock.clock_ms = lap_start(replay, clock.first_ms, clock.last_ms);
        lap_ms = rest_ms(replay, &clock);
        clock.lap += 1 + (uint64_t)(elapsed_ms / lap_ms);
        elapsed_ms = fmod(elapsed_ms, lap_ms);
    }
    advance(replay, &clock, elapsed_ms);
    return clock;
}

struct replay_clock replay_seek(const struct replay_clock *since, int64_t time_ms, int64_t now_ms)
{
    struct replay_clock clock = *since;

    clock.at_ms = now_ms;
    clock.clock_ms = MIN(MAX(time_ms, clock.first_ms), clock.last_ms);
    clock.part_ms = 0;
    clock.held_ms = 0;
    clock.lap++;
    return clock;
}
