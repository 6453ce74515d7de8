#include <string.h>

#include "base/limits.h"
#include "serve/protocol.h"
#include "test.h"

static struct request request;

/* Parses; on failure the code of the error, "" on success. */
static const char *parse(const char *text)
{
    static char code[64];
    struct buf error = {0};
    bool ok = protocol_parse(str_of(text), &request, &error);

    code[0] = '\0';
    if (!ok) {
        json_t *message = json_loadb(error.data, error.size, 0, NULL);

        assert_non_null(message);
        assert_string_equal(json_string_value(json_object_get(message, "type")), "error");
        strcpy(code, json_string_value(json_object_get(message, "code")));
        assert_true(json_string_length(json_object_get(message, "message")) > 0);
        json_decref(message);
    }
    buf_deinit(&error);
    return code;
}

static void expect_interval(const char *value, int interval)
{
    char text[200];

    snprintf(text, sizeof(text),
             "{\"action\":\"subscribe\",\"symbols\":[\"A\"],\"update_interval\":%s}", value);
    assert_string_equal(parse(text), "");
    assert_true(request.has_interval);
    assert_int_equal(request.interval, interval);
    protocol_request_deinit(&request);
}

TEST(a_subscribe_is_read)
{
    assert_string_equal(parse("{\"action\":\"subscribe\",\"symbols\":[\"A\",\"B\"],\"more\":{}}"),
                        "");
    assert_int_equal(request.action, ACTION_SUBSCRIBE);
    assert_int_equal(json_array_size(request.symbols), 2);
    assert_false(request.has_interval);
    assert_null(request.id);
    protocol_request_deinit(&request);
}

TEST(intervals_are_clamped_to_1_to_60_and_0_stays)
{
    expect_interval("5", 5);
    expect_interval("5.0", 5);
    expect_interval("1", 1);
    expect_interval("60", 60);
    expect_interval("61", 60);
    expect_interval("1e300", 60);
    expect_interval("-3", 1);
    expect_interval("0", 0);
}

