/* stats.h - what many threads count and anyone reads; THE tables of it.
 *
 * Each thread raises a block of its own (plain relaxed stores, no shared cache line); a reader
 * sums the blocks. A sum is a moment's view: each counter is exact, two may be apart by an event.
 */
#ifndef HEATCAST_BASE_STATS_H
#define HEATCAST_BASE_STATS_H

#include <stdatomic.h>

#include "base/histogram.h"

/* field, kind, family, labels, help: a family is exported as heatcast_<family> (gauge) or
 * heatcast_<family>_total (counter), told apart by its labels; its rows stand together, their help
 * is the family's. /ws/stats has every field by its own name. */
#define STATS_TABLE(X)                                                                             \
    X(connections, GAUGE, connections, "", "connections of all kinds now open")                    \
    X(websockets, GAUGE, connections_by_door, "door=\"ws\"", STATS_DOORS_HELP)                     \
    X(sse_connections, GAUGE, connections_by_door, "door=\"sse\"", STATS_DOORS_HELP)               \
    X(http_connections, GAUGE, connections_by_door, "door=\"http\"", STATS_DOORS_HELP)             \
    X(subscriptions, GAUGE, subscriptions, "", "subscriptions (client and symbol) now held")       \
    X(slow_consumers, GAUGE, slow_consumers, "",                                                   \
      "clients with data waiting that their socket refuses")                                       \
    X(queue_bytes, GAUGE, queue_bytes, "",                                                         \
      "bytes of begun writes that sockets refused, kept until they take them")                     \
    X(connections_accepted, COUNTER, connections_accepted, "", "connections accepted")             \
    X(connections_refused, COUNTER, connections_refused, "limit=\"all\"", STATS_REFUSED_HELP)      \
    X(connections_refused_address, COUNTER, connections_refused, "limit=\"address\"",              \
      STATS_REFUSED_HELP)                                                                          \
    X(websockets_opened, COUNTER, websockets_opened, "", "WebSocket handshakes completed")         \
    X(http_requests, COUNTER, http_requests, "", "HTTP requests answered, upgrades not counted")   \
    X(http_errors, COUNTER, http_errors, "",                                                       \
      "HTTP requests answered with a status of 400 or above")                                      \
    X(messages_received, COUNTER, messages_received, "", "WebSocket messages received")            \
    X(messages_sent, COUNTER, messages_sent, "", "WebSocket messages written whole to a socket")   \
    X(snapshots_sent, COUNTER, snapshots_sent, "", "snapshots among them")                         \
    X(snapshots_dropped, COUNTER, snapshots_dropped, "",                                           \
      "snapshots superseded before a slow client took them")                                       \
    X(slow_warnings, COUNTER, slow_warnings, "", "SLOW_CONSUMER warnings sent")                    \
    X(slow_closes, COUNTER, slow_closes, "",                                                       \
      "clients closed because they took nothing for too long")                                     \
    X(dead_closes, COUNTER, dead_closes, "",                                                       \
      "clients closed because they were silent for too long")                                      \
    X(protocol_closes, COUNTER, protocol_closes, "",                                               \
      "clients closed because they broke the protocol")                                            \
    STATS_CLOSE_CODES(STATS_CLOSE, X)                                                              \
    STATS_CLOSE(X, other)                                                                          \
    X(errors_sent, COUNTER, errors_sent, "", "error messages sent to WebSocket clients")           \
    X(bytes_received, COUNTER, bytes_received, "", "bytes read from sockets")                      \
    X(bytes_sent, COUNTER, bytes_sent, "", "bytes written to sockets")                             \
    X(publications, COUNTER, publications, "", "publications delivered to a shard's subscribers")  \
    X(encodings_made, COUNTER, encodings, "result=\"made\"", STATS_ENCODINGS_HELP)                 \
    X(encodings_reused, COUNTER, encodings, "result=\"reused\"", STATS_ENCODINGS_HELP)             \
    STATS_DOORS(X, updates, updates_sent, STATS_UPDATES_HELP)                                      \
    STATS_DOORS(X, update_bytes, update_bytes_sent, STATS_UPDATE_BYTES_HELP)                       \
    X(resumes_delta, COUNTER, resumes, "answer=\"delta\"", STATS_RESUMES_HELP)                     \
    X(resumes_snapshot, COUNTER, resumes, "answer=\"snapshot\"", STATS_RESUMES_HELP)               \
    X(resumes_current, COUNTER, resumes, "answer=\"current\"", STATS_RESUMES_HELP)                 \
    X(polls_answered, COUNTER, polls, "result=\"answered\"", STATS_POLLS_HELP)                     \
    X(polls_timed_out, COUNTER, polls, "result=\"timed_out\"", STATS_POLLS_HELP)                   \
    X(publishes_accepted, COUNTER, publishes, "result=\"accepted\"", STATS_PUBLISHES_HELP)         \
    X(publishes_refused, COUNTER, publishes, "result=\"refused\"", STATS_PUBLISHES_HELP)           \
    X(upstream_requests_fetched, COUNTER, upstream_requests, "result=\"fetched\"",                 \
      STATS_UPSTREAM_REQUESTS_HELP)                                                                \
    X(upstream_requests_shared, COUNTER, upstream_requests, "result=\"shared\"",                   \
      STATS_UPSTREAM_REQUESTS_HELP)                                                                \
    X(upstream_requests_refused, COUNTER, upstream_requests, "result=\"refused\"",                 \
      STATS_UPSTREAM_REQUESTS_HELP)                                                                \
    X(upstream_fetches_answered, COUNTER, upstream_fetches, "result=\"answered\"",                 \
      STATS_UPSTREAM_FETCHES_HELP)                                                                 \
    X(upstream_fetches_refused, COUNTER, upstream_fetches, "result=\"refused\"",                   \
      STATS_UPSTREAM_FETCHES_HELP)                                                                 \
    X(upstream_fetches_timed_out, COUNTER, upstream_fetches, "result=\"timed_out\"",               \
      STATS_UPSTREAM_FETCHES_HELP)                                                                 \
    X(upstream_fetches_failed, COUNTER, upstream_fetches, "result=\"failed\"",                     \
      STATS_UPSTREAM_FETCHES_HELP)

