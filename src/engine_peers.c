/* engine_peers.c - what the engine does as one of several servers (engine.h). */
#include "live.h"

static struct live *live_of(const struct engine *engine, const struct symbol *symbol)
{
    return engine->lives[symbol->id];
}

void engine_join(struct engine *engine, const struct engine_peers *peers)
{
    engine->peers = *peers;
    for (size_t i = 0; i < engine->count; i++)
        engine->lives[i]->role = ENGINE_FOLLOWS;
}

enum engine_role engine_role(const struct engine *engine, const struct symbol *symbol)
{
    return live_of(engine, symbol)->role;
}

bool engine_has_lead(const struct engine *engine, const struct symbol *symbol)
{
    return live_has_lead(live_of(engine, symbol));
}

bool engine_is_modelled(const struct engine *engine, const struct symbol *symbol)
{
    return live_is_modelled(live_of(engine, symbol));
}

void engine_lead(struct engine *engine, const struct symbol *symbol, uint64_t epoch,
                 int64_t until_us)
{
    struct live *live = live_of(engine, symbol);
    bool is_known = live->symbol.is_own_epoch && symbol->version.epoch == epoch;

    live->lease_until_us = until_us;
    live->role = ENGINE_LEADS;
    if (is_known) return;
    engine->epoch = MAX(engine->epoch, epoch);
    live->symbol.version = (struct version){.epoch = epoch};
    live->symbol.is_own_epoch = true;
    if (live_is_modelled(live))
        refresh_start(live);
    else if (live->latest)
        live_publish_again(live);
}

void engine_follow(struct engine *engine, const struct symbol *symbol)
{
    struct live *live = live_of(engine, symbol);

    live->role = ENGINE_FOLLOWS;
    if (!live->refresh) live_answer_waiters(live, 404);
}

void engine_stand_alone(struct engine *engine, const struct symbol *symbol)
{
    struct live *live = live_of(engine, symbol);

    live->role = ENGINE_ALONE;
    live->idle_since_ms = engine_now_ms(engine);
    if (live_is_modelled(live) && live->has_subscribers) refresh_start(live);
}

bool engine_adopt(struct engine *engine, const struct symbol *symbol, struct version version,
                  struct snapshot *snapshot)
{
    struct live *live = live_of(engine, symbol);

    if (engine->is_stopping || !version_is_newer(version, symbol->version)) return false;
    snapshot_deinit(&live->snapshot);
    live->snapshot = *snapshot;
    *snapshot = (struct snapshot){0};
    live->symbol.price = price_to_double(live->snapshot.current_price_e8);
    if (!live_is_modelled(live)) live->symbol.bin_e12 = live->snapshot.bin_e12;
    live_adopt(live, version);
    return true;
}

struct publication *engine_latest(const struct engine *engine, const struct symbol *symbol)
{
    return live_of(engine, symbol)->latest;
}
