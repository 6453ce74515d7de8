/* Prometheus' text format, as its document gives it. */
#include "test.h"

#include <string.h>

#include "base/exposition.h"

static void expect(struct buf *out, const char *text)
{
    buf_add_char(out, '\0');
    assert_string_equal(out->data, text);
    buf_deinit(out);
}

static void expect_beginning(const struct buf *out, const char *text)
{
    assert_true(out->size >= strlen(text));
    assert_memory_equal(out->data, text, strlen(text));
}

TEST(a_family_s_head_is_two_lines)
{
    struct buf out = {0};

    exposition_family(&out, "x_total", "counter", "how many x");
    expect(&out, "# HELP x_total how many x\n# TYPE x_total counter\n");
}

TEST(a_sample_has_its_labels_in_braces_or_none)
{
    struct buf out = {0};

    exposition_sample(&out, "x", STR(""), -3);
    exposition_sample(&out, "x", STR("a=\"1\",b=\"2\""), INT64_MAX);
    expect(&out, "x -3\nx{a=\"1\",b=\"2\"} 9223372036854775807\n");
}

TEST(a_time_is_told_in_seconds)
{
    struct buf out = {0};

    exposition_decimal(&out, "x", STR(""), 1500000, 6);
    exposition_decimal(&out, "x", STR(""), 1767225600123, 3);
    expect(&out, "x 1.5\nx 1767225600.123\n");
}

TEST(a_label_s_value_is_escaped)
{
    struct buf out = {0};

    exposition_label(&out, "a", STR("say \"hi\" \\o/\n"));
    exposition_label(&out, "b", STR("\xc3\xa4"));
    exposition_label(&out, "c", STR(""));
    expect(&out, "a=\"say \\\"hi\\\" \\\\o/\\n\",b=\"\xc3\xa4\",c=\"\"");
}

TEST(a_histogram_s_buckets_are_cumulative_and_the_last_is_the_count)
{
    struct histogram_sum sum = {.sum_us = 12345678};
    struct buf out = {0};
    const char *at;

    sum.buckets[0] = 2;
    sum.buckets[5] = 3;
    sum.buckets[HISTOGRAM_BUCKETS - 1] = 4;
    exposition_histogram(&out, "t_seconds", STR("shard=\"0\""), &sum);
    buf_add_char(&out, '\0');
    expect_beginning(&out, "t_seconds_bucket{shard=\"0\",le=\"0.00001\"} 2\n"
                           "t_seconds_bucket{shard=\"0\",le=\"0.00002\"} 2\n");
    assert_non_null(strstr(out.data, "le=\"0.0002\"} 2\n"));
    assert_non_null(strstr(out.data, "le=\"0.0005\"} 5\n"));
    at = strstr(out.data, "t_seconds_bucket{shard=\"0\",le=\"100\"} ");
    assert_string_equal(at, "t_seconds_bucket{shard=\"0\",le=\"100\"} 5\n"
                            "t_seconds_bucket{shard=\"0\",le=\"+Inf\"} 9\n"
                            "t_seconds_sum{shard=\"0\"} 12.345678\n"
                            "t_seconds_count{shard=\"0\"} 9\n");
    buf_deinit(&out);
}

TEST(a_histogram_without_labels_has_le_only)
{
    struct histogram_sum sum = {0};
    struct buf out = {0};

    exposition_histogram(&out, "t", STR(""), &sum);
    buf_add_char(&out, '\0');
    expect_beginning(&out, "t_bucket{le=\"0.00001\"} 0\n");
    assert_non_null(strstr(out.data, "\nt_sum 0\nt_count 0\n"));
    buf_deinit(&out);
}
