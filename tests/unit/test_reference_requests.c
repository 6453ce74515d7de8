/* Whole requests on real market data, from the stored rows to the answer's meta, against what the
 * original model answered. The data is no part of the project: HEATCAST_TEST_DATA names its folder,
 * with the answers in the folder `oracle` beside it; without it these tests are skipped. */
#include <dirent.h>

#include "heat/decimal.h"
#include "heat/series.h"
#include "reference.h"

struct rows {
    struct candle *candles;
    struct oi_point *points;
    size_t candle_count, point_count;
};

static void rows_deinit(struct rows *rows)
{
    free(rows->candles);
    free(rows->points);
}

/* The `index`th field of a CSV line. */
static struct str field(const char *line, int index)
{
    size_t size;

    for (; index; index--)
        line = strchr(line, ',') + 1;
    size = strcspn(line, ",\r\n");
    return (struct str){line, size};
}

static int64_t decimal_field(const char *line, int index, unsigned decimals)
{
    int64_t value;

    assert_int_equal(decimal_parse(field(line, index), decimals, &value), 0);
    return value;
}

/* Room for one more: an array doubles when its count is a power of two. */
static void *grow(void *array, size_t count, size_t size)
{
    return count & (count - 1) ? array : mem_realloc(array, MAX(1, 2 * count) * size);
}

static void add_kline(struct rows *rows, const char *line, int64_t step_ms)
{
    rows->candles = grow(rows->candles, rows->candle_count, sizeof(*rows->candles));
    rows->candles[rows->candle_count++] = (struct candle){
        .open_time_ms = decimal_field(line, 0, 0),
        .step_ms = step_ms,
        .open_e8 = decimal_field(line, 1, 8),
        .high_e8 = decimal_field(line, 2, 8),
        .low_e8 = decimal_field(line, 3, 8),
        .close_e8 = decimal_field(line, 4, 8),
        .volume = (double)decimal_field(line, 5, 6) / 1e6,
    };
}

static void add_metric(struct rows *rows, const char *line, int64_t step_ms)
{
    struct oi_point point = {.value_e6 = decimal_field(line, 3, 6)};

    (void)step_ms;
    assert_int_equal(time_parse(field(line, 0), &point.time_ms), 0);
    rows->points = grow(rows->points, rows->point_count, sizeof(*rows->points));
    rows->points[rows->point_count++] = point;
}

/* Every line below the heading of each file in the folder whose name has the `prefix`. */
static bool read_folder(const char *folder, const char *prefix, struct rows *rows, int64_t step_ms,
                        void (*add)(struct rows *rows, const char *line, int64_t step_ms))
{
    DIR *directory = opendir(folder);
    char line[1024];

    if (!directory) return false;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char *path;
        FILE *file;

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0) continue;
        path = mem_printf("%s/%s", folder, entry->d_name);
        file = fopen(path, "r");
        free(path);
        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
            if (line[0] >= '0' && line[0] <= '9') add(rows, line, step_ms);
        }
        fclose(file);
    }
    closedir(directory);
    return true;
}

static int by_open_time(const void *a, const void *b)
{
    const struct candle *left = a, *right = b;

    return (left->open_time_ms > right->open_time_ms) - (left->open_time_ms < right->open_time_ms);
}

static int by_time(const void *a, const void *b)
{
    const struct oi_point *left = a, *right = b;

    return (left->time_ms > right->time_ms) - (left->time_ms < right->time_ms);
}

/* What a store would hand out: ordered, each moment once, start and end included. */
static void clip(struct rows *rows, int64_t start_ms, int64_t end_ms)
{
    size_t kept = 0;

    qsort(rows->candles, rows->candle_count, sizeof(*rows->candles), by_open_time);
    qsort(rows->points, rows->point_count, sizeof(*rows->points), by_time);
    for (size_t i = 0; i < rows->candle_count; i++) {
        int64_t time_ms = rows->candles[i].open_time_ms;

        if (time_ms >= start_ms && time_ms <= end_ms) rows->candles[kept++] = rows->candles[i];
    }
    rows->candle_count = kept;
    kept = 0;
    for (size_t i = 0; i < rows->point_count; i++) {
        int64_t time_ms = rows->points[i].time_ms;

        if (time_ms < start_ms || time_ms > end_ms) continue;
        if (kept && rows->points[kept - 1].time_ms == time_ms) continue;
        rows->points[kept++] = rows->points[i];
    }
    rows->point_count = kept;
}

static int64_t interval_of(const char *text)
{
    char *unit;
    int64_t count = strtoll(text, &unit, 10);

    return count * (*unit == 'm' ? 60000 : *unit == 'h' ? 3600000 : 86400000);
}

static struct rows load_rows(const char *data, const json_t *request)
{
    const char *symbol = reference_text(request, "symbol");
    const char *step = reference_text(request, "stored_klines");
    struct rows rows = {0};
    char *klines = mem_printf("%s/%s/klines", data, symbol);
    char *metrics = mem_printf("%s/%s/metrics", data, symbol);
    char *prefix = mem_printf("%s-%s-", symbol, step);

