/* tail_table.h - snapshots as people read them: each symbol's biggest levels, with bars.
 *
 * Takes a server's snapshot messages, which are outside input, keeps of each symbol's newest what
 * will be shown, and writes text. Knows no terminal but its width. One thread. */
#ifndef HEATCAST_TAIL_TABLE_H
#define HEATCAST_TAIL_TABLE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/limits.h"

struct tail_level {
    double price, long_density, short_density;
};

/* The newest snapshot of one symbol. */
struct tail_view {
    char symbol[LIMIT_SYMBOL_BYTES + 1]; /* printable ASCII, as the next */
    char time[32];
    double price; /* the current one; NAN where the server told none */
    int64_t seq;  /* -1 where it told none */
    double long_total, short_total;
    struct tail_level *levels; /* owned; the biggest, their prices descending */
    size_t level_count;
};

struct tail_table {
    size_t top; /* levels shown of each symbol */
    /* We subscribed to no more, so that a server that makes up symbols cannot make us grow. */
    struct tail_view views[LIMIT_SYMBOLS_PER_MESSAGE]; /* in the order they first came */
    size_t view_count;
};

void tail_table_init(struct tail_table *table, size_t top);
void tail_table_deinit(struct tail_table *table);

/* Takes a message of type "snapshot"; *view is the symbol's, until the next call. Returns 0;
 * ERR_SYNTAX when it is not what a snapshot must be, ERR_FULL beyond the symbols there is room for,
 * nothing changed. */
int tail_table_take(struct tail_table *table, const json_t *snapshot,
                    const struct tail_view **view) MUST_CHECK;

/* Appends a header line, a heading and a line per level, none longer than `columns`. */
void tail_view_write(const struct tail_view *view, int columns, bool is_coloured, struct buf *out);

/* "0", "0.25", "1.50", "15.0", "150", "1.50K", … M, B, T: three digits. `size` at least 16. */
void tail_human(double value, char *text, size_t size);

#endif
