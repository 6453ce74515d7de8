#include "wire/ws.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

/* How a decoder is set up. */
struct setup {
    enum ws_role role;
    size_t message_bytes_max;
    bool has_deflate;
};

static const struct setup server = {WS_SERVER, 4096, false};
static const struct setup deflating_server = {WS_SERVER, 4096, true};
static const struct setup client = {WS_CLIENT, 4096, false};
static const struct setup deflating_client = {WS_CLIENT, 4096, true};

static void log_event(struct buf *log, const struct ws_event *event)
{
    static const char *const names[] = {"text", "binary", "ping", "pong", "close", "fail"};

    buf_add_text(log, names[event->type]);
    if (event->code) buf_printf(log, " %d", event->code);
    if (event->type != WS_EVENT_FAIL) {
        buf_add_char(log, ' ');
        buf_add(log, event->payload.at, event->payload.size);
    }
    buf_add_char(log, '\n');
}

/* RFC 6455 leaves nothing to hold between messages; nor after the end. */
static void expect_nothing_held(const struct ws *ws)
{
    if (ws->message_opcode == WS_CONTINUATION || ws->is_over) assert_null(ws->message.data);
    if (!ws->is_in_payload || ws->is_over) assert_null(ws->control.data);
}

/* Feeds a piece from memory of its own, so that looking at it later is found out. */
static void feed_piece(struct ws *ws, const uint8_t *bytes, size_t size, struct buf *log)
{
    uint8_t *copy = mem_alloc(size);
    struct ws_event event;

    if (size) memcpy(copy, bytes, size);
    ws_feed(ws, copy, size);
    while (ws_next(ws, &event))
        log_event(log, &event);
    expect_nothing_held(ws);
    free(copy);
}

/* The events of `bytes` cut in pieces of `piece`, or at random where that is 0. */
static struct buf events_of(const struct setup *setup, const uint8_t *bytes, size_t size,
                            size_t piece, uint64_t *seed)
{
    struct inflater inflater;
    struct buf log = {0};
    struct ws ws;

    inflater_init(&inflater);
    ws_init(&ws, setup->role, setup->message_bytes_max, setup->has_deflate ? &inflater : NULL);
    for (size_t at = 0; at < size;) {
        size_t want = piece ? piece : test_random(seed) % 12;
        size_t n = MIN(want, size - at);

        feed_piece(&ws, bytes + at, n, &log);
        at += n;
    }
    ws_deinit(&ws);
    inflater_deinit(&inflater);
    return log;
}

static void expect_log(struct buf log, const char *expected, size_t expected_size)
{
    buf_add_char(&log, '\0');
    if (log.size != expected_size + 1 || memcmp(log.data, expected, expected_size) != 0)
        print_error("events:\n%s\nexpected:\n%s\n", log.data, expected);
    assert_int_equal(log.size, expected_size + 1);
    assert_memory_equal(log.data, expected, expected_size);
    buf_deinit(&log);
}

/* Fed whole, byte by byte, and cut at random, the events are `expected`. */
static void expect_events(const struct setup *setup, const uint8_t *bytes, size_t size,
                          const char *expected, size_t expected_size)
{
    uint64_t seed = 42;

    expect_log(events_of(setup, bytes, size, size, NULL), expected, expected_size);
    expect_log(events_of(setup, bytes, size, 1, NULL), expected, expected_size);
    for (unsigned round = 0; round < 50; round++)
        expect_log(events_of(setup, bytes, size, 0, &seed), expected, expected_size);
}

#define EXPECT_EVENTS(setup, bytes, text)                                                          \
    expect_events(setup, bytes, sizeof(bytes), text, sizeof(text) - 1)
#define EXPECT_BUF_EVENTS(setup, buf, text)                                                        \
    expect_events(setup, (const uint8_t *)(buf)->data, (buf)->size, text, sizeof(text) - 1)

/* `bytes` make a server fail with `code` and nothing else. */
static void expect_close(const uint8_t *bytes, size_t size, enum ws_close_code code)
{
    char expected[20];

    snprintf(expected, sizeof(expected), "fail %d\n", code);
    expect_events(&server, bytes, size, expected, strlen(expected));
}

#define EXPECT_CLOSE(bytes, code) expect_close(bytes, sizeof(bytes), code)

/* Fed one by one, how many bytes does it take until the decoder fails? 0 if it never does. */
static size_t bytes_until_failure(const struct setup *setup, const uint8_t *bytes, size_t size)
{
    struct inflater inflater;
    struct ws ws;
    size_t needed = 0;

    inflater_init(&inflater);
    ws_init(&ws, setup->role, setup->message_bytes_max, setup->has_deflate ? &inflater : NULL);
    for (size_t i = 0; i < size && !needed; i++) {
        uint8_t byte = bytes[i];
        struct ws_event event;

        ws_feed(&ws, &byte, 1);
        while (ws_next(&ws, &event))
            if (event.type == WS_EVENT_FAIL) needed = i + 1;
    }
    ws_deinit(&ws);
    inflater_deinit(&inflater);
    return needed;
}

