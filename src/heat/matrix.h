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

/* What was added: `{0}` is a valid empty one. */
struct matrix {
    struct matrix_cell {
        int64_t bucket, cents;
    } * cells; /* owned; column by column */
    size_t cell_count, cell_capacity;
    struct matrix_column {
        int64_t time_ms;
        size_t cells_end; /* of its cells; they begin at the end of the column before */
    } * columns;          /* owned, ascending by time */
    size_t column_count, column_capacity;
    int64_t price_bucket; /* the bucket of the newest column's price */
};

void matrix_deinit(struct matrix *matrix);

/* A column more: later than those before it, of the same bucket size. */
void matrix_add(struct matrix *matrix, const struct snapshot *snapshot);

/* How it is shown. Columns are `step_ms` apart, from the first that was added to the last; those
 * between that were not are gaps, whose cells are nothing. */
struct matrix_shape {
    int64_t start_ms, step_ms;
    size_t columns, rows;
    int64_t bucket_min;           /* of row 0; 0 without rows */
    int64_t min_cents, max_cents; /* of the totals shown, 0.01 USDT; 0 where there are none */
    bool is_clipped;              /* levels were left out: there would be more rows than allowed */
};

/* Rows are all buckets that any column touches, or those `rows_max` of them that are nearest to the
 * newest price. Times that are no multiple of `step_ms` apart are a bug. */
struct matrix_shape matrix_shape(const struct matrix *matrix, int64_t step_ms, size_t rows_max);

/* [[first column, count],…] */
void matrix_write_gaps(struct buf *out, const struct matrix *matrix,
                       const struct matrix_shape *shape);
/* columns * rows bytes. */
void matrix_write_cells(struct buf *out, const struct matrix *matrix,
                        const struct matrix_shape *shape);

#endif
