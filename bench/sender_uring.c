#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sender.h"

/* Sends of one system call. */
enum { BATCH = 256 };

static struct io_uring ring;
static sender_on_short short_sent;
static unsigned waiting; /* prepared, not submitted */

void sender_init(unsigned fd_max, sender_on_short on_short)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                     .cq_entries = fd_max};
    int err = io_uring_queue_init_params(BATCH, &ring, &params);

    if (!err) err = io_uring_register_files_sparse(&ring, fd_max);
    if (err) {
        fprintf(stderr, "io_uring: %s\n", strerror(-err));
        exit(1);
    }
    short_sent = on_short;
}

/* A fixed file: the kernel looks nothing up and takes no reference for each send. */
void sender_add(int fd)
{
    if (io_uring_register_files_update(&ring, (unsigned)fd, &fd, 1) != 1) abort();
}

void sender_remove(int fd)
{
    int none = -1;

    if (io_uring_register_files_update(&ring, (unsigned)fd, &none, 1) != 1) abort();
}

static void submit(void)
{
    if (waiting && io_uring_submit(&ring) != (int)waiting) abort();
    waiting = 0;
}

/* Completions that succeed are left out. A short send would be one, had it not MSG_WAITALL, which
 * makes less than all a failure; MSG_DONTWAIT keeps the kernel from waiting for the rest itself. */
void sender_send(int fd, const void *bytes, size_t size, void *owner)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    io_uring_prep_send(sqe, fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS);
    io_uring_sqe_set_data(sqe, owner);
    if (++waiting == BATCH) submit();
}

void sender_flush(void)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;

    submit();
    io_uring_for_each_cqe(&ring, head, cqe)
    {
        short_sent(io_uring_cqe_get_data(cqe), cqe->res);
        count++;
    }
    io_uring_cq_advance(&ring, count);
}
