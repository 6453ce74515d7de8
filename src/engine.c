#include "engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "base/log.h"
#include "heat/edition.h"
#include "heat/price_bin.h"
#include "io/dump_name.h"

/* A symbol that lost its last subscriber is kept up to date for a while: people reload pages. */
#define IDLE_MS 60000

/* Jobs that ticks may have under way: room is left in the store's queue for first subscribers. */
#define REFRESHES_MAX (LIMIT_STORE_JOBS / 2)

/* A heatmap further behind than this is built anew by a job instead of being caught up on the main
 * loop's thread. */
#define CATCH_UP_CANDLES_MAX 2000

/* A symbol's live state. */
struct live {
    struct symbol symbol; /* what others see of it */
    struct engine *engine;
    struct heatmap *map; /* owned; NULL until it is built, and while a job builds it */
    struct series_state series;
    int64_t applied_ms;         /* open time of the newest candle applied; -1 for none */
    uint64_t lap;               /* of the replay that `map` belongs to */
    struct version version;     /* of the newest publication */
    uint64_t content_hash;      /* of what it says, but for times and counts */
    uint64_t created, consumed; /* positions since it, not yet published */
    struct publication *latest; /* reference held */
    struct snapshot snapshot;   /* reused memory */
    int64_t built_ms;           /* when the last build was begun; 0 before the first */
    struct refresh *refresh;    /* the job under way; NULL for none */
    bool refresh_again;         /* somebody asked meanwhile */
    bool has_subscribers;
    bool is_forgotten; /* the shards do not hold `latest` any more */
    int64_t idle_since_ms;
    struct site_request **waiters; /* owned array: who waits for the newest snapshot */
    size_t waiter_count;
};

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

struct engine {
    const struct config *config;
    struct loop *loop;
    struct store *store;
    struct server *server;
    struct live *lives; /* owned array, ascending by name; index = topic id */
    size_t count;
    bool is_simulated;
    bool is_replay;
    bool is_stopping;
    struct clocks clocks; /* of a replay, by topic id */
    int64_t history_ms;
    uint64_t epoch; /* the last one begun, of any symbol */
    uv_timer_t tick;
    uv_timer_t rebuild;          /* when a build that was too soon may be begun */
    size_t refresh_count;        /* jobs under way */
    size_t sweep_at, sweep_left; /* the symbol a tick looks at next, and how many are left */
};

static int64_t now_ms(const struct engine *engine)
{
    return (int64_t)uv_now(&engine->loop->uv);
}

/* --- what is visible --- */

static int64_t real_ms(void)
{
    return clock_monotonic_us() / 1000;
}

static struct replay_clock clock_of(const struct engine *engine, const struct symbol *symbol)
{
    if (!engine->is_replay) return (struct replay_clock){.clock_ms = INT64_MAX};
    return clocks_at(&engine->clocks, symbol->id, real_ms());
}

/* The newest candle that has closed by then. */
static int64_t visible_at(const struct symbol *symbol, int64_t clock_ms)
{
    int64_t open_ms;

    if (clock_ms == INT64_MAX) return symbol->last_open_ms;
    open_ms = series_bucket(clock_ms, symbol->step_ms) - symbol->step_ms;
    return MIN(MAX(open_ms, symbol->first_open_ms), symbol->last_open_ms);
}

int64_t engine_visible_oi_ms(const struct engine *engine, const struct symbol *symbol)
{
    if (!engine->is_replay || symbol->oi_first_ms < 0) return symbol->oi_last_ms;
    /* Points of the newest candle's bucket have happened with it. */
    return MIN(symbol->oi_last_ms, engine_visible_ms(engine, symbol) + MAX(symbol->step_ms - 1, 0));
}

int64_t engine_visible_ms(const struct engine *engine, const struct symbol *symbol)
{
    if (!symbol->step_ms) return symbol->oi_last_ms;
    return visible_at(symbol, clock_of(engine, symbol).clock_ms);
}

