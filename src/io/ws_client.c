#include "io/ws_client.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "wire/handshake.h"
#include "wire/ws.h"

#define READ_BYTES (64u << 10)

enum state { LOOKUP, CONNECT, HANDSHAKE, OPEN, CLOSING, CLOSED, STATES };

/* The resolver's job may outlive its client: it cannot be cancelled once it runs. */
struct lookup {
    uv_getaddrinfo_t request;
    struct ws_client *client; /* borrowed; NULL when it is gone */
};

struct ws_client {
    uv_timer_t timer; /* the deadline of the state */
    uv_tcp_t tcp;     /* of the address being tried, then of the connection */
    uv_connect_t connect;
    uv_write_t write; /* one at a time */
    const struct ws_client_listener *listener;
    void *context;
    struct ws_url url;

    struct lookup *lookup;       /* borrowed; NULL when it has answered */
    struct addrinfo *addresses;  /* owned */
    const struct addrinfo *next; /* of addresses: to be tried next */
    unsigned tried_count;

    uint8_t key[HANDSHAKE_KEY_BYTES];
    struct buf head; /* HANDSHAKE: the response so far */
    struct ws ws;
    struct inflater inflater;

    struct buf waiting; /* to be written next */
    struct buf writing; /* lent to libuv while is_writing */
    uint8_t pong[FRAME_CONTROL_BYTES_MAX];
    uint8_t pong_size;

    unsigned code; /* for on_closed() */
    char reason[256];

    uint8_t state;
    uint8_t handle_count; /* timer and tcp: initialised and not yet closed */
    bool has_pong;        /* pong is to be sent */
    bool is_writing;
    bool was_open; /* ws and inflater are in use */
    uint8_t input[READ_BYTES];
};

/* --- states --- */

static void enter(struct ws_client *c, enum state to)
{
    static const uint8_t allowed[STATES] = {
        [LOOKUP] = BIT(CONNECT) | BIT(CLOSED),
        [CONNECT] = BIT(HANDSHAKE) | BIT(CLOSED),
        [HANDSHAKE] = BIT(OPEN) | BIT(CLOSED),
        [OPEN] = BIT(CLOSING) | BIT(CLOSED),
        [CLOSING] = BIT(CLOSED),
    };

    assert(allowed[c->state] & BIT(to));
    c->state = (uint8_t)to;
}

static void on_timeout(uv_timer_t *timer);

static void set_deadline(struct ws_client *c, uint64_t after_ms)
{
    uv_timer_start(&c->timer, on_timeout, after_ms, 0);
}

static void PRINTF_LIKE(2, 3) set_reason(struct ws_client *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->reason, sizeof(c->reason), format, args);
    va_end(args);
}

static void finish(struct ws_client *c)
{
    c->listener->on_closed(c->context, c->code, c->reason);
    if (c->was_open) {
        ws_deinit(&c->ws);
        inflater_deinit(&c->inflater);
    }
    uv_freeaddrinfo(c->addresses);
    buf_deinit(&c->head);
    buf_deinit(&c->waiting);
    buf_deinit(&c->writing);
    free(c);
}

static void handle_closed(struct ws_client *c)
{
    if (--c->handle_count == 0) finish(c);
}

static void on_timer_closed(uv_handle_t *timer)
{
    handle_closed(container_of(timer, struct ws_client, timer));
}

static void try_next_address(struct ws_client *c);

static void on_tcp_closed(uv_handle_t *tcp)
{
    struct ws_client *c = container_of(tcp, struct ws_client, tcp);

    if (c->state != CONNECT) {
        handle_closed(c);
        return;
    }
    c->handle_count--;
    try_next_address(c);
}

static void close_tcp(struct ws_client *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp)) uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
}

/* The one way into CLOSED; code and reason are set. */
static void end(struct ws_client *c)
{
    if (c->state == CLOSED) return;
    enter(c, CLOSED);
    if (c->lookup) {
        c->lookup->client = NULL;
        uv_cancel((uv_req_t *)&c->lookup->request);
        c->lookup = NULL;
    }
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    if (c->handle_count > 1) close_tcp(c);
}

