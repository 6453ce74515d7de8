/* hub.h - one shard's subscriptions.
 *
 * A hub maps each topic to the subscribers of its shard, and keeps each topic's newest publication
 * so that a new subscriber sees it at once, and one that comes back only what it missed. It knows
 * topics and bytes, never markets or sockets: who has something to send is marked, and told to the
 * owner through on_mark; what is sent, and when, is the outbox's affair. Only its shard's thread
 * touches it.
 *
 * Subscribers of a topic stand in classes by interval (0..60 s), each class a list ordered by the
 * time of its last marking. Who is due stands in front, so a publication touches only them. */
#ifndef HEATCAST_SERVE_HUB_H
#define HEATCAST_SERVE_HUB_H

#include "base/limits.h"
#include "base/list.h"
#include "serve/publication.h"

enum { HUB_CLASSES = 61 }; /* update_interval 1..60 s; class 0: every version */

/* How a subscriber wants a topic. */
struct wish {
    uint8_t interval; /* seconds between two versions: 1..60; 0: every version */
    uint8_t format;   /* enum format */
    uint8_t packing;  /* enum packing */
    bool wants_delta; /* differences to what it has, where there are any */
};

/* One client's wish for one topic; lives in the client, which the hub does not know. */
struct subscription {
    struct topic *topic;   /* NULL while it is free */
    struct outbox *outbox; /* its client's; the outbox's */
    struct list in_class;  /* in topic->classes[interval] */
    struct list in_outbox; /* in the client's list of marked ones; the outbox's */
    struct version marked; /* the version it was last marked for */
    struct version sent;   /* what the client has: the version last given out to be written */
    int64_t marked_ms;
    struct wish wish;
    uint8_t delta_count;  /* differences since the last whole; the outbox's */
    bool is_resuming : 1; /* `sent` is what the client says it has; nobody has looked yet */
    bool not_resumed : 1; /* it could not be told what it missed; the next whole says so */
};

struct topic {
    char name[LIMIT_SYMBOL_BYTES + 1];
    uint32_t id;                /* the publisher's number for it */
    struct publication *latest; /* ref held; NULL until the first one */
    uint32_t subscriber_count;
    _Atomic uint32_t *tally;          /* borrowed: the count, for other threads; NULL for none */
    bool told_subscribers;            /* what on_interest last told: is there anybody? */
    uint64_t occupied;                /* bit i: classes[i] has somebody */
    struct list classes[HUB_CLASSES]; /* subscription.in_class, the longest unmarked first */
};

struct hub {
    struct topic **topics; /* owned array of owned topics, ascending by name */
    size_t topic_count;
    struct topic **by_id; /* owned array, borrowed topics; NULL where no topic has the id */
    size_t id_count;
    /* The subscription has a version to send, `is_newer` than the one it was last marked for. It
     * may have been marked before and not sent. */
    void (*on_mark)(struct subscription *sub, bool is_newer);
    /* A topic gained its first subscriber or lost its last. */
    void (*on_interest)(struct hub *hub, const struct topic *topic);
};

void hub_init(struct hub *hub);
/* Every subscription must have left. */
void hub_deinit(struct hub *hub);

/* Adds a topic, unless it is there already; returns it. */
struct topic *hub_add_topic(struct hub *hub, const char *name, uint32_t id);
struct topic *hub_find(const struct hub *hub, struct str name);

/* What became of the version that a subscriber says it has. */
enum resume { RESUME_NONE, RESUME_UP_TO_DATE, RESUME_POSSIBLE, RESUME_IMPOSSIBLE, RESUME_LATER };

/* Joins `sub`, free or already of this topic (then the wish is replaced), and marks it for the
 * topic's newest publication, if there is one: whoever asks gets the state at once. `has` is the
 * version that the client has already, with epoch 0 for none: then only what is newer is sent.
 * RESUME_LATER: there is no publication yet to judge that by. After it, and RESUME_UP_TO_DATE, an
 * earlier mark of it means nothing any more. */
enum resume hub_subscribe(struct hub *hub, struct subscription *sub, struct topic *topic,
                          const struct wish *wish, struct version has, int64_t now_ms);
/* Leaves; harmless for a free one. */
void hub_unsubscribe(struct hub *hub, struct subscription *sub);

/* Makes `pub` the newest of its topic and marks it for every subscriber that is due. Takes the
 * caller's reference. A version that is not newer is dropped, so delivering twice is harmless.
 * Returns how many were marked. */
uint32_t hub_deliver(struct hub *hub, struct publication *pub, int64_t now_ms);

/* Drops the topic's newest publication, if it is not newer than this version and nobody listens: it
 * has become stale meanwhile. */
void hub_forget(struct hub *hub, uint32_t topic_id, struct version version);

/* Marks everybody who has become due. Returns when the next one will be, -1 for nobody. */
int64_t hub_tick(struct hub *hub, int64_t now_ms);

#endif
