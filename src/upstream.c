#include "upstream.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "io/fetch.h"
#include "upstream_url.h"

/* A full node's Retry-After is passed on up to this. */
#define RETRY_AFTER_S_MAX 999999

struct upstream {
    struct fetch *fetch; /* NULL: there is no upstream */
    struct upstream_url url;
    char name[32]; /* this process's, in Via fields */
    struct list flights;
    bool is_failing; /* the last fetch did; the log was told */
    struct stats stats;
};

/* One fetch, and all who wait for its answer. */
struct flight {
    struct fetch_request fetch;
    struct upstream *upstream;
    struct list in_flights;
    char *target; /* owned: path and query at the full node */
    char *via;    /* owned: the askers'; "" for none */
    bool is_gzip; /* the askers take gzip, all or none */
    struct upstream_stead stead;
    char address[ADDRESS_TEXT_SIZE]; /* of who asked first */
    struct site_request **waiters;   /* owned array of requests that are ours to answer */
    size_t waiter_count, waiter_capacity;
};

/* --- what comes back --- */

static void fail_response(const struct upstream *upstream, struct site_response *response,
                          int status, const char *what)
{
    char *message = mem_printf("the full node at %s %s", upstream->url.place, what);

    site_fail(response, status, message);
    free(message);
}

static void fail_fetch(const struct flight *flight, struct site_response *response)
{
    const struct upstream *upstream = flight->upstream;

    switch (flight->fetch.err) {
    case ERR_STOPPED:
        site_fail(response, 503, "the server is stopping");
        break;
    case UV_ENOMEM:
        site_fail(response, 503,
                  "the answers that are being fetched take all the memory there is for them; try "
                  "again later");
        break;
    case UV_ETIMEDOUT:
        fail_response(upstream, response, 504, "did not answer in time");
        break;
    case ERR_FULL:
        fail_response(upstream, response, 502, "has a longer answer than is passed on");
        break;
    case UV_ECONNREFUSED:
        fail_response(upstream, response, 502, "cannot be reached");
        break;
    default:
        fail_response(upstream, response, 502, "gave no proper answer");
    }
}

/* Ours, static, for what the full node calls its answer; NULL for what no full node sends. */
static const char *type_of(struct str type)
{
    static const char *const known[] = {"application/json", "application/octet-stream"};
    struct str name = str_trim(str_split(&type, ';'));

    for (size_t i = 0; name.at && i < ARRAY_LEN(known); i++)
        if (str_eq_nocase(name, str_of(known[i]))) return known[i];
    return NULL;
}

/* What a full node, or another edge before it, may say. */
static bool is_passed_on(int status)
{
    static const int known[] = {200, 400, 404, 422, 429, 500, 502, 503, 504, 508};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i] == status) return true;
    return false;
}

/* W/"0123456789abcdef": the full node's, so that it is the same whichever edge is asked. */
static void take_etag(struct site_response *response, struct str etag)
{
    if (etag.size > 2 && memcmp(etag.at, "W/", 2) == 0) etag = str_skip(etag, 2);
    if (etag.size < 3 || etag.at[0] != '"' || etag.at[etag.size - 1] != '"') return;
    etag = (struct str){etag.at + 1, etag.size - 2};
    if (etag.size >= sizeof(response->etag)) return;
    for (size_t i = 0; i < etag.size; i++)
        if (!isalnum((unsigned char)etag.at[i])) return;
    memcpy(response->etag, etag.at, etag.size);
}

/* 0 for what is no number of seconds: a date, say. */
static unsigned seconds_of(struct str text)
{
    uint64_t seconds;

    return str_number(text, RETRY_AFTER_S_MAX, &seconds) ? (unsigned)seconds : 0;
}

/* Compressed bytes stay so: nobody's time is spent on inflating and deflating what all askers take
 * as it is. */
static bool take_body(struct flight *flight, struct site_response *response)
{
    struct str coding = fetch_header(&flight->fetch, "Content-Encoding");
    bool is_gzip = str_eq_nocase(coding, STR("gzip"));

    if (coding.size && (!is_gzip || !flight->is_gzip)) return false;
    if (is_gzip)
        response->gzip = blob_take(&flight->fetch.body);
    else
        response->body = blob_take(&flight->fetch.body);
    return true;
}

static struct site_response read_answer(struct flight *flight)
{
    const struct fetch_request *fetch = &flight->fetch;
    struct site_response response = {.status = fetch->status};
    char what[64];

    if (fetch->err) {
        fail_fetch(flight, &response);
        return response;
    }
    response.content_type = type_of(fetch_header(fetch, "Content-Type"));
    snprintf(what, sizeof(what), "gave an answer that is not passed on (%d)", fetch->status);
    if (!is_passed_on(fetch->status) || !response.content_type || !take_body(flight, &response)) {
        fail_response(flight->upstream, &response, 502, what);
        return response;
    }
    take_etag(&response, fetch_header(fetch, "ETag"));
    response.retry_after_s = seconds_of(fetch_header(fetch, "Retry-After"));
    return response;
}

