#include "feed/market.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "test.h"

enum {
    WEEK = 2016,        /* 5m candles */
    MONTH = 8640,       /* of 30 days */
    LONG_RUN = 1000000, /* 9.5 years */
    WINDOW = 6364,      /* as many candles as the real sample has */
    WINDOWS = 16,       /* a figure is the median of so many seeds' */
    WARM_UP = 2000,     /* past the first crash, which comes early on purpose */
};

static const int64_t start_ms = INT64_C(1764547200000); /* 2025-12-01 */

/* ---- same seed, same market -------------------------------------------------------------- */

static uint64_t hash_add(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

/* Over little-endian field values, so that padding and the machine's order do not matter. */
static uint64_t hash_int(uint64_t hash, int64_t value)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)((uint64_t)value >> 8 * i);
    return hash_add(hash, bytes, sizeof(bytes));
}

static uint64_t hash_double(uint64_t hash, double value)
{
    int64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return hash_int(hash, bits);
}

static uint64_t hash_tick(uint64_t hash, const struct market_tick *tick, int64_t since_ms)
{
    hash = hash_int(hash, tick->candle.open_time_ms - since_ms);
    hash = hash_int(hash, tick->candle.step_ms);
    hash = hash_int(hash, tick->candle.open_e8);
    hash = hash_int(hash, tick->candle.high_e8);
    hash = hash_int(hash, tick->candle.low_e8);
    hash = hash_int(hash, tick->candle.close_e8);
    hash = hash_double(hash, tick->candle.volume);
    hash = hash_int(hash, tick->oi.time_ms - since_ms);
    hash = hash_int(hash, tick->oi.value_e6);
    return hash_double(hash, tick->oi_base);
}

static uint64_t hash_market(uint64_t seed, int64_t from_ms, int count)
{
    struct market *market = market_new(seed, from_ms);
    struct market_tick ticks[MARKET_SYMBOLS];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (int n = 0; n < count; n++) {
        market_next(market, ticks);
        for (size_t i = 0; i < MARKET_SYMBOLS; i++)
            hash = hash_tick(hash, &ticks[i], from_ms);
    }
    market_free(market);
    return hash;
}

TEST(the_same_seed_gives_the_same_market)
{
    assert_int_equal(hash_market(7, start_ms, WEEK), hash_market(7, start_ms, WEEK));
}

TEST(every_compiler_and_machine_gives_the_same_bits)
{
    /* Changes when the model does: then write the new figure here, and measure anew what
     * docs/simulated-market.md says. If it differs on one machine only, look at FP contraction. */
    assert_true(hash_market(1, start_ms, 10000) == UINT64_C(0x8478d143b44fc683));
}

TEST(another_seed_gives_another_market)
{
    assert_int_not_equal(hash_market(1, start_ms, 10), hash_market(2, start_ms, 10));
    assert_int_not_equal(hash_market(0, start_ms, 10), hash_market(UINT64_MAX, start_ms, 10));
}

TEST(start_ms_shifts_times_and_nothing_else)
{
    uint64_t hash = hash_market(3, start_ms, WEEK);

    assert_int_equal(hash, hash_market(3, 0, WEEK));
    assert_int_equal(hash, hash_market(3, start_ms + 1234 * (int64_t)MARKET_STEP_MS, WEEK));
    assert_int_equal(hash, hash_market(3, -(int64_t)MARKET_STEP_MS, WEEK));
}

static int64_t first_open_time(int64_t from_ms)
{
    struct market *market = market_new(1, from_ms);
    struct market_tick ticks[MARKET_SYMBOLS];

    market_next(market, ticks);
    market_free(market);
    return ticks[0].candle.open_time_ms;
}

TEST(the_first_candle_opens_on_a_whole_step)
{
    assert_int_equal(first_open_time(start_ms), start_ms);
    assert_int_equal(first_open_time(start_ms + 299999), start_ms);
    assert_int_equal(first_open_time(start_ms - 1), start_ms - MARKET_STEP_MS);
    assert_int_equal(first_open_time(-1), -MARKET_STEP_MS);
}

