/* cell.h - what a cell of a dump says: a number or a time; and how a message shows it.
 *
 * Knows no columns and no rows. Pure; any thread may call it. */
#ifndef HEATCAST_IO_CELL_H
#define HEATCAST_IO_CELL_H

#include "base/base.h"

/* The nearest double to a decimal number of JSON's grammar, leading zeros allowed, finite and of 64
 * bytes at most. False for anything else. */
bool cell_parse_number(struct str cell, double *value) MUST_CHECK;

/* Milliseconds or, since 2025, microseconds since 1970: 13 and 16 digits are far apart. *value is
 * as written, *is_us tells which it was. Returns 0; ERR_SYNTAX when it is no whole number;
 * ERR_RANGE outside 2017-01-01 to 2100-01-01. */
int cell_parse_epoch(struct str cell, int64_t *value, bool *is_us) MUST_CHECK;

/* '2025-12-09 00:05:00', the same with T or Z, or a number as above. Returns 0 or the same errors.
 */
int cell_parse_time(struct str cell, int64_t *time_ms) MUST_CHECK;

/* A cell as a message may show it: short, and nothing a terminal would obey. */
struct cell_shown {
    char text[44];
};

struct cell_shown cell_show(struct str cell);

#endif
