/* server.h - all shards as one: what the publisher sees of the serve floor.
 *
 * Everything here is called on the main loop's thread unless it says otherwise. The server knows
 * topics and bytes; what it needs to know of the floor above, that floor fills into server_ops. */
#ifndef HEATCAST_SERVE_SERVER_H
#define HEATCAST_SERVE_SERVER_H

#include "base/config.h"
#include "base/stats.h"
#include "io/loop.h"
#include "serve/publication.h"
#include "wire/http.h"

struct server;
struct site_request;

struct server_ops {
    void *context;
    /* A topic gained its first subscriber (of all shards) or lost its last. */
    void (*on_interest)(void *context, uint32_t topic_id, bool has_subscribers);
    /* An HTTP request for something that is not a file of the page. To be answered exactly once
     * with site_answer() (site.h), now or later. */
    void (*on_request)(void *context, struct site_request *request);
    /* Why POST /replay is no door, in words, static; NULL: it is one. */
    const char *replay_closed;
    /* `heatcast echo`: WebSocket messages of both kinds come back as they were (echo.h). */
    bool is_echo;
};

/* Opens the listeners; nothing is accepted before server_start(). On trouble writes a sentence into
 * message. */
int server_open(const struct config *config, struct loop *main_loop, const struct server_ops *ops,
                struct server **server, char *message, size_t message_size) MUST_CHECK;
/* Starts the shards' threads. */
int server_start(struct server *server) MUST_CHECK;
/* "127.0.0.1:8000": where it listens, the port resolved when 0 was asked for. */
const char *server_address(const struct server *server);

/* Makes a topic known to all shards; those added before server_start() are there when the first
 * client is. Ids are the caller's, small and never reused. */
void server_add_topic(struct server *server, const char *name, uint32_t id);
/* Hands a publication to every shard. Takes the caller's reference. */
void server_publish(struct server *server, struct publication *pub);
/* Lets the shards drop what they have of a topic, if it is not newer than this. */
void server_forget(struct server *server, uint32_t topic_id, struct version version);

/* A topic's subscribers now, over all shards. */
uint32_t server_subscribers(const struct server *server, uint32_t topic_id);
/* A shard's word on a topic, brought to the main loop. */
void server_on_interest(struct server *server, size_t shard_index, uint32_t topic_id,
                        bool has_subscribers);

/* Sum of a counter over the shards; any thread. */
int64_t server_stat(const struct server *server, enum counter stat);
/* What one shard counts; to be read from any thread, until server_free(). */
size_t server_shard_count(const struct server *server);
const struct stats *server_shard_stats(const struct server *server, size_t shard_index);

/* Lets streaming clients go before server_stop(): each is told when, and closed then (drain.h); new
 * ones are answered 503. All else goes on. `on_drained` is called once, not from within, when the
 * last has gone or the time is over; not after server_stop(). To be called once. */
void server_drain(struct server *server, int64_t duration_ms, void (*on_drained)(void *context),
                  void *context);
bool server_is_draining(const struct server *server);

/* There is no news to be had from where this server has its own, since then; or there is again.
 * Every streaming client is told of the former, once, now or when it comes (stale.h). Saying what
 * was said already is harmless. */
void server_set_stale(struct server *server, bool is_stale, int64_t since_wall_ms);

/* Closes all connections (WebSockets with 1001) and joins the threads. Blocks, about a second at
 * most. Requests still with the floor above may be answered, to nobody, until server_free(). */
void server_stop(struct server *server);
void server_free(struct server *server);

#endif