/* --- publishing --- */

/* Of what a snapshot says. Levels are whole cents in canonical order, so equal bytes are equal
 * JSON. */
static uint64_t hash_of(const struct snapshot *snapshot)
{
    static_assert(sizeof(struct level) == 3 * sizeof(int64_t), "no padding");
    const int64_t scale[] = {snapshot->current_price_e8, snapshot->bin_e12};

    return XXH3_64bits_withSeed(snapshot->levels, snapshot->level_count * sizeof(struct level),
                                XXH3_64bits(scale, sizeof(scale)));
}

static bool difference_pays(const void *content, uint64_t since_seq)
{
    return edition_has_difference(content, since_seq);
}

static void write_message(const void *content, const struct encoding_key *key, struct buf *out)
{
    edition_write(out, content, key->format == FORMAT_COLUMNS ? EDITION_COLUMNS : EDITION_LEVELS,
                  key->since_seq, key->not_resumed);
}

static void free_edition(void *content)
{
    edition_free(content);
}

static const struct content_ops edition_ops = {difference_pays, write_message, free_edition};

static void publish(struct live *live)
{
    struct engine *engine = live->engine;
    struct edition *edition;
    char epoch[14];

    live->version.seq++;
    live->snapshot.positions_created = live->created;
    live->snapshot.positions_consumed = live->consumed;
    live->created = live->consumed = 0;
    epoch_format(live->version.epoch, epoch);
    edition = edition_new(live->symbol.name, epoch, live->version.seq, &live->snapshot,
                          live->latest ? live->latest->content : NULL,
                          (uint64_t)engine->config->ws_resume_versions);
    publication_unref(live->latest);
    live->latest =
        publication_new(live->symbol.id, live->version, edition->oldest_seq, &edition_ops, edition);
    live->is_forgotten = false;
    live->symbol.published_us = live->latest->made_us;
    server_publish(engine->server, publication_ref(live->latest));
}

static void publish_if_changed(struct live *live)
{
    uint64_t hash;

    heatmap_snapshot(live->map, &live->snapshot);
    live->created += live->snapshot.positions_created;
    live->consumed += live->snapshot.positions_consumed;
    hash = hash_of(&live->snapshot);
    if (!live->latest || hash != live->content_hash || live->version.seq == 0) {
        live->content_hash = hash;
        publish(live);
    } else if (live->is_forgotten && live->has_subscribers) {
        live->is_forgotten = false;
        server_publish(live->engine->server, publication_ref(live->latest));
    }
}

static struct blob *text_of(struct publication *pub)
{
    const struct encoding_key key = {.packing = PACK_TEXT};
    struct encoding_cost cost = {0};

    return blob_ref(publication_encode(pub, &key, NULL, &cost)->blob);
}

static void answer_latest(const struct live *live, struct site_request *request)
{
    if (live->latest) {
        request->response = (struct site_response){
            .status = 200, .content_type = "application/json", .body = text_of(live->latest)};
        site_finish(&request->response, request->accepts_gzip);
    } else if (live->engine->is_stopping)
        site_fail(&request->response, 503, "the server is stopping");
    else
        site_fail(&request->response, 404,
                  live->symbol.is_published ? "nothing has been published for this symbol yet"
                                            : "no candles are stored for this symbol yet");
    site_answer(request);
}

/* `status` is what to say when there is still nothing to show. */
static void answer_waiters(struct live *live, int status)
{
    static const char busy[] = "the server is busy; try again later";
    static const char unread[] = "the database could not be read; see the server's log";

    for (size_t i = 0; i < live->waiter_count; i++) {
        struct site_request *request = live->waiters[i];

        if (live->latest || status == 404) {
            answer_latest(live, request);
            continue;
        }
        site_fail(&request->response, status, status == 500 ? unread : busy);
        site_answer(request);
    }
    live->waiter_count = 0;
}

