#include "serve/shard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "serve/client.h"

/* Connections that the kernel completes before we accept them: a storm's first second. */
#define LISTEN_BACKLOG 4096
#define SWEEP_MS       1000
/* Between two lines about accepting that fails. */
#define COMPLAIN_MS 60000
/* zlib's: what a publication costs once, all its readers save. */
#define DEFLATE_LEVEL 6
/* What closing clients get for their half of the close handshake. */
#define STOP_GRACE_MS 1000

int64_t shard_now_ms(const struct shard *shard)
{
    return (int64_t)uv_now(&shard->loop.uv);
}

void shard_flush_soon(struct shard *shard, struct conn *c)
{
    if (list_is_empty(&c->in_flush)) list_append(&shard->to_flush, &c->in_flush);
}

struct deflater *shard_deflater(struct shard *shard)
{
    if (shard->deflater) return shard->deflater;
    shard->deflater = mem_alloc(sizeof(*shard->deflater));
    deflater_init(shard->deflater, DEFLATE_LEVEL, DEFLATE_WINDOW_BITS_MAX);
    return shard->deflater;
}

static void on_flush(uv_prepare_t *flush)
{
    struct shard *shard = container_of(flush, struct shard, flush);
    struct list *link;

    while ((link = list_pop(&shard->to_flush)))
        conn_flush(container_of(link, struct conn, in_flush));
}

static void on_due(uv_timer_t *due)
{
    shard_rearm(container_of(due, struct shard, due));
}

void shard_rearm(struct shard *shard)
{
    int64_t now_ms = shard_now_ms(shard), next_ms = hub_tick(&shard->hub, now_ms);

    if (next_ms < 0)
        uv_timer_stop(&shard->due);
    else
        uv_timer_start(&shard->due, on_due, (uint64_t)MAX(next_ms - now_ms, 1), 0);
}

/* --- the hub's word to the main loop: who is wanted --- */

struct interest {
    struct task task;
    struct server *server;
    const struct shard *shard;
    uint32_t topic_id;
    bool has_subscribers, wants_deflate;
};

static void run_interest(struct task *task)
{
    struct interest *interest = container_of(task, struct interest, task);

    server_on_interest(interest->server, interest->shard->index, interest->topic_id,
                       interest->has_subscribers, interest->wants_deflate);
    free(interest);
}

static void on_interest(struct hub *hub, const struct topic *topic)
{
    struct shard *shard = container_of(hub, struct shard, hub);
    struct interest *interest;

    interest = mem_alloc(sizeof(*interest));
    *interest = (struct interest){.task.run = run_interest,
                                  .server = shard->env->server,
                                  .shard = shard,
                                  .topic_id = topic->id,
                                  .has_subscribers = topic->subscriber_count > 0,
                                  .wants_deflate = topic->deflate_count > 0};
    if (!loop_post(shard->env->main_loop, &interest->task)) free(interest);
}

/* --- deadlines --- */

static void sweep_list(struct list *list, int64_t now_ms)
{
    LIST_FOR_EACH (it, after, list)
        conn_check_deadlines(container_of(it, struct conn, in_state), now_ms);
}

/* Open connections stand in the order they were last heard: those heard lately end the walk. */
static void sweep_open(struct shard *shard, int64_t now_ms)
{
    LIST_FOR_EACH (it, after, &shard->conns[CONN_OPEN]) {
        struct conn *c = container_of(it, struct conn, in_state);

        if (now_ms - c->last_received_ms < LIMIT_PING_MS) break;
        conn_check_deadlines(c, now_ms);
    }
}

static void sweep_blocked(struct shard *shard, int64_t now_ms)
{
    LIST_FOR_EACH (it, after, &shard->blocked)
        conn_check_deadlines(container_of(it, struct conn, in_blocked), now_ms);
}

static void stop_when_empty(struct shard *shard, int64_t now_ms);
static int open_listener(struct shard *shard);

static void on_sweep(uv_timer_t *sweep)
{
    struct shard *shard = container_of(sweep, struct shard, sweep);
    int64_t now_ms = shard_now_ms(shard);

    sweep_list(&shard->conns[CONN_HTTP], now_ms);
    sweep_list(&shard->conns[CONN_CLOSING], now_ms);
    sweep_open(shard, now_ms);
    sweep_blocked(shard, now_ms);
    if (shard->stop_ms)
        stop_when_empty(shard, now_ms);
    else if (!shard->is_listening && open_listener(shard) == 0)
        log_info("accepting connections again");
}

/* --- life --- */

/* Out of file descriptors (or memory): libuv would call again and again without ever coming back to
 * its loop, so the listener goes, and is opened again by the sweep a second later. */
