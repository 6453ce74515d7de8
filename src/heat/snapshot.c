#include "heat/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "heat/decimal.h"

/* Of constant size, so the compiler stores it in a move or two: a level is mostly this. */
#define BUF_ADD_LITERAL(out, literal)                                                              \
    do {                                                                                           \
        buf_reserve(out, sizeof(literal) - 1);                                                     \
        memcpy((out)->data + (out)->size, literal, sizeof(literal) - 1);                           \
        (out)->size += sizeof(literal) - 1;                                                        \
    } while (0)

void snapshot_deinit(struct snapshot *snapshot)
{
    free(snapshot->levels);
    *snapshot = (struct snapshot){0};
}

void snapshot_reserve(struct snapshot *snapshot, size_t level_count)
{
    if (level_count <= snapshot->level_capacity) return;
    snapshot->level_capacity = MAX(level_count, snapshot->level_capacity * 2);
    snapshot->levels =
        mem_realloc(snapshot->levels, snapshot->level_capacity * sizeof(*snapshot->levels));
}

struct snapshot_bin snapshot_bin_reduce(int64_t bin_e12)
{
    struct snapshot_bin bin = {bin_e12, 12};

    assert(bin_e12 > 0);
    for (; bin.decimals && bin.units % 10 == 0; bin.decimals--)
        bin.units /= 10;
    return bin;
}

/* A product too big for 64 bits: many decimals of a big price. At most 26 digits before the
 * point, as bucket < 2^63 and bin <= 10^6. */
static void write_wide(struct buf *out, int128 value, unsigned decimals)
{
    static const int64_t chunk = INT64_C(1000000000000); /* 10^12, as decimals <= 12 */
    int128 one = 1, whole, high;
    int64_t fraction;

    for (unsigned i = 0; i < decimals; i++)
        one *= 10;
    whole = value / one;
    fraction = (int64_t)(value % one);
    high = whole / chunk;
    if (high) {
        write_wide(out, high, 0);
        buf_printf(out, "%012lld", (long long)(whole % chunk));
    } else {
        buf_add_int(out, (int64_t)whole);
    }
    if (fraction) {
        size_t at = out->size;

        /* "0.25" without its "0". */
        buf_add_decimal(out, fraction, decimals);
        for (; at + 1 < out->size; at++)
            out->data[at] = out->data[at + 1];
        out->size--;
    }
}

static void write_price(struct buf *out, int64_t bucket, struct snapshot_bin bin)
{
    int64_t price;

    if (__builtin_mul_overflow(bucket, bin.units, &price))
        write_wide(out, (int128)bucket * bin.units, bin.decimals);
    else
        buf_add_decimal(out, price, bin.decimals);
}

void snapshot_write_price(struct buf *out, int64_t bucket, int64_t bin_e12)
{
    write_price(out, bucket, snapshot_bin_reduce(bin_e12));
}

void snapshot_write_level(struct buf *out, const struct level *level, struct snapshot_bin bin)
{
    BUF_ADD_LITERAL(out, "{\"price\":");
    write_price(out, level->bucket, bin);
    BUF_ADD_LITERAL(out, ",\"long_density\":");
    buf_add_decimal(out, level->long_cents, 2);
    BUF_ADD_LITERAL(out, ",\"short_density\":");
    buf_add_decimal(out, level->short_cents, 2);
    buf_add_char(out, '}');
}

void snapshot_write_levels(struct buf *out, const struct snapshot *snapshot)
{
    struct snapshot_bin bin = {0};

    if (snapshot->level_count) bin = snapshot_bin_reduce(snapshot->bin_e12);
    buf_add_char(out, '[');
    for (size_t i = 0; i < snapshot->level_count; i++) {
        if (i) buf_add_char(out, ',');
        snapshot_write_level(out, &snapshot->levels[i], bin);
    }
    buf_add_char(out, ']');
}

/* Counts since the last snapshot are far below 2^63. */
static void write_count(struct buf *out, uint64_t count)
{
    buf_add_int(out, (int64_t)count);
}

void snapshot_write_facts(struct buf *out, const struct snapshot *snapshot)
{
    BUF_ADD_LITERAL(out, "\"current_price\":");
    buf_add_decimal(out, snapshot->current_price_e8, 8);
    BUF_ADD_LITERAL(out, ",\"positions_created\":");
    write_count(out, snapshot->positions_created);
    BUF_ADD_LITERAL(out, ",\"positions_consumed\":");
    write_count(out, snapshot->positions_consumed);
    BUF_ADD_LITERAL(out, ",\"price_bin_size\":");
    buf_add_decimal(out, snapshot->bin_e12, 12);
}

void snapshot_write_row(struct buf *out, const struct snapshot *snapshot)
{
    BUF_ADD_LITERAL(out, "{\"timestamp\":\"");
    buf_add_time(out, snapshot->time_ms);
    BUF_ADD_LITERAL(out, "\",\"levels\":");
    snapshot_write_levels(out, snapshot);
    BUF_ADD_LITERAL(out, ",\"positions_created\":");
    write_count(out, snapshot->positions_created);
    BUF_ADD_LITERAL(out, ",\"positions_consumed\":");
    write_count(out, snapshot->positions_consumed);
    buf_add_char(out, '}');
}
