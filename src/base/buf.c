#include "base/buf.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

void buf_deinit(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
}

void buf_reserve(struct buf *buf, size_t more)
{
    size_t capacity = buf->capacity ? buf->capacity : 64;

    if (buf->size + more <= buf->capacity) return;
    while (capacity < buf->size + more)
        capacity *= 2;
    buf->data = mem_realloc(buf->data, capacity);
    buf->capacity = capacity;
}

void buf_add(struct buf *buf, const void *data, size_t size)
{
    if (!size) return;
    buf_reserve(buf, size);
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
}

void buf_add_char(struct buf *buf, char c)
{
    buf_reserve(buf, 1);
    buf->data[buf->size++] = c;
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    int size;

    va_start(args, format);
    va_copy(again, args);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(size >= 0);
    buf_reserve(buf, (size_t)size + 1);
    vsnprintf(buf->data + buf->size, (size_t)size + 1, format, again);
    va_end(again);
    buf->size += (size_t)size;
}

void buf_add_int(struct buf *buf, int64_t value)
{
    buf_add_decimal(buf, value, 0);
}

void buf_add_decimal(struct buf *buf, int64_t value, unsigned decimals)
{
    char text[40];
    size_t at = sizeof(text);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    bool wrote_fraction = false;

    assert(decimals <= 18);
    for (; decimals; decimals--, rest /= 10) {
        char digit = (char)('0' + rest % 10);

        if (digit == '0' && !wrote_fraction) continue;
        wrote_fraction = true;
        text[--at] = digit;
    }
    if (wrote_fraction) text[--at] = '.';
    do
        text[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) text[--at] = '-';
    buf_add(buf, text + at, sizeof(text) - at);
}

void buf_add_double(struct buf *buf, double value)
{
    char text[40];

    assert(isfinite(value));
    if (value == 0) value = 0; /* no "-0" */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    buf_add_text(buf, text);
}

void buf_add_json(struct buf *buf, struct str text)
{
    buf_add_char(buf, '"');
    for (size_t i = 0; i < text.size;) {
        unsigned char c = (unsigned char)text.at[i];
        size_t length = utf8_length((const uint8_t *)text.at + i, text.size - i);

        if (length == 0) {
            buf_add_text(buf, "\\ufffd");
            i++;
            continue;
        }
        if (c == '"' || c == '\\') {
            buf_add_char(buf, '\\');
            buf_add_char(buf, (char)c);
        } else if (c < 0x20) {
            buf_printf(buf, "\\u%04x", c);
        } else {
            buf_add(buf, text.at + i, length);
        }
        i += length;
    }
    buf_add_char(buf, '"');
}

void buf_add_time(struct buf *buf, int64_t time_ms)
{
    struct civil_time t = civil_from_ms(time_ms);

    buf_printf(buf, "%04d-%02d-%02dT%02d:%02d:%02d", t.year, t.month, t.day, t.hour, t.minute,
               t.second);
    if (t.ms) buf_printf(buf, ".%03d", t.ms);
    buf_add_char(buf, 'Z');
}

void buf_add_time_field(struct buf *buf, const char *name, int64_t time_ms)
{
    buf_printf(buf, ",\"%s\":", name);
    if (time_ms < 0) {
        buf_add_text(buf, "null");
        return;
    }
    buf_add_char(buf, '"');
    buf_add_time(buf, time_ms);
    buf_add_char(buf, '"');
}

struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->data, buf->size};
}
