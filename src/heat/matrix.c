#include "heat/matrix.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heat/decimal.h"

/* The longest of them: 64 bits, 7 in a byte. */
#define PACKED_BYTES_MAX 10

void matrix_deinit(struct matrix *matrix)
{
    buf_deinit(&matrix->packed);
    free(matrix->columns);
    *matrix = (struct matrix){0};
}

/* --- numbers in as many bytes as they need: 7 bits in each, the low ones first --- */

/* There is room for it. */
static void pack(struct buf *out, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        out->data[out->size++] = (char)(number | 0x80);
    out->data[out->size++] = (char)number;
}

static uint64_t unpack(const struct buf *in, size_t *at)
{
    uint64_t number = 0;
    unsigned shift = 0;
    uint8_t byte;

    do {
        byte = (uint8_t)in->data[(*at)++];
        number |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return number;
}

/* --- adding --- */

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

static int64_t price_bucket(const struct matrix *matrix, int64_t bin_e12)
{
    int128 bucket = (int128)matrix->price_e8 * 10000 / bin_e12;

    return bucket > INT64_MAX ? INT64_MAX : (int64_t)bucket;
}

static void widen(struct matrix *matrix, int64_t low, int64_t high)
{
    matrix->bucket_low = matrix->has_levels ? MIN(matrix->bucket_low, low) : low;
    matrix->bucket_high = matrix->has_levels ? MAX(matrix->bucket_high, high) : high;
    matrix->has_levels = true;
}

static bool is_clipped(const struct matrix *matrix)
{
    return matrix->has_levels &&
           (uint64_t)(matrix->bucket_high - matrix->bucket_low) >= matrix->rows_max;
}

/* Where the rows around the price begin. */
static int64_t aim_of(const struct matrix *matrix)
{
    return matrix->price_bucket - (int64_t)(matrix->rows_max / 2);
}

/* Where those that are shown do, when it is clipped: what would lie beyond one end of the levels is
 * shown at the other. */
static int64_t start_of(const struct matrix *matrix)
{
    return MIN(MAX(aim_of(matrix), matrix->bucket_low),
               matrix->bucket_high - (int64_t)matrix->rows_max + 1);
}

/* As the levels spread, the start only moves towards the aim: what is outside of both is left out.
 */
static void add_levels(struct matrix *matrix, const struct level *levels, size_t count)
{
    int64_t from = INT64_MIN, last_start = INT64_MAX;
    uint64_t before = 0;

    if (is_clipped(matrix)) {
        from = MIN(start_of(matrix), aim_of(matrix));
        last_start = MAX(start_of(matrix), aim_of(matrix));
    }
    buf_reserve(&matrix->packed, count * 2 * PACKED_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        int64_t bucket = levels[i].bucket;

        if (bucket < from || bucket - last_start >= (int64_t)matrix->rows_max) continue;
        pack(&matrix->packed, (uint64_t)bucket - before);
        pack(&matrix->packed, (uint64_t)total_of(&levels[i]));
        before = (uint64_t)bucket;
    }
}

void matrix_add(struct matrix *matrix, const struct snapshot *snapshot)
{
    const struct level *levels = snapshot->levels;
    size_t count = snapshot->level_count;

    matrix->price_bucket = price_bucket(matrix, snapshot->bin_e12);
    if (count) {
        assert(levels[0].bucket >= 0);
        widen(matrix, levels[0].bucket, levels[count - 1].bucket);
        add_levels(matrix, levels, count);
    }
    add_column(matrix, (struct matrix_column){snapshot->time_ms, matrix->packed.size});
}

size_t matrix_bytes(const struct matrix *matrix)
{
    return matrix->packed.size + matrix->column_count * sizeof(*matrix->columns);
}

/* --- what was added, level by level --- */

struct cursor {
    const struct matrix *matrix;
    size_t column, at;
    int64_t bucket, cents;
};

/* False behind the last level. */
static bool next(struct cursor *cursor)
{
    const struct matrix *matrix = cursor->matrix;

    while (cursor->column < matrix->column_count &&
           cursor->at == matrix->columns[cursor->column].end) {
        cursor->column++;
        cursor->bucket = 0;
    }
    if (cursor->column == matrix->column_count) return false;
    cursor->bucket += (int64_t)unpack(&matrix->packed, &cursor->at);
    cursor->cents = (int64_t)unpack(&matrix->packed, &cursor->at);
    return true;
}

/* --- the shape --- */

static size_t index_of(const struct matrix_shape *shape, const struct matrix_column *column)
{
    assert((column->time_ms - shape->start_ms) % shape->step_ms == 0);
    return (size_t)((column->time_ms - shape->start_ms) / shape->step_ms);
}

static void find_columns(const struct matrix *matrix, struct matrix_shape *shape)
{
    if (!matrix->column_count) return;
    shape->start_ms = matrix->columns[0].time_ms;
    shape->columns = index_of(shape, &matrix->columns[matrix->column_count - 1]) + 1;
}

static void find_rows(const struct matrix *matrix, struct matrix_shape *shape)
{
    if (!matrix->has_levels) return;
    shape->is_clipped = is_clipped(matrix);
    shape->bucket_min = shape->is_clipped ? start_of(matrix) : matrix->bucket_low;
    shape->rows = shape->is_clipped ? matrix->rows_max
                                    : (size_t)(matrix->bucket_high - matrix->bucket_low) + 1;
}

size_t matrix_cells(const struct matrix *matrix)
{
    struct matrix_shape shape = {.step_ms = matrix->step_ms};

    find_columns(matrix, &shape);
    find_rows(matrix, &shape);
    return shape.columns * shape.rows;
}

static bool is_shown(const struct matrix_shape *shape, int64_t bucket)
{
    return bucket >= shape->bucket_min && (uint64_t)(bucket - shape->bucket_min) < shape->rows;
}

static void find_scale(const struct matrix *matrix, struct matrix_shape *shape)
{
    struct cursor level = {.matrix = matrix};

    while (next(&level)) {
        if (!is_shown(shape, level.bucket)) continue;
        if (!shape->min_cents || level.cents < shape->min_cents) shape->min_cents = level.cents;
        if (level.cents > shape->max_cents) shape->max_cents = level.cents;
    }
}

struct matrix_shape matrix_shape(const struct matrix *matrix)
{
    struct matrix_shape shape = {.step_ms = matrix->step_ms};

    find_columns(matrix, &shape);
    find_rows(matrix, &shape);
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
    struct cursor level = {.matrix = matrix};

    while (next(&level)) {
        size_t column = index_of(shape, &matrix->columns[level.column]);

        if (is_shown(shape, level.bucket))
            bytes[column * shape->rows + (size_t)(level.bucket - shape->bucket_min)] =
                code_of(level.cents, shape->min_cents, steps_each);
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
