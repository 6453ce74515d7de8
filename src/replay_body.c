#include "replay_body.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/printable.h"

static int read_speed(const json_t *value, struct replay_change *change)
{
    double speed = json_number_value(value);

    if (!json_is_number(value) || speed < LIMIT_REPLAY_SPEED_MIN || speed > LIMIT_REPLAY_SPEED_MAX)
        return ERR_SYNTAX;
    change->has_speed = true;
    change->speed = speed;
    return 0;
}

static int read_paused(const json_t *value, struct replay_change *change)
{
    if (!json_is_boolean(value)) return ERR_SYNTAX;
    change->has_paused = true;
    change->is_paused = json_is_true(value);
    return 0;
}

static int read_position(const json_t *value, struct replay_change *change)
{
    struct str text = {json_string_value(value), json_string_length(value)};

    if (!json_is_string(value) || time_parse(text, &change->position_ms)) return ERR_SYNTAX;
    change->has_position = true;
    return 0;
}

static const struct {
    const char *name;
    int (*read)(const json_t *value, struct replay_change *change);
    const char *what;
} fields[] = {
    {"speed", read_speed,
     "a number from " TEXT_OF(LIMIT_REPLAY_SPEED_MIN) " to " TEXT_OF(LIMIT_REPLAY_SPEED_MAX)},
    {"paused", read_paused, "true or false"},
    {"position", read_position, "an ISO 8601 time such as 2025-12-29T10:00:00Z"},
};

static int read_field(const char *name, const json_t *value, struct replay_change *change,
                      char *message, size_t message_size)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (strcmp(fields[i].name, name) != 0) continue;
        if (!fields[i].read(value, change)) return 0;
        snprintf(message, message_size, "%s: not %s", name, fields[i].what);
        return ERR_SYNTAX;
    }
    snprintf(message, message_size, "unknown field '%.80s'", name);
    return ERR_SYNTAX;
}

static int read_object(json_t *root, struct replay_change *out, char *message, size_t message_size)
{
    struct replay_change change = {0};
    const char *name;
    json_t *value;

    if (!json_is_object(root)) {
        snprintf(message, message_size, "the body is not a JSON object");
        return ERR_SYNTAX;
    }
    json_object_foreach(root, name, value)
    {
        if (read_field(name, value, &change, message, message_size)) return ERR_SYNTAX;
    }
    *out = change;
    return 0;
}

int replay_body_parse(struct str text, struct replay_change *change, char *message,
                      size_t message_size)
{
    json_error_t trouble;
    json_t *root = json_loadb(text.size ? text.at : "", text.size,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &trouble);
    int err = ERR_SYNTAX;

    if (root)
        err = read_object(root, change, message, message_size);
    else
        snprintf(message, message_size, "not JSON: %s (at byte %d)", trouble.text,
                 trouble.position);
    json_decref(root);
    if (err) message[printable_keep_utf8(message, strlen(message))] = '\0';
    return err;
}
