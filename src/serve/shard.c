#include "serve/shard.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "serve/client.h"
#include "serve/events.h"
#include "serve/longpoll.h"

/* Connections that the kernel completes before we accept them: a storm's first second. */
#define LISTEN_BACKLOG 4096
/* Connections accepted in a row before those that are there have their turn. */
#define ACCEPT_BATCH 256
/* Unsent bytes stay with us, where a newer snapshot replaces them: the kernel takes no more than
 * this beyond what is on its way. */
#define NOTSENT_LOWAT_BYTES 16384
#define SWEEP_MS            1000
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
    /* In a list already: it will be flushed, or is blocked and goes on when its socket does. */
    if (list_is_empty(&c->in_turn)) list_append(&shard->to_flush, &c->in_turn);
}

void shard_bury(struct shard *shard, struct conn *c)
{
    list_remove(&c->in_turn);
    list_append(&shard->graveyard, &c->in_turn);
}

static void empty_graveyard(struct shard *shard)
{
    struct list *link;

    while ((link = list_pop(&shard->graveyard)))
        conn_unref(container_of(link, struct conn, in_turn));
}

/* A loop that is late has several versions of a topic at once: only the newest is of use. */
static bool replace_arrived(struct shard *shard, struct publication *pub)
{
    for (size_t i = 0; i < shard->arrived_count; i++) {
        struct publication *old = shard->arrived[i];

        if (old->topic_id != pub->topic_id) continue;
        if (version_is_newer(pub->version, old->version)) {
            shard->arrived[i] = pub;
            publication_unref(old);
        } else
            publication_unref(pub);
        return true;
    }
    return false;
}

void shard_deliver(struct shard *shard, struct publication *pub)
{
    if (replace_arrived(shard, pub)) return;
    if (shard->arrived_count == shard->arrived_capacity) {
        shard->arrived_capacity = MAX(2 * shard->arrived_capacity, 16);
        shard->arrived =
            mem_realloc(shard->arrived, shard->arrived_capacity * sizeof(struct publication *));
    }
    shard->arrived[shard->arrived_count++] = pub;
}

/* To everybody who is due: each client is marked and written to in one go. */
static void spread(struct shard *shard)
{
    int64_t now_ms = shard_now_ms(shard);

    shard->is_spreading = true;
    for (size_t i = 0; i < shard->arrived_count; i++) {
        struct publication *pub = shard->arrived[i];
        int64_t made_us = pub->made_us;

        if (!hub_deliver(&shard->hub, pub, now_ms)) continue;
        stats_add(&shard->stats, STAT_publications, 1);
        stats_observe(&shard->stats, HIST_publish_to_last_write, clock_monotonic_us() - made_us);
    }
    shard->is_spreading = false;
    if (shard->arrived_count) shard_rearm(shard);
    shard->arrived_count = 0;
}

struct deflater *shard_deflater(struct shard *shard)
{
    if (shard->deflater) return shard->deflater;
    shard->deflater = mem_alloc(sizeof(*shard->deflater));
    deflater_init(shard->deflater, DEFLATE_LEVEL, DEFLATE_WINDOW_BITS_MAX);
    return shard->deflater;
}

/* What this turn's versions cost to encode. */
static void count_encodings(struct shard *shard)
{
    struct stats *stats = &shard->stats;

    if (shard->cost.made) {
        stats_add(stats, STAT_encodings_made, (int64_t)shard->cost.made);
        stats_observe(stats, HIST_encode, shard->cost.write_us);
        if (shard->cost.deflate_us) stats_observe(stats, HIST_deflate, shard->cost.deflate_us);
    }
    if (shard->cost.reused) stats_add(stats, STAT_encodings_reused, (int64_t)shard->cost.reused);
    shard->cost = (struct encoding_cost){0};
}

static void on_flush(uv_prepare_t *flush)
{
    struct shard *shard = container_of(flush, struct shard, flush);
    struct list *link;

    spread(shard);
    while ((link = list_pop(&shard->to_flush)))
        conn_flush(container_of(link, struct conn, in_turn));
    count_encodings(shard);
    empty_graveyard(shard);
    stats_observe(&shard->stats, HIST_loop_busy, loop_turn_us(&shard->loop));
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
    bool has_subscribers;
};

