#include "wire/frame.h"

#include <string.h>

#include "test.h"

static const uint8_t mask[FRAME_MASK_BYTES] = {0x37, 0xfa, 0x21, 0x3d};

static void expect_bytes(struct buf *buf, const void *bytes, size_t size)
{
    assert_int_equal(buf->size, size);
    assert_memory_equal(buf->data, bytes, size);
    buf_deinit(buf);
}

#define EXPECT_BYTES(buf, ...)                                                                     \
    do {                                                                                           \
        static const uint8_t expected[] = {__VA_ARGS__};                                           \
        expect_bytes(buf, expected, sizeof(expected));                                             \
    } while (0)

TEST(frames_are_the_examples_of_rfc_6455_section_5_7)
{
    struct buf out = {0};

    frame_append(&out, FRAME_FIN | WS_TEXT, "Hello", 5, NULL);
    EXPECT_BYTES(&out, 0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f);
    frame_append(&out, FRAME_FIN | WS_TEXT, "Hello", 5, mask);
    EXPECT_BYTES(&out, 0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58);
    frame_append(&out, WS_TEXT, "Hel", 3, NULL);
    EXPECT_BYTES(&out, 0x01, 0x03, 0x48, 0x65, 0x6c);
    frame_append(&out, FRAME_FIN | WS_CONTINUATION, "lo", 2, NULL);
    EXPECT_BYTES(&out, 0x80, 0x02, 0x6c, 0x6f);
    frame_append(&out, FRAME_FIN | WS_PING, "Hello", 5, NULL);
    EXPECT_BYTES(&out, 0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f);
    frame_append(&out, FRAME_FIN | WS_PONG, "Hello", 5, mask);
    EXPECT_BYTES(&out, 0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58);
}

TEST(a_length_takes_the_fewest_bytes_at_each_edge)
{
    static const struct {
        uint64_t size;
        size_t header_size;
        uint8_t header[10];
    } cases[] = {
        {0, 2, {0x82, 0}},
        {125, 2, {0x82, 125}},
        {126, 4, {0x82, 126, 0, 126}},
        {256, 4, {0x82, 126, 1, 0}}, /* RFC 6455 §5.7 */
        {65535, 4, {0x82, 126, 0xff, 0xff}},
        {65536, 10, {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}}, /* RFC 6455 §5.7 */
        {UINT64_C(0x0102030405060708), 10, {0x82, 127, 1, 2, 3, 4, 5, 6, 7, 8}},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t header[FRAME_HEADER_BYTES_MAX];

        assert_int_equal(frame_write_header(header, FRAME_FIN | WS_BINARY, cases[i].size, NULL),
                         cases[i].header_size);
        assert_memory_equal(header, cases[i].header, cases[i].header_size);
    }
}

TEST(a_masked_header_has_its_bit_and_its_key_behind_the_length)
{
    static const uint8_t expected[] = {0x81, 0x80 | 127, 0, 0,    0,    0,    0,
                                       1,    0,          0, 0x37, 0xfa, 0x21, 0x3d};
    uint8_t header[FRAME_HEADER_BYTES_MAX];

    assert_int_equal(frame_write_header(header, FRAME_FIN | WS_TEXT, 65536, mask), 14);
    assert_memory_equal(header, expected, sizeof(expected));
}

TEST(a_compressed_message_has_rsv1)
{
    struct buf out = {0};

    frame_append(&out, FRAME_FIN | FRAME_RSV1 | WS_TEXT, "\x00", 1, NULL);
    EXPECT_BYTES(&out, 0xc1, 0x01, 0x00);
}

TEST(masking_in_parts_is_masking_byte_by_byte)
{
    uint64_t seed = 7;

    for (unsigned round = 0; round < 500; round++) {
        uint8_t bytes[100], expected[100];
        size_t size = test_random(&seed) % 100, cut = size ? test_random(&seed) % size : 0;

        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)test_random(&seed);
            expected[i] = bytes[i] ^ mask[i % 4];
        }
        frame_mask(bytes, cut, mask, 0);
        frame_mask(bytes + cut, size - cut, mask, cut);
        assert_memory_equal(bytes, expected, size);
    }
}

TEST(frames_are_appended_behind_one_another)
{
    struct buf out = {0};

    frame_append(&out, FRAME_FIN | WS_TEXT, "a", 1, NULL);
    frame_append(&out, FRAME_FIN | WS_TEXT, NULL, 0, mask);
    frame_append(&out, FRAME_FIN | WS_TEXT, "\x37", 1, mask);
    EXPECT_BYTES(&out, 0x81, 1, 'a', 0x81, 0x80, 0x37, 0xfa, 0x21, 0x3d, 0x81, 0x81, 0x37, 0xfa,
                 0x21, 0x3d, 0);
}

TEST(a_close_frame_has_its_code_in_network_order_and_its_reason)
{
    struct buf out = {0};

    frame_append_close(&out, WS_CLOSE_GOING_AWAY, STR("bye"), NULL);
    EXPECT_BYTES(&out, 0x88, 5, 0x03, 0xe9, 'b', 'y', 'e');
    frame_append_close(&out, WS_CLOSE_NORMAL, (struct str){0}, NULL);
    EXPECT_BYTES(&out, 0x88, 2, 0x03, 0xe8);
    frame_append_close(&out, WS_CLOSE_NORMAL, (struct str){0}, mask);
    EXPECT_BYTES(&out, 0x88, 0x82, 0x37, 0xfa, 0x21, 0x3d, 0x37 ^ 0x03, 0xfa ^ 0xe8);
}

TEST(a_close_reason_may_have_123_bytes)
{
    char reason[123];
    struct buf out = {0};

    memset(reason, 'r', sizeof(reason));
    frame_append_close(&out, WS_CLOSE_POLICY, (struct str){reason, sizeof(reason)}, NULL);
    assert_int_equal(out.size, 2 + 125);
    assert_int_equal((uint8_t)out.data[1], 125);
    buf_deinit(&out);
}

TEST(a_close_without_status_has_no_body)
{
    struct buf out = {0};

    frame_append_close(&out, WS_CLOSE_NO_STATUS, (struct str){0}, NULL);
    EXPECT_BYTES(&out, 0x88, 0);
}

TEST(close_codes_on_the_wire_are_those_of_rfc_6455_and_the_registry)
{
    static const struct {
        unsigned first, last;
    } valid[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
    unsigned range = 0;

    for (unsigned code = 0; code <= 65535; code++) {
        bool expected;

        if (range < ARRAY_LEN(valid) && code > valid[range].last) range++;
        expected = range < ARRAY_LEN(valid) && code >= valid[range].first;
        assert_int_equal(frame_close_code_is_valid(code), expected);
    }
}
