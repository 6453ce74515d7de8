#include "base/printable.h"

#include <string.h>

#include "base/utf8.h"

static bool is_printable_ascii(char c)
{
    return c >= ' ' && c <= '~';
}

void printable_keep_ascii(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_printable_ascii(text[i])) text[i] = '?';
}

/* Is what utf8_length() found at `at` one that a terminal would obey? */
static bool is_control(const char *at, size_t length)
{
    if (length == 1) return !is_printable_ascii(at[0]);
    return (uint8_t)at[0] == 0xc2 && (uint8_t)at[1] <= 0x9f; /* U+0080 to U+009F: C1 */
}

size_t printable_keep_utf8(char *text, size_t size)
{
    size_t kept = 0;

    for (size_t i = 0; i < size;) {
        size_t length = utf8_length((const uint8_t *)text + i, size - i);

        if (!length || is_control(text + i, length))
            text[kept++] = '?';
        else {
            memmove(text + kept, text + i, length);
            kept += length;
        }
        i += MAX(length, (size_t)1);
    }
    return kept;
}
