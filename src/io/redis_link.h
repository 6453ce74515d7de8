/* redis_link.h - one connection to a Redis server or sentinel, from its name to its close.
 *
 *     RESOLVING -> CONNECTING -> GREETING -> READY -> CLOSED, and from each to CLOSED
 *
 * Finds the host, connects, logs in, and is ready for commands. It never connects again by itself:
 * that is a policy, and its user's (bus.h). Belongs to the thread of its loop. */
#ifndef HEATCAST_IO_REDIS_LINK_H
#define HEATCAST_IO_REDIS_LINK_H

#include <hiredis/async.h>
#include <uv.h>

#include "io/redis_url.h"

struct redis_link;

/* How a link greets. */
enum redis_greeting {
    REDIS_GREET_SERVER,   /* with the URL's login and database */
    REDIS_GREET_MASTER,   /* the same, and must be told that it is a master */
    REDIS_GREET_SENTINEL, /* with nothing but a ping */
};

/* Called on the loop's thread, never from within a function below. */
struct redis_link_listener {
    void (*on_ready)(void *context);
    /* Once, unless redis_link_close() came before; the link is freed when this returns, and
     * commands without an answer get a NULL for it. `why` lives until then. */
    void (*on_closed)(void *context, const char *why);
};

/* Begins to connect to `host`, or by the socket at url->path where that is NULL; whatever goes
 * wrong is told by on_closed(), also when it is not ready after LIMIT_BUS_CONNECT_MS. `url` and
 * `listener` are borrowed as long as the link lives. */
struct redis_link *redis_link_open(uv_loop_t *loop, const struct redis_host *host,
                                   const struct redis_url *url, enum redis_greeting greeting,
                                   const struct redis_link_listener *listener,
                                   void *context) MUST_CHECK;

/* For commands; only between on_ready() and on_closed(). */
redisAsyncContext *redis_link_redis(struct redis_link *link);

/* Ends now, without on_closed(). May be called anywhere, also from a command's callback. NULL is
 * fine. */
void redis_link_close(struct redis_link *link);

#endif
