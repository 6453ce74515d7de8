#include <stdio.h>

#include <arpa/inet.h>

#include "base/limits.h"
#include "serve/crowd.h"
#include "serve/restless.h"
#include "serve/unread.h"
#include "test.h"

static const struct address *at(const char *text)
{
    static struct address addresses[2]; /* two are enough for one expression */
    static unsigned next;
    struct sockaddr_in in = {.sin_family = AF_INET};

    assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
    addresses[++next % 2] = address_of((struct sockaddr *)&in);
    return &addresses[next % 2];
}

#define MIB (1 << 20)

TEST(one_address_may_leave_so_much_unread_and_no_more)
{
    static struct unread unread;
    size_t taken = 0;

    while (taken + MIB <= LIMIT_UNREAD_BYTES_PER_ADDRESS) {
        assert_int_equal(unread_take(&unread, at("10.0.0.1"), MIB), 0);
        taken += MIB;
    }
    assert_int_equal(unread_take(&unread, at("10.0.0.1"), MIB), 429);
    assert_int_equal(unread_take(&unread, at("10.0.0.1"), LIMIT_UNREAD_BYTES_SMALL), 0);
    unread_give(&unread, at("10.0.0.1"), LIMIT_UNREAD_BYTES_SMALL);
    assert_int_equal(unread_take(&unread, at("10.0.0.2"), MIB), 0);
    unread_give(&unread, at("10.0.0.2"), MIB);
    unread_give(&unread, at("10.0.0.1"), MIB);
    assert_int_equal(unread_take(&unread, at("10.0.0.1"), MIB), 0);
    unread_give(&unread, at("10.0.0.1"), taken);
    assert_int_equal(unread.total, 0);
}

TEST(all_addresses_together_have_a_limit_too)
{
    static struct unread unread;
    char address[32];
    int status = 0;
    int64_t count = 0;

    while (!status && count < 100000) {
        snprintf(address, sizeof(address), "10.0.%d.%d", (int)(count / 250), (int)(count % 250));
        status = unread_take(&unread, at(address), MIB);
        count += status == 0;
    }
    assert_int_equal(status, 503);
    assert_int_equal(count, LIMIT_UNREAD_BYTES / MIB);
}

TEST(short_lives_are_counted_for_this_minute_and_the_last)
{
    static struct restless restless;

    assert_int_equal(restless_count(&restless, at("10.0.0.1"), 0), 0);
    for (int i = 0; i < 3; i++)
        restless_note(&restless, at("10.0.0.1"), 5 * 60000 + i);
    assert_int_equal(restless_count(&restless, at("10.0.0.1"), 5 * 60000 + 9), 3);
    assert_int_equal(restless_count(&restless, at("10.0.0.2"), 5 * 60000 + 9), 0);
    assert_int_equal(restless_count(&restless, at("10.0.0.1"), 6 * 60000), 3);
    assert_int_equal(restless_count(&restless, at("10.0.0.1"), 7 * 60000), 0);
    restless_note(&restless, at("10.0.0.1"), 7 * 60000);
    assert_int_equal(restless_count(&restless, at("10.0.0.1"), 7 * 60000), 1);
}

TEST(an_address_has_so_many_places_and_gets_them_back)
{
    static struct crowd crowd;

    for (int i = 0; i < 3; i++)
        assert_true(crowd_enter(&crowd, at("10.0.0.1"), 3));
    assert_false(crowd_enter(&crowd, at("10.0.0.1"), 3));
    assert_true(crowd_enter(&crowd, at("10.0.0.2"), 3));
    crowd_leave(&crowd, at("10.0.0.1"));
    assert_true(crowd_enter(&crowd, at("10.0.0.1"), 3));
    assert_false(crowd_enter(&crowd, at("10.0.0.1"), 3));
    assert_true(crowd_enter(&crowd, at("10.0.0.1"), 0)); /* no limit */
}

TEST(localhost_stands_for_many_and_is_not_counted)
{
    static struct crowd crowd;

    for (int i = 0; i < 9; i++)
        assert_true(crowd_enter(&crowd, at("127.0.0.1"), 1));
    assert_true(crowd_enter(&crowd, at("127.0.0.2"), 1));
    assert_false(crowd_enter(&crowd, at("127.0.0.2"), 1));
}
