/* progress.h - one line on a terminal that shows how far something is, below the lines that stay.
 *
 * On anything but a terminal it draws nothing. One thread. */
#ifndef HEATCAST_IO_PROGRESS_H
#define HEATCAST_IO_PROGRESS_H

#include <stdio.h>

#include "base/base.h"

struct progress {
    FILE *out;      /* borrowed; NULL: not a terminal */
    bool is_drawn;  /* the cursor is behind the bar */
    int64_t due_us; /* not drawn again before */
};

void progress_init(struct progress *progress, FILE *out);
/* Draws when it is time again: fraction from 0 to 1, and as much of the text as there is room for,
 * which must be printable ASCII. */
void progress_draw(struct progress *progress, double fraction, const char *text);
/* Before a line is written to the same terminal, and at the end. */
void progress_clear(struct progress *progress);

#endif
