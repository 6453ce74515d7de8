#include "serve/conn.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/client.h"
#include "serve/echo.h"
#include "serve/events.h"
#include "serve/longpoll.h"
#include "serve/place.h"
#include "serve/shard.h"

static const uint8_t allowed_moves[CONN_STATES] = {
    [CONN_HTTP] = BIT(CONN_OPEN) | BIT(CONN_EVENTS) | BIT(CONN_CLOSING) | BIT(CONN_CLOSED),
    [CONN_OPEN] = BIT(CONN_CLOSING) | BIT(CONN_CLOSED),
    [CONN_EVENTS] = BIT(CONN_CLOSING) | BIT(CONN_CLOSED),
    [CONN_CLOSING] = BIT(CONN_CLOSED),
};

static void count(const struct conn *c, enum counter stat, int64_t by)
{
    stats_add(&c->shard->stats, stat, by);
}

static void set_interest(struct conn *c, unsigned events)
{
    if (c->interest == events) return;
    c->interest = (uint8_t)events;
    poller_change(&c->shard->poller, c->fd, events, c);
}

static void set_slow(struct conn *c, bool is_slow)
{
    if (c->is_slow == is_slow) return;
    c->is_slow = is_slow;
    count(c, STAT_slow_consumers, is_slow ? 1 : -1);
}

static void move(struct conn *c, enum conn_state state)
{
    static const enum counter doors[] = {[CONN_HTTP] = STAT_http_connections,
                                         [CONN_OPEN] = STAT_websockets,
                                         [CONN_EVENTS] = STAT_sse_connections};

    assert(allowed_moves[c->state] & BIT(state));
    if (state >= CONN_CLOSING && c->state < CONN_CLOSING) {
        if (c->state == CONN_HTTP) longpoll_forget(c);
        client_leave(c, c->state == CONN_OPEN && state == CONN_CLOSED);
        set_slow(c, false);
    }
    if (c->state < CONN_CLOSING) count(c, doors[c->state], -1);
    if (state < CONN_CLOSING) count(c, doors[state], 1);
    c->state = (uint8_t)state;
    c->since_ms = shard_now_ms(c->shard);
    list_remove(&c->in_state);
    if (state != CONN_CLOSED) list_append(&c->shard->conns[state], &c->in_state);
}

/* --- memory --- */

static void forget_unread(struct conn *c)
{
    if (c->is_ws || !c->http.unread_size) return;
    unread_give(&c->shard->env->unread, &c->address, c->http.unread_size);
    c->http.unread_size = 0;
}

int conn_owe(struct conn *c, size_t answer_size)
{
    int status = unread_take(&c->shard->env->unread, &c->address, answer_size);

    if (status) return status;
    c->http.unread_size = answer_size;
    c->http.answered_ms = shard_now_ms(c->shard);
    return 0;
}

static void drop_held(struct conn *c)
{
    if (c->ws.held) buf_deinit(c->ws.held);
    free(c->ws.held);
    c->ws.held = NULL;
}

void conn_unref(struct conn *c)
{
    if (--c->refs) return;
    if (c->is_ws) {
        ws_deinit(&c->ws.ws);
        drop_held(c);
    } else
        buf_deinit(&c->http.head);
    outbox_deinit(&c->outbox);
    for (size_t i = 0; i < c->other_count; i++)
        free(c->others[i]);
    free(c->others);
    free(c);
}

static void drop_rest(struct conn *c)
{
    if (!c->rest) return;
    count(c, STAT_queue_bytes, -(int64_t)(c->rest->out.blob->size - c->rest->written));
    blob_unref(c->rest->out.blob);
    free(c->rest);
    c->rest = NULL;
}

/* `code` is what ends it, if it is a WebSocket whose end nobody has told yet. */
static void end(struct conn *c, unsigned code)
{
    if (c->state == CONN_CLOSED) return;
    if (c->state == CONN_OPEN) count(c, stats_close_code(code), 1);
    move(c, CONN_CLOSED);
    count(c, STAT_connections, -1);
    place_give_back(c);
    forget_unread(c);
    drop_rest(c);
    close(c->fd);
    shard_bury(c->shard, c);
}

