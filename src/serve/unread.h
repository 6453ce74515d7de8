/* unread.h - bytes of HTTP answers that clients have been given and not read yet.
 *
 * An answer can be 100 MB and is kept until its client has read it, so what may be kept is bounded:
 * for all (LIMIT_UNREAD_BYTES) and for one address (LIMIT_UNREAD_BYTES_PER_ADDRESS; addresses of
 * one hash share). Small answers always go: they cost less than the connection. All shards share
 * one; lock-free, touched twice per large answer. */
#ifndef HEATCAST_SERVE_UNREAD_H
#define HEATCAST_SERVE_UNREAD_H

#include <stdatomic.h>

#include "base/address.h"

enum { UNREAD_PLACES = 1024 };

/* `{0}` is a valid start. */
struct unread {
    _Atomic int64_t total;
    _Atomic int64_t places[UNREAD_PLACES];
};

/* Counts an answer of `size` bytes for `address`. Returns 0, or the status to answer instead: 429
 * where the address has too much, 503 where all have; nothing is counted then. */
int unread_take(struct unread *unread, const struct address *address, size_t size) MUST_CHECK;
/* It was read, or its client is gone. */
void unread_give(struct unread *unread, const struct address *address, size_t size);

#endif
