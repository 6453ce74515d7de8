/* Dump files as bytes: each is fed whole, byte by byte and cut at random; the same must come out.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "io/dump.h"

#define KLINES                                                                                     \
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"         \
    "taker_buy_quote_volume,ignore\n"
#define METRICS                                                                                    \
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_"     \
    "ratio,sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n"

#define K5 "1764547200000,90320.5,90396.9,89228.0,89771.4,5804.585,1764547499999,,,,,0"
#define M1 "2025-12-09 21:40:00,BTCUSDT,75707.5350000000000000,4909663927.7640000000000000,,,,"

/* What came out, as text, one line per event. */
struct listener {
    struct dump_sink sink;
    struct buf heard;
    bool is_strict;
};

static int hear_candles(struct dump_sink *sink, const char *symbol, const struct candle *candles,
                        size_t count)
{
    struct listener *l = container_of(sink, struct listener, sink);

    for (size_t i = 0; i < count; i++) {
        const struct candle *c = &candles[i];

        buf_printf(&l->heard, "%s %s %lld ", symbol, dump_step_text(c->step_ms),
                   (long long)c->open_time_ms);
        buf_printf(&l->heard, "%lld %lld %lld %lld %.17g\n", (long long)c->open_e8,
                   (long long)c->high_e8, (long long)c->low_e8, (long long)c->close_e8, c->volume);
    }
    return 0;
}

static int hear_points(struct dump_sink *sink, const char *symbol, const struct dump_point *points,
                       size_t count)
{
    struct listener *l = container_of(sink, struct listener, sink);

    for (size_t i = 0; i < count; i++)
        buf_printf(&l->heard, "%s %lld %.17g %.17g\n", symbol, (long long)points[i].time_ms,
                   points[i].value, points[i].base);
    return 0;
}

static int hear_bad_row(struct dump_sink *sink, uint64_t line, const char *reason)
{
    struct listener *l = container_of(sink, struct listener, sink);

    buf_printf(&l->heard, "%llu: %s\n", (unsigned long long)line, reason);
    return l->is_strict ? ERR_SYNTAX : 0;
}

enum cutting { WHOLE, BYTES, RANDOM, CUTTINGS };

/* Everything heard, then the refusal's reason if there is one. The caller frees the text. */
static char *read_dump(const char *name, const char *text, size_t size, enum cutting cutting,
                       uint64_t *seed)
{
    struct listener l = {{hear_candles, hear_points, hear_bad_row}, {0}, false};
    struct dump *dump = mem_alloc(sizeof(*dump));
    struct dump_name parsed;
    char *heard;
    int err = 0;

    dump_name_parse(name, &parsed);
    dump_init(dump, &parsed, &l.sink);
    for (size_t at = 0; at < size && !err;) {
        size_t part = cutting == WHOLE ? size : cutting == BYTES ? 1 : 1 + test_random(seed) % 40;

        part = MIN(part, size - at);
        err = dump_feed(dump, text + at, part);
        at += part;
    }
    if (!err) err = dump_finish(dump);
    if (err) {
        assert_true(err == ERR_SYNTAX || err == ERR_UNKNOWN);
        buf_printf(&l.heard, "%s: %s\n", err == ERR_UNKNOWN ? "unknown" : "refused", dump->reason);
    }
    heard = mem_strndup(l.heard.data ? l.heard.data : "", l.heard.size);
    buf_deinit(&l.heard);
    dump_deinit(dump);
    free(dump);
    return heard;
}

static void expect_bytes(const char *name, const char *text, size_t size, const char *expected)
{
    uint64_t seed = 3;

    for (int round = 0; round < 12; round++) {
        char *heard = read_dump(name, text, size, MIN(round, RANDOM), &seed);

        if (strcmp(heard, expected) != 0)
            fail_msg("%s, round %d:\n%s--- instead of\n%s", name, round, heard, expected);
        free(heard);
    }
}

static void expect(const char *name, const char *text, const char *expected)
{
    expect_bytes(name, text, strlen(text), expected);
}

static const char k5_heard[] =
    "BTCUSDT 5m 1764547200000 9032050000000 9039690000000 8922800000000 8977140000000 "
    "5804.585\n";
static const char m1_heard[] = "BTCUSDT 1765316400000 4909663927.7639999 75707.535000000003\n";

