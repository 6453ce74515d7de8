#include "wire/handshake.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

#define LINE_GET     "GET /ws/heatmap HTTP/1.1\r\n"
#define HOST         "Host: server.example.com\r\n"
#define UPGRADE      "Upgrade: websocket\r\n"
#define CONNECTION   "Connection: Upgrade\r\n"
#define KEY          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION      "Sec-WebSocket-Version: 13\r\n"
#define ACCEPT       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define OFFER(value) "Sec-WebSocket-Extensions: " value "\r\n"

#define GOOD LINE_GET HOST UPGRADE CONNECTION KEY VERSION

static int check(const char *head, bool with_deflate, struct handshake *out)
{
    struct http_request request;

    assert_int_equal(http_parse_head((const uint8_t *)head, strlen(head), &request), strlen(head));
    return handshake_check(&request, with_deflate, out);
}

static int check_status(const char *head)
{
    struct handshake handshake;

    return check(head, true, &handshake);
}

static void expect_text(struct buf *out, const char *expected)
{
    buf_add_char(out, '\0');
    assert_string_equal(out->data, expected);
    buf_deinit(out);
}

/* ---- The server's side ---- */

TEST(the_accept_key_is_the_example_of_rfc_6455_section_1_3)
{
    struct handshake handshake;
    struct buf out = {0};

    assert_int_equal(check(GOOD "\r\n", true, &handshake), 0);
    assert_memory_equal(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28);
    assert_false(handshake.deflate.is_on);
    handshake_write_accept(&out, &handshake);
    expect_text(&out, "HTTP/1.1 101 Switching Protocols\r\n" UPGRADE CONNECTION ACCEPT "\r\n");
}

TEST(the_request_of_rfc_6455_section_1_2_is_taken)
{
    assert_int_equal(check_status("GET /chat HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY
                                  "Origin: http://example.com\r\n"
                                  "Sec-WebSocket-Protocol: chat, superchat\r\n" VERSION "\r\n"),
                     0);
}

TEST(header_names_and_tokens_are_taken_in_any_case_among_others)
{
    assert_int_equal(check_status(LINE_GET HOST "UPGRADE: h2c, WebSocket\r\n"
                                                "connection: keep-alive\r\n"
                                                "Connection: x,upgrade\r\n" KEY VERSION "\r\n"),
                     0);
}

