#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "io/store_conn.h"

int store_begin(struct store_conn *conn)
{
    int err;

    uv_mutex_lock(conn->write_lock);
    err = duck_run(&conn->duck, "BEGIN");
    if (err) uv_mutex_unlock(conn->write_lock);
    return err;
}

int store_commit(struct store_conn *conn)
{
    int err = duck_run(&conn->duck, "COMMIT");

    if (err) duck_rollback(&conn->duck);
    uv_mutex_unlock(conn->write_lock);
    return err;
}

void store_rollback(struct store_conn *conn)
{
    duck_rollback(&conn->duck);
    uv_mutex_unlock(conn->write_lock);
}

/* Rows are first appended to a temporary table, chunk by chunk; one statement then adds those
 * whose key is not there yet. The two kinds of rows differ in their SQL and their columns only. */
enum kind { CANDLES, POINTS, KINDS };

/* What is staged lies between these keys, so that the zone maps skip the rest of the file. */
#define IN_RANGE(time) "symbol BETWEEN $1 AND $2 AND " time " BETWEEN $3 AND $4"

#define INSERT_SQL(table, stage, distinct, key, time, order)                                       \
    "INSERT INTO " table " SELECT " distinct " * FROM " stage " ANTI JOIN"                         \
    " (SELECT " key " FROM " table " WHERE " IN_RANGE(time) ") USING (" key ")" order

static const struct {
    const char *create, *drop, *stage;
    unsigned column_count;
    const char *insert;          /* when the staged keys are known to be distinct */
    const char *insert_first;    /* otherwise: of equal keys the one added first */
    const char *count_conflicts; /* of the staged rows, once all keys are there */
} kinds[KINDS] = {
    [CANDLES] =
        {
            .create = "CREATE TEMP TABLE staged_candle AS FROM candle LIMIT 0",
            .drop = "DROP TABLE staged_candle",
            .stage = "staged_candle",
            .column_count = 8,
            .insert = INSERT_SQL("candle", "staged_candle", "", "symbol, step_ms, open_ms",
                                 "open_ms", ""),
            .insert_first =
                INSERT_SQL("candle", "staged_candle", "DISTINCT ON (symbol, step_ms, open_ms)",
                           "symbol, step_ms, open_ms", "open_ms",
                           " ORDER BY symbol, step_ms, open_ms, staged_candle.rowid"),
            .count_conflicts = "SELECT count(*) FROM staged_candle s JOIN"
                               " (FROM candle WHERE " IN_RANGE(
                                   "open_ms") ") c USING (symbol, step_ms, open_ms)"
                                              " WHERE (s.open, s.high, s.low, s.close, s.volume)"
                                              "    <> (c.open, c.high, c.low, c.close, c.volume)",
        },
    [POINTS] =
        {
            .create = "CREATE TEMP TABLE staged_point AS FROM open_interest LIMIT 0",
            .drop = "DROP TABLE staged_point",
            .stage = "staged_point",
            .column_count = 4,
            .insert =
                INSERT_SQL("open_interest", "staged_point", "", "symbol, time_ms", "time_ms", ""),
            .insert_first = INSERT_SQL("open_interest", "staged_point",
                                       "DISTINCT ON (symbol, time_ms)", "symbol, time_ms",
                                       "time_ms", " ORDER BY symbol, time_ms, staged_point.rowid"),
            .count_conflicts = "SELECT count(*) FROM staged_point s JOIN"
                               " (FROM open_interest WHERE " IN_RANGE(
                                   "time_ms") ") p"
                                              " USING (symbol, time_ms) WHERE s.value <> p.value",
        },
};

struct key {
    char symbol[LIMIT_SYMBOL_BYTES + 1];
    int64_t step_ms, time_ms;
};

/* The rows of one kind in a load. */
struct stage {
    duckdb_appender appender; /* NULL while there are no rows */
    duckdb_data_chunk chunk;
    idx_t chunk_size, chunk_capacity;
    duckdb_vector vectors[8];
    void *columns[8];
    int64_t row_count;
    bool is_ordered; /* each key was above the one before: so they are distinct */
    struct key last;
    char first_symbol[LIMIT_SYMBOL_BYTES + 1], last_symbol[LIMIT_SYMBOL_BYTES + 1];
    int64_t first_ms, last_ms;
};

struct store_load {
    struct stage stages[KINDS];
};

static int stage_fail(struct store_conn *conn, struct stage *stage)
{
    duckdb_error_data data = duckdb_appender_error_data(stage->appender);
    int err =
        duck_fail(&conn->duck, duckdb_error_data_error_type(data), duckdb_error_data_message(data));

    duckdb_destroy_error_data(&data);
    return err;
}

