#include "rest_query.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "heat/series.h"

/* The newest `limit` candles may lie further back than limit * interval, where data is missing. */
#define LOOKBACK_DOUBLINGS 12

bool query_series(struct store_conn *conn, const char *symbol, int64_t interval_ms, int64_t from_ms,
                  int64_t until_ms, bool with_oi, struct series_row **rows, size_t *count,
                  struct site_response *response)
{
    struct candle *candles = NULL;
    struct oi_point *points = NULL;
    size_t candle_count = 0, point_count = 0;
    struct series_state state = {0};
    int err;

    err = store_candles(conn, symbol, interval_ms, 0, from_ms, until_ms, &candles, &candle_count);
    if (!err && with_oi) err = store_oi(conn, symbol, from_ms, until_ms, &points, &point_count);
    *rows = NULL;
    *count = 0;
    if (!err)
        series_build(&state, interval_ms, candles, candle_count, points, point_count, rows, count);
    else if (err == ERR_STOPPED)
        site_fail(response, 503, "the server is stopping");
    else
        site_fail(response, 500, "the database could not be read; see the server's log");
    free(candles);
    free(points);
    return !err;
}

static bool read_span(const struct params *params, const struct symbol *symbol,
                      struct klines_query *query)
{
    int64_t visible_ms = engine_visible_ms(params->engine, symbol), start_ms = 0, end_ms = 0;
    bool has_start, has_end;

    if (!params_time(params, "start_time", &start_ms, &has_start) ||
        !params_time(params, "end_time", &end_ms, &has_end))
        return false;
    if (has_start != has_end)
        return params_fail(params, 422, "'start_time' and 'end_time' must be given together");
    query->until_ms = has_end ? MIN(end_ms, visible_ms) : visible_ms;
    query->from_ms = start_ms;
    if (!has_start) return true;
    query->limit = 0;
    if (start_ms > end_ms) return params_fail(params, 400, "'start_time' is after 'end_time'");
    if ((end_ms - start_ms) / query->interval_ms > LIMIT_ANSWER_CANDLES)
        return params_fail(params, 422, "more than %d candles are asked for; take a shorter span",
                           LIMIT_ANSWER_CANDLES);
    return true;
}

bool klines_read(const struct params *params, struct klines_query *query)
{
    const struct symbol *symbol;

    query->limit = 100;
    if (!params_symbol(params, &symbol) ||
        !params_interval(params, "15m", &query->interval, &query->interval_ms) ||
        !params_int(params, "limit", 10, 2000, &query->limit) ||
        !params_format(params, "columns", &query->is_columns))
        return false;
    strcpy(query->symbol, symbol->name);
    query->first_ms = symbol->first_any_ms;
    return read_span(params, symbol, query);
}

/* The newest `limit` rows up to until_ms: looks back twice as far until there are enough. */
static bool fetch_newest(const struct klines_query *q, struct store_conn *conn,
                         struct series_row **rows, size_t *count, struct site_response *response)
{
    int64_t last_ms = series_bucket(q->until_ms, q->interval_ms),
            back_ms = q->limit * q->interval_ms;

    for (int i = 0; i < LOOKBACK_DOUBLINGS; i++, back_ms *= 2) {
        int64_t from_ms = last_ms - back_ms + q->interval_ms;

        free(*rows);
        if (!query_series(conn, q->symbol, q->interval_ms, from_ms, q->until_ms, false, rows, count,
                          response))
            return false;
        if (*count >= (size_t)q->limit || from_ms <= q->first_ms) break;
    }
    return true;
}

/* Exchanges count 8 decimals at most; what a sum of doubles has beyond is noise. */
static void write_volume(struct buf *out, double volume)
{
    if (volume < 1e9)
        buf_add_decimal(out, llround(volume * 1e8), 8);
    else
        buf_add_double(out, volume);
}

static void write_kline(struct buf *out, const struct candle *candle)
{
    buf_add_text(out, "{\"timestamp\":\"");
    buf_add_time(out, candle->open_time_ms);
    buf_add_text(out, "\",\"open\":");
    buf_add_decimal(out, candle->open_e8, 8);
    buf_add_text(out, ",\"high\":");
    buf_add_decimal(out, candle->high_e8, 8);
    buf_add_text(out, ",\"low\":");
    buf_add_decimal(out, candle->low_e8, 8);
    buf_add_text(out, ",\"close\":");
    buf_add_decimal(out, candle->close_e8, 8);
    buf_add_text(out, ",\"volume\":");
    write_volume(out, candle->volume);
    buf_add_char(out, '}');
}

static void write_klines(struct buf *out, const struct series_row *rows, size_t count)
{
    buf_add_text(out, "\"data\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_add_char(out, ',');
        write_kline(out, &rows[i].candle);
    }
    buf_add_char(out, ']');
}

static void write_column(struct buf *out, const char *name, const struct series_row *rows,
                         size_t count, size_t offset)
{
    buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        int64_t price_e8;

        memcpy(&price_e8, (const char *)&rows[i].candle + offset, sizeof(price_e8));
        if (i > 0) buf_add_char(out, ',');
        buf_add_decimal(out, price_e8, 8);
    }
    buf_add_char(out, ']');
}

/* What a chart draws: no volume, of which half of the bytes would be. */
static void write_columns(struct buf *out, const struct series_row *rows, size_t count)
{
    int64_t before_ms = 0;

    buf_add_text(out, "\"columns\":{\"time\":[");
    for (size_t i = 0; i < count; before_ms = rows[i++].candle.open_time_ms)
        buf_printf(out, "%s%lld", i > 0 ? "," : "",
                   (long long)(rows[i].candle.open_time_ms - before_ms) / 1000);
    buf_add_char(out, ']');
    write_column(out, "open", rows, count, offsetof(struct candle, open_e8));
    write_column(out, "high", rows, count, offsetof(struct candle, high_e8));
    write_column(out, "low", rows, count, offsetof(struct candle, low_e8));
    write_column(out, "close", rows, count, offsetof(struct candle, close_e8));
    buf_add_char(out, '}');
}

void klines_answer(const struct klines_query *q, struct store_conn *conn,
                   struct site_response *response)
{
    struct series_row *rows = NULL;
    struct buf out = {0};
    size_t count = 0, skip;
    bool ok = q->limit ? fetch_newest(q, conn, &rows, &count, response)
                       : query_series(conn, q->symbol, q->interval_ms, q->from_ms, q->until_ms,
                                      false, &rows, &count, response);

    if (ok) {
        skip = q->limit && count > (size_t)q->limit ? count - (size_t)q->limit : 0;
        buf_printf(&out, "{\"symbol\":\"%s\",\"interval\":\"%s\",\"count\":%zu,", q->symbol,
                   q->interval, count - skip);
        (q->is_columns ? write_columns : write_klines)(&out, rows + skip, count - skip);
        buf_add_char(&out, '}');
        *response = (struct site_response){
            .status = 200, .content_type = "application/json", .body = blob_take(&out)};
    }
    free(rows);
}
