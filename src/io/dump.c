#include "io/dump.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/cell.h"

#define KLINE_COLUMNS  12
#define METRIC_COLUMNS 8

/* --- reasons --- */

static PRINTF_LIKE(2, 3) int bad_row(struct dump *d, const char *format, ...)
{
    char reason[256];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    d->bad_row_count++;
    return d->sink->on_bad_row(d->sink, d->line, reason);
}

static PRINTF_LIKE(3, 4) int refuse(struct dump *d, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(d->reason, sizeof(d->reason), format, args);
    va_end(args);
    return err;
}

/* --- rows --- */

struct row {
    struct str cells[KLINE_COLUMNS]; /* the first of them */
    size_t cell_count;               /* all of them */
};

static void split(struct str line, struct row *row)
{
    const char *at = line.at, *end = line.at + line.size;

    for (row->cell_count = 0;; row->cell_count++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;

        if (row->cell_count < KLINE_COLUMNS)
            row->cells[row->cell_count] = (struct str){at, (size_t)(stop - at)};
        if (!comma) break;
        at = comma + 1;
    }
    row->cell_count++;
}

static int bad_columns(struct dump *d, const struct row *row, int expected)
{
    return bad_row(d, "%zu column%s instead of %d", row->cell_count, row->cell_count > 1 ? "s" : "",
                   expected);
}

/* --- klines --- */

static int flush_candles(struct dump *d)
{
    size_t count = d->batch_count;

    d->batch_count = 0;
    return count ? d->sink->on_candles(d->sink, d->symbol, d->batch, count) : 0;
}

enum { OPEN_TIME, OPEN, HIGH, LOW, CLOSE, VOLUME, CLOSE_TIME };

static const char *const kline_columns[] = {"open_time", "open",   "high",      "low",
                                            "close",     "volume", "close_time"};

/* The four prices and the volume. *is_bad is set when the row was told of. */
static int parse_values(struct dump *d, const struct row *row, struct candle *c, bool *is_bad)
{
    int64_t *prices[] = {
        [OPEN] = &c->open_e8, [HIGH] = &c->high_e8, [LOW] = &c->low_e8, [CLOSE] = &c->close_e8};
    double values[VOLUME + 1];

    *is_bad = true;
    for (int i = OPEN; i <= VOLUME; i++) {
        const char *column = kline_columns[i];
        struct cell_shown cell = {{0}};

        if (cell_parse_number(row->cells[i], &values[i])) {
            if (i == VOLUME && values[i] >= 0 && values[i] <= VOLUME_MAX) continue;
            if (i != VOLUME && price_from_double(values[i], prices[i]) == 0) continue;
        } else
            return bad_row(d, "%s '%s' is not a number", column, cell_show(row->cells[i]).text);
        cell = cell_show(row->cells[i]);
        if (i == VOLUME && values[i] > VOLUME_MAX)
            return bad_row(d, "%s %s is above %.0e", column, cell.text, VOLUME_MAX);
        if (i == VOLUME) return bad_row(d, "%s %s is negative", column, cell.text);
        if (values[i] > PRICE_MAX_USDT)
            return bad_row(d, "%s %s is above %.0f", column, cell.text, PRICE_MAX_USDT);
        return bad_row(d, "%s %s is not above 0", column, cell.text);
    }
    c->volume = values[VOLUME];
    if (c->high_e8 < c->low_e8)
        return bad_row(d, "high %s is below low %s", cell_show(row->cells[HIGH]).text,
                       cell_show(row->cells[LOW]).text);
    for (int i = OPEN; i <= CLOSE; i += CLOSE - OPEN)
        if (*prices[i] < c->low_e8 || *prices[i] > c->high_e8)
            return bad_row(d, "%s %s is outside low %s to high %s", kline_columns[i],
                           cell_show(row->cells[i]).text, cell_show(row->cells[LOW]).text,
                           cell_show(row->cells[HIGH]).text);
    *is_bad = false;
    return 0;
}

static PRINTF_LIKE(3, 4) int bad_time(struct dump *d, int err, const char *format, ...)
{
    char what[128];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (err == ERR_SYNTAX) return bad_row(d, "%s is not a whole number", what);
    return bad_row(d, "%s is outside 2017-01-01 to 2100-01-01", what);
}

/* The step that a row's own times speak of, in the unit they are in; 0 when none of ours. */
static int64_t row_step(int64_t open, int64_t close, bool is_us)
{
    int64_t span = close - open + 1;

    if (is_us && span % 1000) return 0;
    if (is_us) span /= 1000;
    return dump_step_text(span) ? span : 0;
}

