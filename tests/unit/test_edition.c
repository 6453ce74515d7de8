#include "heat/edition.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "base/limits.h"
#include "test.h"

static const int64_t one_e12 = INT64_C(1000000000000);

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

static void assert_writes(const struct edition *edition, enum edition_format format,
                          uint64_t since_seq, bool not_resumed, const char *expected)
{
    struct buf out = {0};

    edition_write(&out, edition, format, since_seq, not_resumed);
    if (!str_eq(buf_str(&out), str_of(expected)))
        print_error("%.*s\n%s\n", (int)out.size, out.data, expected);
    assert_true(str_eq(buf_str(&out), str_of(expected)));
    buf_deinit(&out);
}

#define HEAD(type, seq)                                                                            \
    "{\"type\":\"" type "\",\"symbol\":\"BTCUSDT\",\"timestamp\":\"2025-12-29T10:00:00Z\","        \
    "\"seq\":" seq ",\"epoch\":\"k3f9\""
#define DATA(levels)                                                                               \
    ",\"data\":{\"levels\":" levels ",\"current_price\":98450,\"positions_created\":5,"            \
    "\"positions_consumed\":2,\"price_bin_size\":100}}"

TEST(a_whole_is_the_snapshot_message_of_the_protocol)
{
    struct level levels[] = {{980, 150000000, 20000000}, {983, 0, 1}, {990, 1050, 0}};
    struct snapshot snapshot = example(levels, 3);
    struct edition *edition = edition_new("BTCUSDT", "k3f9", 1841, &snapshot, NULL, 300);

    assert_writes(edition, EDITION_LEVELS, 0, false,
                  HEAD("snapshot", "1841")
                      DATA("[{\"price\":98000,\"long_density\":1500000,\"short_density\":200000},"
                           "{\"price\":98300,\"long_density\":0,\"short_density\":0.01},"
                           "{\"price\":99000,\"long_density\":10.5,\"short_density\":0}]"));
    assert_writes(edition, EDITION_COLUMNS, 0, true,
                  HEAD("snapshot", "1841") ",\"resumed\":false" DATA(
                      "{\"prices\":[98000,3,7],\"long\":[1500000,0,10.5],"
                      "\"short\":[200000,0.01,0]}"));
    edition_free(edition);
}

TEST(a_difference_has_what_changed_and_what_vanished)
{
    struct level old[] = {{980, 100, 200}, {983, 0, 1}, {984, 7, 7}, {990, 1050, 0}};
    struct level new[] = {{980, 100, 200}, {984, 7, 8}, {985, 9, 0}, {990, 1050, 0}};
    struct snapshot first = example(old, 4), second = example(new, 4);
    struct edition *before = edition_new("BTCUSDT", "k3f9", 7, &first, NULL, 300);
    struct edition *edition = edition_new("BTCUSDT", "k3f9", 8, &second, before, 300);

    edition_free(before);
    assert_true(edition_has_difference(edition, 7));
    assert_int_equal(edition->live_count, 4);
    assert_writes(edition, EDITION_LEVELS, 7, false,
                  HEAD("delta", "8") ",\"prev\":7" DATA(
                      "[{\"price\":98300,\"long_density\":0,\"short_density\":0},"
                      "{\"price\":98400,\"long_density\":0.07,\"short_density\":0.08},"
                      "{\"price\":98500,\"long_density\":0.09,\"short_density\":0}]"));
    assert_writes(edition, EDITION_COLUMNS, 7, false,
                  HEAD("delta", "8") ",\"prev\":7" DATA(
                      "{\"prices\":[98300,1,1],\"long\":[0,0.07,0.09],\"short\":[0,0.08,0]}"));
    assert_writes(
        edition, EDITION_COLUMNS, 8, false,
        HEAD("delta", "8") ",\"prev\":8" DATA("{\"prices\":[],\"long\":[],\"short\":[]}"));
    edition_free(edition);
}

