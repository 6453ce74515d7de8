#include "io/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Ready sockets looked at in a row before the loop's other events have their turn. */
enum { BATCH = 1024 };

static unsigned from_epoll(uint32_t events)
{
    return (events & EPOLLIN ? (unsigned)POLL_READ : 0) |
           (events & EPOLLOUT ? (unsigned)POLL_WRITE : 0) |
           (events & (EPOLLHUP | EPOLLERR) ? (unsigned)POLL_HANGUP : 0);
}

static struct epoll_event to_epoll(unsigned events, void *owner)
{
    return (struct epoll_event){.events = (events & POLL_READ ? (uint32_t)EPOLLIN : 0) |
                                          (events & POLL_WRITE ? (uint32_t)EPOLLOUT : 0),
                                .data.ptr = owner};
}

static void on_poll(uv_poll_t *poll, int status, int uv_events)
{
    struct poller *poller = container_of(poll, struct poller, poll);
    struct epoll_event events[BATCH];
    int count = epoll_wait(poller->fd, events, BATCH, 0);

    (void)status;
    (void)uv_events;
    for (int i = 0; i < count; i++)
        poller->on_ready(poller, events[i].data.ptr, from_epoll(events[i].events));
    poller->on_batch(poller);
}

int poller_init(struct poller *poller, struct loop *loop)
{
    int err;

    poller->fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->fd < 0) return -errno;
    err = uv_poll_init(&loop->uv, &poller->poll, poller->fd);
    if (err)
        close(poller->fd);
    else if (uv_poll_start(&poller->poll, UV_READABLE, on_poll))
        abort(); /* fails only for a handle that is closing */
    return err;
}

static void on_closed(uv_handle_t *handle)
{
    close(container_of(handle, struct poller, poll)->fd);
}

void poller_close(struct poller *poller)
{
    uv_close((uv_handle_t *)&poller->poll, on_closed);
}

int poller_add(struct poller *poller, int fd, unsigned events, void *owner)
{
    struct epoll_event event = to_epoll(events, owner);

    return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

void poller_change(struct poller *poller, int fd, unsigned events, void *owner)
{
    struct epoll_event event = to_epoll(events, owner);

    /* Fails only for a socket that is not in the set: a mistake of ours. */
    if (epoll_ctl(poller->fd, EPOLL_CTL_MOD, fd, &event)) abort();
}
