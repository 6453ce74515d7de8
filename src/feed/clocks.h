/* clocks.h - a replay's clocks: one per symbol, over that symbol's own data, moved together.
 *
 * One of them is told to people: that of the longest data, or, once a moment was set, of the data
 * nearest to it. Knows symbols by index alone. Pure: the real clock comes in as an argument, as in
 * replay.h. */
#ifndef HEATCAST_FEED_CLOCKS_H
#define HEATCAST_FEED_CLOCKS_H

#include "feed/replay.h"

struct clocks {
    struct replay replay;        /* common to all */
    struct replay_clock *clocks; /* owned array, by symbol; all 0 of one without data */
    size_t count;
    size_t leader; /* whose time is told; `count` while no symbol has data */
};

/* Of `count` symbols, none of which has data yet. */
void clocks_init(struct clocks *clocks, const struct replay *replay, size_t count);
void clocks_deinit(struct clocks *clocks);

/* A symbol has data from first_ms to last_ms: its clock starts. */
void clocks_begin(struct clocks *clocks, size_t index, int64_t first_ms, int64_t last_ms,
                  int64_t now_ms);

/* A symbol's clock as it stands now. */
struct replay_clock clocks_at(const struct clocks *clocks, size_t index, int64_t now_ms);

/* How a replay stands. */
struct replay_state {
    double speed;
    bool is_paused;
    int64_t position_ms;
    int64_t start_ms, end_ms; /* of all symbols' data; -1, as the position, where there are none */
};

struct replay_state clocks_state(const struct clocks *clocks, int64_t now_ms);

/* What somebody wants to be different. */
struct replay_change {
    bool has_speed, has_paused, has_position;
    double speed;
    bool is_paused;
    int64_t position_ms;
};

/* What has become so: not what was so already, for which no clock is touched. */
struct replay_changed {
    bool pace; /* speed or pause */
    bool position;
};

/* What has passed until now keeps the speed that it had. A new position is a new lap of all; it is
 * none where the clocks stand already. */
struct replay_changed clocks_change(struct clocks *clocks, const struct replay_change *change,
                                    int64_t now_ms);

#endif
