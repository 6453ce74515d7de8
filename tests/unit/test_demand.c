#include <stdlib.h>
#include <string.h>

#include "serve/demand.h"
#include "test.h"

/* A hub of four topics: BTCUSDT is at 36:20, ETHUSDT at 37:5, SOLUSDT and MINE have nothing yet. */
static struct hub hub;
static struct demand demand;
static char reason[8192];

static bool never_pays(const void *content, uint64_t since_seq)
{
    (void)content;
    (void)since_seq;
    return false;
}

static void write_nothing(const void *content, const struct encoding_key *key, struct buf *out)
{
    (void)content;
    (void)key;
    buf_add_char(out, '.');
}

static void on_interest(struct hub *of, const struct topic *topic)
{
    (void)of;
    (void)topic;
}

static void publish(uint32_t id, uint64_t epoch, uint64_t seq)
{
    static const struct content_ops ops = {never_pays, write_nothing, free};

    hub_deliver(&hub, publication_new(id, (struct version){epoch, seq}, 1, &ops, NULL), 0);
}

static void begin(void)
{
    static const char *const names[] = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "MINE"};

    hub_init(&hub);
    hub.on_interest = on_interest;
    for (uint32_t i = 0; i < ARRAY_LEN(names); i++)
        hub_add_topic(&hub, names[i], i);
    publish(0, 36, 20);
    publish(1, 37, 5);
}

static int told(int status, struct buf *text)
{
    reason[0] = '\0';
    if (text->size) {
        assert_int_equal(strlen(text->data), text->size - 1);
        strcpy(reason, text->data);
    }
    assert_int_equal(status != 0, reason[0] != '\0');
    buf_deinit(text);
    return status;
}

static int stream_after(const char *query, const char *id)
{
    struct buf text = {0};

    return told(demand_read_stream(&hub, str_of(query), str_of(id), &demand, &text), &text);
}

static int stream(const char *query)
{
    return stream_after(query, "");
}

static int poll_for(const char *query)
{
    struct buf text = {0};

    return told(demand_read_poll(&hub, str_of(query), &demand, &text), &text);
}

/* How the demand's symbols go on: "BTCUSDT from 36:7, ETHUSDT", say. */
static const char *beginnings(void)
{
    static char text[400];
    struct buf out = {0};

    for (size_t i = 0; i < demand.topic_count; i++) {
        struct version had = demand_version_had(&demand, demand.topics[i]);

        buf_printf(&out, "%s%s", i ? ", " : "", demand.topics[i]->name);
        if (had.epoch == UINT64_MAX)
            buf_add_text(&out, " from nowhere");
        else if (had.epoch)
            buf_printf(&out, " from %d:%d", (int)had.epoch, (int)had.seq);
    }
    buf_add_char(&out, '\0');
    strcpy(text, out.data);
    buf_deinit(&out);
    return text;
}

TEST(a_stream_names_symbols_and_how_they_are_wanted)
{
    begin();
    assert_int_equal(stream("symbols=BTCUSDT"), 0);
    assert_string_equal(beginnings(), "BTCUSDT");
    assert_int_equal(demand.wish.interval, 0);
    assert_int_equal(demand.wish.format, FORMAT_LEVELS);
    assert_false(demand.wish.wants_delta);
    assert_int_equal(stream("format=columns&symbols=SOLUSDT%2CMINE,BTCUSDT&mode=delta&x=y"), 0);
    assert_string_equal(beginnings(), "SOLUSDT, MINE, BTCUSDT");
    assert_int_equal(demand.wish.format, FORMAT_COLUMNS);
    assert_true(demand.wish.wants_delta);
    assert_int_equal(stream("symbols=MINE&mode=snapshot&format=levels&update_interval="), 0);
    assert_int_equal(demand.wish.format, FORMAT_LEVELS);
    assert_false(demand.wish.wants_delta);
    hub_deinit(&hub);
}

static void expect_interval(const char *text, int interval)
{
    char query[400];

    snprintf(query, sizeof(query), "symbols=MINE&update_interval=%s", text);
    if (interval < 0) {
        assert_int_equal(stream(query), 422);
        assert_non_null(strstr(reason, "'update_interval' must be a whole number"));
        return;
    }
    assert_int_equal(stream(query), 0);
    assert_int_equal(demand.wish.interval, interval);
}