TEST(klines_come_with_and_without_a_header_and_with_every_line_ending)
{
    static const char *const texts[] = {KLINES K5 "\n",
                                        K5 "\n",
                                        K5,
                                        K5 "\r\n",
                                        "\xEF\xBB\xBF" KLINES K5 "\n",
                                        "\xEF\xBB\xBF" K5,
                                        "\n\n" KLINES "\n" K5 "\n\n"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        expect("BTCUSDT-5m-2025-12.csv", texts[i], k5_heard);
}

TEST(microseconds_are_the_same_moments)
{
    expect("BTCUSDT-5m-2025-12.csv",
           "1764547200000000,90320.5,90396.9,89228.0,89771.4,5804.585,1764547499999999,,,,,0\n",
           k5_heard);
    expect("BTCUSDT-5m-2025-12.csv",
           "1764547200000001,90320.5,90396.9,89228.0,89771.4,5804.585,1764547500000000,,,,,0\n",
           "1: open_time 1764547200000001 is no full 5m\n");
}

TEST(symbol_and_step_come_from_name_folder_and_content)
{
    static const char *const names[] = {"BTCUSDT-5m-2025-12.csv",
                                        "/a/b/BTCUSDT-5m.csv",
                                        "BTCUSDT-klines-1.csv",
                                        "BTCUSDT/klines/december.csv",
                                        "futures/um/monthly/klines/BTCUSDT/5m/x.csv",
                                        "ETHUSDT/klines/BTCUSDT-5m-2025-12.csv"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        expect(names[i], KLINES K5, k5_heard);
    expect("december.csv", KLINES K5,
           "refused: neither its name nor its folder tells the symbol; a name is like "
           "BTCUSDT-5m-2025-12.csv\n");
    expect("klines/2025/december.csv", KLINES K5,
           "refused: neither its name nor its folder tells the symbol; a name is like "
           "BTCUSDT-5m-2025-12.csv\n");
}

TEST(all_five_steps_are_read_and_no_other)
{
    static const struct {
        const char *step;
        long long ms;
    } steps[] = {{"1m", 60000}, {"5m", 300000}, {"15m", 900000}, {"30m", 1800000}, {"1h", 3600000}};
    char name[64], text[200], heard[200];

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        snprintf(name, sizeof(name), "A-%s-2025.csv", steps[i].step);
        snprintf(text, sizeof(text), "1764547200000,1,1,1,1,0,%lld,,,,,\n",
                 1764547200000 + steps[i].ms - 1);
        snprintf(heard, sizeof(heard),
                 "A %s 1764547200000 100000000 100000000 100000000 100000000 0\n", steps[i].step);
        expect(name, text, heard);
        expect("A-klines.csv", text, heard);
    }
    expect("A-klines.csv", "1764547200000,1,1,1,1,0,1764547379999,,,,,\n",
           "1: open_time 1764547200000 and close_time 1764547379999 are no 1m, 5m, 15m, 30m or 1h "
           "apart\n");
}

TEST(a_name_that_contradicts_the_content_refuses_the_file)
{
    expect("BTCUSDT-1h-2025-12.csv", KLINES K5, "refused: its name says 1h, but line 2 is of 5m\n");
    expect("BTCUSDT-metrics-2025-12-09.csv", KLINES K5,
           "refused: its name says metrics, its content is klines\n");
    expect("BTCUSDT-5m-2025-12.csv", METRICS M1,
           "refused: its name says klines, its content is metrics\n");
}

TEST(other_kinds_are_named)
{
    static const struct {
        const char *name, *text, *heard;
    } cases[] = {
        {"A-trades-2025-12.csv", "1,2,3\n", "trades"},
        {"A-aggTrades-2025-12.csv", "1,2,3\n", "aggTrades"},
        {"A-4h-2025-12.csv", K5, "4h klines"},
        {"A-1mo-2025-12.csv", K5, "1mo klines"},
        {"data/spot/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-12.csv", K5, "spot"},
        {"um/daily/markPriceKlines/BTCUSDT/5m/BTCUSDT-5m-2025-12.csv", K5, "markPriceKlines"},
    };
    char heard[200];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(heard, sizeof(heard),
                 "unknown: %s: only klines of 1m, 5m, 15m, 30m, 1h and metrics of futures are "
                 "read\n",
                 cases[i].heard);
        expect(cases[i].name, cases[i].text, heard);
    }
    expect("x.csv", "agg_trade_id,price,quantity\n1,2,3\n",
           "unknown: aggTrades by its header: only klines and metrics are read\n");
    expect("liquidations-1h-2024.csv", "open_time,utc,long_liquidated_base\n1,2,3\n",
           "unknown: neither klines nor metrics, by its name and its first line\n");
    expect("x.csv",
           "\x7F"
           "ELF\x01\x02",
           "unknown: neither klines nor metrics, by its name and its "
           "first line\n");
}

