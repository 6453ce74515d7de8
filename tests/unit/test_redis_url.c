#include "io/redis_url.h"

#include <string.h>

#include "test.h"

static struct redis_url parsed(const char *text)
{
    const char *reason = NULL;
    struct redis_url url;

    if (redis_url_parse(str_of(text), &url, &reason)) fail_msg("%s: %s", text, reason);
    return url;
}

static void expect_refused(const char *text, const char *part_of_reason)
{
    const char *reason = NULL;
    struct redis_url url;

    assert_int_equal(redis_url_parse(str_of(text), &url, &reason), ERR_SYNTAX);
    if (!strstr(reason, part_of_reason)) fail_msg("%s: %s", text, reason);
}

TEST(a_server_has_a_host_a_port_and_a_database)
{
    struct redis_url url = parsed("redis://cache.example.com:6380/2");

    assert_int_equal(url.kind, REDIS_TCP);
    assert_string_equal(url.hosts[0].name, "cache.example.com");
    assert_int_equal(url.hosts[0].port, 6380);
    assert_int_equal(url.db, 2);
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "");
}

TEST(what_is_left_out_is_as_everywhere)
{
    struct redis_url url = parsed("redis://localhost");

    assert_int_equal(url.hosts[0].port, 6379);
    assert_int_equal(url.db, 0);
    assert_int_equal(parsed("REDIS://localhost/").db, 0);
}

TEST(a_login_may_be_percent_encoded)
{
    struct redis_url url = parsed("redis://node%201:p%40ss:w@host/1");

    assert_string_equal(url.user, "node 1");
    assert_string_equal(url.password, "p@ss:w");
    assert_string_equal(url.hosts[0].name, "host");
    assert_string_equal(parsed("redis://:secret@host").user, "");
    assert_string_equal(parsed("redis://:secret@host").password, "secret");
    assert_string_equal(parsed("redis://u:a@b@host").password, "a@b");
}

TEST(an_ipv6_address_stands_in_brackets)
{
    struct redis_url url = parsed("redis://[::1]:7000/0");

    assert_string_equal(url.hosts[0].name, "::1");
    assert_int_equal(url.hosts[0].port, 7000);
    assert_int_equal(parsed("redis://[fe80::2]").hosts[0].port, 6379);
    expect_refused("redis://::1", "host is missing");
    expect_refused("redis://[::1", "]");
    expect_refused("redis://[::1]7000", "port");
}

TEST(a_socket_has_a_path)
{
    struct redis_url url = parsed("unix:///run/redis/redis.sock?db=3");

    assert_int_equal(url.kind, REDIS_UNIX);
    assert_string_equal(url.path, "/run/redis/redis.sock");
    assert_int_equal(url.db, 3);
    assert_string_equal(parsed("unix://:pw@/tmp/r").password, "pw");
    expect_refused("unix://run/redis", "absolute path");
    expect_refused("unix:///run/redis?x=1", "db=N");
}

TEST(sentinels_are_several_and_name_a_master)
{
    struct redis_url url = parsed("redis+sentinel://u:p@one,two:26380,[::1]:26381/mymaster/4");

    assert_int_equal(url.kind, REDIS_SENTINEL);
    assert_int_equal(url.host_count, 3);
    assert_string_equal(url.hosts[0].name, "one");
    assert_int_equal(url.hosts[0].port, 26379);
    assert_int_equal(url.hosts[1].port, 26380);
    assert_string_equal(url.hosts[2].name, "::1");
    assert_string_equal(url.master, "mymaster");
    assert_string_equal(url.password, "p");
    assert_int_equal(url.db, 4);
    assert_int_equal(parsed("redis+sentinel://a,b,c,d,e,f,g,h/m").host_count, 8);
    expect_refused("redis+sentinel://a,b,c,d,e,f,g,h,i/m", "more than 8");
    expect_refused("redis+sentinel://one,two", "master's name");
    expect_refused("redis+sentinel://one,,two/m", "host is missing");
}

TEST(what_cannot_be_meant_is_refused)
{
    expect_refused("", "scheme");
    expect_refused("localhost:6379", "scheme");
    expect_refused("http://localhost", "scheme");
    expect_refused("rediss://localhost", "TLS");
    expect_refused("redis://", "host is missing");
    expect_refused("redis://host:0", "1 to 65535");
    expect_refused("redis://host:65536", "1 to 65535");
    expect_refused("redis://host:", "1 to 65535");
    expect_refused("redis://host/x", "database");
    expect_refused("redis://host/16384", "database");
    expect_refused("redis://secret@host", "user:password");
    expect_refused("redis://user:@host", "empty");
    expect_refused("redis://us%er:p@host", "percent-encoded");
    expect_refused("redis://ho st", "ASCII");
    assert_int_equal(parsed("redis://host/16383").db, 16383);
    assert_int_equal(parsed("redis://host:65535").hosts[0].port, 65535);
}
