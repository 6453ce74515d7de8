/* engine.c - what a candle costs: the heatmap against the same model walking all its groups.
 *
 *     make bench-engine
 *
 * Both run over the same rows, in alternating rounds of one process, and must end with the same
 * groups and volumes; the figures are medians. The real month is read from HEATCAST_TEST_DATA
 * (../shared/data) where that is there; the year of minutes is made from a seed. */
#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/clock.h"
#include "heat/decimal.h"
#include "heat/heatmap.h"
#include "heat/series.h"

enum { ROUNDS = 7, MINUTE_MS = 60000, YEAR_MINUTES = 365 * 24 * 60 };
static const double walk_seconds_max = 2.5; /* of one round; the year is cut to fit */

/* ---- the model by walking all groups ---- */

/* Columns of one side. */
struct walk_side {
    int64_t *keys;    /* liquidation price in 10^-8, rounded towards the entry's far side */
    int64_t *buckets; /* for the snapshot */
    double *volumes;
    size_t count, capacity;
};

struct walk {
    int64_t bin_e12;
    struct walk_side sides[SIDES];
    uint64_t created, consumed;
    double *levels[SIDES]; /* by bucket, from the lowest open one; the snapshot's scratch */
    size_t level_capacity;
};

static void walk_deinit(struct walk *walk)
{
    for (int side = 0; side < SIDES; side++) {
        free(walk->sides[side].keys);
        free(walk->sides[side].buckets);
        free(walk->sides[side].volumes);
        free(walk->levels[side]);
    }
}

static void walk_move(struct walk_side *side, size_t to, size_t from)
{
    side->keys[to] = side->keys[from];
    side->buckets[to] = side->buckets[from];
    side->volumes[to] = side->volumes[from];
}

/* Keys of shorts are negative, so that both sides are met at `reached` and above. */
static void walk_consume(struct walk *walk, enum side which, int64_t reached)
{
    struct walk_side *side = &walk->sides[which];
    size_t kept = 0;

    while (kept < side->count && side->keys[kept] < reached)
        kept++;
    for (size_t i = kept; i < side->count; i++) {
        if (side->keys[i] < reached) walk_move(side, kept++, i);
    }
    walk->consumed += side->count - kept;
    side->count = kept;
}

static void walk_open(struct walk_side *side, int64_t key, int64_t bucket, double volume)
{
    if (side->count == side->capacity) {
        side->capacity = MAX(1024, side->capacity * 2);
        side->keys = mem_realloc(side->keys, side->capacity * sizeof(*side->keys));
        side->buckets = mem_realloc(side->buckets, side->capacity * sizeof(*side->buckets));
        side->volumes = mem_realloc(side->volumes, side->capacity * sizeof(*side->volumes));
    }
    side->keys[side->count] = key;
    side->buckets[side->count] = bucket;
    side->volumes[side->count++] = volume;
}

static void walk_create(struct walk *walk, const struct candle *candle, double delta)
{
    enum side which = candle->close_e8 >= candle->open_e8 ? SIDE_LONG : SIDE_SHORT;

    for (int tier = 0; tier < LEVERAGE_TIERS; tier++) {
        int32_t factor_e5 = liquidation_factor_e5[which][tier];
        int128 price_e13 = (int128)candle->close_e8 * factor_e5;
        int64_t key = which == SIDE_LONG ? (int64_t)(price_e13 / 100000)
                                         : -(int64_t)((price_e13 + 99999) / 100000);

        walk_open(&walk->sides[which], key,
                  price_bin_bucket(candle->close_e8, factor_e5, walk->bin_e12),
                  delta * leverage_mix_default.share[tier]);
    }
    walk->created += LEVERAGE_TIERS;
}

static double walk_volume(const struct walk_side *side)
{
    double sum = 0;

    for (size_t i = 0; i < side->count; i++)
        sum += side->volumes[i];
    return sum;
}

static void walk_shrink_side(struct walk_side *side, double factor)
{
    size_t kept = 0;

    for (size_t i = 0; i < side->count; i++) {
        side->volumes[i] *= factor;
        if (side->volumes[i] < 0.01 * (1 - 1e-12)) continue;
        if (kept != i) walk_move(side, kept, i);
        kept++;
    }
    side->count = kept;
}

