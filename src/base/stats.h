/* stats.h - counters that many threads raise and anyone reads; THE table of them.
 *
 * Each thread raises a block of its own (plain relaxed stores, no shared cache line); a reader
 * sums the blocks. A sum is a moment's view: each counter is exact, two may be apart by an event.
 */
#ifndef HEATCAST_BASE_STATS_H
#define HEATCAST_BASE_STATS_H

#include <stdatomic.h>

#include "base/base.h"

/* name, kind, help: exported as heatcast_<name> (gauge) or heatcast_<name>_total (counter). */
#define STATS_TABLE(X)                                                                             \
    X(connections, GAUGE, "connections of all kinds now open")                                     \
    X(websockets, GAUGE, "WebSocket connections now open")                                         \
    X(subscriptions, GAUGE, "subscriptions (client and symbol) now held")                          \
    X(slow_consumers, GAUGE, "WebSocket clients with data waiting that their socket refuses")      \
    X(connections_accepted, COUNTER, "connections accepted")                                       \
    X(connections_refused, COUNTER, "connections answered 503 because the limit was reached")      \
    X(websockets_opened, COUNTER, "WebSocket handshakes completed")                                \
    X(http_requests, COUNTER, "HTTP requests answered, upgrades not counted")                      \
    X(http_errors, COUNTER, "HTTP requests answered with a status of 400 or above")                \
    X(messages_received, COUNTER, "WebSocket messages received")                                   \
    X(messages_sent, COUNTER, "WebSocket messages written whole to a socket")                      \
    X(snapshots_sent, COUNTER, "snapshots among them")                                             \
    X(snapshots_dropped, COUNTER, "snapshots superseded before a slow client took them")           \
    X(slow_warnings, COUNTER, "SLOW_CONSUMER warnings sent")                                       \
    X(slow_closes, COUNTER, "clients closed because they took nothing for too long")               \
    X(dead_closes, COUNTER, "clients closed because they were silent for too long")                \
    X(protocol_closes, COUNTER, "clients closed because they broke the protocol")                  \
    X(errors_sent, COUNTER, "error messages sent to WebSocket clients")                            \
    X(bytes_received, COUNTER, "bytes read from sockets")                                          \
    X(bytes_sent, COUNTER, "bytes written to sockets")                                             \
    X(publications, COUNTER, "publications delivered to a shard's subscribers")

enum counter {
#define X(name, kind, help) STAT_##name,
    STATS_TABLE(X)
#undef X
        STAT_COUNT
};

struct stats {
    _Alignas(64) _Atomic int64_t value[STAT_COUNT];
};

/* On the owning thread only; `by` may be negative for a gauge. */
static inline void stats_add(struct stats *stats, enum counter stat, int64_t by)
{
    _Atomic int64_t *value = &stats->value[stat];

    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* From any thread. */
static inline int64_t stats_get(const struct stats *stats, enum counter stat)
{
    return atomic_load_explicit(&stats->value[stat], memory_order_relaxed);
}

#endif
