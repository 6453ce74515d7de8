#include "base/exposition.h"

#define MICROSECOND_DECIMALS 6

void exposition_family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* NAMESUFFIX{LABELS}, and the space before the value. */
static void begin_sample(struct buf *out, const char *name, const char *suffix, struct str labels)
{
    buf_add_text(out, name);
    buf_add_text(out, suffix);
    if (labels.size) {
        buf_add_char(out, '{');
        buf_add(out, labels.at, labels.size);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ' ');
}

void exposition_decimal(struct buf *out, const char *name, struct str labels, int64_t value,
                        unsigned decimals)
{
    begin_sample(out, name, "", labels);
    buf_add_decimal(out, value, decimals);
    buf_add_char(out, '\n');
}

void exposition_sample(struct buf *out, const char *name, struct str labels, int64_t value)
{
    exposition_decimal(out, name, labels, value, 0);
}

/* The labels of bucket `index`, in place of what `labels` held. */
static struct str bucket_labels(struct buf *labels, struct str others, unsigned index)
{
    struct buf bound = {0};

    if (index < HISTOGRAM_BOUNDS)
        buf_add_decimal(&bound, histogram_bounds_us[index], MICROSECOND_DECIMALS);
    else
        buf_add_text(&bound, "+Inf");
    buf_clear(labels);
    buf_add(labels, others.at, others.size);
    exposition_label(labels, "le", buf_str(&bound));
    buf_deinit(&bound);
    return buf_str(labels);
}

void exposition_histogram(struct buf *out, const char *name, struct str labels,
                          const struct histogram_sum *sum)
{
    struct buf text = {0};
    int64_t count = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += sum->buckets[i];
        begin_sample(out, name, "_bucket", bucket_labels(&text, labels, i));
        buf_add_int(out, count);
        buf_add_char(out, '\n');
    }
    buf_deinit(&text);
    begin_sample(out, name, "_sum", labels);
    buf_add_decimal(out, sum->sum_us, MICROSECOND_DECIMALS);
    buf_add_char(out, '\n');
    begin_sample(out, name, "_count", labels);
    buf_add_int(out, count);
    buf_add_char(out, '\n');
}

void exposition_label(struct buf *labels, const char *name, struct str value)
{
    if (labels->size) buf_add_char(labels, ',');
    buf_printf(labels, "%s=\"", name);
    for (size_t i = 0; i < value.size; i++) {
        char c = value.at[i];

        if (c == '\n') {
            buf_add_text(labels, "\\n");
            continue;
        }
        if (c == '\\' || c == '"') buf_add_char(labels, '\\');
        buf_add_char(labels, c);
    }
    buf_add_char(labels, '"');
}