/* --- refreshing --- */

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

/* Later runs of the publisher must have greater epochs: the wall clock sees to it, and one that
 * begins within the same millisecond is one more. No two symbols share one, so that an epoch and a
 * seq name one version of one symbol. */
static void begin_epoch(struct live *live)
{
    struct engine *engine = live->engine;
    uint64_t now = (uint64_t)clock_wall_ms();

    engine->epoch = now > engine->epoch ? now : engine->epoch + 1;
    live->version = (struct version){.epoch = engine->epoch};
}

static void take_build(struct live *live, struct refresh *r)
{
    double ms = (double)(clock_monotonic_us() - r->started_us) / 1000;

    live->map = r->map;
    r->map = NULL;
    live->lap = r->lap;
    live->created = live->consumed = 0;
    begin_epoch(live);
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

static void start_refresh(struct live *live);
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
    if (live->map && !live->engine->is_stopping) publish_if_changed(live);
    answer_waiters(live, status);
    if (live->refresh_again && !live->engine->is_stopping) start_refresh(live);
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
        if (r->is_build) live->built_ms = now_ms(engine);
        return;
    }
    live->refresh = NULL; /* the store is busy or closing: the next tick asks again */
    refresh_free(r);
    answer_waiters(live, 503);
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
    int64_t wait_ms = live->built_ms + LIMIT_REBUILD_MS - now_ms(engine);
    uv_timer_t *rebuild = &engine->rebuild;

    if (!live->built_ms || wait_ms <= 0 || engine->is_stopping) return true;
    if (!uv_is_active((uv_handle_t *)rebuild) || uv_timer_get_due_in(rebuild) > (uint64_t)wait_ms)
        uv_timer_start(rebuild, on_rebuild, (uint64_t)wait_ms, 0);
    return false;
}

/* A replay that began again or was moved is another run, and so is a heatmap built anew: a new
 * epoch. */
static void start_refresh(struct live *live)
{
    struct engine *engine = live->engine;
    struct replay_clock clock;
    int64_t until_ms;

    live->refresh_again = live->refresh != NULL;
    if (live->refresh) return;
    if (!live->symbol.step_ms) {
        answer_waiters(live, 404);
        return;
    }
    clock = clock_of(engine, &live->symbol);
    until_ms = visible_at(&live->symbol, clock.clock_ms);
    if (!live->map || clock.lap != live->lap || is_far_behind(live, until_ms)) {
        if (!may_build(live)) return;
        heatmap_free(live->map);
        live->map = NULL;
    }
    if (!live->map || until_ms > live->applied_ms) {
        submit_refresh(live, until_ms, clock.lap);
        return;
    }
    if (live->is_forgotten) publish_if_changed(live);
    answer_waiters(live, 404);
}

static void tick_live(struct live *live, int64_t now)
{
    bool is_wanted = live->has_subscribers || live->waiter_count;

    if (live->symbol.is_published) return; /* nobody here could build it again */
    if (!is_wanted && (live->is_forgotten || !live->latest)) return;
    if (!is_wanted && now - live->idle_since_ms >= IDLE_MS) {
        live->is_forgotten = true;
        server_forget(live->engine->server, live->symbol.id, live->version);
        return;
    }
    start_refresh(live);
}

/* Asks for as many symbols as the store may be given at once; finished ones go on with it. */
static void go_on_sweeping(struct engine *engine)
{
    while (engine->sweep_left && engine->refresh_count < REFRESHES_MAX) {
        tick_live(&engine->lives[engine->sweep_at], now_ms(engine));
        engine->sweep_at = (engine->sweep_at + 1) % engine->count;
        engine->sweep_left--;
    }
}

/* A sweep that is still under way is slower than the ticks: it goes on where it is, so that every
 * symbol has its turn. */
