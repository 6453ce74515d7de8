/* site.h - the HTTP side of a connection: files of the page, and questions for the floor above.
 *
 * A request for a file is answered on the shard's thread. Anything else becomes a site_request,
 * which travels to the main loop and back with its answer. */
#ifndef HEATCAST_SERVE_SITE_H
#define HEATCAST_SERVE_SITE_H

#include "base/address.h"
#include "base/blob.h"
#include "io/loop.h"
#include "wire/http.h"

struct conn;
struct shard;
struct shard_env;

/* What is sent back. `{0}` and a status is a valid start. */
struct site_response {
    int status;
    const char *content_type; /* static text */
    struct blob *body;        /* reference held; NULL for none, or if only `gzip` is there */
    struct blob *gzip;        /* the body compressed; reference held; NULL when it was not made */
    bool has_runs;            /* the body mostly repeats the byte before: a matrix does */
    char etag[20];            /* without quotes; "" for none */
    unsigned retry_after_s;   /* Retry-After; 0 leaves it out */
    const char *allow;        /* of a 405: static text; NULL for those that are only read */
    bool is_handshake;        /* of a refused WebSocket upgrade: says which version we speak */
};

/* What of a request decides how its answer is dressed. */
struct dress {
    bool is_head;
    bool gzip;
    struct str origin;        /* .at NULL for none; owned by one that is kept */
    struct str if_none_match; /* the same */
};

struct site_request {
    enum http_method method;         /* GET, HEAD or POST */
    char *path;                      /* owned; percent-encoded as it came */
    char *query;                     /* owned; "" for none */
    char address[ADDRESS_TEXT_SIZE]; /* the client's */
    bool is_publish;                 /* POST /publish/…, with the right token */
    bool is_control;                 /* POST /replay, by who may */
    struct str body;                 /* owned; of such ones, else empty */
    bool accepts_gzip;
    char *via; /* owned: the proxies it came by, RFC 9110 §7.6.3; NULL for none */
    struct site_response response;
    struct conn *conn; /* kept alive, though maybe closed, until the answer is back */
    struct shard *shard;
    struct task task;
};

/* Makes etag and gzip for the response's body: costs time, so the thread that made the body calls
 * it. Bodies below 1 KiB are not compressed. Any thread. */
void site_finish(struct site_response *response, bool accepts_gzip);

/* Fills a response with {"detail": message}. Any thread. */
void site_fail(struct site_response *response, int status, const char *message);

/* Of a request at hand; it lives as long as the request's bytes, or, made to keep, until
 * dress_deinit(). */
struct dress dress_of(const struct http_request *request);
struct dress dress_keep(const struct http_request *request);
void dress_deinit(struct dress *dress);

/* Sends request->response; takes the request. Main loop's thread. */
void site_answer(struct site_request *request);

/* The page's files, compressed and hashed once, for all shards. Before they start. */
void site_load_files(struct shard_env *env);
void site_free_files(struct shard_env *env);

/* On the shard: how many bytes of body are to come before site_serve(); minus a status to refuse
 * with, where the body is too long. Only POST /publish/… with the right token has one that is read,
 * and POST /replay from who may. */
int64_t site_body_size(const struct conn *conn, const struct http_request *request) MUST_CHECK;
/* On the shard: answers or forwards a parsed request, with its body if one is read. */
void site_serve(struct conn *conn, const struct http_request *request, struct str body);
/* On the shard: answers the request under way. site_give() is for bodies that may be large: it
 * counts what is not read yet, and answers 429 or 503 instead where that is too much already. */
void site_respond(struct conn *conn, const struct site_response *response,
                  const struct dress *dress);
void site_give(struct conn *conn, struct site_response *response, const struct dress *dress);
/* The same, with {"detail": message}. */
void site_deny(struct conn *conn, const struct dress *dress, int status, const char *message);
/* The head of an answer of server-sent events, which has no end of its own. */
void site_write_events_head(struct buf *head, const struct conn *conn, const struct dress *dress);
void site_response_deinit(struct site_response *response);
/* Answers what could not be parsed or is refused, and closes after it. */
void site_refuse(struct conn *conn, int status);

#endif
