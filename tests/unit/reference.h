/* reference.h - comparing heatmaps with what the original model gave, as JSON files hold it. */
#ifndef HEATCAST_TEST_REFERENCE_H
#define HEATCAST_TEST_REFERENCE_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "heat/heatmap.h"
#include "test.h"

/* The environment's folder, or where it is seen from the project's root. */
static inline const char *test_folder(const char *variable, const char *usual)
{
    const char *folder = getenv(variable);

    return folder && *folder ? folder : usual;
}

static inline json_t *reference_load(const char *folder, const char *name)
{
    json_error_t error;
    char *path = mem_printf("%s/%s", folder, name);
    json_t *root = json_load_file(path, 0, &error);

    if (!root) print_error("%s: %s, line %d\n", path, error.text, error.line);
    free(path);
    return root;
}

static inline double reference_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_number(value));
    return json_number_value(value);
}

static inline const char *reference_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    assert_non_null(text);
    return text;
}

static inline int64_t reference_time(const char *text)
{
    int64_t time_ms;

    assert_int_equal(time_parse(str_of(text), &time_ms), 0);
    return time_ms;
}

/* A bin may be written 100 or 2.5: its text is what the parser is for. */
static inline int64_t reference_bin(const json_t *object)
{
    struct buf text = {0};
    int64_t bin_e12;

    buf_add_double(&text, reference_number(object, "price_bin_size"));
    assert_int_equal(price_bin_parse(buf_str(&text), &bin_e12), 0);
    buf_deinit(&text);
    return bin_e12;
}

static inline struct leverage_mix reference_mix(const json_t *object)
{
    const char *text = json_string_value(json_object_get(object, "leverage_weights"));
    struct leverage_mix mix = leverage_mix_default;

    if (text) assert_int_equal(leverage_mix_parse(str_of(text), &mix), 0);
    return mix;
}

/* 1e-9 relative or 0.005 USDT absolute. */
static inline bool reference_near(double a, double b)
{
    return fabs(a - b) <= fmax(0.005, 1e-9 * fmax(fabs(a), fabs(b)));
}

/* A published volume, which was rounded: half a cent more than 1e-9 relative. */
static inline bool reference_near_cents(int64_t cents, double usdt)
{
    return fabs((double)cents / 100 - usdt) <= 0.005 + 1e-9 * fmax(1, fabs(usdt));
}

static inline double level_price(const struct snapshot *snapshot, size_t index)
{
    struct buf text = {0};
    double price;

    snapshot_write_price(&text, snapshot->levels[index].bucket, snapshot->bin_e12);
    buf_add_char(&text, '\0');
    price = strtod(text.data, NULL);
    buf_deinit(&text);
    return price;
}

static inline void reference_compare_levels(const struct snapshot *snapshot, const json_t *levels)
{
    assert_int_equal(snapshot->level_count, json_array_size(levels));
    for (size_t i = 0; i < snapshot->level_count; i++) {
        const json_t *level = json_array_get(levels, i);
        const struct level *ours = &snapshot->levels[i];

        assert_true(level_price(snapshot, i) == json_number_value(json_array_get(level, 0)));
        assert_true(
            reference_near_cents(ours->long_cents, json_number_value(json_array_get(level, 1))));
        assert_true(
            reference_near_cents(ours->short_cents, json_number_value(json_array_get(level, 2))));
    }
}

/* Everything a reference snapshot tells; levels where it has them. */
static inline void reference_compare(const struct snapshot *snapshot, const json_t *expected)
{
    const json_t *levels = json_object_get(expected, "levels");

    assert_int_equal(snapshot->time_ms, reference_time(reference_text(expected, "timestamp")));
    assert_int_equal(snapshot->positions_created, reference_number(expected, "positions_created"));
    assert_int_equal(snapshot->positions_consumed,
                     reference_number(expected, "positions_consumed"));
    assert_int_equal(snapshot->level_count, reference_number(expected, "level_count"));
    assert_true(reference_near(snapshot->long_total, reference_number(expected, "long_total")));
    assert_true(reference_near(snapshot->short_total, reference_number(expected, "short_total")));
    if (levels) reference_compare_levels(snapshot, levels);
}

#endif