TEST(one_level_and_none_are_written_in_both_formats)
{
    struct level one = {3, 1, 0};
    struct snapshot snapshot = example(&one, 1), nothing = example(NULL, 0);
    struct edition *edition, *empty;

    snapshot.bin_e12 = nothing.bin_e12 = 100 * one_e12;
    edition = edition_new("BTCUSDT", "k3f9", 1, &snapshot, NULL, 9);
    empty = edition_new("BTCUSDT", "k3f9", 2, &nothing, NULL, 9);
    assert_writes(edition, EDITION_COLUMNS, 0, false,
                  HEAD("snapshot", "1") DATA("{\"prices\":[300],\"long\":[0.01],\"short\":[0]}"));
    assert_writes(empty, EDITION_LEVELS, 0, false, HEAD("snapshot", "2") DATA("[]"));
    assert_writes(empty, EDITION_COLUMNS, 0, true,
                  HEAD("snapshot",
                       "2") ",\"resumed\":false" DATA("{\"prices\":[],\"long\":[],\"short\":[]}"));
    assert_false(edition_has_difference(empty, 2));
    edition_free(edition);
    edition_free(empty);
    edition_free(NULL);
}

/* Not a bin of whole numbers, and steps of any size. */
TEST(a_columns_first_price_is_an_exact_decimal)
{
    struct level levels[] = {{8008, 1, 0}, {INT64_MAX, 0, 1}};
    struct snapshot snapshot = example(levels, 2);
    struct edition *edition;

    snapshot.bin_e12 = one_e12 / 5000;
    edition = edition_new("BTCUSDT", "k3f9", 1, &snapshot, NULL, 0);
    assert_writes(edition, EDITION_COLUMNS, 0, false,
                  HEAD("snapshot", "1") ",\"data\":{\"levels\":{\"prices\":[1.6016,"
                                        "9223372036854767799],\"long\":[0.01,0],\"short\":[0,0.01]}"
                                        ",\"current_price\":98450,\"positions_created\":5,"
                                        "\"positions_consumed\":2,\"price_bin_size\":0.0002}}");
    edition_free(edition);
}

TEST(a_symbol_is_written_as_a_json_string)
{
    struct snapshot snapshot = example(NULL, 0);
    struct edition *edition = edition_new("a\"b", "k3f9", 1, &snapshot, NULL, 0);
    struct buf out = {0};

    edition_write(&out, edition, EDITION_LEVELS, 0, false);
    assert_non_null(memmem(out.data, out.size, "\"symbol\":\"a\\\"b\",", 16));
    buf_deinit(&out);
    edition_free(edition);
}

/* --- what is remembered --- */

/* The next version; frees the one before. */
static struct edition *follow(struct edition *before, const char *epoch, struct level *levels,
                              size_t count, uint64_t versions_max)
{
    struct snapshot snapshot = example(levels, count);
    struct edition *edition = edition_new("BTCUSDT", epoch, before ? before->seq + 1 : 1, &snapshot,
                                          before, versions_max);

    edition_free(before);
    return edition;
}

TEST(another_epoch_or_bucket_size_remembers_nothing)
{
    struct level levels[] = {{1, 1, 0}, {2, 2, 0}};
    struct edition *edition = follow(NULL, "a", levels, 2, 300);
    struct snapshot snapshot = example(levels, 1);

    edition = follow(edition, "a", levels, 2, 300);
    assert_int_equal(edition->oldest_seq, 1);
    edition = follow(edition, "b", levels, 1, 300);
    assert_int_equal(edition->oldest_seq, 3);
    assert_int_equal(edition->level_count, 1);
    assert_false(edition_has_difference(edition, 2));
    snapshot.bin_e12 = 50 * one_e12;
    snapshot.level_count = 0;
    {
        struct edition *finer = edition_new("BTCUSDT", "b", 4, &snapshot, edition, 300);

        assert_int_equal(finer->oldest_seq, 4);
        assert_int_equal(finer->level_count, 0);
        edition_free(finer);
    }
    edition_free(edition);
}

