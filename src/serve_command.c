/* serve_command.c - `heatcast serve` and `heatcast edge`: put the floors together, run them, take
 * them apart. An edge has neither store nor feed: it shows what the others publish. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "cluster.h"
#include "commands.h"
#include "engine.h"
#include "feed/sim.h"
#include "replay_control.h"
#include "rest.h"
#include "signals.h"
#include "upstream.h"

struct app {
    struct config config;
    bool is_edge;
    struct loop loop;
    struct store *store; /* NULL on an edge */
    struct store_symbol *symbols;
    size_t symbol_count;
    bool is_simulated;
    struct sim *sim; /* NULL unless it is the feed */
    struct engine *engine;
    struct cluster *cluster;   /* NULL where there is one server */
    struct upstream *upstream; /* NULL but on an edge */
    struct rest *rest;
    struct server *server;
    struct signals signals;
    char message[1024];
};

static int complain(const struct app *app)
{
    fprintf(stderr, "heatcast: %s\n", app->message);
    return 1;
}

/* What the store knows before anybody asks. */
static int look_at_store(struct app *app)
{
    const char *what = "cannot read the database";
    struct store_conn *conn;
    int err = store_conn_open(app->store, &conn);

    if (err) {
        snprintf(app->message, sizeof(app->message), "%s: %s", what, error_text(err));
        return err;
    }
    if (strcmp(app->config.feed, "sim") == 0) {
        err = sim_open(conn, app->config.sim_seed, &app->sim, app->message, sizeof(app->message));
        if (err) goto out;
    }
    err = sim_is_in(conn, &app->is_simulated);
    if (!err) err = store_symbols(conn, &app->symbols, &app->symbol_count);
    if (err) snprintf(app->message, sizeof(app->message), "%s: %s", what, store_conn_error(conn));
out:
    store_conn_close(conn);
    return err;
}

/* The end: those who feed first, who is fed last. */
static void stop(void *context)
{
    struct app *app = context;

    signals_unwatch(&app->signals);
    if (app->sim) sim_stop(app->sim);
    cluster_stop(app->cluster);
    engine_stop(app->engine);
    upstream_stop(app->upstream);
    rest_stop(app->rest);
    server_stop(app->server);
    if (app->store) store_stop(app->store);
    loop_close(&app->loop);
}

/* Clients are let go while everything still runs; who is asked twice stops at once. */
static void on_stop(void *context)
{
    struct app *app = context;
    int64_t drain_ms = (int64_t)(app->config.ws_drain_seconds * 1000);

    if (!drain_ms || server_is_draining(app->server)) {
        stop(app);
        return;
    }
    log_info("draining", F_INT("websockets", server_stat(app->server, STAT_websockets)),
             F_INT("streams", server_stat(app->server, STAT_sse_connections)),
             F_INT("ms_at_most", drain_ms));
    server_drain(app->server, drain_ms, stop, app);
}

static void on_request(void *context, struct site_request *request)
{
    struct app *app = context;

    rest_on_request(app->rest, request);
}

static void on_interest(void *context, uint32_t topic_id, bool has_subscribers)
{
    struct app *app = context;

    engine_on_interest(app->engine, topic_id, has_subscribers);
}

static void announce_edge(const struct app *app)
{
    log_info("relaying", F_STR("address", server_address(app->server)),
             F_STR("prefix", app->config.redis_channel_prefix));
    printf("heatcast relays what other servers publish at http://%s/\n",
           server_address(app->server));
    fflush(stdout);
}

static void announce(const struct app *app)
{
    const char *what = app->is_simulated ? "a SIMULATED market" : "stored data";
    char how[64] = "";

    if (app->is_edge) {
        announce_edge(app);
        return;
    }
    log_info(
        "serving", F_STR("address", server_address(app->server)), F_STR("feed", app->config.feed),
        F_INT("symbols", (int64_t)engine_symbol_count(app->engine)), F_STR("db", app->config.db));
    if (engine_is_replay(app->engine))
        snprintf(how, sizeof(how), " (a replay, %g times as fast as it happened)",
                 app->config.replay_speed);
    printf("heatcast serves %s%s at http://%s/\n", what, how, server_address(app->server));
    if (!engine_symbol_count(app->engine))
        printf("There is no data yet: stop, `heatcast ingest --db %s FOLDER`, start again.\n",
               app->config.db);
    fflush(stdout);
}

