/* engine.h - the main loop's work: candle -> heatmap -> snapshot -> publication -> shards.
 *
 * Keeps one live heatmap per symbol that somebody wants: built once from history by a store job,
 * then only advanced by the candles that have come since. It introduces the market floor and the
 * serve floor to each other; neither knows the other. On the main loop's thread. */
#ifndef HEATCAST_ENGINE_H
#define HEATCAST_ENGINE_H

#include "base/config.h"
#include "feed/clocks.h"
#include "heat/heatmap.h"
#include "heat/series.h"
#include "io/store.h"
#include "serve/server.h"
#include "serve/site.h"

struct engine;

/* What is known of one symbol. */
struct symbol {
    uint32_t id; /* its topic's */
    char name[LIMIT_SYMBOL_BYTES + 1];
    int64_t bin_e12;                     /* the stream's bucket */
    int64_t step_ms;                     /* of its finest stored candles; 0 when it has none */
    int64_t first_open_ms, last_open_ms; /* of those */
    int64_t first_any_ms;                /* of candles of all steps */
    int64_t oi_first_ms, oi_last_ms;     /* -1 for none */
    double first_price;                  /* the oldest stored one, USDT; 0 without candles */
    double price;           /* the newest that has happened; 0 while that is not known */
    struct version version; /* of its newest publication, ours or another server's */
    bool is_own_epoch;      /* its epoch was begun here: ours to go on with */
    int64_t published_us;   /* clock_monotonic_us() of that; 0 before the first */
    bool is_published;      /* named by --publish-symbols: its snapshots come from outside */
};

/* `store` may be NULL: an edge computes nothing. `symbols` as store_symbols() gave them; those of
 * --publish-symbols join them. On trouble (--bin,
 * --replay-from, --publish-symbols) writes a sentence. */
int engine_new(const struct config *config, struct loop *loop, struct store *store,
               const struct store_symbol *symbols, size_t symbol_count, bool is_simulated,
               struct engine **engine, char *message, size_t message_size) MUST_CHECK;
/* Adds the topics to the server and begins to tick. */
void engine_start(struct engine *engine, struct server *server);
void engine_stop(struct engine *engine);
void engine_free(struct engine *engine); /* after the store is closed */

size_t engine_symbol_count(const struct engine *engine);
/* Ascending by name. */
const struct symbol *engine_symbol(const struct engine *engine, size_t index);
const struct symbol *engine_symbol_by_id(const struct engine *engine, uint32_t id);
const struct symbol *engine_find(const struct engine *engine, struct str name); /* NULL: unknown */

/* What of a symbol's data has happened: the open time of the newest closed candle of its finest
 * step. Everything, unless a replay hides what is to come. */
int64_t engine_visible_ms(const struct engine *engine, const struct symbol *symbol);

/* The same for its open interest: the time of the newest point, -1 for none. */
int64_t engine_visible_oi_ms(const struct engine *engine, const struct symbol *symbol);

/* The stored data has grown: this is the symbol's newest candle now. */
void engine_on_candle(void *engine, const char *symbol, const struct candle *newest);
/* server_ops.on_interest */
void engine_on_interest(void *engine, uint32_t topic_id, bool has_subscribers);

/* Answers a request for the newest snapshot message, bringing it up to date first if nobody listens
 * to the symbol. Takes the request. */
void engine_answer_latest(struct engine *engine, const struct symbol *symbol,
                          struct site_request *request);

/* What became of a snapshot that was published from outside. */
struct engine_published {
    struct version version; /* the symbol's newest */
    bool has_changed;       /* it is this one; else it said the same before */
};

/* Publishes `snapshot`, whose levels are taken, as the newest of a symbol that `is_published`; one
 * that says what the newest says already is none, as everywhere: its counts of positions go into
 * the next. The shards have been told when it returns. */
struct engine_published engine_publish(struct engine *engine, const struct symbol *symbol,
                                       struct snapshot *snapshot);

/* Only where the feed is a replay. A new position, which is to be from start to end, is a new
 * epoch: each symbol's heatmap is built anew from the history before it; the clock is there at
 * once, the heatmap as soon as LIMIT_REBUILD_MS lets it. Returns whether anything has changed, and
 * in *state how the replay stands at that very moment. */
struct replay_state engine_replay(const struct engine *engine);
bool engine_change_replay(struct engine *engine, const struct replay_change *change,
                          struct replay_state *state);

/* --- one of several servers (cluster.h) --- */

enum engine_role {
    ENGINE_ALONE,   /* computes what somebody here wants, in epochs of its own */
    ENGINE_LEADS,   /* computes for all, whether or not somebody here listens */
    ENGINE_FOLLOWS, /* computes nothing: shows what comes from who leads */
};

/* Whoever tells the others: is told of every version that is made here, after the shards. */
struct engine_peers {
    void *context;
    uint32_t number; /* ours: of the epochs that are begun here (epoch_at()) */
    void (*on_published)(void *context, const struct symbol *symbol, struct publication *pub);
};

/* Before engine_start(): there are others. Every symbol follows until it is told otherwise. */
void engine_join(struct engine *engine, const struct engine_peers *peers);

/* Leads with this epoch, greater than any before, until `until_us` of clock_monotonic_us() or the
 * next call; in the same epoch, goes on. What there is is published anew in a new one. */
void engine_lead(struct engine *engine, const struct symbol *symbol, uint64_t epoch,
                 int64_t until_us);
void engine_follow(struct engine *engine, const struct symbol *symbol);
void engine_stand_alone(struct engine *engine, const struct symbol *symbol);
enum engine_role engine_role(const struct engine *engine, const struct symbol *symbol);
/* May we say anything for all at this moment: does a lease of ours run? Who leads and has not heard
 * of Redis for a while may not, and somebody else may. */
bool engine_has_lead(const struct engine *engine, const struct symbol *symbol);
/* Is our model run for it: has it candles, and is not published from outside? */
bool engine_is_modelled(const struct engine *engine, const struct symbol *symbol);

/* A symbol that only others know becomes a topic here too. NULL, and nothing is done, when it is no
 * symbol or there are LIMIT_SYMBOLS_RELAYED. */
const struct symbol *engine_add_symbol(struct engine *engine, struct str name);
/* A version that another server made: becomes the newest, its levels are taken. Returns false,
 * nothing taken, when it is not newer. */
bool engine_adopt(struct engine *engine, const struct symbol *symbol, struct version version,
                  struct snapshot *snapshot);
/* The newest version; borrowed, NULL before the first. */
struct publication *engine_latest(const struct engine *engine, const struct symbol *symbol);

/* For /health and the page. */
const struct config *engine_config(const struct engine *engine);
bool engine_is_simulated(const struct engine *engine);
bool engine_is_replay(const struct engine *engine);

#endif