TEST(so_many_versions_are_remembered_and_no_more)
{
    struct level levels[] = {{1, 1, 0}, {2, 2, 0}};
    struct edition *edition = NULL;

    for (int i = 0; i < 3; i++)
        edition = follow(edition, "a", levels, 2, 3);
    edition = follow(edition, "a", levels, 1, 3); /* the second vanishes with version 4 */
    assert_int_equal(edition->oldest_seq, 1);
    edition = follow(edition, "a", levels, 1, 3);
    edition = follow(edition, "a", levels, 1, 3);
    assert_int_equal(edition->oldest_seq, 3);
    assert_int_equal(edition->level_count, 2);
    edition = follow(edition, "a", levels, 1, 3);
    assert_int_equal(edition->oldest_seq, 4);
    assert_int_equal(edition->level_count, 1);
    edition = follow(edition, "a", levels, 1, 0);
    assert_int_equal(edition->oldest_seq, 8);
    edition = follow(edition, "a", levels, 0, 0);
    assert_int_equal(edition->oldest_seq, 9);
    assert_int_equal(edition->level_count, 0);
    edition = follow(edition, "a", levels, 2, UINT64_MAX);
    assert_int_equal(edition->oldest_seq, 9);
    edition_free(edition);
}

TEST(a_difference_is_had_of_remembered_versions_while_it_is_shorter)
{
    struct level levels[] = {{1, 1, 0}, {2, 2, 0}, {3, 3, 0}};
    struct edition *edition = follow(NULL, "a", levels, 3, 300);

    levels[0].long_cents = 9;
    edition = follow(edition, "a", levels, 3, 300);
    levels[1].long_cents = 9;
    edition = follow(edition, "a", levels, 3, 300);
    assert_false(edition_has_difference(edition, 0));
    assert_true(edition_has_difference(edition, 1)); /* 2 of 3 levels */
    assert_true(edition_has_difference(edition, 2));
    assert_true(edition_has_difference(edition, 3));
    assert_false(edition_has_difference(edition, 4));
    edition = follow(edition, "a", levels, 2, 300);
    assert_false(edition_has_difference(edition, 1)); /* 3, one of them gone, of 2 */
    assert_false(edition_has_difference(edition, 2));
    assert_true(edition_has_difference(edition, 3));
    edition_free(edition);
}

static struct level *many_levels(int64_t from, size_t count)
{
    struct level *levels = mem_alloc(count * sizeof(*levels));

    for (size_t i = 0; i < count; i++)
        levels[i] = (struct level){from + (int64_t)i, 1, 1};
    return levels;
}

/* All levels of the version before vanish with each; `counts` are the versions' levels. */
static struct edition *with_vanished(const size_t *counts, size_t count)
{
    struct edition *edition = NULL;
    int64_t from = 0;

    for (size_t i = 0; i < count; i++) {
        struct level *levels = many_levels(from, counts[i]);

        edition = follow(edition, "a", levels, counts[i], 300);
        from += (int64_t)counts[i];
        free(levels);
    }
    return edition;
}

TEST(versions_that_too_many_levels_vanished_since_are_forgotten)
{
    static const struct {
        size_t counts[5], count, oldest_seq, level_count;
    } cases[] = {
        {{LIMIT_VANISHED_LEVELS, 1}, 2, 1, LIMIT_VANISHED_LEVELS + 1},
        {{LIMIT_VANISHED_LEVELS + 1, 1}, 2, 2, 1},
        {{LIMIT_VANISHED_LEVELS, 1, 1}, 3, 2, 2},
        {{1, LIMIT_VANISHED_LEVELS, 1}, 3, 2, LIMIT_VANISHED_LEVELS + 1},
        {{3, 40000, 20000, 30000, 1}, 5, 3, 50001},
        {{3, 40000, 20000, 5533, 7}, 5, 1, LIMIT_VANISHED_LEVELS + 7},
        {{3, 40000, 20000, 5534, 7}, 5, 2, LIMIT_VANISHED_LEVELS - 2 + 7},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct edition *edition = with_vanished(cases[i].counts, cases[i].count);

        assert_int_equal(edition->oldest_seq, cases[i].oldest_seq);
        assert_int_equal(edition->level_count, cases[i].level_count);
        assert_int_equal(edition->live_count, cases[i].counts[cases[i].count - 1]);
        edition_free(edition);
    }
}

/* --- any difference, applied, gives the version --- */

enum { BUCKETS = 60, STEPS = 250 };

/* A client's state: what it knows of a symbol, decoded from messages alone. */
struct known {
    double long_density[BUCKETS], short_density[BUCKETS];
    json_t *message; /* owned: the last one */
};

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void know_level(struct known *known, double bucket, double long_density,
                       double short_density)
{
    assert_true(bucket >= 0 && bucket < BUCKETS && bucket == floor(bucket));
    known->long_density[(int)bucket] = long_density;
    known->short_density[(int)bucket] = short_density;
}

