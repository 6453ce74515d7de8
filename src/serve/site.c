#include "serve/site.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "serve/assets.h"
#include "serve/client.h"
#include "serve/demand.h"
#include "serve/events.h"
#include "serve/longpoll.h"
#include "serve/shard.h"
#include "wire/origin.h"

/* zlib's level 1 halves the time of 6 on our JSON and costs a tenth in size. */
#define GZIP_LEVEL_ANSWER 1
#define GZIP_LEVEL_FILE   9

/* --- making answers --- */

static void tag(struct site_response *response)
{
    const struct blob *body = response->body;

    snprintf(response->etag, sizeof(response->etag), "%016llx",
             (unsigned long long)XXH3_64bits(body->data, body->size));
}

void site_finish(struct site_response *response, bool accepts_gzip)
{
    tag(response);
    if (!accepts_gzip) return;
    response->gzip = response->has_runs ? gzip_runs(response->body)
                                        : gzip_blob(response->body, GZIP_LEVEL_ANSWER);
}

void site_fail(struct site_response *response, int status, const char *message)
{
    struct buf body = {0};

    blob_unref(response->body);
    blob_unref(response->gzip);
    buf_add_text(&body, "{\"detail\":");
    buf_add_json(&body, str_of(message));
    buf_add_char(&body, '}');
    *response = (struct site_response){
        .status = status,
        .content_type = "application/json",
        .body = blob_take(&body),
        .retry_after_s = status == 429 || status == 503 ? LIMIT_RETRY_AFTER_S : 0};
}

void site_response_deinit(struct site_response *response)
{
    blob_unref(response->body);
    blob_unref(response->gzip);
    *response = (struct site_response){0};
}

/* --- the page's files --- */

static void load_file(struct site_response *file, const struct asset *asset)
{
    *file =
        (struct site_response){.status = 200,
                               .content_type = asset->content_type,
                               .body = blob_new(asset->start, (size_t)(asset->end - asset->start))};
    tag(file);
    file->gzip = gzip_blob(file->body, GZIP_LEVEL_FILE);
}

void site_load_files(struct shard_env *env)
{
    env->files = mem_zalloc(asset_count * sizeof(*env->files));
    for (size_t i = 0; i < asset_count; i++)
        load_file(&env->files[i], &assets[i]);
}

void site_free_files(struct shard_env *env)
{
    for (size_t i = 0; env->files && i < asset_count; i++)
        site_response_deinit(&env->files[i]);
    free(env->files);
}

static bool find_file(struct str path, size_t *index)
{
    if (str_eq(path, STR("/"))) path = STR("/index.html");
    for (size_t i = 0; i < asset_count; i++)
        if (str_eq(path, str_of(assets[i].path))) {
            *index = i;
            return true;
        }
    return false;
}

/* --web-root: for working on the page. The file is read anew for each request, on the shard's own
 * thread, which is good enough for one developer. */
static void read_file(const struct shard_env *env, const struct asset *asset,
                      struct site_response *response)
{
    char *path = mem_printf("%s/%s", env->web_root, asset->file), chunk[8192];
    FILE *file = fopen(path, "re");
    struct buf bytes = {0};
    size_t size;

