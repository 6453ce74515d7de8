/* rest_metrics.h - /ws/stats and /metrics: what all floors counted, in one text.
 *
 * Sums the blocks of all threads (stats.h) and looks at what needs no counting. Knows the formats
 * and no requests. On the main loop's thread. */
#ifndef HEATCAST_REST_METRICS_H
#define HEATCAST_REST_METRICS_H

#include "base/buf.h"
#include "base/stats.h"

struct engine;
struct loop;
struct server;
struct store;

/* name, type, label, help: what /metrics looks at when it is asked. */
#define READINGS_TABLE(X)                                                                          \
    X(heatcast_build_info, gauge, "version", "always 1: which version this is")                    \
    X(heatcast_symbol_subscriptions, gauge, "symbol", "subscriptions to the symbol now held")      \
    X(heatcast_symbol_candle_close_timestamp_seconds, gauge, "symbol",                             \
      "when the newest candle closed, of those that have happened on the feed's clock")            \
    X(heatcast_symbol_last_publication_age_seconds, gauge, "symbol",                               \
      "since the symbol's newest publication; none before its first")                              \
    X(heatcast_store_jobs_waiting, gauge, "", "store jobs that wait for a free thread")            \
    X(process_start_time_seconds, gauge, "", "when the process began")                             \
    X(process_cpu_seconds_total, counter, "", "processor time, of all threads")                    \
    X(process_resident_memory_bytes, gauge, "", "memory in use")                                   \
    X(process_virtual_memory_bytes, gauge, "", "address space in use")                             \
    X(process_open_fds, gauge, "", "open file descriptors")                                        \
    X(process_max_fds, gauge, "", "how many may be open")

struct rest_metrics;

struct rest_metrics *rest_metrics_new(const struct engine *engine, struct loop *loop,
                                      struct store *store);
/* Counts messages per minute from now. */
void rest_metrics_start(struct rest_metrics *metrics, const struct server *server);
void rest_metrics_stop(struct rest_metrics *metrics);
void rest_metrics_free(struct rest_metrics *metrics); /* after the loop has ended */

/* Both append to `out`. */
void rest_metrics_write_json(const struct rest_metrics *metrics, struct buf *out);
void rest_metrics_write_text(const struct rest_metrics *metrics, struct buf *out);

#endif