/* open_time and close_time: the candle's place, and with the first row the file's step. */
static int parse_times(struct dump *d, const struct row *row, struct candle *c, bool *is_bad)
{
    int64_t open = 0, close = 0, step;
    bool is_us = false, is_close_us = false;
    int err;

    *is_bad = true;
    err = cell_parse_epoch(row->cells[OPEN_TIME], &open, &is_us);
    if (err) return bad_time(d, err, "open_time '%s'", cell_show(row->cells[OPEN_TIME]).text);
    err = cell_parse_epoch(row->cells[CLOSE_TIME], &close, &is_close_us);
    if (err) return bad_time(d, err, "close_time '%s'", cell_show(row->cells[CLOSE_TIME]).text);
    step = is_us == is_close_us ? row_step(open, close, is_us) : 0;
    if (!d->last_line && step && d->name.step_ms && step != d->name.step_ms)
        return refuse(d, ERR_SYNTAX, "its name says %s, but line %" PRIu64 " is of %s",
                      dump_step_text(d->step_ms), d->line, dump_step_text(step));
    if (!d->step_ms) d->step_ms = step;
    if (!d->step_ms)
        return bad_row(d,
                       "open_time %" PRId64 " and close_time %" PRId64
                       " are no 1m, 5m, 15m, 30m or 1h apart",
                       open, close);
    if (step != d->step_ms)
        return bad_row(d, "close_time %" PRId64 " is not %s after open_time %" PRId64, close,
                       dump_step_text(d->step_ms), open);
    if (open % (d->step_ms * (is_us ? 1000 : 1)))
        return bad_row(d, "open_time %" PRId64 " is no full %s", open, dump_step_text(d->step_ms));
    c->open_time_ms = is_us ? open / 1000 : open;
    c->step_ms = d->step_ms;
    *is_bad = false;
    return 0;
}

static bool is_same_candle(const struct candle *a, const struct candle *b)
{
    return a->open_e8 == b->open_e8 && a->high_e8 == b->high_e8 && a->low_e8 == b->low_e8 &&
           a->close_e8 == b->close_e8 && a->volume == b->volume;
}

static int take_kline(struct dump *d, const struct row *row)
{
    struct candle c = {0};
    bool is_bad;
    int err;

    if (row->cell_count != KLINE_COLUMNS) return bad_columns(d, row, KLINE_COLUMNS);
    err = parse_times(d, row, &c, &is_bad);
    if (err || is_bad) return err;
    err = parse_values(d, row, &c, &is_bad);
    if (err || is_bad) return err;
    if (d->last_line && c.open_time_ms == d->last.open_time_ms) {
        if (!is_same_candle(&c, &d->last))
            return bad_row(d, "other values than line %" PRIu64 " for the same open_time %s",
                           d->last_line, cell_show(row->cells[OPEN_TIME]).text);
        d->row_count++;
        d->duplicate_count++;
        return 0;
    }
    if (d->last_line && c.open_time_ms < d->last.open_time_ms)
        return bad_row(d, "open_time %s is before line %" PRIu64 "'s: out of order",
                       cell_show(row->cells[OPEN_TIME]).text, d->last_line);
    d->last = c;
    d->last_line = d->line;
    d->row_count++;
    d->batch[d->batch_count++] = c;
    return d->batch_count == DUMP_BATCH ? flush_candles(d) : 0;
}

/* --- metrics --- */

enum { CREATE_TIME, SYMBOL, OI_BASE, OI_VALUE };

static const char *const metric_columns[] = {"create_time", "symbol", "sum_open_interest",
                                             "sum_open_interest_value"};

static int find_symbol(struct dump *d, struct str symbol, uint32_t *index)
{
    for (size_t i = d->symbol_count; i-- > 0;) {
        if (!str_eq(symbol, str_of(d->symbols[i]))) continue;
        *index = (uint32_t)i;
        return 0;
    }
    if (d->symbol_count == LIMIT_DUMP_SYMBOLS)
        return refuse(d, ERR_SYNTAX, "it has more than %d symbols", LIMIT_DUMP_SYMBOLS);
    d->symbols = mem_realloc(d->symbols, (d->symbol_count + 1) * sizeof(*d->symbols));
    memcpy(d->symbols[d->symbol_count], symbol.at, symbol.size);
    d->symbols[d->symbol_count][symbol.size] = '\0';
    *index = (uint32_t)d->symbol_count++;
    return 0;
}

static int add_point(struct dump *d, struct dump_point point)
{
    if (d->point_count == LIMIT_DUMP_POINTS)
        return refuse(d, ERR_SYNTAX, "it has more than %d rows of metrics", LIMIT_DUMP_POINTS);
    if (d->point_count == d->point_capacity) {
        d->point_capacity = d->point_capacity ? 2 * d->point_capacity : 512;
        d->points = mem_realloc(d->points, d->point_capacity * sizeof(*d->points));
    }
    d->points[d->point_count++] = point;
    d->row_count++;
    return 0;
}

