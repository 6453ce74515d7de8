/* decimal.h - exact decimal numbers as integers of a small unit, and wide enough integers for
 * their products. Pure. */
#ifndef HEATCAST_HEAT_DECIMAL_H
#define HEATCAST_HEAT_DECIMAL_H

#include "base/base.h"

__extension__ typedef __int128 int128;

/* A decimal number ("2.5", ".5", "-1e-3") in units of 10^-decimals, rounded half away from zero;
 * `decimals` at most 18. ERR_SYNTAX where it is no such number, ERR_RANGE where it does not fit;
 * *value is untouched then. No locale, no infinity, no blanks. */
int decimal_parse(struct str text, unsigned decimals, int64_t *value) MUST_CHECK;

#endif
