#include "wire/deflate.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

/* What `bytes` inflate to must be `text`. */
static void expect_inflated(const uint8_t *bytes, size_t size, const char *text)
{
    struct inflater inflater;
    struct buf out = {0};

    inflater_init(&inflater);
    assert_int_equal(inflate_message(&inflater, bytes, size, 1000, &out), INFLATE_OK);
    assert_int_equal(out.size, strlen(text));
    assert_memory_equal(out.data ? out.data : "", text, out.size);
    buf_deinit(&out);
    inflater_deinit(&inflater);
}

static enum inflate_result inflate_once(const void *bytes, size_t size, size_t out_bytes_max,
                                        struct buf *out)
{
    struct inflater inflater;
    enum inflate_result result;

    inflater_init(&inflater);
    result = inflate_message(&inflater, bytes, size, out_bytes_max, out);
    inflater_deinit(&inflater);
    return result;
}

static void expect_bad(const uint8_t *bytes, size_t size)
{
    struct buf out = {0};

    buf_add(&out, "kept", 4);
    assert_int_equal(inflate_once(bytes, size, 1000, &out), INFLATE_BAD_DATA);
    assert_int_equal(out.size, 4);
    buf_deinit(&out);
}

static struct buf deflate_once(const void *bytes, size_t size, int level, int window_bits)
{
    struct deflater deflater;
    struct buf out = {0};

    deflater_init(&deflater, level, window_bits);
    deflate_message(&deflater, bytes, size, &out);
    deflater_deinit(&deflater);
    return out;
}

/* Text that compresses, but not to nothing. */
static struct buf words(size_t size, uint64_t seed)
{
    static const char *const vocabulary[] = {"price", "long", "short", ":", ",", "98000", "{", "}"};
    struct buf out = {0};

    while (out.size < size)
        buf_add_text(&out, vocabulary[test_random(&seed) % ARRAY_LEN(vocabulary)]);
    out.size = size;
    return out;
}

static void expect_gzip(const struct blob *packed, const struct blob *bytes)
{
    z_stream stream = {.next_in = (Bytef *)packed->data, .avail_in = (uInt)packed->size};
    struct buf out = {0};

    assert_in_range(packed->size, 18, bytes->size - 1);
    assert_memory_equal(packed->data, "\x1f\x8b\x08", 3); /* RFC 1952 §2.3.1 */
    buf_reserve(&out, bytes->size);
    stream.next_out = (Bytef *)out.data;
    stream.avail_out = (uInt)bytes->size;
    assert_int_equal(inflateInit2(&stream, 16 + 15), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END); /* its checksum is right, too */
    assert_int_equal(stream.total_out, bytes->size);
    assert_memory_equal(out.data, bytes->data, bytes->size);
    inflateEnd(&stream);
    buf_deinit(&out);
}

TEST(gzip_is_told_by_its_header_and_gives_the_same_back)
{
    struct buf text = words(5000, 7);
    struct blob *bytes = blob_take(&text), *packed = gzip_blob(bytes, 6);

    expect_gzip(packed, bytes);
    blob_unref(packed);
    blob_unref(bytes);
}

/* Zeros, and now and then something else, as in what a matrix is sent as. */
static struct buf mostly_zeros(size_t size, uint64_t seed)
{
    struct buf bytes = {0};

    while (bytes.size < size) {
        uint64_t dice = test_random(&seed);

        buf_add_char(&bytes, dice % 12 ? '\0' : (char)(dice >> 60));
    }
    return bytes;
}

TEST(gzip_of_runs_gives_the_same_back_and_is_smaller_than_a_fast_one)
{
    struct buf zeros = mostly_zeros(100000, 7);
    struct blob *bytes = blob_take(&zeros), *packed = gzip_runs(bytes);
    struct blob *fast = gzip_blob(bytes, 1);

    expect_gzip(packed, bytes);
    assert_in_range(packed->size, 18, fast->size * 4 / 5);
    blob_unref(fast);
    blob_unref(packed);
    blob_unref(bytes);
}

