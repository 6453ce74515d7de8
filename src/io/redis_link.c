#include "io/redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "io/redis_guard.h"

struct redis_link {
    uv_timer_t deadline;
    uv_getaddrinfo_t lookup;
    char host[REDIS_HOST_BYTES_MAX + 1];
    int port;
    const struct redis_url *url;
    enum redis_greeting greeting;
    const struct redis_link_listener *listener;
    void *context;
    redisAsyncContext *redis; /* NULL until connecting, and once closed */
    int greetings_unanswered;
    bool is_looking_up;
    bool is_closed;
    bool is_timer_closed;
};

/* --- hiredis on libuv --- */

/* hiredis' own adapter for libuv leaves a refused connection waiting for ever: libuv tells of it as
 * a failed poll, which that one does not pass on. */
struct watch {
    uv_poll_t poll;
    redisAsyncContext *redis; /* NULL once hiredis has let go */
    struct redis_guard guard;
    int events;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = container_of(poll, struct watch, poll);

    /* Reading is what notices that a connection is none. */
    if (watch->redis && (status < 0 || events & UV_READABLE)) redisAsyncHandleRead(watch->redis);
    if (watch->redis && status == 0 && events & UV_WRITABLE) redisAsyncHandleWrite(watch->redis);
}

static void watch_for(struct watch *watch, int events)
{
    if (watch->events == events) return;
    watch->events = events;
    if (events)
        uv_poll_start(&watch->poll, events, on_poll);
    else
        uv_poll_stop(&watch->poll);
}

static void add_read(void *watch)
{
    watch_for(watch, ((struct watch *)watch)->events | UV_READABLE);
}

static void del_read(void *watch)
{
    watch_for(watch, ((struct watch *)watch)->events & ~UV_READABLE);
}

static void add_write(void *watch)
{
    watch_for(watch, ((struct watch *)watch)->events | UV_WRITABLE);
}

static void del_write(void *watch)
{
    watch_for(watch, ((struct watch *)watch)->events & ~UV_WRITABLE);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct watch, poll));
}

