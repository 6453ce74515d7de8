/* protocol.h - the messages of the WebSocket door: client JSON in; replies, errors, warnings out.
 *
 * PROTOCOL section 1 (docs/protocol.md). Pure: bytes to structs and back. */
#ifndef HEATCAST_SERVE_PROTOCOL_H
#define HEATCAST_SERVE_PROTOCOL_H

#include <jansson.h>

#include "base/buf.h"
#include "serve/hub.h"

enum action { ACTION_SUBSCRIBE, ACTION_UNSUBSCRIBE, ACTION_PING };

/* One client message. The strings live as long as `root`. */
struct request {
    json_t *root; /* owned; protocol_request_deinit() */
    enum action action;
    const json_t *symbols; /* array of 1..LIMIT_SYMBOLS_PER_MESSAGE strings; NULL for a ping */
    const json_t *id;      /* string or integer to echo; NULL when not given */
    bool has_interval;
    uint8_t interval;    /* seconds: 1..60, or 0 for every version */
    uint8_t format;      /* enum format */
    bool wants_delta;    /* mode "delta" */
    const json_t *since; /* object: symbol -> seq that the client has; NULL when not given */
    const json_t *epoch; /* of those: a string, or an object: symbol -> string */
};

/* Parses a message. Returns true with *request filled, or false with the error message for the
 * client appended to *error. */
bool protocol_parse(struct str text, struct request *request, struct buf *error) MUST_CHECK;
void protocol_request_deinit(struct request *request);
/* What the client says it has of a symbol; epoch 0 for nothing. An epoch that is none of ours is
 * told apart from nothing: it is UINT64_MAX. */
struct version protocol_version_had(const struct request *request, const char *symbol);

/* The codes of PROTOCOL section 1. */
void protocol_write_error(struct buf *out, const char *code, struct str message);
void protocol_write_slow_consumer(struct buf *out, uint32_t dropped);
void protocol_write_unstable(struct buf *out, uint32_t short_lives);
/* The server will close the connection in so many milliseconds. */
void protocol_write_shutdown(struct buf *out, int64_t in_ms);
/* There has been no news since then. */
void protocol_write_stale(struct buf *out, int64_t since_wall_ms);
void protocol_write_pong(struct buf *out, int64_t now_ms);
/* Adds a name to a list of unknown ones; then says that they are, and which ones are not:
 * "Unknown symbol 'X', 'Y'. Valid symbols: A, B". Text, not JSON. */
void protocol_note_unknown(struct buf *unknown, struct str name);
void protocol_write_unknown(struct buf *out, struct str unknown, const struct hub *hub);
/* The acknowledgement of a request that had an id. `symbols` are those that took effect, an array
 * of `count` names; `interval_s` is a subscription's. */
void protocol_write_ack(struct buf *out, const struct request *request, const char *const *symbols,
                        size_t count, double interval_s);

#endif
