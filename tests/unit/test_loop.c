/* A thread's event loop: the time it works. */
#include "test.h"

#include <time.h>

#include "io/loop.h"

#define WORK_MS 20
#define WAIT_MS 5
#define TURNS   30

static struct loop loop;
static uv_timer_t timer;
static uv_prepare_t prepare;
static unsigned work_ms, turns;
static int64_t least_us, most_us;

static void on_timer(uv_timer_t *handle)
{
    struct timespec pause = {.tv_nsec = work_ms * 1000000};

    (void)handle;
    if (work_ms) nanosleep(&pause, NULL);
}

static void on_prepare(uv_prepare_t *handle)
{
    int64_t us = loop_turn_us(&loop);

    if (++turns == 1) return; /* it may lie before the first timer */
    least_us = MIN(least_us, us);
    most_us = MAX(most_us, us);
    if (turns < TURNS) return;
    uv_close((uv_handle_t *)handle, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    loop_close(&loop);
}

/* Turns of a loop that a timer wakes every WAIT_MS. */
static void run_turns(unsigned work)
{
    work_ms = work;
    turns = 0;
    least_us = INT64_MAX;
    most_us = 0;
    assert_int_equal(loop_init(&loop), 0);
    uv_prepare_init(&loop.uv, &prepare);
    uv_prepare_start(&prepare, on_prepare);
    uv_timer_init(&loop.uv, &timer);
    uv_timer_start(&timer, on_timer, WAIT_MS, WAIT_MS);
    loop_run(&loop);
    loop_deinit(&loop);
}

TEST(a_turn_has_the_time_of_the_work_in_it)
{
    run_turns(WORK_MS);
    assert_true(most_us >= WORK_MS * 1000);
}

/* The shortest of many: one that the machine let alone. */
TEST(a_turn_has_not_the_time_that_the_loop_slept)
{
    run_turns(0);
    assert_in_range(least_us, 0, WAIT_MS * 1000 - 1);
}
