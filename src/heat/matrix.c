#include "heat/matrix.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heat/decimal.h"

void matrix_deinit(struct matrix *matrix)
{
    free(matrix->cells);
    free(matrix->columns);
    *matrix = (struct matrix){0};
}

static void reserve_cells(struct matrix *matrix, size_t more)
{
    size_t wanted = matrix->cell_count + more;

    if (wanted <= matrix->cell_capacity) return;
    matrix->cell_capacity = MAX(wanted, matrix->cell_capacity * 2);
    matrix->cells = mem_realloc(matrix->cells, matrix->cell_capacity * sizeof(*matrix->cells));
}

static void add_column(struct matrix *matrix, struct matrix_column column)
{
    if (matrix->column_count == matrix->column_capacity) {
        matrix->column_capacity = MAX(64, matrix->column_capacity * 2);
        matrix->columns =
            mem_realloc(matrix->columns, matrix->column_capacity * sizeof(*matrix->columns));
    }
    matrix->columns[matrix->column_count++] = column;
}

static int64_t total_of(const struct level *level)
{
    int64_t total;

    return __builtin_add_overflow(level->long_cents, level->short_cents, &total) ? INT64_MAX
                                                                                 : total;
}

static int64_t price_bucket(const struct snapshot *snapshot)
{
    int128 bucket = (int128)snapshot->current_price_e8 * 10000 / snapshot->bin_e12;

    return bucket > INT64_MAX ? INT64_MAX : (int64_t)bucket;
}

void matrix_add(struct matrix *matrix, const struct snapshot *snapshot)
{
    reserve_cells(matrix, snapshot->level_count);
    for (size_t i = 0; i < snapshot->level_count; i++)
        matrix->cells[matrix->cell_count++] =
            (struct matrix_cell){snapshot->levels[i].bucket, total_of(&snapshot->levels[i])};
    add_column(matrix, (struct matrix_column){snapshot->time_ms, matrix->cell_count});
    matrix->price_bucket = price_bucket(snapshot);
}

/* --- the shape --- */

static void find_rows(const struct matrix *matrix, struct matrix_shape *shape, size_t rows_max)
{
    int64_t low = INT64_MAX, high = INT64_MIN, half = (int64_t)(rows_max / 2), max;

    if (!matrix->cell_count) return;
    for (size_t i = 0; i < matrix->cell_count; i++) {
        low = MIN(low, matrix->cells[i].bucket);
        high = MAX(high, matrix->cells[i].bucket);
    }
    shape->is_clipped = (uint64_t)(high - low) >= rows_max;
    if (shape->is_clipped) {
        /* Around the price; what would lie beyond one end is shown at the other. */
        max = high - (int64_t)rows_max + 1;
        low = MIN(MAX(matrix->price_bucket - half, low), max);
        high = low + (int64_t)rows_max - 1;
    }
    shape->bucket_min = low;
    shape->rows = (size_t)(high - low) + 1;
}

static bool is_shown(const struct matrix_shape *shape, const struct matrix_cell *cell)
{
    return cell->bucket >= shape->bucket_min &&
           (uint64_t)(cell->bucket - shape->bucket_min) < shape->rows;
}

static void find_scale(const struct matrix *matrix, struct matrix_shape *shape)
{
    for (size_t i = 0; i < matrix->cell_count; i++) {
        int64_t cents = matrix->cells[i].cents;

        if (!is_shown(shape, &matrix->cells[i])) continue;
        if (!shape->min_cents || cents < shape->min_cents) shape->min_cents = cents;
        if (cents > shape->max_cents) shape->max_cents = cents;
    }
}

static size_t index_of(const struct matrix_shape *shape, const struct matrix_column *column)
{
    assert((column->time_ms - shape->start_ms) % shape->step_ms == 0);
    return (size_t)((column->time_ms - shape->start_ms) / shape->step_ms);
}

struct matrix_shape matrix_shape(const struct matrix *matrix, int64_t step_ms, size_t rows_max)
{
    struct matrix_shape shape = {.step_ms = step_ms};

    if (!matrix->column_count) return shape;
    shape.start_ms = matrix->columns[0].time_ms;
    shape.columns = index_of(&shape, &matrix->columns[matrix->column_count - 1]) + 1;
    find_rows(matrix, &shape, rows_max);
    find_scale(matrix, &shape);
    return shape;
}

/* --- writing --- */

void matrix_write_gaps(struct buf *out, const struct matrix *matrix,
                       const struct matrix_shape *shape)
{
    size_t next = 0;

    buf_add_char(out, '[');
    for (size_t i = 0; i < matrix->column_count; i++) {
        size_t at = index_of(shape, &matrix->columns[i]);

        if (at > next)
            buf_printf(out, "%s[%zu,%zu]", out->data[out->size - 1] == '[' ? "" : ",", next,
                       at - next);
        next = at + 1;
    }
    buf_add_char(out, ']');
}

/* steps_each: steps to a factor of e; 0 where all totals are the same. */
static uint8_t code_of(int64_t cents, int64_t min_cents, double steps_each)
{
    return (uint8_t)(1 + lround(log((double)cents / (double)min_cents) * steps_each));
}

static void write_codes(uint8_t *bytes, const struct matrix *matrix,
                        const struct matrix_shape *shape)
{
    double range = log((double)shape->max_cents / (double)shape->min_cents);
    double steps_each = shape->max_cents > shape->min_cents ? (MATRIX_STEPS - 1) / range : 0;
    size_t at = 0;

    for (size_t i = 0; i < matrix->column_count; i++) {
        uint8_t *column = bytes + index_of(shape, &matrix->columns[i]) * shape->rows;

        for (; at < matrix->columns[i].cells_end; at++) {
            const struct matrix_cell *cell = &matrix->cells[at];

            if (is_shown(shape, cell))
                column[cell->bucket - shape->bucket_min] =
                    code_of(cell->cents, shape->min_cents, steps_each);
        }
    }
}

void matrix_write_cells(struct buf *out, const struct matrix *matrix,
                        const struct matrix_shape *shape)
{
    size_t size = shape->columns * shape->rows;
    uint8_t *bytes;

    if (!size) return;
    buf_reserve(out, size);
    bytes = (uint8_t *)out->data + out->size;
    memset(bytes, 0, size);
    write_codes(bytes, matrix, shape);
    for (size_t i = size; i-- > shape->rows;)
        bytes[i] = (uint8_t)(bytes[i] - bytes[i - shape->rows]);
    out->size += size;
}