static int run(struct app *app)
{
    int err;

    signals_watch(&app->signals, &app->loop, on_stop, app);
    engine_start(app->engine, app->server);
    cluster_start(app->cluster, app->server);
    rest_start(app->rest, app->server);
    if (app->sim)
        sim_start(app->sim, app->store, &app->loop, app->config.sim_speed, engine_on_candle,
                  app->engine);
    err = server_start(app->server);
    if (err) {
        log_error("cannot start threads", F_ERROR(err));
        raise(SIGTERM);
    } else
        announce(app);
    loop_run(&app->loop);
    log_info("stopped");
    return err;
}

/* Of a server that could not be opened. */
static void end_loop(struct app *app)
{
    loop_close(&app->loop);
    loop_run(&app->loop);
    loop_deinit(&app->loop);
}

static int open_and_run(struct app *app)
{
    struct server_ops ops = {.context = app, .on_interest = on_interest, .on_request = on_request};
    int err = app->store ? look_at_store(app) : 0;

    if (!err)
        err = engine_new(&app->config, &app->loop, app->store, app->symbols, app->symbol_count,
                         app->is_simulated, &app->engine, app->message, sizeof(app->message));
    if (err) goto fail_store;
    ops.replay_closed = replay_control_closed(app->engine);
    if (app->is_edge || app->config.redis_enabled)
        app->cluster = cluster_new(&app->config, &app->loop, app->engine, app->is_edge);
    if (app->is_edge) app->upstream = upstream_new(app->config.upstream, &app->loop);
    app->rest = rest_new(app->engine, &app->loop, app->store, app->cluster, app->upstream);
    err = server_open(&app->config, &app->loop, &ops, &app->server, app->message,
                      sizeof(app->message));
    if (err) goto fail_server;
    err = run(app);
    loop_deinit(&app->loop); /* the last answers find their way home */
    server_free(app->server);
    cluster_free(app->cluster);
    rest_free(app->rest);
    upstream_free(app->upstream);
    engine_free(app->engine);
    if (app->store) store_close(app->store);
    return err ? 1 : 0;

fail_server:
    cluster_stop(app->cluster);
    upstream_stop(app->upstream);
    rest_free(app->rest);
fail_store:
    end_loop(app);
    cluster_free(app->cluster);
    upstream_free(app->upstream);
    if (app->engine) engine_free(app->engine);
    if (app->store) store_close(app->store);
    return complain(app);
}

static int open_store(struct app *app)
{
    if (app->is_edge) return 0;
    return store_open(app->config.db, (unsigned)app->config.store_threads, &app->store,
                      app->message, sizeof(app->message));
}

/* A URL that is none is found before anything is opened. */
static bool check_redis(const struct app *app)
{
    struct redis_url url;
    const char *reason;

    if (!app->is_edge && !app->config.redis_enabled) return true;
    if (!redis_url_parse(str_of(app->config.redis_url), &url, &reason)) return true;
    fprintf(stderr, "heatcast: redis-url: %s\n", reason);
    return false;
}

/* Not shown: it may have a password. */
static bool check_upstream(const struct app *app)
{
    if (!app->is_edge || upstream_is_url(app->config.upstream)) return true;
    fprintf(stderr, "heatcast: upstream: must be a full node's URL like http://10.0.0.1:8000, "
                    "without a query\n");
    return false;
}

static int load_and_run(struct app *app, const char *usage, int argc, char **argv)
{
    int word_count, status;

    switch (config_load(&app->config, app->is_edge ? CMD_EDGE : CMD_SERVE, usage, argc, argv,
                        &word_count)) {
    case CONFIG_DONE:
        return 0;
    case CONFIG_ERROR:
        return 2;
    case CONFIG_RUN:
        break;
    }
    if (word_count) {
        fprintf(stderr, "heatcast: %s takes no words, but got '%s' (see --help)\n",
                app->is_edge ? "edge" : "serve", argv[0]);
        config_deinit(&app->config);
        return 2;
    }
    if (!check_redis(app) || !check_upstream(app)) {
        config_deinit(&app->config);
        return 2;
    }
    config_apply_log(&app->config);
    if (loop_init(&app->loop)) abort();
    if (open_store(app)) {
        end_loop(app);
        status = complain(app);
    } else
        status = open_and_run(app);
    sim_free(app->sim);
    free(app->symbols);
    config_deinit(&app->config);
    return status;
}

int serve_command(int argc, char **argv)
{
    struct app app = {0};

    return load_and_run(&app, "usage: heatcast serve [OPTION…]", argc, argv);
}

int edge_command(int argc, char **argv)
{
    struct app app = {.is_edge = true};

    return load_and_run(&app, "usage: heatcast edge [OPTION…]", argc, argv);
}
