#include "base/blob.h"

#include <stdatomic.h>
#include <stdlib.h>

struct blob *blob_new(const void *data, size_t size)
{
    struct buf buf = {0};

    buf_add(&buf, data, size);
    return blob_take(&buf);
}

struct blob *blob_take(struct buf *buf)
{
    struct blob *blob = mem_alloc(sizeof(*blob));

    atomic_init(&blob->refs, 1);
    blob->size = buf->size;
    blob->data = mem_realloc(buf->data, buf->size);
    *buf = (struct buf){0};
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void blob_unref(struct blob *blob)
{
    /* acq_rel: what other threads read of it happened before the free. */
    if (!blob || atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) != 1) return;
    free(blob->data);
    free(blob);
}
