#include "serve/drain.h"
#include "test.h"

enum { HOUR_MS = 3600000 };

static int64_t moment(int64_t duration_ms, size_t index, size_t count, double chance)
{
    return drain_moment_ms(duration_ms, index, count, 0, 1, chance);
}

TEST(each_client_of_a_shard_has_an_equal_part_of_the_time_for_itself)
{
    for (size_t count = 1; count < 500; count += 7) {
        int64_t before_ms = -1;

        for (size_t i = 0; i < count; i++) {
            int64_t first_ms = moment(HOUR_MS, i, count, 0);
            int64_t last_ms = moment(HOUR_MS, i, count, 0.99);

            assert_true(before_ms < first_ms && first_ms < last_ms);
            assert_in_range(last_ms - first_ms, HOUR_MS / count * 98 / 100, HOUR_MS / count);
            before_ms = last_ms;
        }
        assert_true(before_ms < HOUR_MS);
    }
}

TEST(shards_with_as_many_clients_share_each_part)
{
    enum { SHARDS = 8, CLIENTS = 50 };
    int64_t before_ms = -1;

    for (size_t i = 0; i < CLIENTS; i++) {
        for (size_t shard = 0; shard < SHARDS; shard++) {
            int64_t at_ms = drain_moment_ms(HOUR_MS, i, CLIENTS, shard, SHARDS, 0.5);

            assert_true(at_ms > before_ms);
            before_ms = at_ms;
        }
    }
    assert_true(before_ms < HOUR_MS);
}

TEST(more_clients_than_milliseconds_all_go_in_time)
{
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(moment(1000, i, 5000, 0.5), i / 5);
}
