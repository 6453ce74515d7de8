/* printable.h - outside text made safe for a terminal: file names, cells, what a server said.
 *
 * A terminal obeys control characters: C0 (escape, line breaks), DEL, and C1, which it takes as
 * U+0080 to U+009F or, in an 8-bit mode, as single bytes that are no UTF-8. None of them comes
 * through: question marks take their places. Pure; any thread may call it. */
#ifndef HEATCAST_BASE_PRINTABLE_H
#define HEATCAST_BASE_PRINTABLE_H

#include "base/base.h"

/* Keeps printable ASCII only, and the size: where a byte must be a column. */
void printable_keep_ascii(char *text, size_t size);

/* Keeps UTF-8 without control characters: where people should read names as they are. Returns the
 * new size, which is not larger: a control character and a byte that is no UTF-8 become one
 * question mark each. */
size_t printable_keep_utf8(char *text, size_t size) MUST_CHECK;

#endif
