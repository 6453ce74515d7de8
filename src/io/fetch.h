/* fetch.h - asks other servers over HTTP: GET, by libcurl, on a loop of ours.
 *
 * So many are under way at once, over connections that are kept; more wait for their turn. The time
 * that one may take counts from when it was asked for. No redirect is followed, nothing is taken
 * from the environment, and a body is kept as it came: who asks for gzip is given gzip. Names are
 * resolved on libcurl's threads; all else is done on the loop's thread, to which this belongs. */
#ifndef HEATCAST_IO_FETCH_H
#define HEATCAST_IO_FETCH_H

#include "base/buf.h"
#include "base/list.h"
#include "io/loop.h"

struct fetch;

struct fetch_limits {
    unsigned at_once, waiting;
    int64_t connect_ms, total_ms;
    int64_t body_bytes; /* of one answer */
    int64_t all_bytes;  /* of the bodies under way together */
};

/* What limits.h says. */
extern const struct fetch_limits fetch_limits_default;

enum { FETCH_TROUBLE_SIZE = 256 }; /* CURL_ERROR_SIZE */

/* One question and its answer, in the caller's memory from fetch_get() until `done`. */
struct fetch_request {
    const char *url;            /* http:// or https://; borrowed */
    const char *target;         /* path and query, sent as they stand; borrowed; NULL: the url's */
    const char *const *headers; /* "Name: value" each, NULL last; read by fetch_get() only */
    /* Called once, never from within fetch_get(); may free the request. */
    void (*done)(struct fetch_request *request);

    /* For `done`. 0: an answer came, whole. Else ERR_STOPPED; UV_ETIMEDOUT; ERR_FULL: the body is
     * too long; UV_ENOMEM: no room among the bodies under way; UV_ECONNREFUSED: the server cannot
     * be reached; UV_EPROTO: what it says is no answer, or not all of it. */
    int err;
    char trouble[FETCH_TROUBLE_SIZE]; /* where err is set: why, for people; no secrets of the url */
    int status;
    struct buf body; /* the caller's from then on */

    /* fetch's own */
    struct fetch *fetch;
    struct list in_turn;
    void *easy, *lines; /* CURL, curl_slist; owned */
    int64_t asked_us;
    int64_t taken_bytes; /* of fetch_limits.all_bytes */
};

struct fetch *fetch_new(struct loop *loop, const struct fetch_limits *limits) MUST_CHECK;
/* Ends what is under way and what waits with ERR_STOPPED; part of closing the loop. */
void fetch_stop(struct fetch *fetch);
void fetch_free(struct fetch *fetch); /* after the loop has ended; NULL is fine */

/* Returns 0; or, `done` not to be called, ERR_FULL when too many wait, and ERR_STOPPED. */
int fetch_get(struct fetch *fetch, struct fetch_request *request) MUST_CHECK;

/* Within `done`: a field of the answer's head; .at NULL where there is none. */
struct str fetch_header(const struct fetch_request *request, const char *name);

#endif