TEST(an_interval_is_clamped_as_in_a_subscribe)
{
    static const char *const bad[] = {"1.5", "x",    "5s", "0x5", "1e1", "inf", "nan", "-",
                                      ".",   "%2B5", "5 ", "+5",  "1,5", "5.-", "--5", "1.0.0"};
    char huge[302];

    memset(huge, '9', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    begin();
    expect_interval("0", 0);
    expect_interval("0.00", 0);
    expect_interval("1", 1);
    expect_interval("5", 5);
    expect_interval("5.0", 5);
    expect_interval("5.", 5);
    expect_interval("007", 7);
    expect_interval("60", 60);
    expect_interval("61", 60);
    expect_interval(huge, 60);
    expect_interval("-1", 1);
    expect_interval("-60", 1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_interval(bad[i], -1);
    hub_deinit(&hub);
}

TEST(what_is_missing_or_ill_formed_is_422_and_says_what)
{
    static const struct {
        const char *query, *said;
    } streams[] = {
        {"", "parameter 'symbols' is missing"},
        {"symbols=", "parameter 'symbols' is missing"},
        {"symbol=MINE", "parameter 'symbols' is missing"},
        {"symbols=MINE&symbols=MINE", "parameter 'symbols' is given twice"},
        {"symbols=%ff", "parameter 'symbols' is not properly percent-encoded UTF-8"},
        {"symbols=%4", "parameter 'symbols' is not properly percent-encoded UTF-8"},
        {"symbols=MINE&mode=full", "parameter 'mode' must be snapshot or delta"},
        {"symbols=MINE&mode=Delta", "parameter 'mode' must be snapshot or delta"},
        {"symbols=MINE&format=json", "parameter 'format' must be levels or columns"},
        {"symbols=MINE&mode=delta&mode=delta", "parameter 'mode' is given twice"},
        {"symbols=MINE&last_event_id=1&last_event_id=2",
         "parameter 'last_event_id' is given twice"},
    };

    begin();
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        assert_int_equal(stream(streams[i].query), 422);
        assert_string_equal(reason, streams[i].said);
    }
    hub_deinit(&hub);
}

TEST(unknown_symbols_are_400_and_named_beside_the_valid_ones)
{
    begin();
    assert_int_equal(stream("symbols=NOPE,BTCUSDT,btcusdt&update_interval=0"), 400);
    assert_string_equal(reason, "Unknown symbol 'NOPE', 'btcusdt'. "
                                "Valid symbols: BTCUSDT, ETHUSDT, MINE, SOLUSDT");
    assert_int_equal(stream("symbols=BTCUSDT,"), 400);
    assert_non_null(strstr(reason, "Unknown symbol ''. "));
    assert_int_equal(stream("symbols=,"), 400);
    assert_non_null(strstr(reason, "Unknown symbol '', ''. "));
    assert_int_equal(poll_for("symbol=BTCUSDT,ETHUSDT"), 400);
    assert_non_null(strstr(reason, "Unknown symbol 'BTCUSDT,ETHUSDT'. "));
    hub_deinit(&hub);
}

TEST(a_hundred_symbols_are_taken_and_one_more_is_422)
{
    struct buf query = {0};

    begin();
    buf_add_text(&query, "symbols=MINE");
    for (int i = 1; i < LIMIT_SYMBOLS_PER_MESSAGE; i++)
        buf_add_text(&query, ",MINE");
    buf_add_char(&query, '\0');
    assert_int_equal(stream(query.data), 0);
    assert_int_equal(demand.topic_count, LIMIT_SYMBOLS_PER_MESSAGE);
    query.size--;
    buf_add(&query, ",MINE", sizeof(",MINE"));
    assert_int_equal(stream(query.data), 422);
    assert_string_equal(reason, "parameter 'symbols' may name at most 100 symbols");
    buf_deinit(&query);
    hub_deinit(&hub);
}

TEST(the_symbol_whose_version_an_id_names_goes_on_and_the_others_begin)
{
    begin();
    assert_int_equal(stream_after("symbols=ETHUSDT,BTCUSDT,SOLUSDT", "10:7"), 0);
    assert_string_equal(beginnings(), "ETHUSDT, BTCUSDT from 36:7, SOLUSDT");
    assert_int_equal(stream_after("symbols=ETHUSDT,BTCUSDT", "11:5"), 0);
    assert_string_equal(beginnings(), "ETHUSDT from 37:5, BTCUSDT");
    assert_int_equal(stream("symbols=BTCUSDT&last_event_id=10:7"), 0);
    assert_string_equal(beginnings(), "BTCUSDT from 36:7");
    hub_deinit(&hub);
}

TEST(an_id_of_which_nobody_knows_the_symbol_is_told_to_all)
{
    begin();
    assert_int_equal(stream_after("symbols=ETHUSDT,SOLUSDT", "12:7"), 0);
    assert_string_equal(beginnings(), "ETHUSDT from 38:7, SOLUSDT from 38:7");
    /* A version of a symbol that is not asked for. */
    assert_int_equal(stream_after("symbols=SOLUSDT,ETHUSDT", "10:7"), 0);
    assert_string_equal(beginnings(), "SOLUSDT from 36:7, ETHUSDT from 36:7");
    hub_deinit(&hub);
}

TEST(an_ill_formed_id_names_what_nobody_knows)
{
    static const char *const bad[] = {"1",
                                      ":",
                                      "10:",
                                      ":7",
                                      "10:7:7",
                                      "10:-7",
                                      "10:x",
                                      "0:7",
                                      "010:7",
                                      "A:7",
                                      "zzzzzzzzzzzzzz:7",
                                      "10:7 ",
                                      "10:18446744073709551616"};

    begin();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(stream_after("symbols=BTCUSDT,SOLUSDT", bad[i]), 0);
        assert_string_equal(beginnings(), "BTCUSDT from nowhere, SOLUSDT from nowhere");
    }
    assert_int_equal(stream_after("symbols=BTCUSDT", "10:18446744073709551615"), 0);
    assert_true(demand.has.seq == UINT64_MAX);
    hub_deinit(&hub);
}

