#include "publish_body.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "heat/decimal.h"
#include "heat/edition.h"
#include "heat/price_bin.h"
#include "test.h"

static const int64_t now_ms = INT64_C(1767002400000); /* 2025-12-29T10:00:00Z */

static struct snapshot snapshot;
static char message[300];

static void assert_taken(const char *text)
{
    message[0] = '\0';
    if (publish_body_parse(str_of(text), now_ms, &snapshot, message, sizeof(message)))
        print_error("%.200s\n%s\n", text, message);
    assert_string_equal(message, "");
}

static void assert_refused(const char *text, const char *why)
{
    struct snapshot untouched = {.time_ms = 7};

    assert_int_equal(publish_body_parse(str_of(text), now_ms, &untouched, message, sizeof(message)),
                     ERR_SYNTAX);
    assert_string_equal(message, why);
    assert_int_equal(untouched.time_ms, 7);
    assert_null(untouched.levels);
}

/* A body of these levels, bucket size 100. */
static const char *with_levels(const char *levels)
{
    static char text[1000];

    snprintf(text, sizeof(text), "{\"levels\":%s,\"current_price\":98450,\"price_bin_size\":100}",
             levels);
    return text;
}

static const char *with(const char *fields)
{
    static char text[1000];

    snprintf(text, sizeof(text), "{\"levels\":[]%s}", fields);
    return text;
}

static void assert_level(size_t index, int64_t bucket, int64_t long_cents, int64_t short_cents)
{
    assert_true(index < snapshot.level_count);
    assert_true(snapshot.levels[index].bucket == bucket);
    assert_true(snapshot.levels[index].long_cents == long_cents);
    assert_true(snapshot.levels[index].short_cents == short_cents);
}

TEST(the_protocols_example_is_taken)
{
    assert_taken(
        "{\"levels\":[{\"price\":98000,\"long_density\":1500000,\"short_density\":200000}],"
        "\"current_price\":98450,\"positions_created\":5,\"positions_consumed\":2,"
        "\"price_bin_size\":100,\"timestamp\":\"2025-12-29T09:00:00.5Z\"}");
    assert_int_equal(snapshot.level_count, 1);
    assert_level(0, 980, 150000000, 20000000);
    assert_true(snapshot.time_ms == now_ms - 3600000 + 500);
    assert_true(snapshot.bin_e12 == 100 * PRICE_BIN_ONE_E12);
    assert_true(snapshot.current_price_e8 == INT64_C(9845000000000));
    assert_int_equal(snapshot.positions_created, 5);
    assert_int_equal(snapshot.positions_consumed, 2);
    assert_true(snapshot.long_total == 1500000 && snapshot.short_total == 200000);
    snapshot_deinit(&snapshot);
}

TEST(what_may_be_left_out_has_its_default)
{
    assert_taken("{\"levels\":[],\"current_price\":1,\"price_bin_size\":1}");
    assert_int_equal(snapshot.level_count, 0);
    assert_true(snapshot.time_ms == now_ms);
    assert_int_equal(snapshot.positions_created, 0);
    assert_int_equal(snapshot.positions_consumed, 0);
    snapshot_deinit(&snapshot);
}

TEST(levels_of_nothing_are_left_out)
{
    assert_taken(with_levels("[{\"price\":0,\"long_density\":0,\"short_density\":0.01},"
                             "{\"price\":100,\"long_density\":0,\"short_density\":0},"
                             "{\"price\":200,\"long_density\":0.004,\"short_density\":0},"
                             "{\"price\":300,\"long_density\":0.005,\"short_density\":0}]"));
    assert_int_equal(snapshot.level_count, 2);
    assert_level(0, 0, 0, 1);
    assert_level(1, 3, 1, 0);
    snapshot_deinit(&snapshot);
}

