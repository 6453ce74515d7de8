/* buf.h - bytes that grow: for building messages, answers and files' text.
 *
 * A buf belongs to whoever declared it. `{0}` is a valid empty one. Growing never fails (base.h).
 */
#ifndef HEATCAST_BASE_BUF_H
#define HEATCAST_BASE_BUF_H

#include "base/base.h"

struct buf {
    char *data; /* owned; not NUL-terminated */
    size_t size;
    size_t capacity;
};

void buf_deinit(struct buf *buf); /* frees; the buf is empty and usable again */
void buf_clear(struct buf *buf);  /* empties, keeps the memory */
void buf_reserve(struct buf *buf, size_t more);

void buf_add(struct buf *buf, const void *data, size_t size);
void buf_add_char(struct buf *buf, char c);
void buf_add_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_add_int(struct buf *buf, int64_t value);

/* A decimal number of `value` units of 10^-decimals, in its shortest form: 1500 with 2 -> 15,
 * -1250 with 3 -> -1.25. Exact, no exponent; `decimals` at most 18. */
void buf_add_decimal(struct buf *buf, int64_t value, unsigned decimals);

/* The shortest decimal that reads back as `value`, which must be finite. JSON's grammar. */
void buf_add_double(struct buf *buf, double value);

/* A JSON string with its quotes: RFC 8259 §7. Bytes that are not UTF-8 become U+FFFD. */
void buf_add_json(struct buf *buf, struct str text);

/* A moment as ISO 8601 UTC, quotes not included: 2025-12-29T10:00:00Z, with .mmm where the
 * milliseconds are not 0. From year 0 to 9999. */
void buf_add_time(struct buf *buf, int64_t time_ms);
/* One more field of a JSON object, with the comma before it: ,"name":"2025-12-29T10:00:00Z", or
 * null where time_ms is below 0: there is none. */
void buf_add_time_field(struct buf *buf, const char *name, int64_t time_ms);

struct str buf_str(const struct buf *buf);

#endif
