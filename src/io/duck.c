#include "io/duck.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

int duck_init(struct duck *duck, duckdb_database database, const atomic_bool *is_stopping)
{
    *duck = (struct duck){.is_stopping = is_stopping};
    if (duckdb_connect(database, &duck->connection) != DuckDBSuccess) return ERR_DATABASE;
    return 0;
}

void duck_deinit(struct duck *duck)
{
    for (unsigned i = 0; i < duck->statement_count; i++)
        duckdb_destroy_prepare(&duck->statements[i].prepared);
    duck->statement_count = 0;
    if (duck->connection) duckdb_disconnect(&duck->connection);
}

void duck_interrupt(struct duck *duck)
{
    duckdb_interrupt(duck->connection);
}

int duck_fail(struct duck *duck, duckdb_error_type type, const char *text)
{
    if (!text || !*text) text = "no reason given";
    snprintf(duck->error, sizeof(duck->error), "%.*s", (int)strcspn(text, "\n"), text);
    return type == DUCKDB_ERROR_INTERRUPT ? ERR_STOPPED : ERR_DATABASE;
}

/* An interrupt only ends the statement that is running; this keeps the next from starting. */
static int check_stopping(struct duck *duck)
{
    duck->error[0] = '\0';
    if (!atomic_load(duck->is_stopping)) return 0;
    return duck_fail(duck, DUCKDB_ERROR_INTERRUPT, "the store is closing");
}

static int finish_result(struct duck *duck, duckdb_state state, duckdb_result *result)
{
    int err = 0;

    if (state != DuckDBSuccess)
        err = duck_fail(duck, duckdb_result_error_type(result), duckdb_result_error(result));
    if (err) duckdb_destroy_result(result);
    return err;
}

static void note_time(struct duck *duck, int64_t began_us)
{
    if (duck->times) histogram_observe(duck->times, clock_monotonic_us() - began_us);
}

int duck_run(struct duck *duck, const char *sql)
{
    duckdb_result result = {0};
    int64_t began_us = clock_monotonic_us();
    int err = check_stopping(duck);

    if (err) return err;
    err = finish_result(duck, duckdb_query(duck->connection, sql, &result), &result);
    note_time(duck, began_us);
    if (!err) duckdb_destroy_result(&result);
    return err;
}

void duck_rollback(struct duck *duck)
{
    duckdb_query(duck->connection, "ROLLBACK", NULL);
}

static int find_prepared(struct duck *duck, const char *sql, duckdb_prepared_statement *prepared)
{
    int err;

    for (unsigned i = 0; i < duck->statement_count; i++) {
        if (duck->statements[i].sql != sql) continue;
        *prepared = duck->statements[i].prepared;
        return 0;
    }
    assert(duck->statement_count < DUCK_STATEMENTS);
    if (duckdb_prepare(duck->connection, sql, prepared) != DuckDBSuccess) {
        err = duck_fail(duck, DUCKDB_ERROR_INVALID, duckdb_prepare_error(*prepared));
        duckdb_destroy_prepare(prepared);
        return err;
    }
    duck->statements[duck->statement_count].sql = sql;
    duck->statements[duck->statement_count++].prepared = *prepared;
    return 0;
}

static int query(struct duck *duck, struct duck_rows *rows, const char *sql, va_list args)
{
    duckdb_prepared_statement prepared = NULL;
    int64_t began_us = clock_monotonic_us();
    struct duck_arg arg;
    int err = check_stopping(duck);

    if (!err) err = find_prepared(duck, sql, &prepared);
    if (err) return err;
    *rows = (struct duck_rows){0};
    for (idx_t i = 1; (arg = va_arg(args, struct duck_arg)).type != DUCK_END; i++) {
        duckdb_state state = arg.type == DUCK_INT ? duckdb_bind_int64(prepared, i, arg.integer)
                                                  : duckdb_bind_varchar(prepared, i, arg.text);
        assert(state == DuckDBSuccess);
        (void)state;
    }
    err = finish_result(duck, duckdb_execute_prepared(prepared, &rows->result), &rows->result);
    note_time(duck, began_us);
    if (err) return err;
    assert(duckdb_column_count(&rows->result) <= DUCK_COLUMNS);
    rows->changed = duckdb_rows_changed(&rows->result);
    return 0;
}

int duck_query_(struct duck *duck, struct duck_rows *rows, const char *sql, ...)
{
    va_list args;
    int err;

    va_start(args, sql);
    err = query(duck, rows, sql, args);
    va_end(args);
    return err;
}

int duck_query_int_(struct duck *duck, int64_t *value, int64_t fallback, const char *sql, ...)
{
    struct duck_rows rows;
    va_list args;
    int err;

    va_start(args, sql);
    err = query(duck, &rows, sql, args);
    va_end(args);
    if (err) return err;
    *value = duck_next(&rows) && !duck_is_null(&rows, 0) ? duck_int(&rows, 0) : fallback;
    duck_rows_deinit(&rows);
    return 0;
}

static bool next_chunk(struct duck_rows *rows)
{
    idx_t columns = duckdb_column_count(&rows->result);

    if (rows->chunk) duckdb_destroy_data_chunk(&rows->chunk);
    rows->chunk = duckdb_fetch_chunk(rows->result);
    rows->at = 0;
    rows->size = rows->chunk ? duckdb_data_chunk_get_size(rows->chunk) : 0;
    if (!rows->size) return false;
    for (idx_t i = 0; i < columns; i++) {
        duckdb_vector vector = duckdb_data_chunk_get_vector(rows->chunk, i);

        rows->columns[i] = duckdb_vector_get_data(vector);
        rows->validity[i] = duckdb_vector_get_validity(vector);
    }
    return true;
}

bool duck_next(struct duck_rows *rows)
{
    if (rows->chunk && ++rows->at < rows->size) return true;
    return next_chunk(rows);
}

int64_t duck_int(const struct duck_rows *rows, unsigned column)
{
    return ((const int64_t *)rows->columns[column])[rows->at];
}

double duck_double(const struct duck_rows *rows, unsigned column)
{
    return ((const double *)rows->columns[column])[rows->at];
}

struct str duck_text(const struct duck_rows *rows, unsigned column)
{
    duckdb_string_t *text = &((duckdb_string_t *)rows->columns[column])[rows->at];

    return (struct str){duckdb_string_t_data(text), duckdb_string_t_length(*text)};
}

bool duck_is_null(const struct duck_rows *rows, unsigned column)
{
    const uint64_t *validity = rows->validity[column];

    return validity && !(validity[rows->at / 64] >> (rows->at % 64) & 1);
}

void duck_rows_deinit(struct duck_rows *rows)
{
    if (rows->chunk) duckdb_destroy_data_chunk(&rows->chunk);
    duckdb_destroy_result(&rows->result);
}
