#include "io/fetch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/version.h"

static_assert((int)FETCH_TROUBLE_SIZE >= CURL_ERROR_SIZE, "libcurl writes so much");

/* A kept connection is not used after this: servers close theirs after a minute or so (ours after
 * LIMIT_KEEP_ALIVE_MS), and one that closes just then costs a request. */
#define CONNECTION_IDLE_S 30L

const struct fetch_limits fetch_limits_default = {
    .at_once = LIMIT_FETCHES,
    .waiting = LIMIT_FETCHES_WAITING,
    .connect_ms = LIMIT_FETCH_CONNECT_MS,
    .total_ms = LIMIT_FETCH_MS,
    .body_bytes = LIMIT_FETCH_BYTES,
    .all_bytes = LIMIT_FETCHES_BYTES,
};

struct fetch {
    struct loop *loop;
    struct fetch_limits limits;
    CURLM *multi;
    uv_timer_t timer;             /* libcurl's one */
    struct list running, waiting; /* fetch_request.in_turn; those who wait in order of asking */
    unsigned running_count, waiting_count;
    int64_t bytes_left; /* of limits.all_bytes */
    bool is_stopped;
};

/* A socket of libcurl's. */
struct watch {
    uv_poll_t poll;
    struct fetch *fetch;
    curl_socket_t fd;
};

/* --- ends --- */

static int error_of(CURLcode result)
{
    switch (result) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return UV_ETIMEDOUT;
    case CURLE_FILESIZE_EXCEEDED:
        return ERR_FULL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return UV_ECONNREFUSED;
    default:
        return UV_EPROTO;
    }
}

static void tell(struct fetch_request *request, const char *trouble)
{
    size_t size = MIN(strlen(trouble), sizeof(request->trouble) - 1);

    memcpy(request->trouble, trouble, size);
    request->trouble[size] = '\0';
}

/* It is under way no more: tells the asker, whose memory it is then. */
static void end(struct fetch_request *request)
{
    CURL *easy = request->easy;
    struct curl_slist *lines = request->lines;

    if (request->err) buf_deinit(&request->body);
    request->fetch->bytes_left += request->taken_bytes;
    if (easy) curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    request->done(request);
    curl_easy_cleanup(easy); /* its head is read within `done` */
    curl_slist_free_all(lines);
}

static void leave(struct fetch_request *request)
{
    struct fetch *fetch = request->fetch;

    list_remove(&request->in_turn);
    fetch->running_count--;
    curl_multi_remove_handle(fetch->multi, request->easy);
}

static void finish(struct fetch_request *request, CURLcode result)
{
    long status = 0;

    leave(request);
    if (request->err == ERR_FULL) /* on_body()'s: to libcurl it only was not taken */
        tell(request, "the body is too long");
    else if (request->err)
        tell(request, "the bodies under way take all the room there is");
    else
        request->err = error_of(result);
    if (request->err && !*request->trouble) tell(request, curl_easy_strerror(result));
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    request->status = (int)status;
    end(request);
}

static void start_waiting(struct fetch *fetch);

static void finish_all(struct fetch *fetch)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(fetch->multi, &left))) {
        struct fetch_request *request = NULL;

        if (message->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        finish(request, message->data.result);
    }
    start_waiting(fetch);
}

/* --- what libcurl wants of the loop --- */

static void act(struct fetch *fetch, curl_socket_t fd, int events)
{
    int running;

    curl_multi_socket_action(fetch->multi, fd, events, &running);
    finish_all(fetch);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    const struct watch *watch = container_of(poll, struct watch, poll);
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;

    if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
    act(watch->fetch, watch->fd, flags);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct watch, poll));
}

static struct watch *watch_new(struct fetch *fetch, curl_socket_t fd)
{
    struct watch *watch = mem_zalloc(sizeof(*watch));

    watch->fetch = fetch;
    watch->fd = fd;
    if (uv_poll_init_socket(&fetch->loop->uv, &watch->poll, fd)) {
        free(watch);
        return NULL;
    }
    curl_multi_assign(fetch->multi, fd, watch);
    return watch;
}

/* libcurl's: watch `fd` for `what`, or no more. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct fetch *fetch = context;
    struct watch *watch = known;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(fetch->multi, fd, NULL);
        if (watch) uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        return 0;
    }
    if (what & CURL_POLL_IN) events |= UV_READABLE;
    if (what & CURL_POLL_OUT) events |= UV_WRITABLE;
    if (!watch) watch = watch_new(fetch, fd);
    return watch && !uv_poll_start(&watch->poll, events, on_ready) ? 0 : -1;
}

static void on_time(uv_timer_t *timer)
{
    act(container_of(timer, struct fetch, timer), CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl's: wake it after so long; -1: not at all. */
static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct fetch *fetch = context;

    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&fetch->timer);
    else
        uv_timer_start(&fetch->timer, on_time, (uint64_t)timeout_ms, 0);
    return 0;
}