    assert_true(read_folder(klines, prefix, &rows, interval_of(step), add_kline));
    assert_true(read_folder(metrics, symbol, &rows, 0, add_metric));
    free(klines);
    free(metrics);
    free(prefix);
    clip(&rows, reference_time(reference_text(request, "start_time")),
         reference_time(reference_text(request, "end_time")));
    assert_true(rows.candle_count > 0 && rows.point_count > 0);
    return rows;
}

struct answer {
    double long_volume, short_volume, price_min, price_max;
    uint64_t consumed;
};

static void answer_add(struct answer *answer, const struct snapshot *snapshot)
{
    answer->long_volume += snapshot->long_total;
    answer->short_volume += snapshot->short_total;
    answer->consumed += snapshot->positions_consumed;
    if (!snapshot->level_count) return;
    answer->price_min = fmin(answer->price_min, level_price(snapshot, 0));
    answer->price_max = fmax(answer->price_max, level_price(snapshot, snapshot->level_count - 1));
}

static void compare_meta(const struct answer *answer, size_t snapshot_count, const json_t *meta)
{
    const json_t *range = json_object_get(meta, "price_range");

    assert_int_equal(snapshot_count, reference_number(meta, "total_snapshots"));
    assert_int_equal(answer->consumed, reference_number(meta, "total_consumed"));
    assert_true(answer->price_min == reference_number(range, "min"));
    assert_true(answer->price_max == reference_number(range, "max"));
    assert_true(reference_near(answer->long_volume, reference_number(meta, "total_long_volume")));
    assert_true(reference_near(answer->short_volume, reference_number(meta, "total_short_volume")));
}

static void replay(const json_t *expected, const struct series_row *rows, size_t row_count)
{
    const json_t *request = json_object_get(expected, "request");
    const json_t *snapshots = json_object_get(expected, "snapshots");
    struct leverage_mix mix = reference_mix(request);
    struct heatmap *map = heatmap_new(reference_bin(request), &mix);
    struct answer answer = {.price_min = INFINITY, .price_max = -INFINITY};
    struct snapshot snapshot = {0};
    size_t level_count = 0;

    assert_int_equal(row_count, json_array_size(snapshots));
    for (size_t i = 0; i < row_count; i++) {
        heatmap_apply(map, &rows[i].candle, rows[i].oi_delta);
        heatmap_snapshot(map, &snapshot);
        reference_compare(&snapshot, json_array_get(snapshots, i));
        answer_add(&answer, &snapshot);
        if (json_object_get(json_array_get(snapshots, i), "levels"))
            level_count += snapshot.level_count;
    }
    compare_meta(&answer, row_count, json_object_get(expected, "meta"));
    print_message("%zu snapshots, %zu levels\n", row_count, level_count);
    snapshot_deinit(&snapshot);
    heatmap_free(map);
}

static void check_request(const char *name)
{
    const char *data = test_folder("HEATCAST_TEST_DATA", "../shared/data");
    struct series_state state = {0};
    struct series_row *rows = NULL;
    size_t row_count = 0;
    const json_t *request;
    struct rows stored;
    json_t *expected;
    char *oracle;
    DIR *folder = opendir(data);

    if (!folder) {
        print_error("SKIPPED: %s needs the market data: no folder %s (set HEATCAST_TEST_DATA)\n",
                    name, data);
        skip();
    }
    closedir(folder);
    oracle = mem_printf("%s/../oracle", data);
    expected = reference_load(oracle, name);
    free(oracle);
    assert_non_null(expected);
    request = json_object_get(expected, "request");
    stored = load_rows(data, request);
    series_build(&state, interval_of(reference_text(request, "interval")), stored.candles,
                 stored.candle_count, stored.points, stored.point_count, &rows, &row_count);
    replay(expected, rows, row_count);
    free(rows);
    rows_deinit(&stored);
    json_decref(expected);
}

TEST(two_days_of_btcusdt_at_5m_agree)
{
    check_request("BTCUSDT-5m-100-1.json");
}

TEST(a_week_of_btcusdt_at_15m_agrees)
{
    check_request("BTCUSDT-15m-100-2.json");
}

TEST(three_weeks_of_btcusdt_at_1h_agree)
{
    check_request("BTCUSDT-1h-500-3.json");
}

TEST(two_days_of_btcusdt_at_30m_with_other_weights_agree)
{
    check_request("BTCUSDT-30m-100-4.json");
}

TEST(two_weeks_of_ethusdt_with_the_crash_agree)
{
    check_request("ETHUSDT-1h-10-5.json");
}

TEST(seven_weeks_of_solusdt_at_4h_with_missing_hours_agree)
{
    check_request("SOLUSDT-4h-1-6.json");
}
