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
