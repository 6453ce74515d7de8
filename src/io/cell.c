#include "io/cell.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/printable.h"

#define NUMBER_BYTES_MAX 64 /* the longest true ones have 27 */

/* Times outside are absurd: Binance opened in 2017. */
#define TIME_MIN_MS   INT64_C(1483228800000) /* 2017-01-01 */
#define TIME_LIMIT_MS INT64_C(4102444800000) /* 2100-01-01 */

static bool parse_digits(struct str text, int64_t *value)
{
    int64_t sum = 0;

    if (!text.size || text.size > 18) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!isdigit((unsigned char)text.at[i])) return false;
        sum = sum * 10 + (text.at[i] - '0');
    }
    *value = sum;
    return true;
}

static size_t count_digits(const char *at, const char *end)
{
    const char *start = at;

    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - start);
}

/* JSON's numbers, leading zeros allowed. The grammar keeps strtod's other tastes out (hex, inf,
 * blanks), so that it can do the rounding where the short way cannot. */
static bool is_number(struct str text, size_t *exponent_at)
{
    const char *at = text.at, *end = at + text.size;
    size_t digits;

    if (at < end && *at == '-') at++;
    digits = count_digits(at, end);
    if (!digits) return false;
    at += digits;
    if (at < end && *at == '.') {
        digits = count_digits(++at, end);
        if (!digits) return false;
        at += digits;
    }
    *exponent_at = (size_t)(at - text.at);
    if (at < end && (*at == 'e' || *at == 'E')) {
        if (++at < end && (*at == '-' || *at == '+')) at++;
        digits = count_digits(at, end);
        if (!digits) return false;
        at += digits;
    }
    return at == end;
}

/* Up to 15 digits and 22 decimals: integer and power of ten are exact doubles, and one division
 * rounds once, so the result is the nearest double. */
static bool parse_short(struct str text, double *value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    bool is_negative = text.at[0] == '-';
    const char *at = text.at + is_negative, *end = text.at + text.size;
    const char *point = memchr(at, '.', (size_t)(end - at));
    int64_t mantissa = 0;
    size_t decimals;

    if (point)
        while (end[-1] == '0') /* dumps pad to 16 decimals */
            end--;
    decimals = point ? (size_t)(end - point) - 1 : 0;
    if (end - at > 16 || decimals >= ARRAY_LEN(powers)) return false;
    for (; at < end; at++)
        if (*at != '.') mantissa = mantissa * 10 + (*at - '0');
    if (mantissa >= INT64_C(1) << 53) return false;
    *value = (double)mantissa / powers[decimals];
    if (is_negative) *value = -*value;
    return true;
}

bool cell_parse_number(struct str text, double *value)
{
    char copy[NUMBER_BYTES_MAX + 1];
    double number;
    size_t exponent_at;

    if (text.size > NUMBER_BYTES_MAX || !is_number(text, &exponent_at)) return false;
    if (exponent_at == text.size && parse_short(text, value)) return true;
    memcpy(copy, text.at, text.size);
    copy[text.size] = '\0';
    number = strtod(copy, NULL);
    if (!isfinite(number)) return false;
    *value = number;
    return true;
}

static bool is_plausible(int64_t time_ms)
{
    return time_ms >= TIME_MIN_MS && time_ms < TIME_LIMIT_MS;
}

int cell_parse_epoch(struct str text, int64_t *value, bool *is_us)
{
    int64_t number;
    bool has_us;

    if (!parse_digits(text, &number)) return ERR_SYNTAX;
    has_us = number >= TIME_LIMIT_MS;
    if (!is_plausible(has_us ? number / 1000 : number)) return ERR_RANGE;
    *value = number;
    *is_us = has_us;
    return 0;
}

int cell_parse_time(struct str cell, int64_t *time_ms)
{
    int64_t time;
    bool is_us = false;
    int err = cell_parse_epoch(cell, &time, &is_us);

    if (err == ERR_RANGE) return err;
    if (err && time_parse(cell, &time)) return ERR_SYNTAX;
    if (is_us) time /= 1000;
    if (!is_plausible(time)) return ERR_RANGE;
    *time_ms = time;
    return 0;
}

struct cell_shown cell_show(struct str cell)
{
    struct cell_shown shown;
    size_t size = MIN(cell.size, (size_t)40);

    memcpy(shown.text, cell.at, size);
    printable_keep_ascii(shown.text, size);
    memcpy(shown.text + size, "...", 4);
    if (size == cell.size) shown.text[size] = '\0';
    return shown;
}
