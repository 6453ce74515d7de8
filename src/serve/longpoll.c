#include "serve/longpoll.h"

#include <stdlib.h>

#include "serve/client.h"
#include "serve/demand.h"
#include "serve/shard.h"

/* A request that waits. */
struct longpoll {
    struct conn *conn;
    struct dress dress; /* kept */
    uv_timer_t timer;   /* the wait's end; freed in its close callback */
};

static void on_closed(uv_handle_t *timer)
{
    free(container_of(timer, struct longpoll, timer));
}

/* It waits no more: what is left of it is how its answer is dressed, which is the caller's now. */
static struct dress leave(struct conn *c)
{
    struct longpoll *poll = c->http.poll;

    c->http.poll = NULL;
    uv_close((uv_handle_t *)&poll->timer, on_closed);
    client_leave(c, false);
    return poll->dress;
}

/* The same compressed, if the client takes that: made once for all who wait. */
static struct outgoing pack(struct conn *c, const struct outgoing *news)
{
    struct encoding_key key = news->key;
    const struct encoding *packed;

    if (!c->http.poll->dress.gzip) return *news;
    key.packing = PACK_GZIP;
    packed = publication_encode(c->first.topic->latest, &key, NULL, &c->shard->cost);
    return (struct outgoing){.blob = packed->blob, .is_version = true, .key = packed->key};
}

void longpoll_answer(struct conn *c, const struct outgoing *news)
{
    struct outgoing packed = pack(c, news);
    struct site_response response = {
        .status = 200, .content_type = "application/json", .body = blob_ref(news->blob)};
    struct dress dress;

    if (packed.key.packing == PACK_GZIP) response.gzip = blob_ref(packed.blob);
    conn_count_version(c, &packed);
    stats_add(&c->shard->stats, STAT_polls_answered, 1);
    dress = leave(c);
    site_finish(&response, false);
    site_give(c, &response, &dress);
    site_response_deinit(&response);
    dress_deinit(&dress);
}

static void on_wait_over(uv_timer_t *timer)
{
    struct conn *c = container_of(timer, struct longpoll, timer)->conn;
    const struct site_response nothing = {.status = 204};
    struct dress dress;

    if (!list_is_empty(&c->outbox.marked)) return; /* news came in the same turn */
    dress = leave(c);
    stats_add(&c->shard->stats, STAT_polls_timed_out, 1);
    site_respond(c, &nothing, &dress);
    dress_deinit(&dress);
}

static void begin(struct conn *c, const struct http_request *request, struct demand *demand)
{
    struct longpoll *poll = mem_alloc(sizeof(*poll));

    *poll = (struct longpoll){.conn = c, .dress = dress_keep(request)};
    c->http.poll = poll;
    uv_timer_init(&c->shard->loop.uv, &poll->timer);
    uv_timer_start(&poll->timer, on_wait_over, (uint64_t)demand->wait_ms, 0);
    demand->wish.packing = PACK_TEXT;
    /* Interval 0 is due with every version: no timer to rearm. */
    if (!client_subscribe(c, demand->topics[0], &demand->wish, demand->has)) abort();
}

void longpoll_serve(struct conn *c, const struct http_request *request)
{
    struct dress dress = dress_of(request);
    struct buf reason = {0};
    struct demand demand;
    int status = demand_read_poll(&c->shard->hub, request->query, &demand, &reason);

    if (status)
        site_deny(c, &dress, status, reason.data);
    else
        begin(c, request, &demand);
    buf_deinit(&reason);
}

void longpoll_refuse(struct conn *c)
{
    struct dress dress = leave(c);

    c->close_after = true;
    site_deny(c, &dress, 503, "the server is stopping");
    dress_deinit(&dress);
    conn_close(c, WS_CLOSE_NORMAL, STR(""));
}

void longpoll_forget(struct conn *c)
{
    struct dress dress;

    if (!c->http.poll) return;
    dress = leave(c);
    dress_deinit(&dress);
}