#define STATS_DOORS_HELP "connections now open by what they are now: WebSocket, SSE stream, HTTP"
#define STATS_REFUSED_HELP                                                                         \
    "connections (of a trusted proxy: requests) refused because a limit was reached: of all, of "  \
    "an address"
#define STATS_CLOSES_HELP                                                                          \
    "WebSockets ended, by the code of the first close frame, ours or theirs; 1006: without one"
#define STATS_ENCODINGS_HELP                                                                       \
    "encodings of publications and deltas: made, or taken again ready made for another client"
#define STATS_UPDATES_HELP                                                                         \
    "snapshots and deltas written whole, by door and encoding; polls: answered with one"
#define STATS_UPDATE_BYTES_HELP "their bytes as written, with frames and events around them"
#define STATS_RESUMES_HELP                                                                         \
    "clients that came back with since: got a delta, a snapshot, or were up to date"
#define STATS_POLLS_HELP     "long polls answered with news, or at the end of their wait"
#define STATS_PUBLISHES_HELP "POST /publish taken, or answered with a status of 400 or above"
#define STATS_UPSTREAM_REQUESTS_HELP                                                               \
    "an edge's requests for history: fetched from the full node, shared with a fetch under way, "  \
    "refused here"
#define STATS_UPSTREAM_FETCHES_HELP                                                                \
    "fetches from the full node: answered, refused by it with a status of 400 or above, not "      \
    "answered in time, failed otherwise"

/* Those of RFC 6455 §7.4.1 and the registry that clients and we use. */
#define STATS_CLOSE_CODES(Y, X)                                                                    \
    Y(X, 1000)                                                                                     \
    Y(X, 1001)                                                                                     \
    Y(X, 1002)                                                                                     \
    Y(X, 1003)                                                                                     \
    Y(X, 1005)                                                                                     \
    Y(X, 1006)                                                                                     \
    Y(X, 1007)                                                                                     \
    Y(X, 1008)                                                                                     \
    Y(X, 1009)                                                                                     \
    Y(X, 1011)                                                                                     \
    Y(X, 1012)                                                                                     \
    Y(X, 1013)
