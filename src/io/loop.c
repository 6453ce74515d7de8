#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void run_tasks(struct loop *loop)
{
    struct task *task, *next;

    uv_mutex_lock(&loop->mutex);
    task = loop->first;
    loop->first = loop->last = NULL;
    uv_mutex_unlock(&loop->mutex);
    for (; task; task = next) {
        next = task->next; /* run() may free it */
        task->run(task);
    }
}

static void on_wake(uv_poll_t *wake, int status, int events)
{
    struct loop *loop = container_of(wake, struct loop, wake);
    eventfd_t count;

    (void)status;
    (void)events;
    (void)eventfd_read(loop->wake_fd, &count);
    run_tasks(loop);
}

/* Instead of a uv_async_t, whose receiver spins until the sender is back from its system call: on
 * one core, until that has its turn again. */
static int init_wake(struct loop *loop)
{
    int err;

    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0) return -errno;
    err = uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd);
    if (err)
        close(loop->wake_fd);
    else if (uv_poll_start(&loop->wake, UV_READABLE, on_wake))
        abort(); /* fails only for a handle that is closing */
    return err;
}

int loop_init(struct loop *loop)
{
    int err;

    *loop = (struct loop){0};
    err = uv_loop_init(&loop->uv);
    if (err) return err;
    /* Lets libuv measure its sleep; costs a look at the sockets more before it falls asleep. */
    err = uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
    if (!err) err = uv_mutex_init(&loop->mutex);
    if (err) goto fail_mutex;
    err = init_wake(loop);
    if (err) goto fail_wake;
    return 0;

fail_wake:
    uv_mutex_destroy(&loop->mutex);
fail_mutex:
    uv_loop_close(&loop->uv);
    return err;
}

void loop_drain(struct loop *loop)
{
    run_tasks(loop);
}

void loop_deinit(struct loop *loop)
{
    int err;

    loop_drain(loop);
    err = uv_loop_close(&loop->uv);
    assert(!err);
    (void)err;
    while (atomic_load(&loop->waking))
        sched_yield(); /* who posted just before the end has yet to write */
    close(loop->wake_fd);
    uv_mutex_destroy(&loop->mutex);
}

int64_t loop_turn_us(struct loop *loop)
{
    uint64_t now_ns = uv_hrtime(), slept_ns = uv_metrics_idle_time(&loop->uv);
    uint64_t worked_ns = now_ns - loop->turn_ns - (slept_ns - loop->turn_slept_ns);

    loop->turn_ns = now_ns;
    loop->turn_slept_ns = slept_ns;
    return (int64_t)(worked_ns / 1000);
}

void loop_run(struct loop *loop)
{
    loop->turn_ns = uv_hrtime();
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_close(struct loop *loop)
{
    uv_mutex_lock(&loop->mutex);
    loop->is_closed = true;
    uv_mutex_unlock(&loop->mutex);
    if (!uv_is_closing((uv_handle_t *)&loop->wake)) uv_close((uv_handle_t *)&loop->wake, NULL);
}

bool loop_post(struct loop *loop, struct task *task)
{
    bool was_empty, is_closed;

    uv_mutex_lock(&loop->mutex);
    is_closed = loop->is_closed;
    was_empty = !loop->first;
    if (!is_closed) {
        task->next = NULL;
        if (was_empty)
            loop->first = task;
        else
            loop->last->next = task;
        loop->last = task;
        if (was_empty) atomic_fetch_add(&loop->waking, 1);
    }
    uv_mutex_unlock(&loop->mutex);
    /* Not under the lock, which the one that wakes up takes first of all. */
    if (!is_closed && was_empty) {
        (void)eventfd_write(loop->wake_fd, 1); /* fails only when it is full of wake-ups */
        atomic_fetch_sub(&loop->waking, 1);
    }
    return !is_closed;
}
