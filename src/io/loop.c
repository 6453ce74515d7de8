#include "io/loop.h"

#include <assert.h>

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

static void on_wake(uv_async_t *wake)
{
    run_tasks(container_of(wake, struct loop, wake));
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
    err = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (err) goto fail_async;
    return 0;

fail_async:
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
        /* Inside the lock: after loop_close() the handle must not be touched. */
        if (was_empty) uv_async_send(&loop->wake);
    }
    uv_mutex_unlock(&loop->mutex);
    return !is_closed;
}