/* --- flights --- */

static enum counter outcome(const struct flight *flight, const struct site_response *response)
{
    if (flight->fetch.err == UV_ETIMEDOUT) return STAT_upstream_fetches_timed_out;
    if (flight->fetch.err || response->status != flight->fetch.status)
        return STAT_upstream_fetches_failed;
    return response->status < 400 ? STAT_upstream_fetches_answered : STAT_upstream_fetches_refused;
}

/* Once when it begins and once when it ends: a full node that is away is away for all who ask. */
static void log_change(struct flight *flight, bool is_failing)
{
    struct upstream *upstream = flight->upstream;
    const char *trouble =
        *flight->fetch.trouble ? flight->fetch.trouble : "not a full node's answer";

    if (upstream->is_failing == is_failing) return;
    upstream->is_failing = is_failing;
    if (is_failing)
        log_warning("full node fails", F_STR("upstream", upstream->url.place),
                    F_INT("status", flight->fetch.status), F_STR("error", trouble));
    else
        log_info("full node answers", F_STR("upstream", upstream->url.place));
}

/* Returns whether the full node has failed. */
static bool count(struct flight *flight, const struct site_response *response)
{
    struct stats *stats = &flight->upstream->stats;
    enum counter stat = outcome(flight, response);
    bool is_failing =
        stat == STAT_upstream_fetches_timed_out || stat == STAT_upstream_fetches_failed;

    stats_add(stats, stat, 1);
    stats_observe(stats, HIST_upstream_fetch, clock_monotonic_us() - flight->fetch.asked_us);
    log_change(flight, is_failing);
    return is_failing;
}

static struct site_response share(const struct site_response *response)
{
    struct site_response copy = *response;

    if (copy.body) blob_ref(copy.body);
    if (copy.gzip) blob_ref(copy.gzip);
    return copy;
}

static void flight_free(struct flight *flight)
{
    free(flight->target);
    free(flight->via);
    free(flight->waiters);
    free(flight);
}

static void on_done(struct fetch_request *fetch)
{
    struct flight *flight = container_of(fetch, struct flight, fetch);
    struct site_response response = read_answer(flight);
    bool has_failed = fetch->err != ERR_STOPPED && count(flight, &response);

    list_remove(&flight->in_flights);
    for (size_t i = 0; i < flight->waiter_count; i++) {
        struct site_request *request = flight->waiters[i];

        if (has_failed && flight->stead.answer) {
            flight->stead.answer(flight->stead.context, request);
            continue;
        }
        request->response = share(&response);
        site_answer(request);
    }
    site_response_deinit(&response);
    buf_deinit(&fetch->body);
    flight_free(flight);
}

static void join(struct flight *flight, struct site_request *request)
{
    if (flight->waiter_count == flight->waiter_capacity) {
        flight->waiter_capacity = MAX(flight->waiter_capacity * 2, 4);
        flight->waiters =
            mem_realloc(flight->waiters, flight->waiter_capacity * sizeof(struct site_request *));
    }
    flight->waiters[flight->waiter_count++] = request;
}

static char *target_of(const struct upstream *upstream, const struct site_request *request)
{
    return mem_printf("%s%s%s%s", upstream->url.prefix, request->path, *request->query ? "?" : "",
                      request->query);
}

static const char *via_of(const struct site_request *request)
{
    return request->via ? request->via : "";
}

/* The one under way that asks the same. Who came by other proxies asks something else: two edges
 * that ask each other would wait for each other's fetch. */
static struct flight *find_flight(const struct upstream *upstream, const char *target,
                                  const struct site_request *request)
{
    LIST_FOR_EACH (member, after, &upstream->flights) {
        struct flight *flight = container_of(member, struct flight, in_flights);

        if (flight->is_gzip == request->accepts_gzip && strcmp(flight->target, target) == 0 &&
            strcmp(flight->via, via_of(request)) == 0)
            return flight;
    }
    return NULL;
}

static unsigned flights_of(const struct upstream *upstream, const char *address)
{
    unsigned count = 0;

    LIST_FOR_EACH (member, after, &upstream->flights) {
        const struct flight *flight = container_of(member, struct flight, in_flights);

        count += strcmp(flight->address, address) == 0;
    }
    return count;
}

/* Takes the target. */
static struct flight *flight_new(struct upstream *upstream, char *target,
                                 const struct site_request *request, struct upstream_stead stead)
{
    struct flight *flight = mem_zalloc(sizeof(*flight));

    flight->upstream = upstream;
    flight->target = target;
    flight->via = mem_strdup(via_of(request));
    flight->is_gzip = request->accepts_gzip;
    flight->stead = stead;
    strcpy(flight->address, request->address);
    return flight;
}

