/* replay.h - stored history as live: where a replay's clock stands.
 *
 * Each symbol has a clock of its own over its own data, since the ranges of several dumps need not
 * overlap. It starts a chosen way in, runs a number of times as fast as real time, and begins again
 * when the data ends: a new lap. Pure: the real clock comes in as an argument. */
#ifndef HEATCAST_FEED_REPLAY_H
#define HEATCAST_FEED_REPLAY_H

#include "base/base.h"

struct replay {
    double speed;       /* milliseconds of history per millisecond */
    double from_part;   /* 0..1 of the way into the data ... */
    int64_t from_ms;    /* ... or a moment, when it is not -1 */
    int64_t started_ms; /* of the real clock */
};

/* "50%" or an ISO 8601 time. ERR_SYNTAX or ERR_RANGE, *replay untouched, for anything else. */
int replay_from_parse(struct str text, struct replay *replay) MUST_CHECK;

struct replay_position {
    int64_t clock_ms; /* what is not later than this has happened */
    uint64_t lap;     /* 0, then 1 more each time it begins again */
};

/* Over data from first_ms to last_ms. A start outside of it is moved to its near end. */
struct replay_position replay_at(const struct replay *replay, int64_t first_ms, int64_t last_ms,
                                 int64_t now_ms);

#endif
