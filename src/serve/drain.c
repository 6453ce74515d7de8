#include "serve/drain.h"

#include <stdlib.h>

#include "serve/events.h"
#include "serve/protocol.h"
#include "serve/shard.h"

/* A stream's client comes back when this server has gone, and so much later, at random: to an
 * EventSource that comes before, the 503 of a server without another one beside it would be the end
 * (WHATWG HTML §9.2.2), where a refused connection is not. */
#define EVENTS_RETRY_MS_MIN 500
#define EVENTS_RETRY_MS_MAX 2500

static double chance(void)
{
    return (double)random() / ((double)RAND_MAX + 1);
}

int64_t drain_moment_ms(int64_t duration_ms, size_t index, size_t count, size_t shard_index,
                        size_t shard_count, double chance)
{
    double within = ((double)shard_index + chance) / (double)shard_count;

    return (int64_t)((double)duration_ms * ((double)index + within) / (double)count);
}

void drain_init(struct drain *drain, struct loop *loop)
{
    *drain = (struct drain){0};
    uv_timer_init(&loop->uv, &drain->timer);
}

/* --- telling --- */

static void note(struct drain *drain, struct list *conns)
{
    for (struct list *it = conns->next; it != conns; it = it->next) {
        struct conn *c = container_of(it, struct conn, in_state);

        c->refs++;
        drain->farewells[drain->count++].conn = c;
    }
}

/* Streams last: the later they end, the less their clients miss. */
static void note_all(struct shard *shard)
{
    struct list *sockets = &shard->conns[CONN_OPEN], *streams = &shard->conns[CONN_EVENTS];
    size_t room = list_size(sockets) + list_size(streams);

    shard->drain.farewells = mem_alloc(MAX(room, 1) * sizeof(struct farewell));
    note(&shard->drain, sockets);
    note(&shard->drain, streams);
}

static void tell(struct conn *c, int64_t in_ms)
{
    struct buf text = {0};

    protocol_write_shutdown(&text, in_ms);
    conn_warn(c, &text);
}

/* --- closing --- */

static void rearm(struct drain *drain, int64_t now_ms);

static void end_one(struct conn *c, int64_t left_ms)
{
    int64_t range_ms = EVENTS_RETRY_MS_MAX - EVENTS_RETRY_MS_MIN;

    if (c->state == CONN_EVENTS)
        events_end(c, (unsigned)(left_ms + EVENTS_RETRY_MS_MIN + random() % range_ms));
    else if (c->state == CONN_OPEN)
        conn_close(c, WS_CLOSE_SERVICE_RESTART, STR("the server restarts; connect again now"));
    conn_unref(c);
}

static void on_moment(uv_timer_t *timer)
{
    struct drain *drain = container_of(timer, struct drain, timer);
    int64_t now_ms = (int64_t)uv_now(timer->loop);

    while (drain->next < drain->count && drain->farewells[drain->next].at_ms <= now_ms)
        end_one(drain->farewells[drain->next++].conn, MAX(drain->end_ms - now_ms, 0));
    rearm(drain, now_ms);
}

static void rearm(struct drain *drain, int64_t now_ms)
{
    int64_t at_ms;

    if (drain->next == drain->count) return;
    at_ms = drain->farewells[drain->next].at_ms;
    uv_timer_start(&drain->timer, on_moment, (uint64_t)MAX(at_ms - now_ms, 0), 0);
}

void drain_begin(struct shard *shard, int64_t duration_ms, size_t shard_count)
{
    struct drain *drain = &shard->drain;
    int64_t now_ms = shard_now_ms(shard);

    drain->end_ms = now_ms + duration_ms;
    note_all(shard);
    for (size_t i = 0; i < drain->count; i++) {
        struct farewell *farewell = &drain->farewells[i];
        int64_t in_ms =
            drain_moment_ms(duration_ms, i, drain->count, shard->index, shard_count, chance());

        farewell->at_ms = now_ms + in_ms;
        tell(farewell->conn, in_ms);
    }
    rearm(drain, now_ms);
}

void drain_end(struct drain *drain)
{
    uv_timer_stop(&drain->timer);
    while (drain->next < drain->count)
        conn_unref(drain->farewells[drain->next++].conn);
    free(drain->farewells);
    drain->farewells = NULL;
    drain->count = drain->next = 0;
}