static int take_metric(struct dump *d, const struct row *row)
{
    struct dump_point point = {.line = d->line};
    double *const values[] = {[OI_BASE] = &point.base, [OI_VALUE] = &point.value};
    struct str symbol = row->cells[SYMBOL];
    int err;

    if (row->cell_count != METRIC_COLUMNS) return bad_columns(d, row, METRIC_COLUMNS);
    err = cell_parse_time(row->cells[CREATE_TIME], &point.time_ms);
    if (err == ERR_SYNTAX)
        return bad_row(d, "create_time '%s' is not a time",
                       cell_show(row->cells[CREATE_TIME]).text);
    if (err) return bad_time(d, err, "create_time '%s'", cell_show(row->cells[CREATE_TIME]).text);
    if (!dump_is_symbol(symbol)) return bad_row(d, "'%s' is not a symbol", cell_show(symbol).text);
    if (d->symbol[0] && !str_eq(symbol, str_of(d->symbol)))
        return bad_row(d, "symbol %s in a file of %s", cell_show(symbol).text, d->symbol);
    for (int i = OI_BASE; i <= OI_VALUE; i++) {
        struct cell_shown cell = cell_show(row->cells[i]);

        if (!cell_parse_number(row->cells[i], values[i]))
            return bad_row(d, "%s '%s' is not a number", metric_columns[i], cell.text);
        if (*values[i] < 0) return bad_row(d, "%s %s is negative", metric_columns[i], cell.text);
    }
    if (point.value > OI_MAX_USDT)
        return bad_row(d, "%s %s is above %.0f", metric_columns[OI_VALUE],
                       cell_show(row->cells[OI_VALUE]).text, OI_MAX_USDT);
    err = find_symbol(d, symbol, &point.symbol);
    return err ? err : add_point(d, point);
}

