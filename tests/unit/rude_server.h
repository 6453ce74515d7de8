/* rude_server.h - a real HTTP server on a free port of 127.0.0.1, a thread for each connection,
 * that answers as it is told, well or badly. */
#ifndef HEATCAST_RUDE_SERVER_H
#define HEATCAST_RUDE_SERVER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

enum { RUDE_CONNECTIONS_MAX = 64, RUDE_HEAD_MAX = 8192 };

struct rude_server {
    int listener;
    int port;
    pthread_t thread;
    /* Writes an answer to the request head (NUL-terminated) into the socket; false: close it. */
    bool (*answer)(struct rude_server *server, int fd, const char *head);
    int fds[RUDE_CONNECTIONS_MAX];
    pthread_t threads[RUDE_CONNECTIONS_MAX];
    _Atomic int connection_count;
    _Atomic int request_count;
    _Atomic bool is_open; /* those who wait for it (rude_hold) go on */
};

struct rude_connection {
    struct rude_server *server;
    int fd;
};

static inline void rude_send(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        if (sent <= 0) return;
        bytes += sent;
        size -= (size_t)sent;
    }
}

static inline void rude_say(int fd, const char *text)
{
    rude_send(fd, text, strlen(text));
}

/* Says nothing until the server is opened, or the peer or the server hangs up. */
static inline void rude_hold(struct rude_server *server, int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN | POLLRDHUP};

    while (!atomic_load(&server->is_open) && poll(&pollfd, 1, 10) == 0)
        ;
}

static inline void *rude_talk(void *context)
{
    struct rude_connection c = *(struct rude_connection *)context;
    char head[RUDE_HEAD_MAX + 1];
    size_t size = 0;

    free(context);
    for (;;) {
        ssize_t got = recv(c.fd, head + size, RUDE_HEAD_MAX - size, 0);

        if (got <= 0) break;
        size += (size_t)got;
        head[size] = '\0';
        if (!strstr(head, "\r\n\r\n")) continue;
        atomic_fetch_add(&c.server->request_count, 1);
        if (!c.server->answer(c.server, c.fd, head)) break;
        size = 0;
    }
    shutdown(c.fd, SHUT_RDWR);
    return NULL;
}

static inline void *rude_accept(void *context)
{
    struct rude_server *server = context;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        struct rude_connection *c = malloc(sizeof(*c));
        int index = atomic_load(&server->connection_count);

        *c = (struct rude_connection){server, fd};
        server->fds[index] = fd;
        if (pthread_create(&server->threads[index], NULL, rude_talk, c)) abort();
        atomic_store(&server->connection_count, index + 1);
        if (index + 1 == RUDE_CONNECTIONS_MAX) break;
    }
    return NULL;
}

static inline void rude_start(struct rude_server *server,
                              bool (*answer)(struct rude_server *, int, const char *))
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    memset(server, 0, sizeof(*server));
    server->answer = answer;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listener, 64), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, rude_accept, server), 0);
}

static inline void rude_stop(struct rude_server *server)
{
    atomic_store(&server->is_open, true);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    for (int i = 0; i < atomic_load(&server->connection_count); i++) {
        shutdown(server->fds[i], SHUT_RDWR);
        pthread_join(server->threads[i], NULL);
        close(server->fds[i]);
    }
}

#endif