TEST(the_symbols_have_names_and_free_takes_null)
{
    assert_string_equal(market_symbol(0), "BTCUSDT");
    assert_string_equal(market_symbol(1), "ETHUSDT");
    assert_string_equal(market_symbol(2), "SOLUSDT");
    market_free(NULL);
}

/* ---- a long run -------------------------------------------------------------------------- */

static void check_candle(const struct candle *candle, int64_t time_ms, int64_t open_e8,
                         int64_t tick_e8)
{
    assert_true(candle->open_time_ms == time_ms && candle->step_ms == MARKET_STEP_MS);
    assert_true(open_e8 == 0 || candle->open_e8 == open_e8);
    assert_true(candle->low_e8 > 0);
    assert_true(candle->low_e8 <= candle->open_e8 && candle->low_e8 <= candle->close_e8);
    assert_true(candle->high_e8 >= candle->open_e8 && candle->high_e8 >= candle->close_e8);
    assert_true(candle->open_e8 % tick_e8 == 0 && candle->close_e8 % tick_e8 == 0);
    assert_true(candle->high_e8 % tick_e8 == 0 && candle->low_e8 % tick_e8 == 0);
    assert_true(candle->volume >= 0 && candle->volume < 1e9);
}

TEST(a_million_steps_stay_valid_and_in_bounds)
{
    static const int64_t tick_e8[MARKET_SYMBOLS] = {10000000, 1000000, 100000};
    struct market *market = market_new(1, start_ms);
    struct market_tick first[MARKET_SYMBOLS] = {0}, ticks[MARKET_SYMBOLS];
    int64_t close_e8[MARKET_SYMBOLS] = {0};

    for (int64_t n = 0; n < LONG_RUN; n++) {
        market_next(market, ticks);
        if (n == 0) memcpy(first, ticks, sizeof(first));
        for (size_t i = 0; i < MARKET_SYMBOLS; i++) {
            const struct candle *candle = &ticks[i].candle;

            check_candle(candle, start_ms + n * MARKET_STEP_MS, close_e8[i], tick_e8[i]);
            assert_true(candle->low_e8 > first[i].candle.open_e8 / 3);
            assert_true(candle->high_e8 < first[i].candle.open_e8 * 3);
            assert_true(ticks[i].oi.time_ms == candle->open_time_ms);
            assert_true(ticks[i].oi_base > first[i].oi_base / 3);
            assert_true(ticks[i].oi_base < first[i].oi_base * 3);
            close_e8[i] = candle->close_e8;
        }
    }
    market_free(market);
}

TEST(open_interest_as_money_is_base_units_at_the_opening_price)
{
    struct market *market = market_new(1, start_ms);
    struct market_tick ticks[MARKET_SYMBOLS];

    for (int n = 0; n < WEEK; n++) {
        market_next(market, ticks);
        for (size_t i = 0; i < MARKET_SYMBOLS; i++) {
            double price = (double)ticks[i].candle.open_e8 / 1e8;
            double value = (double)ticks[i].oi.value_e6 / 1e6;

            assert_true(fabs(value / (ticks[i].oi_base * price) - 1) < 0.0002);
        }
    }
    market_free(market);
}

/* ---- crashes ----------------------------------------------------------------------------- */

/* One symbol's history as plain numbers. */
struct history {
    int count;
    double *open, *high, *low, *close, *base, *value; /* owned */
};