static const uint8_t mask[FRAME_MASK_BYTES] = {0x37, 0xfa, 0x21, 0x3d};

/* A frame from a client. */
static void add_frame(struct buf *out, unsigned first, const char *payload)
{
    frame_append(out, first, payload, strlen(payload), mask);
}

/* A binary message of `size` bytes, in one frame. */
static struct buf binary_frame(size_t size)
{
    struct buf out = {0};
    char *payload = mem_alloc(size);

    for (size_t i = 0; i < size; i++)
        payload[i] = (char)(i * 7 + (i >> 8));
    frame_append(&out, FRAME_FIN | WS_BINARY, payload, size, mask);
    free(payload);
    return out;
}

static struct buf deflated(const void *bytes, size_t size)
{
    struct deflater deflater;
    struct buf out = {0};

    deflater_init(&deflater, 6, 15);
    deflate_message(&deflater, bytes, size, &out);
    deflater_deinit(&deflater);
    return out;
}

/* ---- Messages ---- */

TEST(a_masked_text_is_the_example_of_rfc_6455_section_5_7)
{
    static const uint8_t bytes[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                    0x7f, 0x9f, 0x4d, 0x51, 0x58};

    EXPECT_EVENTS(&server, bytes, "text Hello\n");
}

TEST(a_client_reads_the_unmasked_examples_of_rfc_6455_section_5_7)
{
    static const uint8_t bytes[] = {0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f, /* one frame */
                                    0x01, 0x03, 0x48, 0x65, 0x6c,             /* two frames */
                                    0x80, 0x02, 0x6c, 0x6f,                   /* */
                                    0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};

    EXPECT_EVENTS(&client, bytes, "text Hello\ntext Hello\nping Hello\n");
}

TEST(empty_messages_and_control_frames_are_events_too)
{
    static const uint8_t bytes[] = {0x81, 0x80, 1, 2, 3, 4, 0x82, 0x80, 1, 2, 3, 4,
                                    0x89, 0x80, 1, 2, 3, 4, 0x8a, 0x80, 1, 2, 3, 4};

    EXPECT_EVENTS(&server, bytes, "text \nbinary \nping \npong \n");
}

TEST(fragments_are_one_message_and_control_frames_may_stand_between_them)
{
    struct buf bytes = {0};

    add_frame(&bytes, WS_TEXT, "Hel");
    add_frame(&bytes, FRAME_FIN | WS_PING, "p1");
    add_frame(&bytes, WS_CONTINUATION, "");
    add_frame(&bytes, WS_CONTINUATION, "lo, wor");
    add_frame(&bytes, FRAME_FIN | WS_PONG, "p2");
    add_frame(&bytes, FRAME_FIN | WS_CONTINUATION, "ld");
    add_frame(&bytes, FRAME_FIN | WS_BINARY, "next");
    EXPECT_BUF_EVENTS(&server, &bytes, "ping p1\npong p2\ntext Hello, world\nbinary next\n");
    buf_deinit(&bytes);
}

TEST(fragments_may_be_empty_first_and_last)
{
    struct buf bytes = {0};

    add_frame(&bytes, WS_BINARY, "");
    add_frame(&bytes, WS_CONTINUATION, "all");
    add_frame(&bytes, FRAME_FIN | WS_CONTINUATION, "");
    add_frame(&bytes, WS_TEXT, "");
    add_frame(&bytes, FRAME_FIN | WS_CONTINUATION, "");
    EXPECT_BUF_EVENTS(&server, &bytes, "binary all\ntext \n");
    buf_deinit(&bytes);
}

TEST(a_random_conversation_gives_the_same_events_however_it_is_cut)
{
    uint64_t seed = 2026;

    for (unsigned round = 0; round < 40; round++) {
        struct buf bytes = {0}, expected = {0}, message = {0};

        for (unsigned count = 0; count < 12; count++) {
            unsigned fragments = 1 + test_random(&seed) % 3;

            buf_clear(&message);
            for (unsigned i = 0; i < fragments; i++) {
                char payload[300];
                size_t size = test_random(&seed) % sizeof(payload);
                unsigned first = i == 0 ? WS_BINARY : WS_CONTINUATION;

                for (size_t k = 0; k < size; k++)
                    payload[k] = (char)test_random(&seed);
                if (i + 1 == fragments) first |= FRAME_FIN;
                frame_append(&bytes, first, payload, size, mask);
                buf_add(&message, payload, size);
                if (i + 1 < fragments) {
                    size = MIN(size, 125);
                    frame_append(&bytes, FRAME_FIN | WS_PING, payload, size, mask);
                    log_event(&expected, &(struct ws_event){.type = WS_EVENT_PING,
                                                            .payload = {payload, size}});
                }
            }
            log_event(&expected,
                      &(struct ws_event){.type = WS_EVENT_BINARY, .payload = buf_str(&message)});
        }
        expect_events(&server, (const uint8_t *)bytes.data, bytes.size, expected.data,
                      expected.size);
        buf_deinit(&bytes);
        buf_deinit(&expected);
        buf_deinit(&message);
    }
}

