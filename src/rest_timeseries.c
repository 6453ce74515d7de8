#include "rest_query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "heat/price_bin.h"
#include "heat/series.h"

#define DAY_MS INT64_C(86400000)

static const struct {
    const char *name;
    int64_t span_ms;
    const char *interval;
    int64_t interval_ms;
} windows[] = {
    {"48h", 2 * DAY_MS, "30m", 1800000},   {"3d", 3 * DAY_MS, "1h", 3600000},
    {"7d", 7 * DAY_MS, "1h", 3600000},     {"14d", 14 * DAY_MS, "2h", 7200000},
    {"30d", 30 * DAY_MS, "4h", 14400000},  {"60d", 60 * DAY_MS, "8h", 28800000},
    {"90d", 90 * DAY_MS, "12h", 43200000}, {"180d", 180 * DAY_MS, "1d", 86400000},
    {"1y", 365 * DAY_MS, "1d", 86400000},
};

/* --- parameters --- */

/* A window sets span and interval, whatever else is given. */
static bool read_window(const struct params *params, struct timeseries_query *query, bool *is_given)
{
    struct buf value = {0};
    bool ok = params_text(params, "time_window", &value, is_given), is_known = !*is_given;

    for (size_t i = 0; ok && *is_given && i < ARRAY_LEN(windows); i++) {
        if (!str_eq(buf_str(&value), str_of(windows[i].name))) continue;
        query->from_ms = query->until_ms - windows[i].span_ms;
        query->interval = windows[i].interval;
        query->interval_ms = windows[i].interval_ms;
        is_known = true;
    }
    if (ok && !is_known)
        ok =
            params_fail(params, 422,
                        "parameter 'time_window' must be one of 48h 3d 7d 14d 30d 60d 90d 180d 1y");
    buf_deinit(&value);
    return ok;
}

static bool read_span(const struct params *params, struct timeseries_query *query)
{
    bool has_window, has_start, has_end;

    /* Of a symbol that is only published nothing is stored, up to now. */
    query->until_ms = query->visible_ms < 0 ? clock_wall_ms() : query->visible_ms;
    if (!params_time(params, "end_time", &query->until_ms, &has_end)) return false;
    query->from_ms = query->until_ms - 7 * DAY_MS;
    if (!params_time(params, "start_time", &query->from_ms, &has_start) ||
        !params_interval(params, "15m", &query->interval, &query->interval_ms) ||
        !read_window(params, query, &has_window))
        return false;
    if (query->from_ms > query->until_ms)
        return params_fail(params, 400, "'start_time' is after 'end_time'");
    if ((query->until_ms - query->from_ms) / query->interval_ms > LIMIT_ANSWER_SNAPSHOTS)
        return params_fail(
            params, 422,
            "more than %d snapshots are asked for; take a wider interval or a shorter "
            "span",
            LIMIT_ANSWER_SNAPSHOTS);
    return true;
}

/* "default 100, or the symbol's stream bucket where 100 is more than a 50th of its price" */
static int64_t default_bin(const struct symbol *symbol)
{
    double price = symbol->price > 0 ? symbol->price : symbol->first_price;

    return price < 50 * 100 ? symbol->bin_e12 : 100 * PRICE_BIN_ONE_E12;
}

static bool read_bin(const struct params *params, const struct symbol *symbol, int64_t *bin_e12)
{
    struct buf value = {0};
    bool is_given, ok = params_text(params, "price_bin_size", &value, &is_given);

    *bin_e12 = default_bin(symbol);
    if (ok && is_given && price_bin_parse(buf_str(&value), bin_e12))
        ok = params_fail(params, 422,
                         "parameter 'price_bin_size' must be a number above 0 and at most 1000000");
    buf_deinit(&value);
    return ok;
}

static bool read_mix(const struct params *params, struct leverage_mix *mix)
{
    struct buf value = {0};
    bool is_given, ok = params_text(params, "leverage_weights", &value, &is_given);

    *mix = leverage_mix_default;
    if (ok && is_given && leverage_mix_parse(buf_str(&value), mix))
        ok = params_fail(params, 400,
                         "parameter 'leverage_weights' must be like 5:15,10:30,25:25,50:20,100:10 "
                         "with tiers 5, 10, 25, 50, 100 and weights that are not all 0");
    buf_deinit(&value);
    return ok;
}

/* "stream": as long as the live heatmaps are built from, so that history meets them. */
static bool read_warmup(const struct params *params, int64_t *warmup_ms)
{
    struct buf value = {0};
    bool is_given, ok = params_text(params, "warmup", &value, &is_given);
    struct str text = buf_str(&value);

    *warmup_ms = 0;
    if (str_eq(text, STR("stream"))) text = str_of(engine_config(params->engine)->history);
    if (ok && is_given && span_parse(text, warmup_ms))
        ok = params_fail(params, 422,
                         "parameter 'warmup' must be a span like 12h or 30d, or 'stream'");
    buf_deinit(&value);
    return ok;
}

