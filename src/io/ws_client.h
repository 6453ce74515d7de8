/* ws_client.h - one WebSocket connection to a server, from its name to its close; RFC 6455.
 *
 *     LOOKUP -> CONNECT -> HANDSHAKE -> OPEN -> CLOSING -> CLOSED, and from each to CLOSED
 *
 * Finds the host, tries its addresses in turn, shakes hands, offers permessage-deflate, answers
 * pings and closes properly. It never connects again by itself: that is a policy, and its user's.
 * Knows text messages, never what they say. Belongs to the thread of its loop. */
#ifndef HEATCAST_IO_WS_CLIENT_H
#define HEATCAST_IO_WS_CLIENT_H

#include <uv.h>

#include "base/base.h"
#include "io/ws_url.h"

/* One message, after inflating: some 100 000 levels. A server is outside input too. */
#define WS_CLIENT_MESSAGE_BYTES_MAX (8u << 20)
/* What may wait for a server that reads nothing; we send small requests only. */
#define WS_CLIENT_WAITING_BYTES_MAX (256u << 10)
/* Addresses of one name that are tried. */
#define WS_CLIENT_ADDRESSES_MAX 8
/* How long each step may take: finding the name, connecting to one address, the handshake. */
#define WS_CLIENT_STEP_MS 5000

struct ws_client;

/* Called on the loop's thread, never from within a function below. `text` and `reason` live until
 * the callback returns; they are the peer's words: UTF-8, but anything else may be in them. */
struct ws_client_listener {
    void (*on_open)(void *context);
    void (*on_message)(void *context, struct str text);
    /* Once for every client, also if on_open() never came; it is freed when this returns. `code` is
     * what the peer's close frame said, WS_CLOSE_ABNORMAL when there was none, or with which code
     * we closed because the peer broke the protocol. */
    void (*on_closed)(void *context, unsigned code, const char *reason);
};

/* Begins; whatever goes wrong is told by on_closed(). `url` is copied; `listener` is borrowed until
 * on_closed() has returned. The caller may use the result until then and never frees it. */
struct ws_client *ws_client_open(uv_loop_t *loop, const struct ws_url *url,
                                 const struct ws_client_listener *listener,
                                 void *context) MUST_CHECK;

/* Sends a text message, which must be UTF-8. Returns 0; ERR_STOPPED when the client is not open;
 * ERR_FULL when the server reads nothing. */
int ws_client_send(struct ws_client *client, struct str text) MUST_CHECK;

/* Says goodbye and waits at most LIMIT_CLOSE_MS for the answer; no further message is given to the
 * listener. What is not open yet, or closing already, ends as soon as it can. `code` must be valid
 * on the wire, `reason` UTF-8 of at most 123 bytes. */
void ws_client_close(struct ws_client *client, unsigned code, struct str reason);

/* Ends now, without a word to a peer that would not hear it. `reason` is for on_closed(). */
void ws_client_destroy(struct ws_client *client, const char *reason);

#endif