TEST(columns_are_levels_too)
{
    assert_taken(with_levels("{\"prices\":[98000,3,1.0,7],\"long\":[1500000,0,0,10.5],"
                             "\"short\":[200000,0.01,0,0]}"));
    assert_int_equal(snapshot.level_count, 3);
    assert_level(0, 980, 150000000, 20000000);
    assert_level(1, 983, 0, 1);
    assert_level(2, 991, 1050, 0);
    snapshot_deinit(&snapshot);
    assert_taken(with_levels("{\"prices\":[],\"long\":[],\"short\":[]}"));
    assert_int_equal(snapshot.level_count, 0);
    snapshot_deinit(&snapshot);
}

static void assert_cents(const char *density, int64_t cents)
{
    char levels[200];

    snprintf(levels, sizeof(levels), "{\"prices\":[100],\"long\":[%s],\"short\":[1]}", density);
    assert_taken(with_levels(levels));
    assert_level(0, 1, cents, 100);
    snapshot_deinit(&snapshot);
}

TEST(densities_are_rounded_to_cents_half_away_from_zero_as_decimals)
{
    assert_cents("0", 0);
    assert_cents("-0.0", 0);
    assert_cents("0.005", 1);
    assert_cents("0.00499999999999", 0);
    assert_cents("1.005", 101); /* a double below it */
    assert_cents("1.004999", 100);
    assert_cents("1e3", 100000);
    assert_cents("0.30000000000000004", 30);
    assert_cents("35184372088831.995", INT64_C(3518437208883200));
    assert_cents("9999999999999.99", INT64_C(999999999999999));
    assert_cents("99999999999.9950", INT64_C(10000000000000));   /* half a cent of 10^13 */
    assert_cents("90071992547409.9", INT64_C(9007199254740990)); /* and .90625 as a double */
    assert_cents("90071992547409.92", INT64_C(9007199254740992));
}

/* Any decimal of 15 digits, against exact arithmetic on its text. */
TEST(random_densities_are_exact_to_15_digits)
{
    uint64_t seed = 3;

    for (int i = 0; i < 20000; i++) {
        uint64_t digits = test_random(&seed) % 1000000000000000;
        int decimals = 2 + (int)(test_random(&seed) % 14);
        char text[40];
        int64_t cents;

        /* Every third is half a cent, exactly as a decimal and hardly ever as a double. */
        if (i % 3 == 0) {
            decimals = 3;
            digits = digits / 10 * 10 + 5;
        }
        digits >>= test_random(&seed) % 40 * (i % 3 != 0);
        snprintf(text, sizeof(text), "%llue-%d", (unsigned long long)digits, decimals);
        assert_int_equal(decimal_parse(str_of(text), 2, &cents), 0);
        assert_cents(text, cents);
    }
}

static void assert_bucket(const char *bin, const char *price, int64_t bucket)
{
    char text[300];

    snprintf(text, sizeof(text),
             "{\"levels\":[{\"price\":%s,\"long_density\":1,\"short_density\":0}],"
             "\"current_price\":1,\"price_bin_size\":%s}",
             price, bin);
    assert_taken(text);
    assert_level(0, bucket, 100, 0);
    snapshot_deinit(&snapshot);
}

TEST(a_bucket_is_the_rounded_quotient)
{
    assert_bucket("100", "98000", 980);
    assert_bucket("0.1", "0.3", 3);
    assert_bucket("0.0002", "0.1", 500);
    assert_bucket("0.1", "0.30000000000000004", 3);
    assert_bucket("0.30000000000000004", "0.9", 3);
    assert_bucket("1", "98000.0000979", 98000);
    assert_bucket("1", "97999.9999021", 98000);
    assert_bucket("1e-12", "0.000000008008", 8008);
    assert_bucket("1e-12", "999.999999999999", INT64_C(999999999999999));
    assert_bucket("1e-12", "1000", INT64_C(1000000000000000));
    assert_bucket("0.003979315674", "3979315674000", INT64_C(1000000000000000)); /* .1 above */
    assert_bucket("1000000", "1e21", INT64_C(1000000000000000));
    assert_bucket("123456.789", "246913.578", 2);
}

