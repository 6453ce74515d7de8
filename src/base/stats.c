#include "base/stats.h"

enum { COUNTER, GAUGE };

const struct stats_row stats_rows[STAT_COUNT] = {
#define X(field, kind, family, labels, help) {#field, #family, labels, help, kind == GAUGE},
    STATS_TABLE(X)
#undef X
};

enum { SUMMED, BY_SHARD };

const struct stats_histogram_row stats_histogram_rows[HIST_COUNT] = {
#define X(name, scope, help) {#name, help, scope == BY_SHARD},
    HISTOGRAMS_TABLE(X)
#undef X
};

enum counter stats_close_code(unsigned code)
{
    switch (code) {
#define CASE(unused, code)                                                                         \
    case code:                                                                                     \
        return STAT_closes_##code;
        STATS_CLOSE_CODES(CASE, )
#undef CASE
    default:
        return STAT_closes_other;
    }
}

void stats_merge(struct stats_sum *into, const struct stats *from)
{
    for (unsigned i = 0; i < STAT_COUNT; i++)
        into->value[i] += stats_get(from, (enum counter)i);
    for (unsigned i = 0; i < HIST_COUNT; i++)
        histogram_merge(&into->histogram[i], &from->histogram[i]);
}
