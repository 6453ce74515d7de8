/* replay.h - stored history as live: where a replay's clocks stand.
 *
 * Each symbol has a clock of its own over its own data, since the ranges of several dumps need not
 * overlap. It starts a chosen way in, runs a number of times as fast as real time, and begins again
 * when the data ends: a new lap. Speed and pause are common to all. Pure: the real clock comes in
 * as an argument. */
#ifndef HEATCAST_FEED_REPLAY_H
#define HEATCAST_FEED_REPLAY_H

#include "base/base.h"

struct replay {
    double speed;     /* milliseconds of history per millisecond */
    bool is_paused;   /* all clocks stand still */
    double from_part; /* a lap begins 0..1 of the way into the data ... */
    int64_t from_ms;  /* ... or at a moment, when it is not -1 */
};

/* "50%" or an ISO 8601 time. ERR_SYNTAX or ERR_RANGE, *replay untouched, for anything else. */
int replay_from_parse(struct str text, struct replay *replay) MUST_CHECK;

/* A symbol's clock, over data from first_ms to last_ms. */
struct replay_clock {
    int64_t first_ms, last_ms;
    /* How it stood at `at_ms` of the real clock. */
    int64_t at_ms;
    int64_t clock_ms; /* what is not later than this has happened */
    double part_ms;   /* of the next millisecond, 0 to below 1: so that looking costs no time */
    double held_ms;   /* how long it has stood at the data's end, in real time */
    uint64_t lap;     /* 1 more each time it begins again, or is set */
};

/* A clock at its start. One outside of the data is moved to its near end. */
struct replay_clock replay_begin(const struct replay *replay, int64_t first_ms, int64_t last_ms,
                                 int64_t now_ms);
/* The clock as it stands now, at the speed that it has had since `clock`. So before a change of
 * speed or pause each clock is to become what it is now. */
struct replay_clock replay_at(const struct replay *replay, const struct replay_clock *clock,
                              int64_t now_ms);
/* The clock set to a moment, or to the data's end that is near to it; a new lap. */
struct replay_clock replay_seek(const struct replay_clock *clock, int64_t time_ms, int64_t now_ms);

#endif
