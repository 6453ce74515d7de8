/* store.h - market history in a DuckDB file.
 *
 * The store has threads of its own, a DuckDB connection each, and one bounded queue of jobs: no
 * query ever runs on a thread that serves a socket. A job is given by a loop's thread, worked on
 * by a store thread, and given back to that loop. Rows are written by one connection at a time.
 *
 * One process owns the file. The schema is versioned: an older file is migrated forward on opening
 * (each step one transaction), a newer one is refused. */
#ifndef HEATCAST_IO_STORE_H
#define HEATCAST_IO_STORE_H

#include "base/limits.h"
#include "base/stats.h"
#include "heat/candle.h"
#include "io/loop.h"

struct store;
struct store_conn; /* one thread's DuckDB connection and prepared statements */

/* Opens or makes `path` and starts `thread_count` threads (0: none, for the command line, which
 * uses store_conn_open() itself). A new file appears under its name when it is complete. On trouble
 * returns ERR_BUSY (another process holds it), ERR_NEWER or ERR_DATABASE and writes a sentence for
 * the user into message: what is wrong with which file, who holds it, what to do. */
int store_open(const char *path, unsigned thread_count, struct store **store, char *message,
               size_t message_size) MUST_CHECK;

/* Interrupts running queries, drops waiting jobs (their `done` is called with is_dropped set if the
 * loop still runs) and joins the threads; store_submit() answers ERR_STOPPED from now on. What was
 * committed stays; a transaction under way is rolled back. Waits for `work` that is running, so
 * long work looks at store_conn_is_stopping(). Twice is harmless. Main thread only. */
void store_stop(struct store *store);

/* Stops, checkpoints, closes the file and frees: when nobody can submit any more. NULL is fine.
 * Main thread only. */
void store_close(struct store *store);

/* Embedded in the caller's struct, which lives until `done`. */
struct store_job {
    /* On a store thread. Whatever it leaves in the job belongs to `done`. */
    void (*work)(struct store_job *job, struct store_conn *conn);
    /* On the loop that gave it. */
    void (*done)(struct store_job *job);
    bool is_live;    /* the live stream waits for it: goes before others, in a queue of its own */
    bool is_dropped; /* the store is closing: `work` was not run */
    int64_t submitted_us;
    struct loop *loop;
    struct task task;
    struct store_job *next;
};

/* Queues a job to come back to `loop`, which is the caller's own. Where there are two threads or
 * more, one is kept free of jobs that are not live: no question about history, however slow, holds
 * up the stream. ERR_FULL beyond LIMIT_STORE_JOBS waiting in its queue, ERR_STOPPED while closing:
 * `done` will not be called then. */
int store_submit(struct store *store, struct loop *loop, struct store_job *job) MUST_CHECK;

/* Adds what the store's threads counted. Main thread only. */
void store_stats(const struct store *store, struct stats_sum *into);
/* How many jobs wait for a free thread. Any thread. */
unsigned store_jobs_waiting(struct store *store);

/* For command-line tools: a connection used on the calling thread, closed before the store. */
int store_conn_open(struct store *store, struct store_conn **conn) MUST_CHECK;
void store_conn_close(struct store_conn *conn);
/* The last error's text of this connection, "" if none; valid until its next call. */
const char *store_conn_error(const struct store_conn *conn);
/* The store is closing: queries end with ERR_STOPPED from now on, and other work should too. */
bool store_conn_is_stopping(const struct store_conn *conn);

/* --- queries; each returns 0 or ERR_DATABASE / ERR_STOPPED, out parameters untouched then --- */

struct store_symbol {
    char symbol[LIMIT_SYMBOL_BYTES + 1];
    int64_t step_ms;                     /* its finest stored candles' step */
    int64_t first_open_ms, last_open_ms; /* of the candles of that step */
    double last_close;                   /* USDT, of the newest of them */
    double first_close;                  /* USDT, of the oldest of them */
    int64_t oi_first_ms, oi_last_ms;     /* of the open interest; both -1 when there is none */
    int64_t candle_first_ms;             /* the earliest open time of candles of any step */
};