TEST(an_empty_file_is_refused_and_a_header_alone_is_not)
{
    expect("BTCUSDT-5m-2025-12.csv", "", "refused: it is empty\n");
    expect("BTCUSDT-5m-2025-12.csv", "\n\n", "refused: it is empty\n");
    expect("x.csv", "", "unknown: it is empty\n");
    expect("BTCUSDT-5m-2025-12.csv", KLINES, "");
    expect("BTCUSDT-metrics-2025-12-09.csv", METRICS, "");
}

/* A second row of a 5m file, and what is wrong with it. */
static void expect_bad(const char *row, const char *reason)
{
    char *text = mem_printf(KLINES K5 "\n%s\n", row);
    char *heard = mem_printf("3: %s\n%s", reason, k5_heard);

    expect("BTCUSDT-5m-2025-12.csv", text, heard);
    free(text);
    free(heard);
}

TEST(every_bad_kline_is_told_with_its_line_and_its_reason)
{
    static const struct {
        const char *row, *reason;
    } cases[] = {
        {"1764547500000,1,1,1,1,1,1764547799999,,,,", "11 columns instead of 12"},
        {"1764547500000,1,1,1,1,1,1764547799999,,,,,,", "13 columns instead of 12"},
        {"x", "1 column instead of 12"},
        {"17645475000x0,1,1,1,1,1,1764547799999,,,,,",
         "open_time '17645475000x0' is not a whole number"},
        {",1,1,1,1,1,1764547799999,,,,,", "open_time '' is not a whole number"},
        {"1764547500000.5,1,1,1,1,1,1764547799999,,,,,",
         "open_time '1764547500000.5' is not a whole number"},
        {"-1764547500000,1,1,1,1,1,1764547799999,,,,,",
         "open_time '-1764547500000' is not a whole number"},
        {"1764547500,1,1,1,1,1,1764547799,,,,,",
         "open_time '1764547500' is outside 2017-01-01 to 2100-01-01"},
        {"1483228799999,1,1,1,1,1,1764547799999,,,,,",
         "open_time '1483228799999' is outside 2017-01-01 to 2100-01-01"},
        {"4102444800000,1,1,1,1,1,1764547799999,,,,,",
         "open_time '4102444800000' is outside 2017-01-01 to 2100-01-01"},
        {"1764547500000,1,1,1,1,1,,,,,,", "close_time '' is not a whole number"},
        {"1764547500000,1,1,1,1,1,1764547799998,,,,,",
         "close_time 1764547799998 is not 5m after open_time 1764547500000"},
        {"1764547500000,1,1,1,1,1,1764547559999,,,,,",
         "close_time 1764547559999 is not 5m after open_time 1764547500000"},
        {"1764547560000,1,1,1,1,1,1764547859999,,,,,", "open_time 1764547560000 is no full 5m"},
        {"1764546900000,1,1,1,1,1,1764547199999,,,,,",
         "open_time 1764546900000 is before line 2's: out of order"},
        {"1764547200000,90320.5,90396.9,89228.0,89771.4,5804.586,1764547499999,,,,,0",
         "other values than line 2 for the same open_time 1764547200000"},
        {"1764547500000,,1,1,1,1,1764547799999,,,,,", "open '' is not a number"},
        {"1764547500000,nan,1,1,1,1,1764547799999,,,,,", "open 'nan' is not a number"},
        {"1764547500000,1,inf,1,1,1,1764547799999,,,,,", "high 'inf' is not a number"},
        {"1764547500000,1,1,0x1,1,1,1764547799999,,,,,", "low '0x1' is not a number"},
        {"1764547500000,1,1,1, 1,1,1764547799999,,,,,", "close ' 1' is not a number"},
        {"1764547500000,\"1\",1,1,1,1,1764547799999,,,,,", "open '\"1\"' is not a number"},
        {"1764547500000,1.,1,1,1,1,1764547799999,,,,,", "open '1.' is not a number"},
        {"1764547500000,.5,1,1,1,1,1764547799999,,,,,", "open '.5' is not a number"},
        {"1764547500000,+1,1,1,1,1,1764547799999,,,,,", "open '+1' is not a number"},
        {"1764547500000,1e999,1,1,1,1,1764547799999,,,,,", "open '1e999' is not a number"},
        {"1764547500000,1e,1,1,1,1,1764547799999,,,,,", "open '1e' is not a number"},
        {"1764547500000,--1,1,1,1,1,1764547799999,,,,,", "open '--1' is not a number"},
        {"1764547500000,\x1B[31m,1,1,1,1,1764547799999,,,,,", "open '?[31m' is not a number"},
        {"1764547500000,0,1,1,1,1,1764547799999,,,,,", "open 0 is not above 0"},
        {"1764547500000,1,1,-1,1,1,1764547799999,,,,,", "low -1 is not above 0"},
        {"1764547500000,1,1,0.000000001,1,1,1764547799999,,,,,", "low 0.000000001 is not above 0"},
        {"1764547500000,1,1000000001,1,1,1,1764547799999,,,,,",
         "high 1000000001 is above 1000000000"},
        {"1764547500000,1,1,2,1,1,1764547799999,,,,,", "high 1 is below low 2"},
        {"1764547500000,3,2,1,1,1,1764547799999,,,,,", "open 3 is outside low 1 to high 2"},
        {"1764547500000,2,2,1,0.5,1,1764547799999,,,,,", "close 0.5 is outside low 1 to high 2"},
        {"1764547500000,1,1,1,1,-0.5,1764547799999,,,,,", "volume -0.5 is negative"},
        {"1764547500000,1,1,1,1,x,1764547799999,,,,,", "volume 'x' is not a number"},
        {KLINES, "open_time 'open_time' is not a whole number"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_bad(cases[i].row, cases[i].reason);
}

TEST(numbers_are_read_to_the_nearest_double)
{
    static const char *const numbers[] = {"0.1",
                                          "123456789.123456789",
                                          "0.30000000000000004",
                                          "9007199254740993",
                                          "1e-7",
                                          "2.5E+3",
                                          "00012.50",
                                          "5804.5850000000000000",
                                          "0.0000000000000000000000000001",
                                          "999999999999999999",
                                          "-0"};
    char text[300], heard[300];

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        snprintf(text, sizeof(text), "1764547200000,1,1,1,1,%s,1764547499999,,,,,", numbers[i]);
        snprintf(heard, sizeof(heard),
                 "A 5m 1764547200000 100000000 100000000 100000000 100000000 %.17g\n",
                 strtod(numbers[i], NULL));
        expect("A-5m-2025.csv", text, heard);
    }
}

TEST(a_volume_may_be_as_large_as_its_bound_and_no_larger)
{
    expect("A-5m-2025.csv", "1764547200000,1,1,1,1,1000000000000000000,1764547499999,,,,,",
           "A 5m 1764547200000 100000000 100000000 100000000 100000000 1e+18\n");
    expect("A-5m-2025.csv", "1764547200000,1,1,1,1,1000000000000000200,1764547499999,,,,,",
           "1: volume 1000000000000000200 is above 1e+18\n");
}

TEST(a_row_that_repeats_another_is_known_and_not_bad)
{
    expect("BTCUSDT-5m-2025-12.csv", K5 "\n" K5 "\n" K5 "\n", k5_heard);
    expect("BTCUSDT-metrics-2025-12-09.csv", METRICS M1 "\n" M1 "\n", m1_heard);
}

TEST(metrics_are_sorted_and_their_times_come_in_several_forms)
{
    static const char *const times[] = {"2025-12-09 21:40:00", "2025-12-09T21:40:00Z",
                                        "2025-12-09 21:40", "1765316400000", "1765316400000000"};
    char text[300];

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        snprintf(text, sizeof(text), "%s,BTCUSDT,75707.535,4909663927.764,1.5,,x,", times[i]);
        expect("BTCUSDT-metrics-2025-12-09.csv", text, m1_heard);
    }
    expect("x.csv",
           METRICS "2025-12-10 00:00:00,B,1,2,,,,\n2025-12-09 00:05:00,A,1,3,,,,\n"
                   "2025-12-09 00:00:00,B,0,0,,,,\n",
           "B 1765238400000 0 0\nB 1765324800000 2 1\nA 1765238700000 3 1\n");
}

