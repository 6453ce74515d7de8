/* utf8.h - what UTF-8 is, RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef HEATCAST_BASE_UTF8_H
#define HEATCAST_BASE_UTF8_H

#include "base/base.h"

/* How many bytes the sequence at `at` has, of `size` at hand (at least 1); 0 where it is not
 * UTF-8 or is cut off by the end. */
size_t utf8_length(const uint8_t *at, size_t size);

#endif
