#include "io/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/store_conn.h"
#include "io/store_file.h"

/* While closing, running statements are interrupted this often: one that starts just after an
 * interrupt has missed it. */
#define INTERRUPT_EVERY_NS UINT64_C(10000000)

struct worker {
    struct stats stats;
    uv_thread_t thread;
    struct store *store;
    struct store_conn *conn; /* owned */
};

/* Jobs that wait, oldest first. */
struct lane {
    struct store_job *first, *last;
    unsigned count;
};

struct store {
    duckdb_database database;
    char *path;              /* owned */
    uv_mutex_t write_lock;   /* see store_conn.h */
    atomic_bool is_stopping; /* set under the mutex, read anywhere */
    struct worker *workers;  /* owned array */
    unsigned worker_count;
    uv_mutex_t mutex;         /* guards the five below */
    uv_cond_t changed;        /* a job came, the store stops, a worker ended */
    struct lane live, others; /* waiting */
    unsigned others_running;  /* workers busy with one of `others` */
    unsigned running_count;   /* workers that have not ended */
};

static void on_given_back(struct task *task)
{
    struct store_job *job = container_of(task, struct store_job, task);

    job->done(job);
}

static void give_back(struct store_job *job)
{
    job->task.run = on_given_back;
    loop_post(job->loop, &job->task); /* refused: that loop has ended, nobody waits */
}

static void lane_push(struct lane *lane, struct store_job *job)
{
    if (lane->last)
        lane->last->next = job;
    else
        lane->first = job;
    lane->last = job;
    lane->count++;
}

static struct store_job *lane_pop(struct lane *lane)
{
    struct store_job *job = lane->first;

    lane->first = job->next;
    if (!lane->first) lane->last = NULL;
    lane->count--;
    return job;
}

/* The next job a worker may take, NULL for none now. */
static struct store_job *pop_job(struct store *store)
{
    unsigned most = store->worker_count > 1 ? store->worker_count - 1 : 1;

    if (store->live.first) return lane_pop(&store->live);
    if (!store->others.first || store->others_running >= most) return NULL;
    store->others_running++;
    return lane_pop(&store->others);
}

static void finish_job(struct store *store, struct store_job *job)
{
    bool is_live = job->is_live;

    give_back(job); /* it may be gone from here on */
    uv_mutex_lock(&store->mutex);
    if (is_live) return;
    store->others_running--;
    if (store->others.first) uv_cond_signal(&store->changed);
}

static void worker_run(void *arg)
{
    struct worker *worker = arg;
    struct store *store = worker->store;

    uv_mutex_lock(&store->mutex);
    while (!atomic_load(&store->is_stopping)) {
        struct store_job *job = pop_job(store);

        if (!job) {
            uv_cond_wait(&store->changed, &store->mutex);
            continue;
        }
        uv_mutex_unlock(&store->mutex);
        stats_observe(&worker->stats, HIST_store_wait, clock_monotonic_us() - job->submitted_us);
        job->work(job, worker->conn);
        assert(!worker->conn->load);
        finish_job(store, job); /* takes the mutex again */
    }
    store->running_count--;
    uv_cond_broadcast(&store->changed);
    uv_mutex_unlock(&store->mutex);
}

static struct worker *new_workers(unsigned count)
{
    size_t size = count * sizeof(struct worker);
    struct worker *workers = mem_alloc_aligned(size, _Alignof(struct worker));

    memset(workers, 0, size);
    return workers;
}

static int start_workers(struct store *store, unsigned count)
{
    if (count) store->workers = new_workers(count);
    for (unsigned i = 0; i < count; i++) {
        struct worker *worker = &store->workers[i];
        int err;

        worker->store = store;
        err = store_conn_open(store, &worker->conn);
        if (err) return err;
        worker->conn->duck.times = &worker->stats.histogram[HIST_store_query];
        uv_mutex_lock(&store->mutex);
        err = uv_thread_create(&worker->thread, worker_run, worker);
        if (!err) {
            store->running_count++;
            store->worker_count++; /* the first ones look at it already */
        }
        uv_mutex_unlock(&store->mutex);
        if (err) {
            store_conn_close(worker->conn);
            return err;
        }
    }
    return 0;
}