static struct history history_new(uint64_t seed, size_t symbol, int skip, int count)
{
    struct history h = {.count = count};
    double **columns[] = {&h.open, &h.high, &h.low, &h.close, &h.base, &h.value};
    struct market *market = market_new(seed, start_ms);
    struct market_tick ticks[MARKET_SYMBOLS];

    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        *columns[i] = mem_alloc((size_t)count * sizeof(double));
    for (int n = -skip; n < count; n++) {
        market_next(market, ticks);
        if (n < 0) continue;
        h.open[n] = (double)ticks[symbol].candle.open_e8 / 1e8;
        h.high[n] = (double)ticks[symbol].candle.high_e8 / 1e8;
        h.low[n] = (double)ticks[symbol].candle.low_e8 / 1e8;
        h.close[n] = (double)ticks[symbol].candle.close_e8 / 1e8;
        h.base[n] = ticks[symbol].oi_base;
        h.value[n] = (double)ticks[symbol].oi.value_e6 / 1e6;
    }
    market_free(market);
    return h;
}

static void history_deinit(struct history *h)
{
    free(h->open);
    free(h->high);
    free(h->low);
    free(h->close);
    free(h->base);
    free(h->value);
}

/* Within the hour after candle n, open interest has fallen by more than `fall`. */
static bool wiped_out(const struct history *h, int n, double fall)
{
    return n + 12 < h->count && h->base[n + 12] < h->base[n] * (1 - fall);
}

TEST(two_to_four_times_a_month_an_hour_wipes_out_a_twentieth_of_open_interest)
{
    struct history h = history_new(1, 0, 0, LONG_RUN);
    int crashes = 0, with_price = 0, deep = 0;

    for (int n = 0; n < h.count; n++) {
        if (!wiped_out(&h, n, 0.05)) continue;
        crashes++;
        with_price += h.close[n + 11] < h.open[n];
        deep += wiped_out(&h, n, 0.10) || wiped_out(&h, n + 3, 0.10);
        n += 288;
    }
    assert_in_range(crashes, 2 * (LONG_RUN / MONTH), 4 * (LONG_RUN / MONTH));
    assert_true(with_price > crashes * 9 / 10); /* the price falls with it */
    assert_in_range(deep, crashes / 20, crashes / 2);
    history_deinit(&h);
}

TEST(the_first_week_of_any_seed_shows_a_crash)
{
    int falling = 0;

    for (uint64_t seed = 0; seed < 100; seed++) {
        struct history h = history_new(seed, 0, 0, WEEK);
        int n = 0;

        while (n < h.count && !wiped_out(&h, n, 0.03))
            n++;
        assert_true(n < h.count);
        falling += h.low[n + 11] < h.open[n];
        history_deinit(&h);
    }
    assert_true(falling >= 90);
}

/* ---- statistics -------------------------------------------------------------------------- */

/* Measured from real candles; docs/simulated-market.md tells how. */
enum figure {
    DEVIATION,
    KURTOSIS,
    MEMORY_1,
    MEMORY_12,
    MEMORY_144,
    UP_SHARE,
    RANGE,
    OI_MEAN,
    OI_UP_SHARE,
    OI_P50,
    OI_P90,
    OI_P99,
    OI_FOLLOWS_PRICE,
    OI_BEFORE_PRICE,
    BASE_MEAN,
    BASE_UP_SHARE,
    BASE_P50,
    BASE_P90,
    BASE_P99,
    FIGURES,
};

/* Real: BTCUSDT perpetual, 5m, 2025-12-09 21:40 to 2025-12-31 24:00, 6364 candles. A quarter off
 * is allowed, more where the real figure itself hangs on a few candles. */