void conn_destroy(struct conn *c)
{
    end(c, WS_CLOSE_ABNORMAL);
}

/* --- writing --- */

static void resume(struct conn *c);

/* Everything queued is written: what comes next depends on why. */
static void on_drained(struct conn *c)
{
    set_slow(c, false);
    if (c->is_paused && c->state == CONN_OPEN) {
        resume(c); /* whatever it queues is written in its turn */
        return;
    }
    if (c->state == CONN_CLOSING && !c->is_shut_down) {
        c->is_shut_down = true;
        if (c->is_peer_done || shutdown(c->fd, SHUT_WR)) conn_destroy(c);
        return;
    }
    if (c->state != CONN_HTTP || !c->is_answering || c->refs > 1 || c->http.poll) return;
    c->is_answering = false;
    forget_unread(c);
    place_end_request(c);
    if (c->close_after) {
        conn_close(c, WS_CLOSE_NORMAL, STR(""));
        return;
    }
    c->since_ms = c->last_received_ms = shard_now_ms(c->shard);
    conn_receive_more(c); /* a pipelined request may be there already */
    if (c->is_peer_done && !c->is_answering) conn_close(c, WS_CLOSE_NORMAL, STR(""));
}

void conn_count_version(struct conn *c, const struct outgoing *out)
{
    enum stats_door door = c->state == CONN_EVENTS ? STATS_SSE : c->is_ws ? STATS_WS : STATS_POLL;

    count(c, STAT_snapshots_sent, 1);
    stats_add_update(
        &c->shard->stats,
        stats_update(door, out->key.since_seq, out->key.format == FORMAT_COLUMNS,
                     out->key.packing == PACK_DEFLATED || out->key.packing == PACK_GZIP),
        (int64_t)out->blob->size);
}

static void count_written(struct conn *c, const struct outgoing *out)
{
    count(c, STAT_bytes_sent, (int64_t)out->blob->size);
    if (out->is_version) conn_count_version(c, out);
    if (c->state == CONN_EVENTS) c->http.answered_ms = shard_now_ms(c->shard);
    /* Not control frames, and not the 101 before all frames. */
    if (c->state != CONN_OPEN || (out->blob->data[0] & 0x0f) != WS_TEXT) return;
    count(c, STAT_messages_sent, 1);
}

/* It has sent something, or taken what it had been refusing: it lives. */
static void note_life(struct conn *c)
{
    c->last_received_ms = shard_now_ms(c->shard);
    c->pings_unheard = 0;
    if (c->state != CONN_OPEN) return;
    list_remove(&c->in_state); /* keeps the list ordered by who was heard last */
    list_append(&c->shard->conns[CONN_OPEN], &c->in_state);
}

/* Returns how many bytes the socket took; -1 when it is broken. */
static ssize_t send_some(const struct conn *c, const char *bytes, size_t size)
{
    /* Not send(), which in a program of several threads prepares for their cancellation, and undoes
     * it: half a percent of a broadcast. */
    ssize_t sent = syscall(SYS_sendto, c->fd, bytes, size, MSG_NOSIGNAL, NULL, 0);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    return sent;
}

/* The rest waits until the socket takes it: a frame that has begun must end. */
static void keep(struct conn *c, const struct outgoing *out, size_t written)
{
    if (!out->is_owned) blob_ref(out->blob);
    c->rest = mem_alloc(sizeof(*c->rest));
    *c->rest = (struct rest){*out, written, shard_now_ms(c->shard)};
    count(c, STAT_queue_bytes, (int64_t)(out->blob->size - written));
    list_remove(&c->in_turn);
    list_append(&c->shard->blocked, &c->in_turn);
    set_interest(c, c->interest | POLL_WRITE);
}

