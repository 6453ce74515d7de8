#include "serve/protocol.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

static struct str json_str(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}

static bool fail(struct buf *error, const char *code, const char *message)
{
    protocol_write_error(error, code, str_of(message));
    return false;
}

static bool fail_invalid(struct buf *error, const char *message)
{
    return fail(error, "INVALID_MESSAGE", message);
}

static bool read_action(struct request *request, struct buf *error)
{
    static const char *const names[] = {[ACTION_SUBSCRIBE] = "subscribe",
                                        [ACTION_UNSUBSCRIBE] = "unsubscribe",
                                        [ACTION_PING] = "ping"};
    const json_t *action = json_object_get(request->root, "action");

    if (!action) return fail_invalid(error, "field 'action' is missing");
    if (!json_is_string(action)) return fail_invalid(error, "field 'action' must be a string");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!str_eq(json_str(action), str_of(names[i]))) continue;
        request->action = (enum action)i;
        return true;
    }
    return fail(error, "INVALID_ACTION", "field 'action' must be subscribe, unsubscribe or ping");
}

static bool read_symbols(struct request *request, struct buf *error)
{
    const json_t *symbols = json_object_get(request->root, "symbols");
    char text[80];

    if (request->action == ACTION_PING) return true;
    if (!symbols) return fail_invalid(error, "field 'symbols' is missing");
    if (!json_is_array(symbols) || json_array_size(symbols) == 0)
        return fail_invalid(error, "field 'symbols' must be a non-empty array of strings");
    if (json_array_size(symbols) > LIMIT_SYMBOLS_PER_MESSAGE) {
        snprintf(text, sizeof(text), "field 'symbols' may name at most %d symbols",
                 LIMIT_SYMBOLS_PER_MESSAGE);
        return fail_invalid(error, text);
    }
    for (size_t i = 0; i < json_array_size(symbols); i++)
        if (!json_is_string(json_array_get(symbols, i)))
            return fail_invalid(error, "field 'symbols' must be a non-empty array of strings");
    request->symbols = symbols;
    return true;
}

/* Whole seconds, clamped to 1..60; 0 asks for every version. 5.0 is as good as 5. */
static bool read_interval(struct request *request, struct buf *error)
{
    const json_t *interval = json_object_get(request->root, "update_interval");
    double seconds = json_number_value(interval);

    if (request->action != ACTION_SUBSCRIBE || !interval || json_is_null(interval)) return true;
    if (!json_is_number(interval) || seconds != floor(seconds))
        return fail_invalid(error, "field 'update_interval' must be a whole number of seconds");
    request->has_interval = true;
    request->interval = (uint8_t)(seconds == 0 ? 0 : seconds < 1 ? 1 : seconds > 60 ? 60 : seconds);
    return true;
}

/* A string that is one of `names`; the first when the field is not there. */
static bool read_choice(const struct request *request, const char *field,
                        const char *const names[2], unsigned *choice, struct buf *error)
{
    const json_t *value = json_object_get(request->root, field);
    char text[80];

    *choice = 0;
    if (request->action != ACTION_SUBSCRIBE || !value || json_is_null(value)) return true;
    for (unsigned i = 0; json_is_string(value) && i < 2; i++) {
        *choice = i;
        if (str_eq(json_str(value), str_of(names[i]))) return true;
    }
    snprintf(text, sizeof(text), "field '%s' must be %s or %s", field, names[0], names[1]);
    return fail_invalid(error, text);
}

static bool read_wish(struct request *request, struct buf *error)
{
    static const char *const modes[] = {"snapshot", "delta"}, *const formats[] = {"levels",
                                                                                  "columns"};
    unsigned mode, format;

    if (!read_choice(request, "mode", modes, &mode, error) ||
        !read_choice(request, "format", formats, &format, error))
        return false;
    request->wants_delta = mode == 1;
    request->format = format ? FORMAT_COLUMNS : FORMAT_LEVELS;
    return true;
}

/* An object of which every value is of this kind. */
static bool is_object_of(const json_t *object, bool (*is_it)(const json_t *value))
{
    const char *key;
    json_t *value;

    if (!json_is_object(object)) return false;
    json_object_foreach((json_t *)object, key, value)
    {
        if (!is_it(value)) return false;
    }
    return true;
}

