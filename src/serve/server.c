#include "serve/server.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "serve/assets.h"
#include "serve/shard.h"
#include "serve/stale.h"

/* Connections where the file limit is not known, and where there is none. */
#define CONNECTIONS_FALLBACK 10000
#define CONNECTIONS_MAX      10000000
/* How often it is looked whether all have gone, and how much later than the last should have. */
#define DRAIN_LOOK_MS  20
#define DRAIN_GRACE_MS 500
/* A listener, libuv's epoll set and eventfd, and our own of both (poller.h, loop.h). */
#define FILES_PER_SHARD 5

/* What the main thread knows of a topic. */
struct interest {
    uint64_t shards;               /* bit i: shard i has subscribers */
    _Atomic uint32_t *subscribers; /* owned array: how many each shard has, written by it alone */
};

struct server {
    struct shard_env env;
    struct shard **shards; /* owned array of owned shards */
    size_t shard_count;
    size_t started_count;       /* those whose thread runs */
    struct interest *interests; /* owned array, by topic id */
    size_t interest_count;
    char address[80];
    bool is_stale;
    uv_timer_t drain; /* while draining: looks whether all have gone */
    int64_t drain_end_ms;
    void (*on_drained)(void *context);
    void *drain_context; /* borrowed */
};

/* Names are looked up once, at start, where waiting for it holds nobody up. Of several addresses an
 * IPv4 one is taken: that is where clients of "localhost" look first. */
static int resolve(const char *listen, struct sockaddr_storage *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found, *chosen;
    char host[256], service[8];
    int port, err = host_port_parse(listen, host, sizeof(host), &port);

    if (err) return UV_EINVAL;
    snprintf(service, sizeof(service), "%d", port);
    if (getaddrinfo(host, service, &hints, &found)) return UV_EAI_NONAME;
    for (chosen = found; chosen && chosen->ai_family != AF_INET;)
        chosen = chosen->ai_next;
    if (!chosen) chosen = found;
    memcpy(address, chosen->ai_addr, chosen->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

static socklen_t address_size(const struct sockaddr *address)
{
    return address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* With SO_REUSEPORT a second server would quietly share the port and get half of the clients, so
 * first somebody without it tries; bind(2) then says whether anyone listens there. */
static int probe(const struct sockaddr *address)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1, err = 0;

    if (fd < 0) return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, address, address_size(address))) err = -errno;
    close(fd);
    return err;
}

/* Where the first listener really is: port 0 was a wish for any. */
static void note_address(struct server *server, struct sockaddr_storage *address)
{
    socklen_t size = sizeof(*address);
    char name[64] = "";
    unsigned port;

    getsockname(server->shards[0]->listener, (struct sockaddr *)address, &size);
    uv_ip_name((struct sockaddr *)address, name, sizeof(name));
    port = ntohs(address->ss_family == AF_INET ? ((struct sockaddr_in *)address)->sin_port
                                               : ((struct sockaddr_in6 *)address)->sin6_port);
    snprintf(server->address, sizeof(server->address),
             address->ss_family == AF_INET ? "%s:%u" : "[%s]:%u", name, port);
}

/* As many files as the machine lets us open. Returns how many connections that allows, of those
 * wanted (0: all): without a descriptor to accept with, nobody could even be told that all are
 * taken. */
static int64_t raise_file_limit(int64_t wanted, size_t threads)
{
    struct rlimit limit;
    int64_t allowed;

    if (getrlimit(RLIMIT_NOFILE, &limit)) return wanted ? wanted : CONNECTIONS_FALLBACK;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur > CONNECTIONS_MAX) limit.rlim_cur = CONNECTIONS_MAX;
    allowed = (int64_t)limit.rlim_cur - LIMIT_FILES_RESERVED - LIMIT_REFUSED_LINGERING -
              FILES_PER_SHARD * (int64_t)threads;
    allowed = MAX(allowed, 1);
    if (!wanted || wanted <= allowed) return wanted ? wanted : allowed;
    log_warning("the limit on open files allows fewer connections than set",
                F_INT("open_files", (int64_t)limit.rlim_cur), F_INT("set", wanted),
                F_INT("connections", allowed));
    return allowed;
}

static size_t thread_count(const struct config *config)
{
    /* As many as the machine has cores, and no more than the bits of interest.shards. */
    return config->threads ? MIN((size_t)config->threads, 64) : MIN(uv_available_parallelism(), 64);
}

static char *listen_host(const struct config *config)
{
    char host[256] = "";
    int port;

    if (host_port_parse(config->listen, host, sizeof(host), &port)) abort(); /* resolve() did it */
    return mem_strdup(host);
}

static struct networks proxies_of(const struct config *config)
{
    struct networks proxies;

    if (networks_parse(str_of(config->trusted_proxy), &proxies)) abort(); /* config looked */
    return proxies;
}

