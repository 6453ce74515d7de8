#include "rest_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/exposition.h"
#include "base/version.h"
#include "cluster.h"
#include "io/process.h"
#include "upstream.h"

/* messages_sent_1m: totals of the last minute, one a second. */
enum { MINUTE = 61 };

struct rest_metrics {
    const struct engine *engine;
    const struct server *server;
    struct store *store;             /* NULL on an edge */
    const struct cluster *cluster;   /* NULL where there is one server */
    const struct upstream *upstream; /* NULL but on an edge */
    struct loop *loop;
    uv_timer_t second;
    int64_t sent[MINUTE]; /* ring of totals; sent[now % MINUTE] is the newest */
    uint64_t seconds;
};

static int64_t sent_last_minute(const struct rest_metrics *metrics)
{
    uint64_t oldest = metrics->seconds >= MINUTE - 1 ? metrics->seconds - (MINUTE - 1) : 0;

    return server_stat(metrics->server, STAT_messages_sent) - metrics->sent[oldest % MINUTE];
}

static void on_second(uv_timer_t *timer)
{
    struct rest_metrics *metrics = container_of(timer, struct rest_metrics, second);

    metrics->sent[++metrics->seconds % MINUTE] = server_stat(metrics->server, STAT_messages_sent);
}

static struct stats_sum sum_all(const struct rest_metrics *metrics)
{
    struct stats_sum sum = {0};

    for (size_t i = 0; i < server_shard_count(metrics->server); i++)
        stats_merge(&sum, server_shard_stats(metrics->server, i));
    if (metrics->store) store_stats(metrics->store, &sum);
    if (metrics->upstream) upstream_stats(metrics->upstream, &sum);
    return sum;
}

/* --- JSON --- */

static void write_subscriptions(const struct rest_metrics *metrics, struct buf *out)
{
    bool is_first = true;

    for (size_t i = 0; i < engine_symbol_count(metrics->engine); i++) {
        const struct symbol *symbol = engine_symbol(metrics->engine, i);
        uint32_t count = server_subscribers(metrics->server, symbol->id);

        if (!count) continue;
        if (!is_first) buf_add_char(out, ',');
        buf_add_json(out, str_of(symbol->name));
        buf_printf(out, ":%u", count);
        is_first = false;
    }
}

static void write_seconds(const char *name, const char *what, int64_t us, struct buf *out)
{
    buf_printf(out, ",\"%s%s_seconds\":", name, what);
    if (us < 0)
        buf_add_text(out, "null");
    else
        buf_add_decimal(out, us, 6);
}

/* A histogram, for people: how many, the sum, and bounds that half and nearly all kept. */
static void write_times(const char *name, const struct histogram_sum *sum, struct buf *out)
{
    buf_printf(out, ",\"%s_count\":%lld", name, (long long)histogram_count(sum));
    write_seconds(name, "", sum->sum_us, out);
    write_seconds(name, "_p50", histogram_percentile_us(sum, 50), out);
    write_seconds(name, "_p99", histogram_percentile_us(sum, 99), out);
}

void rest_metrics_write_json(const struct rest_metrics *metrics, struct buf *out)
{
    struct stats_sum sum = sum_all(metrics);

    buf_printf(out,
               "{\"active_connections\":%lld,\"messages_sent_1m\":%lld,"
               "\"subscriptions_by_symbol\":{",
               (long long)sum.value[STAT_websockets], (long long)sent_last_minute(metrics));
    write_subscriptions(metrics, out);
    buf_add_char(out, '}');
    for (unsigned i = 0; i < STAT_COUNT; i++)
        buf_printf(out, ",\"%s\":%lld", stats_rows[i].field, (long long)sum.value[i]);
    for (unsigned i = 0; i < HIST_COUNT; i++)
        write_times(stats_histogram_rows[i].name, &sum.histogram[i], out);
    buf_add_char(out, '}');
}

/* --- Prometheus --- */

