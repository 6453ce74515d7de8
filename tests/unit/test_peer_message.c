#include "peer_message.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"
#include "heat/decimal.h"
#include "heat/edition.h"
#include "heat/price_bin.h"
#include "test.h"

static const int64_t now_ms = INT64_C(1767002400000); /* 2025-12-29T10:00:00Z */

static struct peer_message parsed;
static char message[300];

static int parse(const struct buf *text, struct peer_message *out)
{
    message[0] = '\0';
    return peer_message_parse(buf_str(text), STR("BTCUSDT"), now_ms, out, message, sizeof(message));
}

static void assert_taken(const struct buf *text)
{
    int err = parse(text, &parsed);

    if (err) print_error("%.200s\n%s\n", text->data, message);
    assert_int_equal(err, 0);
    assert_string_equal(message, "");
}

static void assert_refused(const struct buf *text, const char *why)
{
    struct peer_message untouched = {.version = {.epoch = 7, .seq = 9}};

    assert_int_equal(parse(text, &untouched), ERR_SYNTAX);
    assert_string_equal(message, why);
    assert_true(untouched.version.epoch == 7 && untouched.version.seq == 9);
    assert_null(untouched.snapshot.levels);
}

/* --- what we write ourselves --- */

static struct snapshot example(struct level *levels, size_t level_count)
{
    return (struct snapshot){
        .time_ms = now_ms + 123,
        .bin_e12 = 100 * PRICE_BIN_ONE_E12,
        .current_price_e8 = INT64_C(9845012345678),
        .positions_created = 5,
        .positions_consumed = 2,
        .levels = levels,
        .level_count = level_count,
    };
}

static void say(struct buf *out, struct version version, const struct snapshot *snapshot,
                enum edition_format format)
{
    char epoch[14];
    struct edition *edition;

    epoch_format(version.epoch, epoch);
    edition = edition_new("BTCUSDT", epoch, version.seq, snapshot, NULL, 0);
    edition_write(out, edition, format, 0, false);
    edition_free(edition);
}

static void assert_comes_back(struct version version, const struct snapshot *snapshot)
{
    struct buf text = {0}, again = {0};

    say(&text, version, snapshot, EDITION_LEVELS);
    assert_taken(&text);
    assert_true(parsed.version.epoch == version.epoch && parsed.version.seq == version.seq);
    say(&again, parsed.version, &parsed.snapshot, EDITION_LEVELS);
    assert_true(str_eq(buf_str(&again), buf_str(&text)));
    snapshot_deinit(&parsed.snapshot);
    buf_deinit(&text);
    buf_deinit(&again);
}

TEST(a_whole_message_comes_back_to_the_same_bytes)
{
    struct level levels[] = {{980, 150000000, 20000001}, {983, 0, 1}, {990, 1050, 0}};
    struct snapshot snapshot = example(levels, 3), small = example(levels, 3);
    struct snapshot none = example(NULL, 0);
    const struct version version = {(uint64_t)now_ms, 1841};

    small.bin_e12 = PRICE_BIN_ONE_E12 / 5000;
    small.current_price_e8 = 1;
    small.time_ms = 0;
    assert_comes_back(version, &snapshot);
    assert_comes_back(version, &small);
    assert_comes_back(version, &none);
}

TEST(columns_come_back_as_the_levels_they_are)
{
    struct level levels[] = {{980, 150000000, 20000001}, {983, 0, 1}};
    struct snapshot snapshot = example(levels, 2);
    struct buf text = {0};

    say(&text, (struct version){7, 1}, &snapshot, EDITION_COLUMNS);
    assert_taken(&text);
    assert_int_equal(parsed.snapshot.level_count, 2);
    assert_memory_equal(parsed.snapshot.levels, levels, sizeof(levels));
    snapshot_deinit(&parsed.snapshot);
    buf_deinit(&text);
}

TEST(random_messages_come_back_to_the_same_bytes)
{
    enum { LEVELS = 300 };
    static struct level levels[LEVELS];
    uint64_t seed = 11;

    for (int i = 0; i < 200; i++) {
        struct snapshot snapshot = example(levels, test_random(&seed) % LEVELS);
        int64_t bucket = 0;

        snapshot.time_ms = (int64_t)(test_random(&seed) % 253402300800000);
        snapshot.bin_e12 = 1 + (int64_t)(test_random(&seed) % PRICE_BIN_ONE_E12);
        snapshot.positions_created = test_random(&seed) >> 11;
        for (size_t j = 0; j < snapshot.level_count; j++) {
            bucket += 1 + (int64_t)(test_random(&seed) % 1000);
            levels[j] = (struct level){bucket, (int64_t)(test_random(&seed) % 100000000000),
                                       1 + (int64_t)(test_random(&seed) % 1000)};
        }
        assert_comes_back((struct version){1 + test_random(&seed) % (uint64_t)now_ms,
                                           1 + (test_random(&seed) >> 12)},
                          &snapshot);
    }
}

