/* dump.h - Binance's dump files: what a file is, by its content and its name, and what its rows
 * say.
 *
 * Two kinds are read: klines (12 columns, of 1m, 5m, 15m, 30m or 1h, with or without a header,
 * times in milliseconds or microseconds) and metrics (8 columns, of which open interest is taken).
 * Pure: a file's bytes are fed in pieces of any size, rows come out through a sink. It does not
 * know files, archives or the store. */
#ifndef HEATCAST_IO_DUMP_H
#define HEATCAST_IO_DUMP_H

#include "base/buf.h"
#include "base/limits.h"
#include "heat/candle.h"
#include "io/dump_name.h"

struct dump_point {
    int64_t time_ms;
    double value, base; /* sum_open_interest_value, sum_open_interest */
    uint64_t line;      /* where it stands */
    uint32_t symbol;    /* index into the dump's */
};

/* Takes what is found. Each returns 0 to go on; anything else ends the feeding, which returns it.
 */
struct dump_sink {
    int (*on_candles)(struct dump_sink *sink, const char *symbol, const struct candle *candles,
                      size_t count);
    int (*on_points)(struct dump_sink *sink, const char *symbol, const struct dump_point *points,
                     size_t count);
    /* Returns 0 to leave this row out and go on. */
    int (*on_bad_row)(struct dump_sink *sink, uint64_t line, const char *reason);
};

#define DUMP_BATCH 2048

/* A file being read. */
struct dump {
    struct dump_sink *sink;              /* borrowed */
    enum dump_kind kind;                 /* of name and content */
    char symbol[LIMIT_SYMBOL_BYTES + 1]; /* "": not known; metrics rows bring theirs then */
    int64_t step_ms;                     /* 0: not known yet */
    struct dump_name name;
    uint64_t line;            /* the newest line's number, from 1 */
    uint64_t row_count;       /* good ones, duplicates included */
    uint64_t duplicate_count; /* rows that say the same as another of the file: not delivered */
    uint64_t bad_row_count;
    char reason[256]; /* why the whole file is refused, "" if it is not */

    bool is_started;    /* the first line was seen */
    struct buf partial; /* a line whose end is still to come */
    struct candle batch[DUMP_BATCH];
    size_t batch_count;
    struct candle last;        /* the newest good row of a kline file */
    uint64_t last_line;        /* where it stands; 0 before the first */
    struct dump_point *points; /* owned; a metrics file's, until they are sorted */
    size_t point_count, point_capacity;
    char (*symbols)[LIMIT_SYMBOL_BYTES + 1]; /* owned; that its points have */
    size_t symbol_count;
};

void dump_init(struct dump *dump, const struct dump_name *name, struct dump_sink *sink);
void dump_deinit(struct dump *dump);

/* Return 0, what the sink returned, ERR_UNKNOWN (neither klines nor metrics: dump->reason tells) or
 * ERR_SYNTAX (the file contradicts its name or itself: dump->reason). After anything but 0, no
 * more. dump_finish() is for the end of the file and delivers what is left. */
int dump_feed(struct dump *dump, const char *data, size_t size) MUST_CHECK;
int dump_finish(struct dump *dump) MUST_CHECK;

#endif
