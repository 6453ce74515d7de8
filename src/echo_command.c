/* echo_command.c - `heatcast echo`: the serve floor alone, sending every message back, for
 * conformance suites (docs/conformance.md). No database, no feed, no topics. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/config.h"
#include "base/log.h"
#include "commands.h"
#include "serve/server.h"
#include "serve/site.h"
#include "signals.h"

static const char usage[] = "usage: heatcast echo [OPTION…]\n\n"
                            "Sends every WebSocket message back as it came: for conformance "
                            "suites. Answers on /ws/heatmap,\n"
                            "with the limits of `heatcast serve` but for a message's size.";

static const char not_here[] = "heatcast echo only answers on /ws/heatmap";

struct app {
    struct config config;
    struct loop loop;
    struct server *server;
    struct signals signals;
};

static void on_stop(void *context)
{
    struct app *app = context;

    signals_unwatch(&app->signals);
    server_stop(app->server);
    loop_close(&app->loop);
}

/* There are no topics, so nobody can be interested in one. */
static void on_interest(void *context, uint32_t topic_id, bool has_subscribers)
{
    (void)context, (void)topic_id, (void)has_subscribers;
}

static void on_request(void *context, struct site_request *request)
{
    (void)context;
    site_fail(&request->response, 404, not_here);
    site_answer(request);
}

static int run(struct app *app)
{
    int err;

    signals_watch(&app->signals, &app->loop, on_stop, app);
    err = server_start(app->server);
    if (err) {
        log_error("cannot start threads", F_ERROR(err));
        raise(SIGTERM);
    } else {
        printf("heatcast echoes at http://%s/\n", server_address(app->server));
        fflush(stdout);
    }
    loop_run(&app->loop);
    log_info("stopped");
    return err;
}

static int open_and_run(struct app *app)
{
    const struct server_ops ops = {.context = app,
                                   .on_interest = on_interest,
                                   .on_request = on_request,
                                   .replay_closed = not_here,
                                   .is_echo = true};
    char message[1024];
    int err;

    if (loop_init(&app->loop)) abort();
    err = server_open(&app->config, &app->loop, &ops, &app->server, message, sizeof(message));
    if (err) {
        fprintf(stderr, "heatcast: %s\n", message);
        loop_close(&app->loop);
        loop_run(&app->loop);
    } else
        err = run(app);
    loop_deinit(&app->loop);
    if (app->server) server_free(app->server);
    return err ? 1 : 0;
}

int echo_command(int argc, char **argv)
{
    struct app app = {0};
    int word_count, status = 2;

    switch (config_load(&app.config, CMD_ECHO, usage, argc, argv, &word_count)) {
    case CONFIG_DONE:
        return 0;
    case CONFIG_ERROR:
        return 2;
    case CONFIG_RUN:
        break;
    }
    app.config.ws_max_message_bytes = app.config.echo_max_message_bytes;
    if (word_count)
        fprintf(stderr, "heatcast: echo takes no words, but got '%s' (see --help)\n", argv[0]);
    else {
        config_apply_log(&app.config);
        status = open_and_run(&app);
    }
    config_deinit(&app.config);
    return status;
}
