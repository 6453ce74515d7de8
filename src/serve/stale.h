/* stale.h - what streaming clients are told when there is no news for them to be had.
 *
 * A server that only passes on what others send it may lose them. It goes on serving the last that
 * it has, and says so: once to each WebSocket and stream, those that are there and those that come.
 * When there is news again, versions tell. On the shard's thread. */
#ifndef HEATCAST_SERVE_STALE_H
#define HEATCAST_SERVE_STALE_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct shard;

/* From now on there is no news, since then; or there is again. */
void stale_set(struct shard *shard, bool is_stale, int64_t since_wall_ms);
/* A streaming client has come. */
void stale_greet(struct conn *conn);

#endif
