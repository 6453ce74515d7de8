#include "feed/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "feed/market.h"

#define SETTING_SEED "sim.seed"

/* Steps written in one transaction: the first week, or what a fast simulation has due at once. */
#define BATCH_STEPS 2016
/* A candle a second comes one by one; faster ones come in groups of this rhythm. */
#define TIMER_MS_MIN 50
/* After trouble with the database. */
#define RETRY_MS_MIN 1000
#define RETRY_MS_MAX 60000

struct batch {
    size_t step_count;
    struct candle candles[MARKET_SYMBOLS][BATCH_STEPS];
    struct oi_point points[MARKET_SYMBOLS][BATCH_STEPS];
    double oi_base[MARKET_SYMBOLS][BATCH_STEPS];
};

struct sim {
    struct market *market; /* owned */
    int64_t steps_done;    /* steps that are in the file, or in `batch` on their way to it */
    struct batch batch;    /* the job's while it is under way */
    struct store_job job;
    bool is_writing;
    int err;             /* of the job */
    int64_t wait_ms;     /* after trouble, until the next try; 0: none */
    int64_t retry_at_ms; /* of the loop's clock */

    struct store *store; /* borrowed, as the loop is */
    struct loop *loop;
    uv_timer_t timer;
    double speed;
    int64_t started_us;
    int64_t steps_at_start;
    void (*on_candle)(void *context, const char *symbol, const struct candle *newest);
    void *context;
};

static void make_steps(struct sim *sim, size_t count)
{
    struct market_tick ticks[MARKET_SYMBOLS];
    struct batch *batch = &sim->batch;

    for (size_t i = 0; i < count; i++) {
        market_next(sim->market, ticks);
        for (size_t s = 0; s < MARKET_SYMBOLS; s++) {
            batch->candles[s][i] = ticks[s].candle;
            batch->points[s][i] = ticks[s].oi;
            batch->oi_base[s][i] = ticks[s].oi_base;
        }
    }
    batch->step_count = count;
    sim->steps_done += (int64_t)count;
}

static int write_batch(const struct batch *batch, struct store_conn *conn)
{
    struct store_rows rows[MARKET_SYMBOLS];

    for (size_t s = 0; s < MARKET_SYMBOLS; s++)
        rows[s] = (struct store_rows){.symbol = market_symbol(s),
                                      .candles = batch->candles[s],
                                      .candle_count = batch->step_count,
                                      .points = batch->points[s],
                                      .oi_base = batch->oi_base[s],
                                      .point_count = batch->step_count};
    return store_append(conn, rows, MARKET_SYMBOLS);
}

int sim_is_in(struct store_conn *conn, bool *is_simulated)
{
    char *seed;
    int err = store_setting_get(conn, SETTING_SEED, &seed);

    if (err) return err;
    *is_simulated = seed != NULL;
    free(seed);
    return 0;
}

/* How many steps the file holds; refuses files that are not this simulation's. */
static int count_steps(struct store_conn *conn, int64_t *count)
{
    struct store_symbol *symbols;
    size_t symbol_count;
    int err = store_symbols(conn, &symbols, &symbol_count);

    if (err) return err;
    *count = 0;
    for (size_t i = 0; i < symbol_count; i++)
        if (strcmp(symbols[i].symbol, market_symbol(0)) == 0)
            *count = (symbols[i].last_open_ms - SIM_START_MS) / MARKET_STEP_MS + 1;
    /* Symbols without a seed are somebody's real data. */
    if (symbol_count && !*count) *count = 1;
    free(symbols);
    return 0;
}

static int check_file(struct store_conn *conn, int64_t seed, int64_t *step_count, char *message,
                      size_t message_size)
{
    char *stored, wanted[24];
    int err = store_setting_get(conn, SETTING_SEED, &stored);

    if (!err) err = count_steps(conn, step_count);
    snprintf(wanted, sizeof(wanted), "%lld", (long long)seed);
    if (!err && !stored && *step_count) {
        snprintf(message, message_size,
                 "this file holds real market data; a simulated market wants a "
                 "file of its own (--db FILE)");
        err = ERR_BUSY;
    } else if (!err && stored && strcmp(stored, wanted) != 0) {
        snprintf(
            message, message_size,
            "this file holds the simulated market of seed %s; use --sim-seed %s or another --db",
            stored, stored);
        err = ERR_BUSY;
    } else if (err)
        snprintf(message, message_size, "%s", store_conn_error(conn));
    if (!err && !stored) err = store_setting_set(conn, SETTING_SEED, wanted);
    free(stored);
    return err;
}

