/* duck.h - one DuckDB connection: statements in, rows out, trouble as a code and a text.
 *
 * It knows SQL's mechanics and nothing of markets. One thread uses a connection; only
 * duck_interrupt() may come from another. Text given to duck_query() as `sql` must be a literal:
 * the prepared statement is kept under its address.
 *
 *     err = duck_query(d, &rows, "SELECT a, b FROM t WHERE c = $1", D_INT(7));
 *     while (!err && duck_next(&rows)) use(duck_int(&rows, 0), duck_double(&rows, 1));
 *     duck_rows_deinit(&rows); */
#ifndef HEATCAST_IO_DUCK_H
#define HEATCAST_IO_DUCK_H

#include <stdatomic.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes" /* it declares f() where it means f(void) */
#include <duckdb.h>
#pragma GCC diagnostic pop

#include "base/histogram.h"

#define DUCK_STATEMENTS 32 /* distinct texts of duck_query() in the program, with room */
#define DUCK_COLUMNS    9  /* most columns of one answer */

struct duck {
    duckdb_connection connection;
    const atomic_bool *is_stopping; /* borrowed; once true, statements end with ERR_STOPPED */
    struct histogram *times;        /* of statements; borrowed, the thread's; NULL: not told */
    struct {
        const char *sql; /* a literal */
        duckdb_prepared_statement prepared;
    } statements[DUCK_STATEMENTS];
    unsigned statement_count;
    char error[512]; /* the last trouble's text, "" after success */
};

struct duck_arg {
    enum { DUCK_END, DUCK_INT, DUCK_TEXT } type;
    int64_t integer;
    const char *text;
};

#define D_INT(value)  ((struct duck_arg){.type = DUCK_INT, .integer = (value)})
#define D_TEXT(value) ((struct duck_arg){.type = DUCK_TEXT, .text = (value)})
#define D_END         ((struct duck_arg){.type = DUCK_END})

/* An answer being walked. Columns are BIGINT, DOUBLE or VARCHAR: the SQL casts. */
struct duck_rows {
    duckdb_result result;
    duckdb_data_chunk chunk; /* the piece that `at` is in; NULL before the first */
    idx_t at, size;          /* in the chunk */
    void *columns[DUCK_COLUMNS];
    uint64_t *validity[DUCK_COLUMNS];
    uint64_t changed; /* rows that an INSERT, UPDATE or DELETE touched */
};

int duck_init(struct duck *duck, duckdb_database database,
              const atomic_bool *is_stopping) MUST_CHECK;
void duck_deinit(struct duck *duck);

/* From any thread: the statement that is running, if any, ends soon with ERR_STOPPED. */
void duck_interrupt(struct duck *duck);

/* All of these return 0, ERR_STOPPED, or ERR_DATABASE with the text in duck->error. */

/* One or more statements whose rows do not matter. */
int duck_run(struct duck *duck, const char *sql) MUST_CHECK;
/* The first answer's first column; `fallback` when it has no row or is NULL. */
#define duck_query_int(duck, value, fallback, ...)                                                 \
    duck_query_int_(duck, value, fallback, __VA_ARGS__, D_END)
/* `rows` is valid, to be deinited, after success only. */
#define duck_query(duck, rows, ...) duck_query_(duck, rows, __VA_ARGS__, D_END)

int duck_query_(struct duck *duck, struct duck_rows *rows, const char *sql, ...) MUST_CHECK;
int duck_query_int_(struct duck *duck, int64_t *value, int64_t fallback, const char *sql,
                    ...) MUST_CHECK;

/* Ends a transaction that failed, also while stopping; harmless without one. */
void duck_rollback(struct duck *duck);

/* Notes a trouble's text (its first line) and tells which code it is. */
int duck_fail(struct duck *duck, duckdb_error_type type, const char *text);

bool duck_next(struct duck_rows *rows);
int64_t duck_int(const struct duck_rows *rows, unsigned column);
double duck_double(const struct duck_rows *rows, unsigned column);
/* Valid until the next duck_next(). */
struct str duck_text(const struct duck_rows *rows, unsigned column);
bool duck_is_null(const struct duck_rows *rows, unsigned column);
void duck_rows_deinit(struct duck_rows *rows);

#endif