static void write_counters(const struct stats_sum *sum, struct buf *out)
{
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        const struct stats_row *row = &stats_rows[i];
        char name[80];

        snprintf(name, sizeof(name), "heatcast_%s%s", row->family, row->is_gauge ? "" : "_total");
        if (!i || strcmp(row->family, stats_rows[i - 1].family) != 0)
            exposition_family(out, name, row->is_gauge ? "gauge" : "counter", row->help);
        exposition_sample(out, name, str_of(row->labels), sum->value[i]);
    }
}

static void write_by_shard(const struct rest_metrics *metrics, enum histogram_id id,
                           const char *name, struct buf *out)
{
    for (size_t i = 0; i < server_shard_count(metrics->server); i++) {
        const struct stats *stats = server_shard_stats(metrics->server, i);
        struct histogram_sum own = {0};
        char label[32];

        snprintf(label, sizeof(label), "shard=\"%zu\"", i);
        histogram_merge(&own, &stats->histogram[id]);
        exposition_histogram(out, name, str_of(label), &own);
    }
}

static void write_histograms(const struct rest_metrics *metrics, const struct stats_sum *sum,
                             struct buf *out)
{
    for (unsigned i = 0; i < HIST_COUNT; i++) {
        const struct stats_histogram_row *row = &stats_histogram_rows[i];
        char name[80];

        snprintf(name, sizeof(name), "heatcast_%s_seconds", row->name);
        exposition_family(out, name, "histogram", row->help);
        if (row->is_by_shard)
            write_by_shard(metrics, (enum histogram_id)i, name, out);
        else
            exposition_histogram(out, name, STR(""), &sum->histogram[i]);
    }
}

enum reading {
#define X(name, type, label, help) READING_##name,
    READINGS_TABLE(X)
#undef X
};

static const struct {
    const char *name, *type, *label, *help;
} readings[] = {
#define X(name, type, label, help) {#name, #type, label, help},
    READINGS_TABLE(X)
#undef X
};

static void begin_reading(struct buf *out, enum reading reading)
{
    exposition_family(out, readings[reading].name, readings[reading].type, readings[reading].help);
}

/* A sample with the reading's one label. */
static void write_labelled(struct buf *out, enum reading reading, const char *value, int64_t number,
                           unsigned decimals)
{
    struct buf labels = {0};

    exposition_label(&labels, readings[reading].label, str_of(value));
    exposition_decimal(out, readings[reading].name, buf_str(&labels), number, decimals);
    buf_deinit(&labels);
}

/* A family that is one number; -1: not known. */
static void write_plain(struct buf *out, enum reading reading, int64_t number, unsigned decimals)
{
    if (number < 0) return;
    begin_reading(out, reading);
    exposition_decimal(out, readings[reading].name, STR(""), number, decimals);
}

static void write_subscribers(const struct rest_metrics *metrics, struct buf *out)
{
    begin_reading(out, READING_heatcast_symbol_subscriptions);
    for (size_t i = 0; i < engine_symbol_count(metrics->engine); i++) {
        const struct symbol *symbol = engine_symbol(metrics->engine, i);

        write_labelled(out, READING_heatcast_symbol_subscriptions, symbol->name,
                       server_subscribers(metrics->server, symbol->id), 0);
    }
}

/* How old what is shown is, by the feed's clock and by ours. */
static void write_ages(const struct rest_metrics *metrics, struct buf *out)
{
    int64_t now_us = clock_monotonic_us();

    begin_reading(out, READING_heatcast_symbol_candle_close_timestamp_seconds);
    for (size_t i = 0; i < engine_symbol_count(metrics->engine); i++) {
        const struct symbol *symbol = engine_symbol(metrics->engine, i);

        if (symbol->step_ms)
            write_labelled(out, READING_heatcast_symbol_candle_close_timestamp_seconds,
                           symbol->name,
                           engine_visible_ms(metrics->engine, symbol) + symbol->step_ms, 3);
    }
    begin_reading(out, READING_heatcast_symbol_last_publication_age_seconds);
    for (size_t i = 0; i < engine_symbol_count(metrics->engine); i++) {
        const struct symbol *symbol = engine_symbol(metrics->engine, i);

        if (symbol->published_us)
            write_labelled(out, READING_heatcast_symbol_last_publication_age_seconds, symbol->name,
                           now_us - symbol->published_us, 6);
    }
}

