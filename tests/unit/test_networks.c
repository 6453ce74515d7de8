#include "base/networks.h"

#include <string.h>

#include "test.h"

static struct address at(const char *text)
{
    struct address address;

    assert_int_equal(address_parse(str_of(text), &address), 0);
    return address;
}

static bool is_in(const char *text, const char *list)
{
    struct networks networks;
    struct address address = at(text);
    bool is;

    assert_int_equal(networks_parse(str_of(list), &networks), 0);
    is = networks_include(&networks, &address);
    networks_deinit(&networks);
    return is;
}

static bool is_refused(const char *list)
{
    struct networks networks;

    if (networks_parse(str_of(list), &networks)) return true;
    networks_deinit(&networks);
    return false;
}

TEST(an_address_is_written_as_it_was_read)
{
    static const char *const texts[] = {"192.0.2.1",   "0.0.0.0", "255.255.255.255",
                                        "2001:db8::1", "::1",     "::"};
    char text[ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct address address = at(texts[i]);

        address_format(&address, text);
        assert_string_equal(text, texts[i]);
    }
}

TEST(an_ipv4_address_mapped_into_ipv6_is_that_ipv4_address)
{
    struct address mapped = at("::ffff:192.0.2.1"), plain = at("192.0.2.1");

    assert_memory_equal(&mapped, &plain, sizeof(plain));
    assert_true(address_is_v4(&mapped));
}

TEST(what_is_not_an_address_and_nothing_else_is_none)
{
    static const struct str texts[] = {
        {"", 0},
        {"192.0.2.1\0", 10},
        {"1\0", 2},
        {"2001:db8:1:2:3:4:5:6:7:8:9:aaaa:bbbb:cccc:dddd:eeee:ffff", 56},
    };
    static const char *const more[] = {"1.2.3",    "1.2.3.4.5", "256.1.1.1", "01.2.3.4",
                                       " 1.2.3.4", "1.2.3.4 ",  "0x7f.1",    "localhost",
                                       "::1%lo",   "[::1]",     ":::",       "1.2.3.4:80"};
    struct address address;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(address_parse(texts[i], &address), ERR_SYNTAX);
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        assert_int_equal(address_parse(str_of(more[i]), &address), ERR_SYNTAX);
}

TEST(a_single_address_holds_itself_alone)
{
    assert_true(is_in("10.1.2.3", "10.1.2.3"));
    assert_false(is_in("10.1.2.4", "10.1.2.3"));
    assert_true(is_in("fd00::1", "fd00::1"));
    assert_false(is_in("fd00::2", "fd00::1"));
}

TEST(a_range_holds_its_first_and_last_address_and_not_those_beside_them)
{
    assert_true(is_in("10.0.0.0", "10.0.0.0/8"));
    assert_true(is_in("10.255.255.255", "10.0.0.0/8"));
    assert_false(is_in("11.0.0.0", "10.0.0.0/8"));
    assert_false(is_in("9.255.255.255", "10.0.0.0/8"));
    assert_true(is_in("172.31.255.255", "172.16.0.0/12"));
    assert_false(is_in("172.32.0.0", "172.16.0.0/12"));
    assert_true(is_in("192.0.2.7", "192.0.2.6/31"));
    assert_false(is_in("192.0.2.8", "192.0.2.6/31"));
    assert_true(is_in("fdff:ffff::1", "fd00::/8"));
    assert_false(is_in("fe00::", "fd00::/8"));
    assert_true(is_in("2001:db8:0:ffff::1", "2001:db8::/47"));
    assert_true(is_in("2001:db8:1::", "2001:db8::/47"));
    assert_false(is_in("2001:db8:2::", "2001:db8::/47"));
}

TEST(the_widest_and_the_narrowest_ranges_are_ranges)
{
    assert_true(is_in("203.0.113.9", "0.0.0.0/0"));
    assert_true(is_in("2001:db8::9", "::/0"));
    assert_true(is_in("10.0.0.1", "10.0.0.1/32"));
    assert_false(is_in("10.0.0.2", "10.0.0.1/32"));
    assert_true(is_in("::1", "::1/128"));
    assert_false(is_in("::2", "::1/128"));
}

TEST(ranges_of_one_family_hold_no_address_of_the_other)
{
    assert_false(is_in("10.0.0.1", "::/0"));
    assert_false(is_in("10.0.0.1", "::/80"));
    assert_false(is_in("2001:db8::1", "0.0.0.0/0"));
    assert_true(is_in("10.0.0.1", "::ffff:10.0.0.0/104"));
    assert_false(is_in("11.0.0.1", "::ffff:10.0.0.0/104"));
}

TEST(a_list_holds_what_any_of_its_elements_does)
{
    assert_true(is_in("::1", "127.0.0.1, ::1 ,10.0.0.0/8"));
    assert_true(is_in("10.9.9.9", "127.0.0.1, ::1 ,10.0.0.0/8"));
    assert_false(is_in("127.0.0.2", "127.0.0.1, ::1 ,10.0.0.0/8"));
    assert_false(is_in("127.0.0.1", ""));
}

TEST(a_list_with_anything_else_in_it_is_refused)
{
    static const char *const lists[] = {
        "localhost",     "10.0.0.0/33", "10.0.0.0/-1",  "10.0.0.0/",   "10.0.0.0/08",
        "10.0.0.0/8x",   "10.0.0.0/+8", "fd00::/129",   "fd00::/1000", "10.0.0.1/8",
        "fd00::1/8",     "/8",          "10.0.0.0/8/8", "10.0.0.1,,",  ",10.0.0.1",
        "10.0.0.1 ::1",  "[::1]",       "10.0.0.1:80",  "*",           " ",
        "10.0.0.128/24", "::/ 0"};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (!is_refused(lists[i])) fail_msg("'%s' was taken", lists[i]);
}