/* --- each field --- */

#define HEAD    "\"type\":\"snapshot\",\"symbol\":\"BTCUSDT\",\"timestamp\":\"2025-12-29T10:00:00Z\""
#define VERSION "\"seq\":1841,\"epoch\":\"k3f9\""
#define DATA    "\"data\":{\"levels\":[],\"current_price\":98450,\"price_bin_size\":100}"

static void text_taken(const char *text)
{
    struct buf buf = {0};

    buf_add_text(&buf, text);
    assert_taken(&buf);
    snapshot_deinit(&parsed.snapshot);
    buf_deinit(&buf);
}

static void text_refused(const char *text, const char *why)
{
    struct buf buf = {0};

    buf_add_text(&buf, text);
    assert_refused(&buf, why);
    buf_deinit(&buf);
}

TEST(fields_of_a_later_version_are_passed_over)
{
    text_taken("{" HEAD "," VERSION "," DATA "}");
    text_taken("{\"more\":{\"x\":[1]}," HEAD "," VERSION "," DATA ",\"resumed\":false}");
    text_taken("{" HEAD "," VERSION ",\"data\":{\"more\":1,\"levels\":[{\"price\":98000,"
               "\"long_density\":1,\"short_density\":0,\"more\":null}],\"current_price\":98450,"
               "\"price_bin_size\":100}}");
    text_taken("{" HEAD "," VERSION ",\"data\":{\"levels\":{\"prices\":[98000],\"long\":[1],"
               "\"short\":[0],\"more\":[]},\"current_price\":98450,\"price_bin_size\":100}}");
}

TEST(each_fields_fault_is_named)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"[]", "not an object"},
        {"{" VERSION "," DATA "}", "type: not snapshot"},
        {"{\"type\":\"delta\"," VERSION "," DATA "}", "type: not snapshot"},
        {"{\"type\":7," VERSION "," DATA "}", "type: not snapshot"},
        {"{\"type\":\"snapshot\"," VERSION "," DATA "}", "symbol: not the channel's"},
        {"{\"type\":\"snapshot\",\"symbol\":\"btcusdt\"}", "symbol: not the channel's"},
        {"{\"type\":\"snapshot\",\"symbol\":\"BTCUSDT\"}", "timestamp: not a time in ISO 8601"},
        {"{\"type\":\"snapshot\",\"symbol\":\"BTCUSDT\",\"timestamp\":1767002400}",
         "timestamp: not a time in ISO 8601"},
        {"{\"type\":\"snapshot\",\"symbol\":\"BTCUSDT\",\"timestamp\":\"2025-02-29T10:00:00Z\"}",
         "timestamp: not a time in ISO 8601"},
        {"{\"type\":\"snapshot\",\"symbol\":\"BTCUSDT\",\"timestamp\":\"1970-01-01T00:00+00:01\"}",
         "timestamp: not a time in ISO 8601"},
        {"{" HEAD ",\"seq\":1," DATA "}", "epoch: not an epoch"},
        {"{" HEAD ",\"seq\":1,\"epoch\":7," DATA "}", "epoch: not an epoch"},
        {"{" HEAD ",\"seq\":1,\"epoch\":\"\"," DATA "}", "epoch: not an epoch"},
        {"{" HEAD ",\"seq\":1,\"epoch\":\"0\"," DATA "}", "epoch: not an epoch"},
        {"{" HEAD ",\"seq\":1,\"epoch\":\"K3F9\"," DATA "}", "epoch: not an epoch"},
        {"{" HEAD ",\"epoch\":\"k3f9\"," DATA "}", "seq: not a whole number from 1 to 2^53"},
        {"{" HEAD ",\"epoch\":\"k3f9\",\"seq\":\"1\"," DATA "}",
         "seq: not a whole number from 1 to 2^53"},
        {"{" HEAD ",\"epoch\":\"k3f9\",\"seq\":0," DATA "}",
         "seq: not a whole number from 1 to 2^53"},
        {"{" HEAD ",\"epoch\":\"k3f9\",\"seq\":1.5," DATA "}",
         "seq: not a whole number from 1 to 2^53"},
        {"{" HEAD "," VERSION "}", "data: not an object"},
        {"{" HEAD "," VERSION ",\"data\":[]}", "data: not an object"},
        {"{" HEAD "," VERSION ",\"data\":{\"price_bin_size\":1}}", "current_price: missing"},
        {"{" HEAD "," VERSION ",\"data\":{\"current_price\":1,\"price_bin_size\":1}}",
         "levels: missing"},
        {"{" HEAD "," VERSION ",\"data\":{\"levels\":[{\"price\":50,\"long_density\":1,"
         "\"short_density\":0}],\"current_price\":1,\"price_bin_size\":100}}",
         "levels[0].price: 50 is not a multiple of price_bin_size 100"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        text_refused(cases[i].text, cases[i].why);
}