static void walk_shrink(struct walk *walk, double loss)
{
    double total = walk_volume(&walk->sides[SIDE_LONG]) + walk_volume(&walk->sides[SIDE_SHORT]);
    double factor = loss < total ? (total - loss) / total : 0;

    walk_shrink_side(&walk->sides[SIDE_LONG], factor);
    walk_shrink_side(&walk->sides[SIDE_SHORT], factor);
}

static void walk_apply(struct walk *walk, const struct candle *candle, double oi_delta)
{
    walk_consume(walk, SIDE_LONG, candle->low_e8);
    walk_consume(walk, SIDE_SHORT, -candle->high_e8);
    if (oi_delta > 0) walk_create(walk, candle, oi_delta);
    if (oi_delta < 0) walk_shrink(walk, -oi_delta);
}

/* Sums into an array over the whole range of open buckets: no search, no sorting. */
static void walk_snapshot(struct walk *walk, struct snapshot *snapshot)
{
    int64_t first = INT64_MAX, last = INT64_MIN;
    size_t range;

    snapshot->level_count = 0;
    for (int side = 0; side < SIDES; side++) {
        for (size_t i = 0; i < walk->sides[side].count; i++) {
            first = MIN(first, walk->sides[side].buckets[i]);
            last = MAX(last, walk->sides[side].buckets[i]);
        }
    }
    if (first > last) return;
    range = (size_t)(last - first) + 1;
    if (range > walk->level_capacity) {
        walk->level_capacity = range * 2;
        for (int side = 0; side < SIDES; side++)
            walk->levels[side] =
                mem_realloc(walk->levels[side], walk->level_capacity * sizeof(double));
    }
    for (int side = 0; side < SIDES; side++) {
        memset(walk->levels[side], 0, range * sizeof(double));
        for (size_t i = 0; i < walk->sides[side].count; i++)
            walk->levels[side][walk->sides[side].buckets[i] - first] +=
                walk->sides[side].volumes[i];
    }
    snapshot->bin_e12 = walk->bin_e12;
    snapshot_reserve(snapshot, range);
    for (size_t i = 0; i < range; i++) {
        struct level level = {first + (int64_t)i, (int64_t)(walk->levels[SIDE_LONG][i] * 100 + 0.5),
                              (int64_t)(walk->levels[SIDE_SHORT][i] * 100 + 0.5)};

        if (level.long_cents || level.short_cents)
            snapshot->levels[snapshot->level_count++] = level;
    }
}

/* ---- runs ---- */

enum task { APPLY, APPLY_SNAPSHOT, APPLY_SNAPSHOT_JSON, TASKS };
static const char *const task_names[TASKS] = {"candle", "candle + snapshot",
                                              "candle + snapshot + JSON"};

/* How a run ended, for the two to be compared. */
struct outcome {
    double seconds;
    double live[SIDES];
    uint64_t created, consumed;
    size_t group_count, level_count;
};

static void present(enum task task, const struct snapshot *snapshot, struct buf *json)
{
    if (task < APPLY_SNAPSHOT_JSON) return;
    buf_clear(json);
    snapshot_write_row(json, snapshot);
}

static struct outcome run_heatmap(const struct series_row *rows, size_t row_count, int64_t bin_e12,
                                  enum task task)
{
    struct heatmap *map = heatmap_new(bin_e12, &leverage_mix_default);
    struct snapshot snapshot = {0};
    struct outcome outcome = {0};
    struct heatmap_totals totals;
    struct buf json = {0};
    int64_t start_us = clock_monotonic_us();

    for (size_t i = 0; i < row_count; i++) {
        struct heatmap_change change = heatmap_apply(map, &rows[i].candle, rows[i].oi_delta);

        outcome.created += change.created;
        outcome.consumed += change.consumed;
        if (task == APPLY) continue;
        heatmap_snapshot(map, &snapshot);
        present(task, &snapshot, &json);
    }
    outcome.seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    totals = heatmap_totals(map);
    outcome.live[SIDE_LONG] = totals.live_long;
    outcome.live[SIDE_SHORT] = totals.live_short;
    outcome.group_count = totals.live_groups;
    outcome.level_count = snapshot.level_count;
    buf_deinit(&json);
    snapshot_deinit(&snapshot);
    heatmap_free(map);
    return outcome;
}