/* Returns false when the socket takes no more for now, or is gone. Lets go of what it is given. */
static bool write_out(struct conn *c, const struct outgoing *out)
{
    ssize_t sent = send_some(c, out->blob->data, out->blob->size);
    bool is_whole = sent == (ssize_t)out->blob->size;

    if (sent >= 0 && !is_whole) {
        keep(c, out, (size_t)sent);
        return false;
    }
    if (is_whole) count_written(c, out);
    if (out->is_owned) blob_unref(out->blob);
    if (!is_whole) conn_destroy(c);
    return is_whole;
}

/* The socket takes bytes again. */
static void write_more(struct conn *c)
{
    struct rest *rest = c->rest;
    const struct blob *blob;
    ssize_t sent;

    if (!rest) return;
    blob = rest->out.blob;
    sent = send_some(c, blob->data + rest->written, blob->size - rest->written);
    if (sent < 0) {
        conn_destroy(c);
        return;
    }
    if (sent) rest->progress_ms = shard_now_ms(c->shard);
    rest->written += (size_t)sent;
    count(c, STAT_queue_bytes, -(int64_t)sent);
    if (rest->written < blob->size) return;
    count_written(c, &rest->out);
    drop_rest(c);
    list_remove(&c->in_turn);
    set_interest(c, c->interest & ~(unsigned)POLL_WRITE);
    note_life(c);
    conn_flush(c);
}

/* The truth about what was skipped goes out before the next snapshot, once in a while. */
static void warn_if_slow(struct conn *c)
{
    int64_t now_ms = shard_now_ms(c->shard);
    struct buf text = {0};

    if (!c->dropped || (c->state != CONN_OPEN && c->state != CONN_EVENTS)) return;
    if (c->slow_warned_ms && now_ms - c->slow_warned_ms < LIMIT_SLOW_WARNING_MS) return;
    protocol_write_slow_consumer(&text, c->dropped);
    c->dropped = 0;
    c->slow_warned_ms = now_ms;
    count(c, STAT_slow_warnings, 1);
    conn_warn(c, &text);
}

void conn_note_dropped(struct conn *c)
{
    /* Two versions that meet before the loop comes round to writing are nobody's slowness; with
     * bytes that the socket refuses, it is the client's. */
    if (!c->rest) return;
    count(c, STAT_snapshots_dropped, 1);
    c->dropped++;
    set_slow(c, true);
}

bool conn_is_idle(const struct conn *c)
{
    /* Whom a warning is due has it before its next version: conn_flush() looks. */
    return list_is_empty(&c->in_turn) && !c->rest && !c->dropped && !c->outbox.reply_count &&
           (c->state == CONN_OPEN || c->state == CONN_EVENTS);
}

void conn_write(struct conn *c, const struct outgoing *out)
{
    (void)write_out(c, out); /* what it does not take, it keeps */
}

void conn_flush(struct conn *c)
{
    struct shard *shard = c->shard;
    struct deflater *deflater = c->uses_deflate ? shard_deflater(shard) : NULL;
    struct outgoing out;

    if (c->rest || c->state == CONN_CLOSED) return;
    warn_if_slow(c);
    if (c->state == CONN_CLOSED) return;
    while (outbox_next(&c->outbox, deflater, &shard->cost, &out)) {
        if (out.is_version && c->state == CONN_HTTP)
            longpoll_answer(c, &out); /* queues it behind a head */
        else if (!write_out(c, &out))
            return;
    }
    on_drained(c);
}

void conn_reply(struct conn *c, struct blob *bytes)
{
    if (c->state == CONN_CLOSED) {
        blob_unref(bytes);
        return;
    }
    if (outbox_reply(&c->outbox, bytes)) {
        log_debug("client closed: it asks without reading answers");
        count(c, STAT_protocol_closes, 1);
        conn_destroy(c);
        return;
    }
    shard_flush_soon(c->shard, c);
}

