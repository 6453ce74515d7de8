#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/store_conn.h"

/* An owned array of `size`-byte elements, grown by doubling; zeroed room for one more. */
struct array {
    char *at;
    size_t count, capacity, size;
};

static void *array_add(struct array *array)
{
    void *element;

    if (array->count == array->capacity) {
        array->capacity = array->capacity ? 2 * array->capacity : 64;
        array->at = mem_realloc(array->at, array->capacity * array->size);
    }
    element = array->at + array->count++ * array->size;
    memset(element, 0, array->size);
    return element;
}

/* One row into one element; not 0 ends the walk. */
typedef int (*read_row)(const struct duck_rows *rows, void *element);

/* Walks and ends `rows`. *at is untouched on trouble. */
static int collect(struct store_conn *conn, struct duck_rows *rows, size_t size, read_row read,
                   void **at, size_t *count)
{
    struct array array = {.size = size};
    int err = 0;

    while (!err && duck_next(rows))
        err = read(rows, array_add(&array));
    duck_rows_deinit(rows);
    if (err) {
        free(array.at);
        return duck_fail(&conn->duck, DUCKDB_ERROR_INVALID, "the file holds impossible values");
    }
    *at = array.at;
    *count = array.count;
    return 0;
}

static int read_symbol(char symbol[LIMIT_SYMBOL_BYTES + 1], struct str text)
{
    if (text.size > LIMIT_SYMBOL_BYTES) return ERR_RANGE;
    memcpy(symbol, text.at, text.size);
    symbol[text.size] = '\0';
    return 0;
}

/* --- symbols --- */

static const char symbols_sql[] =
    "WITH series AS ("
    "  SELECT symbol, step_ms, min(open_ms) AS first_ms, max(open_ms) AS last_ms,"
    "         arg_min(close, open_ms) AS first_close, arg_max(close, open_ms) AS last_close"
    "  FROM candle GROUP BY symbol, step_ms),"
    " candles AS ("
    "  SELECT symbol, min(step_ms) AS step_ms,"
    "         arg_min(first_ms, step_ms) AS first_ms, arg_min(last_ms, step_ms) AS last_ms,"
    "         arg_min(first_close, step_ms) AS first_close,"
    "         arg_min(last_close, step_ms) AS last_close,"
    "         min(first_ms) AS any_first_ms"
    "  FROM series GROUP BY symbol),"
    " points AS ("
    "  SELECT symbol, min(time_ms) AS oi_first_ms, max(time_ms) AS oi_last_ms"
    "  FROM open_interest GROUP BY symbol)"
    " SELECT symbol, coalesce(step_ms, 0), coalesce(first_ms, 0), coalesce(last_ms, 0),"
    "        coalesce(first_close, 0), coalesce(last_close, 0),"
    "        coalesce(oi_first_ms, -1), coalesce(oi_last_ms, -1),"
    "        coalesce(any_first_ms, 0)"
    " FROM candles FULL JOIN points USING (symbol) ORDER BY symbol";

static int read_store_symbol(const struct duck_rows *rows, void *element)
{
    struct store_symbol *s = element;

    s->step_ms = duck_int(rows, 1);
    s->first_open_ms = duck_int(rows, 2);
    s->last_open_ms = duck_int(rows, 3);
    s->first_close = duck_double(rows, 4);
    s->last_close = duck_double(rows, 5);
    s->oi_first_ms = duck_int(rows, 6);
    s->oi_last_ms = duck_int(rows, 7);
    s->candle_first_ms = duck_int(rows, 8);
    return read_symbol(s->symbol, duck_text(rows, 0));
}

int store_symbols(struct store_conn *conn, struct store_symbol **symbols, size_t *count)
{
    struct duck_rows rows;
    int err = duck_query(&conn->duck, &rows, symbols_sql);

    if (err) return err;
    return collect(conn, &rows, sizeof(**symbols), read_store_symbol, (void **)symbols, count);
}

/* --- candles and open interest --- */

static const char candles_sql[] =
    "SELECT open_ms, step_ms, open, high, low, close, volume FROM candle"
    " WHERE symbol = $1 AND open_ms BETWEEN $2 AND $3 AND $4 % step_ms = 0"
    "   AND ($5 = 0 OR step_ms = $5)"
    " ORDER BY open_ms // $4, step_ms, open_ms";

static int read_candle(const struct duck_rows *rows, void *element)
{
    struct candle *c = element;

    c->open_time_ms = duck_int(rows, 0);
    c->step_ms = duck_int(rows, 1);
    c->volume = duck_double(rows, 6);
    if (!(c->volume >= 0) || c->volume > VOLUME_MAX) return ERR_RANGE;
    if (price_from_double(duck_double(rows, 2), &c->open_e8)) return ERR_RANGE;
    if (price_from_double(duck_double(rows, 3), &c->high_e8)) return ERR_RANGE;
    if (price_from_double(duck_double(rows, 4), &c->low_e8)) return ERR_RANGE;
    return price_from_double(duck_double(rows, 5), &c->close_e8);
}

/* A commit that failed for lack of disk space has been seen to leave its rows in DuckDB's memory,
 * so that they came twice. The model must not see a candle twice. */
static size_t drop_repeated(struct candle *candles, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (kept && candles[i].step_ms == candles[kept - 1].step_ms &&
            candles[i].open_time_ms == candles[kept - 1].open_time_ms)
            continue;
        candles[kept++] = candles[i];
    }
    return kept;
}