    free(path);
    if (!file) {
        site_fail(response, 404, "no such file below --web-root");
        return;
    }
    while ((size = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_add(&bytes, chunk, size);
    fclose(file);
    *response = (struct site_response){
        .status = 200, .content_type = asset->content_type, .body = blob_take(&bytes)};
    tag(response);
}

/* --- heads --- */

static void write_cors(struct buf *head, const struct shard_env *env, struct str origin)
{
    bool is_any;

    if (!*env->origins) return;
    http_write_header(head, "Vary", STR("Origin"));
    if (!origin.at || !origin_is_listed(origin, env->origins, &is_any)) return;
    http_write_header(head, "Access-Control-Allow-Origin", is_any ? STR("*") : origin);
    http_write_header(head, "Access-Control-Expose-Headers", STR("ETag, Retry-After"));
}

static void write_date(struct buf *head)
{
    time_t now = time(NULL);
    char text[40];
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    http_write_header(head, "Date", str_of(text));
}

/* What a browser shows by itself may run scripts. */
static bool is_document(const char *content_type)
{
    return content_type &&
           (!strncmp(content_type, "text/html", 9) || !strncmp(content_type, "image/svg", 9));
}

static void write_security(struct buf *head, const char *content_type)
{
    http_write_header(head, "X-Content-Type-Options", STR("nosniff"));
    if (!is_document(content_type)) return;
    http_write_header(
        head, "Content-Security-Policy",
        STR("default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'"));
    http_write_header(head, "Referrer-Policy", STR("no-referrer"));
}

struct dress dress_of(const struct http_request *request)
{
    return (struct dress){.is_head = request->method == HTTP_HEAD,
                          .gzip = http_accepts_encoding(&request->headers, "gzip"),
                          .origin = http_header(&request->headers, "Origin"),
                          .if_none_match = http_header(&request->headers, "If-None-Match")};
}

static struct str copy_of(struct str text)
{
    return text.at ? (struct str){mem_strndup(text.at, text.size), text.size} : text;
}

struct dress dress_keep(const struct http_request *request)
{
    struct dress dress = dress_of(request);

    dress.origin = copy_of(dress.origin);
    dress.if_none_match = copy_of(dress.if_none_match);
    return dress;
}

void dress_deinit(struct dress *dress)
{
    free((char *)dress->origin.at);
    free((char *)dress->if_none_match.at);
}

static void write_connection(struct buf *head, const struct conn *c, int status)
{
    if (status == 426) { /* RFC 9110 §15.5.22, §7.8 */
        http_write_header(head, "Upgrade", STR("websocket"));
        http_write_header(head, "Connection", STR("Upgrade, close"));
    } else if (c->close_after)
        http_write_header(head, "Connection", STR("close"));
}

static void write_head(struct buf *head, const struct conn *c, const struct site_response *response,
                       const struct dress *dress, const struct blob *body, bool is_unchanged)
{
    char etag[32];

    http_write_status(head, is_unchanged ? 304 : response->status);
    write_date(head);
    if (body && !is_unchanged) {
        http_write_header(head, "Content-Type", str_of(response->content_type));
        if (body == response->gzip) http_write_header(head, "Content-Encoding", STR("gzip"));
    }
    if (!is_unchanged && response->status != 204)
        http_write_header_int(head, "Content-Length", body ? (int64_t)body->size : 0);
    if (response->etag[0]) {
        snprintf(etag, sizeof(etag), "W/\"%s\"", response->etag);
        http_write_header(head, "ETag", str_of(etag));
        http_write_header(head, "Cache-Control", STR("no-cache"));
        http_write_header(head, "Vary", STR("Accept-Encoding"));
    } else
        http_write_header(head, "Cache-Control", STR("no-store"));
    if (response->retry_after_s)
        http_write_header_int(head, "Retry-After", response->retry_after_s);
    if (response->status == 405)
        http_write_header(head, "Allow",
                          str_of(response->allow ? response->allow : "GET, HEAD, OPTIONS"));
    if (response->status == 401) http_write_header(head, "WWW-Authenticate", STR("Bearer"));
    /* RFC 6455 §4.4 */
    if (response->is_handshake) http_write_header(head, "Sec-WebSocket-Version", STR("13"));
    write_cors(head, c->shard->env, dress->origin);
    write_security(head, response->content_type);
    write_connection(head, c, response->status);
    http_write_end(head);
}

void site_write_events_head(struct buf *head, const struct conn *c, const struct dress *dress)
{
    http_write_status(head, 200);
    write_date(head);
    http_write_header(head, "Content-Type", STR("text/event-stream"));
    http_write_header(head, "Cache-Control", STR("no-store"));
    http_write_header(head, "X-Accel-Buffering", STR("no")); /* nginx: pass it on as it comes */
    write_cors(head, c->shard->env, dress->origin);
    write_security(head, NULL);
    write_connection(head, c, 200);
    http_write_end(head);
}

static struct blob *body_of(const struct site_response *response, const struct dress *dress)
{
    return dress->gzip && response->gzip ? response->gzip : response->body;
}

/* RFC 9110 §13.1.2: weak comparison, so W/ makes no difference. */
static bool etag_matches(struct str wanted, const char *etag)
{
    char quoted[32];
    struct str needle;

    if (!wanted.at || !etag[0]) return false;
    if (str_eq(wanted, STR("*"))) return true;
    snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
    needle = str_of(quoted);
    return memmem(wanted.at, wanted.size, needle.at, needle.size) != NULL;
}

void site_respond(struct conn *c, const struct site_response *response, const struct dress *dress)
{
    struct blob *body = body_of(response, dress);
    bool is_unchanged =
        response->status == 200 && etag_matches(dress->if_none_match, response->etag);
    struct buf head = {0};

    stats_add(&c->shard->stats, STAT_http_requests, 1);
    if (response->status >= 400) stats_add(&c->shard->stats, STAT_http_errors, 1);
    write_head(&head, c, response, dress, body, is_unchanged);
    conn_reply(c, blob_take(&head));
    if (body && body->size && !dress->is_head && !is_unchanged) conn_reply(c, blob_ref(body));
    conn_answered(c);
}

/* A large answer that would be one too many unread is not given out. */
void site_give(struct conn *c, struct site_response *response, const struct dress *dress)
{
    const struct blob *body = body_of(response, dress);
    int status = body ? conn_owe(c, body->size) : 0;

    if (status)
        site_fail(response, status,
                  "too many large answers are waiting to be read; try again later");
    site_respond(c, response, dress);
}

/* --- refusals --- */

void site_refuse(struct conn *c, int status)
{
    struct site_response response = {0};
    struct dress dress = {0};
    const char *message = http_reason(status);

    if (status == 431)
        message = "request head is longer than " TEXT_OF(
            HTTP_HEAD_BYTES_MAX) " bytes or has more than " TEXT_OF(HTTP_HEADERS_MAX) " fields";
    if (status == 503) message = "too many connections; try again later";
    if (status == 408)
        message = "no complete request came within " TEXT_OF(LIMIT_REQUEST_HEAD_MS) " ms";
    if (status == 413) message = "the body is longer than " TEXT_OF(LIMIT_PUBLISH_BYTES) " bytes";
    if (status == 400) message = "not a well-formed HTTP/1.1 request";
    c->close_after = c->is_answering = true;
    site_fail(&response, status, message);
    site_respond(c, &response, &dress);
    site_response_deinit(&response);
    conn_close(c, WS_CLOSE_NORMAL, STR(""));
}

void site_deny(struct conn *c, const struct dress *dress, int status, const char *message)
{
    struct site_response response = {0};

    site_fail(&response, status, message);
    site_respond(c, &response, dress);
    site_response_deinit(&response);
}

static void fail(struct conn *c, const struct http_request *request, int status,
                 const char *message)
{
    struct dress dress = dress_of(request);

    site_deny(c, &dress, status, message);
}

/* --- routes --- */

static bool is_publish(const struct http_request *request)
{
    const struct str prefix = STR("/publish/");

    return request->path.size > prefix.size &&
           str_eq((struct str){request->path.at, prefix.size}, prefix);
}

static bool is_control(const struct http_request *request)
{
    return str_eq(request->path, STR("/replay"));
}

static void serve_file(struct conn *c, const struct http_request *request, size_t index)
{
    const struct shard_env *env = c->shard->env;
    struct dress dress = dress_of(request);
    struct site_response fresh = {0};
    const struct site_response *response = &env->files[index];

    if (request->method == HTTP_POST) {
        fail(c, request, 405, "this page is only read: GET or HEAD");
        return;
    }
    if (*env->web_root) {
        read_file(env, &assets[index], &fresh);
        response = &fresh;
    }
    site_respond(c, response, &dress);
    site_response_deinit(&fresh);
}

/* CORS preflight (Fetch §3.2), and a plain OPTIONS. A page of another origin may not publish. */
static void serve_options(struct conn *c, const struct http_request *request)
{
    const struct shard_env *env = c->shard->env;
    struct str origin = http_header(&request->headers, "Origin");
    bool is_written = (is_publish(request) && *env->publish_token) ||
                      (is_control(request) && !env->ops.replay_closed);
    bool is_any;
    struct buf head = {0};

    stats_add(&c->shard->stats, STAT_http_requests, 1);
    http_write_status(&head, 204);
    write_date(&head);
    http_write_header(&head, "Allow",
                      is_written ? STR("POST, OPTIONS") : STR("GET, HEAD, OPTIONS"));
    write_cors(&head, env, origin);
    if (origin.at && origin_is_listed(origin, env->origins, &is_any)) {
        http_write_header(&head, "Access-Control-Allow-Methods", STR("GET, HEAD, OPTIONS"));
        http_write_header(&head, "Access-Control-Allow-Headers",
                          STR("If-None-Match, Last-Event-ID, Content-Type"));
        http_write_header(&head, "Access-Control-Max-Age", STR("600"));
    }
    if (c->close_after) http_write_header(&head, "Connection", STR("close"));
    http_write_end(&head);
    conn_reply(c, blob_take(&head));
    conn_answered(c);
}

static void refuse_handshake(struct conn *c, const struct http_request *request, int status)
{
    struct site_response response = {0};
    struct dress dress = dress_of(request);

    site_fail(&response, status,
              status == 426   ? "this is a WebSocket: Upgrade: websocket, Sec-WebSocket-Version: 13"
              : status == 405 ? "a WebSocket is opened with GET"
                              : "not a WebSocket handshake of RFC 6455");
    response.is_handshake = true;
    c->close_after = true;
    site_respond(c, &response, &dress);
    site_response_deinit(&response);
}

/* A server that drains gives nobody a new stream: another one, or it when it is back, will. */
static bool refuse_while_draining(struct conn *c, const struct http_request *request)
{
    if (!atomic_load_explicit(&c->shard->env->is_draining, memory_order_relaxed)) return false;
    c->close_after = true;
    fail(c, request, 503, "the server is about to stop; try again");
    return true;
}

static void serve_websocket(struct conn *c, const struct http_request *request)
{
    const struct shard_env *env = c->shard->env;
    struct str origin = http_header(&request->headers, "Origin");
    struct handshake handshake;
    bool is_any;
    int err;

    if (!env->ws_enabled) {
        fail(c, request, 404, "WebSocket is switched off on this server (WS_ENABLED)");
        return;
    }
    if (*env->origins && origin.at && !origin_is_listed(origin, env->origins, &is_any)) {
        fail(c, request, 403, "this Origin is not one of CORS_ALLOWED_ORIGINS");
        return;
    }
    if (refuse_while_draining(c, request)) return;
    err = handshake_check(request, true, &handshake);
    if (!err) {
        conn_open(c, &handshake);
        return;
    }
    refuse_handshake(c, request, -err);
}

static void serve_events(struct conn *c, const struct http_request *request)
{
    if (!refuse_while_draining(c, request)) events_serve(c, request);
}

static void serve_longpoll(struct conn *c, const struct http_request *request)
{
    if (!refuse_while_draining(c, request)) longpoll_serve(c, request);
}

/* --- questions for the floor above --- */

/* Rides along with the request: what the answer's head needs. */
struct journey {
    struct site_request request;
    struct dress dress; /* kept */
};

static void journey_free(struct journey *j)
{
    site_response_deinit(&j->request.response);
    free(j->request.path);
    free(j->request.query);
    free(j->request.via);
    free((char *)j->request.body.at);
    dress_deinit(&j->dress);
    free(j);
}

static void run_request(struct task *task)
{
    struct site_request *request = container_of(task, struct site_request, task);
    const struct server_ops *ops = &request->shard->env->ops;

    ops->on_request(ops->context, request);
}

static void count_publish(const struct conn *c, int status)
{
    stats_add(&c->shard->stats, status < 400 ? STAT_publishes_accepted : STAT_publishes_refused, 1);
}

/* Back on the shard. The connection may have gone meanwhile; its memory has not. */
static void run_answer(struct task *task)
{
    struct site_request *request = container_of(task, struct site_request, task);
    struct journey *j = container_of(request, struct journey, request);
    struct conn *c = request->conn;

    if (request->is_publish) count_publish(c, request->response.status);
    if (c->state == CONN_HTTP) site_give(c, &request->response, &j->dress);
    conn_unref(c);
    journey_free(j);
}

void site_answer(struct site_request *request)
{
    struct journey *j = container_of(request, struct journey, request);

    request->task.run = run_answer;
    if (loop_post(&request->shard->loop, &request->task)) return;
    conn_unref(request->conn); /* the shard has ended: nobody else touches it */
    journey_free(j);
}

static char *via_of(const struct http_request *request)
{
    struct http_elements proxies = http_elements_of(&request->headers, "Via");
    struct buf list = {0};
    struct str proxy;

    while (http_next_element(&proxies, &proxy)) {
        if (list.size) buf_add_text(&list, ", ");
        buf_add(&list, proxy.at, proxy.size);
    }
    if (!list.size) return NULL;
    buf_add_char(&list, '\0');
    return list.data;
}

static void forward(struct conn *c, const struct http_request *request, struct str body)
{
    struct journey *j = mem_zalloc(sizeof(*j));

    j->request.method = request->method;
    j->request.is_publish = request->method == HTTP_POST && is_publish(request);
    j->request.is_control = request->method == HTTP_POST && is_control(request);
    j->request.path = mem_strndup(request->path.at, request->path.size);
    j->request.query =
        request->query.size ? mem_strndup(request->query.at, request->query.size) : mem_strdup("");
    j->request.accepts_gzip = http_accepts_encoding(&request->headers, "gzip");
    j->request.via = via_of(request);
    address_format(&c->address, j->request.address);
    if (body.size) j->request.body = copy_of(body);
    j->dress = dress_keep(request);
    j->request.conn = c;
    j->request.shard = c->shard;
    j->request.task.run = run_request;
    c->refs++;
    if (loop_post(c->shard->env->main_loop, &j->request.task)) return;
    c->refs--;
    journey_free(j);
    fail(c, request, 503, "the server is stopping");
}

/* --- the door for publishing --- */

/* Takes as long whatever the token is. */
static bool has_token(const struct shard_env *env, const struct http_request *request)
{
    const struct str scheme = STR("Bearer ");
    struct str given = http_header(&request->headers, "Authorization");
    struct str wanted = str_of(env->publish_token);

    if (given.size != scheme.size + wanted.size ||
        !str_eq_nocase((struct str){given.at, scheme.size}, scheme))
        return false;
    return CRYPTO_memcmp(given.at + scheme.size, wanted.at, wanted.size) == 0;
}

static bool may_publish(const struct conn *c, const struct http_request *request)
{
    const struct shard_env *env = c->shard->env;

    return *env->publish_token && request->method == HTTP_POST && is_publish(request) &&
           has_token(env, request);
}

/* --- the door for moving a replay --- */

/* Pages of other sites must not use who looks at them: theirs are the foreign origins, and the
 * forms that send without asking first (CORS), whose types are not JSON's. */
static bool is_foreign(const struct shard_env *env, const struct http_request *request)
{
    struct str origin = http_header(&request->headers, "Origin");
    struct str host = http_header(&request->headers, "Host");
    bool is_any;

    if (!origin.at || origin_is_own(origin, host, str_of(env->listen_host))) return false;
    return !origin_is_listed(origin, env->origins, &is_any) || is_any;
}

static bool is_json(const struct http_request *request)
{
    struct str type = http_header(&request->headers, "Content-Type");

    return type.at && str_eq_nocase(str_trim(str_split(&type, ';')), STR("application/json"));
}

/* The status to refuse with, and why; 0 for who may. */
static int refusal_of_control(const struct shard_env *env, const struct http_request *request,
                              const char **why)
{
    *why = env->ops.replay_closed;
    if (*why) return 404;
    if (request->method != HTTP_POST) return 405;
    *why = "pages of this Origin may not control the replay (CORS_ALLOWED_ORIGINS)";
    if (is_foreign(env, request)) return 403;
    *why = "the Content-Type must be application/json";
    if (!is_json(request)) return 415;
    *why = "the body is longer than " TEXT_OF(LIMIT_REPLAY_BYTES) " bytes";
    return request->content_length > LIMIT_REPLAY_BYTES ? 413 : 0;
}

int64_t site_body_size(const struct conn *c, const struct http_request *request)
{
    const char *why;

    if (is_control(request))
        return refusal_of_control(c->shard->env, request, &why) ? 0
                                                                : (int64_t)request->content_length;
    if (!may_publish(c, request)) return 0;
    if (request->content_length <= LIMIT_PUBLISH_BYTES) return (int64_t)request->content_length;
    count_publish(c, 413);
    return -413;
}

static void fail_method(struct conn *c, const struct http_request *request)
{
    struct site_response response = {0};
    struct dress dress = dress_of(request);

    site_fail(&response, 405, "this is only written: POST");
    response.allow = "POST, OPTIONS";
    site_respond(c, &response, &dress);
    site_response_deinit(&response);
}

/* Without a token the door does not exist: what is asked for is as unknown as any other path. */
static void serve_publish(struct conn *c, const struct http_request *request, struct str body)
{
    if (!*c->shard->env->publish_token)
        fail(c, request, 404, http_reason(404));
    else if (request->method != HTTP_POST)
        fail_method(c, request);
    else if (!may_publish(c, request)) {
        count_publish(c, 401);
        fail(c, request, 401, "Authorization: Bearer with the server's token is missing or wrong");
    } else
        forward(c, request, body);
}

static void serve_control(struct conn *c, const struct http_request *request, struct str body)
{
    const char *why;
    int status = refusal_of_control(c->shard->env, request, &why);

    if (status == 405)
        fail_method(c, request);
    else if (status)
        fail(c, request, status, why);
    else
        forward(c, request, body);
}

void site_serve(struct conn *c, const struct http_request *request, struct str body)
{
    size_t index;

    if (request->method == HTTP_OPTIONS)
        serve_options(c, request);
    else if (str_eq(request->path, STR("/ws/heatmap")))
        serve_websocket(c, request);
    else if (find_file(request->path, &index))
        serve_file(c, request, index);
    else if (is_publish(request))
        serve_publish(c, request, body);
    else if (is_control(request))
        serve_control(c, request, body);
    else if (str_eq(request->path, STR("/sse/heatmap")))
        serve_events(c, request);
    else if (str_eq(request->path, STR("/heatmap/latest")) && request->method != HTTP_POST &&
             demand_is_poll(request->query))
        serve_longpoll(c, request);
    else
        forward(c, request, (struct str){0});
}
