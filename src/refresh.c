#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "live.h"

/* A symbol that lost its last subscriber is kept up to date for a while: people reload pages. */
#define IDLE_MS 60000

/* Jobs that ticks may have under way: room is left in the store's queue for first subscribers. */
#define REFRESHES_MAX (LIMIT_STORE_JOBS / 2)

/* A heatmap further behind than this is built anew by a job instead of being caught up on the main
 * loop's thread. */
#define CATCH_UP_CANDLES_MAX 2000

/* A job that brings a symbol's state up to date. */
struct refresh {
    struct store_job job;
    struct live *live;
    char name[LIMIT_SYMBOL_BYTES + 1];
    int64_t bin_e12, step_ms;
    int64_t from_ms, until_ms; /* open times, both included */
    bool is_build;
    uint64_t lap;
    struct series_state series;
    /* results */
    int err;
    struct heatmap *map;     /* of a build */
    struct series_row *rows; /* else: what is to be applied */
    size_t row_count;
    int64_t applied_ms;
    int64_t started_us;
};

static void forget_counts(struct heatmap *map)
{
    struct snapshot unseen = {0};

    heatmap_snapshot(map, &unseen);
    snapshot_deinit(&unseen);
}

/* On a store thread: what has come since, as rows; for a build, a heatmap of all of it. */
static void work_refresh(struct store_job *job, struct store_conn *conn)
{
    struct refresh *r = container_of(job, struct refresh, job);
    struct candle *candles = NULL;
    struct oi_point *points = NULL;
    size_t candle_count, point_count;

    r->err = store_candles(conn, r->name, r->step_ms, r->step_ms, r->from_ms, r->until_ms, &candles,
                           &candle_count);
    if (!r->err)
        r->err = store_oi(conn, r->name, r->from_ms, r->until_ms + r->step_ms - 1, &points,
                          &point_count);
    if (!r->err)
        series_build(&r->series, r->step_ms, candles, candle_count, points, point_count, &r->rows,
                     &r->row_count);
    else if (r->err != ERR_STOPPED)
        log_error("history not read", F_STR("symbol", r->name),
                  F_STR("error", store_conn_error(conn)));
    free(candles);
    free(points);
    if (r->err || !r->row_count) return;
    r->applied_ms = r->rows[r->row_count - 1].candle.open_time_ms;
    if (!r->is_build) return;
    r->map = heatmap_new(r->bin_e12, &leverage_mix_default);
    for (size_t i = 0; i < r->row_count; i++) {
        /* What all of history opened and consumed is no news: the first snapshot's counts are the
         * newest candle's. */
        if (i + 1 == r->row_count) forget_counts(r->map);
        heatmap_apply(r->map, &r->rows[i].candle, r->rows[i].oi_delta);
    }
}

static void refresh_free(struct refresh *r)
{
    heatmap_free(r->map);
    free(r->rows);
    free(r);
}

static void take_build(struct live *live, struct refresh *r)
{
    double ms = (double)(clock_monotonic_us() - r->started_us) / 1000;

    live->map = r->map;
    r->map = NULL;
    live->lap = r->lap;
    live->created = live->consumed = 0;
    /* The epoch that we were just given to lead with is not used yet. */
    if (live->role != ENGINE_LEADS || live->symbol.version.seq) live_begin_epoch(live);
    /* As often as somebody moves a replay: no news to the operator but the first time. */
    log_write(live->engine->is_replay && live->latest ? LOG_DEBUG : LOG_INFO, "heatmap built",
              F_STR("symbol", r->name), F_INT("candles", (int64_t)r->row_count), F_DOUBLE("ms", ms),
              F_END);
}

static void take_rows(struct live *live, const struct refresh *r)
{
    for (size_t i = 0; i < r->row_count; i++)
        heatmap_apply(live->map, &r->rows[i].candle, r->rows[i].oi_delta);
}

static void go_on_sweeping(struct engine *engine);

static void done_refresh(struct store_job *job)
{
    struct refresh *r = container_of(job, struct refresh, job);
    struct live *live = r->live;
    int status;

    live->refresh = NULL;
    live->engine->refresh_count--;
    if (!job->is_dropped && !r->err && r->row_count) {
        if (r->is_build)
            take_build(live, r);
        else
            take_rows(live, r);
        live->series = r->series;
        live->applied_ms = r->applied_ms;
        live->symbol.price = price_to_double(r->rows[r->row_count - 1].candle.close_e8);
    }
    status = job->is_dropped || r->err == ERR_STOPPED ? 503 : r->err ? 500 : 404;
    refresh_free(r);
    if (live->map && !live->engine->is_stopping) live_publish_if_changed(live);
    live_answer_waiters(live, status);
    if (live->refresh_again && !live->engine->is_stopping) refresh_start(live);
    if (!live->engine->is_stopping) go_on_sweeping(live->engine);
}