TEST(what_is_no_json_is_told_with_its_place)
{
    text_refused("", "not JSON: '[' or '{' expected near end of file (at byte 0)");
    text_refused("{\"seq\":1,\"seq\":2}", "duplicate object key near '\"seq\"' (at byte 14)");
}

/* --- limits, at their edges --- */

static void assert_version(const char *epoch, const char *seq, const char *why)
{
    struct buf text = {0};

    buf_printf(&text, "{" HEAD ",\"seq\":%s,\"epoch\":\"%s\"," DATA "}", seq, epoch);
    if (why)
        assert_refused(&text, why);
    else
        assert_taken(&text);
    if (!why) snapshot_deinit(&parsed.snapshot);
    buf_deinit(&text);
}

TEST(an_epoch_is_a_day_ahead_at_most)
{
    const uint64_t latest = epoch_at(now_ms + LIMIT_EPOCH_AHEAD_MS, 0);
    const char *why = "epoch: more than a day ahead of this server's clock";
    char epoch[14];

    assert_version("1", "1", NULL);
    epoch_format(latest, epoch);
    assert_version(epoch, "1", NULL);
    assert_true(parsed.version.epoch == latest);
    epoch_format(latest + 1, epoch);
    assert_version(epoch, "1", why);
    epoch_format(UINT64_MAX, epoch);
    assert_version(epoch, "1", why);
    assert_version("3w5e11264sgsg", "1", "epoch: not an epoch"); /* 2^64 */
}

TEST(a_seq_is_a_number_that_doubles_hold)
{
    const char *why = "seq: not a whole number from 1 to 2^53";

    assert_version("k", "9007199254740992", NULL);
    assert_true(parsed.version.seq == UINT64_C(9007199254740992));
    assert_version("k", "9007199254740994", why);
    assert_version("k", "1e300", why);
    assert_version("k", "-1", why);
}

/* {…,"data":…} with so many levels, as columns: the shortest form. */
static void add_columns(struct buf *text, size_t count)
{
    static const char *const names[] = {"prices", "long", "short"};

    buf_add_text(text, "{" HEAD "," VERSION ",\"data\":{\"current_price\":1,\"price_bin_size\":1,"
                       "\"levels\":{");
    for (size_t column = 0; column < ARRAY_LEN(names); column++) {
        buf_printf(text, "%s\"%s\":[", column ? "," : "", names[column]);
        for (size_t i = 0; i < count; i++)
            buf_add_text(text, i ? ",1" : "1");
        buf_add_char(text, ']');
    }
    buf_add_text(text, "}}}");
}

TEST(there_are_200000_levels_at_most)
{
    struct buf text = {0};

    static_assert(LIMIT_PEER_LEVELS == 200000, "the test's name, and what it expects");
    add_columns(&text, LIMIT_PEER_LEVELS);
    assert_taken(&text);
    assert_int_equal(parsed.snapshot.level_count, LIMIT_PEER_LEVELS);
    snapshot_deinit(&parsed.snapshot);
    buf_deinit(&text);
    add_columns(&text, LIMIT_PEER_LEVELS + 1);
    assert_refused(&text, "levels: 200001 are more than 200000");
    buf_deinit(&text);
}

TEST(a_message_has_8_mib_at_most)
{
    struct buf text = {0};

    static_assert(LIMIT_PEER_BYTES == 8388608, "the test's name, and what it expects");
    buf_add_text(&text, "{" HEAD "," VERSION "," DATA "}");
    while (text.size < LIMIT_PEER_BYTES)
        buf_add_char(&text, ' ');
    assert_taken(&text);
    snapshot_deinit(&parsed.snapshot);
    buf_add_char(&text, ' ');
    assert_refused(&text, "longer than 8388608 bytes");
    buf_deinit(&text);
}

/* What a model of ours makes is not bound by what may be published from outside. */
TEST(a_model_of_more_levels_than_may_be_published_comes_back)
{
    enum { LEVELS = LIMIT_PUBLISH_LEVELS * 2 };
    struct level *levels = mem_alloc(LEVELS * sizeof(*levels));
    struct snapshot snapshot = example(levels, LEVELS);

    for (int i = 0; i < LEVELS; i++)
        levels[i] = (struct level){500 + i, 123456789, 987654321};
    assert_comes_back((struct version){7, 1}, &snapshot);
    free(levels);
}
