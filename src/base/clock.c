#include "base/clock.h"

#include <time.h>

#define MS_PER_DAY INT64_C(86400000)

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return a % b < 0 ? q - 1 : q;
}

/* Days since 1970 of a civil date and back, by counting in 400-year eras from 1 March of year 0:
 * with March first, the leap day is the last of its year and every month's start is linear. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = floor_div(y, 400), year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468, era = floor_div(z, 146097), day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

struct civil_time civil_from_ms(int64_t time_ms)
{
    int64_t days = floor_div(time_ms, MS_PER_DAY), rest = time_ms - days * MS_PER_DAY;
    struct civil_time t = {0};

    civil_from_days(days, &t.year, &t.month, &t.day);
    t.hour = (int)(rest / 3600000);
    t.minute = (int)(rest / 60000 % 60);
    t.second = (int)(rest / 1000 % 60);
    t.ms = (int)(rest % 1000);
    return t;
}

int64_t ms_from_civil(struct civil_time t)
{
    return days_from_civil(t.year, t.month, t.day) * MS_PER_DAY + t.hour * INT64_C(3600000) +
           t.minute * INT64_C(60000) + t.second * INT64_C(1000) + t.ms;
}

/* Takes exactly `count` digits off the front. */
static bool take_digits(struct str *s, int count, int *value)
{
    int v = 0;

    if (s->size < (size_t)count) return false;
    for (int i = 0; i < count; i++) {
        if (s->at[i] < '0' || s->at[i] > '9') return false;
        v = v * 10 + (s->at[i] - '0');
    }
    s->at += count;
    s->size -= (size_t)count;
    *value = v;
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (!s->size || s->at[0] != c) return false;
    s->at++;
    s->size--;
    return true;
}

/* ".123456": milliseconds; what is finer is dropped. */
static bool take_fraction(struct str *s, int *ms)
{
    int digits = 0, value = 0;

    for (; s->size && s->at[0] >= '0' && s->at[0] <= '9'; s->at++, s->size--, digits++)
        if (digits < 3) value = value * 10 + (s->at[0] - '0');
    if (!digits) return false;
    for (; digits < 3; digits++)
        value *= 10;
    *ms = value;
    return true;
}

static bool take_zone(struct str *s, int *offset_minutes)
{
    int hours, minutes, sign;

    *offset_minutes = 0;
    if (!s->size || take_char(s, 'Z') || take_char(s, 'z')) return true;
    sign = take_char(s, '-') ? -1 : take_char(s, '+') ? 1 : 0;
    if (!sign || !take_digits(s, 2, &hours)) return false;
    take_char(s, ':');
    if (!take_digits(s, 2, &minutes) || hours > 23 || minutes > 59) return false;
    *offset_minutes = sign * (hours * 60 + minutes);
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && is_leap ? 29 : days[month - 1];
}

static bool take_clock(struct str *s, struct civil_time *t)
{
    if (!take_digits(s, 2, &t->hour) || !take_char(s, ':') || !take_digits(s, 2, &t->minute))
        return false;
    if (take_char(s, ':') && !take_digits(s, 2, &t->second)) return false;
    return !take_char(s, '.') || take_fraction(s, &t->ms);
}

#define YEAR_10000_MS INT64_C(253402300800000)

int time_parse(struct str s, int64_t *time_ms)
{
    struct civil_time t = {0};
    int offset_minutes = 0;
    int64_t ms;

    if (!take_digits(&s, 4, &t.year) || !take_char(&s, '-') || !take_digits(&s, 2, &t.month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &t.day))
        return ERR_SYNTAX;
    if (s.size) {
        if (!take_char(&s, 'T') && !take_char(&s, 't') && !take_char(&s, ' ')) return ERR_SYNTAX;
        if (!take_clock(&s, &t) || !take_zone(&s, &offset_minutes) || s.size) return ERR_SYNTAX;
    }
    if (t.year < 1970 || t.month < 1 || t.month > 12 || t.day < 1 ||
        t.day > days_in_month(t.year, t.month) || t.hour > 23 || t.minute > 59 || t.second > 59)
        return ERR_RANGE;
    /* A zone may lead out of the years that are written. */
    ms = ms_from_civil(t) - offset_minutes * INT64_C(60000);
    if (ms < 0 || ms >= YEAR_10000_MS) return ERR_RANGE;
    *time_ms = ms;
    return 0;
}

int64_t clock_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

int64_t clock_monotonic_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}