static void know_levels(struct known *known, const json_t *levels, double bin)
{
    for (size_t i = 0; i < json_array_size(levels); i++) {
        const json_t *level = json_array_get(levels, i);

        know_level(known, round(number_of(level, "price") / bin), number_of(level, "long_density"),
                   number_of(level, "short_density"));
    }
}

static void know_columns(struct known *known, const json_t *columns, double bin)
{
    const json_t *prices = json_object_get(columns, "prices");
    const json_t *longs = json_object_get(columns, "long");
    const json_t *shorts = json_object_get(columns, "short");
    double bucket = 0;

    assert_int_equal(json_array_size(longs), json_array_size(prices));
    assert_int_equal(json_array_size(shorts), json_array_size(prices));
    for (size_t i = 0; i < json_array_size(prices); i++) {
        double number = json_number_value(json_array_get(prices, i));

        bucket = i ? bucket + number : round(number / bin);
        assert_true(i == 0 || number >= 1);
        know_level(known, bucket, json_number_value(json_array_get(longs, i)),
                   json_number_value(json_array_get(shorts, i)));
    }
}

/* Takes one message in, as a client does. */
static void know(struct known *known, struct str text)
{
    json_t *message = json_loadb(text.at, text.size, JSON_REJECT_DUPLICATES, NULL);
    json_t *data = json_object_get(message, "data"), *levels = json_object_get(data, "levels");

    assert_non_null(levels);
    if (!json_object_get(message, "prev")) {
        assert_string_equal(json_string_value(json_object_get(message, "type")), "snapshot");
        memset(known->long_density, 0, sizeof(known->long_density));
        memset(known->short_density, 0, sizeof(known->short_density));
    } else {
        assert_string_equal(json_string_value(json_object_get(message, "type")), "delta");
        assert_true(number_of(message, "prev") == number_of(known->message, "seq"));
    }
    if (json_is_array(levels))
        know_levels(known, levels, number_of(data, "price_bin_size"));
    else
        know_columns(known, levels, number_of(data, "price_bin_size"));
    json_decref(known->message);
    known->message = message;
}

/* The canonical snapshot of what a client knows. Written with doubles, which are exact for as few
 * digits as there are here, so that nothing of ours writes both sides. */
static void write_known(struct buf *out, const struct known *known)
{
    json_t *message = known->message, *data = json_object_get(message, "data");
    double bin = number_of(data, "price_bin_size");
    size_t count = 0;

    buf_printf(out,
               "{\"type\":\"snapshot\",\"symbol\":\"%s\",\"timestamp\":\"%s\",\"seq\":%.0f,"
               "\"epoch\":\"%s\",\"data\":{\"levels\":[",
               json_string_value(json_object_get(message, "symbol")),
               json_string_value(json_object_get(message, "timestamp")), number_of(message, "seq"),
               json_string_value(json_object_get(message, "epoch")));
    for (int i = 0; i < BUCKETS; i++) {
        if (known->long_density[i] == 0 && known->short_density[i] == 0) continue;
        buf_printf(out, "%s{\"price\":%.12g,\"long_density\":%.15g,\"short_density\":%.15g}",
                   count++ ? "," : "", i * bin, known->long_density[i], known->short_density[i]);
    }
    buf_printf(out,
               "],\"current_price\":%.15g,\"positions_created\":%.0f,\"positions_consumed\":%.0f,"
               "\"price_bin_size\":%.15g}}",
               number_of(data, "current_price"), number_of(data, "positions_created"),
               number_of(data, "positions_consumed"), bin);
}

/* A walk's state and its past. */
struct walk {
    uint64_t seed;
    struct level buckets[BUCKETS], kept[BUCKETS]; /* both volumes 0: no level */
    int64_t bin_e12;
    unsigned epoch;
    uint64_t versions_max, first_seq;
    struct edition *edition;
    struct buf messages[STEPS + 1][2]; /* by seq and format: each version's whole */
};

static int roll(struct walk *walk, int sides)
{
    return (int)(test_random(&walk->seed) % (uint64_t)sides);
}