static struct outcome run_walk(const struct series_row *rows, size_t row_count, int64_t bin_e12,
                               enum task task)
{
    struct walk walk = {.bin_e12 = bin_e12};
    struct snapshot snapshot = {0};
    struct outcome outcome = {0};
    struct buf json = {0};
    int64_t start_us = clock_monotonic_us();

    for (size_t i = 0; i < row_count; i++) {
        walk_apply(&walk, &rows[i].candle, rows[i].oi_delta);
        if (task == APPLY) continue;
        walk_snapshot(&walk, &snapshot);
        present(task, &snapshot, &json);
    }
    outcome.seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    outcome.created = walk.created;
    outcome.consumed = walk.consumed;
    for (int side = 0; side < SIDES; side++) {
        outcome.live[side] = walk_volume(&walk.sides[side]);
        outcome.group_count += walk.sides[side].count;
    }
    outcome.level_count = snapshot.level_count;
    buf_deinit(&json);
    snapshot_deinit(&snapshot);
    walk_deinit(&walk);
    return outcome;
}

static void require_same(const struct outcome *a, const struct outcome *b)
{
    bool same = a->created == b->created && a->consumed == b->consumed &&
                a->group_count == b->group_count && a->level_count == b->level_count;

    for (int side = 0; side < SIDES; side++)
        same = same && fabs(a->live[side] - b->live[side]) <= fmax(0.005, 1e-9 * a->live[side]);
    if (same) return;
    fprintf(stderr,
            "the two disagree: %zu and %zu groups, %.2f and %.2f long, %.2f and %.2f short\n",
            a->group_count, b->group_count, a->live[0], b->live[0], a->live[1], b->live[1]);
    exit(1);
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare_doubles);
    return values[ROUNDS / 2];
}

/* One line: both, turn by turn. A short run is repeated to last long enough to be timed. */
static void compare_task(const struct series_row *rows, size_t row_count, int64_t bin_e12,
                         enum task task)
{
    double ours[ROUNDS], walks[ROUNDS], our_seconds, walk_seconds;
    int repeats = (int)(100000 / row_count) + 1;
    struct outcome heatmap = {0}, walk = {0};

    for (int round = 0; round < ROUNDS; round++) {
        ours[round] = 0;
        for (int i = 0; i < repeats; i++) {
            heatmap = run_heatmap(rows, row_count, bin_e12, task);
            ours[round] += heatmap.seconds / repeats;
        }
        walk = run_walk(rows, row_count, bin_e12, task);
        walks[round] = walk.seconds;
        require_same(&heatmap, &walk);
    }
    our_seconds = median(ours);
    walk_seconds = median(walks);
    printf("  %-26s %12.0f %9.0f %14.0f %9.0f %9.1f x\n", task_names[task],
           (double)row_count / our_seconds, our_seconds / (double)row_count * 1e9,
           (double)row_count / walk_seconds, walk_seconds / (double)row_count * 1e9,
           walk_seconds / our_seconds);
}

/* How many groups and levels a candle finds, over the run. */
static void print_size(const struct series_row *rows, size_t row_count, int64_t bin_e12)
{
    struct heatmap *map = heatmap_new(bin_e12, &leverage_mix_default);
    uint64_t groups = 0, groups_most = 0, levels = 0;

    for (size_t i = 0; i < row_count; i++) {
        struct heatmap_totals totals;

        heatmap_apply(map, &rows[i].candle, rows[i].oi_delta);
        totals = heatmap_totals(map);
        groups += totals.live_groups;
        groups_most = MAX(groups_most, totals.live_groups);
        levels += totals.live_buckets;
    }
    printf("  open groups: mean %llu, most %llu; levels: mean %llu\n",
           (unsigned long long)(groups / row_count), (unsigned long long)groups_most,
           (unsigned long long)(levels / row_count));
    heatmap_free(map);
}

static void compare_over(const char *name, const struct series_row *rows, size_t row_count,
                         int64_t bin_e12, int task_count)
{
    printf("%s: %zu candles, median of %d alternating rounds, same groups and volumes at the end\n",
           name, row_count, ROUNDS);
    print_size(rows, row_count, bin_e12);
    printf("  %-26s %12s %9s %14s %9s %11s\n", "", "heatmap/s", "ns each", "walking all/s",
           "ns each", "ratio");
    for (int task = 0; task < task_count; task++)
        compare_task(rows, row_count, bin_e12, (enum task)task);
    fflush(stdout);
}