static void reply_frame(struct conn *c, unsigned opcode, const void *payload, size_t size)
{
    struct buf frame = {0};

    frame_append(&frame, FRAME_FIN | opcode, payload, size, NULL);
    conn_reply(c, blob_take(&frame));
}

void conn_send_text(struct conn *c, struct buf *text)
{
    reply_frame(c, WS_TEXT, text->data, text->size);
    buf_deinit(text);
}

void conn_warn(struct conn *c, struct buf *text)
{
    if (c->state == CONN_EVENTS)
        events_warn(c, text);
    else
        conn_send_text(c, text);
}

/* --- ending --- */

void conn_close(struct conn *c, unsigned code, struct str reason)
{
    struct buf frame = {0};

    if (c->state >= CONN_CLOSING) return;
    if (c->state == CONN_OPEN) {
        frame_append_close(&frame, code, reason, NULL);
        /* The lane for replies may be full; a close frame behind 64 unread ones helps nobody. */
        if (outbox_reply(&c->outbox, blob_take(&frame))) {
            conn_destroy(c);
            return;
        }
        count(c, stats_close_code(code), 1);
    }
    move(c, CONN_CLOSING);
    shard_flush_soon(c->shard, c);
}

/* Into the kernel's buffer, which is made as large as may be (net.core.wmem_max) where it has to.
 */
static void leave_to_kernel(const struct conn *c, const char *bytes, size_t size)
{
    int all = INT_MAX;
    ssize_t sent;

    setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &all, sizeof(all));
    sent = send_some(c, bytes, size);
    if (sent < 0 || sent == (ssize_t)size) return;
    setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &all, sizeof(all));
    (void)send_some(c, bytes + sent, size - (size_t)sent);
}

