/* handshake.h - how an HTTP request becomes a WebSocket: RFC 6455 §4, RFC 7692 §7.1.
 *
 * Both sides: the server's check and answer, and the client's request and check. Origins, paths and
 * limits are the caller's to judge, between check and answer. Pure; any thread may call it. */
#ifndef HEATCAST_WIRE_HANDSHAKE_H
#define HEATCAST_WIRE_HANDSHAKE_H

#include "base/base.h"
#include "base/buf.h"
#include "wire/http.h"

#define HANDSHAKE_KEY_BYTES   16
#define HANDSHAKE_ACCEPT_SIZE 28 /* base64 of a SHA-1 */

/* What was agreed about permessage-deflate. No side ever keeps its context: messages are compressed
 * each by itself, so that one compressed publication serves many and nobody pays for windows. */
struct handshake_deflate {
    bool is_on;
    bool is_limited; /* the peer asked for a largest window, so the answer names one */
    /* 9 to 15: the window that our messages to this peer may use at most. A message compressed with
     * a larger one must go out plain instead, which is always allowed (RFC 7692 §6.1). */
    uint8_t window_bits;
};

struct handshake {
    char accept[HANDSHAKE_ACCEPT_SIZE]; /* Sec-WebSocket-Accept; not NUL-terminated */
    struct handshake_deflate deflate;
};

/* Checks an upgrade request. Returns 0 with *out filled, or minus a status, *out untouched:
 *     405  not GET
 *     400  not HTTP/1.1, with a body, or a header field missing or ill-formed
 *     426  no upgrade to websocket is asked for, or another version than 13
 * permessage-deflate is agreed on if `with_deflate` and one of the peer's offers can be kept; the
 * first such is taken. An offer is declined (RFC 7692 §7.1) for an unknown, repeated or ill-valued
 * parameter, and for server_max_window_bits=8, which zlib cannot keep. */
int handshake_check(const struct http_request *request, bool with_deflate,
                    struct handshake *out) MUST_CHECK;

/* Appends the 101 response. */
void handshake_write_accept(struct buf *out, const struct handshake *handshake);

/* What a client asks for. */
struct handshake_request {
    struct str host;                  /* "example.com:8000" */
    struct str target;                /* "/ws/heatmap" */
    uint8_t key[HANDSHAKE_KEY_BYTES]; /* random, new for each connection: RFC 6455 §4.1 */
    bool offers_deflate;
};

void handshake_write_request(struct buf *out, const struct handshake_request *request);

/* Checks the answer to `request`. Returns 0 with *deflate filled; ERR_SYNTAX, *deflate untouched,
 * when it is not a 101 that RFC 6455 §4.1 lets us accept. */
int handshake_check_response(const struct http_response *response,
                             const struct handshake_request *request,
                             struct handshake_deflate *deflate) MUST_CHECK;

#endif
