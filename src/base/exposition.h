/* exposition.h - Prometheus' text format 0.0.4: what /metrics says, line by line.
 *
 * Pure: metrics in, text out. The caller keeps a family's samples together, behind its head. */
#ifndef HEATCAST_BASE_EXPOSITION_H
#define HEATCAST_BASE_EXPOSITION_H

#include "base/buf.h"
#include "base/histogram.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4"

/* HELP and TYPE ("counter", "gauge", "histogram"), once before a family's samples. `help` is one
 * line without backslashes. */
void exposition_family(struct buf *out, const char *name, const char *type, const char *help);

/* `labels` are as exposition_label() writes them, or "" for none. */
void exposition_sample(struct buf *out, const char *name, struct str labels, int64_t value);
/* A value in units of 10^-decimals: a time of ms in seconds has 3. */
void exposition_decimal(struct buf *out, const char *name, struct str labels, int64_t value,
                        unsigned decimals);
/* NAME_bucket with le in seconds, cumulative, to +Inf; NAME_sum in seconds; NAME_count. */
void exposition_histogram(struct buf *out, const char *name, struct str labels,
                          const struct histogram_sum *sum);

/* Appends NAME="VALUE", behind a comma unless it is the first. */
void exposition_label(struct buf *labels, const char *name, struct str value);

#endif
