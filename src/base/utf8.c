#include "base/utf8.h"

#include <string.h>

/* RFC 3629 §4: what may follow the lead byte `c`. The ranges of the second byte keep out overlong
 * forms, surrogates and what lies above U+10FFFF. False where no character begins with `c`. */
static bool begin_character(uint8_t c, struct utf8_state *state)
{
    if (c < 0xc2 || c > 0xf4) return false;
    state->missing = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    state->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    state->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    return true;
}

static bool continue_character(uint8_t c, struct utf8_state *state)
{
    if (c < state->low || c > state->high) return false;
    state->missing--;
    state->low = 0x80;
    state->high = 0xbf;
    return true;
}

size_t utf8_length(const uint8_t *at, size_t size)
{
    struct utf8_state state = {0};
    size_t length;

    if (at[0] < 0x80) return 1;
    if (!begin_character(at[0], &state)) return 0;
    length = 1u + state.missing;
    if (length > size) return 0;
    for (size_t i = 1; i < length; i++)
        if (!continue_character(at[i], &state)) return 0;
    return length;
}

bool utf8_is_valid(const uint8_t *bytes, size_t size)
{
    struct utf8_state state = {0};

    return utf8_feed(&state, bytes, size) && utf8_is_complete(&state);
}

/* How many bytes of ASCII are at `at`, in whole words; almost all text of ours is ASCII. */
static size_t ascii_words(const uint8_t *at, size_t size)
{
    size_t i = 0;

    for (uint64_t word; size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, at + i, sizeof(word));
        if (word & UINT64_C(0x8080808080808080)) break;
    }
    return i;
}

bool utf8_feed(struct utf8_state *state, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (state->missing) {
            if (!continue_character(bytes[i], state)) return false;
            continue;
        }
        i += ascii_words(bytes + i, size - i);
        if (i == size) break;
        if (bytes[i] >= 0x80 && !begin_character(bytes[i], state)) return false;
    }
    return true;
}

bool utf8_is_complete(const struct utf8_state *state)
{
    return state->missing == 0;
}
