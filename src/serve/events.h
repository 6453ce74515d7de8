/* events.h - the door of server-sent events: GET /sse/heatmap.
 *
 * An HTTP answer without an end, in which each message that a WebSocket would get is an event
 * (WHATWG HTML §9.2): the same outbox, the same encodings but for what stands around them. A
 * connection here has the state CONN_EVENTS, and only listens. On the shard's thread. */
#ifndef HEATCAST_SERVE_EVENTS_H
#define HEATCAST_SERVE_EVENTS_H

#include "serve/conn.h"

/* Answers a request for events: with an error, or with a head after which what the subscriptions
 * bring is written. */
void events_serve(struct conn *conn, const struct http_request *request);

/* An event that is no version: a warning, as JSON. Takes the text. */
void events_warn(struct conn *conn, struct buf *text);
/* A comment: nothing for the client, but a sign of life, and a dead peer is found by it. */
void events_ping(struct conn *conn);
/* Ends the stream; the client is asked to come back after so long. */
void events_end(struct conn *conn, unsigned reconnect_ms);

#endif
