/* cluster.h - one of several servers: who computes which symbol, and what comes from the others.
 *
 * A full node asks for the lease of each symbol that it could compute. Who holds one leads: it
 * computes the symbol whether or not somebody here listens, and publishes each version on the bus,
 * after its own clients have it. The others follow. What was published from outside (POST /publish)
 * is led by whoever got it last. An edge only follows.
 *
 * Without Redis a leader goes on, for its own clients; after LIMIT_BUS_GRACE_MS so do the others,
 * in an epoch of their own, and an edge says that what it shows is stale. What comes from the bus
 * is outside input: checked, and dropped where it is not newer. On the main loop's thread. */
#ifndef HEATCAST_CLUSTER_H
#define HEATCAST_CLUSTER_H

#include "engine.h"
#include "io/bus.h"

struct cluster;

/* Before engine_start(). config->redis_url is one that redis_url_parse() takes. */
struct cluster *cluster_new(const struct config *config, struct loop *loop, struct engine *engine,
                            bool is_edge);
void cluster_start(struct cluster *cluster, struct server *server);
/* Gives the leases back: others take over at once. NULL is fine, here and below. */
void cluster_stop(struct cluster *cluster);
void cluster_free(struct cluster *cluster); /* after the loop has ended */

struct cluster_counts {
    struct bus_counts bus;
    uint64_t adopted, outdated, invalid; /* messages from the others */
    uint64_t skipped;                    /* versions that Redis was too slow for */
    size_t leading;                      /* symbols */
};

struct cluster_counts cluster_counts(const struct cluster *cluster);
bool cluster_is_up(const struct cluster *cluster);
/* An edge that has been without Redis for longer than the grace. */
bool cluster_is_stale(const struct cluster *cluster);
bool cluster_is_edge(const struct cluster *cluster);
/* Another server says that it shows a simulated market. */
bool cluster_is_simulated(const struct cluster *cluster);
/* The word of the server that leads the symbol: "sim", "replay", "none", "published"; "" before
 * anything was heard of it. */
const char *cluster_feed(const struct cluster *cluster, const struct symbol *symbol);
/* ,"redis":{…} of /health. */
void cluster_write_health(const struct cluster *cluster, struct buf *out);

#endif
