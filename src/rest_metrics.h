/* rest_metrics.h - /ws/stats and /metrics: what all floors counted, in one text.
 *
 * Sums the blocks of all threads (stats.h) and looks at what needs no counting. Knows the formats
 * and no requests. On the main loop's thread. */
#ifndef HEATCAST_REST_METRICS_H
#define HEATCAST_REST_METRICS_H

#include "base/buf.h"
#include "base/stats.h"

struct cluster;
struct engine;
struct loop;
struct server;
struct store;
struct upstream;

/* name, type, label, help: what /metrics looks at when it is asked. */
#define READINGS_TABLE(X)                                                                          \
    X(heatcast_build_info, gauge, "version", "always 1: which version this is")                    \
    X(heatcast_symbol_subscriptions, gauge, "symbol", "subscriptions to the symbol now held")      \
    X(heatcast_symbol_candle_close_timestamp_seconds, gauge, "symbol",                             \
      "when the newest candle closed, of those that have happened on the feed's clock")            \
    X(heatcast_symbol_last_publication_age_seconds, gauge, "symbol",                               \
      "since the symbol's newest publication; none before its first")                              \
    X(heatcast_store_jobs_waiting, gauge, "", "store jobs that wait for a free thread")            \
    X(heatcast_redis_up, gauge, "", "1: connected to Redis; 0: it is away")                        \
    X(heatcast_redis_connects_total, counter, "", "times that Redis was connected to")             \
    X(heatcast_redis_publishes_total, counter, "result",                                           \
      "versions given to Redis: taken; refused, as another server leads; skipped, as it was slow") \
    X(heatcast_redis_messages_total, counter, "result",                                            \
      "messages of other servers: adopted; outdated, as not newer; invalid, as no snapshots")      \
    X(heatcast_redis_round_trip_seconds, gauge, "", "of the newest publish that was answered")     \
    X(heatcast_symbol_leads, gauge, "symbol", "1: this server computes the symbol for all")        \
    X(process_start_time_seconds, gauge, "", "when the process began")                             \
    X(process_cpu_seconds_total, counter, "", "processor time, of all threads")                    \
    X(process_resident_memory_bytes, gauge, "", "memory in use")                                   \
    X(process_virtual_memory_bytes, gauge, "", "address space in use")                             \
    X(process_open_fds, gauge, "", "open file descriptors")                                        \
    X(process_max_fds, gauge, "", "how many may be open")

struct rest_metrics;

/* `store` and `cluster` may be NULL. */
struct rest_metrics *rest_metrics_new(const struct engine *engine, struct loop *loop,
                                      struct store *store, const struct cluster *cluster,
                                      const struct upstream *upstream);
/* Counts messages per minute from now. */
void rest_metrics_start(struct rest_metrics *metrics, const struct server *server);
void rest_metrics_stop(struct rest_metrics *metrics);
void rest_metrics_free(struct rest_metrics *metrics); /* after the loop has ended */

/* Both append to `out`. */
void rest_metrics_write_json(const struct rest_metrics *metrics, struct buf *out);
void rest_metrics_write_text(const struct rest_metrics *metrics, struct buf *out);

#endif
