#include "heat/snapshot.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "heat/decimal.h"
#include "test.h"

static const int64_t one_e12 = INT64_C(1000000000000);

static void assert_text(struct buf *out, const char *expected)
{
    if (!str_eq(buf_str(out), str_of(expected)))
        print_error("%.*s\n%s\n", (int)out->size, out->data, expected);
    assert_true(str_eq(buf_str(out), str_of(expected)));
    buf_deinit(out);
}

static struct snapshot example(struct level *levels, size_t level_count)
{
    return (struct snapshot){
        .time_ms = INT64_C(1767002400000), /* 2025-12-29T10:00:00Z */
        .bin_e12 = 100 * one_e12,
        .current_price_e8 = INT64_C(9845000000000),
        .positions_created = 5,
        .positions_consumed = 2,
        .levels = levels,
        .level_count = level_count,
    };
}

TEST(facts_are_written_as_the_protocol_shows_them)
{
    struct snapshot snapshot = example(NULL, 0);
    struct buf out = {0};

    snapshot_write_facts(&out, &snapshot);
    assert_text(&out, "\"current_price\":98450,\"positions_created\":5,\"positions_consumed\":2,"
                      "\"price_bin_size\":100");
}

TEST(a_row_is_written_as_the_protocol_shows_it)
{
    struct level levels[] = {{980, 150000000, 20000000}, {981, 0, 1}, {1000, 1050, 0}};
    struct snapshot snapshot = example(levels, 3);
    struct buf out = {0};

    snapshot_write_row(&out, &snapshot);
    assert_text(&out, "{\"timestamp\":\"2025-12-29T10:00:00Z\",\"levels\":["
                      "{\"price\":98000,\"long_density\":1500000,\"short_density\":200000},"
                      "{\"price\":98100,\"long_density\":0,\"short_density\":0.01},"
                      "{\"price\":100000,\"long_density\":10.5,\"short_density\":0}],"
                      "\"positions_created\":5,\"positions_consumed\":2}");
}

TEST(no_levels_are_an_empty_list)
{
    struct snapshot snapshot = {0};
    struct buf out = {0};

    snapshot_write_levels(&out, &snapshot);
    assert_text(&out, "[]");
}

static void assert_price(int64_t bucket, int64_t bin_e12, const char *expected)
{
    struct buf out = {0};

    snapshot_write_price(&out, bucket, bin_e12);
    assert_text(&out, expected);
}

TEST(a_price_is_its_shortest_exact_decimal)
{
    assert_price(0, 100 * one_e12, "0");
    assert_price(980, 100 * one_e12, "98000");
    assert_price(3, 5 * one_e12 / 2, "7.5");
    assert_price(4, 5 * one_e12 / 2, "10");
    assert_price(8008, 1, "0.000000008008");
    assert_price(1, 1, "0.000000000001");
    assert_price(500, one_e12 / 5000, "0.1");
    assert_price(1200, 1000000 * one_e12, "1200000000");
    /* Beyond 64 bits. */
    assert_price(INT64_C(1000000000000000007), 300, "300000000.0000000021");
    assert_price(INT64_MAX, 1, "9223372.036854775807");
    assert_price(INT64_MAX, 30, "276701161.10564327421");
    assert_price(INT64_C(1000000000000000000), 1000000, "1000000000000");
    assert_price(INT64_C(99999999999999), 123456789012, "12345678901199.876543210988");
    assert_price(INT64_MAX, 1000000 * one_e12, "9223372036854775807000000");
    assert_price(INT64_MAX, 999999 * one_e12 + 1, "9223362813482738961447565.036854775807");
}

/* The same by long division of the exact product. */
TEST(random_prices_are_their_shortest_exact_decimals)
{
    uint64_t seed = 6;

    for (int i = 0; i < 100000; i++) {
        int64_t bucket = (int64_t)(test_random(&seed) >> 1 >> test_random(&seed) % 63);
        int64_t bin_e12 = 1 + (int64_t)(test_random(&seed) % (1000000 * one_e12));
        int128 rest;
        char text[80];
        size_t at = sizeof(text);

        if (i % 2) bin_e12 = (bin_e12 >> test_random(&seed) % 60) + 1;
        if (i % 3) bin_e12 = bin_e12 / 1000000 * 1000000 + (bin_e12 < 1000000);
        rest = (int128)bucket * bin_e12;
        text[--at] = '\0';
        for (int digit = 0; digit < 12 || rest || digit == 12; digit++, rest /= 10) {
            if (digit == 12 && text[at]) text[--at] = '.';
            if (digit >= 12 || rest % 10 || text[at]) text[--at] = (char)('0' + (int)(rest % 10));
        }
        assert_price(bucket, bin_e12, text + at);
    }
}

TEST(what_is_written_is_json_with_the_same_numbers)
{
    enum { LEVELS = 1000 };
    static struct level levels[LEVELS];
    struct snapshot snapshot = example(levels, LEVELS);
    struct buf out = {0};
    uint64_t seed = 7;
    json_t *list;

    for (int i = 0; i < LEVELS; i++) {
        levels[i] = (struct level){700 + i, (int64_t)(test_random(&seed) % 100000000000),
                                   (int64_t)(test_random(&seed) % 1000)};
    }
    snapshot_write_levels(&out, &snapshot);
    list = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(list), LEVELS);
    for (size_t i = 0; i < LEVELS; i++) {
        json_t *level = json_array_get(list, i);

        assert_true(json_number_value(json_object_get(level, "price")) ==
                    (double)(levels[i].bucket * 100));
        assert_true(json_number_value(json_object_get(level, "long_density")) ==
                    (double)levels[i].long_cents / 100);
        assert_true(json_number_value(json_object_get(level, "short_density")) ==
                    (double)levels[i].short_cents / 100);
    }
    json_decref(list);
    buf_deinit(&out);
}

TEST(room_for_levels_keeps_those_there_are)
{
    struct snapshot snapshot = {0};

    snapshot_reserve(&snapshot, 1);
    snapshot.levels[snapshot.level_count++] = (struct level){1, 2, 3};
    snapshot_reserve(&snapshot, 1000);
    assert_true(snapshot.level_capacity >= 1000);
    assert_int_equal(snapshot.levels[0].short_cents, 3);
    snapshot_deinit(&snapshot);
    assert_null(snapshot.levels);
}