int store_open(const char *path, unsigned thread_count, struct store **out, char *message,
               size_t message_size)
{
    duckdb_database database = NULL;
    struct store *store;
    int err = store_file_open(path, &database, message, message_size);

    if (err) return err;
    store = mem_zalloc(sizeof(*store));
    store->database = database;
    store->path = mem_strdup(path);
    if (uv_mutex_init(&store->mutex) || uv_mutex_init(&store->write_lock) ||
        uv_cond_init(&store->changed))
        abort();
    err = start_workers(store, thread_count);
    if (err) {
        snprintf(message, message_size, "the threads of %s cannot be started: %s", path,
                 error_text(err));
        store_close(store);
        return err;
    }
    *out = store;
    return 0;
}

static void drop_lane(struct lane *lane)
{
    while (lane->first) {
        struct store_job *job = lane_pop(lane);

        job->is_dropped = true;
        give_back(job);
    }
}

static void drop_waiting(struct store *store)
{
    struct lane live, others;

    uv_mutex_lock(&store->mutex);
    atomic_store(&store->is_stopping, true);
    live = store->live;
    others = store->others;
    store->live = store->others = (struct lane){0};
    uv_cond_broadcast(&store->changed);
    uv_mutex_unlock(&store->mutex);
    drop_lane(&live);
    drop_lane(&others);
}

static void stop_workers(struct store *store)
{
    uv_mutex_lock(&store->mutex);
    while (store->running_count) {
        for (unsigned i = 0; i < store->worker_count; i++)
            duck_interrupt(&store->workers[i].conn->duck);
        uv_cond_timedwait(&store->changed, &store->mutex, INTERRUPT_EVERY_NS);
    }
    uv_mutex_unlock(&store->mutex);
    for (unsigned i = 0; i < store->worker_count; i++) {
        uv_thread_join(&store->workers[i].thread);
        store_conn_close(store->workers[i].conn);
    }
    free(store->workers);
    store->workers = NULL;
    store->worker_count = 0;
}

/* Closing without it loses nothing, but leaves the next opening a log to replay. */
static void checkpoint(struct store *store)
{
    atomic_bool never = false;
    struct duck duck;

    if (duck_init(&duck, store->database, &never)) return;
    if (duck_run(&duck, "CHECKPOINT"))
        log_warning("store not checkpointed", F_STR("file", store->path),
                    F_STR("reason", duck.error));
    duck_deinit(&duck);
}

void store_stop(struct store *store)
{
    drop_waiting(store);
    stop_workers(store);
}

void store_close(struct store *store)
{
    if (!store) return;
    store_stop(store);
    checkpoint(store);
    duckdb_close(&store->database);
    uv_cond_destroy(&store->changed);
    uv_mutex_destroy(&store->mutex);
    uv_mutex_destroy(&store->write_lock);
    free(store->path);
    free(store);
}

int store_submit(struct store *store, struct loop *loop, struct store_job *job)
{
    struct lane *lane = job->is_live ? &store->live : &store->others;
    int err = 0;

    job->loop = loop;
    job->is_dropped = false;
    job->submitted_us = clock_monotonic_us();
    job->next = NULL;
    uv_mutex_lock(&store->mutex);
    if (atomic_load(&store->is_stopping))
        err = ERR_STOPPED;
    else if (lane->count >= LIMIT_STORE_JOBS)
        err = ERR_FULL;
    if (!err) {
        lane_push(lane, job);
        uv_cond_signal(&store->changed);
    }
    uv_mutex_unlock(&store->mutex);
    return err;
}

void store_stats(const struct store *store, struct stats_sum *into)
{
    for (unsigned i = 0; i < store->worker_count; i++)
        stats_merge(into, &store->workers[i].stats);
}

unsigned store_jobs_waiting(struct store *store)
{
    unsigned count;

    uv_mutex_lock(&store->mutex);
    count = store->live.count + store->others.count;
    uv_mutex_unlock(&store->mutex);
    return count;
}

int store_conn_open(struct store *store, struct store_conn **out)
{
    struct store_conn *conn = mem_zalloc(sizeof(*conn));
    int err = duck_init(&conn->duck, store->database, &store->is_stopping);

    if (err) {
        free(conn);
        return err;
    }
    conn->path = store->path;
    conn->write_lock = &store->write_lock;
    *out = conn;
    return 0;
}

void store_conn_close(struct store_conn *conn)
{
    if (!conn) return;
    if (conn->load) store_load_rollback(conn);
    duck_deinit(&conn->duck);
    free(conn);
}

const char *store_conn_error(const struct store_conn *conn)
{
    return conn->duck.error;
}

bool store_conn_is_stopping(const struct store_conn *conn)
{
    return atomic_load(conn->duck.is_stopping);
}
