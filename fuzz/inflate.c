/* inflate.c - compressed messages in, and everything that compresses out and in again.
 *
 * The first two bytes are a bound on the inflated size, the third the way to compress. The rest is
 * taken for a compressed message, then for a message to be compressed. */
#include "base/buf.h"
#include "fuzz.h"
#include "wire/deflate.h"

/* As a whole, or what there is of it where that is more than `size_max`. */
static enum inflate_result inflate_afresh(const uint8_t *bytes, size_t size, size_t size_max,
                                          struct buf *out)
{
    struct inflater inflater;
    uint8_t *copy = fuzz_copy(bytes, size);
    enum inflate_result result;

    inflater_init(&inflater);
    result = inflate_message(&inflater, copy, size, size_max, out);
    inflater_deinit(&inflater);
    free(copy);
    return result;
}

/* Whatever comes, the bound holds, a refusal leaves *out alone, and nothing of it is remembered. */
static void check_inflating(const uint8_t *bytes, size_t size, size_t size_max)
{
    static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    struct buf out = {0}, again = {0};
    struct inflater inflater;
    enum inflate_result result;

    buf_add_text(&out, "before");
    result = inflate_afresh(bytes, size, size_max, &out);
    assert(out.size >= 6 && memcmp(out.data, "before", 6) == 0 && out.size - 6 <= size_max);
    if (result != INFLATE_OK) assert(out.size == 6);

    inflater_init(&inflater);
    buf_add_text(&again, "before");
    assert(inflate_message(&inflater, bytes, size, size_max, &again) == result);
    assert(str_eq(buf_str(&again), buf_str(&out)));
    buf_clear(&again);
    assert(inflate_message(&inflater, hello, sizeof(hello), 5, &again) == INFLATE_OK);
    assert(str_eq(buf_str(&again), STR("Hello")));
    inflater_deinit(&inflater);
    buf_deinit(&again);
    buf_deinit(&out);
}

/* A tighter bound is "too big" exactly where the message does not fit. */
static void check_bound(const struct buf *packed, size_t size)
{
    struct buf out = {0};

    assert(inflate_afresh((const uint8_t *)packed->data, packed->size, size, &out) == INFLATE_OK);
    assert(out.size == size);
    buf_clear(&out);
    if (size)
        assert(inflate_afresh((const uint8_t *)packed->data, packed->size, size - 1, &out) ==
               INFLATE_TOO_BIG);
    buf_deinit(&out);
}

static void check_round_trip(const uint8_t *bytes, size_t size, int level, int window_bits)
{
    struct deflater deflater;
    struct buf packed = {0}, packed_again = {0}, out = {0};

    deflater_init(&deflater, level, window_bits);
    deflate_message(&deflater, bytes, size, &packed);
    deflate_message(&deflater, bytes, size, &packed_again);
    deflater_deinit(&deflater);
    assert(str_eq(buf_str(&packed), buf_str(&packed_again))); /* nothing is taken over */
    assert(inflate_afresh((const uint8_t *)packed.data, packed.size, size, &out) == INFLATE_OK);
    assert(str_eq(buf_str(&out), (struct str){(const char *)bytes, size}));
    check_bound(&packed, size);
    buf_deinit(&packed);
    buf_deinit(&packed_again);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    size_t size_max = fuzz_take(&bytes, &size);
    uint8_t how;

    size_max |= (size_t)fuzz_take(&bytes, &size) << 8;
    how = fuzz_take(&bytes, &size);
    check_inflating(bytes, size, size_max);
    check_round_trip(bytes, size, how % 10, 9 + how / 10 % 7);
    return 0;
}