bool timeseries_read(const struct params *params, struct timeseries_query *query)
{
    const struct symbol *symbol;

    if (!params_symbol(params, &symbol)) return false;
    strcpy(query->symbol, symbol->name);
    query->visible_ms = engine_visible_ms(params->engine, symbol);
    return read_span(params, query) && read_bin(params, symbol, &query->bin_e12) &&
           read_mix(params, &query->mix) && read_warmup(params, &query->warmup_ms);
}

/* --- the answer --- */

struct totals {
    size_t snapshots, levels;
    double long_volume, short_volume;
    uint64_t consumed;
    int64_t bucket_min, bucket_max;
};

static void count_snapshot(struct totals *totals, const struct snapshot *snapshot)
{
    totals->snapshots++;
    totals->long_volume += snapshot->long_total;
    totals->short_volume += snapshot->short_total;
    totals->consumed += snapshot->positions_consumed;
    if (!snapshot->level_count) return;
    if (!totals->levels || snapshot->levels[0].bucket < totals->bucket_min)
        totals->bucket_min = snapshot->levels[0].bucket;
    if (!totals->levels || snapshot->levels[snapshot->level_count - 1].bucket > totals->bucket_max)
        totals->bucket_max = snapshot->levels[snapshot->level_count - 1].bucket;
    totals->levels += snapshot->level_count;
}

static void write_volume(struct buf *out, double usdt)
{
    buf_add_decimal(out, llround(usdt * 100), 2);
}

static void write_meta(struct buf *out, const struct timeseries_query *q,
                       const struct totals *totals)
{
    buf_printf(out, "],\"meta\":{\"symbol\":\"%s\",\"start_time\":\"", q->symbol);
    buf_add_time(out, q->from_ms);
    buf_add_text(out, "\",\"end_time\":\"");
    buf_add_time(out, q->until_ms);
    buf_printf(out, "\",\"interval\":\"%s\",\"total_snapshots\":%zu,\"price_range\":{\"min\":",
               q->interval, totals->snapshots);
    snapshot_write_price(out, totals->bucket_min, q->bin_e12);
    buf_add_text(out, ",\"max\":");
    snapshot_write_price(out, totals->bucket_max, q->bin_e12);
    buf_add_text(out, "},\"total_long_volume\":");
    write_volume(out, totals->long_volume);
    buf_add_text(out, ",\"total_short_volume\":");
    write_volume(out, totals->short_volume);
    buf_printf(
        out, ",\"total_consumed\":%llu,\"price_bin_size\":", (unsigned long long)totals->consumed);
    snapshot_write_price(out, 1, q->bin_e12);
    buf_add_text(out, "}}");
}

/* Runs the model over the rows and writes those from the start on. Returns false when there would
 * be more levels than an answer may have, or the store closes. */
static bool write_rows(struct buf *out, const struct timeseries_query *q, struct store_conn *conn,
                       const struct series_row *rows, size_t count, struct totals *totals)
{
    struct heatmap *map = heatmap_new(q->bin_e12, &q->mix);
    int64_t first_ms = series_bucket(q->from_ms, q->interval_ms);
    struct snapshot snapshot = {0};
    bool was_warming = false;

    for (size_t i = 0; i < count && totals->levels <= LIMIT_ANSWER_LEVELS; i++) {
        bool is_shown = rows[i].candle.open_time_ms >= first_ms;

        if (store_conn_is_stopping(conn)) break;
        /* What the warm-up opened and consumed is not the first snapshot's. */
        if (is_shown && was_warming) heatmap_snapshot(map, &snapshot);
        was_warming = !is_shown;
        heatmap_apply(map, &rows[i].candle, rows[i].oi_delta);
        if (!is_shown) continue;
        heatmap_snapshot(map, &snapshot);
        if (totals->snapshots) buf_add_char(out, ',');
        snapshot_write_row(out, &snapshot);
        count_snapshot(totals, &snapshot);
    }
    snapshot_deinit(&snapshot);
    heatmap_free(map);
    return totals->levels <= LIMIT_ANSWER_LEVELS;
}

void timeseries_answer(const struct timeseries_query *q, struct store_conn *conn,
                       struct site_response *response)
{
    struct totals totals = {0};
    struct series_row *rows;
    struct buf out = {0};
    size_t count;

    if (!query_series(conn, q->symbol, q->interval_ms, q->from_ms - q->warmup_ms,
                      MIN(q->until_ms, q->visible_ms), true, &rows, &count, response))
        return;
    buf_add_text(&out, "{\"data\":[");
    if (write_rows(&out, q, conn, rows, count, &totals)) {
        write_meta(&out, q, &totals);
        *response = (struct site_response){
            .status = 200, .content_type = "application/json", .body = blob_take(&out)};
    } else {
        buf_deinit(&out);
        site_fail(
            response, 422,
            "more than " TEXT_OF(
                LIMIT_ANSWER_LEVELS) " levels are asked for; take a larger price_bin_size, a wider "
                                     "interval or a shorter span");
    }
    free(rows);
}
