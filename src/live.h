/* live.h - what the engine's files share: a symbol's live state, and the engine itself.
 *
 * engine.c is the door and knows the symbols, refresh.c keeps heatmaps up to date by store jobs,
 * live.c makes publications of them and answers who asks for the newest. All on the main loop's
 * thread. */
#ifndef HEATCAST_LIVE_H
#define HEATCAST_LIVE_H

#include "engine.h"

struct refresh;

/* A symbol's live state. */
struct live {
    struct symbol symbol; /* what others see of it */
    struct engine *engine;
    struct heatmap *map; /* owned; NULL until it is built, and while a job builds it */
    struct series_state series;
    int64_t applied_ms;         /* open time of the newest candle applied; -1 for none */
    uint64_t lap;               /* of the replay that `map` belongs to */
    uint64_t content_hash;      /* of what the newest publication says, but for times and counts */
    uint64_t created, consumed; /* positions since it, not yet published */
    struct publication *latest; /* reference held */
    struct snapshot snapshot;   /* what it says, or, unpublished, what would change nothing */
    enum engine_role role;
    int64_t lease_until_us;  /* ENGINE_LEADS: clock_monotonic_us() until which we may publish */
    int64_t built_ms;        /* when the last build was begun; 0 before the first */
    struct refresh *refresh; /* the job under way; NULL for none */
    bool refresh_again;      /* somebody asked meanwhile */
    bool has_subscribers;
    bool is_forgotten; /* the shards do not hold `latest` any more */
    int64_t idle_since_ms;
    struct site_request **waiters; /* owned array: who waits for the newest snapshot */
    size_t waiter_count;
};

struct engine {
    const struct config *config;
    struct loop *loop;
    struct store *store; /* NULL: of an edge */
    struct server *server;
    struct engine_peers peers;
    struct live **lives;   /* owned array of owned ones; index = topic id */
    struct live **by_name; /* owned array: the same, ascending by name */
    size_t count;
    bool is_simulated;
    bool is_replay;
    bool is_stopping;
    struct clocks clocks; /* of a replay, by topic id */
    int64_t history_ms;
    uint64_t epoch; /* the greatest one of any symbol */
    uv_timer_t tick;
    uv_timer_t rebuild;          /* when a build that was too soon may be begun */
    size_t refresh_count;        /* jobs under way */
    size_t sweep_at, sweep_left; /* the symbol a tick looks at next, and how many are left */
};

/* --- engine.c --- */

int64_t engine_now_ms(const struct engine *engine);
/* A replay's clock for a symbol that has candles; of another feed, one that hides nothing. */
struct replay_clock engine_clock_of(const struct engine *engine, const struct symbol *symbol);
/* The open time of the newest candle that has closed by then. */
int64_t engine_visible_at(const struct symbol *symbol, int64_t clock_ms);

/* --- refresh.c --- */

/* A timer's: looks at every symbol, and brings up to date what is wanted. */
void refresh_on_tick(uv_timer_t *tick);
void refresh_all(struct engine *engine);
/* Brings one up to date, now or when the job under way is done; then its waiters are answered. */
void refresh_start(struct live *live);

/* --- live.c --- */

/* Is our model run for it? */
bool live_is_modelled(const struct live *live);
/* Does a lease of ours run, at this moment? */
bool live_has_lead(const struct live *live);
/* The next version is the first of a new epoch of ours. */
void live_begin_epoch(struct live *live);
/* Publishes what the heatmap shows, if it is news and ours to publish. */
void live_publish_if_changed(struct live *live);
/* Publishes live->snapshot as the next version, with the counts of positions since the last one. */
void live_publish(struct live *live);
/* The same content again, as the next version. */
void live_publish_again(struct live *live);
/* Somebody else's version, which is newer than ours: live->snapshot is what it says. */
void live_adopt(struct live *live, struct version version);
/* Of what a snapshot says: equal hashes are equal JSON. */
uint64_t live_hash(const struct snapshot *snapshot);
void live_answer_latest(const struct live *live, struct site_request *request);
/* `status` is what to say when there is still nothing to show. */
void live_answer_waiters(struct live *live, int status);

#endif