int store_candles(struct store_conn *conn, const char *symbol, int64_t interval_ms, int64_t step_ms,
                  int64_t from_ms, int64_t until_ms, struct candle **candles, size_t *count)
{
    struct duck_rows rows;
    int err;

    err = duck_query(&conn->duck, &rows, candles_sql, D_TEXT(symbol), D_INT(from_ms),
                     D_INT(until_ms), D_INT(interval_ms), D_INT(step_ms));
    if (err) return err;
    err = collect(conn, &rows, sizeof(**candles), read_candle, (void **)candles, count);
    if (!err) *count = drop_repeated(*candles, *count);
    return err;
}

static const char oi_sql[] = "SELECT time_ms, value FROM open_interest"
                             " WHERE symbol = $1 AND time_ms BETWEEN $2 AND $3 ORDER BY time_ms";

static int read_point(const struct duck_rows *rows, void *element)
{
    struct oi_point *p = element;
    double value = duck_double(rows, 1);

    if (!(value >= 0) || value > OI_MAX_USDT) return ERR_RANGE;
    p->time_ms = duck_int(rows, 0);
    p->value_e6 = llround(value * 1e6);
    return 0;
}

int store_oi(struct store_conn *conn, const char *symbol, int64_t from_ms, int64_t until_ms,
             struct oi_point **points, size_t *count)
{
    struct duck_rows rows;
    int err;

    err = duck_query(&conn->duck, &rows, oi_sql, D_TEXT(symbol), D_INT(from_ms), D_INT(until_ms));
    if (err) return err;
    return collect(conn, &rows, sizeof(**points), read_point, (void **)points, count);
}

/* --- series and their gaps --- */

static const char series_sql[] =
    "SELECT symbol, step_ms, min(open_ms), max(open_ms), count(*) FROM candle GROUP BY ALL"
    " UNION ALL "
    "SELECT symbol, 0, min(time_ms), max(time_ms), count(*) FROM open_interest GROUP BY ALL"
    " ORDER BY 1, 2";

static int read_series(const struct duck_rows *rows, void *element)
{
    struct store_series *s = element;

    s->step_ms = duck_int(rows, 1);
    s->first_ms = duck_int(rows, 2);
    s->last_ms = duck_int(rows, 3);
    s->row_count = duck_int(rows, 4);
    return read_symbol(s->symbol, duck_text(rows, 0));
}

int store_series(struct store_conn *conn, struct store_series **series, size_t *count)
{
    struct duck_rows rows;
    int err = duck_query(&conn->duck, &rows, series_sql);

    if (err) return err;
    return collect(conn, &rows, sizeof(**series), read_series, (void **)series, count);
}

static const char candle_gaps_sql[] =
    "SELECT open_ms, next_ms, (next_ms - open_ms) // $2 - 1 FROM ("
    "  SELECT open_ms, lead(open_ms) OVER (ORDER BY open_ms) AS next_ms FROM candle"
    "  WHERE symbol = $1 AND step_ms = $2)"
    " WHERE next_ms - open_ms > $2 ORDER BY open_ms";

/* What is usual for open interest changes over the years (1h, 5m), so it is the median over a
 * dozen neighbours. */
static const char oi_gaps_sql[] =
    "SELECT time_ms, time_ms + apart_ms, greatest(round(apart_ms / usual_ms)::BIGINT - 1, 1) FROM ("
    "  SELECT time_ms, apart_ms, median(apart_ms) OVER (ORDER BY time_ms"
    "         ROWS BETWEEN 6 PRECEDING AND 6 FOLLOWING) AS usual_ms FROM ("
    "    SELECT time_ms, lead(time_ms) OVER (ORDER BY time_ms) - time_ms AS apart_ms"
    "    FROM open_interest WHERE symbol = $1) WHERE apart_ms IS NOT NULL)"
    " WHERE apart_ms > 1.5 * usual_ms ORDER BY time_ms";

static int read_gap(const struct duck_rows *rows, void *element)
{
    struct store_gap *g = element;

    g->after_ms = duck_int(rows, 0);
    g->before_ms = duck_int(rows, 1);
    g->missing = duck_int(rows, 2);
    return 0;
}

int store_gaps(struct store_conn *conn, const char *symbol, int64_t step_ms,
               struct store_gap **gaps, size_t *count)
{
    struct duck_rows rows;
    int err;

    if (step_ms)
        err = duck_query(&conn->duck, &rows, candle_gaps_sql, D_TEXT(symbol), D_INT(step_ms));
    else
        err = duck_query(&conn->duck, &rows, oi_gaps_sql, D_TEXT(symbol));
    if (err) return err;
    return collect(conn, &rows, sizeof(**gaps), read_gap, (void **)gaps, count);
}

/* --- settings --- */

int store_setting_get(struct store_conn *conn, const char *name, char **value)
{
    struct duck_rows rows;
    struct str text;
    int err;

    err = duck_query(&conn->duck, &rows, "SELECT value FROM setting WHERE name = $1", D_TEXT(name));
    if (err) return err;
    *value = NULL;
    if (duck_next(&rows)) {
        text = duck_text(&rows, 0);
        *value = mem_strndup(text.at, text.size);
    }
    duck_rows_deinit(&rows);
    return 0;
}

int store_setting_set(struct store_conn *conn, const char *name, const char *value)
{
    struct duck_rows rows;
    int err = store_begin(conn);

    if (err) return err;
    err = duck_query(&conn->duck, &rows, "DELETE FROM setting WHERE name = $1", D_TEXT(name));
    if (err) goto fail;
    duck_rows_deinit(&rows);
    err = duck_query(&conn->duck, &rows, "INSERT INTO setting VALUES ($1, $2)", D_TEXT(name),
                     D_TEXT(value));
    if (err) goto fail;
    duck_rows_deinit(&rows);
    return store_commit(conn);

fail:
    store_rollback(conn);
    return err;
}