static int stage_open(struct store_conn *conn, enum kind kind)
{
    struct stage *stage = &conn->load->stages[kind];
    duckdb_logical_type types[8];
    int err;

    if (stage->appender) return 0;
    err = duck_run(&conn->duck, kinds[kind].create);
    if (err) return err;
    if (duckdb_appender_create_ext(conn->duck.connection, "temp", NULL, kinds[kind].stage,
                                   &stage->appender) != DuckDBSuccess)
        return stage_fail(conn, stage);
    for (unsigned i = 0; i < kinds[kind].column_count; i++)
        types[i] = duckdb_appender_column_type(stage->appender, i);
    stage->chunk = duckdb_create_data_chunk(types, kinds[kind].column_count);
    for (unsigned i = 0; i < kinds[kind].column_count; i++)
        duckdb_destroy_logical_type(&types[i]);
    stage->chunk_capacity = duckdb_vector_size();
    stage->is_ordered = true;
    return 0;
}

/* After a chunk was handed over, or reset, its vectors are to be asked for again. */
static void stage_refresh(struct stage *stage, unsigned column_count)
{
    for (unsigned i = 0; i < column_count; i++) {
        stage->vectors[i] = duckdb_data_chunk_get_vector(stage->chunk, i);
        stage->columns[i] = duckdb_vector_get_data(stage->vectors[i]);
    }
}

static int stage_flush(struct store_conn *conn, struct stage *stage)
{
    if (!stage->chunk_size) return 0;
    duckdb_data_chunk_set_size(stage->chunk, stage->chunk_size);
    if (duckdb_append_data_chunk(stage->appender, stage->chunk) != DuckDBSuccess)
        return stage_fail(conn, stage);
    duckdb_data_chunk_reset(stage->chunk);
    stage->chunk_size = 0;
    return 0;
}

static void stage_deinit(struct stage *stage)
{
    if (stage->chunk) duckdb_destroy_data_chunk(&stage->chunk);
    if (stage->appender) duckdb_appender_destroy(&stage->appender);
}

/* Makes room for a row with this key and tells where in the chunk. */
static int stage_key(struct store_conn *conn, enum kind kind, const char *symbol, size_t size,
                     int64_t step_ms, int64_t time_ms, idx_t *at)
{
    struct stage *stage = &conn->load->stages[kind];
    struct key *last = &stage->last;
    bool is_same = stage->row_count && strcmp(symbol, last->symbol) == 0;
    int err = 0;

    if (stage->chunk_size == stage->chunk_capacity) err = stage_flush(conn, stage);
    if (err) return err;
    if (!stage->chunk_size) stage_refresh(stage, kinds[kind].column_count);
    if (!stage->row_count) {
        memcpy(stage->first_symbol, symbol, size + 1);
        memcpy(stage->last_symbol, symbol, size + 1);
        stage->first_ms = stage->last_ms = time_ms;
    } else if (!is_same || step_ms != last->step_ms || time_ms <= last->time_ms)
        stage->is_ordered = false;
    if (!is_same) {
        memcpy(last->symbol, symbol, size + 1);
        if (strcmp(symbol, stage->first_symbol) < 0) memcpy(stage->first_symbol, symbol, size + 1);
        if (strcmp(symbol, stage->last_symbol) > 0) memcpy(stage->last_symbol, symbol, size + 1);
    }
    last->step_ms = step_ms;
    last->time_ms = time_ms;
    stage->first_ms = MIN(stage->first_ms, time_ms);
    stage->last_ms = MAX(stage->last_ms, time_ms);
    stage->row_count++;
    *at = stage->chunk_size++;
    duckdb_vector_assign_string_element_len(stage->vectors[0], *at, symbol, size);
    return 0;
}

static void put_int(struct stage *stage, unsigned column, idx_t at, int64_t value)
{
    ((int64_t *)stage->columns[column])[at] = value;
}

static void put_double(struct stage *stage, unsigned column, idx_t at, double value)
{
    ((double *)stage->columns[column])[at] = value;
}

static void put_null(struct stage *stage, unsigned column, idx_t at)
{
    duckdb_vector_ensure_validity_writable(stage->vectors[column]);
    duckdb_validity_set_row_invalid(duckdb_vector_get_validity(stage->vectors[column]), at);
}

int store_load_begin(struct store_conn *conn)
{
    int err;

    assert(!conn->load);
    err = store_begin(conn);
    if (!err) conn->load = mem_zalloc(sizeof(*conn->load));
    return err;
}

int store_load_candles(struct store_conn *conn, const char *symbol, const struct candle *candles,
                       size_t count)
{
    struct stage *stage = &conn->load->stages[CANDLES];
    size_t size = strlen(symbol);
    idx_t at = 0;
    int err;

    assert(size <= LIMIT_SYMBOL_BYTES);
    err = count ? stage_open(conn, CANDLES) : 0;
    for (size_t i = 0; i < count && !err; i++) {
        const struct candle *c = &candles[i];

        err = stage_key(conn, CANDLES, symbol, size, c->step_ms, c->open_time_ms, &at);
        if (err) break;
        put_int(stage, 1, at, c->step_ms);
        put_int(stage, 2, at, c->open_time_ms);
        put_double(stage, 3, at, price_to_double(c->open_e8));
        put_double(stage, 4, at, price_to_double(c->high_e8));
        put_double(stage, 5, at, price_to_double(c->low_e8));
        put_double(stage, 6, at, price_to_double(c->close_e8));
        put_double(stage, 7, at, c->volume);
    }
    return err;
}

