#include <string.h>

#include "serve/hub.h"
#include "serve/outbox.h"
#include "test.h"

/* A hub with two topics, and a record of who was marked. */
static struct hub hub;
static struct subscription *marks[64];
static size_t mark_count;
static unsigned interest_count;

static void on_mark(struct subscription *sub)
{
    marks[mark_count++] = sub;
}

static void on_interest(struct hub *of, const struct topic *topic)
{
    (void)of;
    (void)topic;
    interest_count++;
}

static void begin(void)
{
    hub_init(&hub);
    hub.on_mark = on_mark;
    hub.on_interest = on_interest;
    hub_add_topic(&hub, "BTC", 0);
    hub_add_topic(&hub, "BTCUSDT", 1);
    mark_count = interest_count = 0;
}

static struct topic *topic(const char *name)
{
    return hub_find(&hub, str_of(name));
}

static struct publication *publication(uint32_t topic_id, uint64_t epoch, uint64_t seq)
{
    return publication_new(topic_id, (struct version){epoch, seq}, blob_new("hello", 5), NULL);
}

static void join(struct subscription *sub, const char *name, uint8_t interval, int64_t now_ms)
{
    list_init(&sub->in_outbox);
    hub_subscribe(&hub, sub, topic(name), interval, false, now_ms);
}

TEST(a_topic_is_found_by_its_whole_name_only)
{
    begin();
    assert_non_null(topic("BTC"));
    assert_non_null(topic("BTCUSDT"));
    assert_ptr_not_equal(topic("BTC"), topic("BTCUSDT"));
    assert_null(topic("BT"));
    assert_null(topic("BTCU"));
    assert_null(topic(""));
    assert_null(topic("ZZZ"));
    hub_deinit(&hub);
}

TEST(topics_stay_ascending_however_they_are_added)
{
    begin();
    hub_add_topic(&hub, "AAA", 7);
    hub_add_topic(&hub, "BTCA", 3);
    hub_add_topic(&hub, "BTC", 9); /* known already: left as it is */
    assert_int_equal(hub.topic_count, 4);
    for (size_t i = 1; i < hub.topic_count; i++)
        assert_true(strcmp(hub.topics[i - 1]->name, hub.topics[i]->name) < 0);
    assert_int_equal(topic("BTC")->id, 0);
    hub_deinit(&hub);
}

TEST(a_new_subscriber_is_marked_for_the_newest_at_once)
{
    struct subscription sub = {0};

    begin();
    assert_int_equal(hub_deliver(&hub, publication(0, 1, 1), 0), 0);
    join(&sub, "BTC", 5, 100);
    assert_int_equal(mark_count, 1);
    assert_ptr_equal(marks[0], &sub);
    hub_unsubscribe(&hub, &sub);
    hub_deinit(&hub);
}

TEST(a_version_that_is_not_newer_is_dropped)
{
    struct subscription sub = {0};

    begin();
    join(&sub, "BTC", 0, 0);
    assert_int_equal(hub_deliver(&hub, publication(0, 5, 2), 0), 1);
    assert_int_equal(hub_deliver(&hub, publication(0, 5, 2), 0), 0);
    assert_int_equal(hub_deliver(&hub, publication(0, 5, 1), 0), 0);
    assert_int_equal(hub_deliver(&hub, publication(0, 4, 9), 0), 0);
    assert_int_equal(hub_deliver(&hub, publication(0, 6, 1), 0), 1); /* a later run */
    assert_int_equal(hub_deliver(&hub, publication(9, 6, 1), 0), 0); /* no such topic */
    hub_unsubscribe(&hub, &sub);
    hub_deinit(&hub);
}

TEST(a_change_within_the_interval_waits_until_it_has_passed)
{
    struct subscription sub = {0};

    begin();
    hub_deliver(&hub, publication(0, 1, 1), 0);
    join(&sub, "BTC", 5, 1000); /* marked at 1000 */
    assert_int_equal(hub_deliver(&hub, publication(0, 1, 2), 3000), 0);
    assert_int_equal(hub_tick(&hub, 5999), 6000);
    assert_int_equal(mark_count, 1);
    assert_int_equal(hub_tick(&hub, 6000), -1);
    assert_int_equal(mark_count, 2);
    hub_unsubscribe(&hub, &sub);
    hub_deinit(&hub);
}

TEST(a_change_after_a_quiet_time_goes_out_at_once)
{
    struct subscription sub = {0};

    begin();
    hub_deliver(&hub, publication(0, 1, 1), 0);
    join(&sub, "BTC", 5, 0);
    assert_int_equal(hub_tick(&hub, 20000), -1); /* nothing new: nobody is due */
    assert_int_equal(hub_deliver(&hub, publication(0, 1, 2), 20001), 1);
    hub_unsubscribe(&hub, &sub);
    hub_deinit(&hub);
}

