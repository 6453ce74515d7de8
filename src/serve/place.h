/* place.h - a connection's place among all, and its client's among those of one address.
 *
 * Both are taken when it is accepted. Behind a trusted proxy (--trusted-proxy) only the first one
 * is: who asks is known with each request's head, and connections that a proxy keeps open carry
 * requests of many clients, so the second one is then a request's, given back when it is answered.
 * A WebSocket or a stream of events keeps it. On the shard's thread. */
#ifndef HEATCAST_SERVE_PLACE_H
#define HEATCAST_SERVE_PLACE_H

#include "base/base.h"

struct conn;
struct http_request;

/* Was just accepted, of address `conn->address`; false where there is no place. */
bool place_take(struct conn *conn) MUST_CHECK;
/* Answers 503 to one that has none, and closes it; a trusted proxy's when it has asked. */
void place_refuse(struct conn *conn);
/* It is closed. */
void place_give_back(struct conn *conn);

/* Its next request begins: finds out whose it is. False when there is no place for it, and it was
 * answered so: 429 where its client has too many. */
bool place_take_request(struct conn *conn, const struct http_request *request) MUST_CHECK;
/* It is answered. */
void place_end_request(struct conn *conn);

#endif
