/* base.h - what every floor leans on: a few macros, error codes, memory that cannot fail.
 *
 * Knows nothing of markets, sockets or files. Everything here may be used from any thread. */
#ifndef HEATCAST_BASE_BASE_H
#define HEATCAST_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/param.h> /* MIN, MAX: libuv brings these too */

#define MUST_CHECK            __attribute__((warn_unused_result))
#define PRINTF_LIKE(at, args) __attribute__((format(printf, at, args)))
#define NORETURN              __attribute__((noreturn))

/* A number that is a macro, as text in a literal: what is said follows what is set. */
#define TEXT_OF(macro)  TEXT_OF_(macro)
#define TEXT_OF_(macro) #macro

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define BIT(n)           (1u << (n))

/* The struct of which `pointer` is the member `member`. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Trouble is a negative int: libuv's codes (-errno and a few below -3000) pass through, ours stand
 * below them. error_name() and error_text() know both. */
#define ERROR_TABLE(X)                                                                             \
    X(-20001, ERR_SYNTAX, "not well-formed")                                                       \
    X(-20002, ERR_RANGE, "out of range")                                                           \
    X(-20003, ERR_UNKNOWN, "unknown name")                                                         \
    X(-20004, ERR_FULL, "a limit is reached")                                                      \
    X(-20005, ERR_DATABASE, "database error")                                                      \
    X(-20006, ERR_BUSY, "held by another process")                                                 \
    X(-20007, ERR_NEWER, "written by a newer version")                                             \
    X(-20009, ERR_STOPPED, "stopped")

enum error {
#define X(value, name, text) name = (value),
    ERROR_TABLE(X)
#undef X
};

/* The text of an error of ours or of libuv's range (errno); never NULL, static. */
const char *error_text(int error);

/* Heap memory. Out of memory aborts: every size a peer can influence is bounded first (limits.h),
 * so that running out is a fault of the machine and not of a request. */
void *mem_alloc(size_t size) MUST_CHECK;
void *mem_zalloc(size_t size) MUST_CHECK;
void *mem_alloc_aligned(size_t size, size_t alignment) MUST_CHECK; /* size: a multiple of it */
void *mem_realloc(void *pointer, size_t size) MUST_CHECK;
char *mem_strdup(const char *text) MUST_CHECK;
char *mem_strndup(const char *text, size_t size) MUST_CHECK;
char *mem_printf(const char *format, ...) PRINTF_LIKE(1, 2) MUST_CHECK;

/* Bytes that somebody else owns. */
struct str {
    const char *at; /* borrowed, not NUL-terminated */
    size_t size;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

struct str str_of(const char *text);
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
struct str str_trim(struct str s);              /* without spaces and tabs at both ends */
struct str str_skip(struct str s, size_t size); /* without its first bytes; there are so many */
/* Takes what stands before `separator`, or all, and what is behind it remains. */
struct str str_split(struct str *rest, char separator);
/* Decimal digits and nothing else. False, *number untouched, for what is none, or above `max`. */
bool str_number(struct str text, uint64_t max, uint64_t *number) MUST_CHECK;

#endif
