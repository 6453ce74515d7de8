/* matrix.h - a heatmap's history as one byte a cell: what a page draws of it.
 *
 * A column per interval, a row per bucket. A cell is the bucket's total, long and short, on a
 * logarithmic scale of MATRIX_STEPS steps from the smallest to the greatest total that is shown:
 *
 *     byte 0: nothing; byte b: min * (max / min)^((b - 1) / (MATRIX_STEPS - 1))
 *
 * so that what a byte says is off by (max / min)^(0.5 / (MATRIX_STEPS - 1)) at most, either way,
 * and what is not nothing is never 0. Written column by column, the oldest first, in a column the
 * lowest price first, each byte as its difference, modulo 256, to the same row of the column
 * before: most rows do not change from one column to the next, so this is what compresses. Pure. */
#ifndef HEATCAST_HEAT_MATRIX_H
#define HEATCAST_HEAT_MATRIX_H

#include "heat/snapshot.h"

#define MATRIX_STEPS 255

/* How it is to be shown, and what was added: the first three are a valid empty one. */
struct matrix {
    int64_t step_ms;  /* between two columns */
    size_t rows_max;  /* buckets beyond are left out: those farthest from `price_e8` */
    int64_t price_e8; /* of the newest column, which is yet to come */
    /* Column by column, of each level how far its bucket is above the one before (the first: above
     * 0) and its total in cents, in as many bytes as each needs: 5 or 6 for both, where the 16 of
     * two plain numbers would be a quarter of a GB for the largest matrix. */
    struct buf packed;
    struct matrix_column {
        int64_t time_ms;
        size_t end; /* of its levels in `packed`; they begin at the end of the column before */
    } * columns;    /* owned, ascending by time */
    size_t column_count, column_capacity;
    bool has_levels;
    int64_t bucket_low, bucket_high; /* of all levels, kept or not */
    int64_t price_bucket;            /* of price_e8 */
};

void matrix_deinit(struct matrix *matrix);

/* A column more: later than those before it by a multiple of step_ms, of the same bucket size.
 * Levels of which it is clear that they will not be shown are not kept. */
void matrix_add(struct matrix *matrix, const struct snapshot *snapshot);

/* The memory that it takes now. */
size_t matrix_bytes(const struct matrix *matrix);
/* Columns times rows of the shape that it has now; adding makes it no smaller. */
size_t matrix_cells(const struct matrix *matrix);

/* How it is shown. Columns are from the first that was added to the last; those between that were
 * not are gaps, whose cells are nothing. Rows are all buckets that any column touches, or those
 * `rows_max` of them that are nearest to the price. */
struct matrix_shape {
    int64_t start_ms, step_ms;
    size_t columns, rows;
    int64_t bucket_min;           /* of row 0; 0 without rows */
    int64_t min_cents, max_cents; /* of the totals shown, 0.01 USDT; 0 where there are none */
    bool is_clipped;              /* levels were left out: there would be more rows than allowed */
};

struct matrix_shape matrix_shape(const struct matrix *matrix);

/* [[first column, count],…] */
void matrix_write_gaps(struct buf *out, const struct matrix *matrix,
                       const struct matrix_shape *shape);
/* columns * rows bytes. */
void matrix_write_cells(struct buf *out, const struct matrix *matrix,
                        const struct matrix_shape *shape);

#endif
