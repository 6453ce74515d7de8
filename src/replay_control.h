/* replay_control.h - how a replay stands, in JSON, and POST /replay, which changes it.
 *
 * Who may has been looked at on the shard. On the main loop's thread. */
#ifndef HEATCAST_REPLAY_CONTROL_H
#define HEATCAST_REPLAY_CONTROL_H

#include "engine.h"

/* `{engine}` is a valid start. */
struct replay_control {
    struct engine *engine;
    int64_t logged_ms;      /* when a change was logged; 0 for never */
    int64_t unlogged_count; /* changes since */
};

/* {"speed":…,"position":…,"start":…,"end":…,"paused":…,"control":…}, of /health too. Only where the
 * feed is a replay. */
void replay_control_write(const struct engine *engine, struct buf *out);

/* Why nobody may change it, for server_ops.replay_closed; NULL: some may. */
const char *replay_control_closed(const struct engine *engine);

/* Takes the request. */
void replay_control_answer(struct replay_control *control, struct site_request *request);

#endif