/* When the kernel gives up a peer that takes nothing; 0 for never. */
static void set_kernel_deadline(const struct conn *c, int ms)
{
    setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* A WebSocket that has taken nothing for too long. The kernel is given what its frame still lacks
 * and a close frame: should the client wake up, it reads why. The kernel's deadline ends that, too.
 */
static void part(struct conn *c)
{
    const struct rest *rest = c->rest;
    struct buf last = {0};

    set_kernel_deadline(c, shard_kernel_deadline_ms(c->shard->env));
    buf_add(&last, rest->out.blob->data + rest->written, rest->out.blob->size - rest->written);
    frame_append_close(&last, WS_CLOSE_TRY_AGAIN_LATER,
                       STR("you took nothing of what waited for you"), NULL);
    leave_to_kernel(c, last.data, last.size);
    buf_deinit(&last);
}

static void cut(struct conn *c)
{
    char address[ADDRESS_TEXT_SIZE];

    address_format(&c->address, address);
    count(c, STAT_slow_closes, 1);
    log_info("client cut: it takes too little of what waits for it", F_STR("address", address));
    if (c->state == CONN_OPEN) part(c);
    end(c, WS_CLOSE_TRY_AGAIN_LATER);
}

/* So much earlier or later than every LIMIT_PING_MS. Sockets have small numbers in a row: stirred,
 * they spread evenly. */
static int64_t ping_jitter_ms(const struct conn *c)
{
    uint32_t stirred = (uint32_t)c->fd * UINT32_C(2654435761);

    return (int64_t)((uint64_t)stirred * (2 * LIMIT_PING_JITTER_MS) >> 32) - LIMIT_PING_JITTER_MS;
}

int64_t conn_ping_ms(const struct conn *c)
{
    return LIMIT_PING_MS * (c->pings_unheard + 1) + ping_jitter_ms(c);
}

static void check_open(struct conn *c, int64_t now_ms)
{
    int64_t silent_ms = now_ms - c->last_received_ms;

    if (c->rest) return; /* it has a deadline of its own, and a ping would only wait behind it */
    if (silent_ms >= LIMIT_DEAD_MS) {
        count(c, STAT_dead_closes, 1);
        conn_close(c, WS_CLOSE_GOING_AWAY, STR("nothing heard for " TEXT_OF(LIMIT_DEAD_MS) " ms"));
    } else if (c->pings_unheard < LIMIT_DEAD_MS / LIMIT_PING_MS - 1 &&
               silent_ms >= conn_ping_ms(c)) {
        c->pings_unheard++;
        reply_frame(c, WS_PING, NULL, 0);
    }
}

static void check_events(struct conn *c, int64_t now_ms)
{
    if (!c->rest && now_ms - c->http.answered_ms >= conn_ping_ms(c)) events_ping(c);
}

static void check_http(struct conn *c, int64_t now_ms)
{
    int64_t age_ms = now_ms - c->since_ms;

    if (c->is_answering) return; /* its writes have a deadline of their own */
    if ((c->http.head.size || !c->has_asked) && age_ms >= LIMIT_REQUEST_HEAD_MS)
        site_refuse(c, 408);
    else if (age_ms >= LIMIT_KEEP_ALIVE_MS)
        conn_close(c, WS_CLOSE_NORMAL, STR(""));
}

/* A long answer over a slow line is no trouble as long as it moves, but who draws a large one by
 * drops keeps its memory for hours. */
static bool answer_is_overdue(const struct conn *c, int64_t now_ms)
{
    int64_t allowed_ms;

    if (c->is_ws || !c->http.unread_size) return false;
    allowed_ms = (int64_t)c->http.unread_size * 1000 / LIMIT_ANSWER_BYTES_PER_SECOND;
    return now_ms - c->http.answered_ms >= c->shard->env->slow_consumer_ms + allowed_ms;
}

void conn_check_deadlines(struct conn *c, int64_t now_ms)
{
    if (c->rest && (now_ms - c->rest->progress_ms >= c->shard->env->slow_consumer_ms ||
                    answer_is_overdue(c, now_ms)))
        cut(c);
    else if (c->state == CONN_OPEN)
        check_open(c, now_ms);
    else if (c->state == CONN_EVENTS)
        check_events(c, now_ms);
    else if (c->state == CONN_HTTP)
        check_http(c, now_ms);
    else if (c->state == CONN_CLOSING && now_ms - c->since_ms >= LIMIT_CLOSE_MS)
        conn_destroy(c);
}

/* --- reading --- */

/* Answers to the many messages of one segment go out between them. A client that does not read them
 * is not read from either, until it does or is cut for taking nothing. */
static void flush_replies(struct conn *c)
{
    if (c->outbox.reply_count < LIMIT_REPLIES_QUEUED / 2) return;
    conn_flush(c);
    if (c->state == CONN_OPEN && c->rest) conn_pause(c);
}

static void receive_message(struct conn *c, enum ws_opcode opcode, struct str payload)
{
    count(c, STAT_messages_received, 1);
    if (c->shard->env->ops.is_echo)
        echo_message(c, opcode, payload);
    else if (opcode == WS_TEXT)
        client_message(c, payload);
    else {
        count(c, STAT_protocol_closes, 1);
        conn_close(c, WS_CLOSE_UNSUPPORTED_DATA, STR("messages are text"));
    }
}

/* WebSocket: every event, until one of them ends the conversation. */
static void receive_ws(struct conn *c, uint8_t *bytes, size_t size)
{
    struct ws_event event;

    ws_feed(&c->ws.ws, bytes, size);
    while (c->state == CONN_OPEN && ws_next(&c->ws.ws, &event)) {
        switch (event.type) {
        case WS_EVENT_TEXT:
            receive_message(c, WS_TEXT, event.payload);
            break;
        case WS_EVENT_BINARY:
            receive_message(c, WS_BINARY, event.payload);
            break;
        case WS_EVENT_PING:
            reply_frame(c, WS_PONG, event.payload.at, event.payload.size);
            break;
        case WS_EVENT_PONG:
            break;
        case WS_EVENT_CLOSE:
            conn_close(c, event.code, STR("")); /* RFC 6455 §5.5.1: echo the status code */
            break;
        case WS_EVENT_FAIL:
            count(c, STAT_protocol_closes, 1);
            conn_close(c, event.code, event.payload);
            break;
        }
        flush_replies(c);
    }
}

/* How long the request at the beginning of `bytes` is, with the body that a door reads; 0 while it
 * is not complete, or when it was refused. */
static size_t request_size(struct conn *c, const struct buf *bytes, struct http_request *request,
                           struct str *body)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    int head_size = http_parse_head((const uint8_t *)bytes->data, bytes->size, request);
    int64_t body_size;

    if (head_size < 0) site_refuse(c, -head_size);
    if (head_size <= 0) return 0;
    body_size = site_body_size(c, request);
    if (body_size < 0) site_refuse(c, (int)-body_size);
    if (body_size < 0) return 0;
    *body = (struct str){bytes->data + head_size, (size_t)body_size};
    if (bytes->size - (size_t)head_size >= body->size) return (size_t)head_size + body->size;
    /* RFC 9110 §10.1.1: who asks is told that its body is welcome, once. */
    if (!c->is_continued && http_header_has_token(&request->headers, "Expect", "100-continue"))
        conn_reply(c, blob_new(go_on, sizeof(go_on) - 1));
    c->is_continued = true;
    return 0;
}

