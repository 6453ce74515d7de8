#include "rest_query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "heat/matrix.h"
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

/* One of `columns_at`: a moment within the column that is meant. */
static bool read_column(const struct params *params, struct str text,
                        struct timeseries_query *query)
{
    int64_t time_ms, open_ms;

    if (query->column_count == LIMIT_COLUMNS_AT)
        return params_fail(params, 422, "parameter 'columns_at' has more than %d times",
                           LIMIT_COLUMNS_AT);
    if (time_parse(text, &time_ms))
        return params_fail(params, 400,
                           "parameter 'columns_at' must be ISO 8601 times such as "
                           "2025-12-29T10:00:00Z, separated by commas");
    open_ms = series_bucket(time_ms, query->interval_ms);
    if (open_ms < series_bucket(query->from_ms, query->interval_ms) || open_ms > query->until_ms)
        return params_fail(params, 422, "parameter 'columns_at': '%.*s' is outside of the span",
                           (int)text.size, text.at);
    query->columns_ms[query->column_count++] = open_ms;
    return true;
}

static bool read_columns(const struct params *params, struct timeseries_query *query)
{
    struct buf value = {0};
    bool is_given, ok = params_text(params, "columns_at", &value, &is_given);
    struct str rest = buf_str(&value);

    if (ok && is_given && query->is_matrix)
        ok = params_fail(params, 422, "parameter 'columns_at' is for format=json");
    while (ok && rest.size)
        ok = read_column(params, str_split(&rest, ','), query);
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
           read_mix(params, &query->mix) && read_warmup(params, &query->warmup_ms) &&
           params_format(params, "matrix", &query->is_matrix) && read_columns(params, query);
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
    buf_printf(out, "\"meta\":{\"symbol\":\"%s\",\"start_time\":\"", q->symbol);
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
    buf_add_char(out, '}');
}

/* An answer in the making: as JSON it is written as its columns come, as a matrix they are kept. */
struct answer {
    const struct timeseries_query *query;
    struct totals totals;
    struct buf out;
    struct matrix matrix;
    struct budget *memory;
    int64_t taken;       /* of it */
    bool is_over_budget; /* what was needed was not left */
};

/* So many bytes more are about to be written, beside those that are there. */
static bool take_memory(struct answer *answer, size_t more)
{
    int64_t bytes = (int64_t)(answer->out.size + matrix_bytes(&answer->matrix) + more);

    if (bytes <= answer->taken) return true;
    answer->is_over_budget = !budget_take(answer->memory, bytes - answer->taken);
    if (!answer->is_over_budget) answer->taken = bytes;
    return !answer->is_over_budget;
}

static void take_snapshot(struct answer *answer, const struct snapshot *snapshot)
{
    if (answer->query->is_matrix)
        matrix_add(&answer->matrix, snapshot);
    else {
        buf_add_text(&answer->out, answer->totals.snapshots ? "," : "{\"data\":[");
        snapshot_write_row(&answer->out, snapshot);
    }
    count_snapshot(&answer->totals, snapshot);
}

static void fail_size(struct site_response *response, size_t max, const char *what)
{
    char message[160];

    snprintf(message, sizeof(message),
             "more than %zu %s are asked for; take a larger price_bin_size, a wider interval or a "
             "shorter span",
             max, what);
    site_fail(response, 422, message);
}

static bool has_few_cells(const struct answer *answer)
{
    return matrix_cells(&answer->matrix) <= LIMIT_MATRIX_CELLS;
}

static size_t levels_max(const struct timeseries_query *q)
{
    return q->is_matrix ? LIMIT_MATRIX_CELLS : LIMIT_ANSWER_LEVELS;
}

/* May the answer be as large as it is now? It only grows, so this is looked at with each column. */
static bool has_room(struct answer *answer)
{
    return answer->totals.levels <= levels_max(answer->query) && has_few_cells(answer) &&
           take_memory(answer, 0);
}

static void fail_room(const struct answer *answer, struct site_response *response)
{
    if (answer->is_over_budget)
        site_fail(response, 503,
                  "the answers that are being made take all the memory there is for them; try "
                  "again later");
    else if (!has_few_cells(answer))
        fail_size(response, LIMIT_MATRIX_CELLS, "cells (columns times rows)");
    else
        fail_size(response, levels_max(answer->query), "levels");
}

static bool is_wanted(const struct timeseries_query *q, int64_t open_ms)
{
    for (size_t i = 0; i < q->column_count; i++)
        if (q->columns_ms[i] == open_ms) return true;
    return !q->column_count && open_ms >= series_bucket(q->from_ms, q->interval_ms);
}

