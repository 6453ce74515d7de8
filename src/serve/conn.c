#include "serve/conn.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "serve/client.h"
#include "serve/echo.h"
#include "serve/shard.h"

/* Unsent bytes stay with us, where a newer snapshot replaces them: the kernel takes no more than
 * this beyond what is on its way. */
#define NOTSENT_LOWAT_BYTES 65536

static const uint8_t allowed_moves[CONN_STATES] = {
    [CONN_HTTP] = BIT(CONN_OPEN) | BIT(CONN_CLOSING) | BIT(CONN_CLOSED),
    [CONN_OPEN] = BIT(CONN_CLOSING) | BIT(CONN_CLOSED),
    [CONN_CLOSING] = BIT(CONN_CLOSED),
};

static void count(const struct conn *c, enum counter stat, int64_t by)
{
    stats_add(&c->shard->stats, stat, by);
}

void conn_set_slow(struct conn *c, bool is_slow)
{
    if (c->is_slow == is_slow) return;
    c->is_slow = is_slow;
    count(c, STAT_slow_consumers, is_slow ? 1 : -1);
}

static void move(struct conn *c, enum conn_state state)
{
    assert(allowed_moves[c->state] & BIT(state));
    if (c->state == CONN_OPEN) {
        client_leave(c, state == CONN_CLOSED);
        conn_set_slow(c, false);
        count(c, STAT_websockets, -1);
    }
    if (state == CONN_OPEN) count(c, STAT_websockets, 1);
    c->state = (uint8_t)state;
    c->since_ms = shard_now_ms(c->shard);
    list_remove(&c->in_state);
    if (state != CONN_CLOSED) list_append(&c->shard->conns[state], &c->in_state);
}

void conn_unref(struct conn *c)
{
    if (--c->refs) return;
    ws_deinit(&c->ws);
    buf_deinit(&c->head);
    outbox_deinit(&c->outbox);
    for (size_t i = 0; i < c->subscription_count; i++)
        free(c->subscriptions[i]);
    free(c->subscriptions);
    free(c);
}

static void give_place_back(struct conn *c)
{
    if (!c->has_place) return;
    c->has_place = false;
    atomic_fetch_sub_explicit(&c->shard->env->connection_count, 1, memory_order_relaxed);
}

int conn_owe(struct conn *c, size_t answer_size)
{
    int status = unread_take(&c->shard->env->unread, c->address, answer_size);

    if (status) return status;
    c->unread_size = answer_size;
    c->answered_ms = shard_now_ms(c->shard);
    return 0;
}

static void forget_unread(struct conn *c)
{
    if (c->unread_size) unread_give(&c->shard->env->unread, c->address, c->unread_size);
    c->unread_size = 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = container_of(handle, struct conn, tcp);

    blob_unref(c->writing);
    c->writing = NULL;
    conn_unref(c);
}

void conn_destroy(struct conn *c)
{
    if (c->state == CONN_CLOSED) return;
    move(c, CONN_CLOSED);
    list_remove(&c->in_flush);
    list_remove(&c->in_blocked);
    count(c, STAT_connections, -1);
    give_place_back(c);
    forget_unread(c);
    if (c->is_refused)
        atomic_fetch_sub_explicit(&c->shard->env->refused_count, 1, memory_order_relaxed);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* --- writing --- */

static void resume(struct conn *c);

/* Everything queued is written: what comes next depends on why. */
static void on_drained(struct conn *c)
{
    conn_set_slow(c, false);
    if (c->state == CONN_CLOSING && !c->is_shut_down) {
        c->is_shut_down = true;
        if (c->is_peer_done || uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, NULL))
            conn_destroy(c);
        return;
    }
    if (c->is_paused) resume(c);
    if (c->state != CONN_HTTP || !c->is_answering || c->refs > 1) return;
    c->is_answering = false;
    forget_unread(c);
    if (c->close_after) {
        conn_close(c, WS_CLOSE_NORMAL, STR(""));
        return;
    }
    c->since_ms = c->last_received_ms = shard_now_ms(c->shard);
    conn_receive(c, NULL, 0); /* a pipelined request may be there already */
    if (c->is_peer_done && !c->is_answering) conn_close(c, WS_CLOSE_NORMAL, STR(""));
}