/* ---- the real month ---- */

struct month {
    struct candle *candles;
    struct oi_point *points;
    size_t candle_count, candle_capacity, point_count, point_capacity;
};

static int64_t field(const char *line, int index, unsigned decimals)
{
    int64_t value = 0;

    for (; index; index--)
        line = strchr(line, ',') + 1;
    if (decimal_parse((struct str){line, strcspn(line, ",\r\n")}, decimals, &value)) exit(1);
    return value;
}

static void month_add_candle(struct month *month, const char *line)
{
    if (month->candle_count == month->candle_capacity) {
        month->candle_capacity = MAX(1024, 2 * month->candle_capacity);
        month->candles =
            mem_realloc(month->candles, month->candle_capacity * sizeof(*month->candles));
    }
    month->candles[month->candle_count++] = (struct candle){
        .open_time_ms = field(line, 0, 0),
        .step_ms = 5 * MINUTE_MS,
        .open_e8 = field(line, 1, 8),
        .high_e8 = field(line, 2, 8),
        .low_e8 = field(line, 3, 8),
        .close_e8 = field(line, 4, 8),
    };
}

static void month_add_point(struct month *month, const char *line)
{
    struct oi_point point = {.value_e6 = field(line, 3, 6)};

    if (time_parse((struct str){line, strcspn(line, ",")}, &point.time_ms)) exit(1);
    if (month->point_count == month->point_capacity) {
        month->point_capacity = MAX(1024, 2 * month->point_capacity);
        month->points = mem_realloc(month->points, month->point_capacity * sizeof(*month->points));
    }
    month->points[month->point_count++] = point;
}

static bool month_read(struct month *month, const char *path,
                       void (*add)(struct month *month, const char *line))
{
    FILE *file = fopen(path, "r");
    char line[1024];

    if (!file) return false;
    while (fgets(line, sizeof(line), file)) {
        if (line[0] >= '0' && line[0] <= '9') add(month, line);
    }
    fclose(file);
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct oi_point *left = a, *right = b;

    return (left->time_ms > right->time_ms) - (left->time_ms < right->time_ms);
}

static void bench_month(void)
{
    const char *data = getenv("HEATCAST_TEST_DATA");
    struct series_state state = {0};
    struct series_row *rows = NULL;
    struct month month = {0};
    size_t row_count = 0, skipped = 0;
    char path[1024];

    if (!data || !*data) data = "../shared/data";
    snprintf(path, sizeof(path), "%s/BTCUSDT/klines/BTCUSDT-5m-2025-12.csv", data);
    if (!month_read(&month, path, month_add_candle)) {
        printf("BTCUSDT 5m December 2025: left out, no file %s\n", path);
        return;
    }
    for (int day = 1; day <= 31; day++) {
        snprintf(path, sizeof(path), "%s/BTCUSDT/metrics/BTCUSDT-metrics-2025-12-%02d.csv", data,
                 day);
        if (!month_read(&month, path, month_add_point)) continue;
    }
    qsort(month.points, month.point_count, sizeof(*month.points), by_time);
    series_build(&state, 5 * MINUTE_MS, month.candles, month.candle_count, month.points,
                 month.point_count, &rows, &row_count);
    /* Interest is known from the 9th on; candles before open nothing and would flatter both. */
    while (skipped < row_count && rows[skipped].oi_delta == 0)
        skipped++;
    if (skipped < row_count)
        compare_over("BTCUSDT 5m December 2025, buckets of 100", rows + skipped,
                     row_count - skipped, 100 * PRICE_BIN_ONE_E12, TASKS);
    free(rows);
    free(month.candles);
    free(month.points);
}

/* ---- the year of minutes ---- */

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

static double random_uniform(uint64_t *seed)
{
    return (double)(random_next(seed) >> 11) * 0x1p-53;
}

/* A random walk of about 45 % a year from 98 000; interest rises and falls by 2 million on
 * average. */
static struct series_row *make_year(void)
{
    struct series_row *rows = mem_alloc(YEAR_MINUTES * sizeof(*rows));
    uint64_t seed = 20251231;
    double price = 98000;

