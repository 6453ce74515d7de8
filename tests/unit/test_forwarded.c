#include "wire/forwarded.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

#define PROXIES "10.0.0.0/8, fd00::/8, 127.0.0.1"

/* The client of a request from 10.0.0.1 with these fields between its first line and its end. */
static const char *client(const char *fields)
{
    static char text[ADDRESS_TEXT_SIZE];
    struct address peer, found;
    struct http_request request;
    struct networks proxies;
    char head[4096];
    int size = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);

    assert_int_equal(http_parse_head((const uint8_t *)head, (size_t)size, &request), size);
    assert_int_equal(address_parse(STR("10.0.0.1"), &peer), 0);
    assert_int_equal(networks_parse(STR(PROXIES), &proxies), 0);
    found = forwarded_client(&proxies, &request.headers, &peer);
    networks_deinit(&proxies);
    address_format(&found, text);
    return text;
}

#define FOR(list) "X-Forwarded-For: " list "\r\n"

TEST(the_client_is_whom_the_proxy_was_asked_by)
{
    assert_string_equal(client(FOR("203.0.113.7")), "203.0.113.7");
    assert_string_equal(client(FOR("2001:db8::7")), "2001:db8::7");
    assert_string_equal(client("x-forwarded-FOR:203.0.113.7\r\n"), "203.0.113.7");
}

TEST(what_the_client_itself_wrote_before_that_is_not_believed)
{
    assert_string_equal(client(FOR("1.1.1.1, 203.0.113.7")), "203.0.113.7");
    assert_string_equal(client(FOR("127.0.0.1, 10.0.0.1,203.0.113.7")), "203.0.113.7");
    assert_string_equal(client(FOR("rubbish, 203.0.113.7")), "203.0.113.7");
}

TEST(our_own_proxies_behind_the_client_are_passed_over)
{
    assert_string_equal(client(FOR("203.0.113.7, 10.0.0.9")), "203.0.113.7");
    assert_string_equal(client(FOR("1.1.1.1, 203.0.113.7, fd00::1, 10.9.9.9, 127.0.0.1")),
                        "203.0.113.7");
}

TEST(fields_of_the_name_are_one_list_in_their_order)
{
    assert_string_equal(client(FOR("203.0.113.7") FOR("10.0.0.9")), "203.0.113.7");
    assert_string_equal(client(FOR("1.1.1.1") "Via: x\r\n" FOR("203.0.113.7, 10.0.0.9")),
                        "203.0.113.7");
    assert_string_equal(client(FOR("203.0.113.7") FOR("2.2.2.2")), "2.2.2.2");
}

TEST(where_all_are_our_proxies_the_first_of_them_asked)
{
    assert_string_equal(client(FOR("10.0.0.7")), "10.0.0.7");
    assert_string_equal(client(FOR("fd00::7, 10.0.0.8, 10.0.0.9")), "fd00::7");
}

TEST(without_the_field_the_proxy_itself_asks)
{
    assert_string_equal(client(""), "10.0.0.1");
    assert_string_equal(client("Forwarded: for=203.0.113.7\r\nX-Real-IP: 1.1.1.1\r\n"), "10.0.0.1");
}

TEST(empty_elements_do_not_count)
{
    assert_string_equal(client(FOR("")), "10.0.0.1");
    assert_string_equal(client(FOR(" , ,")), "10.0.0.1");
    assert_string_equal(client(FOR("203.0.113.7, ,\t,") FOR("")), "203.0.113.7");
}

TEST(reading_stops_at_what_is_no_address_and_the_last_good_one_is_the_client)
{
    assert_string_equal(client(FOR("203.0.113.7, unknown")), "10.0.0.1");
    assert_string_equal(client(FOR("203.0.113.7, unknown, 10.0.0.9")), "10.0.0.9");
    assert_string_equal(client(FOR("203.0.113.7, _secret, 10.0.0.8, 10.0.0.9")), "10.0.0.8");
    assert_string_equal(client(FOR("203.0.113.7, x, 10.0.0.8, 198.51.100.1, 10.0.0.9")),
                        "198.51.100.1");
    assert_string_equal(client(FOR("203.0.113.7, x, 10.0.0.8, y")), "10.0.0.1");
}

TEST(an_address_may_have_a_port)
{
    assert_string_equal(client(FOR("203.0.113.7:1")), "203.0.113.7");
    assert_string_equal(client(FOR("203.0.113.7:65535, 10.0.0.9:80")), "203.0.113.7");
    assert_string_equal(client(FOR("[2001:db8::7]")), "2001:db8::7");
    assert_string_equal(client(FOR("[2001:db8::7]:443")), "2001:db8::7");
}

TEST(an_ipv4_address_in_ipv6_is_the_same_client)
{
    assert_string_equal(client(FOR("::ffff:203.0.113.7")), "203.0.113.7");
    assert_string_equal(client(FOR("203.0.113.7, ::ffff:10.0.0.9")), "203.0.113.7");
}

TEST(what_only_looks_like_an_address_is_none)
{
    static const char *const bad[] = {"203.0.113",
                                      "203.0.113.7:",
                                      "203.0.113.7:x",
                                      "203.0.113.7:123456",
                                      "203.0.113.7 x",
                                      "[203.0.113.7]",
                                      "[203.0.113.7]:1",
                                      "[2001:db8::7",
                                      "[2001:db8::7]x",
                                      "[2001:db8::7]:",
                                      "[2001:db8::7]:x",
                                      "2001:db8::7]",
                                      "[]",
                                      "[",
                                      "]",
                                      ":",
                                      "for=203.0.113.7",
                                      "\"203.0.113.7\"",
                                      "203.0.113.7;x",
                                      "203.0.113.007",
                                      "2001:db8::7%eth0",
                                      "203.0.113.7/32",
                                      "localhost",
                                      "-",
                                      "203.0.113.7:-1",
                                      "[2001:db8::7]:1:1",
                                      "[[::1]]",
                                      "203.0.113.7:80:80"};
    char field[128];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(field, sizeof(field), FOR("1.1.1.1, %s"), bad[i]);
        if (strcmp(client(field), "10.0.0.1") != 0) fail_msg("'%s' was taken", bad[i]);
    }
}
