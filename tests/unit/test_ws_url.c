#include "io/ws_url.h"

#include <string.h>

#include "test.h"

static void expect(const char *text, const char *host, const char *port, const char *authority,
                   const char *target)
{
    const char *reason = NULL;
    struct ws_url url;

    assert_int_equal(ws_url_parse(str_of(text), &url, &reason), 0);
    assert_null(reason);
    assert_string_equal(url.host, host);
    assert_string_equal(url.port, port);
    assert_string_equal(url.authority, authority);
    assert_string_equal(url.target, target);
}

static void expect_refused(const char *text, const char *part_of_reason)
{
    struct ws_url url, before;
    const char *reason = NULL;

    memset(&url, 0xa5, sizeof(url));
    before = url;
    assert_int_equal(ws_url_parse(str_of(text), &url, &reason), ERR_SYNTAX);
    assert_non_null(reason);
    if (!strstr(reason, part_of_reason)) fail_msg("%s: %s", text, reason);
    assert_memory_equal(&url, &before, sizeof(url));
}

TEST(a_whole_url_is_taken_as_it_stands)
{
    expect("ws://example.com:8000/a/b?c=d&e", "example.com", "8000", "example.com:8000",
           "/a/b?c=d&e");
    expect("WS://Example.COM:81/x", "Example.COM", "81", "Example.COM:81", "/x");
    expect("http://example.com/stream", "example.com", "80", "example.com", "/stream");
}

TEST(what_is_missing_has_a_default)
{
    expect("ws://h", "h", "80", "h", "/ws/heatmap");
    expect("ws://h:80", "h", "80", "h", "/ws/heatmap");
    expect("h:8000", "h", "8000", "h:8000", "/ws/heatmap");
    expect("h", "h", "80", "h", "/ws/heatmap");
    expect("127.0.0.1:1/x", "127.0.0.1", "1", "127.0.0.1:1", "/x");
    expect("ws://h?token=1", "h", "80", "h", "/ws/heatmap?token=1");
    expect("h/p?u=http://x", "h", "80", "h", "/p?u=http://x");
}

TEST(the_address_of_the_page_means_its_stream)
{
    expect("http://127.0.0.1:8000/", "127.0.0.1", "8000", "127.0.0.1:8000", "/ws/heatmap");
    expect("http://127.0.0.1:8000", "127.0.0.1", "8000", "127.0.0.1:8000", "/ws/heatmap");
    expect("localhost:8000/", "localhost", "8000", "localhost:8000", "/ws/heatmap");
    expect("ws://h/", "h", "80", "h", "/");
}

TEST(an_ipv6_address_stands_in_brackets)
{
    expect("ws://[::1]:8000/x", "::1", "8000", "[::1]:8000", "/x");
    expect("[2001:db8::1]", "2001:db8::1", "80", "[2001:db8::1]", "/ws/heatmap");
    expect("http://[::ffff:1.2.3.4]/", "::ffff:1.2.3.4", "80", "[::ffff:1.2.3.4]", "/ws/heatmap");
    expect_refused("::1:8000", "brackets");
    expect_refused("ws://::1/", "brackets");
    expect_refused("ws://[::1/", "]");
    expect_refused("ws://[::1]8000", "]");
    expect_refused("ws://[h]:80", "IPv6");
    expect_refused("ws://[]:80", "missing");
    expect_refused("ws://[fe80::1%25eth0]:80", "IPv6");
}

TEST(tls_is_refused_with_the_way_out)
{
    expect_refused("wss://example.com/", "TLS proxy");
    expect_refused("https://example.com/", "TLS proxy");
    expect_refused("WSS://example.com/", "TLS proxy");
}

TEST(what_cannot_be_is_told_apart)
{
    expect_refused("", "empty");
    expect_refused("ws://", "host is missing");
    expect_refused("ws://:8000", "host is missing");
    expect_refused("/path", "host is missing");
    expect_refused("ftp://h/", "scheme");
    expect_refused("://h/", "scheme");
    expect_refused("ws://u:p@h/", "user names");
    expect_refused("ws://h/#part", "#");
    expect_refused("ws://h:0", "port");
    expect_refused("ws://h:65536", "port");
    expect_refused("ws://h:", "port");
    expect_refused("ws://h:8o", "port");
    expect_refused("ws://h:-1", "port");
    expect_refused("ws://h:000080", "port");
    expect_refused("ws://h_x*/", "letters");
    expect_refused("ws://h%41/", "letters");
}

TEST(nothing_can_be_smuggled_into_the_request_head)
{
    expect_refused("ws://h/a b", "space");
    expect_refused("ws://h/a\r\nX: y", "space");
    expect_refused("ws://h\t/", "space");
    expect_refused("ws://h/\xc3\xa4", "ASCII");
    expect_refused("ws://h/\x7f", "ASCII");
}

TEST(the_longest_that_fits_is_taken_and_no_longer)
{
    char text[2048];
    struct ws_url url;
    const char *reason;

    memset(text, 'a', sizeof(text));
    text[WS_URL_HOST_BYTES_MAX] = '\0';
    assert_int_equal(ws_url_parse(str_of(text), &url, &reason), 0);
    assert_string_equal(url.authority, text);
    text[WS_URL_HOST_BYTES_MAX] = 'a';
    text[WS_URL_HOST_BYTES_MAX + 1] = '\0';
    expect_refused(text, "too long");
    memset(text, 'a', sizeof(text));
    text[1] = '/';
    text[sizeof(text) - 1] = '\0';
    expect_refused(text, "too long");
    text[1 + WS_URL_TARGET_BYTES_MAX - sizeof(WS_URL_TARGET)] = '\0';
    assert_int_equal(ws_url_parse(str_of(text), &url, &reason), 0);
    assert_string_equal(url.target, text + 1);
}
