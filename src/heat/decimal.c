#include "heat/decimal.h"

#include <assert.h>

enum { DIGITS_MAX = 30 }; /* significant ones that are kept; the rest cannot matter in 64 bits */

/* The text as mantissa * 10^exponent. */
struct scan {
    const char *at, *end;
    int128 mantissa;
    int exponent; /* stays far from overflow: see EXPONENT_MAX */
    bool negative;
    bool has_digits;
};

enum { EXPONENT_MAX = 1000000 };

static bool scan_char(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c) return false;
    s->at++;
    return true;
}

static bool scan_digit(struct scan *s, int *digit)
{
    if (s->at == s->end || *s->at < '0' || *s->at > '9') return false;
    *digit = *s->at++ - '0';
    return true;
}

/* A run of digits, `fraction` of them being behind the point. */
static void scan_digits(struct scan *s, bool fraction)
{
    static const int128 full = (int128)1000000000000000 * 1000000000000000; /* 10^DIGITS_MAX */
    int digit;

    while (scan_digit(s, &digit)) {
        s->has_digits = true;
        if (s->mantissa < full / 10) {
            s->mantissa = s->mantissa * 10 + digit;
            s->exponent -= fraction;
        } else if (s->exponent < EXPONENT_MAX) {
            s->exponent += !fraction;
        }
    }
}

static bool scan_exponent(struct scan *s)
{
    bool negative, any = false;
    int digit, exponent = 0;

    negative = scan_char(s, '-');
    if (!negative) scan_char(s, '+');
    for (; scan_digit(s, &digit); any = true) {
        if (exponent < EXPONENT_MAX) exponent = exponent * 10 + digit;
    }
    s->exponent += negative ? -exponent : exponent;
    return any;
}

static bool scan_number(struct scan *s)
{
    s->negative = scan_char(s, '-');
    if (!s->negative) scan_char(s, '+');
    scan_digits(s, false);
    if (scan_char(s, '.')) scan_digits(s, true);
    if (!s->has_digits) return false;
    if ((scan_char(s, 'e') || scan_char(s, 'E')) && !scan_exponent(s)) return false;
    return s->at == s->end;
}

int decimal_parse(struct str text, unsigned decimals, int64_t *value)
{
    struct scan s = {0};
    int dropped = 0;

    assert(decimals <= 18);
    if (!text.size) return ERR_SYNTAX;
    s.at = text.at;
    s.end = text.at + text.size;
    if (!scan_number(&s)) return ERR_SYNTAX;
    s.exponent += (int)decimals;
    for (; s.exponent > 0 && s.mantissa; s.exponent--) {
        if (s.mantissa > INT64_MAX) return ERR_RANGE;
        s.mantissa *= 10;
    }
    /* Half away from zero looks at the last digit dropped alone. */
    for (; s.exponent < 0 && (s.mantissa || dropped); s.exponent++) {
        dropped = (int)(s.mantissa % 10);
        s.mantissa /= 10;
    }
    s.mantissa += dropped >= 5;
    if (s.mantissa > INT64_MAX) return ERR_RANGE;
    *value = s.negative ? -(int64_t)s.mantissa : (int64_t)s.mantissa;
    return 0;
}