/* Serves the request that `bytes` begin with, if it is complete. Returns its size, or 0. */
static size_t serve_request(struct conn *c, const struct buf *bytes)
{
    struct http_request request;
    struct str body = {0};
    size_t taken = request_size(c, bytes, &request, &body);

    if (!taken) return 0;
    c->is_answering = c->has_asked = true;
    c->is_continued = false;
    /* A body that no door reads: answer, then close instead of looking for its end. */
    c->close_after = !request.keep_alive || request.content_length > body.size;
    if (place_take_request(c, &request)) site_serve(c, &request, body);
    return taken;
}

/* What came behind the request is the next one's, or already WebSocket frames. */
static void receive_rest(struct conn *c, struct buf *bytes, size_t taken)
{
    if (c->state == CONN_OPEN && bytes->size > taken)
        receive_ws(c, (uint8_t *)bytes->data + taken, bytes->size - taken);
    else if (c->state == CONN_HTTP && taken)
        buf_add(&c->http.head, bytes->data + taken, bytes->size - taken);
    else if (c->state == CONN_HTTP) {
        c->http.head = *bytes;
        *bytes = (struct buf){0};
    }
    buf_deinit(bytes);
}

void conn_receive_more(struct conn *c)
{
    struct buf bytes = c->http.head;
    size_t taken;

    if (!bytes.size) return;
    c->http.head = (struct buf){0}; /* the request may turn this into a WebSocket */
    taken = serve_request(c, &bytes);
    receive_rest(c, &bytes, taken);
}

/* HTTP: collects a request, serves it, keeps what comes after it for the next. */
static void receive_http(struct conn *c, const uint8_t *bytes, size_t size)
{
    if (!c->http.head.size) c->since_ms = c->last_received_ms;
    buf_add(&c->http.head, bytes, size);
    if (!c->is_answering)
        conn_receive_more(c);
    else if (c->http.head.size > HTTP_HEAD_BYTES_MAX)
        set_interest(c, c->interest & ~(unsigned)POLL_READ);
}

static void receive(struct conn *c, uint8_t *bytes, size_t size)
{
    count(c, STAT_bytes_received, (int64_t)size);
    note_life(c);
    if (c->state == CONN_OPEN)
        receive_ws(c, bytes, size);
    else if (c->state == CONN_HTTP)
        receive_http(c, bytes, size);
    /* EVENTS, CLOSING: what still comes is not looked at */
}

static void read_some(struct conn *c)
{
    uint8_t *bytes = c->shard->read_buffer;
    ssize_t size = recv(c->fd, bytes, sizeof(c->shard->read_buffer), 0);

    if (size > 0)
        receive(c, bytes, (size_t)size);
    else if (size == 0 && c->state == CONN_HTTP && c->is_answering && !c->http.poll) {
        c->is_peer_done = true; /* it said all it had to say and waits for the answers */
        set_interest(c, c->interest & ~(unsigned)POLL_READ);
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR))
        conn_destroy(c);
}