TEST(lengths_are_read_at_the_edges_of_their_three_forms)
{
    static const size_t sizes[] = {125, 126, 127, 65535, 65536, 65537};
    static const struct setup large = {WS_SERVER, 70000, false};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf bytes = binary_frame(sizes[i]), log;
        static const size_t pieces[] = {1, 2, 7, 1000, 100000};

        for (size_t k = 0; k < ARRAY_LEN(pieces); k++) {
            log = events_of(&large, (const uint8_t *)bytes.data, bytes.size, pieces[k], NULL);
            assert_int_equal(log.size, 7 + sizes[i] + 1);
            for (size_t at = 0; at < sizes[i]; at++)
                if (log.data[7 + at] != (char)(at * 7 + (at >> 8))) fail_msg("byte %zu", at);
            buf_deinit(&log);
        }
        buf_deinit(&bytes);
    }
}

TEST(a_message_of_16_mib_is_taken_and_one_byte_more_is_not)
{
    static const struct setup large = {WS_SERVER, 16 << 20, false};
    static const size_t pieces[] = {65536, 65536 - 3, 32 << 20};
    struct buf bytes = binary_frame(16 << 20), log;

    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        log = events_of(&large, (const uint8_t *)bytes.data, bytes.size, pieces[i], NULL);
        assert_int_equal(log.size, 7 + (16 << 20) + 1);
        for (size_t at = 0; at < 16 << 20; at++)
            if (log.data[7 + at] != (char)(at * 7 + (at >> 8))) fail_msg("byte %zu", at);
        buf_deinit(&log);
    }
    buf_deinit(&bytes);
    bytes = binary_frame((16 << 20) + 1);
    expect_log(events_of(&large, (const uint8_t *)bytes.data, bytes.size, 65536, NULL),
               "fail 1009\n", 10);
    buf_deinit(&bytes);
}

TEST(what_was_not_looked_at_can_be_taken_back_and_fed_again)
{
    uint8_t bytes[] = {0x81, 0x81, 0, 0, 0, 0, 'a', 0x81, 0x82, 1, 2, 3, 4, 'b' ^ 1, 'c' ^ 2, 0x89};
    uint8_t end[] = {0x80, 1, 2, 3, 4};
    struct buf rest = {0}, log = {0};
    struct ws_event event;
    struct ws ws;

    ws_init(&ws, WS_SERVER, 100, NULL);
    ws_feed(&ws, bytes, sizeof(bytes));
    assert_true(ws_next(&ws, &event));
    ws_take_rest(&ws, &rest);
    assert_int_equal(rest.size, sizeof(bytes) - 7);
    log_event(&log, &event); /* it still lies in `bytes` */
    assert_false(ws_next(&ws, &event));
    feed_piece(&ws, (const uint8_t *)rest.data, rest.size, &log);
    feed_piece(&ws, end, sizeof(end), &log);
    expect_log(log, "text a\ntext bc\nping \n", 21);
    buf_deinit(&rest);
    ws_deinit(&ws);
}

TEST(a_message_in_one_piece_is_given_where_it_lies)
{
    uint8_t bytes[] = {0x81, 0x82, 1, 2, 3, 4, 'h' ^ 1, 'i' ^ 2};
    struct ws_event event;
    struct ws ws;

    ws_init(&ws, WS_SERVER, 100, NULL);
    ws_feed(&ws, bytes, sizeof(bytes));
    assert_true(ws_next(&ws, &event));
    assert_ptr_equal(event.payload.at, bytes + 6);
    assert_memory_equal(bytes + 6, "hi", 2);
    assert_null(ws.message.data);
    assert_false(ws_next(&ws, &event));
    ws_deinit(&ws);
}

TEST(a_decoder_is_small_and_holds_no_more_than_has_come)
{
    /* 4000 bytes are announced, 10 have come. */
    uint8_t bytes[18] = {0x82, 0xfe, 0x0f, 0xa0, 1, 2, 3, 4};
    struct ws_event event;
    struct ws ws;

    assert_true(sizeof(ws) <= 160);
    ws_init(&ws, WS_SERVER, 4096, NULL);
    ws_feed(&ws, bytes, sizeof(bytes));
    assert_false(ws_next(&ws, &event));
    assert_int_equal(ws.message.size, 10);
    assert_true(ws.message.capacity <= 64);
    ws_deinit(&ws);
}

TEST(nothing_fed_is_no_event)
{
    struct buf log = {0};
    struct ws ws;
    uint8_t bytes[] = {0x81, 0x82, 0, 0, 0, 0, 'h', 'i'};
    struct ws_event event;

    ws_init(&ws, WS_SERVER, 100, NULL);
    assert_false(ws_next(&ws, &event));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        ws_feed(&ws, NULL, 0);
        assert_false(ws_next(&ws, &event));
        feed_piece(&ws, bytes + i, 1, &log);
    }
    expect_log(log, "text hi\n", 8);
    ws_deinit(&ws);
}

/* ---- Headers ---- */

