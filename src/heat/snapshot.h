/* snapshot.h - a heatmap as price levels at one moment, and its canonical JSON.
 *
 * Volumes are whole cents: what is published is rounded to 0.01 USDT, so a snapshot is a list of
 * integers, the difference of two is exact, and the same content has the same bytes. Pure. */
#ifndef HEATCAST_HEAT_SNAPSHOT_H
#define HEATCAST_HEAT_SNAPSHOT_H

#include "base/base.h"
#include "base/buf.h"

struct level {
    int64_t bucket;      /* the level's price is bucket * bin */
    int64_t long_cents;  /* 0.01 USDT, rounded half away from zero */
    int64_t short_cents; /* never both 0 */
};

/* `{0}` is a valid empty one. */
struct snapshot {
    int64_t time_ms;          /* open time of the newest candle applied; 0 before the first */
    int64_t bin_e12;          /* 10^-13 USDT */
    int64_t current_price_e8; /* close of the newest candle */
    uint64_t positions_created, positions_consumed;
    double long_total, short_total; /* USDT, before rounding */
    struct level *levels;           /* owned, ascending by bucket */
    size_t level_count, level_capacity;
};

void snapshot_deinit(struct snapshot *snapshot);
/* Makes room for so many levels; those there are stay. */
void snapshot_reserve(struct snapshot *snapshot, size_t level_count);

/* [{"price":…,"long_density":…,"short_density":…},…]: PROTOCOL section 1, canonical. */
void snapshot_write_levels(struct buf *out, const struct snapshot *snapshot);
/* One element of the REST timeseries' `data`. */
void snapshot_write_row(struct buf *out, const struct snapshot *snapshot);
/* A level's price, bucket * bin, as a plain exact decimal. */
void snapshot_write_price(struct buf *out, int64_t bucket, int64_t bin_e12);

/* The parts of the stream's `data` object, for who writes some levels only (edition.h). */

/* A bucket size without its trailing zeros: 100 is 100 of 10^0, 2.5 is 25 of 10^-1. */
struct snapshot_bin {
    int64_t units;
    unsigned decimals;
};

struct snapshot_bin snapshot_bin_reduce(int64_t bin_e12); /* above 0 */
/* {"price":…,"long_density":…,"short_density":…} */
void snapshot_write_level(struct buf *out, const struct level *level, struct snapshot_bin bin);
/* "current_price":…,"positions_created":…,"positions_consumed":…,"price_bin_size":… */
void snapshot_write_facts(struct buf *out, const struct snapshot *snapshot);

#endif
