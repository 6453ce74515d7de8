#include "serve/unread.h"

#include "base/limits.h"

static _Atomic int64_t *place_of(struct unread *unread, const struct address *address)
{
    return &unread->places[address_hash(address) % UNREAD_PLACES];
}

static int64_t add(_Atomic int64_t *value, int64_t by)
{
    return atomic_fetch_add_explicit(value, by, memory_order_relaxed) + by;
}

int unread_take(struct unread *unread, const struct address *address, size_t size)
{
    int64_t bytes = (int64_t)size;
    bool is_small = size <= LIMIT_UNREAD_BYTES_SMALL;
    int status = 0;

    if (add(place_of(unread, address), bytes) > LIMIT_UNREAD_BYTES_PER_ADDRESS && !is_small)
        status = 429;
    if (add(&unread->total, bytes) > LIMIT_UNREAD_BYTES && !is_small) status = 503;
    if (status) unread_give(unread, address, size);
    return status;
}

void unread_give(struct unread *unread, const struct address *address, size_t size)
{
    add(place_of(unread, address), -(int64_t)size);
    add(&unread->total, -(int64_t)size);
}
