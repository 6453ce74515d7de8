#include <math.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/list.h"
#include "test.h"

static void expect(struct buf *buf, const char *text)
{
    assert_int_equal(buf->size, strlen(text));
    assert_memory_equal(buf->data, text, buf->size);
    buf_clear(buf);
}

TEST(decimals_are_exact_and_as_short_as_can_be)
{
    static const struct {
        int64_t value;
        unsigned decimals;
        const char *text;
    } cases[] = {{0, 0, "0"},
                 {0, 5, "0"},
                 {1500, 2, "15"},
                 {-1250, 3, "-1.25"},
                 {1, 8, "0.00000001"},
                 {10, 1, "1"},
                 {-5, 1, "-0.5"},
                 {100, 2, "1"},
                 {101, 2, "1.01"},
                 {INT64_MAX, 0, "9223372036854775807"},
                 {INT64_MIN, 0, "-9223372036854775808"},
                 {INT64_MIN, 18, "-9.223372036854775808"}};
    struct buf buf = {0};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_add_decimal(&buf, cases[i].value, cases[i].decimals);
        expect(&buf, cases[i].text);
    }
    buf_deinit(&buf);
}

TEST(doubles_read_back_as_they_were)
{
    uint64_t seed = 1;
    struct buf buf = {0};

    buf_add_double(&buf, 0.1);
    expect(&buf, "0.1");
    buf_add_double(&buf, -0.0);
    expect(&buf, "0");
    buf_add_double(&buf, 5);
    expect(&buf, "5");
    for (int i = 0; i < 10000; i++) {
        uint64_t bits = test_random(&seed);
        double value;

        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value)) continue;
        buf_add_double(&buf, value);
        buf_add_char(&buf, '\0');
        assert_true(strtod(buf.data, NULL) == value);
        buf_clear(&buf);
    }
    buf_deinit(&buf);
}

TEST(json_strings_are_escaped_and_always_utf8)
{
    struct buf buf = {0};

    buf_add_json(&buf, STR("a\"b\\c\n\x01\xc3\xa9"));
    expect(&buf, "\"a\\\"b\\\\c\\u000a\\u0001\xc3\xa9\"");
    buf_add_json(&buf, STR("\xff\xc3"));
    expect(&buf, "\"\\ufffd\\ufffd\"");
    buf_add_json(&buf, (struct str){"a\0b", 3});
    expect(&buf, "\"a\\u0000b\"");
    buf_deinit(&buf);
}

TEST(times_are_written_and_read_back)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00Z"},
                 {951782400000, "2000-02-29T00:00:00Z"},
                 {1767002400000, "2025-12-29T10:00:00Z"},
                 {1767002400001, "2025-12-29T10:00:00.001Z"},
                 {253402300799999, "9999-12-31T23:59:59.999Z"}};
    struct buf buf = {0};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms;

        buf_add_time(&buf, cases[i].ms);
        assert_int_equal(time_parse(buf_str(&buf), &ms), 0);
        assert_int_equal(ms, cases[i].ms);
        expect(&buf, cases[i].text);
    }
    buf_deinit(&buf);
}

TEST(a_time_that_there_is_not_is_null)
{
    struct buf buf = {0};

    buf_add_time_field(&buf, "start", 0);
    expect(&buf, ",\"start\":\"1970-01-01T00:00:00Z\"");
    buf_add_time_field(&buf, "end", -1);
    expect(&buf, ",\"end\":null");
    buf_deinit(&buf);
}

TEST(every_day_of_400_years_keeps_its_date)
{
    int64_t day_ms = 86400000;

    for (int64_t day = 0; day < 146097; day++) {
        struct civil_time t = civil_from_ms(day * day_ms);

        assert_int_equal(ms_from_civil(t), day * day_ms);
    }
}

TEST(times_in_other_forms_are_understood)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"2025-12-29", 1766966400000},
                {"2025-12-29T10:00", 1767002400000},
                {"2025-12-29 10:00:00", 1767002400000},
                {"2025-12-29T10:00:00.5Z", 1767002400500},
                {"2025-12-29T12:00:00+02:00", 1767002400000},
                {"2025-12-29T05:30:00-0430", 1767002400000},
                {"1970-01-01T23:59:00+23:59", 0},
                {"9999-12-31T23:58:59.999-00:01", 253402300799999}};
    static const char *const bad[] = {"",
                                      "2025",
                                      "2025-13-01",
                                      "2025-02-29",
                                      "2025-12-29T",
                                      "2025-12-29X",
                                      "1969-12-31",
                                      "2025-12-29T24:00:00Z",
                                      "2025-12-29T10:00:00Q",
                                      "2025-12-29T10:60",
                                      "99999-01-01",
                                      "1970-01-01T23:58:59.999+23:59",
                                      "9999-12-31T23:59:00-00:01",
                                      "2025-12-29T10:00:00.Z"};
    int64_t ms = -1;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(time_parse(str_of(good[i].text), &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    ms = -1;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_true(time_parse(str_of(bad[i]), &ms) < 0);
        assert_int_equal(ms, -1);
    }
}