TEST(gzip_that_does_not_pay_is_none)
{
    uint64_t seed = 1;
    struct buf text = words(1023, 7), noise = {0};
    struct blob *small, *random;

    while (noise.size < 4000)
        buf_add_char(&noise, (char)test_random(&seed));
    small = blob_take(&text);
    random = blob_take(&noise);
    assert_null(gzip_blob(small, 6));
    assert_null(gzip_blob(random, 6));
    blob_unref(small);
    blob_unref(random);
}

TEST(hello_in_one_block_is_rfc_7692_section_7_2_3_1)
{
    static const uint8_t bytes[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};

    expect_inflated(bytes, sizeof(bytes), "Hello");
}

TEST(hello_in_a_stored_block_is_rfc_7692_section_7_2_3_3)
{
    static const uint8_t bytes[] = {0x00, 0x05, 0x00, 0xfa, 0xff, 0x48,
                                    0x65, 0x6c, 0x6c, 0x6f, 0x00};

    expect_inflated(bytes, sizeof(bytes), "Hello");
}

TEST(hello_in_a_final_block_is_rfc_7692_section_7_2_3_4)
{
    static const uint8_t bytes[] = {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00};

    expect_inflated(bytes, sizeof(bytes), "Hello");
}

TEST(hello_in_two_blocks_is_rfc_7692_section_7_2_3_5)
{
    static const uint8_t bytes[] = {0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff,
                                    0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00};

    expect_inflated(bytes, sizeof(bytes), "Hello");
}

TEST(an_empty_message_is_one_zero_byte_rfc_7692_section_7_2_3_6)
{
    static const uint8_t zero[] = {0x00};
    struct buf out = deflate_once("", 0, 6, 15);

    assert_int_equal(out.size, 1);
    assert_int_equal(out.data[0], 0);
    buf_deinit(&out);
    expect_inflated(zero, sizeof(zero), "");
}

TEST(hello_is_compressed_as_in_rfc_7692_section_7_2_3_1)
{
    static const uint8_t expected[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    struct buf out = deflate_once("Hello", 5, 6, 15);

    assert_int_equal(out.size, sizeof(expected));
    assert_memory_equal(out.data, expected, sizeof(expected));
    buf_deinit(&out);
}

TEST(a_final_block_without_the_byte_behind_it_is_understood)
{
    static const uint8_t bytes[] = {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};

    expect_inflated(bytes, sizeof(bytes), "Hello");
}

TEST(several_final_blocks_are_one_message)
{
    static const uint8_t bytes[] = {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, /* Hello, final */
                                    0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, /* again */
                                    0x03, 0x00,                               /* empty, final */
                                    0x00};

    expect_inflated(bytes, sizeof(bytes), "HelloHello");
}

TEST(blocks_behind_a_final_one_may_repeat_what_was_before_it)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog";
    const uInt size = sizeof(text) - 1;
    uint8_t bytes[300];
    char twice[2 * sizeof(text)];
    z_stream stream = {0};
    size_t used;

    /* The text in a final block; then, with it as the window, a reference to all of it. */
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)text;
    stream.avail_in = size;
    stream.next_out = bytes;
    stream.avail_out = sizeof(bytes);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    used = stream.total_out;
    deflateReset(&stream);
    deflateSetDictionary(&stream, (const Bytef *)text, size);
    stream.next_in = (Bytef *)(uintptr_t)text;
    stream.avail_in = size;
    assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    assert_true(stream.total_out < 16);
    used += stream.total_out - 4;
    deflateEnd(&stream);

    snprintf(twice, sizeof(twice), "%s%s", text, text);
    expect_inflated(bytes, used, twice);
}