static void write_redis(const struct rest_metrics *metrics, struct buf *out)
{
    struct cluster_counts counts = cluster_counts(metrics->cluster);
    enum reading publishes = READING_heatcast_redis_publishes_total,
                 messages = READING_heatcast_redis_messages_total;

    write_plain(out, READING_heatcast_redis_up, cluster_is_up(metrics->cluster), 0);
    write_plain(out, READING_heatcast_redis_connects_total, (int64_t)counts.bus.connects, 0);
    begin_reading(out, publishes);
    write_labelled(out, publishes, "taken", (int64_t)counts.bus.published, 0);
    write_labelled(out, publishes, "refused", (int64_t)counts.bus.refused, 0);
    write_labelled(out, publishes, "skipped", (int64_t)counts.skipped, 0);
    begin_reading(out, messages);
    write_labelled(out, messages, "adopted", (int64_t)counts.adopted, 0);
    write_labelled(out, messages, "outdated", (int64_t)counts.outdated, 0);
    write_labelled(out, messages, "invalid", (int64_t)counts.invalid, 0);
    write_plain(out, READING_heatcast_redis_round_trip_seconds, counts.bus.round_trip_us, 6);
    begin_reading(out, READING_heatcast_symbol_leads);
    for (size_t i = 0; i < engine_symbol_count(metrics->engine); i++) {
        const struct symbol *symbol = engine_symbol(metrics->engine, i);

        write_labelled(out, READING_heatcast_symbol_leads, symbol->name,
                       engine_has_lead(metrics->engine, symbol), 0);
    }
}

static void write_process(struct buf *out)
{
    struct process process = process_look();

    write_plain(out, READING_process_start_time_seconds, process.started_ms, 3);
    write_plain(out, READING_process_cpu_seconds_total, process.cpu_us, 6);
    write_plain(out, READING_process_resident_memory_bytes, process.resident_bytes, 0);
    write_plain(out, READING_process_virtual_memory_bytes, process.virtual_bytes, 0);
    write_plain(out, READING_process_open_fds, process.open_files, 0);
    write_plain(out, READING_process_max_fds, process.open_files_max, 0);
}

void rest_metrics_write_text(const struct rest_metrics *metrics, struct buf *out)
{
    struct stats_sum sum = sum_all(metrics);

    write_counters(&sum, out);
    write_histograms(metrics, &sum, out);
    begin_reading(out, READING_heatcast_build_info);
    write_labelled(out, READING_heatcast_build_info, heatcast_version, 1, 0);
    write_subscribers(metrics, out);
    write_ages(metrics, out);
    if (metrics->store)
        write_plain(out, READING_heatcast_store_jobs_waiting, store_jobs_waiting(metrics->store),
                    0);
    if (metrics->cluster) write_redis(metrics, out);
    write_process(out);
}

/* --- life --- */

struct rest_metrics *rest_metrics_new(const struct engine *engine, struct loop *loop,
                                      struct store *store, const struct cluster *cluster,
                                      const struct upstream *upstream)
{
    struct rest_metrics *metrics = mem_zalloc(sizeof(*metrics));

    metrics->engine = engine;
    metrics->loop = loop;
    metrics->store = store;
    metrics->cluster = cluster;
    metrics->upstream = upstream;
    return metrics;
}

void rest_metrics_start(struct rest_metrics *metrics, const struct server *server)
{
    metrics->server = server;
    uv_timer_init(&metrics->loop->uv, &metrics->second);
    uv_timer_start(&metrics->second, on_second, 1000, 1000);
}

void rest_metrics_stop(struct rest_metrics *metrics)
{
    uv_close((uv_handle_t *)&metrics->second, NULL);
}

void rest_metrics_free(struct rest_metrics *metrics)
{
    free(metrics);
}
