#include "io/dump_name.h"

#include <string.h>

#include "test.h"

static void expect(const char *path, enum dump_kind kind, const char *symbol, int64_t step_ms)
{
    struct dump_name name;

    dump_name_parse(path, &name);
    assert_int_equal(name.kind, kind);
    assert_string_equal(name.symbol, symbol);
    assert_int_equal(name.step_ms, step_ms);
}

static void expect_other(const char *path, const char *what)
{
    struct dump_name name;

    dump_name_parse(path, &name);
    assert_int_equal(name.kind, DUMP_OTHER);
    assert_string_equal(name.other, what);
}

TEST(the_file_s_name_tells_kind_symbol_and_interval)
{
    expect("BTCUSDT-5m-2025-12.csv", DUMP_KLINES, "BTCUSDT", 300000);
    expect("/a/b/1000PEPEUSDT-1h.csv", DUMP_KLINES, "1000PEPEUSDT", 3600000);
    expect("BTCUSDT-metrics-2025-12-09.zip", DUMP_METRICS, "BTCUSDT", 0);
    expect("BTCUSDT-klines (1).csv", DUMP_KLINES, "BTCUSDT", 0);
    expect("december.csv", DUMP_UNKNOWN, "", 0);
    expect("btcusdt-5m-2025-12.csv", DUMP_UNKNOWN, "", 0);
    expect("", DUMP_UNKNOWN, "", 0);
}

TEST(folders_tell_where_the_name_does_not)
{
    expect("BTCUSDT/klines/x.csv", DUMP_KLINES, "BTCUSDT", 0);
    expect("um/daily/metrics/BTCUSDT/x.csv", DUMP_METRICS, "BTCUSDT", 0);
    expect("klines/2025/x.csv", DUMP_KLINES, "", 0);
    expect("ETHUSDT/klines/BTCUSDT-5m-2025-12.csv", DUMP_KLINES, "BTCUSDT", 300000);
}

TEST(what_is_neither_klines_of_ours_nor_metrics_is_named)
{
    expect_other("BTCUSDT-4h-2025-12.csv", "4h klines");
    expect_other("BTCUSDT-aggTrades-2025-12.csv", "aggTrades");
    expect_other("um/markPriceKlines/BTCUSDT/5m/BTCUSDT-5m-2025-12.csv", "markPriceKlines");
    expect_other("spot/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-12.csv", "spot");
}

TEST(the_archive_s_name_completes_its_member_s)
{
    struct dump_name name, around;

    dump_name_parse("x.csv", &name);
    dump_name_parse("BTCUSDT-5m-2025-12.zip", &around);
    dump_name_complete(&name, &around);
    assert_int_equal(name.kind, DUMP_KLINES);
    assert_string_equal(name.symbol, "BTCUSDT");
    assert_int_equal(name.step_ms, 300000);
    dump_name_parse("ETHUSDT-1m-2025-12.csv", &name);
    dump_name_complete(&name, &around);
    assert_string_equal(name.symbol, "ETHUSDT");
    assert_int_equal(name.step_ms, 60000);
}

TEST(five_intervals_have_a_text)
{
    assert_string_equal(dump_step_text(60000), "1m");
    assert_string_equal(dump_step_text(3600000), "1h");
    assert_null(dump_step_text(0));
    assert_null(dump_step_text(14400000));
}

TEST(symbols_are_capitals_digits_and_underscores)
{
    static const struct {
        const char *text;
        bool is_symbol;
    } cases[] = {{"BTCUSDT", true},
                 {"1000PEPEUSDT", true},
                 {"BTCUSD_PERP", true},
                 {"A", true},
                 {"", false},
                 {"btc", false},
                 {"A-B", false},
                 {"A B", false},
                 {"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", true},
                 {"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(dump_is_symbol(str_of(cases[i].text)), cases[i].is_symbol);
}
