/* loop.h - a thread's libuv event loop, and the only door between threads.
 *
 * A loop belongs to the thread that runs it; nothing of it may be touched from another thread but
 * through loop_post(). */
#ifndef HEATCAST_IO_LOOP_H
#define HEATCAST_IO_LOOP_H

#include <uv.h>

#include "base/base.h"

/* A message to a loop: lives inside the sender's struct (container_of), belongs to the loop from
 * loop_post() until `run` is called with it, and may be freed or posted again there. */
struct task {
    void (*run)(struct task *task);
    struct task *next; /* the loop's */
};

struct loop {
    uv_loop_t uv;
    uv_poll_t wake;     /* of wake_fd */
    int wake_fd;        /* an eventfd */
    _Atomic int waking; /* threads that are about to write to it */
    uv_mutex_t mutex;   /* guards the three below */
    struct task *first; /* posted, not yet run; oldest first */
    struct task *last;
    bool is_closed;
    uint64_t turn_ns, turn_slept_ns; /* loop_turn_us(): when it was called, the sleep until then */
};

int loop_init(struct loop *loop) MUST_CHECK;
/* After loop_run() has returned: runs, on the calling thread, the tasks that were posted before
 * loop_close() and did not get their turn, so that nothing they own is lost. */
void loop_drain(struct loop *loop);
/* After loop_run() has returned; drains first. Every handle must have been closed. */
void loop_deinit(struct loop *loop);

/* Runs on the calling thread until loop_close() was called and every other handle is closed. */
void loop_run(struct loop *loop);
/* On the loop's own thread: lets loop_run() end. loop_post() refuses from now on. */
void loop_close(struct loop *loop);

/* On the loop's own thread: for how long the loop has worked since the last call, or since
 * loop_run(); the sleep between is not counted. Called at the end of each turn, before the loop
 * sleeps, it is what an event may have had to wait. */
int64_t loop_turn_us(struct loop *loop);

/* From any thread: runs `task` on the loop's thread, in the order of posting. Returns false, the
 * task untouched, when the loop is closed. */
bool loop_post(struct loop *loop, struct task *task);

#endif
