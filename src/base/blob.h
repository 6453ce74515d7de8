/* blob.h - immutable bytes shared by count, across threads.
 *
 * Whoever holds a reference may read; nobody writes after blob_new(). The last unref frees. */
#ifndef HEATCAST_BASE_BLOB_H
#define HEATCAST_BASE_BLOB_H

#include "base/base.h"
#include "base/buf.h"

struct blob {
    _Atomic uint32_t refs;
    size_t size;
    char *data; /* owned */
};

/* Both return one reference, the caller's. blob_take() moves the buf's bytes, leaving it empty. */
struct blob *blob_new(const void *data, size_t size) MUST_CHECK;
struct blob *blob_take(struct buf *buf) MUST_CHECK;

struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob); /* NULL is fine */

#endif