/* --- writing --- */

static void fill_random(void *out, size_t size)
{
    /* Without randomness there is no masking, and RFC 6455 §5.3 wants it unpredictable. */
    if (uv_random(NULL, NULL, out, size, 0, NULL)) abort();
}

static void add_frame(struct ws_client *c, unsigned opcode, const void *payload, size_t size)
{
    uint8_t mask[FRAME_MASK_BYTES];

    fill_random(mask, sizeof(mask));
    frame_append(&c->waiting, FRAME_FIN | opcode, payload, size, mask);
}

/* RFC 6455 §5.5.3: of several pings, only the last needs its pong. So a flood of them costs one
 * pong a write. */
static void add_owed_pong(struct ws_client *c)
{
    if (c->has_pong && c->state == OPEN) add_frame(c, WS_PONG, c->pong, c->pong_size);
    c->has_pong = false;
}

static void flush(struct ws_client *c);

static void on_written(uv_write_t *write, int status)
{
    struct ws_client *c = container_of(write, struct ws_client, write);

    c->is_writing = false;
    if (c->state == CLOSED) return;
    if (status == 0) {
        flush(c);
    } else if (c->state != CLOSING) { /* else the peer may still have its say */
        set_reason(c, "connection lost: %s", error_text(status));
        end(c);
    }
}

static void flush(struct ws_client *c)
{
    struct buf written = c->writing;
    uv_buf_t bytes;
    int err;

    if (c->is_writing) return;
    add_owed_pong(c);
    if (!c->waiting.size) return;
    c->writing = c->waiting;
    c->waiting = written;
    buf_clear(&c->waiting);
    bytes = uv_buf_init(c->writing.data, (unsigned)c->writing.size);
    err = uv_write(&c->write, (uv_stream_t *)&c->tcp, &bytes, 1, on_written);
    if (!err) {
        c->is_writing = true;
        return;
    }
    set_reason(c, "connection lost: %s", error_text(err));
    end(c);
}

/* Our close frame, which is the last thing we send: RFC 6455 §5.5.1. */
static void say_close(struct ws_client *c, unsigned code, struct str reason)
{
    uint8_t mask[FRAME_MASK_BYTES];

    add_owed_pong(c);
    fill_random(mask, sizeof(mask));
    frame_append_close(&c->waiting, code, reason, mask);
    enter(c, CLOSING);
    set_deadline(c, LIMIT_CLOSE_MS);
    flush(c);
}

/* --- reading --- */

static void break_off(struct ws_client *c, unsigned code, struct str reason)
{
    c->code = code;
    set_reason(c, "%.*s", (int)reason.size, reason.at);
    say_close(c, code, reason);
}

/* The peer's close frame: answered with its own code (§5.5.1), unless it answers ours. */
static void take_close(struct ws_client *c, const struct ws_event *event)
{
    if (c->code == WS_CLOSE_ABNORMAL) { /* else we broke off, and that stands */
        c->code = event->code;
        if (event->payload.size)
            set_reason(c, "%.*s", (int)event->payload.size, event->payload.at);
        else
            set_reason(c, "the server closed the connection");
    }
    if (c->state == OPEN) say_close(c, event->code, (struct str){0});
}

static void take_event(struct ws_client *c, const struct ws_event *event)
{
    switch (event->type) {
    case WS_EVENT_TEXT:
        if (c->state == OPEN) c->listener->on_message(c->context, event->payload);
        break;
    case WS_EVENT_BINARY:
        if (c->state == OPEN) break_off(c, WS_CLOSE_UNSUPPORTED_DATA, STR("a binary message came"));
        break;
    case WS_EVENT_PING:
        if (event->payload.size) memcpy(c->pong, event->payload.at, event->payload.size);
        c->pong_size = (uint8_t)event->payload.size;
        c->has_pong = true;
        break;
    case WS_EVENT_PONG:
        break;
    case WS_EVENT_CLOSE:
        take_close(c, event);
        break;
    case WS_EVENT_FAIL:
        if (c->state == OPEN) break_off(c, event->code, event->payload);
        break;
    }
}