TEST(an_unmasked_frame_from_a_client_is_a_protocol_error)
{
    /* RFC 6455 §5.1 */
    static const uint8_t bytes[] = {0x81, 0x05, 'H', 'e', 'l', 'l', 'o'};

    EXPECT_CLOSE(bytes, WS_CLOSE_PROTOCOL_ERROR);
    assert_int_equal(bytes_until_failure(&server, bytes, sizeof(bytes)), 2);
}

TEST(a_masked_frame_from_a_server_is_a_protocol_error)
{
    /* RFC 6455 §5.1 */
    static const uint8_t bytes[] = {0x81, 0x85, 0, 0, 0, 0, 'H', 'e', 'l', 'l', 'o'};

    EXPECT_EVENTS(&client, bytes, "fail 1002\n");
    assert_int_equal(bytes_until_failure(&client, bytes, sizeof(bytes)), 2);
}

TEST(reserved_bits_are_a_protocol_error_at_the_first_byte)
{
    static const uint8_t bits[] = {0x10, 0x20, 0x30, 0x40, 0x50, 0x70};
    static const uint8_t opcodes[] = {WS_TEXT, WS_BINARY, WS_CLOSE, WS_PING, WS_PONG};

    for (size_t i = 0; i < ARRAY_LEN(bits); i++)
        for (size_t k = 0; k < ARRAY_LEN(opcodes); k++) {
            uint8_t bytes[] = {0x80 | bits[i] | opcodes[k], 0x80, 1, 2, 3, 4};

            EXPECT_CLOSE(bytes, WS_CLOSE_PROTOCOL_ERROR);
            assert_int_equal(bytes_until_failure(&server, bytes, sizeof(bytes)), 1);
        }
}

TEST(reserved_opcodes_are_a_protocol_error_at_the_first_byte)
{
    static const uint8_t opcodes[] = {0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf};

    for (size_t i = 0; i < ARRAY_LEN(opcodes); i++) {
        uint8_t bytes[] = {0x80 | opcodes[i], 0x80, 1, 2, 3, 4};

        EXPECT_CLOSE(bytes, WS_CLOSE_PROTOCOL_ERROR);
        assert_int_equal(bytes_until_failure(&server, bytes, sizeof(bytes)), 1);
    }
}

TEST(a_fragmented_ping_is_a_protocol_error)
{
    /* FIN clear, opcode ping, masked, empty. RFC 6455 §5.5: "MUST NOT be fragmented". */
    static const uint8_t bytes[] = {0x09, 0x80, 1, 2, 3, 4};

    EXPECT_CLOSE(bytes, WS_CLOSE_PROTOCOL_ERROR);
}

TEST(a_fragmented_pong_or_close_is_a_protocol_error)
{
    static const uint8_t pong[] = {0x0a, 0x80, 1, 2, 3, 4};
    static const uint8_t close[] = {0x08, 0x80, 1, 2, 3, 4};

    EXPECT_CLOSE(pong, WS_CLOSE_PROTOCOL_ERROR);
    EXPECT_CLOSE(close, WS_CLOSE_PROTOCOL_ERROR);
}

TEST(a_control_frame_may_have_125_bytes_and_not_126)
{
    uint8_t fits[6 + 125] = {0x89, 0x80 | 125};
    uint8_t longer[8 + 126] = {0x89, 0x80 | 126, 0, 126};
    char expected[5 + 125 + 1];

    memset(fits + 6, 'x', 125);
    memcpy(expected, "ping ", 5);
    memset(expected + 5, 'x', 125);
    expected[130] = '\n';
    expect_events(&server, fits, sizeof(fits), expected, sizeof(expected));
    EXPECT_CLOSE(longer, WS_CLOSE_PROTOCOL_ERROR);
    assert_int_equal(bytes_until_failure(&server, longer, sizeof(longer)), 2);
}

TEST(a_continuation_without_a_message_is_a_protocol_error)
{
    static const uint8_t final[] = {0x80, 0x80, 1, 2, 3, 4};
    static const uint8_t other[] = {0x00, 0x80, 1, 2, 3, 4};

    EXPECT_CLOSE(final, WS_CLOSE_PROTOCOL_ERROR);
    EXPECT_CLOSE(other, WS_CLOSE_PROTOCOL_ERROR);
}

TEST(a_continuation_after_the_last_fragment_is_a_protocol_error)
{
    struct buf bytes = {0};

    add_frame(&bytes, WS_TEXT, "a");
    add_frame(&bytes, FRAME_FIN | WS_CONTINUATION, "b");
    add_frame(&bytes, FRAME_FIN | WS_CONTINUATION, "c");
    EXPECT_BUF_EVENTS(&server, &bytes, "text ab\nfail 1002\n");
    buf_deinit(&bytes);
}

TEST(a_message_within_a_message_is_a_protocol_error)
{
    static const unsigned opcodes[] = {WS_TEXT, WS_BINARY, FRAME_FIN | WS_TEXT,
                                       FRAME_FIN | WS_BINARY};

    for (size_t i = 0; i < ARRAY_LEN(opcodes); i++) {
        struct buf bytes = {0};

        add_frame(&bytes, WS_TEXT, "a");
        add_frame(&bytes, opcodes[i], "b");
        EXPECT_BUF_EVENTS(&server, &bytes, "fail 1002\n");
        buf_deinit(&bytes);
    }
}

