/* serve_command.c - `heatcast serve`: puts the floors together, runs them, takes them apart. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "commands.h"
#include "engine.h"
#include "feed/sim.h"
#include "replay_control.h"
#include "rest.h"
#include "signals.h"

struct app {
    struct config config;
    struct loop loop;
    struct store *store;
    struct store_symbol *symbols;
    size_t symbol_count;
    bool is_simulated;
    struct sim *sim; /* NULL unless it is the feed */
    struct engine *engine;
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

static void on_stop(void *context)
{
    struct app *app = context;

    if (app->sim) sim_stop(app->sim);
    engine_stop(app->engine);
    rest_stop(app->rest);
    server_stop(app->server);
    store_stop(app->store);
    loop_close(&app->loop);
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

static void announce(const struct app *app)
{
    const char *what = app->is_simulated ? "a SIMULATED market" : "stored data";
    char how[64] = "";

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

static int open_and_run(struct app *app)
{
    struct server_ops ops = {.context = app, .on_interest = on_interest, .on_request = on_request};
    int err = look_at_store(app);

    if (!err)
        err = engine_new(&app->config, &app->loop, app->store, app->symbols, app->symbol_count,
                         app->is_simulated, &app->engine, app->message, sizeof(app->message));
    if (err) goto fail_store;
    ops.replay_closed = replay_control_closed(app->engine);
    app->rest = rest_new(app->engine, &app->loop, app->store);
    err = server_open(&app->config, &app->loop, &ops, &app->server, app->message,
                      sizeof(app->message));
    if (err) goto fail_server;
    err = run(app);
    loop_deinit(&app->loop); /* the last answers find their way home */
    server_free(app->server);
    rest_free(app->rest);
    engine_free(app->engine);
    store_close(app->store);
    return err ? 1 : 0;

fail_server:
    rest_free(app->rest);
    engine_free(app->engine);
fail_store:
    store_close(app->store);
    loop_close(&app->loop);
    loop_run(&app->loop);
    loop_deinit(&app->loop);
    return complain(app);
}

int serve_command(int argc, char **argv)
{
    struct app app = {0};
    int word_count, status;

    switch (config_load(&app.config, CMD_SERVE, "usage: heatcast serve [OPTION…]", argc, argv,
                        &word_count)) {
    case CONFIG_DONE:
        return 0;
    case CONFIG_ERROR:
        return 2;
    case CONFIG_RUN:
        break;
    }
    if (word_count) {
        fprintf(stderr, "heatcast: serve takes no words, but got '%s' (see --help)\n", argv[0]);
        config_deinit(&app.config);
        return 2;
    }
    config_apply_log(&app.config);
    if (loop_init(&app.loop)) abort();
    if (store_open(app.config.db, (unsigned)app.config.store_threads, &app.store, app.message,
                   sizeof(app.message))) {
        loop_close(&app.loop);
        loop_run(&app.loop);
        loop_deinit(&app.loop);
        status = complain(&app);
    } else
        status = open_and_run(&app);
    sim_free(app.sim);
    free(app.symbols);
    config_deinit(&app.config);
    return status;
}
