/* The reference vectors: every case, every candle, every level (tests/data/model.json). */
#include "reference.h"

static int64_t price(const json_t *candle, size_t index)
{
    int64_t price_e8;

    assert_int_equal(price_from_double(json_number_value(json_array_get(candle, index)), &price_e8),
                     0);
    return price_e8;
}

static struct candle candle_of(const json_t *row)
{
    return (struct candle){
        .open_time_ms = reference_time(json_string_value(json_array_get(row, 0))),
        .step_ms = 60000,
        .open_e8 = price(row, 1),
        .high_e8 = price(row, 2),
        .low_e8 = price(row, 3),
        .close_e8 = price(row, 4),
    };
}

static size_t run_case(const json_t *given)
{
    const json_t *candles = json_object_get(given, "candles");
    const json_t *snapshots = json_object_get(given, "snapshots");
    struct leverage_mix mix = reference_mix(given);
    struct heatmap *map = heatmap_new(reference_bin(given), &mix);
    struct snapshot snapshot = {0};
    size_t level_count = 0;

    assert_int_equal(json_array_size(candles), json_array_size(snapshots));
    for (size_t i = 0; i < json_array_size(candles); i++) {
        const json_t *row = json_array_get(candles, i);
        const json_t *expected = json_array_get(snapshots, i);
        struct candle candle = candle_of(row);
        struct heatmap_change change =
            heatmap_apply(map, &candle, json_number_value(json_array_get(row, 5)));

        heatmap_snapshot(map, &snapshot);
        assert_int_equal(change.created, snapshot.positions_created);
        assert_int_equal(change.consumed, snapshot.positions_consumed);
        reference_compare(&snapshot, expected);
        assert_non_null(json_object_get(expected, "levels"));
        assert_int_equal(snapshot.current_price_e8, candle.close_e8);
        level_count += snapshot.level_count;
    }
    snapshot_deinit(&snapshot);
    heatmap_free(map);
    return level_count;
}

TEST(the_map_agrees_with_every_reference_vector)
{
    json_t *cases = reference_load(test_folder("HEATCAST_TEST_ROOT", "."), "tests/data/model.json");

    assert_non_null(cases);
    assert_int_equal(json_array_size(cases), 13);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *given = json_array_get(cases, i);
        size_t level_count = run_case(given);

        print_message("%s: %zu candles, %zu levels\n", reference_text(given, "name"),
                      json_array_size(json_object_get(given, "candles")), level_count);
    }
    json_decref(cases);
}
