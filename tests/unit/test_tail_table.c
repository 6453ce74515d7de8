#include "tail_table.h"

#include <math.h>
#include <string.h>

#include "test.h"

#define LONG_SYMBOL "123456789012345678901234567890123" /* LIMIT_SYMBOL_BYTES and one */
#define BTC_HEAD                                                                                   \
    "{\"type\":\"snapshot\",\"symbol\":\"BTCUSDT\",\"timestamp\":\"2025-12-29T10:00:00Z\","        \
    "\"seq\":7,"

static const char btc[] =
    BTC_HEAD "\"data\":{\"current_price\":98450,\"levels\":["
             "{\"price\":97000,\"long_density\":1000000,\"short_density\":0},"
             "{\"price\":98000,\"long_density\":1500000,\"short_density\":500000},"
             "{\"price\":98400,\"long_density\":10,\"short_density\":0},"
             "{\"price\":99000,\"long_density\":0,\"short_density\":4000000}]}}";

static int take(struct tail_table *table, const char *text, const struct tail_view **view)
{
    json_t *snapshot = json_loads(text, 0, NULL);
    int err;

    assert_non_null(snapshot);
    err = tail_table_take(table, snapshot, view);
    json_decref(snapshot);
    return err;
}

static char *view_text(const struct tail_view *view, int columns, bool is_coloured)
{
    struct buf out = {0};

    tail_view_write(view, columns, is_coloured, &out);
    buf_add_char(&out, '\0');
    return out.data;
}

static void expect_human(double value, const char *expected)
{
    char text[16];

    tail_human(value, text, sizeof(text));
    assert_string_equal(text, expected);
}

TEST(numbers_have_three_digits_and_a_unit)
{
    expect_human(0, "0");
    expect_human(0.004, "0");
    expect_human(0.25, "0.25");
    expect_human(9.994, "9.99");
    expect_human(9.996, "10.0");
    expect_human(99.96, "100");
    expect_human(999.4, "999");
    expect_human(999.6, "1.00K");
    expect_human(1234, "1.23K");
    expect_human(1234567, "1.23M");
    expect_human(999600, "1.00M");
    expect_human(45.6e9, "45.6B");
    expect_human(789e12, "789T");
    expect_human(1e20, "1.0e+20");
    expect_human(1e30, "1.0e+30");
}

TEST(the_biggest_levels_are_kept_by_falling_price)
{
    const struct tail_view *view;
    struct tail_table table;

    tail_table_init(&table, 2);
    assert_int_equal(take(&table, btc, &view), 0);
    assert_int_equal(view->level_count, 2);
    assert_true(view->levels[0].price == 99000 && view->levels[1].price == 98000);
    /* The totals are of all levels. */
    assert_true(view->long_total == 2500010 && view->short_total == 4500000);
    tail_table_deinit(&table);
}

TEST(a_view_is_drawn_around_the_current_price)
{
    const struct tail_view *view;
    struct tail_table table;
    char *text;

    tail_table_init(&table, 3);
    assert_int_equal(take(&table, btc, &view), 0);
    text = view_text(view, 80, false);
    assert_string_equal(
        text, "BTCUSDT  2025-12-29T10:00:00Z  price 98450  seq 7  long 2.50M  short 4.50M\n"
              "  price    long   short\n"
              "  99000       0   4.00M  "
              "▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒\n"
              "> 98450  current price\n"
              "  98000   1.50M    500K  █████████████████████▒▒▒▒▒▒▒\n"
              "  97000   1.00M       0  █████████████▊\n");
    free(text);
    tail_table_deinit(&table);
}

TEST(colours_tell_longs_from_shorts)
{
    const struct tail_view *view;
    struct tail_table table;
    char *text;

    tail_table_init(&table, 3);
    assert_int_equal(take(&table, btc, &view), 0);
    text = view_text(view, 40, true);
    assert_non_null(strstr(text, "\033[36m█"));
    assert_non_null(strstr(text, "\033[35m█"));
    assert_null(strstr(text, "▒"));
    free(text);
    tail_table_deinit(&table);
}