TEST(every_bad_row_of_metrics_is_told)
{
    static const struct {
        const char *row, *reason;
    } cases[] = {
        {"2025-12-09 21:45:00,BTCUSDT,1,2,,,", "7 columns instead of 8"},
        {"2025-12-09 25:45:00,BTCUSDT,1,2,,,,", "create_time '2025-12-09 25:45:00' is not a time"},
        {",BTCUSDT,1,2,,,,", "create_time '' is not a time"},
        {"2016-12-31 23:55:00,BTCUSDT,1,2,,,,",
         "create_time '2016-12-31 23:55:00' is outside 2017-01-01 to 2100-01-01"},
        {"17,BTCUSDT,1,2,,,,", "create_time '17' is outside 2017-01-01 to 2100-01-01"},
        {"2025-12-09 21:45:00,ETHUSDT,1,2,,,,", "symbol ETHUSDT in a file of BTCUSDT"},
        {"2025-12-09 21:45:00,btcusdt,1,2,,,,", "'btcusdt' is not a symbol"},
        {"2025-12-09 21:45:00,BTCUSDT,,2,,,,", "sum_open_interest '' is not a number"},
        {"2025-12-09 21:45:00,BTCUSDT,1,NaN,,,,", "sum_open_interest_value 'NaN' is not a number"},
        {"2025-12-09 21:45:00,BTCUSDT,-1,2,,,,", "sum_open_interest -1 is negative"},
        {"2025-12-09 21:45:00,BTCUSDT,1,-2,,,,", "sum_open_interest_value -2 is negative"},
        {"2025-12-09 21:45:00,BTCUSDT,1,1000000000001,,,,",
         "sum_open_interest_value 1000000000001 is above 1000000000000"},
        {"2025-12-09 21:40:00,BTCUSDT,1,2,,,,",
         "other values than line 2 for the same create_time"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = mem_printf(METRICS M1 "\n%s\n", cases[i].row);
        char *heard = mem_printf("3: %s\n%s", cases[i].reason, m1_heard);

        expect("BTCUSDT-metrics-2025-12-09.csv", text, heard);
        free(text);
        free(heard);
    }
}

TEST(a_line_without_an_end_is_bounded)
{
    size_t size = 3 * LIMIT_DUMP_LINE_BYTES;
    char *text = mem_alloc(size), *heard;
    const char *end = "\n1764547500000,1,1,1,1,1,1764547799999,,,,,\n";
    uint64_t seed = 1;

    memset(text, 'x', size);
    memcpy(text, K5 "\n", sizeof(K5));
    memcpy(text + size - strlen(end), end, strlen(end));
    for (enum cutting cutting = WHOLE; cutting < CUTTINGS; cutting++) {
        heard = read_dump("BTCUSDT-5m-2025-12.csv", text, size, cutting, &seed);
        assert_non_null(strstr(heard, "2: longer than 4096 bytes\nBTCUSDT"));
        assert_non_null(strstr(heard, "BTCUSDT 5m 1764547500000"));
        free(heard);
    }
    free(text);
}

TEST(random_bytes_never_do_harm)
{
    static const char alphabet[] = "0123456789.,-eE\n\r\"xBTCUSDT: \0\xFF";
    static const char *const names[] = {"BTCUSDT-5m-2025.csv", "BTCUSDT-metrics-1.csv", "x.csv"};
    static const char *const starts[] = {KLINES, METRICS, K5 "\n"};
    uint64_t seed = 11;

    for (int round = 0; round < 3000; round++) {
        const char *start = starts[test_random(&seed) % 3], *name = names[test_random(&seed) % 3];
        char text[1200], *heard;
        size_t size = strlen(start);

        memcpy(text, start, size);
        for (size_t i = test_random(&seed) % 600; i; i--)
            text[size++] = alphabet[test_random(&seed) % sizeof(alphabet)];
        heard = read_dump(name, text, size, WHOLE, &seed);
        for (enum cutting cutting = BYTES; cutting < CUTTINGS; cutting++) {
            char *again = read_dump(name, text, size, cutting, &seed);

            assert_string_equal(again, heard);
            free(again);
        }
        free(heard);
    }
}