static bool is_seq(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool is_text(const json_t *value)
{
    return json_is_string(value);
}

static bool is_given(const json_t *value)
{
    return value && !json_is_null(value);
}

static bool read_since(struct request *request, struct buf *error)
{
    const json_t *since = json_object_get(request->root, "since");
    const json_t *epoch = json_object_get(request->root, "epoch");

    if (request->action != ACTION_SUBSCRIBE) return true;
    if (is_given(since) && !is_object_of(since, is_seq))
        return fail_invalid(error, "field 'since' must be an object of symbols and their seq, a "
                                   "whole number not below 0");
    if (is_given(epoch) && !json_is_string(epoch) && !is_object_of(epoch, is_text))
        return fail_invalid(error, "field 'epoch' must be a string, or an object of symbols and "
                                   "their epochs");
    if (!is_given(since) || !json_object_size(since)) return true;
    if (!is_given(epoch))
        return fail_invalid(error, "field 'epoch' is missing: 'since' counts in it");
    request->since = since;
    request->epoch = epoch;
    return true;
}

struct version protocol_version_had(const struct request *request, const char *symbol)
{
    const json_t *seq = json_object_get(request->since, symbol), *epoch = request->epoch;
    struct version version = {0};

    if (!seq) return version;
    if (json_is_object(epoch)) epoch = json_object_get(epoch, symbol);
    if (!epoch || !epoch_parse(json_str(epoch), &version.epoch) || !version.epoch)
        version.epoch = UINT64_MAX;
    version.seq = (uint64_t)json_integer_value(seq);
    return version;
}

static bool read_id(struct request *request, struct buf *error)
{
    const json_t *id = json_object_get(request->root, "id");

    if (!id || json_is_null(id)) return true;
    if (!json_is_string(id) && !json_is_integer(id))
        return fail_invalid(error, "field 'id' must be a string or an integer");
    request->id = id;
    return true;
}

bool protocol_parse(struct str text, struct request *request, struct buf *error)
{
    json_error_t trouble;

    *request = (struct request){0};
    request->root = json_loadb(text.at, text.size, JSON_REJECT_DUPLICATES, &trouble);
    if (!request->root) {
        char message[JSON_ERROR_TEXT_LENGTH + 64];

        snprintf(message, sizeof(message), "not JSON: %s (at byte %d)", trouble.text,
                 trouble.position);
        return fail_invalid(error, message);
    }
    if (!json_is_object(request->root)) {
        protocol_request_deinit(request);
        return fail_invalid(error, "a message must be a JSON object");
    }
    if (read_action(request, error) && read_symbols(request, error) &&
        read_interval(request, error) && read_wish(request, error) && read_since(request, error) &&
        read_id(request, error))
        return true;
    protocol_request_deinit(request);
    return false;
}

void protocol_request_deinit(struct request *request)
{
    json_decref(request->root);
    *request = (struct request){0};
}

void protocol_write_error(struct buf *out, const char *code, struct str message)
{
    buf_printf(out, "{\"type\":\"error\",\"code\":\"%s\",\"message\":", code);
    buf_add_json(out, message);
    buf_add_char(out, '}');
}

void protocol_write_slow_consumer(struct buf *out, uint32_t dropped)
{
    buf_printf(
        out,
        "{\"type\":\"warning\",\"code\":\"SLOW_CONSUMER\",\"message\":\"You read more slowly "
        "than snapshots come: %u older ones were skipped, the newest are kept.\","
        "\"dropped_messages\":%u}",
        dropped, dropped);
}

void protocol_write_unstable(struct buf *out, uint32_t short_lives)
{
    buf_printf(
        out,
        "{\"type\":\"warning\",\"code\":\"CONNECTION_UNSTABLE\",\"message\":\"%u connections "
        "from your address were cut within seconds lately; wait longer before you reconnect, or "
        "look for what cuts them.\"}",
        short_lives);
}

void protocol_write_shutdown(struct buf *out, int64_t in_ms)
{
    buf_add_text(out,
                 "{\"type\":\"warning\",\"code\":\"SERVER_SHUTDOWN\",\"message\":\"This server "
                 "is stopping and will close this connection; connect again then, and go on "
                 "from what you have.\",\"reconnect_in_ms\":");
    buf_add_int(out, in_ms);
    buf_add_char(out, '}');
}

void protocol_write_stale(struct buf *out, int64_t since_wall_ms)
{
    buf_add_text(out, "{\"type\":\"warning\",\"code\":\"STALE\",\"message\":\"No news reaches this "
                      "server; what it sends is the last it has.\",\"since\":\"");
    buf_add_time(out, since_wall_ms);
    buf_add_text(out, "\"}");
}

void protocol_write_pong(struct buf *out, int64_t now_ms)
{
    buf_add_text(out, "{\"type\":\"pong\",\"timestamp\":\"");
    buf_add_time(out, now_ms);
    buf_add_text(out, "\"}");
}

void protocol_note_unknown(struct buf *unknown, struct str name)
{
    buf_printf(unknown, "%s'%.*s'", unknown->size ? ", " : "",
               (int)MIN(name.size, LIMIT_SYMBOL_BYTES), name.at);
}

void protocol_write_unknown(struct buf *out, struct str unknown, const struct hub *hub)
{
    buf_printf(out, "Unknown symbol %.*s. Valid symbols: ", (int)unknown.size, unknown.at);
    if (!hub->topic_count) buf_add_text(out, "none yet, the server has no data");
    for (size_t i = 0; i < hub->topic_count && i < LIMIT_SYMBOLS_LISTED; i++)
        buf_printf(out, "%s%s", i ? ", " : "", hub->topics[i]->name);
    if (hub->topic_count > LIMIT_SYMBOLS_LISTED)
        buf_printf(out, " and %zu more (GET /symbols)", hub->topic_count - LIMIT_SYMBOLS_LISTED);
}

void protocol_write_ack(struct buf *out, const struct request *request, const char *const *symbols,
                        size_t count, double interval_s)
{
    char *id = json_dumps(request->id, JSON_ENCODE_ANY | JSON_COMPACT);

    buf_printf(out, "{\"type\":\"%s\",\"id\":%s,\"symbols\":[",
               request->action == ACTION_SUBSCRIBE ? "subscribed" : "unsubscribed", id);
    free(id);
    for (size_t i = 0; i < count; i++) {
        if (i) buf_add_char(out, ',');
        buf_add_json(out, str_of(symbols[i]));
    }
    buf_add_char(out, ']');
    if (request->action == ACTION_SUBSCRIBE) {
        buf_add_text(out, ",\"update_interval\":");
        buf_add_double(out, interval_s);
        buf_printf(out, ",\"mode\":\"%s\",\"format\":\"%s\"",
                   request->wants_delta ? "delta" : "snapshot",
                   request->format == FORMAT_COLUMNS ? "columns" : "levels");
    }
    buf_add_char(out, '}');
}
