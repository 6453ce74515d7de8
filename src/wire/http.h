/* http.h - just enough HTTP/1.1: message heads in, message heads out; RFC 9110 and RFC 9112.
 *
 * Knows bytes, never sockets: what it parses stays in the caller's memory, and every struct str of
 * a result points there, or to a constant. Bodies are the caller's business. Pure; any thread may
 * call it. */
#ifndef HEATCAST_WIRE_HTTP_H
#define HEATCAST_WIRE_HTTP_H

#include "base/base.h"
#include "base/buf.h"

/* One head: request line and fields. A browser's is 1 or 2 KiB with cookies; 8 KiB is what most
 * servers allow, and what an unauthenticated peer can make us hold. */
#define HTTP_HEAD_BYTES_MAX 8192
/* Fields of one head; a browser sends about 20. */
#define HTTP_HEADERS_MAX 64

struct http_header {
    struct str name;  /* a token, as sent */
    struct str value; /* without the white space around it; may be empty */
};

struct http_headers {
    uint32_t count;
    struct http_header items[HTTP_HEADERS_MAX];
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OPTIONS };

struct http_request {
    enum http_method method;
    int minor_version;       /* 0 or 1; what comes after HTTP/1.1 is treated as 1 */
    bool keep_alive;         /* the peer would send another request after this one */
    uint64_t content_length; /* bytes of body that follow the head */
    struct str target;       /* as sent: a path, a whole URI, or "*" for OPTIONS */
    struct str path;         /* from the first '/' up to '?', still percent-encoded; or "*" */
    struct str query;        /* after '?', still percent-encoded; empty when there is none */
    struct http_headers headers;
};

struct http_response {
    int status;
    int minor_version;
    struct http_headers headers;
};

/* Parses the request head at the beginning of `bytes`. To be called again, from the beginning,
 * when more bytes came. Returns
 *     > 0   the size of the head; *out is filled
 *       0   the head is not complete yet
 *     < 0   minus the status to answer before closing, found as early as the bytes allow:
 *           400  not HTTP, or HTTP that two servers might read differently
 *           405  a method of RFC 9110 §9.3 or RFC 5789 that nothing here answers (PUT, ...)
 *           411  chunked body: a length is required, RFC 9112 §6.3
 *           413  a Content-Length beyond 64 bits
 *           414  the request line alone is beyond HTTP_HEAD_BYTES_MAX
 *           431  the head is beyond HTTP_HEAD_BYTES_MAX or HTTP_HEADERS_MAX
 *           501  a method that nobody registered, or a transfer coding
 *           505  not HTTP/1
 * *out is untouched unless the head is complete. */
int http_parse_head(const uint8_t *bytes, size_t size, struct http_request *out) MUST_CHECK;

/* The same for a response, which is what our own client reads. Returns the head's size, 0, or
 * ERR_SYNTAX / ERR_FULL. */
int http_parse_response(const uint8_t *bytes, size_t size, struct http_response *out) MUST_CHECK;

/* The value of the first field called `name`, in any case; `at` is NULL where there is none. */
struct str http_header(const struct http_headers *headers, const char *name);
uint32_t http_header_count(const struct http_headers *headers, const char *name);

/* The elements of the comma-separated list that all fields called `name` make together, one after
 * the other; empty ones do not count. RFC 9110 §5.3, §5.6.1. */
struct http_elements {
    const struct http_headers *headers;
    const char *name;
    uint32_t next;   /* field to look at when `rest` is used up */
    struct str rest; /* of the field looked at */
};

struct http_elements http_elements_of(const struct http_headers *headers, const char *name);
bool http_next_element(struct http_elements *elements, struct str *element) MUST_CHECK;

/* Is `token`, in any case, one of them? */
bool http_header_has_token(const struct http_headers *headers, const char *name, const char *token);

/* May the answer be in content coding `coding`? RFC 9110 §12.5.3: listed, or "*", and not q=0. */
bool http_accepts_encoding(const struct http_headers *headers, const char *coding);

/* How many bytes of token (RFC 9110 §5.6.2) `text` begins with. */
size_t http_token_size(struct str text);

/* "Not Found" for 404; an empty text for a status that is not ours. */
const char *http_reason(int status);

/* A response head, piece by piece: the status line, fields, and the empty line that ends it.
 * Names and values must be free of CR, LF and NUL (asserted): what is echoed from a request was
 * parsed by http_parse_head(), which lets none through. */
void http_write_status(struct buf *out, int status);
void http_write_header(struct buf *out, const char *name, struct str value);
void http_write_header_int(struct buf *out, const char *name, int64_t value);
void http_write_end(struct buf *out);

#endif
