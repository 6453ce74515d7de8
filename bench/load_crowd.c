#include "load_crowd.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "wire/http.h"

enum {
    EVENTS_MAX = 512,
    PENDING_MAX = 128,          /* handshakes at once: fewer than any backlog */
    CLIENTS_PER_ADDRESS = 4000, /* one has about 28000 ports */
    OPEN_TIMEOUT_S = 20,        /* without any progress */
};

static NORETURN void die(const char *what)
{
    perror(what);
    exit(1);
}

int64_t crowd_now_ns(const struct crowd *crowd)
{
    struct timespec now;

    /* What the kernel stamps is wall clock time. */
    clock_gettime(crowd->options.uses_kernel_time ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void crowd_init(struct crowd *crowd, const struct crowd_options *options, unsigned count,
                unsigned stalled)
{
    *crowd = (struct crowd){.options = *options, .count = count};
    crowd->clients = mem_zalloc(count * sizeof(*crowd->clients));
    crowd->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (crowd->poll_fd < 0) die("epoll_create1");
    /* Evenly among the others. */
    for (unsigned i = 0; i < stalled; i++)
        crowd->clients[(uint64_t)i * count / stalled].is_stalled = true;
}

void crowd_deinit(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->count; i++)
        if (crowd->clients[i].state != CLIENT_NONE && crowd->clients[i].state != CLIENT_CLOSED)
            close(crowd->clients[i].fd);
    close(crowd->poll_fd);
    free(crowd->clients);
}

static void client_close(struct crowd *crowd, struct client *c)
{
    if (c->state == CLIENT_OPEN)
        crowd->open--;
    else
        crowd->pending--;
    crowd->closed++;
    c->state = CLIENT_CLOSED;
    close(c->fd);
}

/* ---- opening ---- */

static void set_options(const struct crowd *crowd, const struct client *c)
{
    static const int one = 1, small = CROWD_STALLED_RCVBUF;
    static const struct linger reset = {.l_onoff = 1};

    /* Ports are chosen by connect(), per destination; ends leave no TIME_WAIT behind. */
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    if (crowd->options.uses_kernel_time)
        setsockopt(c->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
    if (c->is_stalled) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
}

static void client_connect(struct crowd *crowd, struct client *c)
{
    const struct crowd_options *options = &crowd->options;
    unsigned index = (unsigned)(c - crowd->clients);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(options->ports[index % options->port_count])};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->address.sin_family = AF_INET;
    c->address.sin_addr.s_addr = htonl(0x7f000101 + index / CLIENTS_PER_ADDRESS); /* 127.0.1.1 */
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    set_options(crowd, c);
    if (bind(c->fd, (struct sockaddr *)&c->address, sizeof(c->address))) die("bind");
    if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS) die("connect");
    if (epoll_ctl(crowd->poll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
    c->state = CLIENT_CONNECTING;
    crowd->pending++;
}

/* What browsers offer. The key is RFC 6455 §1.3's: nobody is to be fooled here. */
static void client_ask(struct crowd *crowd, struct client *c)
{
    static const char offer[] =
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    socklen_t size = sizeof(c->address);
    struct buf out = {0};

    getsockname(c->fd, (struct sockaddr *)&c->address, &size);
    buf_printf(&out,
               "GET %.*s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
               "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               "Sec-WebSocket-Version: 13\r\n%s\r\n",
               (int)crowd->options.target.size, crowd->options.target.at,
               crowd->options.offers_deflate ? offer : "");
    if (send(c->fd, out.data, out.size, MSG_NOSIGNAL) == (ssize_t)out.size)
        c->state = CLIENT_ASKED;
    else
        client_close(crowd, c);
    buf_deinit(&out);
}

/* The answer's head is small and comes in one piece over loopback. Returns its size. */
static size_t client_upgraded(struct crowd *crowd, struct client *c, const uint8_t *bytes,
                              size_t size)
{
    struct http_response response;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = c};
    int head = http_parse_response(bytes, size, &response);

    if (head <= 0 || response.status != 101) {
        if (crowd->closed == 0)
            fprintf(stderr, "load: a handshake was answered %d\n", head > 0 ? response.status : 0);
        client_close(crowd, c);
        return size;
    }
    c->state = CLIENT_OPEN;
    crowd->pending--;
    crowd->open++;
    if (c->is_stalled) event.events = EPOLLERR;
    epoll_ctl(crowd->poll_fd, EPOLL_CTL_MOD, c->fd, &event);
    return (size_t)head;
}

unsigned crowd_open(struct crowd *crowd, unsigned from, unsigned to)
{
    unsigned open_before = crowd->open, seen = 0;
    int64_t progress_ns = crowd_now_ns(crowd);

    for (unsigned next = from; next < to || crowd->pending;) {
        while (next < to && crowd->pending < PENDING_MAX)
            client_connect(crowd, &crowd->clients[next++]);
        crowd_pump(crowd, 100);
        if (crowd->open + crowd->closed != seen) progress_ns = crowd_now_ns(crowd);
        seen = crowd->open + crowd->closed;
        if (crowd_now_ns(crowd) - progress_ns > OPEN_TIMEOUT_S * INT64_C(1000000000)) break;
    }
    return (to - from) - (crowd->open - open_before);
}

void crowd_subscribe(struct crowd *crowd, unsigned from, unsigned to)
{
    static const uint8_t mask[FRAME_MASK_BYTES] = {1, 2, 3, 4};
    struct str text = crowd->options.subscribe;
    struct buf out = {0};

    if (text.size == 0) return;
    frame_append(&out, FRAME_FIN | WS_TEXT, text.at, text.size, mask);
    for (unsigned i = from; i < to; i++)
        if (crowd->clients[i].state == CLIENT_OPEN &&
            send(crowd->clients[i].fd, out.data, out.size, MSG_NOSIGNAL) < 0)
            client_close(crowd, &crowd->clients[i]);
    buf_deinit(&out);
}

/* ---- reading ---- */

static void message_end(struct crowd *crowd, struct client *c, int64_t now_ns)
{
    uint64_t bytes = c->message_bytes;

    c->message_bytes = 0;
    if (bytes < crowd->options.message_bytes) return;
    c->message_count++;
    if (c->is_done || c->is_stalled) return;
    c->is_done = true;
    c->done_ns = now_ns;
    crowd->done++;
    crowd->last_message_bytes = bytes;
}

static void frame_end(struct crowd *crowd, struct client *c, int64_t now_ns)
{
    bool is_control = c->header[0] & 0x08;

    c->header_size = 0;
    if (!is_control && (c->header[0] & FRAME_FIN)) message_end(crowd, c, now_ns);
}

/* A ping is answered when it is there as a whole, as good as always. */
static void answer_ping(struct client *c, const uint8_t *payload, size_t size)
{
    static const uint8_t mask[FRAME_MASK_BYTES] = {0};
    struct buf out = {0};

    if (size < c->left) return;
    frame_append(&out, FRAME_FIN | WS_PONG, payload, c->left, mask);
    (void)!send(c->fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_deinit(&out);
}

/* Takes one byte of a header; true when it was the last one. RFC 6455 §5.2; a server masks nothing.
 */
static bool header_take(struct client *c, uint8_t byte)
{
    unsigned length, bytes;

    c->header[c->header_size++] = byte;
    if (c->header_size < 2) return false;
    length = c->header[1] & 0x7f;
    bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (c->header_size < 2 + bytes) return false;
    c->left = bytes ? 0 : length;
    for (unsigned i = 0; i < bytes; i++)
        c->left = c->left << 8 | c->header[2 + i];
    if (!(c->header[0] & 0x08)) c->message_bytes += c->left;
    return true;
}

static void keep_tail(struct client *c, const uint8_t *bytes, size_t size)
{
    size_t n = MIN(size, sizeof(c->tail));

    memmove(c->tail, c->tail + n, sizeof(c->tail) - n);
    memcpy(c->tail + sizeof(c->tail) - n, bytes + size - n, n);
}

static void client_feed(struct crowd *crowd, struct client *c, const uint8_t *bytes, size_t size,
                        int64_t now_ns)
{
    while (size > 0) {
        size_t n = 1;

        if (c->left == 0) {
            if (header_take(c, *bytes)) {
                if ((c->header[0] & 0x0f) == WS_PING) answer_ping(c, bytes + 1, size - 1);
                if (c->left == 0) frame_end(crowd, c, now_ns);
            }
        } else {
            n = MIN(size, c->left);
            if (c->is_stalled) keep_tail(c, bytes, n);
            c->left -= n;
            if (c->left == 0) frame_end(crowd, c, now_ns);
        }
        bytes += n;
        size -= n;
    }
}

/* recv(), and when the newest of its bytes came. */
static ssize_t receive(const struct crowd *crowd, int fd, void *bytes, size_t size, int64_t *at_ns)
{
    char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec part = {bytes, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *header;
    struct timespec stamp;
    ssize_t n;

    if (!crowd->options.uses_kernel_time) {
        n = recv(fd, bytes, size, MSG_DONTWAIT);
        *at_ns = crowd_now_ns(crowd);
        return n;
    }
    n = recvmsg(fd, &message, MSG_DONTWAIT);
    *at_ns = crowd_now_ns(crowd);
    header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
        memcpy(&stamp, CMSG_DATA(header), sizeof(stamp));
        *at_ns = (int64_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec;
    }
    return n;
}

static void client_read(struct crowd *crowd, struct client *c)
{
    static uint8_t buffer[1 << 18];
    size_t head = 0;
    int64_t now_ns;
    ssize_t n;

    do {
        n = receive(crowd, c->fd, buffer, sizeof(buffer), &now_ns);
        if (n <= 0) {
            if (n == 0 || errno != EAGAIN) client_close(crowd, c);
            return;
        }
        if (c->state == CLIENT_ASKED) head = client_upgraded(crowd, c, buffer, (size_t)n);
        client_feed(crowd, c, buffer + head, (size_t)n - head, now_ns);
        head = 0;
    } while (n == sizeof(buffer) && c->state == CLIENT_OPEN);
}

static void client_event(struct crowd *crowd, struct client *c, uint32_t events)
{
    if (c->state == CLIENT_CONNECTING && (events & EPOLLOUT)) client_ask(crowd, c);
    if (c->state == CLIENT_CLOSED) return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) client_read(crowd, c);
}

bool crowd_pump(struct crowd *crowd, int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(crowd->poll_fd, events, EVENTS_MAX, wait_ms);
    bool is_foreign = false;

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr)
            client_event(crowd, events[i].data.ptr, events[i].events);
        else
            is_foreign = true;
    }
    return is_foreign;
}

void crowd_expect(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->count; i++)
        crowd->clients[i].is_done = false;
    crowd->done = 0;
}

void crowd_unstall(struct crowd *crowd)
{
    static const int large = 1 << 22;

    for (unsigned i = 0; i < crowd->count; i++) {
        struct client *c = &crowd->clients[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = c};

        if (!c->is_stalled || c->state != CLIENT_OPEN) continue;
        c->message_count = 0;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
        epoll_ctl(crowd->poll_fd, EPOLL_CTL_MOD, c->fd, &event);
    }
}
