#include "io/cell.h"

#include <string.h>

#include "test.h"

TEST(numbers_are_those_of_json_and_round_to_the_nearest_double)
{
    static const char *const good[] = {"0",
                                       "-0",
                                       "0.1",
                                       "00012.50",
                                       "1e-7",
                                       "2.5E+3",
                                       "-1.5e2",
                                       "9007199254740993",
                                       "0.30000000000000004",
                                       "5804.5850000000000000",
                                       "123456789.123456789",
                                       "0.0000000000000000000001"};
    static const char *const bad[] = {"",    "-",   "+1", ".5", "5.",  "1e",    "1e+", "0x10",
                                      "inf", "nan", " 1", "1 ", "1,5", "1e999", "--1", "1.2.3"};
    double value;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(cell_parse_number(str_of(good[i]), &value));
        assert_true(value == strtod(good[i], NULL));
    }
    value = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(cell_parse_number(str_of(bad[i]), &value));
    assert_true(value == 7);
}

TEST(a_number_of_more_than_64_bytes_is_none)
{
    char digits[65];
    double value;

    memset(digits, '1', sizeof(digits));
    assert_true(cell_parse_number((struct str){digits, 64}, &value));
    assert_false(cell_parse_number((struct str){digits, 65}, &value));
}

TEST(epochs_are_milliseconds_or_microseconds_between_2017_and_2100)
{
    int64_t value = 7;
    bool is_us = true;

    assert_int_equal(cell_parse_epoch(STR("1483228799999"), &value, &is_us), ERR_RANGE);
    assert_int_equal(cell_parse_epoch(STR("4102444800000000"), &value, &is_us), ERR_RANGE);
    assert_int_equal(cell_parse_epoch(STR("1764547200"), &value, &is_us), ERR_RANGE);
    assert_int_equal(cell_parse_epoch(STR(""), &value, &is_us), ERR_SYNTAX);
    assert_int_equal(cell_parse_epoch(STR("-1764547200000"), &value, &is_us), ERR_SYNTAX);
    assert_int_equal(cell_parse_epoch(STR("1764547200000.0"), &value, &is_us), ERR_SYNTAX);
    assert_int_equal(cell_parse_epoch(STR("1764547200000000000"), &value, &is_us), ERR_SYNTAX);
    assert_true(value == 7 && is_us);
    assert_int_equal(cell_parse_epoch(STR("1483228800000"), &value, &is_us), 0);
    assert_true(value == INT64_C(1483228800000) && !is_us);
    assert_int_equal(cell_parse_epoch(STR("1764547200000123"), &value, &is_us), 0);
    assert_true(value == INT64_C(1764547200000123) && is_us);
}

TEST(times_are_epochs_or_calendar_times)
{
    static const char *const same[] = {"2025-12-01 00:00:00", "2025-12-01T00:00:00Z", "2025-12-01",
                                       "1764547200000", "1764547200000000"};
    int64_t time_ms;

    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        time_ms = 0;
        assert_int_equal(cell_parse_time(str_of(same[i]), &time_ms), 0);
        assert_int_equal(time_ms, INT64_C(1764547200000));
    }
    assert_int_equal(cell_parse_time(STR("2016-12-31 23:59:59"), &time_ms), ERR_RANGE);
    assert_int_equal(cell_parse_time(STR("2100-01-01"), &time_ms), ERR_RANGE);
    assert_int_equal(cell_parse_time(STR("17645472"), &time_ms), ERR_RANGE);
    assert_int_equal(cell_parse_time(STR("yesterday"), &time_ms), ERR_SYNTAX);
    assert_int_equal(time_ms, INT64_C(1764547200000));
}

TEST(a_shown_cell_is_short_and_printable)
{
    assert_string_equal(cell_show(STR("")).text, "");
    assert_string_equal(cell_show(STR("a\x1b[2J\xc3\xb6")).text, "a?[2J??");
    assert_string_equal(cell_show(STR("1234567890123456789012345678901234567890")).text,
                        "1234567890123456789012345678901234567890");
    assert_string_equal(cell_show(STR("12345678901234567890123456789012345678901")).text,
                        "1234567890123456789012345678901234567890...");
}
