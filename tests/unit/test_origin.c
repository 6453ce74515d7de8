#include "wire/origin.h"

#include <stdio.h>

#include "test.h"

static bool is_own(const char *origin, const char *host)
{
    return origin_is_own(str_of(origin), str_of(host), STR("heat.local"));
}

TEST(a_page_from_an_address_is_our_own)
{
    assert_true(is_own("http://127.0.0.1:8000", "127.0.0.1:8000"));
    assert_true(is_own("http://192.0.2.7", "192.0.2.7"));
    assert_true(is_own("http://[::1]:8000", "[::1]:8000"));
    assert_true(is_own("http://[2001:DB8::1]", "[2001:db8::1]"));
}

TEST(a_page_from_localhost_or_the_name_that_is_listened_on_is_our_own)
{
    assert_true(is_own("http://localhost:8000", "localhost:8000"));
    assert_true(is_own("http://LocalHost", "localhost"));
    assert_true(is_own("http://heat.localhost:8000", "heat.localhost:8000"));
    assert_true(is_own("http://heat.local:8000", "HEAT.local:8000"));
}

/* Whoever owns the name can let it be our address: then both fields say so. */
TEST(a_page_from_any_other_name_is_not)
{
    static const char *const names[] = {"evil.example:8000",
                                        "evil.example",
                                        "127.0.0.1.evil.example",
                                        "evil-localhost",
                                        "localhost.evil.example",
                                        "heat.local.evil.example",
                                        "evil.heat.local",
                                        "heat",
                                        "1.2.3",
                                        "0x7f.1",
                                        "[evil.example]",
                                        "::1",
                                        "1111111111111111111111111111111111111111111111111111",
                                        ":8000",
                                        "[]",
                                        "["};
    char origin[80];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(origin, sizeof(origin), "http://%s", names[i]);
        assert_false(is_own(origin, names[i]));
    }
}

TEST(scheme_name_and_port_must_all_be_those_of_the_host)
{
    assert_false(is_own("https://127.0.0.1:8000", "127.0.0.1:8000"));
    assert_false(is_own("http://127.0.0.1:8001", "127.0.0.1:8000"));
    assert_false(is_own("http://127.0.0.1", "127.0.0.1:8000"));
    assert_false(is_own("http://127.0.0.2:8000", "127.0.0.1:8000"));
    assert_false(is_own("//127.0.0.1:8000", "127.0.0.1:8000"));
    assert_false(is_own("http://x127.0.0.1", "127.0.0.1"));
    assert_false(is_own("http://127.0.0.1/", "127.0.0.1"));
    assert_false(is_own("null", "127.0.0.1:8000"));
    assert_false(is_own("", "127.0.0.1:8000"));
    assert_false(is_own("http://", ""));
}

TEST(no_name_to_listen_on_is_no_name)
{
    assert_false(origin_is_own(STR("http://:8000"), STR(":8000"), STR("")));
    assert_true(origin_is_own(STR("http://127.0.0.1"), STR("127.0.0.1"), STR("0.0.0.0")));
}

static bool is_listed(const char *origin, const char *list, bool any)
{
    bool is_any = !any;
    bool is = origin_is_listed(str_of(origin), list, &is_any);

    assert_int_equal(is_any, any);
    return is;
}

TEST(a_list_names_origins_or_all)
{
    assert_true(is_listed("https://a.example", "https://a.example", false));
    assert_true(is_listed("https://A.example", " https://b.example , https://a.example", false));
    assert_true(is_listed("https://a.example", "https://a.example,*", false));
    assert_true(is_listed("https://c.example", "https://a.example,*", true));
    assert_false(is_listed("https://a.example:1", "https://a.example", false));
    assert_false(is_listed("", ",,", false));
    assert_false(is_listed("", "", false));
}
