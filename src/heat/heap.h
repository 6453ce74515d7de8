/* heap.h - a binary heap of 64-bit keys, each with a number that means something to the owner;
 * the greatest key is on top. Pure. */
#ifndef HEATCAST_HEAT_HEAP_H
#define HEATCAST_HEAT_HEAP_H

#include "base/base.h"

struct heap_entry {
    int64_t key;
    uint32_t item;
};

/* `{0}` is a valid empty one. */
struct heap {
    struct heap_entry *entries; /* owned; every key at least those at 2i+1 and 2i+2 */
    size_t count, capacity;
};

void heap_deinit(struct heap *heap); /* frees; the heap is empty and usable again */

void heap_push(struct heap *heap, int64_t key, uint32_t item);
/* The greatest key's entry, NULL in an empty heap; valid until the heap changes. */
const struct heap_entry *heap_top(const struct heap *heap);
void heap_pop(struct heap *heap); /* drops the top; there must be one */

/* Makes a heap of the entries again after the owner has dropped some (by moving others over them
 * and lowering `count`), in linear time; gives memory back where most of it is unused. */
void heap_rebuild(struct heap *heap);

#endif
