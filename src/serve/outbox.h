/* outbox.h - what one client has still to be sent: a few replies, then the newest of each topic.
 *
 * Replies (answers, errors, warnings, pings, pongs, closes) are kept in order and never dropped;
 * there may be LIMIT_REPLIES_QUEUED of them. Of each topic only the newest version is kept: one
 * mark per subscription, never a queue of bytes, so that a slow client costs no memory and gets the
 * newest as soon as it reads: whole, or as a difference to what it really has. Belongs to its
 * shard's thread. */
#ifndef HEATCAST_SERVE_OUTBOX_H
#define HEATCAST_SERVE_OUTBOX_H

#include "base/blob.h"
#include "serve/hub.h"

struct outbox {
    struct list marked;    /* subscription.in_outbox, the longest waiting first */
    struct blob **replies; /* owned ring of owned references; NULL while there is none */
    uint16_t reply_first, reply_count, reply_capacity;
};

void outbox_init(struct outbox *outbox);
void outbox_deinit(struct outbox *outbox);

/* Queues a reply and takes the caller's reference, also on failure: ERR_FULL beyond the limit. */
int outbox_reply(struct outbox *outbox, struct blob *frame) MUST_CHECK;

/* The subscription has a version to send: it is put into its client's outbox (sub->outbox). Returns
 * true when an older one, still unsent, gives way to it; `is_newer` as hub.on_mark tells it. */
bool outbox_mark(struct subscription *sub, bool is_newer);
/* Nothing more is to be sent for it. */
void outbox_unmark(struct subscription *sub);

/* The next bytes to write. */
struct outgoing {
    struct blob *blob;
    bool is_owned;   /* a reference is held; else it lives as long as the topic's newest publication
                      * is the newest */
    bool is_version; /* a version of a topic; else a reply */
    struct encoding_key key; /* of a version */
};

/* The newest version of the subscription's topic, for its client; counts as sent. `deflater` and
 * `cost` as for publication_encode(). */
struct outgoing outbox_take(struct subscription *sub, struct deflater *deflater,
                            struct encoding_cost *cost);

/* Takes out what is to be written next; false when there is nothing. */
bool outbox_next(struct outbox *outbox, struct deflater *deflater, struct encoding_cost *cost,
                 struct outgoing *out) MUST_CHECK;

#endif