static void on_tick(uv_timer_t *tick)
{
    struct engine *engine = container_of(tick, struct engine, tick);

    if (!engine->sweep_left) engine->sweep_left = engine->count;
    go_on_sweeping(engine);
}

static void sweep_all(struct engine *engine)
{
    engine->sweep_left = engine->count;
    go_on_sweeping(engine);
}

static void on_rebuild(uv_timer_t *rebuild)
{
    sweep_all(container_of(rebuild, struct engine, rebuild));
}

/* --- what the serve floor asks, and what feeds tell --- */

static struct live *find_live(const struct engine *engine, struct str name)
{
    for (size_t i = 0; i < engine->count; i++)
        if (str_eq(str_of(engine->lives[i].symbol.name), name)) return &engine->lives[i];
    return NULL;
}

void engine_on_interest(void *context, uint32_t topic_id, bool has_subscribers)
{
    struct engine *engine = context;
    struct live *live = &engine->lives[topic_id];

    live->has_subscribers = has_subscribers;
    if (live->symbol.is_published) return; /* the shards have what there is */
    if (!has_subscribers)
        live->idle_since_ms = now_ms(engine);
    else if (!live->latest || live->is_forgotten)
        start_refresh(live); /* do not let the first subscriber wait for the tick */
}

void engine_answer_latest(struct engine *engine, const struct symbol *symbol,
                          struct site_request *request)
{
    struct live *live = &engine->lives[symbol->id];

    if (live->symbol.is_published || (live->latest && live->has_subscribers)) {
        answer_latest(live, request);
        return;
    }
    live->waiters = mem_realloc(live->waiters, (live->waiter_count + 1) * sizeof(request));
    live->waiters[live->waiter_count++] = request;
    start_refresh(live);
}

struct engine_published engine_publish(struct engine *engine, const struct symbol *symbol,
                                       struct snapshot *snapshot)
{
    struct live *live = &engine->lives[symbol->id];
    uint64_t hash = hash_of(snapshot);
    bool has_changed = !live->latest || hash != live->content_hash;

    assert(symbol->is_published);
    live->created += snapshot->positions_created;
    live->consumed += snapshot->positions_consumed;
    snapshot_deinit(&live->snapshot);
    live->snapshot = *snapshot;
    *snapshot = (struct snapshot){0};
    if (has_changed) {
        if (!live->latest) begin_epoch(live);
        live->content_hash = hash;
        live->symbol.bin_e12 = live->snapshot.bin_e12;
        live->symbol.price = price_to_double(live->snapshot.current_price_e8);
        publish(live);
    }
    return (struct engine_published){live->version, has_changed};
}

void engine_on_candle(void *context, const char *name, const struct candle *newest)
{
    struct engine *engine = context;
    struct live *live = find_live(engine, str_of(name));
    struct symbol *symbol = live ? &live->symbol : NULL;

    if (!symbol) return;
    symbol->last_open_ms = MAX(symbol->last_open_ms, newest->open_time_ms);
    symbol->oi_last_ms = MAX(symbol->oi_last_ms, newest->open_time_ms);
    if (!symbol->is_published) symbol->price = price_to_double(newest->close_e8);
}

/* --- the replay --- */

static void begin_replay(struct engine *engine, const struct replay *replay)
{
    int64_t now = real_ms();

    clocks_init(&engine->clocks, replay, engine->count);
    for (size_t i = 0; i < engine->count; i++) {
        const struct symbol *symbol = &engine->lives[i].symbol;

        if (symbol->step_ms)
            clocks_begin(&engine->clocks, i, symbol->first_open_ms + symbol->step_ms,
                         symbol->last_open_ms + symbol->step_ms, now);
    }
}

struct replay_state engine_replay(const struct engine *engine)
{
    return clocks_state(&engine->clocks, real_ms());
}

/* Everybody is shown the new place without waiting for the tick. */
static void follow_position(struct engine *engine)
{
    for (size_t i = 0; i < engine->count; i++) {
        struct symbol *symbol = &engine->lives[i].symbol;

        if (!symbol->is_published) symbol->price = 0; /* it may be yet to come */
    }
    sweep_all(engine);
}