TEST(the_header_is_younger_than_the_query)
{
    begin();
    assert_int_equal(stream_after("symbols=BTCUSDT&last_event_id=10:7", "10:9"), 0);
    assert_string_equal(beginnings(), "BTCUSDT from 36:9");
    assert_int_equal(stream_after("symbols=BTCUSDT&last_event_id=10:7", "x"), 0);
    assert_string_equal(beginnings(), "BTCUSDT from nowhere");
    assert_int_equal(stream("symbols=BTCUSDT&last_event_id="), 0);
    assert_string_equal(beginnings(), "BTCUSDT");
    hub_deinit(&hub);
}

TEST(a_poll_names_one_symbol_what_it_has_and_how_long_it_waits)
{
    begin();
    assert_int_equal(poll_for("symbol=BTCUSDT&since=10:7"), 0);
    assert_string_equal(beginnings(), "BTCUSDT from 36:7");
    assert_int_equal(demand.wait_ms, 25000);
    assert_int_equal(poll_for("symbol=BTCUSDT&wait=0"), 0);
    assert_string_equal(beginnings(), "BTCUSDT");
    assert_int_equal(demand.wait_ms, 0);
    assert_int_equal(poll_for("symbol=BTCUSDT&wait=60&mode=delta&format=columns"), 0);
    assert_int_equal(demand.wait_ms, 60000);
    assert_int_equal(demand.wish.format, FORMAT_COLUMNS);
    assert_true(demand.wish.wants_delta);
    assert_int_equal(poll_for("symbol=BTCUSDT&wait=1.5"), 0);
    assert_int_equal(demand.wait_ms, 1500);
    assert_int_equal(poll_for("symbol=BTCUSDT&wait=.25"), 0);
    assert_int_equal(demand.wait_ms, 250);
    hub_deinit(&hub);
}

TEST(a_poll_is_read_as_strictly)
{
    static const char *const waits[] = {"60.001", "-1", "-0.5", "x", "1e1", "nan", "99999999999"};
    static const char *const sinces[] = {"7", "10:", "10:x", "0:1", "BTC:7", "10:7,10:8"};
    char query[100];

    begin();
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        snprintf(query, sizeof(query), "symbol=MINE&wait=%s", waits[i]);
        assert_int_equal(poll_for(query), 422);
        assert_string_equal(reason, "parameter 'wait' must be a number of seconds from 0 to 60");
    }
    for (size_t i = 0; i < ARRAY_LEN(sinces); i++) {
        snprintf(query, sizeof(query), "symbol=MINE&since=%s", sinces[i]);
        assert_int_equal(poll_for(query), 422);
        assert_non_null(strstr(reason, "parameter 'since' must be epoch:seq"));
    }
    assert_int_equal(poll_for("since=10:7"), 422);
    assert_string_equal(reason, "parameter 'symbol' is missing");
    assert_int_equal(poll_for("symbol=MINE&wait=1&wait=2"), 422);
    assert_string_equal(reason, "parameter 'wait' is given twice");
    hub_deinit(&hub);
}

TEST(a_query_with_any_parameter_of_a_poll_is_one)
{
    static const char *const polls[] = {"since=x",       "symbol=A&wait=0", "wait=%",
                                        "mode=snapshot", "format=levels",   "wait=1&wait=2"};
    static const char *const others[] = {"", "symbol=A", "since=&wait", "Since=1", "waits=1"};

    for (size_t i = 0; i < ARRAY_LEN(polls); i++)
        assert_true(demand_is_poll(str_of(polls[i])));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(demand_is_poll(str_of(others[i])));
}