static void receive(struct ws_client *c, uint8_t *bytes, size_t size)
{
    struct ws_event event;

    ws_feed(&c->ws, bytes, size);
    while (c->state != CLOSED && ws_next(&c->ws, &event))
        take_event(c, &event);
    if (c->state != CLOSED) flush(c);
}

static void open_ws(struct ws_client *c, size_t head_size, const struct handshake_deflate *deflate)
{
    enter(c, OPEN);
    uv_timer_stop(&c->timer);
    c->was_open = true;
    inflater_init(&c->inflater);
    ws_init(&c->ws, WS_CLIENT, WS_CLIENT_MESSAGE_BYTES_MAX, deflate->is_on ? &c->inflater : NULL);
    set_reason(c, "connection lost");
    c->listener->on_open(c->context);
    if (c->state == CLOSED) return;
    receive(c, (uint8_t *)c->head.data + head_size, c->head.size - head_size);
    buf_deinit(&c->head);
}

static void refuse(struct ws_client *c, const struct http_response *response)
{
    if (response->status != 101)
        set_reason(c, "the server answered %d %s to %s", response->status,
                   http_reason(response->status), c->url.target);
    else
        set_reason(c, "the server's handshake is not valid (RFC 6455 §4.1)");
    end(c);
}

static struct handshake_request make_request(struct ws_client *c)
{
    struct handshake_request request = {
        .host = str_of(c->url.authority), .target = str_of(c->url.target), .offers_deflate = true};

    memcpy(request.key, c->key, sizeof(c->key));
    return request;
}

static void receive_head(struct ws_client *c, const uint8_t *bytes, size_t size)
{
    struct handshake_request request = make_request(c);
    struct handshake_deflate deflate;
    struct http_response response;
    int head_size;

    buf_add(&c->head, bytes, size);
    head_size = http_parse_response((const uint8_t *)c->head.data, c->head.size, &response);
    if (head_size == 0) return;
    if (head_size < 0) {
        set_reason(c, "the server does not answer in HTTP");
        end(c);
    } else if (handshake_check_response(&response, &request, &deflate))
        refuse(c, &response);
    else
        open_ws(c, (size_t)head_size, &deflate);
}

/* --- libuv's callbacks --- */

static void on_alloc(uv_handle_t *tcp, size_t suggested, uv_buf_t *out)
{
    struct ws_client *c = container_of(tcp, struct ws_client, tcp);

    (void)suggested;
    *out = uv_buf_init((char *)c->input, sizeof(c->input));
}

static void on_read(uv_stream_t *tcp, ssize_t nread, const uv_buf_t *buf)
{
    struct ws_client *c = container_of(tcp, struct ws_client, tcp);

    (void)buf;
    if (nread == 0) return;
    if (nread > 0 && c->state == HANDSHAKE) {
        receive_head(c, c->input, (size_t)nread);
    } else if (nread > 0) {
        receive(c, c->input, (size_t)nread);
    } else {
        if (c->state == HANDSHAKE)
            set_reason(c, "the server ended the connection instead of answering");
        else if (c->state == OPEN)
            set_reason(c, "connection lost: %s",
                       nread == UV_EOF ? "ended without a close frame" : error_text((int)nread));
        end(c);
    }
}

static void shake_hands(struct ws_client *c)
{
    struct handshake_request request;
    int err;

    enter(c, HANDSHAKE);
    set_deadline(c, WS_CLIENT_STEP_MS);
    uv_tcp_nodelay(&c->tcp, 1);
    fill_random(c->key, sizeof(c->key));
    request = make_request(c);
    handshake_write_request(&c->waiting, &request);
    flush(c);
    if (c->state != HANDSHAKE) return;
    err = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    if (!err) return;
    set_reason(c, "connection lost: %s", error_text(err));
    end(c);
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct ws_client *c = container_of(connect, struct ws_client, connect);

    /* Ended, or this address took too long: the tcp is on its way out already. */
    if (c->state != CONNECT || status == UV_ECANCELED) return;
    if (status == 0) {
        shake_hands(c);
        return;
    }
    set_reason(c, "cannot connect to %s port %s: %s", c->url.host, c->url.port, error_text(status));
    close_tcp(c);
}