static const struct band {
    const char *name;
    double real, low, high;
} bands[FIGURES] = {
    [DEVIATION] = {"standard deviation of returns, %", 0.1259, 0.094, 0.157},
    [KURTOSIS] = {"kurtosis of returns", 23.4, 12, 35},
    [MEMORY_1] = {"autocorrelation of |returns|, 1", 0.368, 0.276, 0.460},
    [MEMORY_12] = {"autocorrelation of |returns|, 12", 0.246, 0.184, 0.307},
    [MEMORY_144] = {"autocorrelation of |returns|, 144", 0.042, -0.03, 0.09},
    [UP_SHARE] = {"share of up candles", 0.499, 0.48, 0.52},
    [RANGE] = {"mean (high - low) / close, %", 0.1515, 0.114, 0.189},
    [OI_MEAN] = {"mean |change of OI value|, %", 0.0928, 0.070, 0.116},
    [OI_UP_SHARE] = {"share of positive changes", 0.518, 0.49, 0.55},
    [OI_P50] = {"p50 of |change of OI value|, %", 0.0521, 0.039, 0.065},
    [OI_P90] = {"p90", 0.2136, 0.160, 0.267},
    [OI_P99] = {"p99", 0.643, 0.482, 0.804},
    [OI_FOLLOWS_PRICE] = {"correlation with the return before", 0.842, 0.63, 0.95},
    [OI_BEFORE_PRICE] = {"correlation with the same candle's return", 0.033, -0.05, 0.15},
    [BASE_MEAN] = {"mean |change of OI in base units|, %", 0.0410, 0.0308, 0.0513},
    [BASE_UP_SHARE] = {"share of positive changes, base", 0.517, 0.49, 0.57},
    [BASE_P50] = {"p50 of |change in base units|, %", 0.0178, 0.0133, 0.0223},
    [BASE_P90] = {"p90, base", 0.0949, 0.071, 0.119},
    [BASE_P99] = {"p99, base", 0.369, 0.277, 0.461},
};

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double percentile(const double *values, int count, double part)
{
    double *sorted = mem_alloc((size_t)count * sizeof(*sorted));
    double result;

    memcpy(sorted, values, (size_t)count * sizeof(*sorted));
    qsort(sorted, (size_t)count, sizeof(*sorted), double_compare);
    result = sorted[(int)(part * (count - 1))];
    free(sorted);
    return result;
}

static double mean(const double *values, int count)
{
    double sum = 0;

    for (int i = 0; i < count; i++)
        sum += values[i];
    return sum / count;
}

static double correlation(const double *a, const double *b, int count)
{
    double mean_a = mean(a, count), mean_b = mean(b, count);
    double ab = 0, aa = 0, bb = 0;

    for (int i = 0; i < count; i++) {
        ab += (a[i] - mean_a) * (b[i] - mean_b);
        aa += (a[i] - mean_a) * (a[i] - mean_a);
        bb += (b[i] - mean_b) * (b[i] - mean_b);
    }
    return ab / sqrt(aa * bb);
}

/* The mean power-th central moment. */
static double moment(const double *values, int count, int power)
{
    double center = mean(values, count), sum = 0;

    for (int i = 0; i < count; i++)
        sum += pow(values[i] - center, power);
    return sum / count;
}

/* Relative changes of a column: result[i] is from i to i + 1. The caller frees. */
static double *changes_of(const double *column, int count)
{
    double *changes = mem_alloc((size_t)count * sizeof(*changes));

    for (int i = 0; i + 1 < count; i++)
        changes[i] = column[i + 1] / column[i] - 1;
    return changes;
}

static double *sizes_of(const double *values, int count)
{
    double *sizes = mem_alloc((size_t)count * sizeof(*sizes));

    for (int i = 0; i < count; i++)
        sizes[i] = fabs(values[i]);
    return sizes;
}

static double share_positive(const double *values, int count)
{
    double positive = 0;

    for (int i = 0; i < count; i++)
        positive += values[i] > 0;
    return positive / count;
}