TEST(a_length_not_in_its_shortest_form_is_a_protocol_error)
{
    /* RFC 6455 §5.2: "the minimal number of bytes MUST be used" */
    static const uint8_t two_for_125[] = {0x82, 0xfe, 0, 125, 1, 2, 3, 4};
    static const uint8_t two_for_0[] = {0x82, 0xfe, 0, 0, 1, 2, 3, 4};
    static const uint8_t eight_for_65535[] = {0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4};

    EXPECT_CLOSE(two_for_125, WS_CLOSE_PROTOCOL_ERROR);
    EXPECT_CLOSE(two_for_0, WS_CLOSE_PROTOCOL_ERROR);
    EXPECT_CLOSE(eight_for_65535, WS_CLOSE_PROTOCOL_ERROR);
}

TEST(a_length_with_its_top_bit_set_is_a_protocol_error)
{
    static const uint8_t bytes[] = {0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4};

    EXPECT_CLOSE(bytes, WS_CLOSE_PROTOCOL_ERROR);
}

TEST(the_largest_length_is_too_big_and_not_an_overflow)
{
    static const uint8_t bytes[] = {0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct buf fragments = {0};

    EXPECT_CLOSE(bytes, WS_CLOSE_TOO_BIG);
    add_frame(&fragments, WS_BINARY, "some");
    buf_add(&fragments, "\x80", 1);
    buf_add(&fragments, bytes + 1, sizeof(bytes) - 1);
    EXPECT_BUF_EVENTS(&server, &fragments, "fail 1009\n");
    buf_deinit(&fragments);
}

/* ---- Size ---- */

TEST(a_message_of_the_size_allowed_is_taken)
{
    static const struct setup ten = {WS_SERVER, 10, false};
    struct buf bytes = {0};

    add_frame(&bytes, FRAME_FIN | WS_TEXT, "0123456789");
    add_frame(&bytes, WS_TEXT, "01234");
    add_frame(&bytes, FRAME_FIN | WS_CONTINUATION, "56789");
    EXPECT_BUF_EVENTS(&ten, &bytes, "text 0123456789\ntext 0123456789\n");
    buf_deinit(&bytes);
}

TEST(one_byte_more_is_too_big_and_told_by_the_header)
{
    static const struct setup ten = {WS_SERVER, 10, false};
    struct buf whole = {0}, fragments = {0};

    add_frame(&whole, FRAME_FIN | WS_TEXT, "0123456789a");
    EXPECT_BUF_EVENTS(&ten, &whole, "fail 1009\n");
    assert_int_equal(bytes_until_failure(&ten, (uint8_t *)whole.data, whole.size), 2);
    add_frame(&fragments, WS_TEXT, "01234");
    add_frame(&fragments, FRAME_FIN | WS_CONTINUATION, "56789a");
    EXPECT_BUF_EVENTS(&ten, &fragments, "fail 1009\n");
    assert_int_equal(bytes_until_failure(&ten, (uint8_t *)fragments.data, fragments.size),
                     6 + 5 + 2);
    buf_deinit(&whole);
    buf_deinit(&fragments);
}

TEST(control_frames_do_not_count_towards_a_message)
{
    static const struct setup one = {WS_SERVER, 1, false};
    struct buf bytes = {0};

    add_frame(&bytes, WS_TEXT, "");
    add_frame(&bytes, FRAME_FIN | WS_PING, "a long ping");
    add_frame(&bytes, FRAME_FIN | WS_CONTINUATION, "x");
    EXPECT_BUF_EVENTS(&one, &bytes, "ping a long ping\ntext x\n");
    buf_deinit(&bytes);
}

/* ---- Text ---- */

TEST(text_may_be_cut_within_a_character_by_frames)
{
    struct buf bytes = {0};

    add_frame(&bytes, WS_TEXT, "\xe2");
    add_frame(&bytes, WS_CONTINUATION, "\x82");
    add_frame(&bytes, FRAME_FIN | WS_PING, "\xff is fine in a ping");
    add_frame(&bytes, FRAME_FIN | WS_CONTINUATION, "\xac 1");
    EXPECT_BUF_EVENTS(&server, &bytes,
                      "ping \xff is fine in a ping\n"
                      "text \xe2\x82\xac 1\n");
    buf_deinit(&bytes);
}

TEST(text_that_is_not_utf8_fails_at_the_first_bad_byte)
{
    /* 100 bytes are announced; the third is bad, and no more come. */
    uint8_t bytes[] = {0x81, 0x80 | 100, 0, 0, 0, 0, 'a', 'b', 0xff};
    uint8_t overlong[] = {0x81, 0x80 | 100, 0, 0, 0, 0, 'a', 0xe0, 0x80};

    EXPECT_CLOSE(bytes, WS_CLOSE_BAD_DATA);
    EXPECT_CLOSE(overlong, WS_CLOSE_BAD_DATA);
    assert_int_equal(bytes_until_failure(&server, bytes, sizeof(bytes)), 9);
}

TEST(text_that_ends_within_a_character_is_bad_data)
{
    struct buf whole = {0}, fragments = {0};

    add_frame(&whole, FRAME_FIN | WS_TEXT, "a\xe2\x82");
    EXPECT_BUF_EVENTS(&server, &whole, "fail 1007\n");
    add_frame(&fragments, WS_TEXT, "a\xe2\x82");
    add_frame(&fragments, FRAME_FIN | WS_CONTINUATION, "");
    EXPECT_BUF_EVENTS(&server, &fragments, "fail 1007\n");
    buf_deinit(&whole);
    buf_deinit(&fragments);
}

TEST(each_text_begins_anew)
{
    struct buf bytes = {0};

    add_frame(&bytes, FRAME_FIN | WS_TEXT, "\xc3\xa4");
    add_frame(&bytes, FRAME_FIN | WS_BINARY, "\xc3");
    add_frame(&bytes, FRAME_FIN | WS_TEXT, "\xa4");
    EXPECT_BUF_EVENTS(&server, &bytes, "text \xc3\xa4\nbinary \xc3\nfail 1007\n");
    buf_deinit(&bytes);
}

/* ---- Close ---- */

TEST(a_close_without_body_has_no_status)
{
    static const uint8_t bytes[] = {0x88, 0x80, 1, 2, 3, 4};

    EXPECT_EVENTS(&server, bytes, "close 1005 \n");
}

TEST(a_close_has_its_code_and_reason)
{
    struct buf bytes = {0};

    frame_append_close(&bytes, WS_CLOSE_GOING_AWAY, STR("bye"), mask);
    EXPECT_BUF_EVENTS(&server, &bytes, "close 1001 bye\n");
    buf_deinit(&bytes);
}

TEST(after_a_close_nothing_is_taken)
{
    struct buf bytes = {0};

    add_frame(&bytes, WS_TEXT, "unfinished");
    frame_append_close(&bytes, WS_CLOSE_NORMAL, (struct str){0}, mask);
    add_frame(&bytes, FRAME_FIN | WS_PING, "too late");
    add_frame(&bytes, 0xff, "nonsense");
    EXPECT_BUF_EVENTS(&server, &bytes, "close 1000 \n");
    buf_deinit(&bytes);
}

TEST(after_a_failure_nothing_is_taken)
{
    struct buf bytes = {0};

    add_frame(&bytes, WS_TEXT, "unfinished");
    add_frame(&bytes, 0x83, "");
    add_frame(&bytes, FRAME_FIN | WS_PING, "too late");
    EXPECT_BUF_EVENTS(&server, &bytes, "fail 1002\n");
    buf_deinit(&bytes);
}

TEST(bytes_fed_after_the_end_are_ignored_even_if_the_caller_stopped_asking)
{
    uint8_t bytes[] = {0x88, 0x80, 1, 2, 3, 4, 0x89, 0x80, 1, 2, 3, 4};
    struct ws_event event;
    struct ws ws;

    ws_init(&ws, WS_SERVER, 100, NULL);
    ws_feed(&ws, bytes, sizeof(bytes));
    assert_true(ws_next(&ws, &event));
    assert_int_equal(event.type, WS_EVENT_CLOSE);
    ws_feed(&ws, bytes, sizeof(bytes));
    assert_false(ws_next(&ws, &event));
    ws_deinit(&ws);
}

TEST(a_close_body_of_one_byte_is_a_protocol_error)
{
    static const uint8_t bytes[] = {0x88, 0x81, 0, 0, 0, 0, 0x03};

    EXPECT_CLOSE(bytes, WS_CLOSE_PROTOCOL_ERROR);
}

TEST(close_codes_are_taken_or_refused_at_the_edges_of_their_ranges)
{
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1011,
                                    1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const unsigned bad[] = {0,    1,    999,  1004, 1005, 1006, 1015,
                                   1016, 1100, 2000, 2999, 5000, 65535};

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint8_t bytes[] = {0x88, 0x82, 0, 0, 0, 0, (uint8_t)(good[i] >> 8), (uint8_t)good[i]};
        char expected[20];

        snprintf(expected, sizeof(expected), "close %u \n", good[i]);
        expect_events(&server, bytes, sizeof(bytes), expected, strlen(expected));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t bytes[] = {0x88, 0x82, 0, 0, 0, 0, (uint8_t)(bad[i] >> 8), (uint8_t)bad[i]};

        EXPECT_CLOSE(bytes, WS_CLOSE_PROTOCOL_ERROR);
    }
}

