/* bare.c - the kernel's limit: a loop of send() over all sockets, of one frame built beforehand.
 *
 *     bare [--deflated]
 *
 * Listens on a free port of 127.0.0.1 and prints it. What asks for an upgrade becomes a WebSocket
 * and gets what is posted to any path: the body as one text frame, with --deflated as one that says
 * it is compressed (the poster has done that). A socket that does not take a whole frame keeps the
 * rest of it and is left out until that is gone. One thread, nothing else: what a server costs
 * beyond this is its own. How it sends is sender.h's. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sender.h"
#include "wire/frame.h"
#include "wire/handshake.h"

enum { FD_MAX = 65536, EVENTS_MAX = 256, FRAME_MAX = 1 << 24 };

struct conn {
    int fd;
    uint32_t index;   /* in open_conns, once it is a WebSocket */
    struct buf in;    /* a request's bytes until it is whole */
    struct buf rest;  /* of a frame that the socket did not take whole */
    size_t rest_sent; /* of rest */
    bool is_open;     /* a WebSocket */
};

static struct conn *open_conns[FD_MAX]; /* the WebSockets */
static uint32_t open_count;
static int poll_fd;
static bool is_deflated;
static const struct buf *current; /* the frame that is being sent */

static NORETURN void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(struct conn *c, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(poll_fd, operation, c->fd, &event)) die("epoll_ctl");
}

static void conn_close(struct conn *c)
{
    if (c->is_open) {
        sender_remove(c->fd);
        open_conns[c->index] = open_conns[--open_count];
        open_conns[c->index]->index = c->index;
    }
    close(c->fd);
    buf_deinit(&c->in);
    buf_deinit(&c->rest);
    free(c);
}

/* ---- the loop that is measured ---- */

/* A socket that took nothing misses the frame; one that took a part is owed the rest. */
static void on_short(void *owner, ssize_t sent)
{
    struct conn *c = owner;

    if (sent <= 0) return;
    buf_clear(&c->rest);
    buf_add(&c->rest, current->data + sent, current->size - (size_t)sent);
    c->rest_sent = 0;
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static void publish(const struct buf *frame)
{
    current = frame;
    for (uint32_t i = 0; i < open_count; i++)
        if (!open_conns[i]->rest.size)
            sender_send(open_conns[i]->fd, frame->data, frame->size, open_conns[i]);
    sender_flush();
}

/* ---- around it ---- */

static void publish_body(const char *body, size_t size)
{
    static struct buf frame;

    buf_clear(&frame);
    frame_append(&frame, FRAME_FIN | (is_deflated ? FRAME_RSV1 : 0) | WS_TEXT, body, size, NULL);
    publish(&frame);
}

static void send_rest(struct conn *c)
{
    ssize_t n = send(c->fd, c->rest.data + c->rest_sent, c->rest.size - c->rest_sent,
                     MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0) c->rest_sent += (size_t)n;
    if (c->rest_sent < c->rest.size) return;
    buf_deinit(&c->rest);
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void answer(struct conn *c, const struct buf *out)
{
    if (send(c->fd, out->data, out->size, MSG_NOSIGNAL) != (ssize_t)out->size) die("send");
}

static void upgrade(struct conn *c, const struct http_request *request)
{
    struct handshake handshake;
    static struct buf out;

    buf_clear(&out);
    if (handshake_check(request, is_deflated, &handshake)) {
        conn_close(c);
        return;
    }
    handshake_write_accept(&out, &handshake);
    answer(c, &out);
    buf_deinit(&c->in);
    c->is_open = true;
    c->index = open_count;
    open_conns[open_count++] = c;
    sender_add(c->fd);
}

static void on_request(struct conn *c, const struct http_request *request, size_t head)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct buf out = {.data = (char *)(uintptr_t)ok, .size = sizeof(ok) - 1};

    if (request->method == HTTP_GET) {
        upgrade(c, request);
        return;
    }
    if (c->in.size < head + request->content_length) return;
    publish_body(c->in.data + head, request->content_length);
    answer(c, &out);
    buf_clear(&c->in);
}

static void on_readable(struct conn *c)
{
    static uint8_t bytes[1 << 16];
    ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    struct http_request request;
    int head;

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) conn_close(c);
        return;
    }
    if (c->is_open) return; /* what clients say is not our subject */
    buf_add(&c->in, bytes, (size_t)n);
    head = http_parse_head((uint8_t *)c->in.data, c->in.size, &request);
    if (head < 0 || c->in.size > FRAME_MAX)
        conn_close(c);
    else if (head > 0)
        on_request(c, &request, (size_t)head);
}

static void on_connections(int listen_fd)
{
    static const int one = 1;

    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct conn *c;

        if (fd < 0) return;
        if (fd >= FD_MAX) die("too many files");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        c = mem_zalloc(sizeof(*c));
        c->fd = fd;
        watch(c, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4096)) die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &size)) die("getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

/* Returns how many descriptors there can be. */
static unsigned raise_file_limit(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = MIN(limit.rlim_max, FD_MAX);
    setrlimit(RLIMIT_NOFILE, &limit);
    return (unsigned)limit.rlim_cur;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX], listening = {.events = EPOLLIN};
    int listen_fd;

    is_deflated = argc > 1 && !strcmp(argv[1], "--deflated");
    sender_init(raise_file_limit(), on_short);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = listen_on_loopback();
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, listen_fd, &listening)) die("epoll_ctl");
    for (;;) {
        int n = epoll_wait(poll_fd, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;

            if (!c)
                on_connections(listen_fd);
            else if (events[i].events & EPOLLOUT)
                send_rest(c);
            else
                on_readable(c);
        }
    }
}
