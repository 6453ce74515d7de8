#include "rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/exposition.h"
#include "base/version.h"
#include "publish.h"
#include "replay_control.h"
#include "rest_history.h"
#include "rest_metrics.h"
#include "rest_params.h"

struct rest {
    struct engine *engine;
    struct server *server;
    const struct cluster *cluster; /* NULL where there is one server */
    struct upstream *upstream;     /* NULL but on an edge */
    struct replay_control control;
    struct rest_history *history;
    struct rest_metrics *metrics;
    int64_t started_us;
};

static void answer(struct site_request *request, const char *content_type, struct buf *body)
{
    request->response = (struct site_response){
        .status = 200, .content_type = content_type, .body = blob_take(body)};
    site_finish(&request->response, request->accepts_gzip);
    site_answer(request);
}

static void answer_json(struct site_request *request, struct buf *body)
{
    answer(request, "application/json", body);
}

/* --- what the server is --- */

static void answer_health(struct rest *rest, struct site_request *request)
{
    const struct config *config = engine_config(rest->engine);
    bool is_edge = cluster_is_edge(rest->cluster),
         is_simulated = engine_is_simulated(rest->engine) || cluster_is_simulated(rest->cluster);
    struct buf out = {0};

    buf_printf(&out,
               "{\"status\":\"ok\",\"service\":\"liquidation-heatmap\",\"version\":\"%s\","
               "\"feed\":\"%s\",\"simulated\":%s,\"symbols\":%zu,\"update_interval\":",
               heatcast_version, is_edge ? "relay" : config->feed, is_simulated ? "true" : "false",
               engine_symbol_count(rest->engine));
    buf_add_double(&out, config->ws_update_interval);
    buf_add_text(&out, ",\"uptime_seconds\":");
    buf_add_int(&out, (clock_monotonic_us() - rest->started_us) / 1000000);
    if (engine_is_replay(rest->engine)) {
        buf_add_text(&out, ",\"replay\":");
        replay_control_write(rest->engine, &out);
    } else if (strcmp(config->feed, "sim") == 0) {
        buf_add_text(&out, ",\"sim\":{\"speed\":");
        buf_add_double(&out, config->sim_speed);
        buf_add_char(&out, '}');
    }
    cluster_write_health(rest->cluster, &out);
    buf_add_char(&out, '}');
    answer_json(request, &out);
}

/* An edge that Redis has left shows the last it has: worth more than nothing, so it stays ready and
 * says what it is. One that has nothing to show yet is not. */
static const char *readiness(const struct rest *rest, bool *is_ready)
{
    bool is_stale = cluster_is_stale(rest->cluster);

    *is_ready = false;
    if (server_is_draining(rest->server)) return "draining";
    if (is_stale && !engine_symbol_count(rest->engine)) return "waiting";
    *is_ready = true; /* it answers, so the loop runs and the store is open */
    return is_stale ? "stale" : "ready";
}

static void answer_ready(struct rest *rest, struct site_request *request)
{
    struct buf out = {0};
    bool is_ready;

    buf_printf(&out, "{\"status\":\"%s\"}", readiness(rest, &is_ready));
    if (is_ready) {
        answer_json(request, &out);
        return;
    }
    request->response = (struct site_response){.status = 503,
                                               .content_type = "application/json",
                                               .body = blob_take(&out),
                                               .retry_after_s = LIMIT_RETRY_AFTER_S};
    site_answer(request);
}

static const char *step_name(int64_t step_ms, char text[16])
{
    if (step_ms % 86400000 == 0)
        snprintf(text, 16, "%dd", (int)(step_ms / 86400000));
    else if (step_ms % 3600000 == 0)
        snprintf(text, 16, "%dh", (int)(step_ms / 3600000));
    else
        snprintf(text, 16, "%dm", (int)(step_ms / 60000));
    return text;
}

static const char *feed_of(const struct rest *rest, const struct symbol *symbol)
{
    const char *feed = cluster_feed(rest->cluster, symbol);

    if (*feed) return feed; /* of who leads it */
    return symbol->is_published ? "published" : engine_config(rest->engine)->feed;
}

static void add_symbol(struct buf *out, const struct rest *rest, const struct symbol *symbol)
{
    const struct engine *engine = rest->engine;
    char step[16];

    buf_printf(out, "{\"symbol\":\"%s\",\"feed\":\"%s\"", symbol->name, feed_of(rest, symbol));
    if (!symbol->is_published || symbol->published_us) { /* else its publisher has not said */
        buf_add_text(out, ",\"price_bin_size\":");
        snapshot_write_price(out, 1, symbol->bin_e12);
    }
    if (symbol->price > 0) { /* a replay knows it when somebody has subscribed */
        buf_add_text(out, ",\"last_price\":");
        buf_add_double(out, symbol->price);
    }
    if (symbol->step_ms) {
        buf_printf(out, ",\"interval\":\"%s\"", step_name(symbol->step_ms, step));
        buf_add_time_field(out, "start_time", symbol->first_open_ms);
        buf_add_time_field(out, "end_time", engine_visible_ms(engine, symbol));
    }
    buf_add_time_field(out, "open_interest_start", symbol->oi_first_ms);
    buf_add_time_field(out, "open_interest_end", engine_visible_oi_ms(engine, symbol));
    buf_add_char(out, '}');
}

