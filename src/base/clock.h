/* clock.h - moments and their text; all times are UTC, in milliseconds since 1970.
 *
 * Parsing and printing are pure; clock_wall_ms() is the only look at a real clock, for the floors
 * that may have one (io and above). */
#ifndef HEATCAST_BASE_CLOCK_H
#define HEATCAST_BASE_CLOCK_H

#include "base/base.h"

struct civil_time {
    int year, month, day, hour, minute, second, ms; /* proleptic Gregorian; month and day from 1 */
};

struct civil_time civil_from_ms(int64_t time_ms);
int64_t ms_from_civil(struct civil_time time);

/* "2025-12-29", "2025-12-29T10:00", "2025-12-29T10:00:00", ".mmm" (digits beyond are dropped),
 * "Z" or "+hh:mm"; a space may stand for the T; without a zone it is UTC. Years 1970 to 9999 of
 * UTC. Returns 0, or ERR_SYNTAX / ERR_RANGE with *time_ms untouched. */
int time_parse(struct str text, int64_t *time_ms) MUST_CHECK;

int64_t clock_wall_ms(void);
int64_t clock_monotonic_us(void);

#endif