TEST(only_get_may_upgrade)
{
    assert_int_equal(check_status("HEAD / HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION "\r\n"),
                     -405);
    assert_int_equal(check_status("POST / HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION "\r\n"),
                     -405);
}

TEST(only_http_1_1_may_upgrade)
{
    assert_int_equal(check_status("GET / HTTP/1.0\r\n" HOST UPGRADE CONNECTION KEY VERSION "\r\n"),
                     -400);
}

TEST(a_request_with_a_body_may_not_upgrade)
{
    assert_int_equal(check_status(GOOD "Content-Length: 1\r\n\r\n"), -400);
    assert_int_equal(check_status(GOOD "Content-Length: 0\r\n\r\n"), 0);
}

TEST(a_plain_request_is_told_to_upgrade)
{
    assert_int_equal(check_status(LINE_GET HOST "\r\n"), -426);
    assert_int_equal(check_status(LINE_GET HOST "Upgrade: h2c\r\n" CONNECTION KEY VERSION "\r\n"),
                     -426);
}

TEST(an_upgrade_without_connection_upgrade_is_bad)
{
    assert_int_equal(check_status(LINE_GET HOST UPGRADE KEY VERSION "\r\n"), -400);
    assert_int_equal(
        check_status(LINE_GET HOST UPGRADE "Connection: keep-alive\r\n" KEY VERSION "\r\n"), -400);
}

TEST(the_version_is_13_once)
{
    static const char head[] = LINE_GET HOST UPGRADE CONNECTION KEY;
    static const struct {
        const char *lines;
        int status;
    } cases[] = {
        {"", -400},
        {VERSION VERSION, -400},
        {"Sec-WebSocket-Version: 8\r\n", -426},
        {"Sec-WebSocket-Version: 14\r\n", -426},
        {"Sec-WebSocket-Version: 013\r\n", -426},
        {"Sec-WebSocket-Version: 13, 8\r\n", -426},
        {VERSION, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[500];

        snprintf(text, sizeof(text), "%s%s\r\n", head, cases[i].lines);
        assert_int_equal(check_status(text), cases[i].status);
    }
}

TEST(the_key_is_base64_of_16_bytes_once)
{
    static const char *const bad[] = {
        "",
        KEY KEY,
        "Sec-WebSocket-Key:\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n",      /* cut */
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n",       /* no padding */
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\r\n",     /* 17 bytes */
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVl\r\n",     /* 18 bytes */
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2-jZQ==\r\n",     /* not of the alphabet */
        "Sec-WebSocket-Key: dGhlIHNhbXB=ZSBub25jZQ==\r\n",     /* padding amid */
        "Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZQ==\r\n",    /* a space */
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==dGhl\r\n", /* more behind */
    };
    static const char *const good[] = {KEY, "Sec-WebSocket-Key: +/AZaz0189aaaaaaaaaaaA==\r\n"};
    char text[500];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(text, sizeof(text), LINE_GET HOST UPGRADE CONNECTION VERSION "%s\r\n", bad[i]);
        assert_int_equal(check_status(text), -400);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(text, sizeof(text), LINE_GET HOST UPGRADE CONNECTION VERSION "%s\r\n", good[i]);
        assert_int_equal(check_status(text), 0);
    }
}

TEST(a_refused_request_leaves_the_result_alone)
{
    struct handshake handshake, before;

    memset(&handshake, 0x5a, sizeof(handshake));
    before = handshake;
    assert_int_equal(check(LINE_GET HOST "\r\n", true, &handshake), -426);
    assert_int_equal(check(GOOD OFFER("permessage-deflate; =") "\r\n", true, &handshake), -400);
    assert_memory_equal(&handshake, &before, sizeof(before));
}

/* ---- permessage-deflate ---- */

#define AGREED "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

/* What is answered to lines of offers: the Sec-WebSocket-Extensions value, "" for none, "400". */
static void expect_agreed(const char *lines, const char *expected)
{
    char text[2000];
    struct handshake handshake;
    struct http_response response;
    struct buf out = {0};
    struct str value;
    int status;

    snprintf(text, sizeof(text), GOOD "%s\r\n", lines);
    status = check(text, true, &handshake);
    if (strcmp(expected, "400") == 0) {
        assert_int_equal(status, -400);
        return;
    }
    assert_int_equal(status, 0);
    handshake_write_accept(&out, &handshake);
    assert_int_equal(http_parse_response((uint8_t *)out.data, out.size, &response), out.size);
    value = http_header(&response.headers, "Sec-WebSocket-Extensions");
    if (!str_eq(value, str_of(expected)))
        fail_msg("%s: %.*s", lines, (int)value.size, value.size ? value.at : "");
    assert_int_equal(handshake.deflate.is_on, expected[0] != '\0');
    buf_deinit(&out);
}

TEST(an_offer_of_permessage_deflate_is_taken_without_context_takeover)
{
    expect_agreed(OFFER("permessage-deflate"), AGREED);
    expect_agreed(OFFER("permessage-deflate; server_no_context_takeover"), AGREED);
    expect_agreed(OFFER("permessage-deflate; client_no_context_takeover"), AGREED);
    expect_agreed(OFFER("permessage-deflate;client_no_context_takeover;server_no_context_takeover"),
                  AGREED);
}

TEST(an_offer_is_not_taken_when_we_do_not_want_it)
{
    struct handshake handshake;

    assert_int_equal(check(GOOD OFFER("permessage-deflate") "\r\n", false, &handshake), 0);
    assert_false(handshake.deflate.is_on);
}

TEST(what_browsers_offer_is_taken)
{
    expect_agreed(OFFER("permessage-deflate; client_max_window_bits"), AGREED);
    expect_agreed(OFFER("permessage-deflate, x-webkit-deflate-frame"), AGREED);
}

TEST(client_max_window_bits_may_have_a_value_and_changes_nothing)
{
    /* RFC 7692 §7.1.2.2: a hint; any window that the client uses, ours can read. */
    expect_agreed(OFFER("permessage-deflate; client_max_window_bits=8"), AGREED);
    expect_agreed(OFFER("permessage-deflate; client_max_window_bits=15"), AGREED);
    expect_agreed(OFFER("permessage-deflate; client_max_window_bits=\"10\""), AGREED);
}

TEST(server_max_window_bits_is_kept_and_confirmed)
{
    struct handshake handshake;

    expect_agreed(OFFER("permessage-deflate; server_max_window_bits=9"),
                  AGREED "; server_max_window_bits=9");
    expect_agreed(OFFER("permessage-deflate; server_max_window_bits=\"14\""),
                  AGREED "; server_max_window_bits=14");
    expect_agreed(OFFER("permessage-deflate; server_max_window_bits=15"),
                  AGREED "; server_max_window_bits=15");
    assert_int_equal(
        check(GOOD OFFER("permessage-deflate; server_max_window_bits=10") "\r\n", true, &handshake),
        0);
    assert_int_equal(handshake.deflate.window_bits, 10);
    assert_int_equal(check(GOOD OFFER("permessage-deflate") "\r\n", true, &handshake), 0);
    assert_int_equal(handshake.deflate.window_bits, 15);
}

TEST(a_window_of_256_bytes_is_declined)
{
    expect_agreed(OFFER("permessage-deflate; server_max_window_bits=8"), "");
    expect_agreed(OFFER("permessage-deflate; server_max_window_bits=8, permessage-deflate"),
                  AGREED);
}

TEST(window_bits_are_8_to_15_without_leading_zeros)
{
    static const char *const bad[] = {"=7",  "=16", "=08", "=0",  "=010", "=1",
                                      "=99", "=1x", "=x",  "=-9", "=+9",  "=9.0"};
    static const char *const parameters[] = {"server_max_window_bits", "client_max_window_bits"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (size_t k = 0; k < ARRAY_LEN(parameters); k++) {
            char lines[200];

            snprintf(lines, sizeof(lines), OFFER("permessage-deflate; %s%s"), parameters[k],
                     bad[i]);
            expect_agreed(lines, "");
        }
    expect_agreed(OFFER("permessage-deflate; server_max_window_bits"), "");
}

TEST(unknown_repeated_and_ill_valued_parameters_decline_the_offer)
{
    expect_agreed(OFFER("permessage-deflate; unknown"), "");
    expect_agreed(OFFER("permessage-deflate; unknown=1"), "");
    expect_agreed(OFFER("permessage-deflate; server_no_context_takeover=1"), "");
    expect_agreed(OFFER("permessage-deflate; client_no_context_takeover=\"x\""), "");
    expect_agreed(OFFER("permessage-deflate; client_max_window_bits; client_max_window_bits=9"),
                  "");
    expect_agreed(OFFER("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"),
                  "");
    expect_agreed(
        OFFER("permessage-deflate; server_no_context_takeover; server_no_context_takeover"), "");
}

TEST(other_extensions_are_declined)
{
    expect_agreed(OFFER("x-webkit-deflate-frame"), "");
    expect_agreed(OFFER("permessage-deflate2"), "");
    expect_agreed(OFFER("permessage-bzip2; a=\"b\", mux; max=4"), "");
}

TEST(the_first_offer_that_can_be_kept_is_taken)
{
    /* RFC 7692 §7.1.3's fallback example, in its spirit */
    expect_agreed(OFFER("permessage-deflate; unknown, permessage-deflate; "
                        "server_max_window_bits=10, permessage-deflate; server_max_window_bits=11"),
                  AGREED "; server_max_window_bits=10");
    expect_agreed(OFFER("foo; bar=\"baz\" , permessage-deflate"), AGREED);
}

TEST(offers_may_stand_in_several_fields)
{
    expect_agreed(OFFER("foo") OFFER("permessage-deflate; x")
                      OFFER("permessage-deflate; server_max_window_bits=12")
                          OFFER("permessage-deflate; server_max_window_bits=9"),
                  AGREED "; server_max_window_bits=12");
}

TEST(white_space_and_empty_elements_are_allowed_between_offers)
{
    expect_agreed(OFFER(" , ,\tpermessage-deflate \t;  server_max_window_bits = 11 , ,"),
                  AGREED "; server_max_window_bits=11");
    expect_agreed(OFFER(""), "");
}

TEST(an_ill_formed_extension_list_is_bad)
{
    /* RFC 6455 §9.1: data that does not conform to the grammar fails the connection. */
    static const char *const bad[] = {
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"10",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; server_max_window_bits=\"1 0\"",
        "permessage-deflate; server_max_window_bits=\"10\"x",
        "permessage-deflate server_max_window_bits=10",
        "permessage-deflate; a=b=c",
        "; permessage-deflate",
        "\"permessage-deflate\"",
        "permessage-deflate, ;",
        "permessage-deflate, (",
        "permessage-deflate; a=\"b\\\"c\"",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char lines[200];

        snprintf(lines, sizeof(lines), OFFER("%s"), bad[i]);
        expect_agreed(lines, "400");
    }
    expect_agreed(OFFER("permessage-deflate") OFFER("("), "400");
}

/* ---- The client's side ---- */

static const struct handshake_request plain_request = {
    .host = {"server.example.com", 18},
    .target = {"/ws/heatmap", 11},
    .key = "the sample nonce", /* RFC 6455 §1.3 */
};
static const struct handshake_request deflate_request = {
    .host = {"server.example.com", 18},
    .target = {"/ws/heatmap", 11},
    .key = "the sample nonce",
    .offers_deflate = true,
};

TEST(a_client_asks_with_the_key_of_rfc_6455_section_1_3)
{
    struct buf out = {0};

    handshake_write_request(&out, &plain_request);
    expect_text(&out, GOOD "\r\n");
}

TEST(what_a_client_asks_our_server_takes)
{
    struct handshake_deflate deflate = {0};
    struct handshake handshake;
    struct http_request request;
    struct http_response response;
    struct buf out = {0};

    handshake_write_request(&out, &deflate_request);
    assert_int_equal(http_parse_head((uint8_t *)out.data, out.size, &request), out.size);
    assert_int_equal(handshake_check(&request, true, &handshake), 0);
    assert_true(handshake.deflate.is_on);
    buf_clear(&out);
    handshake_write_accept(&out, &handshake);
    assert_int_equal(http_parse_response((uint8_t *)out.data, out.size, &response), out.size);
    assert_int_equal(handshake_check_response(&response, &deflate_request, &deflate), 0);
    assert_true(deflate.is_on);
    assert_int_equal(deflate.window_bits, 15);
    buf_deinit(&out);
}

static int check_response(const char *head, const struct handshake_request *request, bool *deflate)
{
    struct http_response response;
    struct handshake_deflate agreed = {.is_on = *deflate};
    int result;

    assert_int_equal(http_parse_response((const uint8_t *)head, strlen(head), &response),
                     strlen(head));
    result = handshake_check_response(&response, request, &agreed);
    *deflate = agreed.is_on;
    return result;
}

TEST(a_client_takes_the_answer_of_rfc_6455_section_1_3)
{
    bool deflate = true;

    assert_int_equal(check_response("HTTP/1.1 101 Switching Protocols\r\n"
                                    "upgrade: WebSocket\r\nconnection: upgrade\r\n" ACCEPT "\r\n",
                                    &plain_request, &deflate),
                     0);
    assert_false(deflate);
}

TEST(a_client_refuses_what_rfc_6455_section_4_1_tells_it_to)
{
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\r\n" UPGRADE CONNECTION ACCEPT "\r\n",
        "HTTP/1.1 503 Busy\r\n\r\n",
        "HTTP/1.0 101 X\r\n" UPGRADE CONNECTION ACCEPT "\r\n",
        "HTTP/1.1 101 X\r\n" CONNECTION ACCEPT "\r\n",
        "HTTP/1.1 101 X\r\nUpgrade: h2c\r\n" CONNECTION ACCEPT "\r\n",
        "HTTP/1.1 101 X\r\n" UPGRADE ACCEPT "\r\n",
        "HTTP/1.1 101 X\r\n" UPGRADE CONNECTION "\r\n",
        "HTTP/1.1 101 X\r\n" UPGRADE CONNECTION ACCEPT ACCEPT "\r\n",
        "HTTP/1.1 101 X\r\n" UPGRADE CONNECTION
        "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 X\r\n" UPGRADE CONNECTION ACCEPT "Sec-WebSocket-Protocol: chat\r\n\r\n",
        "HTTP/1.1 101 X\r\n" UPGRADE CONNECTION ACCEPT OFFER("permessage-deflate") "\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        bool deflate = true;

        assert_int_equal(check_response(bad[i], &plain_request, &deflate), ERR_SYNTAX);
        assert_true(deflate); /* untouched */
    }
}

TEST(a_client_takes_only_answers_that_its_offer_allows)
{
    static const struct {
        const char *extensions;
        int result;
    } cases[] = {
        {"permessage-deflate; server_no_context_takeover", 0},
        {"permessage-deflate; server_no_context_takeover; client_no_context_takeover", 0},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=8", 0},
        {"permessage-deflate", ERR_SYNTAX}, /* it would keep its context */
        {"permessage-deflate; server_no_context_takeover; client_max_window_bits=10", ERR_SYNTAX},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits=7", ERR_SYNTAX},
        {"permessage-deflate; server_no_context_takeover; server_max_window_bits", ERR_SYNTAX},
        {"permessage-deflate; server_no_context_takeover; x", ERR_SYNTAX},
        {"permessage-deflate; server_no_context_takeover,"
         "permessage-deflate; server_no_context_takeover",
         ERR_SYNTAX},
        {"foo", ERR_SYNTAX},
        {"permessage-deflate; server_no_context_takeover; =", ERR_SYNTAX},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[500];
        bool deflate = false;

        snprintf(text, sizeof(text),
                 "HTTP/1.1 101 X\r\n" UPGRADE CONNECTION ACCEPT OFFER("%s") "\r\n",
                 cases[i].extensions);
        assert_int_equal(check_response(text, &deflate_request, &deflate), cases[i].result);
        assert_int_equal(deflate, cases[i].result == 0);
    }
}
