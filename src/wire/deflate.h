/* deflate.h - the compression of permessage-deflate, RFC 7692 §7.2: one message in, one out; and of
 * HTTP's gzip.
 *
 * Every message stands alone (no context takeover), so a deflater or inflater remembers nothing
 * between calls and one of each per thread serves all its connections. About 270 KiB and 40 KiB.
 * Pure; an object belongs to one thread at a time. */
#ifndef HEATCAST_WIRE_DEFLATE_H
#define HEATCAST_WIRE_DEFLATE_H

#include <zlib.h>

#include "base/base.h"
#include "base/blob.h"
#include "base/buf.h"

/* zlib writes raw deflate with a window of 2^9 at least: asked for 2^8 it refuses. Reading is
 * always with 2^15, which takes what any smaller window wrote. */
#define DEFLATE_WINDOW_BITS_MIN 9
#define DEFLATE_WINDOW_BITS_MAX 15

struct deflater {
    z_stream stream;
};

struct inflater {
    z_stream stream;
};

/* `level` is zlib's, 0 to 9; `window_bits` from DEFLATE_WINDOW_BITS_MIN to _MAX (asserted). */
void deflater_init(struct deflater *deflater, int level, int window_bits);
void deflater_deinit(struct deflater *deflater);

/* Appends the compressed form of a message, as it stands in frames with RSV1: without the empty
 * block's 00 00 ff ff at its end. */
void deflate_message(struct deflater *deflater, const void *bytes, size_t size, struct buf *out);

/* The bytes in the gzip format (RFC 1952), for HTTP; NULL where it does not pay: below 1 KiB, or
 * not shorter. One reference, the caller's. */
struct blob *gzip_blob(const struct blob *bytes, int level) MUST_CHECK;
/* The same for bytes that mostly repeat the one before them, such as a matrix's differences: only
 * such runs are looked for. Of these it makes as little as level 6, as fast as level 1. */
struct blob *gzip_runs(const struct blob *bytes) MUST_CHECK;

void inflater_init(struct inflater *inflater);
void inflater_deinit(struct inflater *inflater);

enum inflate_result {
    INFLATE_OK,
    INFLATE_TOO_BIG,  /* more than `out_bytes_max`: stopped there */
    INFLATE_BAD_DATA, /* not deflate, or cut off */
};

/* Appends the message that compressed to `bytes`. *out is unchanged unless INFLATE_OK. Messages of
 * several blocks marked final are read as one, RFC 7692 §7.2.3.4. */
enum inflate_result inflate_message(struct inflater *inflater, const void *bytes, size_t size,
                                    size_t out_bytes_max, struct buf *out) MUST_CHECK;

#endif