static int compare_points(const void *left, const void *right)
{
    const struct dump_point *a = left, *b = right;

    if (a->symbol != b->symbol) return a->symbol < b->symbol ? -1 : 1;
    if (a->time_ms != b->time_ms) return a->time_ms < b->time_ms ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Drops points that repeat another, tells of those that contradict it; the earlier line stays. */
static int unite_points(struct dump *d)
{
    size_t kept = 0;
    int err = 0;

    for (size_t i = 0; i < d->point_count && !err; i++) {
        const struct dump_point *p = &d->points[i], *last = kept ? &d->points[kept - 1] : NULL;

        if (!last || last->symbol != p->symbol || last->time_ms != p->time_ms)
            d->points[kept++] = *p;
        else if (last->value == p->value && last->base == p->base)
            d->duplicate_count++;
        else {
            d->line = p->line;
            d->row_count--;
            err = bad_row(d, "other values than line %" PRIu64 " for the same create_time",
                          last->line);
        }
    }
    d->point_count = kept;
    return err;
}

static int flush_points(struct dump *d)
{
    size_t from = 0;
    int err;

    if (d->point_count) qsort(d->points, d->point_count, sizeof(*d->points), compare_points);
    err = unite_points(d);
    for (size_t i = 1; i <= d->point_count && !err; i++) {
        if (i < d->point_count && d->points[i].symbol == d->points[from].symbol) continue;
        err = d->sink->on_points(d->sink, d->symbols[d->points[from].symbol], &d->points[from],
                                 i - from);
        from = i;
    }
    return err;
}

/* --- what kind it is --- */

static bool has_columns(const struct row *row, const char *const *columns, size_t count)
{
    if (row->cell_count < count) return false;
    for (size_t i = 0; i < count; i++)
        if (!str_eq_nocase(row->cells[i], str_of(columns[i]))) return false;
    return true;
}

static const char *kind_text(enum dump_kind kind)
{
    return kind == DUMP_KLINES ? "klines" : "metrics";
}

/* Files that people have beside klines and metrics, by their first columns' names. */
static const char *other_by_header(const struct row *row)
{
    static const char *const others[][3] = {
        {"agg_trade_id", "price", "aggTrades"},
        {"id", "price", "trades"},
        {"update_id", "best_bid_price", "bookTicker"},
        {"timestamp", "percentage", "bookDepth"},
        {"calc_time", "funding_interval_hours", "fundingRate"},
    };

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (has_columns(row, others[i], 2)) return others[i][2];
    return NULL;
}

static enum dump_kind kind_of_content(const struct row *row, bool *is_header)
{
    int64_t value;
    bool is_us;

    *is_header = true;
    if (has_columns(row, kline_columns, ARRAY_LEN(kline_columns))) return DUMP_KLINES;
    if (has_columns(row, metric_columns, ARRAY_LEN(metric_columns))) return DUMP_METRICS;
    *is_header = false;
    if (row->cell_count == KLINE_COLUMNS && !cell_parse_epoch(row->cells[0], &value, &is_us))
        return DUMP_KLINES;
    if (row->cell_count == METRIC_COLUMNS && !cell_parse_time(row->cells[0], &value) &&
        dump_is_symbol(row->cells[1]))
        return DUMP_METRICS;
    return DUMP_UNKNOWN;
}

/* The first line decides. *is_header: it is no row. */
static int recognise(struct dump *d, const struct row *row, bool *is_header)
{
    enum dump_kind content = kind_of_content(row, is_header);
    const char *other = content == DUMP_UNKNOWN ? other_by_header(row) : NULL;

    if (d->name.kind == DUMP_OTHER)
        return refuse(d, ERR_UNKNOWN,
                      "%s: only klines of 1m, 5m, 15m, 30m, 1h and metrics of "
                      "futures are read",
                      d->name.other);
    if (other)
        return refuse(d, ERR_UNKNOWN, "%s by its header: only klines and metrics are read", other);
    if (content == DUMP_UNKNOWN && d->name.kind == DUMP_UNKNOWN)
        return refuse(d, ERR_UNKNOWN, "neither klines nor metrics, by its name and its first line");
    if (content != DUMP_UNKNOWN && d->name.kind != DUMP_UNKNOWN && content != d->name.kind)
        return refuse(d, ERR_SYNTAX, "its name says %s, its content is %s", kind_text(d->name.kind),
                      kind_text(content));
    d->kind = content != DUMP_UNKNOWN ? content : d->name.kind;
    if (d->kind == DUMP_KLINES && !d->symbol[0])
        return refuse(d, ERR_SYNTAX,
                      "neither its name nor its folder tells the symbol; a name is "
                      "like BTCUSDT-5m-2025-12.csv");
    return 0;
}

static int take_line(struct dump *d, struct str line)
{
    struct row row;
    int err;

    d->line++;
    if (line.size && line.at[line.size - 1] == '\r') line.size--;
    if (!d->is_started && line.size >= 3 && memcmp(line.at, "\xEF\xBB\xBF", 3) == 0)
        line = (struct str){line.at + 3, line.size - 3};
    if (!line.size) return 0; /* blank lines separate nothing and say nothing */
    split(line, &row);
    if (!d->is_started) {
        bool is_header = false;

        d->is_started = true;
        err = recognise(d, &row, &is_header);
        if (err || is_header) return err;
    }
    if (line.size > LIMIT_DUMP_LINE_BYTES)
        return bad_row(d, "longer than %d bytes", LIMIT_DUMP_LINE_BYTES);
    return d->kind == DUMP_KLINES ? take_kline(d, &row) : take_metric(d, &row);
}

/* Keeps one byte beyond the limit of a line that is too long, so that it is seen to be. */
static void keep_partial(struct dump *d, const char *data, size_t size)
{
    size_t room = LIMIT_DUMP_LINE_BYTES + 1 - MIN(d->partial.size, LIMIT_DUMP_LINE_BYTES + 1);

    buf_add(&d->partial, data, MIN(size, room));
}

int dump_feed(struct dump *d, const char *data, size_t size)
{
    const char *end = data + size;
    int err = 0;

    while (data < end && !err) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        size_t part = (size_t)((newline ? newline : end) - data);

        if (!newline) {
            keep_partial(d, data, part);
            break;
        }
        if (d->partial.size) {
            keep_partial(d, data, part);
            err = take_line(d, buf_str(&d->partial));
            buf_clear(&d->partial);
        } else
            err = take_line(d, (struct str){data, part});
        data = newline + 1;
    }
    return err;
}

int dump_finish(struct dump *d)
{
    int err = 0;

    if (d->partial.size) err = take_line(d, buf_str(&d->partial));
    if (!err && !d->is_started) {
        if (d->name.kind == DUMP_OTHER) return refuse(d, ERR_UNKNOWN, "%s", d->name.other);
        err = refuse(d, d->name.kind == DUMP_UNKNOWN ? ERR_UNKNOWN : ERR_SYNTAX, "it is empty");
    }
    if (err) return err;
    return d->kind == DUMP_KLINES ? flush_candles(d) : flush_points(d);
}

void dump_init(struct dump *d, const struct dump_name *name, struct dump_sink *sink)
{
    memset(d, 0, sizeof(*d));
    d->sink = sink;
    d->name = *name;
    d->step_ms = name->step_ms;
    memcpy(d->symbol, name->symbol, sizeof(d->symbol));
}

void dump_deinit(struct dump *d)
{
    buf_deinit(&d->partial);
    free(d->points);
    free(d->symbols);
}