static int64_t roll_cents(struct walk *walk)
{
    /* Below 2^49: 15 digits. */
    return roll(walk, 3) ? (int64_t)(test_random(&walk->seed) >> (15 + roll(walk, 49))) : 0;
}

static void step_buckets(struct walk *walk)
{
    int kind = roll(walk, 12);

    if (kind == 0) memcpy(walk->kept, walk->buckets, sizeof(walk->kept));
    if (kind == 1) memcpy(walk->buckets, walk->kept, sizeof(walk->kept));
    if (kind == 2 && roll(walk, 4) == 0) memset(walk->buckets, 0, sizeof(walk->buckets));
    for (int changes = roll(walk, kind == 3 ? BUCKETS * 2 : 8); changes > 0; changes--)
        walk->buckets[roll(walk, BUCKETS)] = (struct level){0, roll_cents(walk), roll_cents(walk)};
    if (roll(walk, 150) == 0) walk->epoch++;
    if (roll(walk, 150) == 0) walk->bin_e12 = walk->bin_e12 == one_e12 / 2 ? one_e12 : one_e12 / 2;
}

/* Makes the next version. */
static void step(struct walk *walk, uint64_t seq)
{
    struct level levels[BUCKETS];
    struct snapshot snapshot = example(levels, 0);
    struct edition *before = walk->edition;
    char epoch[14];

    for (int i = 0; i < BUCKETS; i++) {
        if (!walk->buckets[i].long_cents && !walk->buckets[i].short_cents) continue;
        levels[snapshot.level_count] = walk->buckets[i];
        levels[snapshot.level_count++].bucket = i;
    }
    snapshot.bin_e12 = walk->bin_e12;
    snapshot.time_ms += (int64_t)seq * 1000;
    snapshot.current_price_e8 += roll(walk, 1000000);
    snapshot.positions_created = (uint64_t)roll(walk, 10);
    snprintf(epoch, sizeof(epoch), "e%u", walk->epoch);
    if (!before || strcmp(before->epoch, epoch) != 0 || before->bin_e12 != snapshot.bin_e12)
        walk->first_seq = seq;
    walk->edition = edition_new("BTCUSDT", epoch, seq, &snapshot, before, walk->versions_max);
    edition_free(before);
    edition_write(&walk->messages[seq][0], walk->edition, EDITION_LEVELS, 0, false);
    edition_write(&walk->messages[seq][1], walk->edition, EDITION_COLUMNS, 0, false);
}

/* Who has version `since_seq` and takes the difference has the newest. */
static void check_difference(const struct walk *walk, uint64_t since_seq,
                             enum edition_format format)
{
    struct known known = {0};
    struct buf delta = {0}, text = {0};

    know(&known, buf_str(&walk->messages[since_seq][format]));
    edition_write(&delta, walk->edition, format, since_seq, false);
    know(&known, buf_str(&delta));
    write_known(&text, &known);
    assert_true(str_eq(buf_str(&text), buf_str(&walk->messages[walk->edition->seq][0])));
    json_decref(known.message);
    buf_deinit(&delta);
    buf_deinit(&text);
}

TEST(every_remembered_difference_applied_gives_the_newest_version_byte_for_byte)
{
    static const uint64_t versions_max[] = {0, 1, 7, 300, UINT64_MAX};
    static struct walk walk;

    for (size_t round = 0; round < ARRAY_LEN(versions_max); round++) {
        walk = (struct walk){
            .seed = 20 + round, .bin_e12 = one_e12 / 2, .versions_max = versions_max[round]};
        for (uint64_t seq = 1; seq <= STEPS; seq++) {
            uint64_t oldest_seq;

            step_buckets(&walk);
            step(&walk, seq);
            oldest_seq = walk.edition->oldest_seq;
            assert_int_equal(oldest_seq,
                             MAX(walk.first_seq, seq - MIN(walk.versions_max, seq - 1)));
            for (uint64_t since_seq = oldest_seq; since_seq <= seq; since_seq++)
                check_difference(&walk, since_seq, (enum edition_format)(roll(&walk, 2)));
        }
        for (int i = 0; i <= STEPS; i++) {
            buf_deinit(&walk.messages[i][0]);
            buf_deinit(&walk.messages[i][1]);
        }
        edition_free(walk.edition);
    }
}