static void close_listener(struct shard *shard)
{
    shard->is_listening = false;
    uv_close((uv_handle_t *)&shard->listener, NULL);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct shard *shard = container_of(listener, struct shard, listener);
    int64_t now_ms = shard_now_ms(shard);

    if (status == 0) {
        conn_accept(shard);
        return;
    }
    if (!shard->complained_ms || now_ms - shard->complained_ms >= COMPLAIN_MS) {
        shard->complained_ms = now_ms;
        log_warning("cannot accept connections; trying again every second",
                    F_STR("error", uv_strerror(status)));
    }
    close_listener(shard);
}

static int listen_on(struct shard *shard, const struct sockaddr *address)
{
    int yes = 1, err;
    uv_os_fd_t fd;

    err = uv_fileno((uv_handle_t *)&shard->listener, &fd);
    if (err) return err;
    /* Each shard listens for itself; the kernel spreads connections over them. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes))) return UV_ENOTSUP;
    err = uv_tcp_bind(&shard->listener, address, 0);
    if (err) return err;
    return uv_listen((uv_stream_t *)&shard->listener, LISTEN_BACKLOG, on_connection);
}

static int open_listener(struct shard *shard)
{
    const struct sockaddr *address = (const struct sockaddr *)&shard->address;
    int err = uv_tcp_init_ex(&shard->loop.uv, &shard->listener, address->sa_family);

    if (err) return err;
    err = listen_on(shard, address);
    if (err)
        uv_close((uv_handle_t *)&shard->listener, NULL);
    else
        shard->is_listening = true;
    return err;
}

static void close_handles(struct shard *shard)
{
    uv_close((uv_handle_t *)&shard->sweep, NULL);
    uv_close((uv_handle_t *)&shard->due, NULL);
    uv_close((uv_handle_t *)&shard->flush, NULL);
    loop_close(&shard->loop);
}

int shard_init(struct shard *shard, struct shard_env *env, size_t index,
               const struct sockaddr *address)
{
    int err;

    *shard = (struct shard){.env = env, .index = index};
    memcpy(&shard->address, address,
           address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                         : sizeof(struct sockaddr_in6));
    err = loop_init(&shard->loop);
    if (err) return err;
    hub_init(&shard->hub);
    shard->hub.on_mark = client_on_mark;
    shard->hub.on_interest = on_interest;
    inflater_init(&shard->inflater);
    list_init(&shard->to_flush);
    list_init(&shard->blocked);
    for (size_t i = 0; i < CONN_STATES; i++)
        list_init(&shard->conns[i]);
    uv_timer_init(&shard->loop.uv, &shard->sweep);
    uv_timer_init(&shard->loop.uv, &shard->due);
    uv_prepare_init(&shard->loop.uv, &shard->flush);
    uv_timer_start(&shard->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    uv_prepare_start(&shard->flush, on_flush);
    err = open_listener(shard);
    if (!err) return 0;
    close_handles(shard);
    loop_run(&shard->loop);
    shard_deinit(shard);
    return err;
}

void shard_deinit(struct shard *shard)
{
    loop_deinit(&shard->loop);
    hub_deinit(&shard->hub);
    inflater_deinit(&shard->inflater);
    if (shard->deflater) deflater_deinit(shard->deflater);
    free(shard->deflater);
}

static void run_thread(void *argument)
{
    struct shard *shard = argument;

    loop_run(&shard->loop);
}

int shard_start(struct shard *shard)
{
    return uv_thread_create(&shard->thread, run_thread, shard);
}

static bool has_conns(const struct shard *shard)
{
    for (size_t i = 0; i < CONN_STATES; i++)
        if (!list_is_empty(&shard->conns[i])) return true;
    return false;
}

static void destroy_conns(struct shard *shard)
{
    for (size_t i = 0; i < CONN_STATES; i++) {
        LIST_FOR_EACH (it, after, &shard->conns[i])
            conn_destroy(container_of(it, struct conn, in_state));
    }
}

static void stop_when_empty(struct shard *shard, int64_t now_ms)
{
    if (now_ms >= shard->stop_ms) destroy_conns(shard);
    if (!has_conns(shard)) close_handles(shard);
}

/* Clients come back at different moments, not all at once. */
static void say_goodbye(struct conn *c)
{
    char reason[64];

    snprintf(reason, sizeof(reason), "server is stopping; reconnect in %ld ms",
             500 + random() % 9500);
    conn_close(c, WS_CLOSE_GOING_AWAY, str_of(reason));
}

static void run_stop(struct task *task)
{
    struct shard *shard = container_of(task, struct shard, stop);

    if (shard->is_listening) close_listener(shard);
    LIST_FOR_EACH (it, after, &shard->conns[CONN_OPEN])
        say_goodbye(container_of(it, struct conn, in_state));
    LIST_FOR_EACH (it, after, &shard->conns[CONN_HTTP])
        conn_destroy(container_of(it, struct conn, in_state));
    shard->stop_ms = shard_now_ms(shard) + STOP_GRACE_MS;
    uv_timer_start(&shard->sweep, on_sweep, 1, 20);
}

void shard_stop(struct shard *shard)
{
    shard->stop.run = run_stop;
    loop_post(&shard->loop, &shard->stop);
}
