/* fuzz.h - what the fuzz targets share.
 *
 * A target is one file with LLVMFuzzerTestOneInput(): libFuzzer drives it (`make fuzz T=http`), and
 * replay.c runs it over fuzz/corpus in every build (`make test`). What must hold is asserted. */
#ifndef HEATCAST_FUZZ_H
#define HEATCAST_FUZZ_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/printable.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The bytes in memory of exactly their size, so that a look beyond them is found out. To be freed.
 */
static inline uint8_t *fuzz_copy(const void *bytes, size_t size)
{
    uint8_t *copy = mem_alloc(size);

    if (size) memcpy(copy, bytes, size);
    return copy;
}

/* Takes the first byte off as a setting of the target; 0 where there is none. */
static inline uint8_t fuzz_take(const uint8_t **bytes, size_t *size)
{
    if (*size == 0) return 0;
    ++*bytes;
    --*size;
    return (*bytes)[-1];
}

/* What a refusal says is something, and may be shown as it is. */
static inline void fuzz_check_message(char *message)
{
    size_t size = strlen(message);

    assert(size > 0);
    assert(printable_keep_utf8(message, size) == size);
}

/* A small generator (xorshift64*): how an input is cut depends on the input alone. */
static inline uint64_t fuzz_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

#endif