/* Runs the model over the rows, and takes what is wanted of them. False where there was no room. */
static bool run_model(struct answer *answer, struct store_conn *conn, const struct series_row *rows,
                      size_t count)
{
    struct heatmap *map = heatmap_new(answer->query->bin_e12, &answer->query->mix);
    struct snapshot snapshot = {0};
    bool was_wanted = true, fits = true;

    while (count && !is_wanted(answer->query, rows[count - 1].candle.open_time_ms))
        count--;
    if (count) answer->matrix.price_e8 = rows[count - 1].candle.close_e8;
    for (size_t i = 0; i < count && fits; i++) {
        bool wanted = is_wanted(answer->query, rows[i].candle.open_time_ms);

        if (store_conn_is_stopping(conn)) break;
        /* What rows that are not shown opened and consumed is not this one's. */
        if (wanted && !was_wanted) heatmap_snapshot(map, &snapshot);
        was_wanted = wanted;
        heatmap_apply(map, &rows[i].candle, rows[i].oi_delta);
        if (!wanted) continue;
        heatmap_snapshot(map, &snapshot);
        take_snapshot(answer, &snapshot);
        fits = has_room(answer);
    }
    snapshot_deinit(&snapshot);
    heatmap_free(map);
    return fits;
}

static void answer_json(struct answer *answer, struct site_response *response)
{
    buf_add_text(&answer->out, answer->totals.snapshots ? "]," : "{\"data\":[],");
    write_meta(&answer->out, answer->query, &answer->totals);
    buf_add_char(&answer->out, '}');
    *response = (struct site_response){
        .status = 200, .content_type = "application/json", .body = blob_take(&answer->out)};
}

static void write_matrix_head(struct buf *out, const struct answer *answer,
                              const struct matrix_shape *shape)
{
    const struct timeseries_query *q = answer->query;

    buf_printf(out, "{\"symbol\":\"%s\",\"interval\":\"%s\",\"start_time\":\"", q->symbol,
               q->interval);
    buf_add_time(out, shape->columns ? shape->start_ms : q->from_ms);
    buf_printf(out, "\",\"step_seconds\":%d,\"columns\":%zu,\"rows\":%zu,\"price_min\":",
               (int)(q->interval_ms / 1000), shape->columns, shape->rows);
    snapshot_write_price(out, shape->bucket_min, q->bin_e12);
    buf_add_text(out, ",\"price_bin_size\":");
    snapshot_write_price(out, 1, q->bin_e12);
    buf_add_text(out, ",\"scale\":{\"min\":");
    buf_add_decimal(out, shape->min_cents, 2);
    buf_add_text(out, ",\"max\":");
    buf_add_decimal(out, shape->max_cents, 2);
    buf_printf(out, ",\"steps\":%d},\"gaps\":", MATRIX_STEPS);
    matrix_write_gaps(out, &answer->matrix, shape);
    buf_printf(out, ",\"coding\":\"delta\",\"clipped\":%s,", shape->is_clipped ? "true" : "false");
    write_meta(out, q, &answer->totals);
    buf_add_text(out, "}\n");
}

static void answer_matrix(struct answer *answer, struct site_response *response)
{
    struct matrix_shape shape = matrix_shape(&answer->matrix);

    if (!take_memory(answer, shape.columns * shape.rows)) {
        fail_room(answer, response);
        return;
    }
    write_matrix_head(&answer->out, answer, &shape);
    matrix_write_cells(&answer->out, &answer->matrix, &shape);
    *response = (struct site_response){.status = 200,
                                       .content_type = "application/octet-stream",
                                       .body = blob_take(&answer->out),
                                       .has_runs = true};
}

int64_t timeseries_answer(const struct timeseries_query *q, struct store_conn *conn,
                          struct budget *memory, struct site_response *response)
{
    struct answer answer = {
        .query = q,
        .memory = memory,
        .matrix = {.step_ms = q->interval_ms, .rows_max = LIMIT_MATRIX_ROWS},
    };
    struct series_row *rows;
    size_t count;

    if (!query_series(conn, q->symbol, q->interval_ms, q->from_ms - q->warmup_ms,
                      MIN(q->until_ms, q->visible_ms), true, &rows, &count, response))
        return 0;
    if (!run_model(&answer, conn, rows, count))
        fail_room(&answer, response);
    else if (q->is_matrix)
        answer_matrix(&answer, response);
    else
        answer_json(&answer, response);
    matrix_deinit(&answer.matrix);
    buf_deinit(&answer.out);
    free(rows);
    return answer.taken;
}