static void count_written(struct conn *c, const struct blob *blob)
{
    count(c, STAT_bytes_sent, (int64_t)blob->size);
    /* Not control frames, and not the 101 before all frames. */
    if (c->state != CONN_OPEN || (blob->data[0] & 0x0f) != WS_TEXT) return;
    count(c, STAT_messages_sent, 1);
    if (c->writing_snapshot) count(c, STAT_snapshots_sent, 1);
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = container_of(write, struct conn, write);

    if (c->state == CONN_CLOSED) return; /* on_closed() lets go of the bytes */
    list_remove(&c->in_blocked);
    if (status < 0) {
        conn_destroy(c);
        return;
    }
    count_written(c, c->writing);
    blob_unref(c->writing);
    c->writing = NULL;
    conn_flush(c);
}

/* Lets libuv write the rest as the socket takes it. */
static void write_rest(struct conn *c, struct blob *blob, size_t written)
{
    uv_buf_t rest = uv_buf_init(blob->data + written, (unsigned)(blob->size - written));

    c->writing = blob;
    c->progress_ms = shard_now_ms(c->shard);
    list_append(&c->shard->blocked, &c->in_blocked);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written)) conn_destroy(c);
}

/* Returns false when the socket takes no more for now, or is gone. */
static bool write_blob(struct conn *c, struct blob *blob)
{
    uv_buf_t all = uv_buf_init(blob->data, (unsigned)blob->size);
    int written = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);

    if (written == UV_EAGAIN) written = 0;
    if (written < 0) {
        blob_unref(blob);
        conn_destroy(c);
        return false;
    }
    if ((size_t)written < blob->size) {
        write_rest(c, blob, (size_t)written);
        return false;
    }
    count_written(c, blob);
    blob_unref(blob);
    return true;
}

/* The truth about what was skipped goes out before the next snapshot, once in a while. */
static void warn_if_slow(struct conn *c)
{
    int64_t now_ms = shard_now_ms(c->shard);
    struct buf text = {0};

    if (!c->dropped || c->state != CONN_OPEN) return;
    if (c->slow_warned_ms && now_ms - c->slow_warned_ms < LIMIT_SLOW_WARNING_MS) return;
    protocol_write_slow_consumer(&text, c->dropped);
    c->dropped = 0;
    c->slow_warned_ms = now_ms;
    count(c, STAT_slow_warnings, 1);
    conn_send_text(c, &text);
}

