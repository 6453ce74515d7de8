#include "wire/http.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

/* Parses a copy, in memory of its own, so that looking beyond is found out. */
static int parse_copy(const char *text, size_t size)
{
    struct http_request request;
    uint8_t *copy = mem_alloc(size);
    int result;

    memcpy(copy, text, size);
    result = http_parse_head(copy, size, &request);
    free(copy);
    return result;
}

/* The result of the whole text. However many bytes have come, the answer is that, or "more": the
 * head is found when its last byte is there and not before, a fault never goes away. */
static int parse_all(const char *text, size_t size)
{
    int whole = parse_copy(text, size), previous = 0;

    for (size_t n = 0; n <= size; n++) {
        int result = parse_copy(text, n);

        if (previous) assert_int_equal(result, previous);
        if (result > 0) assert_true((size_t)result <= n && (previous || (size_t)result == n));
        previous = result;
    }
    assert_int_equal(previous, whole);
    return whole;
}

#define PARSE(text) parse_all(text, sizeof(text) - 1)

/* `lines` between a good request line and the end. */
#define PARSE_11(lines) PARSE("GET / HTTP/1.1\r\n" lines "\r\n")
#define PARSE_10(lines) PARSE("GET / HTTP/1.0\r\n" lines "\r\n")

#define HOST "Host: h\r\n"

static struct http_request parsed(const char *text)
{
    struct http_request request;
    size_t size = strlen(text);

    assert_int_equal(http_parse_head((const uint8_t *)text, size, &request), size);
    return request;
}

static void expect_str(struct str s, const char *expected)
{
    assert_int_equal(s.size, strlen(expected));
    if (s.size) assert_memory_equal(s.at, expected, s.size);
}

/* ---- The request line ---- */

TEST(a_request_is_taken_apart)
{
    struct http_request r = parsed("GET /heatmap/latest?symbol=BTCUSDT&x=1 HTTP/1.1\r\n"
                                   "Host: example.com:8000\r\n"
                                   "User-Agent:  a  b \t\r\n"
                                   "X-Empty:\r\n"
                                   "\r\n");

    assert_int_equal(r.method, HTTP_GET);
    assert_int_equal(r.minor_version, 1);
    assert_true(r.keep_alive);
    assert_int_equal(r.content_length, 0);
    expect_str(r.target, "/heatmap/latest?symbol=BTCUSDT&x=1");
    expect_str(r.path, "/heatmap/latest");
    expect_str(r.query, "symbol=BTCUSDT&x=1");
    assert_int_equal(r.headers.count, 3);
    expect_str(http_header(&r.headers, "HOST"), "example.com:8000");
    expect_str(http_header(&r.headers, "user-agent"), "a  b");
    assert_non_null(http_header(&r.headers, "x-empty").at);
    expect_str(http_header(&r.headers, "x-empty"), "");
    assert_null(http_header(&r.headers, "x-other").at);
}

TEST(a_head_cut_anywhere_needs_more_bytes_until_its_last)
{
    static const char text[] =
        "POST /publish/BTC HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody";

    assert_int_equal(PARSE(text), sizeof(text) - 1 - 4);
}

TEST(the_four_methods_are_known)
{
    assert_int_equal(parsed("GET / HTTP/1.1\r\nHost: h\r\n\r\n").method, HTTP_GET);
    assert_int_equal(parsed("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").method, HTTP_HEAD);
    assert_int_equal(parsed("POST / HTTP/1.1\r\nHost: h\r\n\r\n").method, HTTP_POST);
    assert_int_equal(parsed("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n").method, HTTP_OPTIONS);
}