TEST(a_close_reason_that_is_not_utf8_is_bad_data)
{
    static const uint8_t bad[] = {0x88, 0x83, 0, 0, 0, 0, 0x03, 0xe8, 0xff};
    static const uint8_t cut[] = {0x88, 0x84, 0, 0, 0, 0, 0x03, 0xe8, 0xe2, 0x82};
    static const uint8_t good[] = {0x88, 0x85, 0, 0, 0, 0, 0x03, 0xe8, 0xe2, 0x82, 0xac};

    EXPECT_CLOSE(bad, WS_CLOSE_BAD_DATA);
    EXPECT_CLOSE(cut, WS_CLOSE_BAD_DATA);
    EXPECT_EVENTS(&server, good, "close 1000 \xe2\x82\xac\n");
}

/* ---- permessage-deflate ---- */

TEST(a_compressed_text_is_the_example_of_rfc_7692_section_7_2_3_1)
{
    static const uint8_t whole[] = {0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    static const uint8_t fragments[] = {0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80,
                                        0x04, 0xc9, 0xc9, 0x07, 0x00};

    EXPECT_EVENTS(&deflating_client, whole, "text Hello\n");
    EXPECT_EVENTS(&deflating_client, fragments, "text Hello\n");
}

TEST(a_masked_compressed_text_is_read_by_the_server)
{
    static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    struct buf bytes = {0};

    frame_append(&bytes, FRAME_FIN | FRAME_RSV1 | WS_TEXT, hello, sizeof(hello), mask);
    add_frame(&bytes, FRAME_FIN | WS_TEXT, "plain is allowed too");
    frame_append(&bytes, FRAME_RSV1 | WS_BINARY, hello, 2, mask);
    add_frame(&bytes, FRAME_FIN | WS_PING, "between");
    frame_append(&bytes, FRAME_FIN | WS_CONTINUATION, hello + 2, sizeof(hello) - 2, mask);
    EXPECT_BUF_EVENTS(&deflating_server, &bytes,
                      "text Hello\ntext plain is allowed too\nping between\nbinary Hello\n");
    buf_deinit(&bytes);
}

TEST(an_empty_compressed_message_is_empty)
{
    static const uint8_t bytes[] = {0xc1, 0x81, 0, 0, 0, 0, 0x00, 0xc2, 0x81, 0, 0, 0, 0, 0x00};

    EXPECT_EVENTS(&deflating_server, bytes, "text \nbinary \n");
}

TEST(rsv1_without_deflate_is_a_protocol_error)
{
    static const uint8_t bytes[] = {0xc1, 0x81, 0, 0, 0, 0, 0x00};

    EXPECT_CLOSE(bytes, WS_CLOSE_PROTOCOL_ERROR);
}

TEST(rsv1_on_a_continuation_is_a_protocol_error)
{
    /* RFC 7692 §6.1: on the first fragment only */
    static const uint8_t compressed[] = {0x41, 0x80, 1, 2, 3, 4, 0xc0, 0x81, 0, 0, 0, 0, 0x00};
    static const uint8_t plain[] = {0x01, 0x80, 1, 2, 3, 4, 0xc0, 0x81, 0, 0, 0, 0, 0x00};

    EXPECT_EVENTS(&deflating_server, compressed, "fail 1002\n");
    EXPECT_EVENTS(&deflating_server, plain, "fail 1002\n");
}

TEST(rsv1_on_a_control_frame_is_a_protocol_error)
{
    static const uint8_t ping[] = {0xc9, 0x80, 1, 2, 3, 4};
    static const uint8_t close[] = {0xc8, 0x80, 1, 2, 3, 4};

    EXPECT_EVENTS(&deflating_server, ping, "fail 1002\n");
    EXPECT_EVENTS(&deflating_server, close, "fail 1002\n");
}

TEST(rsv2_and_rsv3_stay_reserved_with_deflate)
{
    static const uint8_t rsv2[] = {0xa1, 0x80, 1, 2, 3, 4};
    static const uint8_t rsv3[] = {0x91, 0x80, 1, 2, 3, 4};

    EXPECT_EVENTS(&deflating_server, rsv2, "fail 1002\n");
    EXPECT_EVENTS(&deflating_server, rsv3, "fail 1002\n");
}

TEST(a_compressed_text_is_checked_after_inflating)
{
    static const char bad[] = "caf\xe9", cut[] = "\xe2\x82";
    struct buf packed = deflated(bad, 4), bytes = {0};

    frame_append(&bytes, FRAME_FIN | FRAME_RSV1 | WS_BINARY, packed.data, packed.size, mask);
    frame_append(&bytes, FRAME_FIN | FRAME_RSV1 | WS_TEXT, packed.data, packed.size, mask);
    EXPECT_BUF_EVENTS(&deflating_server, &bytes, "binary caf\xe9\nfail 1007\n");
    buf_deinit(&packed);
    buf_deinit(&bytes);
    packed = deflated(cut, 2);
    frame_append(&bytes, FRAME_FIN | FRAME_RSV1 | WS_TEXT, packed.data, packed.size, mask);
    EXPECT_BUF_EVENTS(&deflating_server, &bytes, "fail 1007\n");
    buf_deinit(&packed);
    buf_deinit(&bytes);
}

TEST(bytes_that_are_no_utf8_before_inflating_do_no_harm)
{
    /* f2 48 cd ... is not UTF-8: the compressed bytes must not be judged as text. */
    static const uint8_t bytes[] = {0x41, 0x81, 0, 0,    0,    0,    0xf2, 0x80, 0x86, 0,
                                    0,    0,    0, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};

    EXPECT_EVENTS(&deflating_server, bytes, "text Hello\n");
}

TEST(what_is_not_deflate_is_bad_data_and_ends_the_connection)
{
    static const uint8_t bytes[] = {0xc2, 0x81, 0, 0, 0, 0, 0x06, 0x89, 0x80, 0, 0, 0, 0};

    EXPECT_EVENTS(&deflating_server, bytes, "fail 1007\n");
}

TEST(a_message_too_big_after_inflating_is_refused)
{
    static const struct setup thousand = {WS_SERVER, 1000, true};
    char text[1001], expected[5 + 1000 + 1];
    struct buf packed, bytes = {0};

    memset(text, 'x', sizeof(text));
    packed = deflated(text, 1000);
    frame_append(&bytes, FRAME_FIN | FRAME_RSV1 | WS_TEXT, packed.data, packed.size, mask);
    memcpy(expected, "text ", 5);
    memcpy(expected + 5, text, 1000);
    expected[1005] = '\n';
    expect_events(&thousand, (uint8_t *)bytes.data, bytes.size, expected, sizeof(expected));
    buf_deinit(&packed);
    buf_deinit(&bytes);
    packed = deflated(text, 1001);
    frame_append(&bytes, FRAME_FIN | FRAME_RSV1 | WS_TEXT, packed.data, packed.size, mask);
    EXPECT_BUF_EVENTS(&thousand, &bytes, "fail 1009\n");
    buf_deinit(&packed);
    buf_deinit(&bytes);
}

TEST(a_message_that_grew_by_compression_is_taken)
{
    static const struct setup hundred = {WS_SERVER, 100, true};
    char noise[100];
    uint64_t seed = 17;
    struct buf packed, bytes = {0}, log;

    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)test_random(&seed);
    packed = deflated(noise, sizeof(noise));
    assert_true(packed.size > sizeof(noise));
    frame_append(&bytes, FRAME_FIN | FRAME_RSV1 | WS_BINARY, packed.data, packed.size, mask);
    log = events_of(&hundred, (uint8_t *)bytes.data, bytes.size, 1, NULL);
    assert_int_equal(log.size, 7 + sizeof(noise) + 1);
    assert_memory_equal(log.data + 7, noise, sizeof(noise));
    buf_deinit(&log);
    buf_deinit(&packed);
    buf_deinit(&bytes);
}

