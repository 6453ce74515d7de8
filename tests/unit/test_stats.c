/* The tables of what is counted, and blocks of it. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "base/stats.h"

static void expect_update(enum counter counter, const char *field)
{
    assert_string_equal(stats_rows[counter].field, field);
}

TEST(a_message_is_counted_by_its_door_and_encoding)
{
    expect_update(stats_update(STATS_WS, false, false, false), "updates_ws_snapshot_levels_plain");
    expect_update(stats_update(STATS_WS, false, false, true), "updates_ws_snapshot_levels_deflate");
    expect_update(stats_update(STATS_WS, false, true, false), "updates_ws_snapshot_columns_plain");
    expect_update(stats_update(STATS_WS, true, false, false), "updates_ws_delta_levels_plain");
    expect_update(stats_update(STATS_SSE, true, true, false), "updates_sse_delta_columns_plain");
    expect_update(stats_update(STATS_POLL, true, true, true), "updates_poll_delta_columns_deflate");
}

TEST(a_message_s_bytes_are_counted_beside_it_under_the_same_labels)
{
    for (unsigned i = 0; i < 3 * 8; i++) {
        enum counter update = stats_update((enum stats_door)(i / 8), i & 4, i & 2, i & 1);
        struct stats stats = {0};
        struct stats_sum sum = {0};
        unsigned found = 0;

        stats_add_update(&stats, update, 700);
        stats_add_update(&stats, update, 41);
        stats_merge(&sum, &stats);
        for (unsigned at = 0; at < STAT_COUNT; at++) {
            if (!sum.value[at]) continue;
            found++;
            assert_string_equal(stats_rows[at].labels, stats_rows[update].labels);
            assert_int_equal(sum.value[at], at == update ? 2 : 741);
            assert_string_equal(stats_rows[at].family,
                                at == update ? "updates_sent" : "update_bytes_sent");
        }
        assert_int_equal(found, 2);
    }
}

TEST(a_close_code_has_its_counter_and_the_rest_has_one)
{
    static const unsigned own[] = {1000, 1001, 1002, 1003, 1005, 1006,
                                   1007, 1008, 1009, 1011, 1012, 1013};

    for (unsigned code = 0; code < 5000; code++) {
        const char *labels = stats_rows[stats_close_code(code)].labels;
        char expected[32] = "code=\"other\"";

        for (unsigned i = 0; i < ARRAY_LEN(own); i++)
            if (own[i] == code) snprintf(expected, sizeof(expected), "code=\"%u\"", code);
        assert_string_equal(labels, expected);
    }
}

static bool same_family(unsigned a, unsigned b)
{
    return strcmp(stats_rows[a].family, stats_rows[b].family) == 0;
}

/* Prometheus' text format: all lines of a family in one group, HELP and TYPE before them. */
TEST(a_family_s_rows_stand_together_and_differ_in_their_labels_only)
{
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(stats_rows[i].field, stats_rows[j].field);
            if (!same_family(i, j)) continue;
            assert_true(same_family(i, i - 1));
            assert_string_equal(stats_rows[i].help, stats_rows[j].help);
            assert_int_equal(stats_rows[i].is_gauge, stats_rows[j].is_gauge);
            assert_string_not_equal(stats_rows[i].labels, stats_rows[j].labels);
        }
    }
}

TEST(blocks_are_summed)
{
    struct stats one = {0}, other = {0};
    struct stats_sum sum = {0};

    stats_add(&one, STAT_connections, 5);
    stats_add(&one, STAT_connections, -1);
    stats_add(&other, STAT_connections, 2);
    stats_observe(&one, HIST_encode, 15);
    stats_observe(&other, HIST_encode, 25);
    stats_observe(&other, HIST_deflate, 35);
    stats_merge(&sum, &one);
    stats_merge(&sum, &other);
    assert_int_equal(stats_get(&one, STAT_connections), 4);
    assert_int_equal(sum.value[STAT_connections], 6);
    assert_int_equal(sum.histogram[HIST_encode].sum_us, 40);
    assert_int_equal(histogram_count(&sum.histogram[HIST_encode]), 2);
    assert_int_equal(sum.histogram[HIST_deflate].sum_us, 35);
}

TEST(a_block_shares_no_cache_line)
{
    assert_int_equal(_Alignof(struct stats), 64);
    assert_int_equal(sizeof(struct stats) % 64, 0);
}
