/* demand.h - what a request over HTTP asks of the hub: topics, and how they are wanted.
 *
 * The query of server-sent events and of a long poll, read as strictly as REST's, with errors that
 * name what is wrong. Texts to structs: it knows no sockets. On the shard's thread, whose hub has
 * the topics. */
#ifndef HEATCAST_SERVE_DEMAND_H
#define HEATCAST_SERVE_DEMAND_H

#include "serve/hub.h"

struct demand {
    struct topic *topics[LIMIT_SYMBOLS_PER_MESSAGE]; /* borrowed from the hub */
    size_t topic_count;
    struct wish wish;   /* its packing is the door's affair */
    struct version has; /* what the client says it has; epoch 0 for nothing */
    int64_t wait_ms;    /* a poll's */
};

/* Read a query. 0 with *demand filled; or the status to answer, 422 for what is missing or
 * ill-formed and 400 for an unknown symbol, with the reason, NUL-terminated, in *reason.
 *
 * A stream: symbols, update_interval, mode, format, last_event_id. The id of `last_event_id`, a
 * header's, is the younger one where there are two; what is no id of ours names nothing we know. */
int demand_read_stream(const struct hub *hub, struct str query, struct str last_event_id,
                       struct demand *demand, struct buf *reason) MUST_CHECK;
/* A long poll: symbol, since, wait, mode, format. */
int demand_read_poll(const struct hub *hub, struct str query, struct demand *demand,
                     struct buf *reason) MUST_CHECK;

/* Has a query any of a long poll's own parameters? */
bool demand_is_poll(struct str query);

/* What the client has of one of the demand's topics. An id names one version of one symbol, as no
 * two share an epoch: that symbol goes on from it, and the others begin. An id of which nobody
 * knows the symbol is told to all of them. */
struct version demand_version_had(const struct demand *demand, const struct topic *topic);

#endif