static void env_init(struct shard_env *env, const struct config *config)
{
    env->ws_enabled = config->ws_enabled;
    env->update_interval_s = config->ws_update_interval;
    env->connections_max = raise_file_limit(config->ws_max_connections, thread_count(config));
    env->connections_per_address = (uint32_t)config->ws_max_connections_per_address;
    env->proxies = proxies_of(config);
    env->message_bytes_max = (size_t)config->ws_max_message_bytes;
    env->slow_consumer_ms = (int64_t)(config->ws_slow_consumer_disconnect * 1000);
    env->publish_token = mem_strdup(config->publish_token);
    env->origins = mem_strdup(config->cors_allowed_origins);
    env->listen_host = listen_host(config);
    env->web_root = mem_strdup(config->web_root);
    site_load_files(env);
}

void server_free(struct server *server)
{
    for (size_t i = 0; i < server->shard_count; i++) {
        shard_deinit(server->shards[i]);
        free(server->shards[i]);
    }
    site_free_files(&server->env);
    networks_deinit(&server->env.proxies);
    free(server->env.publish_token);
    free(server->env.origins);
    free(server->env.listen_host);
    free(server->env.web_root);
    free(server->shards);
    for (size_t i = 0; i < server->interest_count; i++)
        free((void *)server->interests[i].subscribers);
    free(server->interests);
    free(server);
}

static int open_shards(struct server *server, size_t count, struct sockaddr_storage *address)
{
    int err = 0;

    server->shards = mem_zalloc(count * sizeof(*server->shards));
    while (server->shard_count < count) {
        struct shard *shard = mem_alloc_aligned(sizeof(*shard), _Alignof(struct shard));

        err = shard_init(shard, &server->env, server->shard_count, (struct sockaddr *)address);
        if (err) {
            free(shard);
            break;
        }
        server->shards[server->shard_count++] = shard;
        if (server->shard_count == 1) note_address(server, address);
    }
    return err;
}

static int explain(int err, const char *listen, char *message, size_t message_size)
{
    if (err == UV_EADDRINUSE)
        snprintf(message, message_size,
                 "%s is in use by another program; stop it or choose another --listen HOST:PORT",
                 listen);
    else
        snprintf(message, message_size, "cannot listen on %s: %s", listen, uv_strerror(err));
    return err;
}

int server_open(const struct config *config, struct loop *main_loop, const struct server_ops *ops,
                struct server **out, char *message, size_t message_size)
{
    struct sockaddr_storage address = {0};
    struct server *server;
    int err = resolve(config->listen, &address);

    if (!err) err = probe((struct sockaddr *)&address);
    if (err) return explain(err, config->listen, message, message_size);
    server = mem_zalloc(sizeof(*server));
    server->env.main_loop = main_loop;
    server->env.ops = *ops;
    server->env.server = server;
    env_init(&server->env, config);
    err = open_shards(server, thread_count(config), &address);
    if (err) {
        server_stop(server);
        server_free(server);
        return explain(err, config->listen, message, message_size);
    }
    *out = server;
    return 0;
}

int server_start(struct server *server)
{
    for (; server->started_count < server->shard_count; server->started_count++) {
        int err = shard_start(server->shards[server->started_count]);

        if (err) return err;
    }
    return 0;
}

const char *server_address(const struct server *server)
{
    return server->address;
}

/* --- words to the shards --- */

enum word_type { WORD_TOPIC, WORD_PUBLISH, WORD_FORGET, WORD_DRAIN, WORD_STALE };

/* One message to one shard; freed there. */
struct word {
    struct task task;
    struct shard *shard;
    enum word_type type;
    uint32_t topic_id;
    struct version version;
    struct publication *pub;       /* reference held */
    _Atomic uint32_t *subscribers; /* interest.subscribers */
    int64_t time_ms;               /* DRAIN: how long; STALE: since when */
    size_t shard_count;
    bool is_stale;
    char name[LIMIT_SYMBOL_BYTES + 1];
};

static void add_topic(struct shard *shard, const char *name, uint32_t id,
                      _Atomic uint32_t *subscribers)
{
    hub_add_topic(&shard->hub, name, id)->tally = &subscribers[shard->index];
}

static void run_word(struct task *task)
{
    struct word *word = container_of(task, struct word, task);
    struct shard *shard = word->shard;

    switch (word->type) {
    case WORD_TOPIC:
        add_topic(shard, word->name, word->topic_id, word->subscribers);
        break;
    case WORD_PUBLISH:
        shard_deliver(shard, word->pub);
        break;
    case WORD_FORGET:
        hub_forget(&shard->hub, word->topic_id, word->version);
        break;
    case WORD_DRAIN:
        drain_begin(shard, word->time_ms, word->shard_count);
        break;
    case WORD_STALE:
        stale_set(shard, word->is_stale, word->time_ms);
        break;
    }
    free(word);
}

static void tell_shards(struct server *server, const struct word *what)
{
    for (size_t i = 0; i < server->shard_count; i++) {
        struct word *word = mem_alloc(sizeof(*word));

        *word = *what;
        word->task.run = run_word;
        word->shard = server->shards[i];
        if (word->pub) publication_ref(word->pub);
        if (loop_post(&word->shard->loop, &word->task)) continue;
        publication_unref(word->pub);
        free(word);
    }
}