static void run_interest(struct task *task)
{
    struct interest *interest = container_of(task, struct interest, task);

    server_on_interest(interest->server, interest->shard->index, interest->topic_id,
                       interest->has_subscribers);
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
                                  .has_subscribers = topic->subscriber_count > 0};
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

        if (now_ms - c->last_received_ms < LIMIT_PING_MS - LIMIT_PING_JITTER_MS) break;
        conn_check_deadlines(c, now_ms);
    }
}

static void sweep_blocked(struct shard *shard, int64_t now_ms)
{
    LIST_FOR_EACH (it, after, &shard->blocked)
        conn_check_deadlines(container_of(it, struct conn, in_turn), now_ms);
}

static void stop_when_empty(struct shard *shard, int64_t now_ms);
static void set_accepting(struct shard *shard, bool is_accepting);

static void on_sweep(uv_timer_t *sweep)
{
    struct shard *shard = container_of(sweep, struct shard, sweep);
    int64_t now_ms = shard_now_ms(shard);

    sweep_list(&shard->conns[CONN_HTTP], now_ms);
    sweep_list(&shard->conns[CONN_EVENTS], now_ms);
    sweep_list(&shard->conns[CONN_CLOSING], now_ms);
    sweep_open(shard, now_ms);
    sweep_blocked(shard, now_ms);
    if (shard->stop_ms)
        stop_when_empty(shard, now_ms);
    else
        set_accepting(shard, true);
}

/* --- life --- */

static void set_accepting(struct shard *shard, bool is_accepting)
{
    if (shard->is_accepting == is_accepting) return;
    shard->is_accepting = is_accepting;
    poller_change(&shard->poller, shard->listener, is_accepting ? POLL_READ : 0, &shard->listener);
}

/* Out of file descriptors, or memory: who knocks waits in the kernel's backlog until the sweep
 * tries again, a second later. */
static void rest_from_accepting(struct shard *shard, int err)
{
    int64_t now_ms = shard_now_ms(shard);

    if (!shard->complained_ms || now_ms - shard->complained_ms >= COMPLAIN_MS) {
        shard->complained_ms = now_ms;
        log_warning("cannot accept connections; trying again every second", F_ERROR(err));
    }
    set_accepting(shard, false);
}

static void accept_some(struct shard *shard)
{
    struct sockaddr_storage from;

    for (int i = 0; i < ACCEPT_BATCH; i++) {
        socklen_t size = sizeof(from);
        int fd =
            accept4(shard->listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            struct address address = address_of((struct sockaddr *)&from);

            conn_accept(shard, fd, &address);
        } else if (errno == EAGAIN)
            return;
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            rest_from_accepting(shard, -errno);
            return;
        } /* else that one connection was gone before it was taken: accept(2) */
    }
}

static void on_ready(struct poller *poller, void *owner, unsigned events)
{
    struct shard *shard = container_of(poller, struct shard, poller);

    if (owner == &shard->listener)
        accept_some(shard);
    else
        conn_ready(owner, events);
}

static void on_batch(struct poller *poller)
{
    empty_graveyard(container_of(poller, struct shard, poller));
}

int shard_kernel_deadline_ms(const struct shard_env *env)
{
    return (int)(MAX(env->slow_consumer_ms, LIMIT_DEAD_MS) + LIMIT_PARTING_MS);
}

/* Linux hands these down to every connection accepted: no system calls for each of them. */
static void set_socket_options(const struct shard_env *env, int fd)
{
    int yes = 1, lowat = NOTSENT_LOWAT_BYTES, dead_ms = shard_kernel_deadline_ms(env);

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
}