bool engine_change_replay(struct engine *engine, const struct replay_change *change,
                          struct replay_state *state)
{
    struct replay_changed changed;
    int64_t now = real_ms();

    assert(engine->is_replay);
    changed = clocks_change(&engine->clocks, change, now);
    *state = clocks_state(&engine->clocks, now);
    if (changed.position) follow_position(engine);
    return changed.pace || changed.position;
}

/* --- symbols --- */

size_t engine_symbol_count(const struct engine *engine)
{
    return engine->count;
}

const struct symbol *engine_symbol(const struct engine *engine, size_t index)
{
    return &engine->lives[index].symbol;
}

const struct symbol *engine_find(const struct engine *engine, struct str name)
{
    const struct live *live = find_live(engine, name);

    return live ? &live->symbol : NULL;
}

static void live_init(struct live *live, struct engine *engine, const struct store_symbol *stored)
{
    int64_t first_e8 = PRICE_ONE_E8;

    live->engine = engine;
    live->applied_ms = -1;
    live->symbol = (struct symbol){.step_ms = stored->step_ms,
                                   .first_open_ms = stored->first_open_ms,
                                   .last_open_ms = stored->last_open_ms,
                                   .first_any_ms = stored->candle_first_ms,
                                   .oi_first_ms = stored->oi_first_ms,
                                   .oi_last_ms = stored->oi_last_ms,
                                   .first_price = stored->first_close,
                                   .price = engine->is_replay ? 0 : stored->last_close};
    strcpy(live->symbol.name, stored->symbol);
    if (stored->step_ms && price_from_double(stored->first_close, &first_e8))
        first_e8 = PRICE_ONE_E8;
    live->symbol.bin_e12 = price_bin_default(first_e8);
}

/* One of --publish-symbols: of the store, whose own model then rests, or known by that alone. */
static int add_published(struct engine *engine, struct str name, char *message, size_t message_size)
{
    struct live *live = find_live(engine, name);
    struct store_symbol unknown = {.oi_first_ms = -1, .oi_last_ms = -1};

    if (!dump_is_symbol(name) || (live && live->symbol.is_published)) {
        snprintf(message, message_size, "publish-symbols: '%.*s' is %s", (int)MIN(name.size, 80),
                 name.at, live ? "there twice" : "no symbol: A to Z, 0 to 9 and _, at most 32");
        return ERR_SYNTAX;
    }
    if (!live) {
        memcpy(unknown.symbol, name.at, name.size);
        engine->lives = mem_realloc(engine->lives, (engine->count + 1) * sizeof(*engine->lives));
        live = &engine->lives[engine->count++];
        *live = (struct live){0};
        live_init(live, engine, &unknown);
    }
    live->symbol.is_published = true;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct live *left = a, *right = b;

    return strcmp(left->symbol.name, right->symbol.name);
}

/* --publish-symbols MINE,BTCUSDT */
static int set_published(struct engine *engine, const char *text, char *message,
                         size_t message_size)
{
    int err = 0;

    while (*text && !err) {
        size_t size = strcspn(text, ",");

        err = add_published(engine, str_trim((struct str){text, size}), message, message_size);
        text += size + (text[size] == ',');
    }
    qsort(engine->lives, engine->count, sizeof(*engine->lives), compare_names);
    for (size_t i = 0; i < engine->count; i++)
        engine->lives[i].symbol.id = (uint32_t)i;
    return err;
}

