/* bus.h - what several servers have in common: Redis.
 *
 * Two connections to one server, or to the master that sentinels name: one subscribed to
 * PREFIX:*, one for commands. A third goes to one of the sentinels, and asks whether it still is.
 * Lost, they are made again with a jittered backoff; after each time everything is read anew, so
 * that nothing final is missed. Knows symbols, leases and messages as texts, never what a message
 * says. Redis holds:
 *
 *     PREFIX:SYMBOL          a channel: snapshot messages, as clients receive them
 *     PREFIX:latest:SYMBOL   the last of them
 *     PREFIX:lease:SYMBOL    "EPOCH NODE": who computes the symbol; it ends after LIMIT_LEASE_MS
 *     PREFIX:fence           the greatest epoch that was ever given with a lease
 *     PREFIX:symbols         a hash: each symbol's feed, in one word
 *
 * A lease and an epoch are one: whoever gets a lease gets an epoch greater than all before, and
 * only who holds the lease of its epoch may publish (a fencing token; the check and the publishing
 * are one script). On the main loop's thread. */
#ifndef HEATCAST_IO_BUS_H
#define HEATCAST_IO_BUS_H

#include "base/blob.h"
#include "io/loop.h"
#include "io/redis_url.h"

struct bus;

/* All are called from the loop, never from within a function below. Texts are borrowed. */
struct bus_ops {
    void *context;
    /* Subscribed, and the last of every symbol was told: from now on nothing is missed. */
    void (*on_up)(void *context);
    /* It was up and is not any more; it tries again by itself. What was asked and not answered
     * never will be. */
    void (*on_down)(void *context);
    /* Outside input: from a symbol's channel, or what it said last. `symbol` may be anything. */
    void (*on_message)(void *context, struct str symbol, struct str text);
    void (*on_feed)(void *context, struct str symbol, struct str feed);
    /* The answers to bus_claim() and bus_publish(). */
    void (*on_claimed)(void *context, uint32_t id, bool is_ours, uint64_t epoch, int64_t asked_us);
    void (*on_published)(void *context, uint32_t id, bool is_refused);
};

struct bus_counts {
    uint64_t connects, received, published, refused;
    int64_t round_trip_us; /* of the last publish that was answered; 0 before */
};

struct bus *bus_new(struct loop *loop, const struct redis_url *url, const char *prefix,
                    const struct bus_ops *ops);
void bus_start(struct bus *bus);
/* Gives back what is held by `bus_release`, if the server takes it at once, and ends. */
void bus_stop(struct bus *bus);
void bus_free(struct bus *bus); /* after the loop has ended */

bool bus_is_up(const struct bus *bus);
/* This node's name in leases. */
const char *bus_node(const struct bus *bus);
struct bus_counts bus_counts(const struct bus *bus);

/* The functions below do nothing while it is down. `id` comes back with the answer. */

struct bus_claim {
    const char *symbol;
    uint64_t want;  /* who has the lease keeps it if its epoch is at least this; else, and where
                       nobody has it, a new one begins, of this epoch or a greater one */
    uint64_t seen;  /* the greatest epoch that was shown here: another's lease gets a greater one */
    uint64_t most;  /* a fence above this was given by nobody, and is begun anew */
    bool is_forced; /* take it from whoever has it */
};

void bus_claim(struct bus *bus, uint32_t id, const struct bus_claim *claim);
/* Ends the lease, if it is ours in this epoch. */
void bus_release(struct bus *bus, const char *symbol, uint64_t epoch);
/* Takes no reference. ERR_FULL: LIMIT_BUS_UNANSWERED_BYTES wait for Redis already. */
int bus_publish(struct bus *bus, uint32_t id, const char *symbol, uint64_t epoch, const char *feed,
                const struct blob *text) MUST_CHECK;
/* Asks for the last message of a symbol: on_message(). */
void bus_read(struct bus *bus, const char *symbol);
/* And for its feed: on_feed(). */
void bus_read_feed(struct bus *bus, const char *symbol);

#endif