static void answer_symbols(struct rest *rest, struct site_request *request)
{
    struct buf out = {0};

    buf_add_text(&out, "{\"symbols\":[");
    for (size_t i = 0; i < engine_symbol_count(rest->engine); i++) {
        if (i) buf_add_char(&out, ',');
        add_symbol(&out, rest, engine_symbol(rest->engine, i));
    }
    buf_add_text(&out, "]}");
    answer_json(request, &out);
}

/* --- counters --- */

static void answer_stats(struct rest *rest, struct site_request *request)
{
    struct buf out = {0};

    rest_metrics_write_json(rest->metrics, &out);
    answer_json(request, &out);
}

static void answer_metrics(struct rest *rest, struct site_request *request)
{
    struct buf out = {0};

    rest_metrics_write_text(rest->metrics, &out);
    answer(request, EXPOSITION_TYPE, &out);
}

/* --- data --- */

static void answer_date_range(struct rest *rest, struct site_request *request)
{
    struct params params = {str_of(request->query), rest->engine, &request->response};
    const struct symbol *symbol;
    struct buf out = {0};

    if (params_symbol(&params, &symbol) && symbol->oi_first_ms < 0)
        params_fail(&params, 404, "no open interest is stored for %s", symbol->name);
    if (request->response.status) {
        site_answer(request);
        return;
    }
    buf_printf(&out, "{\"symbol\":\"%s\"", symbol->name);
    buf_add_time_field(&out, "start_date", symbol->oi_first_ms);
    buf_add_time_field(&out, "end_date", engine_visible_oi_ms(rest->engine, symbol));
    buf_add_char(&out, '}');
    answer_json(request, &out);
}

static void answer_latest(struct rest *rest, struct site_request *request)
{
    struct params params = {str_of(request->query), rest->engine, &request->response};
    const struct symbol *symbol;

    if (params_symbol(&params, &symbol))
        engine_answer_latest(rest->engine, symbol, request);
    else
        site_answer(request);
}

static void answer_klines(struct rest *rest, struct site_request *request)
{
    rest_history_klines(rest->history, request);
}

static void answer_timeseries(struct rest *rest, struct site_request *request)
{
    rest_history_timeseries(rest->history, request);
}

/* --- routes --- */

static const struct {
    const char *path;
    void (*answer)(struct rest *rest, struct site_request *request);
    enum { HERE, PREFER_UPSTREAM, NEEDS_STORE } source; /* of an edge */
} routes[] = {
    {"/health", answer_health, HERE},
    {"/ready", answer_ready, HERE},
    {"/symbols", answer_symbols, PREFER_UPSTREAM},
    {"/metrics", answer_metrics, HERE},
    {"/ws/stats", answer_stats, HERE},
    {"/data/date-range", answer_date_range, NEEDS_STORE},
    {"/heatmap/latest", answer_latest, HERE},
    {"/prices/klines", answer_klines, NEEDS_STORE},
    {"/liquidations/heatmap-timeseries", answer_timeseries, NEEDS_STORE},
};

static void answer_symbols_here(void *context, struct site_request *request)
{
    answer_symbols(context, request);
}

/* An edge knows of symbols what their leaders say; a full node also what it has stored. */
static void answer_route(struct rest *rest, size_t index, struct site_request *request)
{
    struct upstream_stead stead = {.context = rest};

    if (!rest->upstream || routes[index].source == HERE) {
        routes[index].answer(rest, request);
        return;
    }
    if (routes[index].source == PREFER_UPSTREAM) stead.answer = answer_symbols_here;
    upstream_answer(rest->upstream, request, stead);
}

void rest_on_request(void *context, struct site_request *request)
{
    struct rest *rest = context;

    if (request->is_publish) {
        publish_answer(rest->engine, rest->server, request);
        return;
    }
    if (request->is_control) {
        replay_control_answer(&rest->control, request);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (strcmp(request->path, routes[i].path) != 0) continue;
        if (request->method == HTTP_POST) {
            site_fail(&request->response, 405, "this is only read: GET or HEAD");
            break;
        }
        answer_route(rest, i, request);
        return;
    }
    if (!request->response.status) site_fail(&request->response, 404, "Not Found");
    site_answer(request);
}

struct rest *rest_new(struct engine *engine, struct loop *loop, struct store *store,
                      const struct cluster *cluster, struct upstream *upstream)
{
    struct rest *rest = mem_zalloc(sizeof(*rest));

    rest->engine = engine;
    rest->cluster = cluster;
    rest->upstream = upstream;
    rest->control.engine = engine;
    rest->metrics = rest_metrics_new(engine, loop, store, cluster, upstream);
    rest->history = rest_history_new(engine, loop, store);
    rest->started_us = clock_monotonic_us();
    return rest;
}

void rest_start(struct rest *rest, struct server *server)
{
    rest->server = server;
    rest_metrics_start(rest->metrics, server);
}

void rest_stop(struct rest *rest)
{
    rest_metrics_stop(rest->metrics);
}

void rest_free(struct rest *rest)
{
    rest_history_free(rest->history);
    rest_metrics_free(rest->metrics);
    free(rest);
}
