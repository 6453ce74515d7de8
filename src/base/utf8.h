/* utf8.h - what UTF-8 is, RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef HEATCAST_BASE_UTF8_H
#define HEATCAST_BASE_UTF8_H

#include "base/base.h"

/* How many bytes the sequence at `at` has, of `size` at hand (at least 1); 0 where it is not
 * UTF-8 or is cut off by the end. */
size_t utf8_length(const uint8_t *at, size_t size);

/* Is the whole of `bytes` UTF-8? */
bool utf8_is_valid(const uint8_t *bytes, size_t size);

/* Validation of a text that comes in pieces. `{0}` is the beginning. */
struct utf8_state {
    uint8_t missing;   /* bytes the unfinished character still needs; 0 between characters */
    uint8_t low, high; /* the next of them is in this range */
};

/* Takes the next piece. False at the first byte that no UTF-8 text could have here, even if the
 * character is not finished; the state is of no use then. */
bool utf8_feed(struct utf8_state *state, const uint8_t *bytes, size_t size) MUST_CHECK;

/* May the text end here? */
bool utf8_is_complete(const struct utf8_state *state);

#endif
