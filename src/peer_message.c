#include "peer_message.h"

#include <math.h>
#include <stdio.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/limits.h"
#include "publish_body.h"

static struct str text_of(const json_t *root, const char *name)
{
    const json_t *value = json_object_get(root, name);

    return (struct str){json_string_value(value), json_string_length(value)};
}

static const char *read_version(const json_t *root, int64_t now_ms, struct version *version)
{
    const json_t *seq = json_object_get(root, "seq");
    double number = json_number_value(seq);

    if (!epoch_parse(text_of(root, "epoch"), &version->epoch) || !version->epoch)
        return "epoch: not an epoch";
    if (version->epoch > epoch_latest(now_ms))
        return "epoch: more than a day ahead of this server's clock";
    if (!json_is_number(seq) || number < 1 || number > 0x1p53 || number != floor(number))
        return "seq: not a whole number from 1 to 2^53";
    version->seq = (uint64_t)number;
    return NULL;
}

static const char *read_head(const json_t *root, struct str symbol, int64_t now_ms,
                             struct version *version, int64_t *time_ms)
{
    if (!json_is_object(root)) return "not an object";
    if (!str_eq(text_of(root, "type"), STR("snapshot"))) return "type: not snapshot";
    if (!str_eq(text_of(root, "symbol"), symbol)) return "symbol: not the channel's";
    if (time_parse(text_of(root, "timestamp"), time_ms)) return "timestamp: not a time in ISO 8601";
    if (!json_is_object(json_object_get(root, "data"))) return "data: not an object";
    return read_version(root, now_ms, version);
}

int peer_message_parse(struct str text, struct str symbol, int64_t now_ms, struct peer_message *out,
                       char *message, size_t message_size)
{
    struct peer_message parsed = {0};
    const char *why;
    json_t *root;
    int64_t time_ms;
    int err = ERR_SYNTAX;

    if (text.size > LIMIT_PEER_BYTES) {
        snprintf(message, message_size, "longer than %d bytes", LIMIT_PEER_BYTES);
        return err;
    }
    root = publish_body_load(text, message, message_size);
    if (!root) return err;
    why = read_head(root, symbol, now_ms, &parsed.version, &time_ms);
    if (why)
        snprintf(message, message_size, "%s", why);
    else
        err = publish_body_read_peer(json_object_get(root, "data"), time_ms, &parsed.snapshot,
                                     message, message_size);
    json_decref(root);
    if (!err) *out = parsed;
    return err;
}
