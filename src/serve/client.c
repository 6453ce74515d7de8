#include "serve/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "serve/shard.h"

/* A subscription knows its client; the hub, which moves only subscriptions, need not. */
struct client_subscription {
    struct subscription sub;
    struct conn *conn;
};

void client_on_mark(struct subscription *sub)
{
    struct conn *c = container_of(sub, struct client_subscription, sub)->conn;

    /* Two versions that meet before the loop comes round to writing are nobody's slowness; with
     * bytes that the socket refuses, it is the client's. */
    if (outbox_mark(&c->outbox, sub) && c->writing) {
        stats_add(&c->shard->stats, STAT_snapshots_dropped, 1);
        c->dropped++;
        conn_set_slow(c, true);
    }
    shard_flush_soon(c->shard, c);
}

static void send_error(struct conn *c, struct buf *error)
{
    stats_add(&c->shard->stats, STAT_errors_sent, 1);
    conn_send_text(c, error);
}

/* The client's subscription to `topic`; with `topic` NULL, a free one. */
static struct subscription *find(const struct conn *c, const struct topic *topic)
{
    for (size_t i = 0; i < c->subscription_count; i++)
        if (c->subscriptions[i]->topic == topic) return c->subscriptions[i];
    return NULL;
}

/* The one to `topic`, or a free one; NULL at the limit. */
static struct subscription *find_or_add(struct conn *c, const struct topic *topic)
{
    struct subscription *sub = find(c, topic);
    struct client_subscription *added;

    if (!sub) sub = find(c, NULL);
    if (sub || c->subscription_count == LIMIT_SUBSCRIPTIONS_PER_CLIENT) return sub;
    added = mem_zalloc(sizeof(*added));
    added->conn = c;
    list_init(&added->sub.in_outbox);
    c->subscriptions = mem_realloc(c->subscriptions, (c->subscription_count + 1u) * sizeof(added));
    c->subscriptions[c->subscription_count++] = &added->sub;
    return &added->sub;
}

static bool subscribe(struct conn *c, struct topic *topic, uint8_t interval)
{
    struct subscription *sub = find_or_add(c, topic);
    struct shard *shard = c->shard;

    if (!sub) return false;
    if (!sub->topic) stats_add(&shard->stats, STAT_subscriptions, 1);
    hub_subscribe(&shard->hub, sub, topic, interval, c->uses_deflate, shard_now_ms(shard));
    return true;
}

static void leave(struct conn *c, struct subscription *sub)
{
    if (!sub || !sub->topic) return;
    outbox_unmark(sub);
    hub_unsubscribe(&c->shard->hub, sub);
    stats_add(&c->shard->stats, STAT_subscriptions, -1);
}

void client_enter(struct conn *c)
{
    struct restless *restless = &c->shard->env->restless;
    uint32_t short_lives = restless_count(restless, c->address, shard_now_ms(c->shard));
    struct buf text = {0};

    if (short_lives < LIMIT_SHORT_LIVES) return;
    protocol_write_unstable(&text, short_lives);
    conn_send_text(c, &text);
}

static void note_short_life(struct conn *c)
{
    int64_t now_ms = shard_now_ms(c->shard);

    if (now_ms - c->since_ms >= LIMIT_SHORT_LIFE_MS || !*c->address) return;
    restless_note(&c->shard->env->restless, c->address, now_ms);
}

void client_leave(struct conn *c, bool was_cut)
{
    if (was_cut) note_short_life(c);
    for (size_t i = 0; i < c->subscription_count; i++)
        leave(c, c->subscriptions[i]);
}