static size_t on_body(char *data, size_t one, size_t count, void *context)
{
    struct fetch_request *request = context;
    struct fetch *fetch = request->fetch;
    size_t size = one * count;

    if ((int64_t)(request->body.size + size) > fetch->limits.body_bytes)
        request->err = ERR_FULL;
    else if ((int64_t)size > fetch->bytes_left)
        request->err = UV_ENOMEM;
    if (request->err) return CURL_WRITEFUNC_ERROR;
    fetch->bytes_left -= (int64_t)size;
    request->taken_bytes += (int64_t)size;
    buf_add(&request->body, data, size);
    return size;
}

/* --- asking --- */

static void set_options(CURL *easy, const struct fetch_request *request)
{
    const struct fetch_limits *limits = &request->fetch->limits;
    char agent[128];

    snprintf(agent, sizeof(agent), "heatcast/%s", heatcast_version);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, agent); /* copied */
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    if (request->target) curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, request->target);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, (struct curl_slist *)request->lines);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not the environment's either */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Else the loop would wait for a resolver's thread that took too long. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, CONNECTION_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)limits->connect_ms);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)limits->body_bytes);
}

static void set_callbacks(CURL *easy, struct fetch_request *request)
{
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, (void *)request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->trouble);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, (void *)request);
}

static void start(struct fetch_request *request)
{
    struct fetch *fetch = request->fetch;
    int64_t waited_ms = (clock_monotonic_us() - request->asked_us) / 1000;
    CURL *easy = curl_easy_init();

    if (!easy) abort(); /* out of memory */
    request->easy = easy;
    set_options(easy, request);
    set_callbacks(easy, request);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)MAX(fetch->limits.total_ms - waited_ms, 1));
    list_append(&fetch->running, &request->in_turn);
    fetch->running_count++;
    if (curl_multi_add_handle(fetch->multi, easy)) abort(); /* out of memory */
}

/* Nobody waits longer than he may: those under way were asked for before, so that their time, and
 * with it their place, is over first. */
static void start_waiting(struct fetch *fetch)
{
    while (fetch->waiting_count && fetch->running_count < fetch->limits.at_once) {
        fetch->waiting_count--;
        start(container_of(list_pop(&fetch->waiting), struct fetch_request, in_turn));
    }
}

static void *slist_of(const char *const *headers)
{
    struct curl_slist *lines = NULL;

    for (; headers && *headers; headers++) {
        lines = curl_slist_append(lines, *headers);
        if (!lines) abort(); /* out of memory */
    }
    return lines;
}

int fetch_get(struct fetch *fetch, struct fetch_request *request)
{
    if (fetch->is_stopped) return ERR_STOPPED;
    if (fetch->running_count >= fetch->limits.at_once &&
        fetch->waiting_count >= fetch->limits.waiting)
        return ERR_FULL;
    request->fetch = fetch;
    request->err = request->status = 0;
    request->trouble[0] = '\0';
    request->body = (struct buf){0};
    request->easy = NULL;
    request->lines = slist_of(request->headers);
    request->asked_us = clock_monotonic_us();
    request->taken_bytes = 0;
    list_append(&fetch->waiting, &request->in_turn);
    fetch->waiting_count++;
    start_waiting(fetch);
    return 0;
}

struct str fetch_header(const struct fetch_request *request, const char *name)
{
    struct curl_header *header;

    if (curl_easy_header(request->easy, name, 0, CURLH_HEADER, -1, &header)) return (struct str){0};
    return str_of(header->value);
}

/* --- life --- */

struct fetch *fetch_new(struct loop *loop, const struct fetch_limits *limits)
{
    struct fetch *fetch = mem_zalloc(sizeof(*fetch));

    fetch->loop = loop;
    fetch->limits = *limits;
    fetch->bytes_left = limits->all_bytes;
    list_init(&fetch->running);
    list_init(&fetch->waiting);
    uv_timer_init(&loop->uv, &fetch->timer);
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) abort(); /* out of memory */
    fetch->multi = curl_multi_init();
    if (!fetch->multi) abort();
    curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETDATA, fetch);
    curl_multi_setopt(fetch->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(fetch->multi, CURLMOPT_TIMERDATA, fetch);
    curl_multi_setopt(fetch->multi, CURLMOPT_MAXCONNECTS, (long)limits->at_once);
    return fetch;
}

static void stop_one(struct fetch_request *request)
{
    request->err = ERR_STOPPED;
    tell(request, error_text(ERR_STOPPED));
    end(request);
}

void fetch_stop(struct fetch *fetch)
{
    struct list *member;

    if (fetch->is_stopped) return;
    fetch->is_stopped = true;
    while (!list_is_empty(&fetch->running)) {
        struct fetch_request *request =
            container_of(fetch->running.next, struct fetch_request, in_turn);

        leave(request);
        stop_one(request);
    }
    while ((member = list_pop(&fetch->waiting)))
        stop_one(container_of(member, struct fetch_request, in_turn));
    curl_multi_cleanup(fetch->multi); /* closes what was kept, and with it the last watches */
    uv_close((uv_handle_t *)&fetch->timer, NULL);
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch) return;
    curl_global_cleanup();
    free(fetch);
}
