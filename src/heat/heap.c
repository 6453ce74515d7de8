#include "heat/heap.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void heap_deinit(struct heap *heap)
{
    free(heap->entries);
    *heap = (struct heap){0};
}

static void heap_resize(struct heap *heap, size_t capacity)
{
    heap->entries = mem_realloc(heap->entries, capacity * sizeof(*heap->entries));
    heap->capacity = capacity;
}

void heap_push(struct heap *heap, int64_t key, uint32_t item)
{
    size_t at = heap->count++;

    if (heap->count > heap->capacity) heap_resize(heap, MAX(CAPACITY_MIN, heap->capacity * 2));
    while (at) {
        size_t parent = (at - 1) / 2;

        if (heap->entries[parent].key >= key) break;
        heap->entries[at] = heap->entries[parent];
        at = parent;
    }
    heap->entries[at] = (struct heap_entry){key, item};
}

const struct heap_entry *heap_top(const struct heap *heap)
{
    return heap->count ? heap->entries : NULL;
}

/* Puts `entry` at `at` or as far below as it belongs. */
static void heap_sink(struct heap *heap, size_t at, struct heap_entry entry)
{
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count)
            child += heap->entries[child + 1].key > heap->entries[child].key;
        if (heap->entries[child].key <= entry.key) break;
        heap->entries[at] = heap->entries[child];
    }
    heap->entries[at] = entry;
}

void heap_pop(struct heap *heap)
{
    assert(heap->count);
    heap->count--;
    if (heap->count) heap_sink(heap, 0, heap->entries[heap->count]);
}

void heap_rebuild(struct heap *heap)
{
    for (size_t at = heap->count / 2; at-- > 0;)
        heap_sink(heap, at, heap->entries[at]);
    if (heap->capacity > CAPACITY_MIN && heap->count < heap->capacity / 4)
        heap_resize(heap, MAX(CAPACITY_MIN, heap->capacity / 2));
}