#define STATS_CLOSE(X, code)                                                                       \
    X(closes_##code, COUNTER, closes, "code=\"" #code "\"", STATS_CLOSES_HELP)

/* In the order of enum stats_door and of the bits in stats_update(). */
#define STATS_DOORS(X, field, family, help)                                                        \
    STATS_DOOR(X, field, family, ws, help)                                                         \
    STATS_DOOR(X, field, family, sse, help)                                                        \
    STATS_DOOR(X, field, family, poll, help)
#define STATS_DOOR(X, field, family, door, help)                                                   \
    STATS_UPDATE(X, field, family, door, snapshot, levels, plain, help)                            \
    STATS_UPDATE(X, field, family, door, snapshot, levels, deflate, help)                          \
    STATS_UPDATE(X, field, family, door, snapshot, columns, plain, help)                           \
    STATS_UPDATE(X, field, family, door, snapshot, columns, deflate, help)                         \
    STATS_UPDATE(X, field, family, door, delta, levels, plain, help)                               \
    STATS_UPDATE(X, field, family, door, delta, levels, deflate, help)                             \
    STATS_UPDATE(X, field, family, door, delta, columns, plain, help)                              \
    STATS_UPDATE(X, field, family, door, delta, columns, deflate, help)
#define STATS_UPDATE(X, field, family, door, type, format, compression, help)                      \
    X(field##_##door##_##type##_##format##_##compression, COUNTER, family,                         \
      "door=\"" #door "\",type=\"" #type "\",format=\"" #format "\",compression=\"" #compression   \
      "\"",                                                                                        \
      help)

enum counter {
#define X(field, kind, family, labels, help) STAT_##field,
    STATS_TABLE(X)
#undef X
        STAT_COUNT
};

/* name, scope, help: exported as the histogram heatcast_<name>_seconds, summed over all threads, or
 * for each shard by itself, with the label shard="0". */
#define HISTOGRAMS_TABLE(X)                                                                        \
    X(publish_to_last_write, SUMMED,                                                               \
      "from the making of a publication to its last byte given to the last socket of a shard "     \
      "that takes it at once")                                                                     \
    X(loop_busy, BY_SHARD,                                                                         \
      "one turn of a shard's event loop, without its sleep: what an event may have had to wait")   \
    X(encode, SUMMED, "making what encodings one turn of a shard lacked, deflating not counted")   \
    X(deflate, SUMMED, "deflating in one turn of a shard")                                         \
    X(store_wait, SUMMED, "waiting of a store job for a free thread")                              \
    X(store_query, SUMMED, "one statement of the database")                                        \
    X(upstream_fetch, SUMMED, "one fetch from the full node, its wait for a turn included")

enum histogram_id {
#define X(name, scope, help) HIST_##name,
    HISTOGRAMS_TABLE(X)
#undef X
        HIST_COUNT
};

/* One thread's. Starts all zero, in memory aligned as it asks for. */
struct stats {
    _Alignas(64) _Atomic int64_t value[STAT_COUNT];
    struct histogram histogram[HIST_COUNT];
};

/* On the owning thread only; `by` may be negative for a gauge. */
static inline void stats_add(struct stats *stats, enum counter stat, int64_t by)
{
    _Atomic int64_t *value = &stats->value[stat];

    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* On the owning thread only. */
static inline void stats_observe(struct stats *stats, enum histogram_id id, int64_t us)
{
    histogram_observe(&stats->histogram[id], us);
}

/* From any thread. */
static inline int64_t stats_get(const struct stats *stats, enum counter stat)
{
    return atomic_load_explicit(&stats->value[stat], memory_order_relaxed);
}

/* The counter of a WebSocket that ended with this code. */
enum counter stats_close_code(unsigned code);

enum stats_door { STATS_WS, STATS_SSE, STATS_POLL };

/* The counter of messages of a door in an encoding: one of updates_… */
static inline enum counter stats_update(enum stats_door door, bool is_delta, bool is_columns,
                                        bool is_deflated)
{
    return (enum counter)(STAT_updates_ws_snapshot_levels_plain +
                          ((door * 2u + is_delta) * 2u + is_columns) * 2u + is_deflated);
}

/* On the owning thread only: a message of `update`, which stats_update() gave, was written whole,
 * and took so many bytes. */
static inline void stats_add_update(struct stats *stats, enum counter update, int64_t bytes)
{
    stats_add(stats, update, 1);
    stats_add(stats,
              (enum counter)(update + (STAT_update_bytes_ws_snapshot_levels_plain -
                                       STAT_updates_ws_snapshot_levels_plain)),
              bytes);
}

/* Several threads' blocks in one, for a reader; `{0}` is a valid empty one. */
struct stats_sum {
    int64_t value[STAT_COUNT];
    struct histogram_sum histogram[HIST_COUNT];
};

/* From any thread. */
void stats_merge(struct stats_sum *into, const struct stats *from);

/* The tables for who renders them, by enum counter and enum histogram_id. */
struct stats_row {
    const char *field, *family, *labels, *help;
    bool is_gauge;
};
extern const struct stats_row stats_rows[STAT_COUNT];

struct stats_histogram_row {
    const char *name, *help;
    bool is_by_shard;
};
extern const struct stats_histogram_row stats_histogram_rows[HIST_COUNT];

#endif