static void cleanup(void *data)
{
    struct watch *watch = data;

    watch->redis = NULL;
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static int attach(redisAsyncContext *redis, uv_loop_t *loop)
{
    struct watch *watch = mem_zalloc(sizeof(*watch));
    int err = uv_poll_init(loop, &watch->poll, redis->c.fd);

    if (err) {
        free(watch);
        return err;
    }
    watch->redis = redis;
    redis_guard_init(&watch->guard, redis);
    redis->ev.data = watch;
    redis->ev.addRead = add_read;
    redis->ev.delRead = del_read;
    redis->ev.addWrite = add_write;
    redis->ev.delWrite = del_write;
    redis->ev.cleanup = cleanup;
    return 0;
}

/* --- closing --- */

static void free_when_done(struct redis_link *link)
{
    if (link->is_timer_closed && !link->is_looking_up) free(link);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct redis_link *link = container_of((uv_timer_t *)handle, struct redis_link, deadline);

    link->is_timer_closed = true;
    free_when_done(link);
}

void redis_link_close(struct redis_link *link)
{
    redisAsyncContext *redis = link ? link->redis : NULL;

    if (!link || link->is_closed) return;
    link->is_closed = true;
    link->redis = NULL;
    if (redis) redis->data = NULL;
    if (redis) redisAsyncFree(redis);
    if (link->is_looking_up) uv_cancel((uv_req_t *)&link->lookup);
    uv_close((uv_handle_t *)&link->deadline, on_timer_closed);
}

static void fail(struct redis_link *link, const char *why)
{
    const struct redis_link_listener *listener = link->listener;
    void *context = link->context;
    char text[256];

    if (link->is_closed) return;
    snprintf(text, sizeof(text), "%s", why); /* it may be the context's own */
    redis_link_close(link);
    listener->on_closed(context, text);
}

/* hiredis frees a context itself after it has told of its end. */
static void on_lost(struct redis_link *link, const char *why)
{
    if (!link || link->is_closed) return;
    link->redis = NULL;
    fail(link, why && *why ? why : "the connection was closed");
}

static void on_disconnected(const redisAsyncContext *redis, int status)
{
    const char *why = redis->err == REDIS_ERR_OOM ? "it says what nobody asked for" : redis->errstr;

    on_lost(redis->data, status == REDIS_OK ? NULL : why);
}

static void on_deadline(uv_timer_t *deadline)
{
    fail(container_of(deadline, struct redis_link, deadline),
         "no answer in " TEXT_OF(LIMIT_BUS_CONNECT_MS) " ms");
}

/* --- greeting --- */

static void greeted(struct redis_link *link)
{
    uv_timer_stop(&link->deadline);
    link->listener->on_ready(link->context);
}

static bool is_master(const redisReply *role)
{
    return role->type == REDIS_REPLY_ARRAY && role->elements &&
           role->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(role->element[0]->str, "master") == 0;
}

static void on_greeted(redisAsyncContext *redis, void *data, void *privdata)
{
    struct redis_link *link = redis->data;
    const redisReply *reply = data;

    if (!reply || !link) return;
    if (reply->type == REDIS_REPLY_ERROR)
        fail(link, reply->str);
    else if (privdata && !is_master(reply))
        fail(link, "the server is no master");
    else if (!--link->greetings_unanswered)
        greeted(link);
}

static void greet(struct redis_link *link)
{
    const struct redis_url *url = link->url;
    redisAsyncContext *redis = link->redis;
    bool has_login = link->greeting != REDIS_GREET_SENTINEL;

    if (has_login && *url->password) {
        link->greetings_unanswered++;
        if (*url->user)
            redisAsyncCommand(redis, on_greeted, NULL, "AUTH %s %s", url->user, url->password);
        else
            redisAsyncCommand(redis, on_greeted, NULL, "AUTH %s", url->password);
    }
    if (has_login && url->db) {
        link->greetings_unanswered++;
        redisAsyncCommand(redis, on_greeted, NULL, "SELECT %d", url->db);
    }
    link->greetings_unanswered++;
    if (link->greeting == REDIS_GREET_MASTER)
        redisAsyncCommand(redis, on_greeted, link, "ROLE");
    else
        redisAsyncCommand(redis, on_greeted, NULL, "PING");
}

/* --- connecting --- */

static void on_connected(const redisAsyncContext *redis, int status)
{
    if (status != REDIS_OK) on_lost(redis->data, redis->errstr);
}

static void take_context(struct redis_link *link, redisAsyncContext *redis)
{
    if (!redis || redis->err || attach(redis, link->deadline.loop)) {
        fail(link, redis && redis->err ? redis->errstr : "no socket could be made");
        if (redis) redisAsyncFree(redis);
        return;
    }
    redis->data = link;
    link->redis = redis;
    redisAsyncSetConnectCallback(redis, on_connected);
    redisAsyncSetDisconnectCallback(redis, on_disconnected);
    greet(link);
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct redis_link *link = container_of(lookup, struct redis_link, lookup);
    char address[64] = "";

    link->is_looking_up = false;
    if (!status) uv_ip_name(found->ai_addr, address, sizeof(address));
    uv_freeaddrinfo(found);
    if (link->is_closed)
        free_when_done(link);
    else if (status)
        fail(link, uv_strerror(status));
    else
        take_context(link, redisAsyncConnect(address, link->port));
}

/* What goes wrong at once is told from the loop, as all else is. */
static void on_begin(uv_timer_t *timer)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct redis_link *link = container_of(timer, struct redis_link, deadline);
    int err;

    uv_timer_start(&link->deadline, on_deadline, LIMIT_BUS_CONNECT_MS, 0);
    if (!*link->host) {
        take_context(link, redisAsyncConnectUnix(link->url->path));
        return;
    }
    err = uv_getaddrinfo(timer->loop, &link->lookup, on_looked_up, link->host, NULL, &hints);
    if (err)
        fail(link, uv_strerror(err));
    else
        link->is_looking_up = true;
}

struct redis_link *redis_link_open(uv_loop_t *loop, const struct redis_host *host,
                                   const struct redis_url *url, enum redis_greeting greeting,
                                   const struct redis_link_listener *listener, void *context)
{
    struct redis_link *link = mem_zalloc(sizeof(*link));

    if (host) strcpy(link->host, host->name);
    if (host) link->port = host->port;
    link->url = url;
    link->greeting = greeting;
    link->listener = listener;
    link->context = context;
    uv_timer_init(loop, &link->deadline);
    uv_timer_start(&link->deadline, on_begin, 0, 0);
    return link;
}

redisAsyncContext *redis_link_redis(struct redis_link *link)
{
    return link->redis;
}
