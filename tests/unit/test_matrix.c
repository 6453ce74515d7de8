#include "heat/matrix.h"

#include <math.h>
#include <string.h>

#include "test.h"

#define STEP    INT64_C(300000)
#define ONE_E12 INT64_C(1000000000000)

/* Nothing yet, around a price of 10000 in buckets of 100, which is bucket 100. */
static struct matrix matrix_of(size_t rows_max)
{
    return (struct matrix){
        .step_ms = STEP, .rows_max = rows_max, .price_e8 = INT64_C(1000000000000)};
}

/* A column at step `index` of one level per bucket and total. */
static void add(struct matrix *matrix, int64_t index, const int64_t (*levels)[2], size_t count)
{
    struct snapshot snapshot = {.time_ms = index * STEP, .bin_e12 = 100 * ONE_E12};

    snapshot_reserve(&snapshot, count);
    for (size_t i = 0; i < count; i++)
        snapshot.levels[snapshot.level_count++] =
            (struct level){levels[i][0], levels[i][1] / 3, levels[i][1] - levels[i][1] / 3};
    matrix_add(matrix, &snapshot);
    snapshot_deinit(&snapshot);
}

/* The bytes with the differences undone; the caller frees. */
static uint8_t *decode(const struct matrix *matrix, const struct matrix_shape *shape)
{
    size_t size = shape->columns * shape->rows;
    uint8_t *bytes = mem_alloc(size + 1);
    struct buf out = {0};

    matrix_write_cells(&out, matrix, shape);
    assert_int_equal(out.size, size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(out.data[i] + (i < shape->rows ? 0 : bytes[i - shape->rows]));
    buf_deinit(&out);
    return bytes;
}

static void assert_gaps(const struct matrix *matrix, const struct matrix_shape *shape,
                        const char *expected)
{
    struct buf out = {0};

    matrix_write_gaps(&out, matrix, shape);
    assert_true(str_eq(buf_str(&out), str_of(expected)));
    buf_deinit(&out);
}

TEST(nothing_is_a_shape_without_columns_and_rows)
{
    struct matrix matrix = matrix_of(10);
    struct matrix_shape shape = matrix_shape(&matrix);
    struct buf out = {0};

    assert_int_equal(shape.columns + shape.rows, 0);
    matrix_write_cells(&out, &matrix, &shape);
    assert_int_equal(out.size, 0);
    assert_gaps(&matrix, &shape, "[]");
}

TEST(columns_of_nothing_have_no_rows)
{
    struct matrix matrix = matrix_of(10);
    struct matrix_shape shape;

    add(&matrix, 7, NULL, 0);
    add(&matrix, 9, NULL, 0);
    shape = matrix_shape(&matrix);
    assert_int_equal(shape.start_ms, 7 * STEP);
    assert_int_equal(shape.columns, 3);
    assert_int_equal(shape.rows, 0);
    assert_gaps(&matrix, &shape, "[[1,1]]");
    matrix_deinit(&matrix);
}

TEST(the_scale_goes_from_the_smallest_total_to_the_greatest)
{
    static const int64_t first[][2] = {{98, 1}, {100, 1000}}, second[][2] = {{98, 31}, {99, 1001}};
    struct matrix matrix = matrix_of(10);
    struct matrix_shape shape;
    uint8_t *bytes;

    add(&matrix, 1, first, 2);
    add(&matrix, 2, second, 2);
    shape = matrix_shape(&matrix);
    assert_int_equal(shape.bucket_min, 98);
    assert_int_equal(shape.rows, 3);
    assert_int_equal(shape.min_cents, 1);
    assert_int_equal(shape.max_cents, 1001);
    bytes = decode(&matrix, &shape);
    /* 254 * log(1000) / log(1001) is 253.96, 254 * log(31) / log(1001) is 126.2 */
    assert_memory_equal(bytes, ((uint8_t[]){1, 0, 255, 127, 255, 0}), 6);
    free(bytes);
    matrix_deinit(&matrix);
}

TEST(totals_that_are_all_the_same_are_the_first_step)
{
    static const int64_t levels[][2] = {{98, 500}, {100, 500}};
    struct matrix matrix = matrix_of(10);
    struct matrix_shape shape;
    uint8_t *bytes;

    add(&matrix, 1, levels, 2);
    shape = matrix_shape(&matrix);
    bytes = decode(&matrix, &shape);
    assert_memory_equal(bytes, ((uint8_t[]){1, 0, 1}), 3);
    free(bytes);
    matrix_deinit(&matrix);
}

TEST(volumes_beyond_all_measure_stay_at_the_end_of_the_scale)
{
    struct level levels[] = {{98, INT64_MAX, INT64_MAX}, {99, 1, 0}};
    struct snapshot snapshot = {.bin_e12 = 1, .levels = levels, .level_count = 2};
    struct matrix matrix = matrix_of(10);
    struct matrix_shape shape;
    uint8_t *bytes;

    matrix.price_e8 = INT64_MAX;
    matrix_add(&matrix, &snapshot);
    shape = matrix_shape(&matrix);
    assert_true(shape.max_cents == INT64_MAX);
    bytes = decode(&matrix, &shape);
    assert_memory_equal(bytes, ((uint8_t[]){255, 1}), 2);
    free(bytes);
    matrix_deinit(&matrix);
}

static void assert_rows(int64_t low, int64_t high, size_t rows_max, int64_t first, size_t rows)
{
    const int64_t levels[][2] = {{low, 5}, {high, 7}};
    struct matrix matrix = matrix_of(rows_max);
    struct matrix_shape shape;

    add(&matrix, 1, levels, 2);
    shape = matrix_shape(&matrix);
    assert_int_equal(shape.bucket_min, first);
    assert_int_equal(shape.rows, rows);
    assert_int_equal(shape.is_clipped, rows <= (uint64_t)(high - low));
    free(decode(&matrix, &shape));
    matrix_deinit(&matrix);
}

/* The price is in bucket 100. */
TEST(beyond_the_rows_allowed_those_farthest_from_the_price_are_left_out)
{
    assert_rows(50, 149, 100, 50, 100);
    assert_rows(50, 150, 100, 50, 100);
    assert_rows(50, 1000, 100, 50, 100);
    assert_rows(0, 1000, 100, 50, 100);
    assert_rows(0, 150, 100, 50, 100);
    assert_rows(0, 120, 100, 21, 100);
    assert_rows(80, 1000, 100, 80, 100);
    assert_rows(200, 1000, 100, 200, 100);
    assert_rows(0, 90, 10, 81, 10);
    assert_rows(0, INT64_MAX, 10, 95, 10);
}

TEST(what_is_left_out_is_not_on_the_scale)
{
    static const int64_t levels[][2] = {{0, 1}, {100, 20}, {101, 30}, {500, 4000}};
    struct matrix matrix = matrix_of(4);
    struct matrix_shape shape;
    uint8_t *bytes;

    add(&matrix, 1, levels, 4);
    shape = matrix_shape(&matrix);
    assert_int_equal(shape.min_cents, 20);
    assert_int_equal(shape.max_cents, 30);
    bytes = decode(&matrix, &shape);
    assert_memory_equal(bytes, ((uint8_t[]){0, 0, 1, 255}), 4);
    free(bytes);
    matrix_deinit(&matrix);
}

/* Whatever is in it: what a byte says is within half a step, and nothing is nothing. */
TEST(random_histories_are_told_to_half_a_step)
{
    uint64_t seed = 11;

    for (int round = 0; round < 200; round++) {
        enum { COLUMNS = 40, ROWS = 30 };
        int64_t totals[COLUMNS][ROWS] = {0};
        struct matrix matrix = matrix_of(ROWS);
        struct matrix_shape shape;
        uint8_t *bytes;
        double bound;

        for (int64_t c = 0; c < COLUMNS; c++) {
            int64_t levels[ROWS][2];
            size_t count = 0;

            if (c && c < COLUMNS - 1 && test_random(&seed) % 4 == 0) continue;
            for (int64_t r = 0; r < ROWS; r++) {
                if (test_random(&seed) % 3 == 0) continue;
                totals[c][r] = 1 + (int64_t)(test_random(&seed) >> 2 >>
                                             test_random(&seed) % (unsigned)(1 + round % 62));
                levels[count][0] = 60 + r;
                levels[count++][1] = totals[c][r];
            }
            add(&matrix, c, (const int64_t(*)[2])levels, count);
        }
        shape = matrix_shape(&matrix);
        bytes = decode(&matrix, &shape);
        bound = log((double)shape.max_cents / (double)shape.min_cents) / (MATRIX_STEPS - 1) / 2;
        for (size_t c = 0; c < shape.columns; c++)
            for (size_t r = 0; r < shape.rows; r++) {
                int64_t total = totals[c][(size_t)(shape.bucket_min - 60) + r];
                uint8_t byte = bytes[c * shape.rows + r];

                assert_int_equal(byte == 0, total == 0);
                if (!total) continue;
                assert_true(fabs(log((double)shape.min_cents) + (byte - 1) * 2 * bound -
                                 log((double)total)) < bound + 1e-9);
            }
        free(bytes);
        matrix_deinit(&matrix);
    }
}

/* Every level that comes, and the rows that are nearest to the price in the end. */
TEST(random_histories_that_are_too_high_show_what_is_near_the_price)
{
    uint64_t seed = 12;

    for (int round = 0; round < 500; round++) {
        enum { COLUMNS = 12, BUCKETS = 220, ROWS = 16 };
        bool is_there[COLUMNS][BUCKETS] = {0};
        int64_t low = BUCKETS, high = -1, first;
        struct matrix matrix = matrix_of(ROWS);
        struct matrix_shape shape;
        uint8_t *bytes;

        for (int64_t c = 0; c < COLUMNS; c++) {
            int64_t levels[BUCKETS][2], width = 1 + (int64_t)(test_random(&seed) % 60);
            int64_t start = (int64_t)(test_random(&seed) % (uint64_t)(BUCKETS - width));
            size_t count = 0;

            for (int64_t b = start; b < start + width; b++) {
                if (test_random(&seed) % 2) continue;
                is_there[c][b] = true;
                levels[count][0] = b;
                levels[count++][1] = 5;
                low = MIN(low, b);
                high = MAX(high, b);
            }
            add(&matrix, c, (const int64_t(*)[2])levels, count);
        }
        first = high - low < ROWS ? low : MIN(MAX(100 - ROWS / 2, low), high - ROWS + 1);
        shape = matrix_shape(&matrix);
        assert_int_equal(shape.is_clipped, high - low >= ROWS);
        assert_int_equal(shape.bucket_min, first);
        bytes = decode(&matrix, &shape);
        for (size_t c = 0; c < shape.columns; c++)
            for (size_t r = 0; r < shape.rows; r++)
                assert_int_equal(bytes[c * shape.rows + r], is_there[c][(size_t)first + r]);
        free(bytes);
        matrix_deinit(&matrix);
    }
}

TEST(cells_are_counted_as_they_come)
{
    static const int64_t near[][2] = {{98, 5}, {100, 5}}, far[][2] = {{90, 5}, {300, 5}};
    struct matrix matrix = matrix_of(50);

    assert_int_equal(matrix_cells(&matrix), 0);
    add(&matrix, 7, NULL, 0);
    assert_int_equal(matrix_cells(&matrix), 0);
    add(&matrix, 8, near, 2);
    assert_int_equal(matrix_cells(&matrix), 2 * 3);
    add(&matrix, 10, NULL, 0);
    assert_int_equal(matrix_cells(&matrix), 4 * 3);
    add(&matrix, 11, far, 2);
    assert_int_equal(matrix_cells(&matrix), 5 * 50);
    matrix_deinit(&matrix);
}

/* A history of so small buckets that hardly one of them is shown. */
TEST(levels_that_are_not_shown_take_no_memory)
{
    static const int64_t levels[][2] = {{0, 5}, {20, 5}, {70, 5}, {100000, 5}};
    struct matrix matrix = matrix_of(50);
    size_t empty = sizeof(*matrix.columns) * 1000;

    for (int64_t c = 0; c < 1000; c++)
        add(&matrix, c, levels, 4);
    assert_int_equal(matrix_bytes(&matrix), empty);
    matrix_deinit(&matrix);
}

/* As on a page: a level every bucket or so, of thousands to millions. */
TEST(a_usual_level_takes_at_most_8_bytes)
{
    enum { COLUMNS = 500, LEVELS = 400 };
    int64_t levels[LEVELS][2];
    struct matrix matrix = matrix_of(8192);
    uint64_t seed = 5;

    assert_int_equal(matrix_bytes(&matrix), 0);
    for (int64_t c = 0; c < COLUMNS; c++) {
        for (int64_t r = 0; r < LEVELS; r++) {
            levels[r][0] = 784 + r * 2;
            levels[r][1] = 1 + (int64_t)(test_random(&seed) % INT64_C(1000000000));
        }
        add(&matrix, c, (const int64_t(*)[2])levels, LEVELS);
    }
    assert_in_range(matrix_bytes(&matrix), COLUMNS * LEVELS * 2, COLUMNS * LEVELS * 8);
    matrix_deinit(&matrix);
}