void conn_flush(struct conn *c)
{
    struct subscription *sub;
    struct blob *blob;

    if (c->writing || c->state == CONN_CLOSED) return;
    warn_if_slow(c);
    if (c->state == CONN_CLOSED) return;
    while ((blob = outbox_next(&c->outbox, &sub))) {
        c->writing_snapshot = sub;
        if (!write_blob(c, blob)) return;
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

/* --- ending --- */

void conn_close(struct conn *c, unsigned code, struct str reason)
{
    struct buf frame = {0};

    if (c->state != CONN_HTTP && c->state != CONN_OPEN) return;
    if (c->state == CONN_OPEN) {
        frame_append_close(&frame, code, reason, NULL);
        /* The lane for replies may be full; a close frame behind 64 unread ones helps nobody. */
        if (outbox_reply(&c->outbox, blob_take(&frame))) {
            conn_destroy(c);
            return;
        }
    }
    move(c, CONN_CLOSING);
    shard_flush_soon(c->shard, c);
}

static void check_open(struct conn *c, int64_t now_ms)
{
    int64_t silent_ms = now_ms - c->last_received_ms;

    if (silent_ms >= LIMIT_DEAD_MS) {
        count(c, STAT_dead_closes, 1);
        conn_close(c, WS_CLOSE_GOING_AWAY, STR("nothing heard for " TEXT_OF(LIMIT_DEAD_MS) " ms"));
    } else if (silent_ms >= LIMIT_PING_MS * (c->pings_unheard + 1)) {
        c->pings_unheard++;
        reply_frame(c, WS_PING, NULL, 0);
    }
}

static void check_http(struct conn *c, int64_t now_ms)
{
    int64_t age_ms = now_ms - c->since_ms;

    if (c->is_answering) return; /* its writes have a deadline of their own */
    if ((c->head.size || !c->has_asked) && age_ms >= LIMIT_REQUEST_HEAD_MS)
        site_refuse(c, 408);
    else if (age_ms >= LIMIT_KEEP_ALIVE_MS)
        conn_close(c, WS_CLOSE_NORMAL, STR(""));
}

/* A long answer over a slow line is no trouble as long as it moves. */
static void note_progress(struct conn *c, int64_t now_ms)
{
    size_t unwritten = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);

    if (unwritten == c->unwritten) return;
    c->unwritten = unwritten;
    c->progress_ms = now_ms;
}

/* ... but who draws a large answer by drops keeps its memory for hours. */
static bool answer_is_overdue(const struct conn *c, int64_t now_ms)
{
    int64_t allowed_ms = (int64_t)c->unread_size * 1000 / LIMIT_ANSWER_BYTES_PER_SECOND;

    return c->unread_size &&
           now_ms - c->answered_ms >= c->shard->env->slow_consumer_ms + allowed_ms;
}

void conn_check_deadlines(struct conn *c, int64_t now_ms)
{
    note_progress(c, now_ms);
    if (c->writing && (now_ms - c->progress_ms >= c->shard->env->slow_consumer_ms ||
                       answer_is_overdue(c, now_ms))) {
        count(c, STAT_slow_closes, 1);
        log_info("client cut: it takes too little of what waits for it",
                 F_STR("address", c->address));
        conn_destroy(c);
        return;
    }
    if (c->state == CONN_OPEN)
        check_open(c, now_ms);
    else if (c->state == CONN_HTTP)
        check_http(c, now_ms);
    else if (c->state == CONN_CLOSING && now_ms - c->since_ms >= LIMIT_CLOSE_MS)
        conn_destroy(c);
}

/* --- reading --- */

/* Answers to the many messages of one segment go out between them: only a client that does not read
 * lets them pile up. */
static void flush_replies(struct conn *c)
{
    if (c->outbox.reply_count >= LIMIT_REPLIES_QUEUED / 2) conn_flush(c);
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

    ws_feed(&c->ws, bytes, size);
    while (c->state == CONN_OPEN && ws_next(&c->ws, &event)) {
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

/* The head was served. What came behind it is the next request's, or already WebSocket frames. */
static void drop_head(struct conn *c, size_t taken)
{
    struct buf rest = c->head;

    c->head = (struct buf){0};
    if (c->state == CONN_OPEN && rest.size > taken)
        receive_ws(c, (uint8_t *)rest.data + taken, rest.size - taken);
    else if (c->state == CONN_HTTP)
        buf_add(&c->head, rest.data + taken, rest.size - taken);
    buf_deinit(&rest);
}

/* HTTP: collects a head, serves it, keeps what comes after it for the next. */
static void receive_http(struct conn *c, const uint8_t *bytes, size_t size)
{
    struct http_request request;
    int taken;

    if (!c->head.size && size) c->since_ms = c->last_received_ms;
    buf_add(&c->head, bytes, size);
    if (c->is_answering) {
        if (c->head.size > HTTP_HEAD_BYTES_MAX) uv_read_stop((uv_stream_t *)&c->tcp);
        return;
    }
    if (!c->head.size) return;
    taken = http_parse_head((const uint8_t *)c->head.data, c->head.size, &request);
    if (taken < 0) {
        site_refuse(c, -taken);
        return;
    }
    if (!taken) return;
    c->is_answering = c->has_asked = true;
    /* A body is nothing any of our doors reads: answer, then close instead of looking for its end.
     */
    c->close_after = !request.keep_alive || request.content_length > 0;
    site_serve(c, &request);
    if (c->state != CONN_CLOSED) drop_head(c, (size_t)taken);
}

void conn_receive(struct conn *c, uint8_t *bytes, size_t size)
{
    if (size) {
        count(c, STAT_bytes_received, (int64_t)size);
        c->last_received_ms = shard_now_ms(c->shard);
        c->pings_unheard = 0;
        if (c->state == CONN_OPEN) { /* keeps the list ordered by who was heard last */
            list_remove(&c->in_state);
            list_append(&c->shard->conns[CONN_OPEN], &c->in_state);
        }
    }
    if (c->state == CONN_HTTP)
        receive_http(c, bytes, size);
    else if (c->state == CONN_OPEN)
        receive_ws(c, bytes, size);
    /* CLOSING: what still comes is not looked at */
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = container_of(handle, struct conn, tcp);

    (void)suggested;
    *buf = uv_buf_init((char *)c->shard->read_buffer, sizeof(c->shard->read_buffer));
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct conn *c = container_of(stream, struct conn, tcp);

    if (nread == UV_EOF && c->state == CONN_HTTP && c->is_answering) {
        c->is_peer_done = true; /* it said all it had to say and waits for the answers */
        uv_read_stop(stream);
        return;
    }
    if (nread < 0) {
        conn_destroy(c);
        return;
    }
    if (nread) conn_receive(c, (uint8_t *)buf->base, (size_t)nread);
}

void conn_pause(struct conn *c)
{
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->is_paused = true;
    ws_take_rest(&c->ws, &c->head);
}

/* What had come before the pause is looked at first; it may lead to the next one. */
static void resume(struct conn *c)
{
    struct buf rest = c->head;

    c->head = (struct buf){0};
    c->is_paused = false;
    receive_ws(c, (uint8_t *)rest.data, rest.size);
    buf_deinit(&rest);
    if (c->state == CONN_OPEN && !c->is_paused)
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

/* --- beginning --- */

/* Now, since a socket that was reset does not tell any more. */
static void note_address(struct conn *c)
{
    struct sockaddr_storage address;
    int size = sizeof(address);

    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &size) ||
        uv_ip_name((struct sockaddr *)&address, c->address, sizeof(c->address)))
        c->address[0] = '\0';
}

static void set_socket_options(struct conn *c)
{
    int lowat = NOTSENT_LOWAT_BYTES, dead_ms = LIMIT_DEAD_MS;
    uv_os_fd_t fd;

    uv_tcp_nodelay(&c->tcp, 1);
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd)) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
}

