/* rest_params.h - reading the query of a REST request, with errors that name what is wrong.
 *
 * 422: a parameter is missing or ill-formed; 400: an unknown symbol, a bad time or bad weights
 * (PROTOCOL section 2). Each reader returns false after it has put such an answer into *response.
 */
#ifndef HEATCAST_REST_PARAMS_H
#define HEATCAST_REST_PARAMS_H

#include "engine.h"

struct params {
    struct str query;
    const struct engine *engine;
    struct site_response *response; /* where an error goes */
};

/* A parameter's text into *value (emptied first). *is_given false where it is absent or empty. */
bool params_text(const struct params *params, const char *name, struct buf *value, bool *is_given);

/* `symbol`, required: one that the store has. */
bool params_symbol(const struct params *params, const struct symbol **symbol);
/* An ISO 8601 moment; *time_ms untouched where it is absent. */
bool params_time(const struct params *params, const char *name, int64_t *time_ms, bool *is_given);
/* `interval`: one of 5m … 1d; its name (static) and length. */
bool params_interval(const struct params *params, const char *fallback, const char **name,
                     int64_t *interval_ms);
/* A whole number from min to max; *value untouched where it is absent. */
bool params_int(const struct params *params, const char *name, int64_t min, int64_t max,
                int64_t *value);

/* `format`: json, which is the default, or `other`. */
bool params_format(const struct params *params, const char *other, bool *is_other);
/* Puts a printf-like error into params->response; returns false, for the caller to return too. */
bool params_fail(const struct params *params, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