TEST(what_is_wrong_is_told_apart)
{
    static const struct {
        const char *text, *code;
    } cases[] = {
        {"", "INVALID_MESSAGE"},
        {"nonsense", "INVALID_MESSAGE"},
        {"[]", "INVALID_MESSAGE"},
        {"{}", "INVALID_MESSAGE"},
        {"{\"action\":1}", "INVALID_MESSAGE"},
        {"{\"action\":\"dance\"}", "INVALID_ACTION"},
        {"{\"action\":\"Subscribe\",\"symbols\":[\"A\"]}", "INVALID_ACTION"},
        {"{\"action\":\"subscribe\"}", "INVALID_MESSAGE"},
        {"{\"action\":\"subscribe\",\"symbols\":[]}", "INVALID_MESSAGE"},
        {"{\"action\":\"subscribe\",\"symbols\":\"A\"}", "INVALID_MESSAGE"},
        {"{\"action\":\"subscribe\",\"symbols\":[1]}", "INVALID_MESSAGE"},
        {"{\"action\":\"subscribe\",\"symbols\":[\"A\",null]}", "INVALID_MESSAGE"},
        {"{\"action\":\"subscribe\",\"symbols\":[\"A\"],\"update_interval\":\"5\"}",
         "INVALID_MESSAGE"},
        {"{\"action\":\"subscribe\",\"symbols\":[\"A\"],\"update_interval\":2.5}",
         "INVALID_MESSAGE"},
        {"{\"action\":\"subscribe\",\"symbols\":[\"A\"],\"update_interval\":true}",
         "INVALID_MESSAGE"},
        {"{\"action\":\"subscribe\",\"symbols\":[\"A\"],\"id\":[]}", "INVALID_MESSAGE"},
        {"{\"action\":\"subscribe\",\"symbols\":[\"A\"],\"id\":1.5}", "INVALID_MESSAGE"},
        {"{\"action\":\"ping\",\"action\":\"ping\"}", "INVALID_MESSAGE"},
        {"{\"action\":\"unsubscribe\"}", "INVALID_MESSAGE"},
        {"{\"action\":\"ping\"} x", "INVALID_MESSAGE"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(parse(cases[i].text), cases[i].code);
}

/* A subscribe to A and B with more fields. */
static const char *parse_subscribe(const char *fields)
{
    char text[400];

    snprintf(text, sizeof(text), "{\"action\":\"subscribe\",\"symbols\":[\"A\",\"B\"]%s}", fields);
    return parse(text);
}

TEST(mode_and_format_are_read_and_have_defaults)
{
    static const struct {
        const char *fields;
        bool wants_delta;
        enum format format;
    } cases[] = {
        {"", false, FORMAT_LEVELS},
        {",\"mode\":null,\"format\":null", false, FORMAT_LEVELS},
        {",\"mode\":\"snapshot\",\"format\":\"levels\"", false, FORMAT_LEVELS},
        {",\"mode\":\"delta\"", true, FORMAT_LEVELS},
        {",\"format\":\"columns\"", false, FORMAT_COLUMNS},
        {",\"format\":\"columns\",\"mode\":\"delta\"", true, FORMAT_COLUMNS},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(parse_subscribe(cases[i].fields), "");
        assert_int_equal(request.wants_delta, cases[i].wants_delta);
        assert_int_equal(request.format, cases[i].format);
        protocol_request_deinit(&request);
    }
}

static void expect_had(const char *symbol, uint64_t epoch, uint64_t seq)
{
    struct version had = protocol_version_had(&request, symbol);

    assert_true(had.epoch == epoch);
    assert_true(had.seq == seq);
}

TEST(what_a_client_has_is_read_by_symbol)
{
    /* One epoch for all, or one for each. */
    assert_string_equal(parse_subscribe(",\"since\":{\"A\":5,\"C\":0},\"epoch\":\"10\""), "");
    expect_had("A", 36, 5);
    expect_had("B", 0, 0);
    expect_had("C", 36, 0);
    protocol_request_deinit(&request);

    assert_string_equal(
        parse_subscribe(",\"since\":{\"A\":5,\"B\":6},\"epoch\":{\"A\":\"z\",\"C\":\"1\"}"), "");
    expect_had("A", 35, 5);
    expect_had("B", UINT64_MAX, 6);
    expect_had("C", 0, 0);
    protocol_request_deinit(&request);
}

TEST(an_epoch_that_is_none_of_ours_is_told_apart_from_nothing)
{
    static const char *const foreign[] = {"", "0", "Z", "-1", "zzzzzzzzzzzzzzzz"};

    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        char fields[100];

        snprintf(fields, sizeof(fields), ",\"since\":{\"A\":9223372036854775807},\"epoch\":\"%s\"",
                 foreign[i]);
        assert_string_equal(parse_subscribe(fields), "");
        expect_had("A", UINT64_MAX, INT64_MAX);
        protocol_request_deinit(&request);
    }
}

TEST(without_since_nothing_is_had)
{
    static const char *const fields[] = {"", ",\"since\":null", ",\"since\":{}", ",\"epoch\":\"a\"",
                                         ",\"since\":{},\"epoch\":{}"};

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        assert_string_equal(parse_subscribe(fields[i]), "");
        expect_had("A", 0, 0);
        protocol_request_deinit(&request);
    }
}

/* On failure: does the error's message name the field? */
static void expect_named(const char *fields, const char *field)
{
    struct buf error = {0};
    char text[400], quoted[40];

    snprintf(text, sizeof(text), "{\"action\":\"subscribe\",\"symbols\":[\"A\"]%s}", fields);
    snprintf(quoted, sizeof(quoted), "field '%s'", field);
    assert_false(protocol_parse(str_of(text), &request, &error));
    buf_add_char(&error, '\0');
    assert_non_null(strstr(error.data, "INVALID_MESSAGE"));
    assert_non_null(strstr(error.data, quoted));
    buf_deinit(&error);
}

