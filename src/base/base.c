#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *error_text(int error)
{
    switch (error) {
#define X(value, name, text)                                                                       \
    case value:                                                                                    \
        return text;
        ERROR_TABLE(X)
#undef X
    default:
        return error < 0 && error > -4096 ? strerror(-error) : "unknown error";
    }
}

static NORETURN void out_of_memory(size_t size)
{
    fprintf(stderr, "heatcast: out of memory (%zu bytes)\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *pointer = malloc(size ? size : 1);

    if (!pointer) out_of_memory(size);
    return pointer;
}

void *mem_alloc_aligned(size_t size, size_t alignment)
{
    void *pointer = aligned_alloc(alignment, size);

    if (!pointer) out_of_memory(size);
    return pointer;
}

void *mem_zalloc(size_t size)
{
    void *pointer = calloc(1, size ? size : 1);

    if (!pointer) out_of_memory(size);
    return pointer;
}

void *mem_realloc(void *pointer, size_t size)
{
    pointer = realloc(pointer, size ? size : 1);
    if (!pointer) out_of_memory(size);
    return pointer;
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *text, size_t size)
{
    char *copy = mem_alloc(size + 1);

    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *mem_printf(const char *format, ...)
{
    va_list args, again;
    char *text;
    int size;

    va_start(args, format);
    va_copy(again, args);
    size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0) abort();
    text = mem_alloc((size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

struct str str_of(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

bool str_eq(struct str a, struct str b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.size == b.size && (a.size == 0 || strncasecmp(a.at, b.at, a.size) == 0);
}

struct str str_trim(struct str s)
{
    while (s.size && (s.at[0] == ' ' || s.at[0] == '\t'))
        s.at++, s.size--;
    while (s.size && (s.at[s.size - 1] == ' ' || s.at[s.size - 1] == '\t'))
        s.size--;
    return s;
}

struct str str_skip(struct str s, size_t size)
{
    return (struct str){s.at + size, s.size - size};
}

struct str str_split(struct str *rest, char separator)
{
    const char *end = rest->size ? memchr(rest->at, separator, rest->size) : NULL;
    struct str part = {rest->at, end ? (size_t)(end - rest->at) : rest->size};

    *rest = end ? str_skip(*rest, part.size + 1) : (struct str){rest->at + rest->size, 0};
    return part;
}

bool str_number(struct str text, uint64_t max, uint64_t *number)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] < '0' || text.at[i] > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.at[i] - '0'), &value))
            return false;
    if (!text.size || value > max) return false;
    *number = value;
    return true;
}
