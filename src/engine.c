#include "live.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "heat/price_bin.h"
#include "io/dump_name.h"

int64_t engine_now_ms(const struct engine *engine)
{
    return (int64_t)uv_now(&engine->loop->uv);
}

/* --- what is visible --- */

static int64_t real_ms(void)
{
    return clock_monotonic_us() / 1000;
}

struct replay_clock engine_clock_of(const struct engine *engine, const struct symbol *symbol)
{
    if (!engine->is_replay) return (struct replay_clock){.clock_ms = INT64_MAX};
    return clocks_at(&engine->clocks, symbol->id, real_ms());
}

int64_t engine_visible_at(const struct symbol *symbol, int64_t clock_ms)
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
    return engine_visible_at(symbol, engine_clock_of(engine, symbol).clock_ms);
}

/* --- what the serve floor asks, and what feeds tell --- */

static int compare(struct str a, struct str b)
{
    int order = memcmp(a.at, b.at, MIN(a.size, b.size));

    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Where in by_name the first stands whose name is not below `name`: each of thousands of relayed
 * messages a second asks. */
static size_t place_of(const struct engine *engine, struct str name)
{
    size_t low = 0, high = engine->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(str_of(engine->by_name[middle]->symbol.name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct live *find_live(const struct engine *engine, struct str name)
{
    size_t at = place_of(engine, name);
    struct live *live = at < engine->count ? engine->by_name[at] : NULL;

    return live && str_eq(str_of(live->symbol.name), name) ? live : NULL;
}

static struct live *live_of(const struct engine *engine, const struct symbol *symbol)
{
    return engine->lives[symbol->id];
}

void engine_on_interest(void *context, uint32_t topic_id, bool has_subscribers)
{
    struct engine *engine = context;
    struct live *live = engine->lives[topic_id];

    live->has_subscribers = has_subscribers;
    /* Then the shards have what there is. */
    if (!live_is_modelled(live) || live->role == ENGINE_FOLLOWS) return;
    if (!has_subscribers)
        live->idle_since_ms = engine_now_ms(engine);
    else if (!live->latest || live->is_forgotten)
        refresh_start(live); /* do not let the first subscriber wait for the tick */
}

void engine_answer_latest(struct engine *engine, const struct symbol *symbol,
                          struct site_request *request)
{
    struct live *live = live_of(engine, symbol);

    if (!live_is_modelled(live) || live->role == ENGINE_FOLLOWS ||
        (live->latest && live->has_subscribers)) {
        live_answer_latest(live, request);
        return;
    }
    live->waiters = mem_realloc(live->waiters, (live->waiter_count + 1) * sizeof(request));
    live->waiters[live->waiter_count++] = request;
    refresh_start(live);
}

struct engine_published engine_publish(struct engine *engine, const struct symbol *symbol,
                                       struct snapshot *snapshot)
{
    struct live *live = live_of(engine, symbol);
    uint64_t hash = live_hash(snapshot);
    bool has_changed = !live->latest || hash != live->content_hash;

    assert(symbol->is_published);
    live->created += snapshot->positions_created;
    live->consumed += snapshot->positions_consumed;
    snapshot_deinit(&live->snapshot);
    live->snapshot = *snapshot;
    *snapshot = (struct snapshot){0};
    if (has_changed) {
        live->content_hash = hash;
        live->symbol.bin_e12 = live->snapshot.bin_e12;
        live->symbol.price = price_to_double(live->snapshot.current_price_e8);
        live_publish(live);
    }
    return (struct engine_published){live->symbol.version, has_changed};
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
        const struct symbol *symbol = &engine->lives[i]->symbol;

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
        struct symbol *symbol = &engine->lives[i]->symbol;

        if (!symbol->is_published) symbol->price = 0; /* it may be yet to come */
    }
    refresh_all(engine);
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
    return &engine->by_name[index]->symbol;
}

const struct symbol *engine_symbol_by_id(const struct engine *engine, uint32_t id)
{
    return &engine->lives[id]->symbol;
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

static struct live *add_live(struct engine *engine, const struct store_symbol *stored)
{
    struct live *live = mem_zalloc(sizeof(*live));
    size_t size = (engine->count + 1) * sizeof(struct live *), at;

    live_init(live, engine, stored);
    at = place_of(engine, str_of(live->symbol.name));
    live->symbol.id = (uint32_t)engine->count;
    engine->lives = mem_realloc(engine->lives, size);
    engine->by_name = mem_realloc(engine->by_name, size);
    memmove(engine->by_name + at + 1, engine->by_name + at,
            (engine->count - at) * sizeof(struct live *));
    engine->by_name[at] = live;
    engine->lives[engine->count++] = live;
    return live;
}

static struct live *add_unknown(struct engine *engine, struct str name)
{
    struct store_symbol unknown = {.oi_first_ms = -1, .oi_last_ms = -1};

    memcpy(unknown.symbol, name.at, name.size);
    return add_live(engine, &unknown);
}

const struct symbol *engine_add_symbol(struct engine *engine, struct str name)
{
    struct live *live;

    if (!dump_is_symbol(name) || engine->count >= LIMIT_SYMBOLS_RELAYED) return NULL;
    live = add_unknown(engine, name);
    server_add_topic(engine->server, live->symbol.name, live->symbol.id);
    return &live->symbol;
}

/* One of --publish-symbols: of the store, whose own model then rests, or known by that alone. */
static int add_published(struct engine *engine, struct str name, char *message, size_t message_size)
{
    struct live *live = find_live(engine, name);

    if (!dump_is_symbol(name) || (live && live->symbol.is_published)) {
        snprintf(message, message_size, "publish-symbols: '%.*s' is %s", (int)MIN(name.size, 80),
                 name.at, live ? "there twice" : "no symbol: A to Z, 0 to 9 and _, at most 32");
        return ERR_SYNTAX;
    }
    if (!live) live = add_unknown(engine, name);
    live->symbol.is_published = true;
    return 0;
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
                              .is_simulated = is_simulated,
                              .is_replay = strcmp(config->feed, "replay") == 0};
    err = span_parse(str_of(config->history), &engine->history_ms); /* config_load looked at it */
    if (!err) err = read_replay(config, &replay, message, message_size);
    for (size_t i = 0; i < symbol_count; i++)
        add_live(engine, &symbols[i]);
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
        server_add_topic(server, engine->lives[i]->symbol.name, (uint32_t)i);
    uv_timer_init(&engine->loop->uv, &engine->tick);
    uv_timer_start(&engine->tick, refresh_on_tick, interval_ms, interval_ms);
    uv_timer_init(&engine->loop->uv, &engine->rebuild);
}

void engine_stop(struct engine *engine)
{
    engine->is_stopping = true;
    uv_close((uv_handle_t *)&engine->tick, NULL);
    uv_close((uv_handle_t *)&engine->rebuild, NULL);
    for (size_t i = 0; i < engine->count; i++)
        if (!engine->lives[i]->refresh) live_answer_waiters(engine->lives[i], 503);
}

void engine_free(struct engine *engine)
{
    for (size_t i = 0; i < engine->count; i++) {
        struct live *live = engine->lives[i];

        assert(!live->waiter_count && !live->refresh); /* the store gave all back */
        free(live->waiters);
        heatmap_free(live->map);
        snapshot_deinit(&live->snapshot);
        publication_unref(live->latest);
        free(live);
    }
    clocks_deinit(&engine->clocks);
    free(engine->lives);
    free(engine->by_name);
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