static void measure_prices(const struct history *h, double figures[FIGURES])
{
    int count = h->count - 1;
    double *returns = changes_of(h->close, h->count), *sizes = sizes_of(returns, count);
    double range = 0, up = 0;

    for (int i = 0; i < h->count; i++) {
        range += (h->high[i] - h->low[i]) / h->close[i];
        up += h->close[i] > h->open[i];
    }
    figures[DEVIATION] = 100 * sqrt(moment(returns, count, 2));
    figures[KURTOSIS] = moment(returns, count, 4) / pow(moment(returns, count, 2), 2);
    figures[MEMORY_1] = correlation(sizes, sizes + 1, count - 1);
    figures[MEMORY_12] = correlation(sizes, sizes + 12, count - 12);
    figures[MEMORY_144] = correlation(sizes, sizes + 144, count - 144);
    figures[UP_SHARE] = up / h->count;
    figures[RANGE] = 100 * range / h->count;
    free(returns);
    free(sizes);
}

static void measure_oi(const struct history *h, double figures[FIGURES])
{
    int count = h->count - 1;
    double *returns = changes_of(h->close, h->count);
    double *value = changes_of(h->value, h->count), *value_sizes = sizes_of(value, count);
    double *base = changes_of(h->base, h->count), *base_sizes = sizes_of(base, count);

    figures[OI_MEAN] = 100 * mean(value_sizes, count);
    figures[OI_UP_SHARE] = share_positive(value, count);
    figures[OI_P50] = 100 * percentile(value_sizes, count, 0.50);
    figures[OI_P90] = 100 * percentile(value_sizes, count, 0.90);
    figures[OI_P99] = 100 * percentile(value_sizes, count, 0.99);
    figures[OI_FOLLOWS_PRICE] = correlation(returns, value + 1, count - 1);
    figures[OI_BEFORE_PRICE] = correlation(returns, value, count);
    figures[BASE_MEAN] = 100 * mean(base_sizes, count);
    figures[BASE_UP_SHARE] = share_positive(base, count);
    figures[BASE_P50] = 100 * percentile(base_sizes, count, 0.50);
    figures[BASE_P90] = 100 * percentile(base_sizes, count, 0.90);
    figures[BASE_P99] = 100 * percentile(base_sizes, count, 0.99);
    free(returns);
    free(value);
    free(value_sizes);
    free(base);
    free(base_sizes);
}

TEST(the_figures_of_bitcoin_are_of_the_size_of_real_ones)
{
    double figures[FIGURES][WINDOWS];
    int outside = 0;

    for (int w = 0; w < WINDOWS; w++) {
        struct history h = history_new((uint64_t)w + 1, 0, WARM_UP, WINDOW);
        double of_window[FIGURES];

        measure_prices(&h, of_window);
        measure_oi(&h, of_window);
        for (int i = 0; i < FIGURES; i++)
            figures[i][w] = of_window[i];
        history_deinit(&h);
    }
    for (int i = 0; i < FIGURES; i++) {
        double median = percentile(figures[i], WINDOWS, 0.5);

        if (median >= bands[i].low && median <= bands[i].high) continue;
        fprintf(stderr, "%s: %g, real %g\n", bands[i].name, median, bands[i].real);
        outside++;
    }
    assert_int_equal(outside, 0);
}

/* Every 12th value of a column, so that changes are an hour's. The caller frees. */
static double *hourly(const double *column, int count)
{
    double *result = mem_alloc((size_t)(count / 12) * sizeof(*result));

    for (int i = 0; i < count / 12; i++)
        result[i] = column[i * 12];
    return result;
}

