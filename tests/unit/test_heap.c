#include "heat/heap.h"

#include "test.h"

static void assert_pops_in_order(struct heap *heap)
{
    int64_t last = INT64_MAX;

    for (const struct heap_entry *top; (top = heap_top(heap)); heap_pop(heap)) {
        assert_true(top->key <= last);
        assert_int_equal((uint32_t)top->key, top->item);
        last = top->key;
    }
    assert_int_equal(heap->count, 0);
}

static void push_random(struct heap *heap, uint64_t *seed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t key = (int64_t)test_random(seed) >> (test_random(seed) % 60);

        heap_push(heap, key, (uint32_t)key);
    }
}

TEST(an_empty_heap_has_no_top)
{
    struct heap heap = {0};

    assert_null(heap_top(&heap));
    heap_rebuild(&heap);
    assert_null(heap_top(&heap));
    heap_deinit(&heap);
}

TEST(keys_come_out_greatest_first)
{
    struct heap heap = {0};
    uint64_t seed = 1;

    for (size_t count = 1; count < 300; count++) {
        push_random(&heap, &seed, count);
        assert_int_equal(heap.count, count);
        assert_pops_in_order(&heap);
    }
    heap_deinit(&heap);
}

TEST(pushes_and_pops_mix)
{
    struct heap heap = {0};
    uint64_t seed = 2;

    for (int i = 0; i < 2000; i++) {
        push_random(&heap, &seed, test_random(&seed) % 8);
        for (uint64_t pops = test_random(&seed) % 8; pops && heap.count; pops--) {
            int64_t top = heap_top(&heap)->key;

            heap_pop(&heap);
            assert_true(!heap.count || heap_top(&heap)->key <= top);
        }
    }
    assert_pops_in_order(&heap);
    heap_deinit(&heap);
}

TEST(after_dropping_entries_it_is_a_heap_again_and_gives_memory_back)
{
    struct heap heap = {0};
    uint64_t seed = 3;

    push_random(&heap, &seed, 10000);
    for (int i = 0; i < 10; i++) {
        size_t kept = 0;

        for (size_t at = 0; at < heap.count; at++) {
            if (test_random(&seed) % 2) heap.entries[kept++] = heap.entries[at];
        }
        heap.count = kept;
        heap_rebuild(&heap);
    }
    assert_true(heap.count < 50);
    assert_true(heap.capacity <= 128);
    assert_pops_in_order(&heap);
    heap_deinit(&heap);
}