static void try_next_address(struct ws_client *c)
{
    const struct addrinfo *address = c->next;
    int err;

    if (!address || c->tried_count == WS_CLIENT_ADDRESSES_MAX) {
        end(c);
        return;
    }
    c->next = address->ai_next;
    c->tried_count++;
    set_deadline(c, WS_CLIENT_STEP_MS);
    uv_tcp_init(c->timer.loop, &c->tcp); /* makes no socket yet, so it cannot fail */
    c->handle_count++;
    err = uv_tcp_connect(&c->connect, &c->tcp, address->ai_addr, on_connect);
    if (err) on_connect(&c->connect, err);
}

static void on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct lookup *lookup = container_of(request, struct lookup, request);
    struct ws_client *c = lookup->client;

    free(lookup);
    if (!c) {
        uv_freeaddrinfo(addresses);
        return;
    }
    c->lookup = NULL;
    c->addresses = addresses;
    c->next = addresses;
    if (status) {
        set_reason(c, "cannot find %s: %s", c->url.host, uv_strerror(status));
        end(c);
        return;
    }
    enter(c, CONNECT);
    try_next_address(c);
}

static void on_timeout(uv_timer_t *timer)
{
    struct ws_client *c = container_of(timer, struct ws_client, timer);

    switch (c->state) {
    case LOOKUP:
        set_reason(c, "cannot find %s: no answer in %d s", c->url.host, WS_CLIENT_STEP_MS / 1000);
        break;
    case CONNECT:
        set_reason(c, "cannot connect to %s port %s: no answer in %d s", c->url.host, c->url.port,
                   WS_CLIENT_STEP_MS / 1000);
        close_tcp(c); /* and on to the next address */
        return;
    case HANDSHAKE:
        set_reason(c, "the server did not answer the handshake in %d s", WS_CLIENT_STEP_MS / 1000);
        break;
    default: /* CLOSING: what we know by now stands */
        break;
    }
    end(c);
}

/* --- the header's functions --- */

struct ws_client *ws_client_open(uv_loop_t *loop, const struct ws_url *url,
                                 const struct ws_client_listener *listener, void *context)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    struct ws_client *c = mem_zalloc(sizeof(*c));
    int err;

    c->listener = listener;
    c->context = context;
    c->url = *url;
    c->state = LOOKUP;
    c->code = WS_CLOSE_ABNORMAL;
    uv_timer_init(loop, &c->timer);
    c->handle_count = 1;
    set_deadline(c, WS_CLIENT_STEP_MS);
    c->lookup = mem_zalloc(sizeof(*c->lookup));
    c->lookup->client = c;
    err = uv_getaddrinfo(loop, &c->lookup->request, on_lookup, c->url.host, c->url.port, &hints);
    if (err) {
        free(c->lookup);
        c->lookup = NULL;
        set_reason(c, "cannot find %s: %s", c->url.host, uv_strerror(err));
        end(c);
    }
    return c;
}

int ws_client_send(struct ws_client *c, struct str text)
{
    if (c->state != OPEN) return ERR_STOPPED;
    if (c->waiting.size + text.size > WS_CLIENT_WAITING_BYTES_MAX) return ERR_FULL;
    add_frame(c, WS_TEXT, text.at, text.size);
    flush(c);
    return 0;
}

void ws_client_close(struct ws_client *c, unsigned code, struct str reason)
{
    if (c->state == OPEN)
        say_close(c, code, reason);
    else if (c->state != CLOSING)
        ws_client_destroy(c, "closed before it was open");
}

void ws_client_destroy(struct ws_client *c, const char *reason)
{
    if (c->state == CLOSED) return;
    set_reason(c, "%s", reason);
    end(c);
}