/* --bin BTCUSDT=100,ETHUSDT=5 */
static int set_bins(struct engine *engine, const char *text, char *message, size_t message_size)
{
    while (*text) {
        size_t size = strcspn(text, ",");
        const char *equals = memchr(text, '=', size);
        struct live *live;

        if (!equals || equals == text) goto bad;
        live = find_live(engine, (struct str){text, (size_t)(equals - text)});
        if (price_bin_parse((struct str){equals + 1, (size_t)(text + size - equals - 1)},
                            live ? &live->symbol.bin_e12 : &(int64_t){0}))
            goto bad;
        /* A symbol that is not stored yet is no mistake: its data may come later. */
        text += size + (text[size] == ',');
    }
    return 0;

bad:
    snprintf(message, message_size,
             "bin is '%s', must be SYMBOL=SIZE,… with sizes above 0 and at most 1000000", text);
    return ERR_SYNTAX;
}

static int read_replay(const struct config *config, struct replay *replay, char *message,
                       size_t message_size)
{
    *replay = (struct replay){.speed = config->replay_speed, .from_ms = -1};
    if (!replay_from_parse(str_of(config->replay_from), replay)) return 0;
    snprintf(message, message_size, "replay-from is '%s', must be 0%% to 100%% or an ISO 8601 time",
             config->replay_from);
    return ERR_SYNTAX;
}

int engine_new(const struct config *config, struct loop *loop, struct store *store,
               const struct store_symbol *symbols, size_t symbol_count, bool is_simulated,
               struct engine **out, char *message, size_t message_size)
{
    struct engine *engine = mem_zalloc(sizeof(*engine));
    struct replay replay;
    int err;

    *engine = (struct engine){.config = config,
                              .loop = loop,
                              .store = store,
                              .count = symbol_count,
                              .is_simulated = is_simulated,
                              .is_replay = strcmp(config->feed, "replay") == 0};
    engine->lives = mem_zalloc(symbol_count * sizeof(*engine->lives));
    err = span_parse(str_of(config->history), &engine->history_ms); /* config_load looked at it */
    if (!err) err = read_replay(config, &replay, message, message_size);
    for (size_t i = 0; i < symbol_count; i++)
        live_init(&engine->lives[i], engine, &symbols[i]);
    if (!err) err = set_published(engine, config->publish_symbols, message, message_size);
    if (!err) err = set_bins(engine, config->bin, message, message_size);
    if (!err && engine->is_replay) begin_replay(engine, &replay);
    if (err)
        engine_free(engine);
    else
        *out = engine;
    return err;
}

void engine_start(struct engine *engine, struct server *server)
{
    uint64_t interval_ms = (uint64_t)(engine->config->ws_update_interval * 1000);

    engine->server = server;
    for (size_t i = 0; i < engine->count; i++)
        server_add_topic(server, engine->lives[i].symbol.name, (uint32_t)i);
    uv_timer_init(&engine->loop->uv, &engine->tick);
    uv_timer_start(&engine->tick, on_tick, interval_ms, interval_ms);
    uv_timer_init(&engine->loop->uv, &engine->rebuild);
}

void engine_stop(struct engine *engine)
{
    engine->is_stopping = true;
    uv_close((uv_handle_t *)&engine->tick, NULL);
    uv_close((uv_handle_t *)&engine->rebuild, NULL);
    for (size_t i = 0; i < engine->count; i++)
        if (!engine->lives[i].refresh) answer_waiters(&engine->lives[i], 503);
}

void engine_free(struct engine *engine)
{
    for (size_t i = 0; i < engine->count; i++) {
        struct live *live = &engine->lives[i];

        assert(!live->waiter_count && !live->refresh); /* the store gave all back */
        free(live->waiters);
        heatmap_free(live->map);
        snapshot_deinit(&live->snapshot);
        publication_unref(live->latest);
    }
    clocks_deinit(&engine->clocks);
    free(engine->lives);
    free(engine);
}

const struct config *engine_config(const struct engine *engine)
{
    return engine->config;
}

bool engine_is_simulated(const struct engine *engine)
{
    return engine->is_simulated;
}

bool engine_is_replay(const struct engine *engine)
{
    return engine->is_replay;
}
