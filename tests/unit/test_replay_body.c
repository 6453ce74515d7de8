#include "replay_body.h"

#include <string.h>

#include "test.h"

static struct replay_change parsed(const char *text)
{
    struct replay_change change = {.speed = -1};
    char message[256];

    assert_int_equal(replay_body_parse(str_of(text), &change, message, sizeof(message)), 0);
    return change;
}

static void refused(const char *text, const char *why)
{
    struct replay_change change = {.speed = 7};
    char message[256] = "";

    assert_int_equal(replay_body_parse(str_of(text), &change, message, sizeof(message)),
                     ERR_SYNTAX);
    if (!strstr(message, why)) fail_msg("%s: '%s' has no '%s'", text, message, why);
    assert_true(change.speed == 7 && !change.has_speed && !change.has_position);
}

TEST(any_of_the_fields_may_be_there)
{
    struct replay_change change = parsed("{}");

    assert_false(change.has_speed || change.has_paused || change.has_position);
    change = parsed("{\"speed\":60}");
    assert_true(change.has_speed && change.speed == 60 && !change.has_paused);
    change = parsed("{\"paused\":true}");
    assert_true(change.has_paused && change.is_paused && !change.has_position);
    change =
        parsed(" {\"position\":\"2025-12-29T10:00:00+02:00\", \"paused\":false,\"speed\":0.001}\n");
    assert_true(change.has_speed && change.speed == 0.001);
    assert_true(change.has_paused && !change.is_paused);
    assert_true(change.has_position && change.position_ms == INT64_C(1766995200000));
}

TEST(what_is_no_such_body_is_refused_by_name)
{
    refused("", "not JSON");
    refused("{", "not JSON");
    refused("[]", "not a JSON object");
    refused("60", "not JSON");
    refused("{\"speed\":60,\"speed\":60}", "speed");
    refused("{\"speed\":60,\"spede\":60}", "unknown field 'spede'");
    refused("{\"speed\":60,\"\\u001b[2J\":1}", "unknown field '?[2J'");
    refused("{\"speed\":\"60\"}", "speed: not a number from 0.001 to 1000000");
    refused("{\"speed\":null}", "speed: not a number");
    refused("{\"speed\":0}", "speed: not a number");
    refused("{\"speed\":-5}", "speed: not a number");
    refused("{\"speed\":0.0009}", "speed: not a number");
    refused("{\"speed\":1000000.5}", "speed: not a number");
    refused("{\"speed\":1e999}", "not JSON");
    refused("{\"paused\":1}", "paused: not true or false");
    refused("{\"position\":1766995200}", "position: not an ISO 8601 time");
    refused("{\"position\":\"50%\"}", "position: not an ISO 8601 time");
    refused("{\"position\":\"2025-12-29T10:00:00Z\\u0000\"}", "not JSON");
}