void conn_pause(struct conn *c)
{
    if (c->is_paused) return;
    set_interest(c, c->interest & ~(unsigned)POLL_READ);
    c->is_paused = true;
    c->ws.held = mem_zalloc(sizeof(*c->ws.held));
    ws_take_rest(&c->ws.ws, c->ws.held);
}

/* What had come before the pause is looked at first; it may lead to the next one. */
static void resume(struct conn *c)
{
    struct buf rest = *c->ws.held;

    free(c->ws.held);
    c->ws.held = NULL;
    c->is_paused = false;
    receive_ws(c, (uint8_t *)rest.data, rest.size);
    buf_deinit(&rest);
    if (c->state != CONN_CLOSED && !c->is_paused) set_interest(c, c->interest | POLL_READ);
}

void conn_ready(struct conn *c, unsigned events)
{
    if (c->state != CONN_CLOSED && events & POLL_WRITE) write_more(c);
    if (c->state != CONN_CLOSED && events & POLL_READ) read_some(c);
    /* While it is read from, reading tells. */
    if (c->state != CONN_CLOSED && events & POLL_HANGUP && !(c->interest & POLL_READ))
        conn_destroy(c);
}

/* --- beginning --- */

void conn_accept(struct shard *shard, int fd, const struct address *address)
{
    struct conn *c = mem_zalloc(sizeof(*c));

    c->shard = shard;
    c->fd = fd;
    c->refs = 1;
    c->address = c->http.peer = *address;
    c->interest = POLL_READ;
    c->since_ms = c->last_received_ms = shard_now_ms(shard);
    list_init(&c->in_state);
    list_init(&c->in_turn);
    outbox_init(&c->outbox);
    client_init(c, &c->first);
    list_append(&shard->conns[CONN_HTTP], &c->in_state);
    count(c, STAT_connections, 1);
    count(c, STAT_http_connections, 1);
    count(c, STAT_connections_accepted, 1);
    if (poller_add(&shard->poller, fd, POLL_READ, c))
        conn_destroy(c);
    else if (!place_take(c))
        place_refuse(c);
}

void conn_answered(struct conn *c)
{
    if (c->state != CONN_HTTP) return;
    shard_flush_soon(c->shard, c);
    if (!c->close_after && !c->is_peer_done) set_interest(c, c->interest | POLL_READ);
}

void conn_open(struct conn *c, const struct handshake *handshake)
{
    const struct shard_env *env = c->shard->env;
    bool has_deflate = handshake->deflate.is_on;
    struct buf answer = {0};

    handshake_write_accept(&answer, handshake);
    conn_reply(c, blob_take(&answer));
    assert(!c->http.head.data && !c->http.unread_size);
    c->is_ws = true;
    c->ws = (struct conn_ws){.message_tokens = LIMIT_MESSAGES_BURST};
    ws_init(&c->ws.ws, WS_SERVER, env->message_bytes_max, has_deflate ? &c->shard->inflater : NULL);
    c->uses_deflate = has_deflate && handshake->deflate.window_bits == DEFLATE_WINDOW_BITS_MAX;
    c->ws.tokens_ms = c->last_received_ms = shard_now_ms(c->shard);
    c->is_answering = false;
    /* Pings tell whether it lives. The kernel (seen with Linux 6.18) can take two short stalls of a
     * healthy client for one long one: when a closed window opens by less than the next segment,
     * the time of the first probe stays, and the next probe, minutes later, counts from there. */
    set_kernel_deadline(c, 0);
    move(c, CONN_OPEN);
    count(c, STAT_websockets_opened, 1);
    client_enter(c);
}

void conn_begin_events(struct conn *c)
{
    c->is_answering = false;
    c->http.answered_ms = shard_now_ms(c->shard);
    move(c, CONN_EVENTS);
}