/* Over capacity. A few may linger to read why; a storm's connections are cut at once, since each
 * lingering one holds a file descriptor. */
static void refuse(struct conn *c)
{
    struct shard_env *env = c->shard->env;

    c->is_refused = true;
    if (atomic_fetch_add_explicit(&env->refused_count, 1, memory_order_relaxed) <
        LIMIT_REFUSED_LINGERING)
        site_refuse(c, 503);
    else
        conn_destroy(c);
}

void conn_accept(struct shard *shard)
{
    struct conn *c = mem_zalloc(sizeof(*c));
    int64_t others;

    c->shard = shard;
    c->refs = 1;
    c->since_ms = c->last_received_ms = shard_now_ms(shard);
    list_init(&c->in_state);
    list_init(&c->in_flush);
    list_init(&c->in_blocked);
    outbox_init(&c->outbox);
    list_append(&shard->conns[CONN_HTTP], &c->in_state);
    count(c, STAT_connections, 1);
    count(c, STAT_connections_accepted, 1);
    others = atomic_fetch_add_explicit(&shard->env->connection_count, 1, memory_order_relaxed);
    c->has_place = true;
    uv_tcp_init(&shard->loop.uv, &c->tcp);
    if (uv_accept((uv_stream_t *)&shard->listener, (uv_stream_t *)&c->tcp) ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read)) {
        conn_destroy(c);
        return;
    }
    set_socket_options(c);
    note_address(c);
    if (others >= shard->env->connections_max) {
        count(c, STAT_connections_refused, 1);
        give_place_back(c); /* who lingers before the door keeps nobody out */
        refuse(c);
    }
}

void conn_answered(struct conn *c)
{
    if (c->state != CONN_HTTP) return;
    shard_flush_soon(c->shard, c);
    if (!c->close_after && !c->is_peer_done)
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

void conn_open(struct conn *c, const struct handshake *handshake)
{
    const struct shard_env *env = c->shard->env;
    bool has_deflate = handshake->deflate.is_on;
    struct buf answer = {0};

    handshake_write_accept(&answer, handshake);
    conn_reply(c, blob_take(&answer));
    ws_init(&c->ws, WS_SERVER, env->message_bytes_max, has_deflate ? &c->shard->inflater : NULL);
    c->uses_deflate = has_deflate && handshake->deflate.window_bits == DEFLATE_WINDOW_BITS_MAX;
    c->message_tokens = LIMIT_MESSAGES_BURST;
    c->tokens_ms = c->last_received_ms = shard_now_ms(c->shard);
    c->is_answering = false;
    move(c, CONN_OPEN);
    count(c, STAT_websockets_opened, 1);
    client_enter(c);
}
