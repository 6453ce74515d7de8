#include "heat/buckets.h"

#include "test.h"

/* The bucket of a key by walking the order, NULL where there is none. */
static const struct bucket *find(const struct buckets *buckets, int64_t key)
{
    for (size_t i = 0; i < buckets->order_count; i++) {
        if (buckets->order[i].key == key) return &buckets->slots[buckets->order[i].slot];
    }
    return NULL;
}

static void assert_ascending(const struct buckets *buckets)
{
    for (size_t i = 0; i < buckets->order_count; i++) {
        assert_int_equal(buckets->slots[buckets->order[i].slot].key, buckets->order[i].key);
        if (i) assert_true(buckets->order[i].key > buckets->order[i - 1].key);
    }
}

TEST(a_bucket_sums_each_side_by_itself)
{
    struct buckets buckets = {0};
    uint32_t slot = buckets_add(&buckets, 980, SIDE_LONG, 1.5);

    assert_int_equal(buckets_add(&buckets, 980, SIDE_SHORT, 4), slot);
    assert_int_equal(buckets_add(&buckets, 980, SIDE_LONG, 2), slot);
    assert_int_equal(buckets.live_count, 1);
    assert_true(buckets.slots[slot].volume[SIDE_LONG].value == 3.5);
    assert_true(buckets.slots[slot].volume[SIDE_SHORT].value == 4);
    buckets_remove(&buckets, slot, SIDE_LONG, 1.5);
    assert_true(buckets.slots[slot].volume[SIDE_LONG].value == 2);
    buckets_deinit(&buckets);
}

TEST(a_side_whose_last_position_left_is_exactly_zero)
{
    struct buckets buckets = {0};
    uint32_t slot = buckets_add(&buckets, 1, SIDE_LONG, 0.1);

    buckets_add(&buckets, 1, SIDE_LONG, 0.2);
    buckets_add(&buckets, 1, SIDE_SHORT, 7);
    buckets_remove(&buckets, slot, SIDE_LONG, 0.2);
    buckets_remove(&buckets, slot, SIDE_LONG, 0.1 + 1e-17);
    assert_true(buckets.slots[slot].volume[SIDE_LONG].value == 0);
    assert_true(buckets.slots[slot].volume[SIDE_LONG].rest == 0);
    assert_int_equal(buckets.live_count, 1);
    buckets_remove(&buckets, slot, SIDE_SHORT, 7);
    assert_int_equal(buckets.live_count, 0);
    buckets_deinit(&buckets);
}

TEST(small_volumes_outlive_big_ones_unchanged)
{
    struct buckets buckets = {0};
    uint32_t slot = buckets_add(&buckets, 1, SIDE_LONG, 0.01);
    double big = 1e15 / 3;

    for (int i = 1; i <= 1000; i++)
        buckets_add(&buckets, 1, SIDE_LONG, big / i);
    for (int i = 1; i <= 1000; i++)
        buckets_remove(&buckets, slot, SIDE_LONG, big / i);
    assert_true(buckets.slots[slot].volume[SIDE_LONG].value > 0.01 * (1 - 1e-12));
    assert_true(buckets.slots[slot].volume[SIDE_LONG].value < 0.01 * (1 + 1e-12));
    buckets_deinit(&buckets);
}

TEST(a_dead_bucket_lives_again_under_its_key)
{
    struct buckets buckets = {0};
    uint32_t slot = buckets_add(&buckets, -5, SIDE_LONG, 1);

    buckets_remove(&buckets, slot, SIDE_LONG, 1);
    slot = buckets_add(&buckets, -5, SIDE_SHORT, 2);
    assert_int_equal(buckets.live_count, 1);
    assert_true(buckets.slots[slot].volume[SIDE_LONG].value == 0);
    assert_true(buckets.slots[slot].volume[SIDE_SHORT].value == 2);
    assert_int_equal(buckets.order_count, 1);
    buckets_deinit(&buckets);
}

/* Positions at random keys come and go; an array by key knows what is there. */
TEST(a_random_crowd_is_where_it_should_be)
{
    enum { KEYS = 500, POSITIONS = 3000 };
    static uint32_t expected[KEYS];
    static struct {
        uint32_t slot, key;
    } positions[POSITIONS];
    struct buckets buckets = {0};
    size_t count = 0;
    uint64_t seed = 4;

    for (int step = 0; step < 60000; step++) {
        /* Grows, then shrinks, in waves. */
        bool add = test_random(&seed) % 100 < (step / 5000 % 2 ? 20 : 80);

        if (add && count < POSITIONS) {
            uint32_t key = (uint32_t)(test_random(&seed) % KEYS);

            positions[count].key = key;
            positions[count++].slot = buckets_add(&buckets, (int64_t)key - 250, SIDE_LONG, 1);
            expected[key]++;
        } else if (count) {
            size_t gone = test_random(&seed) % count;

            buckets_remove(&buckets, positions[gone].slot, SIDE_LONG, 1);
            expected[positions[gone].key]--;
            positions[gone] = positions[--count];
        }
        if (step % 500) continue;
        buckets_sort(&buckets);
        assert_ascending(&buckets);
        assert_true(buckets.order_count <= 2 * buckets.live_count + 64);
        for (int64_t key = 0; key < KEYS; key++) {
            const struct bucket *bucket = find(&buckets, key - 250);

            assert_int_equal(bucket ? bucket->count[SIDE_LONG] : 0, expected[key]);
            assert_true(!bucket || bucket->volume[SIDE_LONG].value == expected[key]);
        }
    }
    buckets_deinit(&buckets);
}

TEST(passing_buckets_leave_no_memory_behind)
{
    struct buckets buckets = {0};

    for (int64_t key = 0; key < 100000; key++)
        buckets_remove(&buckets, buckets_add(&buckets, key, SIDE_SHORT, 1), SIDE_SHORT, 1);
    assert_true(buckets.order_capacity <= 128);
    assert_true(buckets.slot_capacity <= 128);
    assert_true(buckets.table_bits <= 9);
    buckets_deinit(&buckets);
}
