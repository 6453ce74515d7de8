#include "wire/deflate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Below this gzip saves less than its work and its header cost. */
#define GZIP_BYTES_MIN 1024
/* Added to the window's bits it makes zlib write gzip's header and trailer. */
#define GZIP_HEADER 16

/* RFC 7692 §7.2.1: the end of a sync flush, which is not sent. */
static const uint8_t flush_tail[4] = {0x00, 0x00, 0xff, 0xff};

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return mem_zalloc((size_t)items * size);
}

static void zlib_free(voidpf opaque, voidpf address)
{
    (void)opaque;
    free(address);
}

void deflater_init(struct deflater *deflater, int level, int window_bits)
{
    int err;

    assert(window_bits >= DEFLATE_WINDOW_BITS_MIN && window_bits <= DEFLATE_WINDOW_BITS_MAX);
    *deflater = (struct deflater){.stream = {.zalloc = zlib_alloc, .zfree = zlib_free}};
    err = deflateInit2(&deflater->stream, level, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY);
    assert(err == Z_OK);
}

void deflater_deinit(struct deflater *deflater)
{
    deflateEnd(&deflater->stream);
}

static void lend_input(z_stream *stream, const void *bytes, size_t size)
{
    assert(size <= UINT32_MAX);
    stream->next_in = (Bytef *)(uintptr_t)bytes; /* zlib's pointer lacks a const; it only reads */
    stream->avail_in = (uInt)size;
}

/* Lends at most `room` bytes behind the end of *out, at least one. */
static void lend_output(z_stream *stream, struct buf *out, size_t room)
{
    stream->next_out = (Bytef *)out->data + out->size;
    stream->avail_out = (uInt)MIN(MIN(out->capacity - out->size, room), UINT32_MAX);
}

static void take_output(const z_stream *stream, struct buf *out)
{
    out->size = (size_t)((char *)stream->next_out - out->data);
}

void deflate_message(struct deflater *deflater, const void *bytes, size_t size, struct buf *out)
{
    z_stream *stream = &deflater->stream;
    size_t room;
    int err = deflateReset(stream);

    /* RFC 7692 §7.2.1: compress, end with an empty block without compression, remove its tail. With
     * room for the worst case, and for that block, one call does it. */
    assert(err == Z_OK);
    room = deflateBound(stream, size) + 16;
    buf_reserve(out, room);
    lend_input(stream, bytes, size);
    lend_output(stream, out, room);
    err = deflate(stream, Z_SYNC_FLUSH);
    assert(err == Z_OK && stream->avail_in == 0 && stream->avail_out > 0);
    take_output(stream, out);
    assert(memcmp(out->data + out->size - sizeof(flush_tail), flush_tail, sizeof(flush_tail)) == 0);
    out->size -= sizeof(flush_tail);
}

static struct blob *gzip(const struct blob *bytes, int level, int strategy)
{
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free};
    struct buf out = {0};
    int err;

    if (bytes->size < GZIP_BYTES_MIN) return NULL;
    err = deflateInit2(&stream, level, Z_DEFLATED, DEFLATE_WINDOW_BITS_MAX + GZIP_HEADER, 8,
                       strategy);
    assert(err == Z_OK);
    buf_reserve(&out, deflateBound(&stream, bytes->size));
    lend_input(&stream, bytes->data, bytes->size);
    lend_output(&stream, &out, out.capacity);
    err = deflate(&stream, Z_FINISH);
    assert(err == Z_STREAM_END);
    take_output(&stream, &out);
    deflateEnd(&stream);
    if (out.size < bytes->size) return blob_take(&out);
    buf_deinit(&out);
    return NULL;
}

struct blob *gzip_blob(const struct blob *bytes, int level)
{
    return gzip(bytes, level, Z_DEFAULT_STRATEGY);
}

struct blob *gzip_runs(const struct blob *bytes)
{
    return gzip(bytes, Z_DEFAULT_COMPRESSION, Z_RLE);
}

void inflater_init(struct inflater *inflater)
{
    int err;

    *inflater = (struct inflater){.stream = {.zalloc = zlib_alloc, .zfree = zlib_free}};
    err = inflateInit2(&inflater->stream, -DEFLATE_WINDOW_BITS_MAX);
    assert(err == Z_OK);
}

void inflater_deinit(struct inflater *inflater)
{
    inflateEnd(&inflater->stream);
}

/* One call's bounds and progress. */
struct inflation {
    z_stream *stream;
    struct buf *out;
    size_t out_size_max; /* of *out in all */
    bool has_ended;      /* a final block ended exactly where the input did */
};

static void make_room(struct inflation *work)
{
    /* One byte beyond the bound tells "too big" from "just fits". Room grows with what was already
     * inflated (buf.h doubles), so a small message costs little and a bomb stops at the bound. */
    size_t room = work->out_size_max + 1 - work->out->size;

    if (work->out->capacity == work->out->size)
        buf_reserve(work->out, MIN(room, MAX(64, (size_t)work->stream->avail_in * 2)));
    lend_output(work->stream, work->out, room);
}

static enum inflate_result inflate_part(struct inflation *work, const void *bytes, size_t size,
                                        int flush)
{
    z_stream *stream = work->stream;

    lend_input(stream, bytes, size);
    for (;;) {
        int err;

        make_room(work);
        err = inflate(stream, flush);
        take_output(stream, work->out);
        if (work->out->size > work->out_size_max) return INFLATE_TOO_BIG;
        if (err == Z_STREAM_END) {
            work->has_ended = stream->avail_in == 0;
            if (work->has_ended) return INFLATE_OK;
            /* RFC 7692 §7.2.3.4: more follows a block marked final. inflateReset() would forget
             * the window too, and the blocks of one message share theirs. */
            inflateResetKeep(stream);
        } else if (err != Z_OK && err != Z_BUF_ERROR) {
            return INFLATE_BAD_DATA;
        } else if (stream->avail_in == 0 && stream->avail_out > 0) {
            return INFLATE_OK;
        }
    }
}

/* After inflate() with Z_BLOCK: zlib.h says that data_type holds 128 at a block's end, and how many
 * bits of the last byte are unused. */
static bool is_at_block_end(const z_stream *stream)
{
    return (stream->data_type & (128 | 63)) == 128;
}

enum inflate_result inflate_message(struct inflater *inflater, const void *bytes, size_t size,
                                    size_t out_bytes_max, struct buf *out)
{
    size_t before = out->size;
    struct inflation work = {&inflater->stream, out, before + out_bytes_max, false};
    enum inflate_result result;
    int err = inflateReset(&inflater->stream);

    assert(err == Z_OK && work.out_size_max >= before && work.out_size_max < SIZE_MAX);
    result = inflate_part(&work, bytes, size, Z_SYNC_FLUSH);
    /* RFC 7692 §7.2.2: append 00 00 ff ff, then decompress. What that does not complete was cut
     * off. A sender that ends with a final block and forgets the byte 00 that §7.2.3.4 puts behind
     * it is understood all the same: nothing is missing. */
    if (result == INFLATE_OK && !work.has_ended) {
        result = inflate_part(&work, flush_tail, sizeof(flush_tail), Z_BLOCK);
        if (result == INFLATE_OK && (work.has_ended || !is_at_block_end(work.stream)))
            result = INFLATE_BAD_DATA;
    }
    if (result != INFLATE_OK) out->size = before;
    return result;
}
