#include "wire/query.h"

#include "base/utf8.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes the next character, decoding "%41"; -1 where a '%' lacks its digits (RFC 3986 §2.1). In a
 * query '+' is a space. */
static int next_decoded(struct str *rest, char space)
{
    int c = (unsigned char)rest->at[0];
    int high, low;

    if (c != '%') {
        *rest = str_skip(*rest, 1);
        return c == space ? ' ' : c;
    }
    if (rest->size < 3) return -1;
    high = hex_value(rest->at[1]);
    low = hex_value(rest->at[2]);
    if (high < 0 || low < 0) return -1;
    *rest = str_skip(*rest, 3);
    return high << 4 | low;
}

static bool equals(struct str encoded, struct str plain)
{
    for (size_t i = 0; i < plain.size; i++)
        if (!encoded.size || next_decoded(&encoded, '+') != (unsigned char)plain.at[i])
            return false;
    return encoded.size == 0;
}

/* Leaves *out as it was when it returns false. */
static bool decode(struct str encoded, char space, struct buf *out)
{
    size_t before = out->size;
    bool is_text = true;

    while (encoded.size && is_text) {
        int c = next_decoded(&encoded, space);

        is_text = c > 0;
        buf_add_char(out, (char)c);
    }
    if (is_text && out->size > before)
        is_text = utf8_is_valid((const uint8_t *)out->data + before, out->size - before);
    if (!is_text) out->size = before;
    return is_text;
}

enum query_result query_get(struct str query, const char *name, struct buf *value)
{
    struct str rest = query;
    struct str encoded = {0};
    bool found = false;

    while (rest.size) {
        struct str pair = str_split(&rest, '&');

        if (!equals(str_split(&pair, '='), str_of(name))) continue;
        if (found) return QUERY_DUPLICATE;
        found = true;
        encoded = pair;
    }
    if (!found) return QUERY_ABSENT;
    return decode(encoded, '+', value) ? QUERY_OK : QUERY_BAD_ENCODING;
}

bool query_decode_segment(struct str segment, struct buf *text)
{
    return decode(segment, ' ', text); /* no target has a space: nothing stands for one */
}