static int begin(struct flight *flight)
{
    struct upstream *upstream = flight->upstream;
    /* RFC 9110 §7.6.3: the protocol it came by, and a name for who received it. */
    char *via =
        mem_printf("Via: %s%s1.1 %s", flight->via, *flight->via ? ", " : "", upstream->name);
    const char *headers[] = {
        "Accept: */*", flight->is_gzip ? "Accept-Encoding: gzip" : "Accept-Encoding: identity", via,
        NULL};
    int err;

    flight->fetch = (struct fetch_request){
        .url = upstream->url.base, .target = flight->target, .headers = headers, .done = on_done};
    err = fetch_get(upstream->fetch, &flight->fetch);
    free(via);
    if (!err) list_append(&upstream->flights, &flight->in_flights);
    return err;
}

static void refuse(struct upstream *upstream, struct site_request *request, int status,
                   const char *why)
{
    stats_add(&upstream->stats, STAT_upstream_requests_refused, 1);
    site_fail(&request->response, status, why);
    site_answer(request);
}

/* Takes the target. */
static void start(struct upstream *upstream, char *target, struct site_request *request,
                  struct upstream_stead stead)
{
    struct flight *flight = flight_new(upstream, target, request, stead);
    int err = begin(flight);

    if (!err) {
        stats_add(&upstream->stats, STAT_upstream_requests_fetched, 1);
        join(flight, request);
        return;
    }
    flight_free(flight);
    refuse(upstream, request, 503,
           err == ERR_STOPPED ? "the server is stopping"
                              : "the server is busy with other requests; try again later");
}

static size_t proxies_in(const char *via)
{
    size_t count = *via != '\0';

    for (; *via; via++)
        count += *via == ',';
    return count;
}

/* An edge whose full node is itself, or an edge that asks it. */
static bool goes_round(const struct upstream *upstream, const char *via)
{
    return strstr(via, upstream->name) || strlen(via) > LIMIT_VIA_BYTES ||
           proxies_in(via) > LIMIT_PROXIES;
}

static void ask(struct upstream *upstream, struct site_request *request,
                struct upstream_stead stead)
{
    char *target = target_of(upstream, request);
    struct flight *flight = find_flight(upstream, target, request);

    if (!flight && flights_of(upstream, request->address) < LIMIT_REQUESTS_PER_ADDRESS) {
        start(upstream, target, request, stead);
        return;
    }
    free(target);
    if (!flight) {
        refuse(upstream, request, 429, "too many requests of this address are being answered");
        return;
    }
    stats_add(&upstream->stats, STAT_upstream_requests_shared, 1);
    join(flight, request);
}

void upstream_answer(struct upstream *upstream, struct site_request *request,
                     struct upstream_stead stead)
{
    if (!upstream->fetch && stead.answer)
        stead.answer(stead.context, request);
    else if (!upstream->fetch)
        refuse(upstream, request, 503,
               "this is an edge without history: start it with --upstream, a full node's URL");
    else if (goes_round(upstream, via_of(request)))
        refuse(upstream, request, 508,
               "the request goes round: --upstream must lead to a full node");
    else
        ask(upstream, request, stead);
}

/* --- life --- */

static void take_name(struct upstream *upstream)
{
    uint64_t number;

    if (uv_random(NULL, NULL, &number, sizeof(number), 0, NULL)) abort();
    snprintf(upstream->name, sizeof(upstream->name), "heatcast-%016llx",
             (unsigned long long)number);
}

bool upstream_is_url(const char *text)
{
    struct upstream_url url = {0};
    bool is = !*text || !upstream_url_parse(text, &url);

    upstream_url_deinit(&url);
    return is;
}

struct upstream *upstream_new(const char *url, struct loop *loop)
{
    struct upstream *upstream = mem_alloc_aligned(sizeof(*upstream), _Alignof(struct upstream));

    memset(upstream, 0, sizeof(*upstream));
    list_init(&upstream->flights);
    take_name(upstream);
    if (!*url) return upstream;
    if (upstream_url_parse(url, &upstream->url)) abort(); /* upstream_is_url() said it is one */
    upstream->fetch = fetch_new(loop, &fetch_limits_default);
    return upstream;
}

void upstream_stop(struct upstream *upstream)
{
    if (upstream && upstream->fetch) fetch_stop(upstream->fetch);
}

void upstream_free(struct upstream *upstream)
{
    if (!upstream) return;
    fetch_free(upstream->fetch);
    upstream_url_deinit(&upstream->url);
    free(upstream);
}

void upstream_stats(const struct upstream *upstream, struct stats_sum *into)
{
    stats_merge(into, &upstream->stats);
}