static void submit_refresh(struct live *live, int64_t until_ms, uint64_t lap)
{
    struct engine *engine = live->engine;
    const struct symbol *symbol = &live->symbol;
    struct refresh *r = mem_zalloc(sizeof(*r));

    r->job = (struct store_job){.work = work_refresh, .done = done_refresh, .is_live = true};
    r->live = live;
    strcpy(r->name, symbol->name);
    r->bin_e12 = symbol->bin_e12;
    r->step_ms = symbol->step_ms;
    r->until_ms = until_ms;
    r->is_build = !live->map;
    r->lap = lap;
    r->from_ms = live->map ? live->applied_ms + symbol->step_ms : until_ms - engine->history_ms;
    if (live->map) r->series = live->series;
    r->started_us = clock_monotonic_us();
    live->refresh = r;
    if (!store_submit(engine->store, engine->loop, &r->job)) {
        engine->refresh_count++;
        if (r->is_build) live->built_ms = engine_now_ms(engine);
        return;
    }
    live->refresh = NULL; /* the store is busy or closing: the next tick asks again */
    refresh_free(r);
    live_answer_waiters(live, 503);
}

static bool is_far_behind(const struct live *live, int64_t until_ms)
{
    return until_ms - live->applied_ms > CATCH_UP_CANDLES_MAX * live->symbol.step_ms;
}

static void on_rebuild(uv_timer_t *rebuild);

/* Else it is begun when it may be. */
static bool may_build(const struct live *live)
{
    struct engine *engine = live->engine;
    int64_t wait_ms = live->built_ms + LIMIT_REBUILD_MS - engine_now_ms(engine);
    uv_timer_t *rebuild = &engine->rebuild;

    if (!live->built_ms || wait_ms <= 0 || engine->is_stopping) return true;
    if (!uv_is_active((uv_handle_t *)rebuild) || uv_timer_get_due_in(rebuild) > (uint64_t)wait_ms)
        uv_timer_start(rebuild, on_rebuild, (uint64_t)wait_ms, 0);
    return false;
}

/* A replay that began again or was moved is another run, and so is a heatmap built anew: a new
 * epoch. */
void refresh_start(struct live *live)
{
    struct engine *engine = live->engine;
    struct replay_clock clock;
    int64_t until_ms;

    live->refresh_again = live->refresh != NULL;
    if (live->refresh) return;
    if (!live->symbol.step_ms) {
        live_answer_waiters(live, 404);
        return;
    }
    clock = engine_clock_of(engine, &live->symbol);
    until_ms = engine_visible_at(&live->symbol, clock.clock_ms);
    if (!live->map || clock.lap != live->lap || is_far_behind(live, until_ms)) {
        if (!may_build(live)) return;
        heatmap_free(live->map);
        live->map = NULL;
    }
    if (!live->map || until_ms > live->applied_ms) {
        submit_refresh(live, until_ms, clock.lap);
        return;
    }
    if (live->is_forgotten || !live->symbol.version.seq) live_publish_if_changed(live);
    live_answer_waiters(live, 404);
}

static void tick_live(struct live *live, int64_t now)
{
    bool is_wanted = live->has_subscribers || live->waiter_count || live->role == ENGINE_LEADS;

    /* Nobody here could build it again, or another server does. */
    if (!live_is_modelled(live) || live->role == ENGINE_FOLLOWS) return;
    if (!is_wanted && (live->is_forgotten || !live->latest)) return;
    if (!is_wanted && now - live->idle_since_ms >= IDLE_MS) {
        live->is_forgotten = true;
        server_forget(live->engine->server, live->symbol.id, live->symbol.version);
        return;
    }
    refresh_start(live);
}

/* Asks for as many symbols as the store may be given at once; finished ones go on with it. */
static void go_on_sweeping(struct engine *engine)
{
    while (engine->sweep_left && engine->refresh_count < REFRESHES_MAX) {
        tick_live(engine->lives[engine->sweep_at], engine_now_ms(engine));
        engine->sweep_at = (engine->sweep_at + 1) % engine->count;
        engine->sweep_left--;
    }
}

/* A sweep that is still under way is slower than the ticks: it goes on where it is, so that every
 * symbol has its turn. */
void refresh_on_tick(uv_timer_t *tick)
{
    struct engine *engine = container_of(tick, struct engine, tick);

    if (!engine->sweep_left) engine->sweep_left = engine->count;
    go_on_sweeping(engine);
}

void refresh_all(struct engine *engine)
{
    engine->sweep_left = engine->count;
    go_on_sweeping(engine);
}

static void on_rebuild(uv_timer_t *rebuild)
{
    refresh_all(container_of(rebuild, struct engine, rebuild));
}