/* "Unknown symbol 'X'. Valid symbols: A, B" */
static void send_invalid_symbols(struct conn *c, const struct buf *unknown)
{
    const struct hub *hub = &c->shard->hub;
    struct buf text = {0}, error = {0};

    buf_printf(&text, "Unknown symbol %.*s. Valid symbols: ", (int)unknown->size, unknown->data);
    if (!hub->topic_count) buf_add_text(&text, "none yet, the server has no data");
    for (size_t i = 0; i < hub->topic_count && i < LIMIT_SYMBOLS_LISTED; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", hub->topics[i]->name);
    if (hub->topic_count > LIMIT_SYMBOLS_LISTED)
        buf_printf(&text, " and %zu more (GET /symbols)", hub->topic_count - LIMIT_SYMBOLS_LISTED);
    protocol_write_error(&error, "INVALID_SYMBOL", buf_str(&text));
    send_error(c, &error);
    buf_deinit(&text);
}

static void send_full(struct conn *c)
{
    struct buf text = {0}, error = {0};

    buf_printf(&text, "a client may hold %d subscriptions; unsubscribe first",
               LIMIT_SUBSCRIPTIONS_PER_CLIENT);
    protocol_write_error(&error, "RATE_LIMITED", buf_str(&text));
    send_error(c, &error);
    buf_deinit(&text);
}

/* A client's interval as a class: without a wish, the server's own rhythm, which is every version.
 */
static uint8_t interval_of(const struct request *request)
{
    return request->has_interval ? request->interval : 0;
}

static double interval_told(const struct conn *c, const struct request *request)
{
    return request->has_interval ? request->interval : c->shard->env->update_interval_s;
}

static void note_unknown(struct buf *unknown, const json_t *name)
{
    buf_printf(unknown, "%s'%.*s'", unknown->size ? ", " : "",
               (int)MIN(json_string_length(name), LIMIT_SYMBOL_BYTES), json_string_value(name));
}

static void handle_symbols(struct conn *c, const struct request *request)
{
    const char *done[LIMIT_SYMBOLS_PER_MESSAGE];
    struct buf unknown = {0}, ack = {0};
    size_t done_count = 0;
    bool is_full = false;

    for (size_t i = 0; i < json_array_size(request->symbols); i++) {
        const json_t *name = json_array_get(request->symbols, i);
        struct str text = {json_string_value(name), json_string_length(name)};
        struct topic *topic = hub_find(&c->shard->hub, text);

        if (request->action == ACTION_UNSUBSCRIBE) {
            if (!topic) continue;
            leave(c, find(c, topic));
        } else if (!topic) {
            note_unknown(&unknown, name);
            continue;
        } else if (!subscribe(c, topic, interval_of(request))) {
            is_full = true;
            continue;
        }
        done[done_count++] = topic->name;
    }
    shard_rearm(c->shard);
    if (request->id) {
        protocol_write_ack(&ack, request, done, done_count, interval_told(c, request));
        conn_send_text(c, &ack);
    }
    if (unknown.size) send_invalid_symbols(c, &unknown);
    if (is_full) send_full(c);
    buf_deinit(&unknown);
}

/* A bucket of LIMIT_MESSAGES_BURST messages, refilled at LIMIT_MESSAGES_PER_SECOND. */
static bool take_token(struct conn *c)
{
    int64_t now_ms = shard_now_ms(c->shard);

    c->message_tokens += (double)(now_ms - c->tokens_ms) * LIMIT_MESSAGES_PER_SECOND / 1000;
    c->message_tokens = MIN(c->message_tokens, LIMIT_MESSAGES_BURST);
    c->tokens_ms = now_ms;
    if (c->message_tokens < 1) return false;
    c->message_tokens -= 1;
    return true;
}

static void send_rate_limited(struct conn *c)
{
    struct buf error = {0};

    protocol_write_error(
        &error, "RATE_LIMITED",
        STR("too many messages: " TEXT_OF(LIMIT_MESSAGES_PER_SECOND) " a second, " TEXT_OF(
            LIMIT_MESSAGES_BURST) " at once; this one was ignored"));
    send_error(c, &error);
}

void client_message(struct conn *c, struct str text)
{
    struct request request;
    struct buf out = {0};

    if (!take_token(c)) {
        send_rate_limited(c);
        return;
    }
    if (!protocol_parse(text, &request, &out)) {
        send_error(c, &out);
        return;
    }
    if (request.action == ACTION_PING) {
        protocol_write_pong(&out, clock_wall_ms());
        conn_send_text(c, &out);
    } else
        handle_symbols(c, &request);
    protocol_request_deinit(&request);
}