    for (int i = 0; i < YEAR_MINUTES; i++) {
        double open = price, noise = 0, up, down;

        for (int k = 0; k < 12; k++)
            noise += random_uniform(&seed);
        price *= 1 + 0.0006 * (noise - 6);
        price = fmin(fmax(price, 30000), 300000);
        up = fmax(open, price) * (1 + 0.0003 * random_uniform(&seed));
        down = fmin(open, price) * (1 - 0.0003 * random_uniform(&seed));
        rows[i].candle = (struct candle){
            .open_time_ms = (int64_t)i * MINUTE_MS,
            .step_ms = MINUTE_MS,
            .open_e8 = llround(open * 10) * 10000000,
            .high_e8 = llround(up * 10) * 10000000,
            .low_e8 = llround(down * 10) * 10000000,
            .close_e8 = llround(price * 10) * 10000000,
        };
        rows[i].oi_delta = 2e6 * -log(1 - random_uniform(&seed));
        if (random_next(&seed) & 1) rows[i].oi_delta *= -1;
    }
    return rows;
}

/* How much of the rows walking gets through in the time for a round. */
static size_t walkable(const struct series_row *rows, size_t row_count, int64_t bin_e12)
{
    struct walk walk = {.bin_e12 = bin_e12};
    int64_t start_us = clock_monotonic_us();
    size_t done = 0;

    while (done < row_count && (double)(clock_monotonic_us() - start_us) < walk_seconds_max * 1e6) {
        for (size_t end = MIN(done + 1000, row_count); done < end; done++)
            walk_apply(&walk, &rows[done].candle, rows[done].oi_delta);
    }
    walk_deinit(&walk);
    return done;
}

static void bench_year(void)
{
    struct series_row *rows = make_year();
    int64_t bin_e12 = 100 * PRICE_BIN_ONE_E12;
    size_t row_count = walkable(rows, YEAR_MINUTES, bin_e12);

    if (row_count < YEAR_MINUTES) {
        struct outcome whole = run_heatmap(rows, YEAR_MINUTES, bin_e12, APPLY);

        printf(
            "the whole year of 1m, %d candles: heatmap %.2f s, %.0f candles/s; walking all would "
            "take too long, so they meet over its first %zu candles\n",
            YEAR_MINUTES, whole.seconds, YEAR_MINUTES / whole.seconds, row_count);
    }
    compare_over("a made-up year of 1m, buckets of 100", rows, row_count, bin_e12, 1);
    free(rows);
}

/* ---- a snapshot by itself ---- */

static void bench_snapshot(void)
{
    enum { LEVELS = 1000, TIMES = 2000 };
    struct heatmap *map = heatmap_new(PRICE_BIN_ONE_E12, &leverage_mix_default);
    struct snapshot snapshot = {0};
    struct buf json = {0};
    double take[ROUNDS], write[ROUNDS];
    uint64_t seed = 7;

    /* Entries a dollar apart: five levels each, so 200 of them. */
    for (int i = 0; i < LEVELS / LEVERAGE_TIERS; i++) {
        int64_t price_e8 = (100000 + i) * PRICE_ONE_E8;
        struct candle candle = {i, 1, price_e8, price_e8, price_e8, price_e8, 0};

        heatmap_apply(map, &candle, 1e6 + 1e9 * random_uniform(&seed));
    }
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start_us = clock_monotonic_us(), taken_us;

        for (int i = 0; i < TIMES; i++)
            heatmap_snapshot(map, &snapshot);
        taken_us = clock_monotonic_us();
        for (int i = 0; i < TIMES; i++)
            present(APPLY_SNAPSHOT_JSON, &snapshot, &json);
        take[round] = (double)(taken_us - start_us) / TIMES;
        write[round] = (double)(clock_monotonic_us() - taken_us) / TIMES;
    }
    printf("a snapshot of %zu levels: taken in %.1f us, written as %zu bytes of JSON in %.1f us\n",
           snapshot.level_count, median(take), json.size, median(write));
    buf_deinit(&json);
    snapshot_deinit(&snapshot);
    heatmap_free(map);
}

int main(void)
{
    bench_month();
    bench_year();
    bench_snapshot();
    return 0;
}