static int bind_listener(const struct shard_env *env, int fd, const struct sockaddr *address)
{
    int yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    /* Each shard listens for itself; the kernel spreads connections over them. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes))) return -errno;
    set_socket_options(env, fd);
    if (bind(fd, address,
             address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                           : sizeof(struct sockaddr_in6)) ||
        listen(fd, LISTEN_BACKLOG))
        return -errno;
    return 0;
}

static int open_listener(struct shard *shard, const struct sockaddr *address)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

    if (fd < 0) return -errno;
    err = bind_listener(shard->env, fd, address);
    if (!err) err = poller_add(&shard->poller, fd, POLL_READ, &shard->listener);
    if (err) {
        close(fd);
        return err;
    }
    shard->listener = fd;
    shard->is_accepting = true;
    return 0;
}

static void close_listener(struct shard *shard)
{
    if (shard->listener >= 0) close(shard->listener);
    shard->listener = -1;
}

static void close_handles(struct shard *shard)
{
    close_listener(shard);
    empty_graveyard(shard);
    poller_close(&shard->poller);
    uv_close((uv_handle_t *)&shard->sweep, NULL);
    uv_close((uv_handle_t *)&shard->due, NULL);
    uv_close((uv_handle_t *)&shard->flush, NULL);
    uv_close((uv_handle_t *)&shard->drain.timer, NULL);
    loop_close(&shard->loop);
}

int shard_init(struct shard *shard, struct shard_env *env, size_t index,
               const struct sockaddr *address)
{
    int err;

    *shard = (struct shard){.env = env, .index = index, .listener = -1};
    err = loop_init(&shard->loop);
    if (err) return err;
    err = poller_init(&shard->poller, &shard->loop);
    if (err) goto fail_poller;
    shard->poller.on_ready = on_ready;
    shard->poller.on_batch = on_batch;
    hub_init(&shard->hub);
    shard->hub.on_mark = client_on_mark;
    shard->hub.on_interest = on_interest;
    inflater_init(&shard->inflater);
    list_init(&shard->to_flush);
    list_init(&shard->blocked);
    list_init(&shard->graveyard);
    for (size_t i = 0; i < CONN_STATES; i++)
        list_init(&shard->conns[i]);
    uv_timer_init(&shard->loop.uv, &shard->sweep);
    uv_timer_init(&shard->loop.uv, &shard->due);
    uv_prepare_init(&shard->loop.uv, &shard->flush);
    drain_init(&shard->drain, &shard->loop);
    uv_timer_start(&shard->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    uv_prepare_start(&shard->flush, on_flush);
    err = open_listener(shard, address);
    if (!err) return 0;
    close_handles(shard);
    loop_run(&shard->loop);
    shard_deinit(shard);
    return err;

fail_poller:
    loop_close(&shard->loop);
    loop_run(&shard->loop);
    loop_deinit(&shard->loop);
    return err;
}

void shard_deinit(struct shard *shard)
{
    loop_deinit(&shard->loop);
    for (size_t i = 0; i < shard->arrived_count; i++)
        publication_unref(shard->arrived[i]);
    free(shard->arrived);
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
static unsigned reconnect_ms(void)
{
    return 500 + (unsigned)(random() % 9500);
}

static void say_goodbye(struct conn *c)
{
    char reason[64];

    snprintf(reason, sizeof(reason), "server is stopping; reconnect in %u ms", reconnect_ms());
    conn_close(c, WS_CLOSE_GOING_AWAY, str_of(reason));
}

static void end_http(struct conn *c)
{
    if (c->http.poll)
        longpoll_refuse(c);
    else
        conn_destroy(c);
}

static void run_stop(struct task *task)
{
    struct shard *shard = container_of(task, struct shard, stop);

    close_listener(shard);
    drain_end(&shard->drain);
    LIST_FOR_EACH (it, after, &shard->conns[CONN_OPEN])
        say_goodbye(container_of(it, struct conn, in_state));
    LIST_FOR_EACH (it, after, &shard->conns[CONN_EVENTS])
        events_end(container_of(it, struct conn, in_state), reconnect_ms());
    LIST_FOR_EACH (it, after, &shard->conns[CONN_HTTP])
        end_http(container_of(it, struct conn, in_state));
    shard->stop_ms = shard_now_ms(shard) + STOP_GRACE_MS;
    uv_timer_start(&shard->sweep, on_sweep, 1, 20);
}

void shard_stop(struct shard *shard)
{
    shard->stop.run = run_stop;
    loop_post(&shard->loop, &shard->stop);
}
