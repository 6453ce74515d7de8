#include <stdio.h>

#include "base/limits.h"
#include "serve/restless.h"
#include "serve/unread.h"
#include "test.h"

#define MIB (1 << 20)

TEST(one_address_may_leave_so_much_unread_and_no_more)
{
    static struct unread unread;
    size_t taken = 0;

    while (taken + MIB <= LIMIT_UNREAD_BYTES_PER_ADDRESS) {
        assert_int_equal(unread_take(&unread, "10.0.0.1", MIB), 0);
        taken += MIB;
    }
    assert_int_equal(unread_take(&unread, "10.0.0.1", MIB), 429);
    assert_int_equal(unread_take(&unread, "10.0.0.1", LIMIT_UNREAD_BYTES_SMALL), 0);
    unread_give(&unread, "10.0.0.1", LIMIT_UNREAD_BYTES_SMALL);
    assert_int_equal(unread_take(&unread, "10.0.0.2", MIB), 0);
    unread_give(&unread, "10.0.0.2", MIB);
    unread_give(&unread, "10.0.0.1", MIB);
    assert_int_equal(unread_take(&unread, "10.0.0.1", MIB), 0);
    unread_give(&unread, "10.0.0.1", taken);
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
        status = unread_take(&unread, address, MIB);
        count += status == 0;
    }
    assert_int_equal(status, 503);
    assert_int_equal(count, LIMIT_UNREAD_BYTES / MIB);
}

TEST(short_lives_are_counted_for_this_minute_and_the_last)
{
    static struct restless restless;

    assert_int_equal(restless_count(&restless, "a", 0), 0);
    for (int i = 0; i < 3; i++)
        restless_note(&restless, "a", 5 * 60000 + i);
    assert_int_equal(restless_count(&restless, "a", 5 * 60000 + 9), 3);
    assert_int_equal(restless_count(&restless, "b", 5 * 60000 + 9), 0);
    assert_int_equal(restless_count(&restless, "a", 6 * 60000), 3);
    assert_int_equal(restless_count(&restless, "a", 7 * 60000), 0);
    restless_note(&restless, "a", 7 * 60000);
    assert_int_equal(restless_count(&restless, "a", 7 * 60000), 1);
}