/* Every symbol with candles or open interest, ascending by name (a symbol without candles has
 * step_ms 0 and all about candles 0). *symbols is an array that the caller frees. */
int store_symbols(struct store_conn *conn, struct store_symbol **symbols, size_t *count) MUST_CHECK;

/* Candles with from_ms <= open time <= until_ms whose step divides interval_ms, ordered as
 * series_build() wants them: by bucket of interval_ms, step, open time. step_ms 0 takes all such
 * steps, else only that one. The caller frees *candles. */
int store_candles(struct store_conn *conn, const char *symbol, int64_t interval_ms, int64_t step_ms,
                  int64_t from_ms, int64_t until_ms, struct candle **candles,
                  size_t *count) MUST_CHECK;

/* Open interest with from_ms <= time <= until_ms, by time. The caller frees *points. */
int store_oi(struct store_conn *conn, const char *symbol, int64_t from_ms, int64_t until_ms,
             struct oi_point **points, size_t *count) MUST_CHECK;

/* One stored series: a symbol's candles of one step, or its open interest. */
struct store_series {
    char symbol[LIMIT_SYMBOL_BYTES + 1];
    int64_t step_ms; /* 0: open interest */
    int64_t first_ms, last_ms;
    int64_t row_count;
};

/* All of them, by symbol and step. The caller frees *series. */
int store_series(struct store_conn *conn, struct store_series **series, size_t *count) MUST_CHECK;

/* A hole between two neighbours of a series. */
struct store_gap {
    int64_t after_ms, before_ms; /* the rows on both sides of it */
    int64_t missing;             /* rows that would fit */
};

/* The holes of a series, by time: where candles are further apart than their step, and points of
 * open interest more than half as far again as is usual around them. The caller frees *gaps. */
int store_gaps(struct store_conn *conn, const char *symbol, int64_t step_ms,
               struct store_gap **gaps, size_t *count) MUST_CHECK;

/* A named text that is kept in the file ("sim.seed"); *value is owned by the caller, NULL when it
 * is not there. */
int store_setting_get(struct store_conn *conn, const char *name, char **value) MUST_CHECK;
int store_setting_set(struct store_conn *conn, const char *name, const char *value) MUST_CHECK;

/* --- writing --- */

/* One symbol's rows to add in a transaction; a row whose key is there already is left as it is. */
struct store_rows {
    const char *symbol;
    const struct candle *candles;
    size_t candle_count;
    const struct oi_point *points;
    const double *oi_base; /* open interest in base units beside each point; may be NULL */
    size_t point_count;
};
int store_append(struct store_conn *conn, const struct store_rows *rows,
                 size_t rows_count) MUST_CHECK;

/* The same in pieces, for loading files: begin, add any number of times, commit or roll back. All
 * of it is one transaction, during which other writers wait. After trouble in an add, roll back;
 * a commit ends the load whatever it returns. */
struct store_point {
    int64_t time_ms;
    double value; /* USDT */
    double base;  /* base asset; NAN: not known */
};

struct store_counts {
    int64_t added;       /* not there before */
    int64_t known;       /* there already; in the load twice */
    int64_t conflicting; /* of the known: those with other values there, which stay */
};

int store_load_begin(struct store_conn *conn) MUST_CHECK;
int store_load_candles(struct store_conn *conn, const char *symbol, const struct candle *candles,
                       size_t count) MUST_CHECK;
int store_load_points(struct store_conn *conn, const char *symbol, const struct store_point *points,
                      size_t count) MUST_CHECK;
int store_load_commit(struct store_conn *conn, struct store_counts *counts) MUST_CHECK;
void store_load_rollback(struct store_conn *conn);

#endif
