#include "serve/events.h"

#include <assert.h>
#include <stdlib.h>

#include "serve/client.h"
#include "serve/demand.h"
#include "serve/shard.h"
#include "serve/stale.h"

/* After how long clients come back when the connection broke: between these, so that those who lost
 * it at once do not come back at once. */
#define RETRY_MS_MIN 1000
#define RETRY_MS_MAX 5000

static void write_retry(struct buf *out, unsigned ms)
{
    buf_printf(out, "retry: %u\n\n", ms);
}

static void subscribe(struct conn *c, struct demand *demand)
{
    static_assert(LIMIT_SYMBOLS_PER_MESSAGE <= LIMIT_SUBSCRIPTIONS_PER_CLIENT, "there is room");

    demand->wish.packing = PACK_EVENT;
    for (size_t i = 0; i < demand->topic_count; i++) {
        struct topic *topic = demand->topics[i];

        if (!client_subscribe(c, topic, &demand->wish, demand_version_had(demand, topic))) abort();
    }
    shard_rearm(c->shard);
}

static void begin(struct conn *c, const struct dress *dress, struct demand *demand)
{
    struct buf head = {0};

    c->close_after = true; /* the end of the stream is the end of the connection */
    stats_add(&c->shard->stats, STAT_http_requests, 1);
    site_write_events_head(&head, c, dress);
    if (!dress->is_head)
        write_retry(&head, RETRY_MS_MIN + (unsigned)(random() % (RETRY_MS_MAX - RETRY_MS_MIN)));
    conn_reply(c, blob_take(&head));
    if (dress->is_head) {
        conn_answered(c);
        return;
    }
    conn_begin_events(c);
    stale_greet(c);
    subscribe(c, demand);
}

void events_serve(struct conn *c, const struct http_request *request)
{
    struct str id = http_header(&request->headers, "Last-Event-ID");
    struct dress dress = dress_of(request);
    struct buf reason = {0};
    struct demand demand;
    int status;

    if (request->method == HTTP_POST) {
        site_deny(c, &dress, 405, "this is only read: GET or HEAD");
        return;
    }
    status = demand_read_stream(&c->shard->hub, request->query, id, &demand, &reason);
    if (status)
        site_deny(c, &dress, status, reason.data);
    else
        begin(c, &dress, &demand);
    buf_deinit(&reason);
}

void events_warn(struct conn *c, struct buf *text)
{
    struct buf event = {0};

    buf_add_text(&event, "event: warning\ndata: ");
    buf_add(&event, text->data, text->size);
    buf_add_text(&event, "\n\n");
    conn_reply(c, blob_take(&event));
    buf_deinit(text);
}

void events_ping(struct conn *c)
{
    const struct str comment = STR(": ping\n\n");

    conn_reply(c, blob_new(comment.at, comment.size));
}

void events_end(struct conn *c, unsigned reconnect_ms)
{
    struct buf text = {0};

    write_retry(&text, reconnect_ms);
    conn_reply(c, blob_take(&text));
    conn_close(c, WS_CLOSE_GOING_AWAY, STR(""));
}
