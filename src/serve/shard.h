/* shard.h - one I/O thread's whole world: listener, connections, hub, timers, flush list.
 *
 * Shards share what is immutable (settings, publications but for their encodings) and, lock-free,
 * what is counted over all of them: connections, also by address (crowd.h, restless.h), and bytes
 * not read yet (unread.h). Everything else of a shard is touched by its own thread only; others
 * post tasks to its loop. */
#ifndef HEATCAST_SERVE_SHARD_H
#define HEATCAST_SERVE_SHARD_H

#include "base/networks.h"
#include "base/stats.h"
#include "io/poller.h"
#include "serve/conn.h"
#include "serve/crowd.h"
#include "serve/drain.h"
#include "serve/hub.h"
#include "serve/restless.h"
#include "serve/server.h"
#include "serve/unread.h"

/* What all shards know; set before they start, read-only but for what is atomic: is_draining, the
 * two counts, crowd, restless and unread. */
struct shard_env {
    struct loop *main_loop;
    struct server_ops ops;
    bool ws_enabled;
    double update_interval_s; /* the server's own rhythm: a client's default */
    int64_t connections_max;
    uint32_t connections_per_address; /* 0: no limit */
    struct networks proxies;          /* owned; whose X-Forwarded-For is believed */
    size_t message_bytes_max;
    int64_t slow_consumer_ms;
    char *publish_token; /* owned; "": there is no door for publishing */
    char *origins;       /* owned; comma-separated; "" for no check, "*" for all */
    char *listen_host;   /* owned; of --listen, a name or an address without brackets */
    char *web_root;      /* owned; "" for the files in the program */
    struct server *server;
    _Atomic bool is_draining;    /* nobody new is given a stream (drain.h) */
    struct site_response *files; /* owned; one for each of assets[] */
    _Atomic int64_t connection_count;
    _Atomic int64_t refused_count; /* connections that linger to read their 503 */
    struct crowd crowd;
    struct restless restless;
    struct unread unread;
};

struct shard {
    struct loop loop;
    uv_thread_t thread;
    struct shard_env *env;
    size_t index;
    struct poller poller;
    int listener;          /* -1 when it is closed */
    bool is_accepting;     /* not while file descriptors are short */
    int64_t complained_ms; /* when it last logged that accepting failed; 0 for never */
    uv_timer_t sweep;      /* every second: deadlines */
    uv_timer_t due;        /* when the next subscriber is due */
    uv_prepare_t flush;    /* before the loop sleeps: what was marked is written */
    struct hub hub;
    struct inflater inflater;       /* shared by all connections: messages stand alone */
    struct deflater *deflater;      /* the same, owned; NULL until it is wanted */
    struct list conns[CONN_STATES]; /* conn.in_state; open ones by last_received_ms */
    struct list to_flush;           /* conn.in_turn */
    struct list blocked;            /* conn.in_turn: the socket refuses */
    struct list graveyard;          /* conn.in_turn: closed, freed when no event can name them */
    struct publication **arrived;   /* owned array of references: to be spread by the next flush */
    size_t arrived_count, arrived_capacity;
    bool is_spreading;         /* now: hub.on_mark may write at once */
    struct encoding_cost cost; /* of encodings since the last flush */
    struct stats stats;
    struct drain drain;
    bool is_stale;          /* there is no news (stale.h), */
    int64_t stale_since_ms; /* since then, by the wall's clock */
    struct task stop;
    int64_t stop_ms; /* when the last connections are cut; 0 while running */
    uint8_t read_buffer[65536];
};

/* Opens the listener, on the calling thread; shard_start() then runs it on its own. After a failure
 * nothing is held. */
int shard_init(struct shard *shard, struct shard_env *env, size_t index,
               const struct sockaddr *address) MUST_CHECK;
int shard_start(struct shard *shard) MUST_CHECK;
/* From the main thread: asks it to close its connections. It ends within STOP_GRACE_MS. */
void shard_stop(struct shard *shard);
/* After its thread has ended, or if it was never started: frees what it held. */
void shard_deinit(struct shard *shard);

/* On the shard's thread: milliseconds of a steady clock. */
int64_t shard_now_ms(const struct shard *shard);
/* On the shard's thread: `conn` has something to write. */
void shard_flush_soon(struct shard *shard, struct conn *conn);
/* On the shard's thread: `conn` is closed; unrefs it when no event can name it any more. */
void shard_bury(struct shard *shard, struct conn *conn);
/* On the shard's thread: a publication has arrived; it is handed to the hub and written before the
 * loop sleeps, unless a newer one of its topic arrives first. Takes the reference. */
void shard_deliver(struct shard *shard, struct publication *pub);
/* On the shard's thread: its one compressor, made when first asked for. */
struct deflater *shard_deflater(struct shard *shard);
/* How long the kernel waits for a peer that takes nothing (TCP_USER_TIMEOUT): longer than we do,
 * who say why. */
int shard_kernel_deadline_ms(const struct shard_env *env);
/* On the shard's thread: subscribers changed, so the due timer may have to. */
void shard_rearm(struct shard *shard);

#endif
