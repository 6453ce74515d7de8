#include "serve/place.h"

#include <stdatomic.h>

#include "serve/shard.h"
#include "wire/forwarded.h"

static bool enter_crowd(struct conn *c)
{
    struct shard_env *env = c->shard->env;

    c->is_counted = crowd_enter(&env->crowd, &c->address, env->connections_per_address);
    if (!c->is_counted) stats_add(&c->shard->stats, STAT_connections_refused_address, 1);
    return c->is_counted;
}

static void leave_crowd(struct conn *c)
{
    if (!c->is_counted) return;
    c->is_counted = false;
    crowd_leave(&c->shard->env->crowd, &c->address);
}

bool place_take(struct conn *c)
{
    struct shard_env *env = c->shard->env;
    int64_t others = atomic_fetch_add_explicit(&env->connection_count, 1, memory_order_relaxed);

    c->is_proxied = networks_include(&env->proxies, &c->address);
    if (others >= env->connections_max)
        stats_add(&c->shard->stats, STAT_connections_refused, 1);
    else if (c->is_proxied || enter_crowd(c))
        return c->has_place = true;
    /* Who lingers before the door keeps nobody out. */
    atomic_fetch_sub_explicit(&env->connection_count, 1, memory_order_relaxed);
    return false;
}

/* A few may linger to read why; a storm's connections are cut at once, since each lingering one
 * holds a file descriptor. A proxy is told when it has asked: nginx (seen with 1.22) puts an answer
 * that comes before its request in front of the next server's. */
void place_refuse(struct conn *c)
{
    struct shard_env *env = c->shard->env;

    c->is_refused = true;
    if (atomic_fetch_add_explicit(&env->refused_count, 1, memory_order_relaxed) >=
        LIMIT_REFUSED_LINGERING)
        conn_destroy(c);
    else if (!c->is_proxied)
        site_refuse(c, 503);
}

void place_give_back(struct conn *c)
{
    struct shard_env *env = c->shard->env;

    leave_crowd(c);
    if (c->has_place) atomic_fetch_sub_explicit(&env->connection_count, 1, memory_order_relaxed);
    if (c->is_refused) atomic_fetch_sub_explicit(&env->refused_count, 1, memory_order_relaxed);
    c->has_place = c->is_refused = false;
}

/* Not 503: a proxy would take the server for ill and ask the next one, and anybody who asks too
 * much could take all servers out of its sight. */
static void deny(struct conn *c, const struct http_request *request)
{
    struct dress dress = dress_of(request);

    site_deny(c, &dress, 429, "your address has too many connections; try again later");
}

bool place_take_request(struct conn *c, const struct http_request *request)
{
    if (!c->is_proxied) return true;
    if (c->is_refused) {
        site_refuse(c, 503);
        return false;
    }
    c->address = forwarded_client(&c->shard->env->proxies, &request->headers, &c->http.peer);
    if (enter_crowd(c)) return true;
    deny(c, request);
    return false;
}

void place_end_request(struct conn *c)
{
    if (!c->is_proxied) return;
    leave_crowd(c);
    c->address = c->http.peer;
}
