/* client.h - a WebSocket client's conversation: what its messages ask for, and what it is told.
 *
 * The half of a connection that speaks PROTOCOL section 1; conn.h is the half that moves bytes. On
 * the shard's thread. */
#ifndef HEATCAST_SERVE_CLIENT_H
#define HEATCAST_SERVE_CLIENT_H

#include "serve/conn.h"
#include "serve/protocol.h"

/* Makes a free subscription of this client out of zeroed memory. */
void client_init(struct conn *conn, struct subscription *sub);
/* It has come: told if its address keeps reconnecting, and if there is no news (stale.h). */
void client_enter(struct conn *conn);
/* A whole text message has come. */
void client_message(struct conn *conn, struct str text);
/* It goes: leaves every topic. `was_cut`: without a close handshake, which counts against its
 * address when it came only seconds ago. */
void client_leave(struct conn *conn, bool was_cut);
/* Subscribes, or changes the wish; `has` as in hub_subscribe(). False at the limit of
 * subscriptions. The due timer is the caller's to rearm (shard_rearm()). */
bool client_subscribe(struct conn *conn, struct topic *topic, const struct wish *wish,
                      struct version has) MUST_CHECK;
/* hub.on_mark: a subscription has a version to send. */
void client_on_mark(struct subscription *sub, bool is_newer);

#endif
