#include "rest_params.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/query.h"

static const struct {
    const char *name;
    int64_t ms;
} intervals[] = {{"5m", 300000},   {"15m", 900000},   {"30m", 1800000},
                 {"1h", 3600000},  {"2h", 7200000},   {"4h", 14400000},
                 {"8h", 28800000}, {"12h", 43200000}, {"1d", 86400000}};

bool params_fail(const struct params *params, int status, const char *format, ...)
{
    char message[512];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    site_fail(params->response, status, message);
    return false;
}

bool params_text(const struct params *params, const char *name, struct buf *value, bool *is_given)
{
    buf_clear(value);
    *is_given = false;
    switch (query_get(params->query, name, value)) {
    case QUERY_ABSENT:
        return true;
    case QUERY_OK:
        *is_given = value->size > 0;
        return true;
    case QUERY_DUPLICATE:
        return params_fail(params, 422, "parameter '%s' is given twice", name);
    case QUERY_BAD_ENCODING:
        break;
    }
    return params_fail(params, 422, "parameter '%s' is not properly percent-encoded UTF-8", name);
}

static bool fail_symbol(const struct params *params, struct str name)
{
    struct buf text = {0};
    size_t count = engine_symbol_count(params->engine);

    buf_printf(&text, "Unknown symbol '%.*s'. ", (int)MIN(name.size, LIMIT_SYMBOL_BYTES), name.at);
    buf_add_text(&text, count ? "Valid symbols: " : "No symbols are known yet");
    for (size_t i = 0; i < count && i < LIMIT_SYMBOLS_LISTED; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", engine_symbol(params->engine, i)->name);
    if (count > LIMIT_SYMBOLS_LISTED)
        buf_printf(&text, " and %zu more (GET /symbols)", count - LIMIT_SYMBOLS_LISTED);
    buf_add_char(&text, '\0');
    site_fail(params->response, 400, text.data);
    buf_deinit(&text);
    return false;
}

bool params_symbol(const struct params *params, const struct symbol **symbol)
{
    struct buf value = {0};
    bool is_given, ok = params_text(params, "symbol", &value, &is_given);

    if (ok && !is_given) ok = params_fail(params, 422, "parameter 'symbol' is missing");
    if (ok) {
        *symbol = engine_find(params->engine, buf_str(&value));
        ok = *symbol || fail_symbol(params, buf_str(&value));
    }
    buf_deinit(&value);
    return ok;
}

bool params_time(const struct params *params, const char *name, int64_t *time_ms, bool *is_given)
{
    struct buf value = {0};
    bool ok = params_text(params, name, &value, is_given);

    if (ok && *is_given && time_parse(buf_str(&value), time_ms))
        ok = params_fail(params, 400,
                         "parameter '%s' must be an ISO 8601 time such as 2025-12-29T10:00:00Z",
                         name);
    buf_deinit(&value);
    return ok;
}

bool params_interval(const struct params *params, const char *fallback, const char **name,
                     int64_t *interval_ms)
{
    struct buf value = {0};
    bool is_given, ok = params_text(params, "interval", &value, &is_given), is_known = false;
    struct str wanted = is_given ? buf_str(&value) : str_of(fallback);

    for (size_t i = 0; ok && i < ARRAY_LEN(intervals); i++) {
        if (!str_eq(wanted, str_of(intervals[i].name))) continue;
        *name = intervals[i].name;
        *interval_ms = intervals[i].ms;
        is_known = true;
    }
    if (ok && !is_known)
        ok = params_fail(params, 422,
                         "parameter 'interval' must be one of 5m 15m 30m 1h 2h 4h 8h 12h 1d");
    buf_deinit(&value);
    return ok;
}

bool params_format(const struct params *params, const char *other, bool *is_other)
{
    struct buf value = {0};
    bool is_given, ok = params_text(params, "format", &value, &is_given);

    *is_other = str_eq(buf_str(&value), str_of(other));
    if (ok && is_given && !*is_other && !str_eq(buf_str(&value), STR("json")))
        ok = params_fail(params, 422, "parameter 'format' must be json or %s", other);
    buf_deinit(&value);
    return ok;
}

bool params_int(const struct params *params, const char *name, int64_t min, int64_t max,
                int64_t *out)
{
    struct buf value = {0};
    bool is_given, ok = params_text(params, name, &value, &is_given);
    char *end;
    long long number;

    if (ok && is_given) {
        buf_add_char(&value, '\0');
        number = strtoll(value.data, &end, 10);
        if (*end || value.data[strspn(value.data, "0123456789")] || end == value.data ||
            number < min || number > max)
            ok = params_fail(params, 422, "parameter '%s' must be a whole number from %lld to %lld",
                             name, (long long)min, (long long)max);
        else
            *out = number;
    }
    buf_deinit(&value);
    return ok;
}
