#include "serve/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "serve/shard.h"
#include "serve/stale.h"

void client_init(struct conn *c, struct subscription *sub)
{
    sub->outbox = &c->outbox;
    list_init(&sub->in_outbox);
    list_init(&sub->in_class);
}

void client_on_mark(struct subscription *sub, bool is_newer)
{
    struct conn *c = container_of(sub->outbox, struct conn, outbox);
    struct shard *shard = c->shard;
    struct outgoing out;

    /* While a publication is spread there is no need to look at each client twice. */
    if (shard->is_spreading && conn_is_idle(c) && version_is_newer(sub->marked, sub->sent)) {
        out = outbox_take(sub, c->uses_deflate ? shard_deflater(shard) : NULL, &shard->cost);
        conn_write(c, &out);
        return;
    }
    if (outbox_mark(sub, is_newer)) conn_note_dropped(c);
    shard_flush_soon(c->shard, c);
}

static void send_error(struct conn *c, struct buf *error)
{
    stats_add(&c->shard->stats, STAT_errors_sent, 1);
    conn_send_text(c, error);
}

/* The client's subscription to `topic`; with `topic` NULL, a free one. */
static struct subscription *find(struct conn *c, const struct topic *topic)
{
    if (c->first.topic == topic) return &c->first;
    for (size_t i = 0; i < c->other_count; i++)
        if (c->others[i]->topic == topic) return c->others[i];
    return NULL;
}

/* The one to `topic`, or a free one; NULL at the limit. */
static struct subscription *find_or_add(struct conn *c, const struct topic *topic)
{
    struct subscription *sub = find(c, topic);

    if (!sub) sub = find(c, NULL);
    if (sub || c->other_count == LIMIT_SUBSCRIPTIONS_PER_CLIENT - 1) return sub;
    sub = mem_zalloc(sizeof(*sub));
    client_init(c, sub);
    c->others = mem_realloc(c->others, (c->other_count + 1u) * sizeof(struct subscription *));
    c->others[c->other_count++] = sub;
    return sub;
}

static void count_resume(struct shard *shard, enum resume resume)
{
    if (resume == RESUME_UP_TO_DATE) stats_add(&shard->stats, STAT_resumes_current, 1);
    if (resume == RESUME_POSSIBLE) stats_add(&shard->stats, STAT_resumes_delta, 1);
    if (resume == RESUME_IMPOSSIBLE) stats_add(&shard->stats, STAT_resumes_snapshot, 1);
}

bool client_subscribe(struct conn *c, struct topic *topic, const struct wish *wish,
                      struct version has)
{
    struct subscription *sub = find_or_add(c, topic);
    struct shard *shard = c->shard;
    enum resume resume;

    if (!sub) return false;
    if (!sub->topic) stats_add(&shard->stats, STAT_subscriptions, 1);
    resume = hub_subscribe(&shard->hub, sub, topic, wish, has, shard_now_ms(shard));
    /* It asked before, was not answered yet, and has got it elsewhere. */
    if (resume == RESUME_UP_TO_DATE || resume == RESUME_LATER) outbox_unmark(sub);
    count_resume(shard, resume);
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
    uint32_t short_lives = restless_count(restless, &c->address, shard_now_ms(c->shard));
    struct buf text = {0};

    if (short_lives >= LIMIT_SHORT_LIVES) {
        protocol_write_unstable(&text, short_lives);
        conn_send_text(c, &text);
    }
    stale_greet(c);
}

static void note_short_life(struct conn *c)
{
    int64_t now_ms = shard_now_ms(c->shard);

    if (now_ms - c->since_ms >= LIMIT_SHORT_LIFE_MS) return;
    restless_note(&c->shard->env->restless, &c->address, now_ms);
}

void client_leave(struct conn *c, bool was_cut)
{
    if (was_cut) note_short_life(c);
    leave(c, &c->first);
    for (size_t i = 0; i < c->other_count; i++)
        leave(c, c->others[i]);
}

static void send_invalid_symbols(struct conn *c, const struct buf *unknown)
{
    struct buf text = {0}, error = {0};

    protocol_write_unknown(&text, buf_str(unknown), &c->shard->hub);
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

/* Without a wish, the server's own rhythm, which is every version. */
static struct wish wish_of(const struct conn *c, const struct request *request)
{
    return (struct wish){.interval = request->has_interval ? request->interval : 0,
                         .format = request->format,
                         .packing = c->uses_deflate ? PACK_DEFLATED : PACK_FRAME,
                         .wants_delta = request->wants_delta};
}

static double interval_told(const struct conn *c, const struct request *request)
{
    return request->has_interval ? request->interval : c->shard->env->update_interval_s;
}

static void handle_symbols(struct conn *c, const struct request *request)
{
    const char *done[LIMIT_SYMBOLS_PER_MESSAGE];
    struct wish wish = wish_of(c, request);
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
            protocol_note_unknown(&unknown, text);
            continue;
        } else if (!client_subscribe(c, topic, &wish, protocol_version_had(request, topic->name))) {
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

    c->ws.message_tokens += (double)(now_ms - c->ws.tokens_ms) * LIMIT_MESSAGES_PER_SECOND / 1000;
    c->ws.message_tokens = MIN(c->ws.message_tokens, LIMIT_MESSAGES_BURST);
    c->ws.tokens_ms = now_ms;
    if (c->ws.message_tokens < 1) return false;
    c->ws.message_tokens -= 1;
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