TEST(a_compressed_message_that_cannot_be_of_the_size_allowed_is_refused_by_its_header)
{
    static const struct setup hundred = {WS_SERVER, 100, true};
    static const uint8_t bytes[] = {0xc2, 0xfe, 0, 190, 1, 2, 3, 4};

    EXPECT_EVENTS(&hundred, bytes, "fail 1009\n");
    assert_int_equal(bytes_until_failure(&hundred, bytes, sizeof(bytes)), 4);
}

TEST(connections_share_an_inflater_in_turns)
{
    uint8_t first[] = {0xc1, 0x87, 0, 0, 0, 0, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    uint8_t second[sizeof(first)];
    struct buf log = {0};
    struct inflater inflater;
    struct ws a, b;

    memcpy(second, first, sizeof(first));
    inflater_init(&inflater);
    ws_init(&a, WS_SERVER, 100, &inflater);
    ws_init(&b, WS_SERVER, 100, &inflater);
    feed_piece(&a, first, 9, &log);
    feed_piece(&b, second, 10, &log);
    feed_piece(&a, first + 9, sizeof(first) - 9, &log);
    feed_piece(&b, second + 10, sizeof(second) - 10, &log);
    expect_log(log, "text Hello\ntext Hello\n", 22);
    ws_deinit(&a);
    ws_deinit(&b);
    inflater_deinit(&inflater);
}

TEST(a_decoder_thrown_away_amid_a_message_leaks_nothing)
{
    struct buf log = {0};
    struct ws ws;

    ws_init(&ws, WS_SERVER, 100, NULL);
    feed_piece(&ws, (const uint8_t *)"\x01\x84\0\0\0\0abcd\x89\x84\0\0\0\0ab", 18, &log);
    assert_int_equal(ws.message.size, 4);
    assert_int_equal(ws.control.size, 2);
    assert_int_equal(log.size, 0);
    ws_deinit(&ws);
    buf_deinit(&log);
}

TEST(random_bytes_give_the_same_events_however_they_are_cut)
{
    uint64_t seed = 4711;

    for (unsigned round = 0; round < 3000; round++) {
        const struct setup *setup = round % 2 ? &deflating_server : &deflating_client;
        uint8_t bytes[80];
        struct buf log;

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)test_random(&seed);
        bytes[0] = (uint8_t)(0x80 | (bytes[0] & 0x4a)); /* some get beyond the first byte */
        bytes[1] = (uint8_t)((round % 2 ? 0x80 : 0) | (bytes[1] & 0x0f));
        log = events_of(setup, bytes, sizeof(bytes), sizeof(bytes), NULL);
        expect_events(setup, bytes, sizeof(bytes), log.data ? log.data : "", log.size);
        buf_deinit(&log);
    }
}
