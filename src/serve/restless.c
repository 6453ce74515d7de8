#include "serve/restless.h"

static _Atomic uint64_t *place_of(struct restless *restless, const struct address *address)
{
    return &restless->places[address_hash(address) % RESTLESS_PLACES];
}

void restless_note(struct restless *restless, const struct address *address, int64_t now_ms)
{
    _Atomic uint64_t *place = place_of(restless, address);
    uint64_t minute = (uint64_t)now_ms / 60000, old, new;

    old = atomic_load_explicit(place, memory_order_relaxed);
    do
        new = minute << 32 | (old >> 32 == minute ? (old & UINT32_MAX) + 1 : 1);
    while (!atomic_compare_exchange_weak_explicit(place, &old, new, memory_order_relaxed,
                                                  memory_order_relaxed));
}

uint32_t restless_count(struct restless *restless, const struct address *address, int64_t now_ms)
{
    uint64_t value = atomic_load_explicit(place_of(restless, address), memory_order_relaxed);
    uint64_t minute = (uint64_t)now_ms / 60000;

    return value >> 32 == minute || (value >> 32) + 1 == minute ? (uint32_t)value : 0;
}
