#include "serve/crowd.h"

static _Atomic uint32_t *place_of(struct crowd *crowd, const struct address *address)
{
    return &crowd->places[address_hash(address) % CROWD_PLACES];
}

bool crowd_enter(struct crowd *crowd, const struct address *address, uint32_t limit)
{
    _Atomic uint32_t *place = place_of(crowd, address);
    uint32_t others;

    if (address_is_localhost(address)) return true;
    others = atomic_fetch_add_explicit(place, 1, memory_order_relaxed);
    if (!limit || others < limit) return true;
    atomic_fetch_sub_explicit(place, 1, memory_order_relaxed);
    return false;
}

void crowd_leave(struct crowd *crowd, const struct address *address)
{
    if (!address_is_localhost(address))
        atomic_fetch_sub_explicit(place_of(crowd, address), 1, memory_order_relaxed);
}