TEST(each_subscriber_has_its_own_rhythm_within_one_interval)
{
    struct subscription early = {0}, late = {0};

    begin();
    hub_deliver(&hub, publication(0, 1, 1), 0);
    join(&early, "BTC", 5, 0);
    join(&late, "BTC", 5, 3000);
    assert_int_equal(hub_deliver(&hub, publication(0, 1, 2), 5000), 1); /* early only */
    assert_ptr_equal(marks[2], &early);
    assert_int_equal(hub_tick(&hub, 5001), 8000);
    assert_int_equal(hub_tick(&hub, 8000), -1);
    assert_ptr_equal(marks[3], &late);
    hub_unsubscribe(&hub, &early);
    hub_unsubscribe(&hub, &late);
    hub_deinit(&hub);
}

TEST(interval_zero_gets_every_version)
{
    struct subscription sub = {0};

    begin();
    join(&sub, "BTC", 0, 0);
    for (uint64_t seq = 1; seq <= 20; seq++)
        assert_int_equal(hub_deliver(&hub, publication(0, 1, seq), 1), 1);
    hub_unsubscribe(&hub, &sub);
    hub_deinit(&hub);
}

TEST(subscribing_again_replaces_the_interval_and_never_doubles)
{
    struct subscription sub = {0};

    begin();
    join(&sub, "BTC", 60, 0);
    hub_subscribe(&hub, &sub, topic("BTC"), 1, false, 10);
    assert_int_equal(topic("BTC")->subscriber_count, 1);
    assert_int_equal(hub_deliver(&hub, publication(0, 1, 1), 2000), 1);
    assert_int_equal(hub_deliver(&hub, publication(0, 1, 2), 3000), 1); /* a second later */
    hub_unsubscribe(&hub, &sub);
    assert_int_equal(topic("BTC")->subscriber_count, 0);
    assert_int_equal(hub_deliver(&hub, publication(0, 1, 3), 9000), 0);
    hub_deinit(&hub);
}

TEST(interest_is_told_for_the_first_and_the_last_only)
{
    struct subscription a = {0}, b = {0};

    begin();
    join(&a, "BTC", 5, 0);
    assert_int_equal(interest_count, 1);
    join(&b, "BTC", 7, 0);
    assert_int_equal(interest_count, 1);
    hub_subscribe(&hub, &b, topic("BTC"), 7, true, 0); /* now somebody wants deflate */
    assert_int_equal(interest_count, 2);
    hub_unsubscribe(&hub, &a);
    assert_int_equal(interest_count, 2);
    hub_unsubscribe(&hub, &b);
    hub_unsubscribe(&hub, &b);
    assert_int_equal(interest_count, 3);
    hub_deinit(&hub);
}

TEST(a_topic_is_forgotten_only_while_nobody_listens)
{
    struct subscription sub = {0};

    begin();
    hub_deliver(&hub, publication(0, 1, 5), 0);
    hub_forget(&hub, 0, (struct version){1, 4}); /* about an older one */
    assert_non_null(topic("BTC")->latest);
    join(&sub, "BTC", 5, 0);
    hub_forget(&hub, 0, (struct version){1, 5});
    assert_non_null(topic("BTC")->latest);
    hub_unsubscribe(&hub, &sub);
    hub_forget(&hub, 0, (struct version){1, 5});
    assert_null(topic("BTC")->latest);
    hub_deinit(&hub);
}

/* Whatever the order of publications, time, joins and leaves: nobody gets two within the interval,
 * and when all is quiet everybody has been marked for the newest. */
TEST(everybody_ends_with_the_newest_and_never_too_often)
{
    enum { SUBS = 20 };
    uint64_t seed = 42, seq = 1;

    for (int round = 0; round < 200; round++) {
        struct subscription subs[SUBS] = {0};
        int64_t now_ms = 0, marked_at[SUBS];

        begin();
        for (size_t i = 0; i < SUBS; i++) {
            join(&subs[i], "BTC", (uint8_t)(test_random(&seed) % 7), 0);
            marked_at[i] = -100000;
        }
        for (int step = 0; step < 60; step++) {
            now_ms += (int64_t)(test_random(&seed) % 900);
            mark_count = 0;
            if (test_random(&seed) % 2)
                hub_deliver(&hub, publication(0, 1, ++seq), now_ms);
            else
                hub_tick(&hub, now_ms);
            for (size_t i = 0; i < mark_count; i++) {
                size_t who = (size_t)(marks[i] - subs);

                assert_true(now_ms - marked_at[who] >= subs[who].interval * 1000);
                marked_at[who] = now_ms;
            }
        }
        hub_deliver(&hub, publication(0, 1, ++seq), now_ms);
        for (int64_t next = hub_tick(&hub, now_ms); next >= 0; next = hub_tick(&hub, next))
            mark_count = 0;
        for (size_t i = 0; i < SUBS; i++) {
            assert_int_equal(subs[i].marked.seq, seq);
            hub_unsubscribe(&hub, &subs[i]);
        }
        hub_deinit(&hub);
    }
}

