/* peer_message.h - a snapshot message of another server, as it comes by Redis: what clients
 * receive (PROTOCOL section 1), and outside input like what they send.
 *
 * Fields that are not known are passed over, so that servers of two versions understand each
 * other. Bounded by LIMIT_PEER_BYTES and LIMIT_PEER_LEVELS, not by what POST /publish takes: a
 * model of ours has as many levels as its history and buckets make. Pure; any thread may call it.
 */
#ifndef HEATCAST_PEER_MESSAGE_H
#define HEATCAST_PEER_MESSAGE_H

#include "heat/snapshot.h"
#include "serve/publication.h"

struct peer_message {
    struct version version;
    struct snapshot snapshot; /* whose levels are owned */
};

/* Reads the message that came for `symbol`. Returns 0, with out->snapshot the caller's to free by
 * snapshot_deinit(), or ERR_SYNTAX with *out untouched and in `message` a sentence that says what
 * is wrong and where. */
int peer_message_parse(struct str text, struct str symbol, int64_t now_ms, struct peer_message *out,
                       char *message, size_t message_size) MUST_CHECK;

#endif