TEST(registered_methods_are_not_allowed_and_others_not_implemented)
{
    assert_int_equal(PARSE("PUT / HTTP/1.1\r\n"), -405);
    assert_int_equal(PARSE("DELETE / HTTP/1.1\r\n"), -405);
    assert_int_equal(PARSE("PATCH / HTTP/1.1\r\n"), -405);
    assert_int_equal(PARSE("TRACE / HTTP/1.1\r\n"), -405);
    assert_int_equal(PARSE("CONNECT h:1 HTTP/1.1\r\n"), -405);
    assert_int_equal(PARSE("BREW / HTTP/1.1\r\n"), -501);
    assert_int_equal(PARSE("get / HTTP/1.1\r\n"), -501); /* case-sensitive: RFC 9110 §9.1 */
    assert_int_equal(PARSE("GETS / HTTP/1.1\r\n"), -501);
}

TEST(a_request_line_that_is_not_three_parts_is_bad)
{
    assert_int_equal(PARSE("GET /\r\n"), -400);
    assert_int_equal(PARSE("GET\r\n"), -400);
    assert_int_equal(PARSE("GET  / HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET /  HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/1.1 \r\n"), -400);
    assert_int_equal(PARSE(" GET / HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET\t/ HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET / a HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("G(T / HTTP/1.1\r\n"), -400);
}

TEST(empty_lines_before_the_request_are_ignored)
{
    /* RFC 9112 §2.2 */
    assert_int_equal(PARSE("\r\nGET / HTTP/1.0\r\n\r\n"), 20);
    assert_int_equal(PARSE("\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n"), 24);
    assert_int_equal(PARSE("\r\n \r\nGET / HTTP/1.0\r\n\r\n"), -400);
    assert_int_equal(PARSE("\r\n\nGET / HTTP/1.0\r\n\r\n"), -400);
}

TEST(versions_of_http_1_are_served_and_others_not)
{
    assert_int_equal(parsed("GET / HTTP/1.0\r\n\r\n").minor_version, 0);
    assert_int_equal(parsed("GET / HTTP/1.2\r\nHost: h\r\n\r\n").minor_version, 1);
    assert_int_equal(PARSE("GET / HTTP/2.0\r\n"), -505);
    assert_int_equal(PARSE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), -505);
    assert_int_equal(PARSE("GET / HTTP/0.9\r\n"), -505);
    assert_int_equal(PARSE("GET / http/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/1\r\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/1.10\r\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/11.1\r\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/1x1\r\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/a.1\r\n"), -400);
}

/* The path of a request for `target`, in memory that stays. */
static struct http_request asked_for(const char *target)
{
    static char text[200];

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    return parsed(text);
}

TEST(a_target_may_be_a_whole_uri)
{
    /* RFC 9112 §3.2.2: a server MUST accept the absolute-form */
    struct http_request r = asked_for("http://example.com:8000/ws/heatmap?a=http://b/");

    expect_str(r.target, "http://example.com:8000/ws/heatmap?a=http://b/");
    expect_str(r.path, "/ws/heatmap");
    expect_str(r.query, "a=http://b/");
    expect_str(asked_for("HTTPS://[::1]/x").path, "/x");
    expect_str(asked_for("http://127.0.0.1:/").path, "/");
    expect_str(asked_for("http://h:80").path, "/");
    expect_str(asked_for("http://h").query, "");
    r = asked_for("http://h?a/b");
    expect_str(r.path, "/");
    expect_str(r.query, "a/b");
    expect_str(asked_for("http://h//x").path, "//x");
    assert_int_equal(PARSE("GET http://h/ HTTP/1.1\r\n\r\n"), -400); /* Host all the same: §3.2 */
}

TEST(a_uri_of_another_kind_or_without_a_valid_host_is_bad)
{
    assert_int_equal(PARSE("GET ftp://h/ HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET ws://h/ HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET http:/h/ HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET http:h/ HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET http:// HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET http:///x HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET http://:80/x HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET http://h:8x/ HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET http://me@h/ HTTP/1.1\r\n"), -400); /* RFC 9110 §4.2.4 */
    assert_int_equal(PARSE("GET http://[::1/ HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET http://h/a#b HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET h/ HTTP/1.1\r\n"), -400);
}

TEST(a_target_is_a_path_or_the_asterisk_of_options)
{
    assert_int_equal(PARSE("GET index.html HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET * HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("OPTIONS ** HTTP/1.1\r\n"), -400);
    expect_str(parsed("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").path, "*");
}

TEST(a_target_has_visible_ascii_without_a_fragment)
{
    assert_int_equal(PARSE("GET /a#b HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET /\xc3\xa4 HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET /\x7f HTTP/1.1\r\n"), -400);
    assert_int_equal(PARSE("GET /\x01 HTTP/1.1\r\n"), -400);
    expect_str(parsed("GET /?a[]={1|2}^~ HTTP/1.1\r\nHost: h\r\n\r\n").query, "a[]={1|2}^~");
}

TEST(a_query_begins_at_the_first_question_mark)
{
    struct http_request r = parsed("GET /a?b?c HTTP/1.1\r\nHost: h\r\n\r\n");

    expect_str(r.path, "/a");
    expect_str(r.query, "b?c");
    expect_str(parsed("GET /a? HTTP/1.1\r\nHost: h\r\n\r\n").query, "");
    expect_str(parsed("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").query, "");
}

/* ---- Fields ---- */

TEST(a_bare_lf_or_cr_is_bad)
{
    assert_int_equal(PARSE("GET / HTTP/1.1\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/1.1\r\n" HOST "A: b\nC: d\r\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/1.1\r\n" HOST "A: b\rC: d\r\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/1.1\r\n" HOST "\n"), -400);
    assert_int_equal(PARSE("GET / HTTP/1.1\r\n" HOST "\r\r\n"), -400);
}

TEST(control_bytes_are_bad_at_once)
{
    for (int c = 0; c < 0x20; c++) {
        char text[] = "GET / HTTP/1.1\r\nA: b_c";

        if (c == '\t' || c == '\r') continue;
        text[sizeof(text) - 3] = (char)c;
        assert_int_equal(parse_all(text, sizeof(text) - 2), -400);
    }
    assert_int_equal(PARSE("GET / HTTP/1.1\r\nA: b\x7f"), -400);
    assert_int_equal(PARSE("\x16\x03\x01"), -400); /* the beginning of TLS */
    assert_int_equal(PARSE("GET /\0"), -400);
}

TEST(tabs_and_bytes_above_ascii_may_stand_in_a_value)
{
    struct http_request r = parsed("GET / HTTP/1.1\r\nHost: h\r\nA:\tb\tc\xc3\xa4 \t\r\n\r\n");

    expect_str(http_header(&r.headers, "A"), "b\tc\xc3\xa4");
}

TEST(a_folded_line_is_bad)
{
    assert_int_equal(PARSE_11(HOST "A: b\r\n c\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "A: b\r\n\tc\r\n"), -400);
    assert_int_equal(PARSE_11(" " HOST), -400);
}

TEST(a_field_name_is_a_token_with_the_colon_right_behind_it)
{
    assert_int_equal(PARSE_11(HOST "A : b\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "A\t: b\r\n"), -400);
    assert_int_equal(PARSE_11(HOST ": b\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "A\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "A b: c\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "A(b): c\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "\xc3\xa4: c\r\n"), -400);
    assert_true(PARSE_11(HOST "!#$%&'*+-.^_`|~09azAZ: c\r\n") > 0);
}

TEST(http_1_1_needs_exactly_one_host)
{
    assert_int_equal(PARSE_11(""), -400);
    assert_int_equal(PARSE_11("A: b\r\n"), -400);
    assert_int_equal(PARSE_11("Host: a\r\nHost: a\r\n"), -400);
    assert_int_equal(PARSE_11("Host: a\r\nhost: b\r\n"), -400);
    assert_true(PARSE_11("Host: a\r\n") > 0);
    assert_true(PARSE_10("") > 0);
    assert_int_equal(PARSE_10("Host: a\r\nHost: a\r\n"), -400);
}

TEST(a_host_is_a_name_or_an_address_and_perhaps_a_port)
{
    assert_true(PARSE_11("Host: example.com\r\n") > 0);
    assert_true(PARSE_11("Host: 127.0.0.1:8000\r\n") > 0);
    assert_true(PARSE_11("Host: [::1]\r\n") > 0);
    assert_true(PARSE_11("Host: [::ffff:127.0.0.1]:8000\r\n") > 0);
    assert_true(PARSE_11("Host: h:\r\n") > 0); /* RFC 3986 §3.2.3: port = *DIGIT */
    assert_int_equal(PARSE_11("Host:\r\n"), -400);
    assert_int_equal(PARSE_11("Host: :80\r\n"), -400);
    assert_int_equal(PARSE_11("Host: a b\r\n"), -400);
    assert_int_equal(PARSE_11("Host: a/b\r\n"), -400);
    assert_int_equal(PARSE_11("Host: u@h\r\n"), -400);
    assert_int_equal(PARSE_11("Host: a, b\r\n"), -400);
    assert_int_equal(PARSE_11("Host: h:80x\r\n"), -400);
    assert_int_equal(PARSE_11("Host: [::1\r\n"), -400);
    assert_int_equal(PARSE_11("Host: [::1]x\r\n"), -400);
    assert_int_equal(PARSE_11("Host: [x]\r\n"), -400);
    assert_int_equal(PARSE_11("Host: \xc3\xa4\r\n"), -400);
}

/* ---- Framing ---- */

TEST(a_content_length_is_digits_once)
{
    assert_int_equal(
        parsed("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0042\r\n\r\n").content_length, 42);
    assert_int_equal(PARSE_11(HOST "Content-Length: +1\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "Content-Length: -1\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "Content-Length: 0x1\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "Content-Length: 1 2\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "Content-Length: 1, 1\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "Content-Length:\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "Content-Length: 1\r\nContent-Length: 1\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "Content-Length: 1\r\ncontent-length: 2\r\n"), -400);
}

TEST(a_content_length_beyond_64_bits_is_too_large)
{
    assert_true(parsed("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n")
                    .content_length == UINT64_MAX);
    assert_int_equal(PARSE_11(HOST "Content-Length: 18446744073709551616\r\n"), -413);
    assert_int_equal(PARSE_11(HOST "Content-Length: 99999999999999999999999\r\n"), -413);
    assert_int_equal(PARSE_11(HOST "Content-Length: 99999999999999999999999x\r\n"), -400);
}

TEST(a_transfer_coding_is_not_taken)
{
    assert_int_equal(PARSE_11(HOST "Transfer-Encoding: chunked\r\n"), -411);
    assert_int_equal(PARSE_11(HOST "Transfer-Encoding: gzip, chunked\r\n"), -501);
    assert_int_equal(PARSE_11(HOST "Transfer-Encoding: identity\r\n"), -501);
    assert_int_equal(PARSE_11(HOST "transfer-encoding:\r\n"), -501);
}

TEST(a_transfer_coding_with_a_length_or_in_http_1_0_is_bad)
{
    assert_int_equal(PARSE_11(HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), -400);
    assert_int_equal(PARSE_11(HOST "Content-Length: 1\r\nTransfer-Encoding: x\r\n"), -400);
    assert_int_equal(PARSE_10("Transfer-Encoding: chunked\r\n"), -400);
}

TEST(connections_stay_unless_closed_in_1_1_and_only_if_asked_in_1_0)
{
    assert_true(parsed("GET / HTTP/1.1\r\nHost: h\r\n\r\n").keep_alive);
    assert_false(parsed("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n").keep_alive);
    assert_false(parsed("GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert_true(parsed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    assert_false(parsed("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_alive);
}

/* ---- Limits ---- */

/* A head of `size` bytes with one long field or, if `target` is set, a long target. */
static struct buf head_of(size_t size, bool in_target)
{
    struct buf out = {0};
    static const char start[] = "GET /", middle[] = " HTTP/1.1\r\n" HOST "A: ", end[] = "\r\n\r\n";
    size_t fill = size - (sizeof(start) - 1) - (sizeof(middle) - 1) - (sizeof(end) - 1);

    buf_add_text(&out, start);
    for (size_t i = 0; in_target && i < fill; i++)
        buf_add_char(&out, 'x');
    buf_add_text(&out, middle);
    for (size_t i = 0; !in_target && i < fill; i++)
        buf_add_char(&out, 'x');
    buf_add_text(&out, end);
    assert_int_equal(out.size, size);
    return out;
}

TEST(a_head_of_8_kib_is_taken_and_one_byte_more_is_not)
{
    struct buf head = head_of(HTTP_HEAD_BYTES_MAX, false);

    assert_int_equal(parse_copy(head.data, head.size), HTTP_HEAD_BYTES_MAX);
    assert_int_equal(parse_copy(head.data, head.size - 1), 0);
    buf_deinit(&head);
    head = head_of(HTTP_HEAD_BYTES_MAX + 1, false);
    assert_int_equal(parse_copy(head.data, head.size), -431);
    assert_int_equal(parse_copy(head.data, head.size - 1), -431);
    assert_int_equal(parse_copy(head.data, head.size - 2), 0);
    buf_deinit(&head);
}

TEST(empty_lines_before_the_request_count_towards_its_size)
{
    struct buf head = {0};

    for (int i = 0; i < HTTP_HEAD_BYTES_MAX / 2; i++)
        buf_add_text(&head, "\r\n");
    assert_int_equal(parse_copy(head.data, head.size - 1), 0);
    assert_int_equal(parse_copy(head.data, head.size), -414);
    buf_deinit(&head);
}

TEST(bytes_behind_a_head_do_not_count_towards_its_size)
{
    struct buf head = head_of(100, false);
    char body[HTTP_HEAD_BYTES_MAX] = {0};

    buf_add(&head, body, sizeof(body));
    assert_int_equal(parse_copy(head.data, head.size), 100);
    buf_deinit(&head);
}

TEST(a_request_line_beyond_8_kib_is_too_long)
{
    struct buf head = head_of(HTTP_HEAD_BYTES_MAX, true);

    assert_int_equal(parse_copy(head.data, head.size), HTTP_HEAD_BYTES_MAX);
    buf_deinit(&head);
    head = head_of(HTTP_HEAD_BYTES_MAX + 100, true);
    assert_int_equal(parse_copy(head.data, head.size), -414);
    assert_int_equal(parse_copy(head.data, HTTP_HEAD_BYTES_MAX), -414);
    assert_int_equal(parse_copy(head.data, HTTP_HEAD_BYTES_MAX - 1), 0);
    buf_deinit(&head);
}

TEST(a_head_has_64_fields_at_most)
{
    for (int count = HTTP_HEADERS_MAX; count <= HTTP_HEADERS_MAX + 1; count++) {
        struct buf head = {0};

        buf_add_text(&head, "GET / HTTP/1.1\r\n" HOST);
        for (int i = 1; i < count; i++)
            buf_add_text(&head, "A: b\r\n");
        buf_add_text(&head, "\r\n");
        assert_int_equal(parse_all(head.data, head.size),
                         count == HTTP_HEADERS_MAX ? (int)head.size : -431);
        buf_deinit(&head);
    }
}

TEST(a_request_that_is_not_complete_leaves_the_result_alone)
{
    struct http_request request;
    struct http_request before;

    memset(&request, 0x5a, sizeof(request));
    before = request;
    assert_int_equal(http_parse_head((const uint8_t *)"GET / HT", 8, &request), 0);
    assert_int_equal(http_parse_head((const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18, &request),
                     -400);
    assert_memory_equal(&request, &before, sizeof(request));
}

TEST(random_bytes_among_good_ones_give_one_answer_however_they_are_cut)
{
    static const char good[] = "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nA: b\r\n\r\n";
    static const char odd[] = "\r\n :\t\0/?1,";
    uint64_t seed = 77;
    unsigned refused = 0;

    for (unsigned round = 0; round < 3000; round++) {
        char text[sizeof(good)];

        memcpy(text, good, sizeof(good));
        for (unsigned changes = 0; changes < 2; changes++)
            text[test_random(&seed) % (sizeof(good) - 1)] =
                odd[test_random(&seed) % (sizeof(odd) - 1)];
        refused += parse_all(text, sizeof(good) - 1) < 0;
    }
    assert_true(refused > 1000 && refused < 3000);
}

/* ---- Looking things up ---- */

TEST(tokens_are_found_over_all_fields_of_a_name)
{
    struct http_request r = parsed("GET / HTTP/1.1\r\nHost: h\r\n"
                                   "Connection: keep-alive,\t,Upgrade\r\n"
                                   "Upgrade: x\r\n"
                                   "connection: , foo , Bar\r\n\r\n");

    assert_true(http_header_has_token(&r.headers, "Connection", "upgrade"));
    assert_true(http_header_has_token(&r.headers, "Connection", "Keep-Alive"));
    assert_true(http_header_has_token(&r.headers, "Connection", "foo"));
    assert_true(http_header_has_token(&r.headers, "Connection", "bar"));
    assert_false(http_header_has_token(&r.headers, "Connection", "x"));
    assert_false(http_header_has_token(&r.headers, "Connection", "keep"));
    assert_false(http_header_has_token(&r.headers, "Connection", ""));
    assert_false(http_header_has_token(&r.headers, "Other", "foo"));
    assert_int_equal(http_header_count(&r.headers, "CONNECTION"), 2);
    expect_str(http_header(&r.headers, "Connection"), "keep-alive,\t,Upgrade");
}

static bool accepts_gzip(const char *field)
{
    struct buf text = {0};
    struct http_request request;
    bool accepts;

    buf_printf(&text, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", field);
    assert_true(http_parse_head((uint8_t *)text.data, text.size, &request) > 0);
    accepts = http_accepts_encoding(&request.headers, "gzip");
    buf_deinit(&text);
    return accepts;
}

TEST(gzip_is_accepted_when_listed_and_not_forbidden)
{
    assert_true(accepts_gzip("Accept-Encoding: gzip\r\n"));
    assert_true(accepts_gzip("Accept-Encoding: br, GZip\r\n"));
    assert_true(accepts_gzip("Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n"));
    assert_true(accepts_gzip("Accept-Encoding: gzip;q=1\r\n"));
    assert_true(accepts_gzip("Accept-Encoding: gzip ; Q=0.001\r\n"));
    assert_true(accepts_gzip("Accept-Encoding: gzip;q=1.000\r\n"));
    assert_true(accepts_gzip("Accept-Encoding: *\r\n"));
    assert_true(accepts_gzip("Accept-Encoding: *;q=0, gzip\r\n"));
    assert_true(accepts_gzip("Accept-Encoding: br;q=0, *;q=0.5\r\n"));
}

TEST(gzip_is_not_accepted_when_absent_or_forbidden)
{
    assert_false(accepts_gzip(""));
    assert_false(accepts_gzip("Accept-Encoding:\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: br, deflate\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;q=0\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;q=0.000, *\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: *, gzip;q=0.0\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: *;q=0\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: xgzip\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;q=2\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;q=1.5\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;q=0.0001\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;x=1\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;q:1\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;q=1x0\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;q=0.x1\r\n"));
    assert_false(accepts_gzip("Accept-Encoding: gzip;q=\r\n"));
}

/* ---- Responses ---- */

TEST(a_response_head_is_written_line_by_line)
{
    struct buf out = {0};

    http_write_status(&out, 404);
    http_write_header(&out, "Content-Type", STR("application/json"));
    http_write_header(&out, "X-Empty", (struct str){0});
    http_write_header_int(&out, "Content-Length", 22);
    http_write_end(&out);
    expect_str(buf_str(&out), "HTTP/1.1 404 Not Found\r\n"
                              "Content-Type: application/json\r\n"
                              "X-Empty: \r\n"
                              "Content-Length: 22\r\n"
                              "\r\n");
    buf_deinit(&out);
}

TEST(every_status_that_the_parser_answers_has_a_reason)
{
    static const int statuses[] = {101, 200, 304, 400, 403, 404, 405, 411, 413,
                                   414, 422, 426, 429, 431, 500, 501, 503, 505};

    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_true(strlen(http_reason(statuses[i])) > 0);
    assert_string_equal(http_reason(503), "Service Unavailable");
    assert_string_equal(http_reason(299), "");
}

static int parse_response(const char *text, struct http_response *out)
{
    size_t size = strlen(text);
    int whole = http_parse_response((const uint8_t *)text, size, out);

    for (size_t n = 0; n < size; n++) {
        struct http_response part;
        uint8_t *copy = mem_alloc(n);
        int result;

        memcpy(copy, text, n);
        result = http_parse_response(copy, n, &part);
        free(copy);
        assert_true(result == 0 || result == whole);
    }
    return whole;
}

TEST(a_response_head_is_read_by_a_client)
{
    struct http_response r;

    assert_int_equal(parse_response("HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n", &r), 42);
    assert_int_equal(r.status, 101);
    assert_int_equal(r.minor_version, 1);
    expect_str(http_header(&r.headers, "a"), "b");
    assert_int_equal(parse_response("HTTP/1.0 503 \r\n\r\n", &r), 17);
    assert_int_equal(r.status, 503);
    assert_int_equal(parse_response("HTTP/1.1 200\r\n\r\n", &r), 16);
    assert_int_equal(r.status, 200);
}

TEST(a_response_head_that_is_not_http_1_is_refused)
{
    struct http_response r;

    assert_int_equal(parse_response("HTTP/2.0 200 OK\r\n\r\n", &r), ERR_SYNTAX);
    assert_int_equal(parse_response("HTTP/1.1 20 OK\r\n\r\n", &r), ERR_SYNTAX);
    assert_int_equal(parse_response("HTTP/1.1 2000 OK\r\n\r\n", &r), ERR_SYNTAX);
    assert_int_equal(parse_response("HTTP/1.1 2x0 OK\r\n\r\n", &r), ERR_SYNTAX);
    assert_int_equal(parse_response("HTTP/1.1 099 OK\r\n\r\n", &r), ERR_SYNTAX);
    assert_int_equal(parse_response("HTTP/1.1  200 OK\r\n\r\n", &r), ERR_SYNTAX);
    assert_int_equal(parse_response("ICY 200 OK\r\n\r\n", &r), ERR_SYNTAX);
    assert_int_equal(parse_response("\r\n", &r), ERR_SYNTAX);
    assert_int_equal(parse_response("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", &r), ERR_SYNTAX);
    assert_int_equal(parse_response("HTTP/1.1 200 OK\n", &r), ERR_SYNTAX);
}

TEST(a_response_head_too_large_is_full)
{
    struct http_response r;
    struct buf head = {0};

    buf_add_text(&head, "HTTP/1.1 200 OK\r\nA: ");
    while (head.size < HTTP_HEAD_BYTES_MAX)
        buf_add_char(&head, 'x');
    assert_int_equal(http_parse_response((uint8_t *)head.data, head.size, &r), ERR_FULL);
    assert_int_equal(http_parse_response((uint8_t *)head.data, head.size - 1, &r), 0);
    memset(head.data + 8, ' ', head.size - 8); /* not even the status line ends */
    assert_int_equal(http_parse_response((uint8_t *)head.data, head.size, &r), ERR_FULL);
    buf_clear(&head);
    buf_add_text(&head, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i <= HTTP_HEADERS_MAX; i++)
        buf_add_text(&head, "A: b\r\n");
    assert_int_equal(http_parse_response((uint8_t *)head.data, head.size, &r), ERR_FULL);
    buf_deinit(&head);
}
