/* tail_output.h - what `heatcast tail` shows: lines, tables, a table drawn in place.
 *
 * Messages go to standard output, what happens to the connection to standard error or, while a live
 * table is on the terminal, above it. Both hold outside text, which no terminal gets raw. Knows no
 * connection. One thread, its loop's. */
#ifndef HEATCAST_TAIL_OUTPUT_H
#define HEATCAST_TAIL_OUTPUT_H

#include <jansson.h>
#include <uv.h>

#include "tail_table.h"

struct tail_output {
    /* Standard output takes no more: -EPIPE nobody reads it, -EINTR a signal came while waiting for
     * the reader, -ETIMEDOUT the deadline passed so, or another -errno. Closing is the callee's. */
    void (*on_failed)(struct tail_output *output, int err);
    const uv_timer_t *deadline; /* borrowed; while it is active, no write waits longer */

    bool is_terminal;
    bool is_live; /* a table on a terminal, drawn in place */
    bool is_drawn;
    bool is_coloured;
    bool is_closed; /* standard output gets nothing more */
    struct tail_table table;
    uv_timer_t draw;
    char note[256]; /* live: stands above the table */
    struct buf line;
};

/* Looks at the terminal and the environment. A table has the `top` biggest levels of a symbol. */
void tail_output_init(struct tail_output *output, uv_loop_t *loop, bool is_table, size_t top,
                      const uv_timer_t *deadline,
                      void (*on_failed)(struct tail_output *output, int err));
/* From now on notes go to standard error and nothing else is written; closes its handle. Deinit is
 * for after the loop has run. */
void tail_output_close(struct tail_output *output);
void tail_output_deinit(struct tail_output *output);

/* What happens to the connection; `format` has no line break. What a server said may be in it. */
void tail_output_note(struct tail_output *output, const char *format, ...) PRINTF_LIKE(2, 3);

/* Not for a table: any message, as one line. */
void tail_output_message(struct tail_output *output, struct str text);

/* For a table: a snapshot message, shown at once or, live, soon. Returns 0 or what
 * tail_table_take() does. */
int tail_output_snapshot(struct tail_output *output, const json_t *snapshot) MUST_CHECK;

/* A live table is drawn now, not soon. */
void tail_output_flush(struct tail_output *output);

/* Has whoever reads standard output gone? */
bool tail_output_is_abandoned(void);

#endif
