#include "base/utf8.h"

#include <string.h>

#include "test.h"

/* How many bytes of `text` are fed, in pieces of `piece`, before it is refused; all of them if it
 * never is. */
static size_t accepted(const char *text, size_t size, size_t piece)
{
    struct utf8_state state = {0};

    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;

        if (!utf8_feed(&state, (const uint8_t *)text + at, n)) return at;
    }
    return size;
}

static bool is_complete(const char *text, size_t size)
{
    struct utf8_state state = {0};

    for (size_t i = 0; i < size; i++)
        assert_true(utf8_feed(&state, (const uint8_t *)text + i, 1));
    return utf8_is_complete(&state);
}

/* The definition, spelled out: does `at` begin with the encoding of a scalar value? */
static size_t reference_length(const uint8_t *at, size_t size)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] < 0x80             ? 1
                    : (at[0] & 0xe0) == 0xc0 ? 2
                    : (at[0] & 0xf0) == 0xe0 ? 3
                    : (at[0] & 0xf8) == 0xf0 ? 4
                                             : 0;
    uint32_t value = length == 1 ? at[0] : at[0] & (0xffu >> (length + 1));

    if (length == 0 || length > size) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (at[i] & 0x3f);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    return length;
}

static bool reference_is_valid(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t length = reference_length(bytes + i, size - i);

        if (length == 0) return false;
        i += length;
    }
    return true;
}

TEST(every_pair_and_many_quadruples_of_bytes_are_judged_as_the_definition_does)
{
    uint64_t seed = 1;

    for (unsigned i = 0; i < 0x10000; i++) {
        uint8_t pair[2] = {(uint8_t)(i >> 8), (uint8_t)i};

        assert_int_equal(utf8_length(pair, 2), reference_length(pair, 2));
        assert_int_equal(utf8_is_valid(pair, 2), reference_is_valid(pair, 2));
    }
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t random = test_random(&seed);
        uint8_t four[4] = {(uint8_t)(0xc0 | random), (uint8_t)(0x80 | (random >> 8)),
                           (uint8_t)(random >> 16), (uint8_t)(0x80 | (random >> 24))};

        assert_int_equal(utf8_length(four, 4), reference_length(four, 4));
        assert_int_equal(utf8_is_valid(four, 4), reference_is_valid(four, 4));
    }
}

TEST(text_is_valid_however_it_is_cut)
{
    static const char text[] = "k\xc3\xb6stlich \xe2\x82\xac 12345678901234567890 "
                               "\xf0\x9f\x94\xa5\xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf end";

    for (size_t piece = 1; piece <= sizeof(text); piece++)
        assert_int_equal(accepted(text, sizeof(text) - 1, piece), sizeof(text) - 1);
    assert_true(is_complete(text, sizeof(text) - 1));
}

TEST(an_impossible_byte_is_refused_at_once_before_the_character_could_be_complete)
{
    assert_int_equal(accepted("ab\x80", 3, 1), 2);         /* continuation of nothing */
    assert_int_equal(accepted("ab\xc0", 3, 1), 2);         /* overlong, whatever follows */
    assert_int_equal(accepted("ab\xc1", 3, 1), 2);         /* overlong */
    assert_int_equal(accepted("ab\xe0\x9f", 4, 1), 3);     /* overlong */
    assert_int_equal(accepted("ab\xf0\x8f", 4, 1), 3);     /* overlong */
    assert_int_equal(accepted("ab\xed\xa0", 4, 1), 3);     /* surrogate */
    assert_int_equal(accepted("ab\xf4\x90", 4, 1), 3);     /* above U+10FFFF */
    assert_int_equal(accepted("ab\xf5", 3, 1), 2);         /* far above */
    assert_int_equal(accepted("ab\xff", 3, 1), 2);         /* never a byte of UTF-8 */
    assert_int_equal(accepted("ab\xe2\x82\x41", 5, 1), 4); /* ASCII within a character */
}

TEST(a_bad_byte_is_found_at_every_place_among_ascii_words)
{
    for (size_t at = 0; at < 40; at++) {
        char text[40];

        memset(text, 'x', sizeof(text));
        text[at] = '\xff';
        assert_false(utf8_is_valid((const uint8_t *)text, sizeof(text)));
        assert_true(utf8_is_valid((const uint8_t *)text, at));
    }
}

TEST(a_text_may_not_end_within_a_character)
{
    assert_true(is_complete("", 0));
    assert_true(is_complete("\xe2\x82\xac", 3));
    assert_false(is_complete("\xe2\x82", 2));
    assert_false(is_complete("\xf0\x9f\x94", 3));
    assert_false(utf8_is_valid((const uint8_t *)"a\xc3", 2));
}