TEST(a_number_is_digits_up_to_a_bound)
{
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "-1",
                                      "1.0",
                                      "0x1",
                                      "1e1",
                                      "65536",
                                      "18446744073709551616",
                                      "99999999999999999999"};
    uint64_t number = 7;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_number(str_of(bad[i]), 65535, &number));
    assert_false(str_number((struct str){0}, 65535, &number));
    assert_false(str_number((struct str){"1\0", 2}, 65535, &number));
    assert_false(str_number(str_of("18446744073709551616"), UINT64_MAX, &number));
    assert_int_equal(number, 7);
    assert_true(str_number(str_of("0"), 0, &number) && number == 0);
    assert_true(str_number(str_of("0065535"), 65535, &number) && number == 65535);
    assert_true(str_number(str_of("18446744073709551615"), UINT64_MAX, &number));
    assert_true(number == UINT64_MAX);
}

TEST(spans_have_a_number_and_a_unit)
{
    int64_t ms = 0;

    assert_int_equal(span_parse(STR("12h"), &ms), 0);
    assert_int_equal(ms, 43200000);
    assert_int_equal(span_parse(STR("1y"), &ms), 0);
    assert_int_equal(ms, 31536000000);
    assert_int_equal(span_parse(STR("10y"), &ms), 0);
    assert_int_equal(span_parse(STR("11y"), &ms), ERR_RANGE);
    assert_int_equal(span_parse(STR("0d"), &ms), ERR_RANGE);
    assert_int_equal(span_parse(STR("d"), &ms), ERR_SYNTAX);
    assert_int_equal(span_parse(STR("5"), &ms), ERR_SYNTAX);
    assert_int_equal(span_parse(STR("5w"), &ms), ERR_SYNTAX);
    assert_int_equal(span_parse(STR("-5d"), &ms), ERR_SYNTAX);
    assert_int_equal(span_parse(STR("99999999999d"), &ms), ERR_SYNTAX);
}

TEST(listen_addresses_are_taken_apart)
{
    static const struct {
        const char *text, *host;
        int port;
    } good[] = {{"127.0.0.1:8000", "127.0.0.1", 8000},
                {"[::1]:80", "::1", 80},
                {":8000", "0.0.0.0", 8000},
                {"8000", "0.0.0.0", 8000},
                {"localhost:0", "localhost", 0}};
    static const char *const bad[] = {"",           "host",   "host:", "host:x",
                                      "host:65536", "::1:80", "h:1x"};
    char host[64];
    int port;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(host_port_parse(good[i].text, host, sizeof(host), &port), 0);
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(host_port_parse(bad[i], host, sizeof(host), &port), ERR_SYNTAX);
}

TEST(a_list_keeps_order_and_members_may_leave_while_it_is_walked)
{
    struct list head, members[5];
    int seen = 0;

    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_pop(&head));
    for (int i = 0; i < 5; i++)
        list_append(&head, &members[i]);
    LIST_FOR_EACH (it, after, &head) {
        assert_ptr_equal(it, &members[seen]);
        if (seen++ % 2) list_remove(it);
    }
    assert_int_equal(seen, 5);
    list_remove(&members[1]); /* already out: harmless */
    assert_ptr_equal(list_pop(&head), &members[0]);
    assert_ptr_equal(list_pop(&head), &members[2]);
    assert_ptr_equal(list_pop(&head), &members[4]);
    assert_null(list_pop(&head));
}

TEST(a_blob_lives_until_its_last_reference)
{
    struct buf buf = {0};
    struct blob *blob;

    buf_add_text(&buf, "hello");
    blob = blob_take(&buf);
    assert_null(buf.data);
    blob_ref(blob);
    blob_unref(blob);
    assert_memory_equal(blob->data, "hello", 5);
    blob_unref(blob);
    blob_unref(NULL);
}
