/* sender.h - how bare.c writes one frame to many sockets: one of two ways, chosen when linking.
 *
 * sender_plain.c is a send() for each; sender_uring.c, an experiment, batches them by io_uring. */
#ifndef HEATCAST_BENCH_SENDER_H
#define HEATCAST_BENCH_SENDER_H

#include <sys/types.h>

#include "base/base.h"

/* A send that was not whole: `result` bytes of it, or minus an errno. */
typedef void (*sender_on_short)(void *owner, ssize_t result);

/* Descriptors are below `fd_max`. Ends the program where the kernel does not allow it. */
void sender_init(unsigned fd_max, sender_on_short on_short);
/* Makes a socket known before anything is sent to it. */
void sender_add(int fd);
/* Before it is closed. */
void sender_remove(int fd);
/* Sends, or has sent at the next sender_flush(); until then `bytes` stay. */
void sender_send(int fd, const void *bytes, size_t size, void *owner);
void sender_flush(void);

#endif