TEST(what_is_compressed_inflates_to_itself_at_every_level_and_window)
{
    struct buf text = words(100000, 5);

    for (int window_bits = DEFLATE_WINDOW_BITS_MIN; window_bits <= 15; window_bits++)
        for (int level = 0; level <= 9; level += 3) {
            struct buf packed = deflate_once(text.data, text.size, level, window_bits);
            struct buf out = {0};

            assert_int_equal(inflate_once(packed.data, packed.size, text.size, &out), INFLATE_OK);
            assert_int_equal(out.size, text.size);
            assert_memory_equal(out.data, text.data, text.size);
            if (level > 0) assert_true(packed.size < text.size / 2);
            buf_deinit(&packed);
            buf_deinit(&out);
        }
    buf_deinit(&text);
}

TEST(a_deflater_keeps_to_its_window)
{
    /* 400 random bytes, 3000 of something else, the 400 again: a window of 512 cannot see them. */
    uint8_t bytes[3800];
    uint64_t seed = 11;
    struct buf small, large;
    z_stream stream = {0};
    uint8_t again[sizeof(bytes)];

    for (size_t i = 0; i < 400; i++)
        bytes[i] = bytes[3400 + i] = (uint8_t)test_random(&seed);
    memset(bytes + 400, 'x', 3000);
    small = deflate_once(bytes, sizeof(bytes), 9, 9);
    large = deflate_once(bytes, sizeof(bytes), 9, 15);
    assert_true(large.size + 300 < small.size);

    /* A peer that has only this window can read it; the other it cannot. */
    assert_int_equal(inflateInit2(&stream, -9), Z_OK);
    stream.next_in = (Bytef *)small.data;
    stream.avail_in = (uInt)small.size;
    for (size_t got = 0; got < sizeof(again); got++) {
        stream.next_out = again + got; /* a byte at a time: the output is no window */
        stream.avail_out = 1;
        assert_int_equal(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
    }
    assert_memory_equal(again, bytes, sizeof(bytes));
    inflateEnd(&stream);
    buf_deinit(&small);
    buf_deinit(&large);
}

TEST(bytes_that_do_not_compress_survive)
{
    uint8_t bytes[70000];
    uint64_t seed = 3;
    struct buf packed, out = {0};

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)test_random(&seed);
    for (int window_bits = 9; window_bits <= 15; window_bits += 3) {
        packed = deflate_once(bytes, sizeof(bytes), 6, window_bits);
        buf_clear(&out);
        assert_int_equal(inflate_once(packed.data, packed.size, sizeof(bytes), &out), INFLATE_OK);
        assert_int_equal(out.size, sizeof(bytes));
        assert_memory_equal(out.data, bytes, sizeof(bytes));
        buf_deinit(&packed);
    }
    buf_deinit(&out);
}