int sim_open(struct store_conn *conn, int64_t seed, struct sim **out, char *message,
             size_t message_size)
{
    int64_t step_count;
    struct sim *sim;
    int err = check_file(conn, seed, &step_count, message, message_size);

    if (err) return err;
    sim = mem_zalloc(sizeof(*sim));
    sim->market = market_new((uint64_t)seed, SIM_START_MS);
    for (; sim->steps_done < step_count; sim->steps_done++) {
        struct market_tick ticks[MARKET_SYMBOLS];

        market_next(sim->market, ticks);
    }
    if (!step_count) {
        make_steps(sim, BATCH_STEPS);
        err = write_batch(&sim->batch, conn);
        if (err) {
            snprintf(message, message_size, "%s", store_conn_error(conn));
            sim_free(sim);
            return err;
        }
        log_info("simulated market begun", F_INT("seed", seed), F_INT("candles", BATCH_STEPS));
    }
    *out = sim;
    return 0;
}

static void work_write(struct store_job *job, struct store_conn *conn)
{
    struct sim *sim = container_of(job, struct sim, job);

    sim->err = write_batch(&sim->batch, conn);
    if (sim->err && sim->err != ERR_STOPPED && !sim->wait_ms)
        log_error("simulated candles not stored; trying again",
                  F_STR("error", store_conn_error(conn)));
}

/* A failed batch is tried again, ever more rarely: the market's order must not have a hole. */
static void back_off(struct sim *sim)
{
    sim->wait_ms = MIN(MAX(sim->wait_ms * 2, RETRY_MS_MIN), RETRY_MS_MAX);
    sim->retry_at_ms = (int64_t)uv_now(&sim->loop->uv) + sim->wait_ms;
}

static void done_write(struct store_job *job)
{
    struct sim *sim = container_of(job, struct sim, job);

    sim->is_writing = false;
    if (job->is_dropped) return;
    if (sim->err) {
        back_off(sim);
        return;
    }
    sim->wait_ms = 0;
    for (size_t s = 0; s < MARKET_SYMBOLS; s++)
        sim->on_candle(sim->context, market_symbol(s),
                       &sim->batch.candles[s][sim->batch.step_count - 1]);
    sim->batch.step_count = 0;
}

static int64_t steps_due(const struct sim *sim)
{
    double elapsed_ms = (double)(clock_monotonic_us() - sim->started_us) / 1000;

    return sim->steps_at_start + (int64_t)(elapsed_ms * sim->speed / MARKET_STEP_MS);
}

static void on_timer(uv_timer_t *timer)
{
    struct sim *sim = container_of(timer, struct sim, timer);
    int64_t missing = steps_due(sim) - sim->steps_done;

    if (sim->is_writing) return;
    if (sim->wait_ms && (int64_t)uv_now(&sim->loop->uv) < sim->retry_at_ms) return;
    if (!sim->batch.step_count) {
        if (missing <= 0) return;
        make_steps(sim, (size_t)MIN(missing, BATCH_STEPS));
    }
    sim->job = (struct store_job){.work = work_write, .done = done_write, .is_live = true};
    sim->is_writing = store_submit(sim->store, sim->loop, &sim->job) == 0;
}

void sim_start(struct sim *sim, struct store *store, struct loop *loop, double speed,
               void (*on_candle)(void *context, const char *symbol, const struct candle *newest),
               void *context)
{
    double step_ms = MARKET_STEP_MS / speed;
    uint64_t timer_ms = step_ms > TIMER_MS_MIN ? (uint64_t)MIN(step_ms, 1000) : TIMER_MS_MIN;

    sim->batch.step_count = 0;
    sim->store = store;
    sim->loop = loop;
    sim->speed = speed;
    sim->on_candle = on_candle;
    sim->context = context;
    sim->started_us = clock_monotonic_us();
    sim->steps_at_start = sim->steps_done;
    uv_timer_init(&loop->uv, &sim->timer);
    uv_timer_start(&sim->timer, on_timer, timer_ms, timer_ms);
}

void sim_stop(struct sim *sim)
{
    uv_close((uv_handle_t *)&sim->timer, NULL);
}

void sim_free(struct sim *sim)
{
    if (!sim) return;
    market_free(sim->market);
    free(sim);
}