TEST(no_line_is_wider_than_the_terminal)
{
    const struct tail_view *view;
    struct tail_table table;

    tail_table_init(&table, 3);
    assert_int_equal(take(&table, btc, &view), 0);
    for (int columns = 0; columns < 120; columns++) {
        char *text = view_text(view, columns, false);
        int used = 0;

        for (const char *at = text; *at; at++) {
            used = *at == '\n' ? 0 : used + ((*at & 0xc0) != 0x80); /* a character, a column */
            assert_true(used <= columns);
        }
        free(text);
    }
    tail_table_deinit(&table);
}

TEST(the_newest_snapshot_of_a_symbol_takes_the_place_of_the_last)
{
    const struct tail_view *first, *second;
    struct tail_table table;

    tail_table_init(&table, 3);
    assert_int_equal(take(&table, btc, &first), 0);
    assert_int_equal(take(&table, BTC_HEAD "\"data\":{\"levels\":[]}}", &second), 0);
    assert_ptr_equal(first, second);
    assert_int_equal(table.view_count, 1);
    assert_int_equal(second->level_count, 0);
    assert_true(isnan(second->price));
    tail_table_deinit(&table);
}

TEST(what_is_no_snapshot_changes_nothing)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        BTC_HEAD "\"data\":{}}",
        BTC_HEAD "\"data\":{\"levels\":{}}}",
        BTC_HEAD "\"data\":[{\"levels\":[]}]}",
        BTC_HEAD "\"data\":{\"levels\":[1]}}",
        BTC_HEAD "\"data\":{\"levels\":[{\"price\":1,\"long_density\":1}]}}",
        BTC_HEAD
        "\"data\":{\"levels\":[{\"price\":\"1\",\"long_density\":1,\"short_density\":1}]}}",
        BTC_HEAD "\"data\":{\"levels\":[{\"price\":1,\"long_density\":-1,\"short_density\":1}]}}",
        BTC_HEAD
        "\"data\":{\"levels\":[{\"price\":1,\"long_density\":1e300,\"short_density\":1}]}}",
        "{\"symbol\":1,\"timestamp\":\"\",\"data\":{\"levels\":[]}}",
        "{\"symbol\":\"A\",\"data\":{\"levels\":[]}}",
        "{\"symbol\":\"" LONG_SYMBOL "\",\"timestamp\":\"\",\"data\":{\"levels\":[]}}",
    };
    const struct tail_view *view = NULL;
    struct tail_table table;

    tail_table_init(&table, 3);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(take(&table, bad[i], &view), ERR_SYNTAX);
    assert_null(view);
    assert_int_equal(table.view_count, 0);
    tail_table_deinit(&table);
}

TEST(what_could_command_a_terminal_is_taken_out)
{
    const struct tail_view *view;
    struct tail_table table;

    tail_table_init(&table, 3);
    assert_int_equal(take(&table,
                          "{\"symbol\":\"A\\u001b[2J\\u009b\",\"timestamp\":\"\\n\","
                          "\"data\":{\"levels\":[]}}",
                          &view),
                     0);
    assert_string_equal(view->symbol, "A?[2J??");
    assert_string_equal(view->time, "?");
    tail_table_deinit(&table);
}

TEST(a_server_that_makes_up_symbols_fills_the_table_and_no_more)
{
    const struct tail_view *view;
    struct tail_table table;
    char text[128];

    tail_table_init(&table, 3);
    for (int i = 0; i < LIMIT_SYMBOLS_PER_MESSAGE + 5; i++) {
        snprintf(text, sizeof(text),
                 "{\"symbol\":\"S%d\",\"timestamp\":\"\",\"data\":{\"levels\":[]}}", i);
        assert_int_equal(take(&table, text, &view), i < LIMIT_SYMBOLS_PER_MESSAGE ? 0 : ERR_FULL);
    }
    assert_int_equal(table.view_count, LIMIT_SYMBOLS_PER_MESSAGE);
    tail_table_deinit(&table);
}

TEST(the_price_stands_below_all_levels_when_it_is_below_them)
{
    const struct tail_view *view;
    struct tail_table table;
    char *text;

    tail_table_init(&table, 3);
    assert_int_equal(take(&table,
                          BTC_HEAD "\"data\":{\"current_price\":0.5,\"levels\":["
                                   "{\"price\":1,\"long_density\":0,\"short_density\":0}]}}",
                          &view),
                     0);
    text = view_text(view, 80, false);
    assert_string_equal(strstr(text, "      1"), "      1       0       0  \n"
                                                 ">   0.5  current price\n");
    free(text);
    tail_table_deinit(&table);
}
