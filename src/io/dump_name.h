/* dump_name.h - what the name of a dump file tells: its kind, its symbol, its interval.
 *
 * Knows paths as texts, never files. Pure; any thread may call it. */
#ifndef HEATCAST_IO_DUMP_NAME_H
#define HEATCAST_IO_DUMP_NAME_H

#include "base/base.h"
#include "base/limits.h"

/* "5m" of 300000; NULL when it is none of the five. */
const char *dump_step_text(int64_t step_ms);
/* [A-Z0-9_]{1,32} */
bool dump_is_symbol(struct str text);

enum dump_kind { DUMP_UNKNOWN, DUMP_KLINES, DUMP_METRICS, DUMP_OTHER };

/* What a name tells: "BTCUSDT-5m-2025-12.csv", "BTCUSDT-metrics-2025-12-09.csv", or the folders:
 * "BTCUSDT/klines/…", "klines/BTCUSDT/5m/…". */
struct dump_name {
    enum dump_kind kind;
    char symbol[LIMIT_SYMBOL_BYTES + 1]; /* "" when it does not tell */
    int64_t step_ms;                     /* 0 when it does not tell */
    char other[64];                      /* of DUMP_OTHER: what it is, "aggTrades" */
};

void dump_name_parse(const char *path, struct dump_name *name);
/* Fills what `name` does not tell from `more`, such as the name of the archive around it. */
void dump_name_complete(struct dump_name *name, const struct dump_name *more);

#endif