TEST(the_symbols_compare_as_real_ones_do)
{
    /* Real: 1h, 2024-06-19 to 2024-08-19. Deviation of returns against bitcoin's, correlation of
     * returns with bitcoin's, mean |change of open interest in base units| against bitcoin's. */
    static const struct {
        double deviation, correlation, oi;
    } real[MARKET_SYMBOLS] = {{1, 1, 1}, {1.21, 0.858, 0.87}, {1.64, 0.800, 1.17}};
    enum { HOURS = 20 * 1465 };
    double *returns[MARKET_SYMBOLS], deviation[MARKET_SYMBOLS], oi[MARKET_SYMBOLS];

    for (size_t i = 0; i < MARKET_SYMBOLS; i++) {
        struct history h = history_new(1, i, WARM_UP, 12 * HOURS);
        double *close = hourly(h.close, h.count), *base = hourly(h.base, h.count);
        double *changes = changes_of(base, HOURS), *sizes = sizes_of(changes, HOURS - 1);

        returns[i] = changes_of(close, HOURS);
        deviation[i] = sqrt(moment(returns[i], HOURS - 1, 2));
        oi[i] = mean(sizes, HOURS - 1);
        free(close);
        free(base);
        free(changes);
        free(sizes);
        history_deinit(&h);
    }
    for (size_t i = 1; i < MARKET_SYMBOLS; i++) {
        double together = correlation(returns[0], returns[i], HOURS - 1);

        assert_true(fabs(deviation[i] / deviation[0] / real[i].deviation - 1) < 0.15);
        assert_true(fabs(together / real[i].correlation - 1) < 0.15);
        assert_true(fabs(oi[i] / oi[0] / real[i].oi - 1) < 0.25);
    }
    for (size_t i = 0; i < MARKET_SYMBOLS; i++)
        free(returns[i]);
}

/* ---- what the heatmap makes of it -------------------------------------------------------- */

struct group {
    double price, volume;
    bool is_short;
};

/* Walks all groups for every candle: the heatmap's model, said a second time and slowly. */
struct naive_map {
    struct group groups[5 * WEEK];
    int count;
};

static bool naive_consume(struct naive_map *map, double low, double high)
{
    int kept = 0, before = map->count;

    for (int i = 0; i < map->count; i++) {
        const struct group *group = &map->groups[i];

        if (group->is_short ? group->price > high : group->price < low)
            map->groups[kept++] = *group;
    }
    map->count = kept;
    return kept < before;
}

static void naive_open(struct naive_map *map, double open, double close, double delta)
{
    static const double leverage[] = {5, 10, 25, 50, 100}, share[] = {.15, .30, .25, .20, .10};

    for (size_t i = 0; i < ARRAY_LEN(leverage); i++) {
        double side = close >= open ? -1 : 1;

        map->groups[map->count++] = (struct group){
            .price = close * (1 + side * (1 - 0.004) / leverage[i]),
            .volume = delta * share[i],
            .is_short = side > 0,
        };
    }
}

static void naive_shrink(struct naive_map *map, double delta)
{
    double total = 0, factor;
    int kept = 0;

    for (int i = 0; i < map->count; i++)
        total += map->groups[i].volume;
    factor = total > delta ? 1 - delta / total : 0;
    for (int i = 0; i < map->count; i++) {
        struct group group = map->groups[i];

        group.volume *= factor;
        if (group.volume >= 0.01) map->groups[kept++] = group;
    }
    map->count = kept;
}

/* The share of candles that consume at least one group. */
static double naive_hits(const struct history *h)
{
    struct naive_map *map = mem_zalloc(sizeof(*map));
    int hits = 0;

    for (int i = 0; i < h->count; i++) {
        double delta = i > 0 ? h->value[i] - h->value[i - 1] : 0;

        hits += naive_consume(map, h->low[i], h->high[i]);
        if (delta > 0) naive_open(map, h->open[i], h->close[i], delta);
        if (delta < 0) naive_shrink(map, -delta);
    }
    free(map);
    return (double)hits / h->count;
}

TEST(one_candle_in_ten_to_thirty_liquidates_somebody)
{
    /* Real: 0.039 to 0.057 by week in December 2025, and 0.074 to 0.097 for the same candles with
     * their directions tossed anew; see docs/simulated-market.md. */
    double hits[WINDOWS], median;

    for (int w = 0; w < WINDOWS; w++) {
        struct history h = history_new((uint64_t)w + 1, 0, WARM_UP, WEEK);

        hits[w] = naive_hits(&h);
        history_deinit(&h);
    }
    median = percentile(hits, WINDOWS, 0.5);
    assert_true(median > 0.033 && median < 0.10);
}