int store_load_points(struct store_conn *conn, const char *symbol, const struct store_point *points,
                      size_t count)
{
    struct stage *stage = &conn->load->stages[POINTS];
    size_t size = strlen(symbol);
    idx_t at = 0;
    int err;

    assert(size <= LIMIT_SYMBOL_BYTES);
    err = count ? stage_open(conn, POINTS) : 0;
    for (size_t i = 0; i < count && !err; i++) {
        err = stage_key(conn, POINTS, symbol, size, 0, points[i].time_ms, &at);
        if (err) break;
        put_int(stage, 1, at, points[i].time_ms);
        put_double(stage, 2, at, points[i].value);
        if (isnan(points[i].base))
            put_null(stage, 3, at);
        else
            put_double(stage, 3, at, points[i].base);
    }
    return err;
}

/* Adds what was staged of one kind to its table, and to `counts`. */
static int merge_stage(struct store_conn *conn, enum kind kind, struct store_counts *counts)
{
    struct stage *stage = &conn->load->stages[kind];
    struct duck_rows rows;
    int64_t added, conflicting = 0;
    int err;

    if (!stage->row_count) return 0;
    err = stage_flush(conn, stage);
    if (err) return err;
    if (duckdb_appender_close(stage->appender) != DuckDBSuccess) return stage_fail(conn, stage);
    err = duck_query(&conn->duck, &rows,
                     stage->is_ordered ? kinds[kind].insert : kinds[kind].insert_first,
                     D_TEXT(stage->first_symbol), D_TEXT(stage->last_symbol),
                     D_INT(stage->first_ms), D_INT(stage->last_ms));
    if (err) return err;
    added = (int64_t)rows.changed;
    duck_rows_deinit(&rows);
    if (added < stage->row_count)
        err = duck_query_int(&conn->duck, &conflicting, 0, kinds[kind].count_conflicts,
                             D_TEXT(stage->first_symbol), D_TEXT(stage->last_symbol),
                             D_INT(stage->first_ms), D_INT(stage->last_ms));
    if (!err) err = duck_run(&conn->duck, kinds[kind].drop);
    if (err) return err;
    counts->added += added;
    counts->known += stage->row_count - added;
    counts->conflicting += conflicting;
    return 0;
}

static void load_free(struct store_conn *conn)
{
    for (unsigned i = 0; i < KINDS; i++)
        stage_deinit(&conn->load->stages[i]);
    free(conn->load);
    conn->load = NULL;
}

/* Before the disk is full, not after: see LIMIT_FREE_BYTES. */
static int check_space(struct store_conn *conn)
{
    struct statvfs disk;

    if (statvfs(conn->path, &disk)) return 0; /* committing will tell */
    if ((uint64_t)disk.f_bavail * disk.f_frsize >= LIMIT_FREE_BYTES) return 0;
    snprintf(conn->duck.error, sizeof(conn->duck.error),
             "less than " TEXT_OF(LIMIT_FREE_MIB) " MiB are free on the disk of %s", conn->path);
    return ERR_DATABASE;
}

int store_load_commit(struct store_conn *conn, struct store_counts *counts)
{
    struct store_counts sum = {0};
    int err = check_space(conn);

    for (unsigned i = 0; i < KINDS && !err; i++)
        err = merge_stage(conn, i, &sum);
    if (err) {
        store_load_rollback(conn);
        return err;
    }
    load_free(conn);
    err = store_commit(conn);
    if (!err) *counts = sum;
    return err;
}

void store_load_rollback(struct store_conn *conn)
{
    char error[sizeof(conn->duck.error)];

    memcpy(error, conn->duck.error, sizeof(error));
    load_free(conn);
    store_rollback(conn);
    memcpy(conn->duck.error, error, sizeof(error)); /* still the reason */
}

int store_append(struct store_conn *conn, const struct store_rows *rows, size_t rows_count)
{
    struct store_counts counts;
    int err = store_load_begin(conn);

    if (err) return err;
    for (size_t i = 0; i < rows_count && !err; i++) {
        err = store_load_candles(conn, rows[i].symbol, rows[i].candles, rows[i].candle_count);
        for (size_t k = 0; k < rows[i].point_count && !err; k++) {
            struct store_point point = {rows[i].points[k].time_ms,
                                        (double)rows[i].points[k].value_e6 / 1e6,
                                        rows[i].oi_base ? rows[i].oi_base[k] : NAN};

            err = store_load_points(conn, rows[i].symbol, &point, 1);
        }
    }
    if (!err) return store_load_commit(conn, &counts);
    store_load_rollback(conn);
    return err;
}