/* --- the outbox: what a slow client has to be sent --- */

static struct outbox *box;

static unsigned gave_way;

static void mark_in_box(struct subscription *sub)
{
    gave_way += outbox_mark(box, sub);
}

static void take(struct outbox *outbox, const char *expected, struct subscription *from)
{
    struct subscription *sub;
    struct blob *blob = outbox_next(outbox, &sub);

    assert_non_null(blob);
    assert_ptr_equal(sub, from);
    if (expected) {
        assert_int_equal(blob->size, strlen(expected));
        assert_memory_equal(blob->data, expected, blob->size);
    }
    blob_unref(blob);
}

TEST(a_topic_marked_again_is_sent_once_and_the_older_ones_give_way)
{
    struct outbox outbox;
    struct subscription sub = {0}, *none;

    begin();
    outbox_init(&outbox);
    box = &outbox;
    gave_way = 0;
    hub.on_mark = mark_in_box;
    join(&sub, "BTC", 0, 0);
    hub_deliver(&hub, publication(0, 1, 1), 0);
    hub_deliver(&hub, publication(0, 1, 2), 0);
    hub_deliver(&hub, publication(0, 1, 3), 0);
    assert_int_equal(gave_way, 2);
    take(&outbox, NULL, &sub);
    assert_int_equal(sub.sent.seq, 3);
    assert_null(outbox_next(&outbox, &none));
    hub_unsubscribe(&hub, &sub);
    outbox_deinit(&outbox);
    hub_deinit(&hub);
}

TEST(replies_go_first_in_order_and_are_never_dropped)
{
    struct outbox outbox;
    struct subscription sub = {0}, *none;

    begin();
    outbox_init(&outbox);
    box = &outbox;
    gave_way = 0;
    hub.on_mark = mark_in_box;
    join(&sub, "BTC", 0, 0);
    hub_deliver(&hub, publication(0, 1, 1), 0);
    for (int i = 0; i < LIMIT_REPLIES_QUEUED; i++) {
        char text[2] = {(char)('!' + i), 0};

        assert_int_equal(outbox_reply(&outbox, blob_new(text, 1)), 0);
    }
    assert_int_equal(outbox_reply(&outbox, blob_new("x", 1)), ERR_FULL);
    for (int i = 0; i < LIMIT_REPLIES_QUEUED; i++) {
        char text[2] = {(char)('!' + i), 0};

        take(&outbox, text, NULL);
    }
    take(&outbox, NULL, &sub);
    assert_null(outbox_next(&outbox, &none));
    hub_unsubscribe(&hub, &sub);
    outbox_deinit(&outbox);
    hub_deinit(&hub);
}

TEST(a_version_sent_early_is_not_sent_again_when_it_is_due)
{
    struct outbox outbox;
    struct subscription sub = {0}, *none;

    begin();
    outbox_init(&outbox);
    box = &outbox;
    gave_way = 0;
    hub.on_mark = mark_in_box;
    hub_deliver(&hub, publication(0, 1, 1), 0);
    join(&sub, "BTC", 5, 0);                    /* marked for 1, not yet written */
    hub_deliver(&hub, publication(0, 1, 2), 1); /* not due for it */
    take(&outbox, NULL, &sub);                  /* but the newest is what is sent */
    assert_int_equal(sub.sent.seq, 2);
    hub_tick(&hub, 5000); /* due for 2 now */
    assert_null(outbox_next(&outbox, &none));
    assert_int_equal(gave_way, 0);
    hub_unsubscribe(&hub, &sub);
    outbox_deinit(&outbox);
    hub_deinit(&hub);
}

TEST(an_epoch_is_written_in_base_36)
{
    char text[14];

    epoch_format(0, text);
    assert_string_equal(text, "0");
    epoch_format(35, text);
    assert_string_equal(text, "z");
    epoch_format(36, text);
    assert_string_equal(text, "10");
    epoch_format(UINT64_MAX, text);
    assert_string_equal(text, "3w5e11264sgsf");
}
