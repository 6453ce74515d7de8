#include "wire/frame.h"

#include <assert.h>
#include <string.h>

bool frame_close_code_is_valid(unsigned code)
{
    /* RFC 6455 §7.4.2: below 1000 unused, 1016-2999 reserved for the protocol, 5000 up undefined.
     * 1004 is reserved; 1005, 1006 and 1015 must not be set by an endpoint (§7.4.1). 1012 to 1014
     * are in IANA's registry. */
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static size_t write_big_endian(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(value >> 8 * (size - 1 - i));
    return size;
}

size_t frame_write_header(uint8_t out[FRAME_HEADER_BYTES_MAX], unsigned first, uint64_t size,
                          const uint8_t *mask)
{
    uint8_t mask_bit = mask ? 0x80 : 0;
    size_t used = 2;

    out[0] = (uint8_t)first;
    /* RFC 6455 §5.2: the minimal number of bytes MUST be used. */
    if (size <= 125) {
        out[1] = (uint8_t)(mask_bit | size);
    } else if (size <= UINT16_MAX) {
        out[1] = mask_bit | 126;
        used += write_big_endian(out + 2, size, 2);
    } else {
        out[1] = mask_bit | 127;
        used += write_big_endian(out + 2, size, 8);
    }
    if (!mask) return used;
    memcpy(out + used, mask, FRAME_MASK_BYTES);
    return used + FRAME_MASK_BYTES;
}

void frame_mask(uint8_t *bytes, size_t size, const uint8_t mask[FRAME_MASK_BYTES], uint64_t offset)
{
    uint8_t pattern[8];
    uint64_t pattern_word, word;
    size_t i = 0;

    /* RFC 6455 §5.3: octet i is XORed with octet i modulo 4 of the key. Eight bytes at a time take
     * the key twice, turned to where this part begins; memcpy() keeps byte order out of it. */
    for (size_t k = 0; k < sizeof(pattern); k++)
        pattern[k] = mask[(offset + k) % FRAME_MASK_BYTES];
    memcpy(&pattern_word, pattern, sizeof(pattern_word));
    for (; size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        word ^= pattern_word;
        memcpy(bytes + i, &word, sizeof(word));
    }
    for (; i < size; i++)
        bytes[i] ^= pattern[i % sizeof(pattern)];
}

void frame_append(struct buf *out, unsigned first, const void *payload, size_t size,
                  const uint8_t *mask)
{
    bool is_control = (first & 0x08) != 0;
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    size_t header_size, payload_at;

    assert(!is_control || (size <= FRAME_CONTROL_BYTES_MAX && (first & FRAME_FIN)));
    header_size = frame_write_header(header, first, size, mask);
    buf_reserve(out, header_size + size);
    buf_add(out, header, header_size);
    payload_at = out->size;
    buf_add(out, payload, size);
    if (mask) frame_mask((uint8_t *)out->data + payload_at, size, mask, 0);
}

void frame_append_close(struct buf *out, unsigned code, struct str reason, const uint8_t *mask)
{
    uint8_t body[FRAME_CONTROL_BYTES_MAX];

    if (code == WS_CLOSE_NO_STATUS) {
        frame_append(out, FRAME_FIN | WS_CLOSE, NULL, 0, mask);
        return;
    }
    assert(frame_close_code_is_valid(code) && reason.size <= sizeof(body) - 2);
    write_big_endian(body, code, 2);
    if (reason.size) memcpy(body + 2, reason.at, reason.size);
    frame_append(out, FRAME_FIN | WS_CLOSE, body, 2 + reason.size, mask);
}