TEST(bins_and_prices_are_exact)
{
    static const struct {
        const char *bin, *price;
        int64_t bin_e12, price_e8;
    } cases[] = {
        {"1e-12", "0.00000001", 1, 1},
        {"1000000", "1000000000", PRICE_BIN_MAX_E12, INT64_C(100000000000000000)},
        {"2.5", "98450.12345678", INT64_C(2500000000000), INT64_C(9845012345678)},
        {"0.1", "0.000000005", INT64_C(100000000000), 1},
        {"999999.999999999", "0.123456789", INT64_C(999999999999999000), 12345679},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char fields[200];

        snprintf(fields, sizeof(fields), ",\"price_bin_size\":%s,\"current_price\":%s",
                 cases[i].bin, cases[i].price);
        assert_taken(with(fields));
        assert_true(snapshot.bin_e12 == cases[i].bin_e12);
        assert_true(snapshot.current_price_e8 == cases[i].price_e8);
        snapshot_deinit(&snapshot);
    }
}

TEST(what_is_wrong_in_levels_is_told_with_its_place)
{
    static const struct {
        const char *levels, *why;
    } cases[] = {
        {"null", "levels: neither an array nor an object of columns"},
        {"[1]", "levels[0]: not an object"},
        {"[{}]", "levels[0].price: missing"},
        {"[{\"price\":100}]", "levels[0].long_density: missing"},
        {"[{\"price\":100,\"long_density\":1}]", "levels[0].short_density: missing"},
        {"[{\"price\":\"100\",\"long_density\":1,\"short_density\":1}]",
         "levels[0].price: not a number"},
        {"[{\"price\":100,\"long_density\":null,\"short_density\":1}]",
         "levels[0].long_density: not a number"},
        {"[{\"price\":100,\"long_density\":1,\"short_density\":1,\"volume\":1}]",
         "levels[0]: unknown field 'volume'"},
        {"[{\"price\":100,\"long_density\":1,\"short_density\":1},"
         "{\"price\":98050,\"long_density\":1,\"short_density\":1}]",
         "levels[1].price: 98050 is not a multiple of price_bin_size 100"},
        {"[{\"price\":98000.000099,\"long_density\":1,\"short_density\":1}]",
         "levels[0].price: 98000.000099 is not a multiple of price_bin_size 100"},
        {"[{\"price\":1e-9,\"long_density\":1,\"short_density\":1}]",
         "levels[0].price: 1e-09 is not a multiple of price_bin_size 100"},
        {"[{\"price\":-100,\"long_density\":1,\"short_density\":1}]",
         "levels[0].price: -100 is below 0"},
        {"[{\"price\":100000000000000100,\"long_density\":1,\"short_density\":1}]",
         "levels[0].price: 1.000000000000001e+17 is more than 1e+15 times price_bin_size 100"},
        {"[{\"price\":200,\"long_density\":0,\"short_density\":0},"
         "{\"price\":200,\"long_density\":1,\"short_density\":1}]",
         "levels[1].price: 200 is not above the level before"},
        {"[{\"price\":200,\"long_density\":1,\"short_density\":1},"
         "{\"price\":100,\"long_density\":1,\"short_density\":1}]",
         "levels[1].price: 100 is not above the level before"},
        {"[{\"price\":100,\"long_density\":-0.01,\"short_density\":1}]",
         "levels[0].long_density: -0.01 is not from 0 to 90071992547409.92"},
        {"[{\"price\":100,\"long_density\":1,\"short_density\":90071992547409.94}]",
         "levels[0].short_density: 90071992547409.94 is not from 0 to 90071992547409.92"},
        {"{}", "levels.prices: missing"},
        {"{\"prices\":[100],\"long\":[1],\"shorts\":[1]}", "levels: unknown field 'shorts'"},
        {"{\"prices\":[100],\"short\":[1]}", "levels.long: missing"},
        {"{\"prices\":[100],\"long\":[1],\"short\":1}", "levels.short: not an array"},
        {"{\"prices\":[100],\"long\":[1,2],\"short\":[1]}",
         "levels.long: not as many as levels.prices"},
        {"{\"prices\":[100],\"long\":[1],\"short\":[]}",
         "levels.short: not as many as levels.prices"},
        {"{\"prices\":[150],\"long\":[1],\"short\":[1]}",
         "levels.prices[0]: 150 is not a multiple of price_bin_size 100"},
        {"{\"prices\":[100,0],\"long\":[1,1],\"short\":[1,1]}",
         "levels.prices[1]: 0 is not a step of whole buckets"},
        {"{\"prices\":[100,1.5],\"long\":[1,1],\"short\":[1,1]}",
         "levels.prices[1]: 1.5 is not a step of whole buckets"},
        {"{\"prices\":[100,999999999999999,1],\"long\":[1,1,1],\"short\":[1,1,1]}",
         "levels.prices[2]: 1 leads beyond 1e+15 times price_bin_size"},
        {"{\"prices\":[100,1e300],\"long\":[1,1],\"short\":[1,1]}",
         "levels.prices[1]: 1e+300 leads beyond 1e+15 times price_bin_size"},
        {"{\"prices\":[100,true],\"long\":[1,1],\"short\":[1,1]}",
         "levels.prices[1]: not a number"},
        {"{\"prices\":[100],\"long\":[-1],\"short\":[1]}",
         "levels.long[0]: -1 is not from 0 to 90071992547409.92"},
        {"{\"prices\":[100],\"long\":[1],\"short\":[{}]}", "levels.short[0]: not a number"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(with_levels(cases[i].levels), cases[i].why);
}

TEST(what_is_wrong_elsewhere_is_told_with_its_place)
{
    static const struct {
        const char *fields, *why;
    } cases[] = {
        {"", "price_bin_size: missing"},
        {",\"price_bin_size\":1", "current_price: missing"},
        {",\"current_price\":1", "price_bin_size: missing"},
        {",\"price_bin_size\":\"1\"", "price_bin_size: not a number"},
        {",\"price_bin_size\":0", "price_bin_size: 0 is not above 0 and at most 1000000"},
        {",\"price_bin_size\":-5", "price_bin_size: -5 is not above 0 and at most 1000000"},
        {",\"price_bin_size\":1000000.5",
         "price_bin_size: 1000000.5 is not above 0 and at most 1000000"},
        {",\"price_bin_size\":1e-13", "price_bin_size: 1e-13 has more than 12 decimals"},
        {",\"price_bin_size\":1.5e-12", "price_bin_size: 1.5e-12 has more than 12 decimals"},
        {",\"price_bin_size\":5e-324",
         "price_bin_size: 4.94065645841247e-324 has more than 12 decimals"},
        {",\"price_bin_size\":1,\"current_price\":[]", "current_price: not a number"},
        {",\"price_bin_size\":1,\"current_price\":0",
         "current_price: 0 is not from 0.00000001 to 1000000000"},
        {",\"price_bin_size\":1,\"current_price\":4e-9",
         "current_price: 4e-09 is not from 0.00000001 to 1000000000"},
        {",\"price_bin_size\":1,\"current_price\":1000000000.5",
         "current_price: 1000000000.5 is not from 0.00000001 to 1000000000"},
        {",\"price_bin_size\":1,\"current_price\":100000000000000000000",
         "current_price: 1e+20 is not from 0.00000001 to 1000000000"},
        {",\"price_bin_size\":1,\"current_price\":1,\"positions_created\":-1",
         "positions_created: -1 is not a whole number from 0 to 9007199254740991"},
        {",\"price_bin_size\":1,\"current_price\":1,\"positions_created\":1.5",
         "positions_created: 1.5 is not a whole number from 0 to 9007199254740991"},
        {",\"price_bin_size\":1,\"current_price\":1,\"positions_consumed\":9007199254740993",
         "positions_consumed: 9007199254740992 is not a whole number from 0 to "
         "9007199254740991"},
        {",\"price_bin_size\":1,\"current_price\":1,\"positions_consumed\":null",
         "positions_consumed: not a number"},
        {",\"price_bin_size\":1,\"current_price\":1,\"timestamp\":1767002400",
         "timestamp: not a string"},
        {",\"price_bin_size\":1,\"current_price\":1,\"timestamp\":\"\"",
         "timestamp: not a time in ISO 8601 of the years 1970 to 9999"},
        {",\"price_bin_size\":1,\"current_price\":1,\"timestamp\":\"1969-12-31T23:59:59Z\"",
         "timestamp: not a time in ISO 8601 of the years 1970 to 9999"},
        {",\"price_bin_size\":1,\"current_price\":1,\"symbol\":\"A\"", "unknown field 'symbol'"},
        {",\"price_bin_size\":0,\"a\\u0007b\\u009bc\":1", "unknown field 'a?b?c'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(with(cases[i].fields), cases[i].why);
    assert_refused("{\"current_price\":1,\"price_bin_size\":1}", "levels: missing");
    assert_taken(with(",\"price_bin_size\":1,\"current_price\":1,\"positions_created\":"
                      "9007199254740991"));
    assert_int_equal(snapshot.positions_created, INT64_C(9007199254740991));
    snapshot_deinit(&snapshot);
}

TEST(what_is_not_json_is_told_with_its_place)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "not JSON: '[' or '{' expected near end of file (at byte 0)"},
        {"5", "not JSON: '[' or '{' expected near '5' (at byte 1)"},
        {"[]", "the body is not a JSON object"},
        {"{\"levels\":[]", "not JSON: '}' expected near end of file (at byte 12)"},
        {"{} {}", "not JSON: end of file expected near '{' (at byte 4)"},
        {"{\"levels\":[],\"levels\":[]}", "duplicate object key near '\"levels\"' (at byte 21)"},
        {"{\"levels\":[{\"price\":1,\"price\":2}]}",
         "duplicate object key near '\"price\"' (at byte 29)"},
        {"{\"current_price\":1e999}", "not JSON: real number overflow near '1e999' (at byte 22)"},
        {"{\"current_price\":NaN}", "not JSON: invalid token near 'NaN' (at byte 20)"},
        {"{\"\xff\":1}", "not JSON: unable to decode byte 0xff near '\"' (at byte 2)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i].text, cases[i].why);
    assert_int_equal(
        publish_body_parse((struct str){0}, now_ms, &snapshot, message, sizeof(message)),
        ERR_SYNTAX);
    assert_int_equal(
        publish_body_parse((struct str){"{\0}", 3}, now_ms, &snapshot, message, sizeof(message)),
        ERR_SYNTAX);
}

TEST(a_message_fits_its_place_in_whole_characters)
{
    static const char *const euros = "{\"\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
                                     "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
                                     "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\":1}";
    char small[40];

    for (size_t size = 1; size <= sizeof(small); size++) {
        assert_int_equal(publish_body_parse(str_of(euros), now_ms, &snapshot, small, size),
                         ERR_SYNTAX);
        assert_true(strlen(small) < size);
        assert_true(utf8_is_valid((const uint8_t *)small, strlen(small)));
    }
    assert_int_equal(publish_body_parse(str_of(euros), now_ms, &snapshot, message, sizeof(message)),
                     ERR_SYNTAX);
    assert_true(strlen(message) < 120);
    assert_true(utf8_is_valid((const uint8_t *)message, strlen(message)));
}

static void add_many(struct buf *out, const char *first, const char *each, size_t count)
{
    buf_add_text(out, first);
    for (size_t i = 1; i < count; i++) {
        buf_add_char(out, ',');
        buf_add_text(out, each);
    }
    buf_add_char(out, ']');
}

TEST(as_many_levels_as_the_limit_are_taken)
{
    struct buf text = {0};

    for (size_t extra = 0; extra < 2; extra++) {
        size_t count = LIMIT_PUBLISH_LEVELS + extra;

        buf_clear(&text);
        buf_add_text(&text, "{\"current_price\":1,\"price_bin_size\":1,\"levels\":");
        add_many(&text, "{\"prices\":[1", "1", count);
        add_many(&text, ",\"long\":[1", "1", count);
        add_many(&text, ",\"short\":[1", "1", count);
        buf_add(&text, "}}", 3);
        if (extra)
            assert_refused(text.data, "levels: 20001 are more than 20000");
        else
            assert_taken(text.data);
    }
    assert_int_equal(snapshot.level_count, LIMIT_PUBLISH_LEVELS);
    assert_level(LIMIT_PUBLISH_LEVELS - 1, LIMIT_PUBLISH_LEVELS, 100, 100);
    snapshot_deinit(&snapshot);
    buf_clear(&text);
    buf_add_text(&text, "{\"current_price\":1,\"price_bin_size\":1,\"levels\":");
    add_many(&text, "[0", "0", LIMIT_PUBLISH_LEVELS + 1);
    buf_add(&text, "}", 2);
    assert_refused(text.data, "levels: 20001 are more than 20000");
    buf_deinit(&text);
}

/* --- what we send is taken as it was --- */

static void write_data(struct buf *out, const struct snapshot *from, enum edition_format format)
{
    static const char key[] = "\"data\":";
    struct edition *edition = edition_new("A", "a", 1, from, NULL, 0);
    struct buf text = {0};
    char *data;

    edition_write(&text, edition, format, 0, false);
    data = memmem(text.data, text.size, key, sizeof(key) - 1);
    assert_non_null(data);
    data += sizeof(key) - 1;
    buf_add(out, data, text.size - 1 - (size_t)(data - text.data)); /* without the outer brace */
    buf_deinit(&text);
    edition_free(edition);
}

static struct snapshot random_snapshot(uint64_t *seed, struct level *levels, size_t count)
{
    static const int64_t bins_e12[] = {1, 200000000, 123456789000, 5000000000000, 99000000000000};
    struct snapshot random = {.time_ms = now_ms,
                              .bin_e12 = bins_e12[test_random(seed) % ARRAY_LEN(bins_e12)],
                              .current_price_e8 = 1 + (int64_t)(test_random(seed) % 99999999999),
                              .positions_created = test_random(seed) % 100,
                              .positions_consumed = test_random(seed) >> 11,
                              .levels = levels,
                              .level_count = count};
    int64_t bucket = (int64_t)(test_random(seed) % 1000000);

    for (size_t i = 0; i < count; i++) {
        bucket += 1 + (int64_t)(test_random(seed) % 1000 >> test_random(seed) % 10);
        levels[i] = (struct level){bucket, (int64_t)(test_random(seed) >> 15),
                                   (int64_t)(test_random(seed) % 100000)};
        if (!levels[i].long_cents && !levels[i].short_cents) levels[i].long_cents = 1;
    }
    return random;
}

TEST(a_snapshot_that_was_sent_is_taken_as_it_was)
{
    uint64_t seed = 11;

    for (int i = 0; i < 200; i++) {
        struct level levels[100];
        struct snapshot sent = random_snapshot(&seed, levels, test_random(&seed) % 100);

        for (int format = EDITION_LEVELS; format <= EDITION_COLUMNS; format++) {
            struct buf body = {0}, again = {0};

            write_data(&body, &sent, (enum edition_format)format);
            assert_int_equal(
                publish_body_parse(buf_str(&body), now_ms, &snapshot, message, sizeof(message)), 0);
            write_data(&again, &snapshot, (enum edition_format)format);
            assert_true(str_eq(buf_str(&body), buf_str(&again)));
            buf_deinit(&body);
            buf_deinit(&again);
            snapshot_deinit(&snapshot);
        }
    }
}
