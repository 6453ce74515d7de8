#include "heat/buckets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DEAD_SPARE = 64, TABLE_BITS_MIN = 7 };

void buckets_deinit(struct buckets *buckets)
{
    free(buckets->slots);
    free(buckets->table);
    free(buckets->order);
    *buckets = (struct buckets){0};
}

static bool bucket_is_live(const struct bucket *bucket)
{
    return bucket->count[SIDE_LONG] || bucket->count[SIDE_SHORT];
}

/* Where `key` is in the table, or the empty place where it belongs. Neighbours are frequent, so
 * the product's upper bits (Fibonacci hashing), which spread them well. */
static uint32_t *table_place(const struct buckets *buckets, int64_t key)
{
    size_t mask = ((size_t)1 << buckets->table_bits) - 1;
    size_t at = ((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - buckets->table_bits);

    while (buckets->table[at] && buckets->slots[buckets->table[at] - 1].key != key)
        at = (at + 1) & mask;
    return &buckets->table[at];
}

/* A table of all in `order`, at most a quarter full so that it may double before the next time. */
static void table_rebuild(struct buckets *buckets)
{
    unsigned bits = TABLE_BITS_MIN;

    while (((size_t)1 << bits) < buckets->order_count * 4)
        bits++;
    free(buckets->table);
    buckets->table = mem_zalloc(sizeof(*buckets->table) << bits);
    buckets->table_bits = bits;
    for (size_t i = 0; i < buckets->order_count; i++)
        *table_place(buckets, buckets->order[i].key) = buckets->order[i].slot + 1;
}

/* Drops the dead: their slots are free, the rest keeps its order. */
static void buckets_prune(struct buckets *buckets)
{
    size_t kept = 0, sorted = buckets->order_sorted;

    for (size_t i = 0; i < buckets->order_count; i++) {
        struct bucket_ref ref = buckets->order[i];
        struct bucket *bucket = &buckets->slots[ref.slot];

        if (bucket_is_live(bucket)) {
            buckets->order[kept++] = ref;
            continue;
        }
        bucket->next_free = buckets->first_free;
        buckets->first_free = ref.slot + 1;
        if (i < buckets->order_sorted) sorted--;
    }
    buckets->order_count = kept;
    buckets->order_sorted = sorted;
    table_rebuild(buckets);
}

static uint32_t slot_take(struct buckets *buckets)
{
    uint32_t slot = buckets->first_free;

    if (slot) {
        buckets->first_free = buckets->slots[--slot].next_free;
        return slot;
    }
    if (buckets->slot_count == buckets->slot_capacity) {
        buckets->slot_capacity = MAX(64, buckets->slot_capacity * 2);
        buckets->slots =
            mem_realloc(buckets->slots, buckets->slot_capacity * sizeof(*buckets->slots));
    }
    assert(buckets->slot_count < UINT32_MAX);
    return (uint32_t)buckets->slot_count++;
}

static void order_append(struct buckets *buckets, int64_t key, uint32_t slot)
{
    if (buckets->order_count == buckets->order_capacity) {
        buckets->order_capacity = MAX(64, buckets->order_capacity * 2);
        buckets->order =
            mem_realloc(buckets->order, buckets->order_capacity * sizeof(*buckets->order));
    }
    buckets->order[buckets->order_count++] = (struct bucket_ref){key, slot};
}

/* Makes an empty bucket for a key that has none. */
static uint32_t buckets_insert(struct buckets *buckets, int64_t key)
{
    uint32_t slot;

    /* Pays for itself: at least as many have died since the last time as are walked now. */
    if (buckets->order_count > 2 * buckets->live_count + DEAD_SPARE) buckets_prune(buckets);
    slot = slot_take(buckets);
    buckets->slots[slot] = (struct bucket){.key = key};
    order_append(buckets, key, slot);
    if (buckets->order_count * 2 > (size_t)1 << buckets->table_bits)
        table_rebuild(buckets);
    else
        *table_place(buckets, key) = slot + 1;
    return slot;
}

uint32_t buckets_add(struct buckets *buckets, int64_t key, enum side side, double volume)
{
    uint32_t found = buckets->table ? *table_place(buckets, key) : 0;
    uint32_t slot = found ? found - 1 : buckets_insert(buckets, key);
    struct bucket *bucket = &buckets->slots[slot];

    buckets->live_count += !bucket_is_live(bucket);
    bucket->count[side]++;
    sum_add(&bucket->volume[side], volume);
    return slot;
}

void buckets_remove(struct buckets *buckets, uint32_t slot, enum side side, double volume)
{
    struct bucket *bucket = &buckets->slots[slot];

    assert(bucket->count[side]);
    sum_add(&bucket->volume[side], -volume);
    if (--bucket->count[side]) return;
    bucket->volume[side] = (struct sum){0};
    buckets->live_count -= !bucket_is_live(bucket);
}

void buckets_scale(struct buckets *buckets, double factor)
{
    for (size_t i = 0; i < buckets->order_count; i++) {
        struct bucket *bucket = &buckets->slots[buckets->order[i].slot];

        sum_scale(&bucket->volume[SIDE_LONG], factor);
        sum_scale(&bucket->volume[SIDE_SHORT], factor);
    }
}

static int compare_refs(const void *a, const void *b)
{
    const struct bucket_ref *left = a, *right = b;

    return (left->key > right->key) - (left->key < right->key);
}

/* Merges the sorted tail into the sorted front, from the back so that only the tail moves out. */
static void order_merge(struct bucket_ref *order, size_t front, size_t count)
{
    size_t rest = count - front;
    struct bucket_ref *tail = mem_alloc(rest * sizeof(*tail));

    memcpy(tail, order + front, rest * sizeof(*tail));
    while (rest) {
        if (front && order[front - 1].key > tail[rest - 1].key)
            order[--count] = order[--front];
        else
            order[--count] = tail[--rest];
    }
    free(tail);
}

void buckets_sort(struct buckets *buckets)
{
    if (buckets->order_count > 2 * buckets->live_count + DEAD_SPARE) buckets_prune(buckets);
    if (buckets->order_sorted == buckets->order_count) return;
    qsort(buckets->order + buckets->order_sorted, buckets->order_count - buckets->order_sorted,
          sizeof(*buckets->order), compare_refs);
    order_merge(buckets->order, buckets->order_sorted, buckets->order_count);
    buckets->order_sorted = buckets->order_count;
}
