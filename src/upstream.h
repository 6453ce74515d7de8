/* upstream.h - what an edge does not know itself: REST answers fetched from a full node.
 *
 * A request becomes a fetch of --upstream with the same path and query, and what comes back is
 * passed on as it is, compressed if it came so. Those who ask the same while it is under way are
 * given the same answer: thousands of pages that open the same map at once cost one fetch. Knows no
 * route and no market. On the main loop's thread. */
#ifndef HEATCAST_UPSTREAM_H
#define HEATCAST_UPSTREAM_H

#include "base/stats.h"
#include "serve/site.h"

struct upstream;

/* Is it what --upstream takes? http://HOST:PORT or https://HOST, perhaps with user:password@ and a
 * path to stand before ours; "" for none. */
bool upstream_is_url(const char *url);

/* `url` is one; the text is not needed afterwards. */
struct upstream *upstream_new(const char *url, struct loop *loop) MUST_CHECK;
/* Answers those who wait with 503; part of closing the loop. NULL is fine. */
void upstream_stop(struct upstream *upstream);
void upstream_free(struct upstream *upstream); /* after the loop has ended; NULL is fine */

/* Who answers what the full node does not. */
struct upstream_stead {
    void (*answer)(void *context, struct site_request *request); /* NULL: nobody */
    void *context;
};

/* Answers a GET or HEAD; takes the request. Where there is no full node to ask, or it fails,
 * `stead` does, which is the same for all requests of one path. */
void upstream_answer(struct upstream *upstream, struct site_request *request,
                     struct upstream_stead stead);

/* Adds what was counted. */
void upstream_stats(const struct upstream *upstream, struct stats_sum *into);

#endif
