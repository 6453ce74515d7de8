/* query.h - what is percent-encoded in a target: parameters of a query
 * (application/x-www-form-urlencoded) and segments of a path.
 *
 * Knows texts, not requests. Pure; any thread may call it. */
#ifndef HEATCAST_WIRE_QUERY_H
#define HEATCAST_WIRE_QUERY_H

#include "base/base.h"
#include "base/buf.h"

enum query_result {
    QUERY_ABSENT,
    QUERY_OK,
    QUERY_BAD_ENCODING, /* a '%' without two hex digits, a NUL, or bytes that are not UTF-8 */
    QUERY_DUPLICATE,    /* given twice: which one is meant? */
};

/* Finds parameter `name` in `query` and appends its decoded value to *value when the result is
 * QUERY_OK; *value is unchanged otherwise. */
enum query_result query_get(struct str query, const char *name, struct buf *value) MUST_CHECK;

/* Appends the text that a segment of a path (RFC 3986 §3.3) stands for; there, '+' is itself.
 * False, *text unchanged, for what is QUERY_BAD_ENCODING above. */
bool query_decode_segment(struct str segment, struct buf *text) MUST_CHECK;

#endif