TEST(an_ill_typed_field_of_a_subscribe_is_named)
{
    expect_named(",\"mode\":\"deltas\"", "mode");
    expect_named(",\"mode\":1", "mode");
    expect_named(",\"mode\":{}", "mode");
    expect_named(",\"format\":\"column\"", "format");
    expect_named(",\"format\":true", "format");
    expect_named(",\"since\":7,\"epoch\":\"a\"", "since");
    expect_named(",\"since\":[7],\"epoch\":\"a\"", "since");
    expect_named(",\"since\":{\"A\":-1},\"epoch\":\"a\"", "since");
    expect_named(",\"since\":{\"A\":1.0},\"epoch\":\"a\"", "since");
    expect_named(",\"since\":{\"A\":1,\"B\":null},\"epoch\":\"a\"", "since");
    expect_named(",\"since\":{\"A\":1}", "epoch");
    expect_named(",\"since\":{\"A\":1},\"epoch\":null", "epoch");
    expect_named(",\"since\":{\"A\":1},\"epoch\":1", "epoch");
    expect_named(",\"since\":{\"A\":1},\"epoch\":{\"A\":1}", "epoch");
    expect_named(",\"epoch\":1", "epoch");
    expect_named(",\"update_interval\":[]", "update_interval");
    expect_named(",\"id\":{}", "id");
}

TEST(fields_of_a_subscribe_mean_nothing_elsewhere)
{
    assert_string_equal(parse("{\"action\":\"ping\",\"mode\":1,\"format\":2,\"since\":3}"), "");
    protocol_request_deinit(&request);
    assert_string_equal(
        parse("{\"action\":\"unsubscribe\",\"symbols\":[\"A\"],\"epoch\":4,\"mode\":\"delta\"}"),
        "");
    assert_false(request.wants_delta);
    protocol_request_deinit(&request);
}

TEST(an_acknowledgement_tells_what_is_kept)
{
    static const char subscribed[] =
        "{\"type\":\"subscribed\",\"id\":1,\"symbols\":[\"A\",\"B\"],"
        "\"update_interval\":5,\"mode\":\"delta\",\"format\":\"columns\"}";
    static const char unsubscribed[] = "{\"type\":\"unsubscribed\",\"id\":1,\"symbols\":[]}";
    const char *symbols[] = {"A", "B"};
    struct buf ack = {0};

    assert_string_equal(parse_subscribe(",\"id\":1,\"mode\":\"delta\",\"format\":\"columns\""), "");
    protocol_write_ack(&ack, &request, symbols, 2, 5);
    assert_int_equal(ack.size, sizeof(subscribed) - 1);
    assert_memory_equal(ack.data, subscribed, ack.size);
    protocol_request_deinit(&request);
    buf_clear(&ack);
    assert_string_equal(parse("{\"action\":\"unsubscribe\",\"symbols\":[\"C\"],\"id\":1}"), "");
    protocol_write_ack(&ack, &request, symbols, 0, 5);
    assert_int_equal(ack.size, sizeof(unsubscribed) - 1);
    assert_memory_equal(ack.data, unsubscribed, ack.size);
    protocol_request_deinit(&request);
    buf_deinit(&ack);
}

TEST(one_message_names_up_to_the_limit_of_symbols)
{
    struct buf text = {0};

    for (int extra = 0; extra < 2; extra++) {
        buf_clear(&text);
        buf_add_text(&text, "{\"action\":\"subscribe\",\"symbols\":[\"A\"");
        for (int i = 1; i < LIMIT_SYMBOLS_PER_MESSAGE + extra; i++)
            buf_add_text(&text, ",\"A\"");
        buf_add_text(&text, "]}");
        buf_add_char(&text, '\0');
        assert_string_equal(parse(text.data), extra ? "INVALID_MESSAGE" : "");
        if (!extra) protocol_request_deinit(&request);
    }
    buf_deinit(&text);
}

TEST(an_id_is_echoed_as_it_came)
{
    static const char *const ids[] = {"7", "-1", "\"a \\\"b\\\"\""};
    const char *symbols[] = {"A"};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct buf ack = {0};
        char text[200], expected[200];

        snprintf(text, sizeof(text), "{\"action\":\"subscribe\",\"symbols\":[\"A\"],\"id\":%s}",
                 ids[i]);
        assert_string_equal(parse(text), "");
        protocol_write_ack(&ack, &request, symbols, 1, 0.25);
        snprintf(expected, sizeof(expected),
                 "{\"type\":\"subscribed\",\"id\":%s,\"symbols\":[\"A\"],\"update_interval\":0.25,"
                 "\"mode\":\"snapshot\",\"format\":\"levels\"}",
                 ids[i]);
        assert_int_equal(ack.size, strlen(expected));
        assert_memory_equal(ack.data, expected, ack.size);
        buf_deinit(&ack);
        protocol_request_deinit(&request);
    }
}
