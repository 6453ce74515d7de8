#include "base/printable.h"

#include <string.h>

#include "base/utf8.h"
#include "test.h"

static void expect_ascii(const char *text, const char *expected)
{
    char copy[64];

    strcpy(copy, text);
    printable_keep_ascii(copy, strlen(copy));
    assert_string_equal(copy, expected);
}

static void expect_utf8(const char *text, const char *expected)
{
    char copy[64];

    strcpy(copy, text);
    copy[printable_keep_utf8(copy, strlen(copy))] = '\0';
    assert_string_equal(copy, expected);
}

TEST(printable_text_stays_as_it_is)
{
    expect_ascii("", "");
    expect_ascii(" BTCUSDT-5m ~", " BTCUSDT-5m ~");
    expect_utf8("", "");
    expect_utf8(" BTCUSDT-5m ~", " BTCUSDT-5m ~");
    expect_utf8("k\xc3\xb6stlich \xe2\x82\xac \xf0\x9f\x94\xa5", /* köstlich € and a fire */
                "k\xc3\xb6stlich \xe2\x82\xac \xf0\x9f\x94\xa5");
    expect_utf8("\xc2\xa0|\xc3\x9b", "\xc2\xa0|\xc3\x9b"); /* the first above C1, and a Û */
}

TEST(escape_sequences_and_line_breaks_are_taken_out)
{
    expect_ascii("a\x1b[2Jb\r\nc\td\x7f", "a?[2Jb??c?d?");
    expect_utf8("a\x1b[2Jb\r\nc\td\x7f", "a?[2Jb??c?d?");
    expect_utf8("\x1b]0;title\x07", "?]0;title?");
}

TEST(c1_controls_are_taken_out_as_characters_and_as_bytes)
{
    expect_utf8("a\xc2\x9b"
                "2J",
                "a?2J"); /* CSI */
    expect_utf8("\xc2\x80\xc2\x9f", "??");
    expect_utf8("\x9b"
                "2J",
                "?2J");
    expect_ascii("\xc2\x9b\x9b", "???");
}

TEST(what_is_no_utf8_is_taken_out_byte_by_byte)
{
    expect_utf8("a\xff\xfe"
                "b",
                "a??b");
    expect_utf8("\xe2\x82", "??");      /* cut off by the end */
    expect_utf8("\xe2\x1b[m", "??[m");  /* an escape hidden within a character */
    expect_utf8("\xc0\x9b", "??");      /* overlong */
    expect_utf8("\xed\xa0\x9b", "???"); /* a surrogate */
    expect_utf8("\xe2\x82\xac\x82", "\xe2\x82\xac?");
    expect_ascii("\xc3\xb6", "??");
}

TEST(a_nul_within_a_text_is_taken_out)
{
    char ascii[] = "a\0b", utf8[] = "a\0b";

    printable_keep_ascii(ascii, 3);
    assert_int_equal(printable_keep_utf8(utf8, 3), 3);
    assert_string_equal(ascii, "a?b");
    assert_string_equal(utf8, "a?b");
}

/* The promise, spelled out. */
static bool has_controls(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] < 0x20 || bytes[i] == 0x7f ||
            (i + 1 < size && bytes[i] == 0xc2 && bytes[i + 1] <= 0x9f))
            return true;
    return false;
}

TEST(whatever_comes_in_what_comes_out_is_utf8_without_controls)
{
    uint64_t seed = 7;

    for (int round = 0; round < 200000; round++) {
        char text[8];
        size_t size = test_random(&seed) % (sizeof(text) + 1);

        for (size_t i = 0; i < size; i++) {
            uint64_t random = test_random(&seed);

            /* Lead bytes, continuations and C1 more often than chance would have them. */
            text[i] = (char)(random & 0x300 ? random : 0xc2 | (random >> 16 & 0x3d));
            if ((random & 0xc00) == 0) text[i] = (char)(0x80 | (random & 0x3f));
        }
        size = printable_keep_utf8(text, size);
        assert_true(utf8_is_valid((const uint8_t *)text, size));
        assert_false(has_controls((const uint8_t *)text, size));
        printable_keep_ascii(text, size);
        for (size_t i = 0; i < size; i++)
            assert_true(text[i] >= ' ' && text[i] <= '~');
    }
}
