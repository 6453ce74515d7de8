#include "io/sentinels.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

void sentinels_init(struct sentinels *sentinels, uv_loop_t *loop, const struct redis_url *url,
                    const struct sentinels_ops *ops)
{
    *sentinels = (struct sentinels){.loop = loop, .url = url, .ops = *ops};
}

void sentinels_leave(struct sentinels *sentinels)
{
    redis_link_close(sentinels->link);
    sentinels->link = NULL;
    sentinels->is_ready = false;
    sentinels->silent = 0;
}

void sentinels_pass_over(struct sentinels *sentinels)
{
    sentinels_leave(sentinels);
    sentinels->at++;
}

static void fail(struct sentinels *sentinels, const char *why)
{
    sentinels_pass_over(sentinels);
    sentinels->ops.on_failed(sentinels->ops.context, why);
}

static void on_closed(void *context, const char *why)
{
    struct sentinels *sentinels = context;

    sentinels->link = NULL; /* it is freed by its own */
    fail(sentinels, why);
}

/* [host, port], or nil where the name is not known. */
static bool read_master(const redisReply *reply, struct redis_host *master)
{
    const redisReply *port;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) return false;
    port = reply->element[1];
    if (reply->element[0]->type != REDIS_REPLY_STRING || port->type != REDIS_REPLY_STRING ||
        reply->element[0]->len > REDIS_HOST_BYTES_MAX)
        return false;
    strcpy(master->name, reply->element[0]->str);
    master->port = atoi(port->str);
    return master->port > 0 && master->port <= 65535;
}

static void on_master(redisAsyncContext *redis, void *data, void *privdata)
{
    struct sentinels *sentinels = privdata;
    const redisReply *reply = data;
    struct redis_host master;

    (void)redis;
    if (!reply || !sentinels->link) return;
    sentinels->silent = 0;
    if (read_master(reply, &master))
        sentinels->ops.on_master(sentinels->ops.context, &master);
    else
        fail(sentinels,
             reply->type == REDIS_REPLY_ERROR ? reply->str : "it knows no master of this name");
}

static void ask(struct sentinels *sentinels)
{
    redisAsyncCommand(redis_link_redis(sentinels->link), on_master, sentinels,
                      "SENTINEL get-master-addr-by-name %s", sentinels->url->master);
}

static void on_ready(void *context)
{
    struct sentinels *sentinels = context;

    sentinels->is_ready = true;
    ask(sentinels);
}

static void connect_to(struct sentinels *sentinels, const struct redis_host *host)
{
    static const struct redis_link_listener listener = {on_ready, on_closed};

    sentinels->link = redis_link_open(sentinels->loop, host, sentinels->url, REDIS_GREET_SENTINEL,
                                      &listener, sentinels);
}

void sentinels_ask(struct sentinels *sentinels)
{
    if (!sentinels->link)
        connect_to(sentinels, &sentinels->url->hosts[sentinels->at % sentinels->url->host_count]);
    else if (sentinels->silent++ >= LIMIT_BUS_SILENT_BEATS)
        fail(sentinels, "the sentinel is silent");
    else if (sentinels->is_ready)
        ask(sentinels);
}