TEST(messages_stand_alone)
{
    struct deflater deflater;
    struct buf first = {0}, second = {0};

    deflater_init(&deflater, 6, 15);
    deflate_message(&deflater, "a text that comes twice", 23, &first);
    deflate_message(&deflater, "a text that comes twice", 23, &second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    buf_deinit(&first);
    buf_deinit(&second);
    deflater_deinit(&deflater);
}

TEST(a_message_may_not_refer_to_the_one_before)
{
    /* RFC 7692 §7.2.3.2: the second Hello with context takeover. */
    static const uint8_t first[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    static const uint8_t second[] = {0xf2, 0x00, 0x11, 0x00, 0x00};
    struct inflater inflater;
    struct buf out = {0};

    inflater_init(&inflater);
    assert_int_equal(inflate_message(&inflater, first, sizeof(first), 1000, &out), INFLATE_OK);
    assert_int_equal(inflate_message(&inflater, second, sizeof(second), 1000, &out),
                     INFLATE_BAD_DATA);
    assert_int_equal(out.size, 5);
    buf_deinit(&out);
    inflater_deinit(&inflater);
}

TEST(an_inflater_works_again_after_bad_data_and_after_too_much)
{
    static const uint8_t good[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    static const uint8_t bad[] = {0xff, 0xff, 0xff};
    struct inflater inflater;
    struct buf out = {0};

    inflater_init(&inflater);
    assert_int_equal(inflate_message(&inflater, bad, sizeof(bad), 100, &out), INFLATE_BAD_DATA);
    assert_int_equal(inflate_message(&inflater, good, sizeof(good), 4, &out), INFLATE_TOO_BIG);
    assert_int_equal(inflate_message(&inflater, good, sizeof(good), 5, &out), INFLATE_OK);
    assert_int_equal(out.size, 5);
    buf_deinit(&out);
    inflater_deinit(&inflater);
}

TEST(the_bound_is_exact)
{
    struct buf text = words(5000, 9), packed = deflate_once(text.data, text.size, 6, 15);
    struct buf out = {0};

    buf_add(&out, "kept", 4);
    assert_int_equal(inflate_once(packed.data, packed.size, 4999, &out), INFLATE_TOO_BIG);
    assert_int_equal(out.size, 4);
    assert_int_equal(inflate_once(packed.data, packed.size, 5000, &out), INFLATE_OK);
    assert_int_equal(out.size, 4 + 5000);
    assert_memory_equal(out.data + 4, text.data, 5000);
    buf_deinit(&text);
    buf_deinit(&packed);
    buf_deinit(&out);
}

TEST(nothing_may_come_of_a_message_when_the_bound_is_zero)
{
    static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    static const uint8_t empty[] = {0x00};
    struct buf out = {0};

    assert_int_equal(inflate_once(hello, sizeof(hello), 0, &out), INFLATE_TOO_BIG);
    assert_int_equal(inflate_once(empty, sizeof(empty), 0, &out), INFLATE_OK);
    buf_deinit(&out);
}

TEST(a_bomb_is_stopped_at_the_bound_and_holds_little_memory)
{
    size_t size = 16 << 20;
    char *zeros = mem_zalloc(size);
    struct buf packed = deflate_once(zeros, size, 9, 15), out = {0};

    assert_true(packed.size < 20000);
    assert_int_equal(inflate_once(packed.data, packed.size, 4096, &out), INFLATE_TOO_BIG);
    assert_true(out.capacity <= 64 * 1024);
    assert_int_equal(inflate_once(packed.data, packed.size, size, &out), INFLATE_OK);
    assert_int_equal(out.size, size);
    assert_memory_equal(out.data, zeros, size);
    free(zeros);
    buf_deinit(&packed);
    buf_deinit(&out);
}

TEST(a_message_cut_off_anywhere_is_bad_data)
{
    struct buf text = words(300, 21), packed = deflate_once(text.data, text.size, 6, 15);

    for (size_t size = 0; size < packed.size; size++) {
        struct buf out = {0};

        assert_int_equal(inflate_once(packed.data, size, 1000, &out), INFLATE_BAD_DATA);
        buf_deinit(&out);
    }
    buf_deinit(&packed);
    buf_deinit(&text);
}

TEST(what_is_not_deflate_is_bad_data)
{
    static const uint8_t reserved_block_type[] = {0x06};
    static const uint8_t stored_length_wrong[] = {0x00, 0x05, 0x00, 0x00, 0x00, 'H', 'e'};
    static const uint8_t refers_before_the_start[] = {0x02, 0x03, 0x00};
    static const uint8_t tail_not_removed_and_more[] = {0x00, 0x00, 0x00, 0xff, 0xff, 0x07};

    expect_bad(reserved_block_type, sizeof(reserved_block_type));
    expect_bad(stored_length_wrong, sizeof(stored_length_wrong));
    expect_bad(refers_before_the_start, sizeof(refers_before_the_start));
    expect_bad(tail_not_removed_and_more, sizeof(tail_not_removed_and_more));
    expect_bad((const uint8_t *)"", 0);
}

TEST(random_bytes_never_give_more_than_the_bound)
{
    uint64_t seed = 99;
    struct inflater inflater;
    unsigned refused = 0;

    inflater_init(&inflater);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t bytes[64];
        struct buf out = {0};
        size_t size = test_random(&seed) % sizeof(bytes);

        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)test_random(&seed);
        refused += inflate_message(&inflater, bytes, size, 50, &out) != INFLATE_OK;
        assert_true(out.size <= 50);
        buf_deinit(&out);
    }
    assert_true(refused > 10000);
    inflater_deinit(&inflater);
}
