/* rest_query.h - the two questions about stored history: their parameters, and their answers.
 *
 * A query is read from a request on the main thread (…_read) and answered on a store thread
 * (…_answer); in between it is plain data. */
#ifndef HEATCAST_REST_QUERY_H
#define HEATCAST_REST_QUERY_H

#include "base/budget.h"
#include "rest_params.h"

struct klines_query {
    char symbol[LIMIT_SYMBOL_BYTES + 1];
    const char *interval;
    int64_t interval_ms;
    int64_t first_ms;          /* of anything stored: no need to look before it */
    int64_t from_ms, until_ms; /* open times, both included */
    int64_t limit;             /* the newest so many; 0 for all from from_ms on */
    bool is_columns;           /* an array for each field instead of an object for each candle */
};

bool klines_read(const struct params *params, struct klines_query *query);
/* Fills *response, with an error if it must be one. */
void klines_answer(const struct klines_query *query, struct store_conn *conn,
                   struct site_response *response);

struct timeseries_query {
    char symbol[LIMIT_SYMBOL_BYTES + 1];
    const char *interval;
    int64_t interval_ms;
    int64_t from_ms, until_ms; /* both included */
    int64_t visible_ms;        /* nothing after it is shown */
    int64_t warmup_ms;         /* the state is built from so long before from_ms on */
    int64_t bin_e12;
    struct leverage_mix mix;
    bool is_matrix;
    size_t column_count;                  /* of those that alone are answered; 0 for all */
    int64_t columns_ms[LIMIT_COLUMNS_AT]; /* open times of these, in any order */
};

bool timeseries_read(const struct params *params, struct timeseries_query *query);
/* The memory that the answer takes is taken from `memory`; where that has not enough left, the
 * response is 503. Returns how much it was: the caller gives it back when it has sent the answer.
 */
int64_t timeseries_answer(const struct timeseries_query *query, struct store_conn *conn,
                          struct budget *memory, struct site_response *response);

/* The rows of a span as a series; a database error goes into *response. The caller frees *rows. */
bool query_series(struct store_conn *conn, const char *symbol, int64_t interval_ms, int64_t from_ms,
                  int64_t until_ms, bool with_oi, struct series_row **rows, size_t *count,
                  struct site_response *response);

#endif
