/* poller.h - many sockets of one loop: an epoll set of our own, itself watched by libuv.
 *
 * libuv's stream handles cost 250 bytes a socket, with their requests twice that, and a few system
 * calls more per connection than are needed. Here a socket costs what its owner keeps of it, and a
 * whole batch of ready ones is one event of the loop. Level-triggered: what is not read or written
 * now is told again. Belongs to its loop's thread. */
#ifndef HEATCAST_IO_POLLER_H
#define HEATCAST_IO_POLLER_H

#include "io/loop.h"

enum { POLL_READ = 1, POLL_WRITE = 2, POLL_HANGUP = 4 };

struct poller {
    uv_poll_t poll;
    int fd;
    /* A socket is ready for some of POLL_READ and POLL_WRITE, or broken: POLL_HANGUP. It may have
     * been removed by an earlier call of the same batch: its memory must outlive the batch. */
    void (*on_ready)(struct poller *poller, void *owner, unsigned events);
    /* A batch is over. */
    void (*on_batch)(struct poller *poller);
};

int poller_init(struct poller *poller, struct loop *loop) MUST_CHECK;
/* Part of closing the loop; no callback comes after it. */
void poller_close(struct poller *poller);

/* Watches a non-blocking socket for `events`, until it is closed. */
int poller_add(struct poller *poller, int fd, unsigned events, void *owner) MUST_CHECK;
void poller_change(struct poller *poller, int fd, unsigned events, void *owner);

#endif
