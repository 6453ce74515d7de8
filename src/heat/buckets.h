/* buckets.h - volumes by price bucket: what is open at each, for both sides.
 *
 * A bucket is found by its key in constant time and keeps its slot number while anything is open
 * in it. Order by key is made only when somebody asks for it, from the order there was: the new
 * ones are sorted and merged in. Knows keys and volumes, no prices. Pure. */
#ifndef HEATCAST_HEAT_BUCKETS_H
#define HEATCAST_HEAT_BUCKETS_H

#include "base/base.h"
#include "heat/sum.h"

enum side { SIDE_LONG, SIDE_SHORT, SIDES };

struct bucket {
    int64_t key;
    struct sum volume[SIDES]; /* exactly 0 where nothing is open */
    uint32_t count[SIDES];    /* positions open; both 0: dead, and dropped sooner or later */
    uint32_t next_free;       /* of a slot in no use */
};

struct bucket_ref {
    int64_t key;
    uint32_t slot;
};

/* `{0}` is a valid empty one. */
struct buckets {
    struct bucket *slots; /* owned; stable numbers, not addresses */
    size_t slot_count, slot_capacity;
    uint32_t first_free; /* slot number + 1; 0: none */

    uint32_t *table; /* owned; open addressing by key, slot number + 1, 0: empty */
    unsigned table_bits;

    struct bucket_ref *order; /* owned; every bucket in use, dead ones among them */
    size_t order_count, order_capacity;
    size_t order_sorted; /* the first so many ascend by key */

    size_t live_count;
};

void buckets_deinit(struct buckets *buckets); /* frees; empty and usable again */

/* Adds a position; returns the slot number, good until the bucket's last position is removed. */
uint32_t buckets_add(struct buckets *buckets, int64_t key, enum side side, double volume);
/* Removes one that was added with the same volume. */
void buckets_remove(struct buckets *buckets, uint32_t slot, enum side side, double volume);
/* All volumes are measured in a new unit. */
void buckets_scale(struct buckets *buckets, double factor);

/* Puts the order in order: order[0..order_count) ascends by key then, with a few dead ones left
 * in, fewer than live ones by more than a constant. */
void buckets_sort(struct buckets *buckets);

#endif