static struct interest *add_interest(struct server *server, uint32_t id)
{
    struct interest *interest;

    if (id >= server->interest_count) {
        size_t more = id + 1 - server->interest_count;

        server->interests = mem_realloc(server->interests, (id + 1) * sizeof(*interest));
        memset(&server->interests[server->interest_count], 0, more * sizeof(*interest));
        server->interest_count = id + 1;
    }
    interest = &server->interests[id];
    if (!interest->subscribers)
        interest->subscribers = mem_zalloc(server->shard_count * sizeof(*interest->subscribers));
    return interest;
}

void server_add_topic(struct server *server, const char *name, uint32_t id)
{
    struct word word = {.type = WORD_TOPIC, .topic_id = id};

    word.subscribers = add_interest(server, id)->subscribers;
    strncpy(word.name, name, LIMIT_SYMBOL_BYTES);
    if (server->started_count) {
        tell_shards(server, &word);
        return;
    }
    for (size_t i = 0; i < server->shard_count; i++)
        add_topic(server->shards[i], name, id, word.subscribers);
}

void server_publish(struct server *server, struct publication *pub)
{
    struct word word = {.type = WORD_PUBLISH, .pub = pub};

    tell_shards(server, &word);
    publication_unref(pub);
}

void server_forget(struct server *server, uint32_t topic_id, struct version version)
{
    struct word word = {.type = WORD_FORGET, .topic_id = topic_id, .version = version};

    tell_shards(server, &word);
}

void server_set_stale(struct server *server, bool is_stale, int64_t since_wall_ms)
{
    struct word word = {.type = WORD_STALE, .is_stale = is_stale, .time_ms = since_wall_ms};

    if (server->is_stale == is_stale) return;
    server->is_stale = is_stale;
    tell_shards(server, &word);
}

/* --- draining --- */

static void on_drain_look(uv_timer_t *timer)
{
    struct server *server = container_of(timer, struct server, drain);
    int64_t now_ms = (int64_t)uv_now(timer->loop);

    if (server_stat(server, STAT_websockets) + server_stat(server, STAT_sse_connections) &&
        now_ms < server->drain_end_ms)
        return;
    uv_timer_stop(timer);
    server->on_drained(server->drain_context);
}

void server_drain(struct server *server, int64_t duration_ms, void (*on_drained)(void *context),
                  void *context)
{
    struct word word = {
        .type = WORD_DRAIN, .time_ms = duration_ms, .shard_count = server->shard_count};
    uv_loop_t *loop = &server->env.main_loop->uv;

    assert(!server_is_draining(server));
    server->on_drained = on_drained;
    server->drain_context = context;
    server->drain_end_ms = (int64_t)uv_now(loop) + duration_ms + DRAIN_GRACE_MS;
    atomic_store_explicit(&server->env.is_draining, true, memory_order_relaxed);
    tell_shards(server, &word);
    uv_timer_init(loop, &server->drain);
    uv_timer_start(&server->drain, on_drain_look, 0, DRAIN_LOOK_MS);
}

bool server_is_draining(const struct server *server)
{
    return atomic_load_explicit(&server->env.is_draining, memory_order_relaxed);
}

/* --- interest --- */

void server_on_interest(struct server *server, size_t shard_index, uint32_t topic_id,
                        bool has_subscribers)
{
    uint64_t before = server->interests[topic_id].shards, bit = UINT64_C(1) << shard_index;
    uint64_t now = has_subscribers ? before | bit : before & ~bit;

    server->interests[topic_id].shards = now;
    if (!now != !before) server->env.ops.on_interest(server->env.ops.context, topic_id, now != 0);
}

uint32_t server_subscribers(const struct server *server, uint32_t topic_id)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < server->shard_count; i++)
        sum +=
            atomic_load_explicit(&server->interests[topic_id].subscribers[i], memory_order_relaxed);
    return sum;
}

int64_t server_stat(const struct server *server, enum counter stat)
{
    int64_t sum = 0;

    for (size_t i = 0; i < server->shard_count; i++)
        sum += stats_get(&server->shards[i]->stats, stat);
    return sum;
}

size_t server_shard_count(const struct server *server)
{
    return server->shard_count;
}

const struct stats *server_shard_stats(const struct server *server, size_t shard_index)
{
    return &server->shards[shard_index]->stats;
}

/* One that was never started is run here, until its handles are closed. */
void server_stop(struct server *server)
{
    if (server_is_draining(server)) uv_close((uv_handle_t *)&server->drain, NULL);
    for (size_t i = 0; i < server->shard_count; i++)
        shard_stop(server->shards[i]);
    for (size_t i = 0; i < server->shard_count; i++) {
        if (i < server->started_count)
            uv_thread_join(&server->shards[i]->thread);
        else
            loop_run(&server->shards[i]->loop);
    }
    /* Now, while the main loop still takes what they have to say. */
    for (size_t i = 0; i < server->shard_count; i++)
        loop_drain(&server->shards[i]->loop);
}
