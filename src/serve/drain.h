/* drain.h - a shard that is to end soon: when each of its streaming clients has to go.
 *
 * When the server drains, every WebSocket and every stream of events is told at once when it will
 * be closed (SERVER_SHUTDOWN), and is closed then. Those moments are spread evenly over the time
 * there is, so that clients land elsewhere one after the other; until then all goes on as ever.
 * They stand in an array made for it: an idle connection has no room for them. On the shard's
 * thread. */
#ifndef HEATCAST_SERVE_DRAIN_H
#define HEATCAST_SERVE_DRAIN_H

#include "io/loop.h"

struct conn;
struct shard;

/* When one client has to go. */
struct farewell {
    struct conn *conn; /* a reference is held: it may have closed meanwhile */
    int64_t at_ms;
};

struct drain {
    struct farewell *farewells; /* owned array, ascending by at_ms; NULL while nothing drains */
    size_t count;
    size_t next; /* the first that has not been closed */
    int64_t end_ms;
    uv_timer_t timer; /* the next one's moment */
};

void drain_init(struct drain *drain, struct loop *loop);
/* Tells all streaming clients when they have to go, within `duration_ms`, and closes each then:
 * WebSockets with 1012. New ones are not looked at: site.h refuses them. `shard_count` is how many
 * shards do so at the same time. */
void drain_begin(struct shard *shard, int64_t duration_ms, size_t shard_count);
/* Closes nobody any more. Harmless where nothing drains. */
void drain_end(struct drain *drain);

/* The moment of client `index` of `count` of a shard, of 0 to duration_ms - 1: each has an equal
 * part of the time for itself, in which `chance` (0 <= chance < 1) chooses; shards with as many
 * clients share each part among them. */
int64_t drain_moment_ms(int64_t duration_ms, size_t index, size_t count, size_t shard_index,
                        size_t shard_count, double chance);

#endif
