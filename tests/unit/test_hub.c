#include <stdlib.h>
#include <string.h>

#include "serve/hub.h"
#include "serve/outbox.h"
#include "test.h"

/* A hub with two topics, and a record of who was marked. */
static struct hub hub;
static struct subscription *marks[64];
static size_t mark_count;
static unsigned interest_count;

static void on_mark(struct subscription *sub, bool is_newer)
{
    (void)is_newer;
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

/* A publication that says which way it was asked for: "whole", "+30" since version 30, …
 * Differences to versions before PAYS_FROM are known to be longer than the whole, that to LONG
 * turns out to be. */
enum { OLDEST = 10, PAYS_FROM = 15, LONG = 16 };
static unsigned written; /* calls of its writer */

static bool difference_pays(const void *content, uint64_t since_seq)
{
    (void)content;
    return since_seq >= PAYS_FROM;
}

static void write_content(const void *content, const struct encoding_key *key, struct buf *out)
{
    (void)content;
    written++;
    if (key->since_seq)
        buf_printf(out, key->since_seq == LONG ? "+%d, at length" : "+%d", (int)key->since_seq);
    else
        buf_add_text(out, key->not_resumed ? "not resumed" : "whole");
    if (key->format == FORMAT_COLUMNS) buf_add_text(out, " in columns");
}

static void free_content(void *content)
{
    free(content);
}

static struct publication *publication(uint32_t topic_id, uint64_t epoch, uint64_t seq)
{
    static const struct content_ops ops = {difference_pays, write_content, free_content};

    return publication_new(topic_id, (struct version){epoch, seq}, MIN(seq, OLDEST), &ops,
                           mem_alloc(1));
}

static struct wish every(uint8_t interval)
{
    return (struct wish){.interval = interval, .packing = PACK_TEXT};
}

static void join_with(struct subscription *sub, const char *name, struct wish wish, int64_t now_ms)
{
    if (!sub->in_outbox.next) list_init(&sub->in_outbox);
    hub_subscribe(&hub, sub, topic(name), &wish, (struct version){0}, now_ms);
}

static void join(struct subscription *sub, const char *name, uint8_t interval, int64_t now_ms)
{
    join_with(sub, name, every(interval), now_ms);
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

TEST(a_topic_keeps_the_count_of_its_subscribers_where_others_may_read_it)
{
    struct subscription one = {0}, other = {0};
    _Atomic uint32_t tally = 0;

    begin();
    hub_add_topic(&hub, "BTC", 0)->tally = &tally; /* it is there: the same topic */
    join(&one, "BTC", 5, 0);
    join(&other, "BTC", 0, 0);
    assert_int_equal(tally, 2);
    join(&one, "BTC", 60, 0); /* again, with another interval */
    assert_int_equal(tally, 2);
    hub_unsubscribe(&hub, &one);
    assert_int_equal(tally, 1);
    hub_unsubscribe(&hub, &one);
    assert_int_equal(tally, 1);
    hub_unsubscribe(&hub, &other);
    assert_int_equal(tally, 0);
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
    join(&sub, "BTC", 1, 10);
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
    hub_unsubscribe(&hub, &a);
    assert_int_equal(interest_count, 1);
    hub_unsubscribe(&hub, &b);
    hub_unsubscribe(&hub, &b);
    assert_int_equal(interest_count, 2);
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

                assert_true(now_ms - marked_at[who] >= subs[who].wish.interval * 1000);
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

static struct outbox outbox;
static struct encoding_cost cost;
static unsigned gave_way;

static void mark_in_box(struct subscription *sub, bool is_newer)
{
    gave_way += outbox_mark(sub, is_newer);
}

/* A client with an outbox and one subscription, not joined yet. */
static void begin_client(struct subscription *sub)
{
    begin();
    outbox_init(&outbox);
    *sub = (struct subscription){.outbox = &outbox};
    hub.on_mark = mark_in_box;
    cost = (struct encoding_cost){0};
    gave_way = written = 0;
}

static void end_client(struct subscription *sub)
{
    struct outgoing none;

    assert_false(outbox_next(&outbox, NULL, &cost, &none));
    hub_unsubscribe(&hub, sub);
    outbox_deinit(&outbox);
    hub_deinit(&hub);
}

static void take(const char *expected, bool is_version)
{
    struct outgoing out;

    assert_true(outbox_next(&outbox, NULL, &cost, &out));
    assert_int_equal(out.is_version, is_version);
    assert_int_equal(out.blob->size, strlen(expected));
    assert_memory_equal(out.blob->data, expected, out.blob->size);
    if (out.is_owned) blob_unref(out.blob);
}

TEST(a_topic_marked_again_is_sent_once_and_the_older_ones_give_way)
{
    struct subscription sub;

    begin_client(&sub);
    join(&sub, "BTC", 0, 0);
    hub_deliver(&hub, publication(0, 1, 1), 0);
    hub_deliver(&hub, publication(0, 1, 2), 0);
    hub_deliver(&hub, publication(0, 1, 3), 0);
    assert_int_equal(gave_way, 2);
    take("whole", true);
    assert_int_equal(sub.sent.seq, 3);
    end_client(&sub);
}

TEST(asking_again_for_what_waits_already_drops_nothing)
{
    struct subscription sub;

    begin_client(&sub);
    hub_deliver(&hub, publication(0, 1, 1), 0);
    join(&sub, "BTC", 0, 0);
    join(&sub, "BTC", 5, 0);
    assert_int_equal(gave_way, 0);
    take("whole", true);
    join(&sub, "BTC", 5, 0); /* who asks again is answered again */
    take("whole", true);
    end_client(&sub);
}

TEST(replies_go_first_in_order_and_are_never_dropped)
{
    struct subscription sub;

    begin_client(&sub);
    join(&sub, "BTC", 0, 0);
    hub_deliver(&hub, publication(0, 1, 1), 0);
    for (int i = 0; i < LIMIT_REPLIES_QUEUED; i++) {
        char text[2] = {(char)('!' + i), 0};

        assert_int_equal(outbox_reply(&outbox, blob_new(text, 1)), 0);
    }
    assert_int_equal(outbox_reply(&outbox, blob_new("x", 1)), ERR_FULL);
    for (int i = 0; i < LIMIT_REPLIES_QUEUED; i++) {
        char text[2] = {(char)('!' + i), 0};

        take(text, false);
    }
    take("whole", true);
    end_client(&sub);
}

TEST(a_version_sent_early_is_not_sent_again_when_it_is_due)
{
    struct subscription sub;

    begin_client(&sub);
    hub_deliver(&hub, publication(0, 1, 1), 0);
    join(&sub, "BTC", 5, 0);                    /* marked for 1, not yet written */
    hub_deliver(&hub, publication(0, 1, 2), 1); /* not due for it */
    take("whole", true);                        /* but the newest is what is sent */
    assert_int_equal(sub.sent.seq, 2);
    hub_tick(&hub, 5000); /* due for 2 now */
    assert_int_equal(gave_way, 0);
    end_client(&sub);
}

/* --- differences --- */

static const struct wish delta = {.packing = PACK_TEXT, .wants_delta = true};

TEST(a_skipped_delta_client_gets_a_difference_to_what_it_really_has)
{
    struct subscription sub;

    begin_client(&sub);
    join_with(&sub, "BTC", delta, 0);
    hub_deliver(&hub, publication(0, 1, 20), 0);
    take("whole", true);
    hub_deliver(&hub, publication(0, 1, 21), 0);
    take("+20", true);
    hub_deliver(&hub, publication(0, 1, 22), 0);
    hub_deliver(&hub, publication(0, 1, 25), 0);
    take("+21", true);
    end_client(&sub);
}

TEST(a_difference_that_does_not_pay_or_reach_is_the_whole)
{
    struct subscription sub;

    begin_client(&sub);
    join_with(&sub, "BTC", delta, 0);
    hub_deliver(&hub, publication(0, 1, 9), 0);
    take("whole", true);
    hub_deliver(&hub, publication(0, 1, 14), 0); /* remembers versions from 10 on */
    take("whole", true);
    hub_deliver(&hub, publication(0, 1, 16), 0); /* 14 is before PAYS_FROM */
    take("whole", true);
    hub_deliver(&hub, publication(0, 2, 17), 0); /* another epoch */
    take("whole", true);
    hub_deliver(&hub, publication(0, 2, 18), 0);
    take("+17", true);
    end_client(&sub);
}

TEST(every_sixtieth_is_the_whole)
{
    struct subscription sub;
    char text[32];

    begin_client(&sub);
    join_with(&sub, "BTC", delta, 0);
    for (int seq = 100; seq < 300; seq++) {
        hub_deliver(&hub, publication(0, 1, (uint64_t)seq), 0);
        snprintf(text, sizeof(text), "+%d", seq - 1);
        take((seq - 100) % 60 ? text : "whole", true);
    }
    end_client(&sub);
}

TEST(each_encoding_is_made_once_however_many_take_it)
{
    struct subscription subs[10];

    begin_client(&subs[0]);
    for (int i = 0; i < 10; i++) {
        subs[i] = (struct subscription){.outbox = &outbox};
        join_with(&subs[i], "BTC", delta, 0);
    }
    for (uint64_t seq = 20; seq < 23; seq++) {
        hub_deliver(&hub, publication(0, 1, seq), 0);
        for (int i = 0; i < 10; i++)
            take(seq == 20 ? "whole" : seq == 21 ? "+20" : "+21", true);
    }
    /* Beside the two differences their wholes, to compare the lengths. */
    assert_int_equal(written, 5);
    assert_int_equal(cost.made, 5);
    assert_int_equal(cost.reused, 27);
    for (int i = 1; i < 10; i++)
        hub_unsubscribe(&hub, &subs[i]);
    end_client(&subs[0]);
}

static enum resume come_back(struct subscription *sub, struct version has, bool wants_delta)
{
    struct wish wish = {.packing = PACK_TEXT, .wants_delta = wants_delta};

    return hub_subscribe(&hub, sub, topic("BTC"), &wish, has, 0);
}

TEST(who_comes_back_is_told_what_it_missed)
{
    struct subscription sub;

    begin_client(&sub);
    hub_deliver(&hub, publication(0, 7, 30), 0);
    assert_int_equal(come_back(&sub, (struct version){7, 20}, true), RESUME_POSSIBLE);
    take("+20", true);
    hub_unsubscribe(&hub, &sub);
    assert_int_equal(come_back(&sub, (struct version){7, 30}, true), RESUME_UP_TO_DATE);
    hub_deliver(&hub, publication(0, 7, 31), 0);
    take("+30", true);
    hub_unsubscribe(&hub, &sub);
    assert_int_equal(come_back(&sub, (struct version){7, 20}, false), RESUME_POSSIBLE);
    take("whole", true);
    end_client(&sub);
}

TEST(who_cannot_be_told_what_it_missed_gets_the_whole_and_is_told_so_once)
{
    static const struct version foreign[] = {
        {7, OLDEST - 1},                    /* too long ago */
        {7, 30 + LIMIT_VERSIONS_AHEAD + 1}, /* to come */
        {8, 1},                             /* of a later run */
        {6, 30},                            /* of an earlier one */
        {UINT64_MAX, 30},                   /* of nobody's */
    };

    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        struct subscription sub;

        begin_client(&sub);
        hub_deliver(&hub, publication(0, 7, 30), 0);
        assert_int_equal(come_back(&sub, foreign[i], i % 2), RESUME_IMPOSSIBLE);
        take("not resumed", true);
        hub_deliver(&hub, publication(0, 7, 31), 0);
        take(i % 2 ? "+30" : "whole", true);
        end_client(&sub);
    }
}

TEST(who_comes_from_a_quicker_shard_waits_for_what_it_has)
{
    struct subscription sub;

    begin_client(&sub);
    hub_deliver(&hub, publication(0, 7, 30), 0);
    assert_int_equal(come_back(&sub, (struct version){7, 32}, true), RESUME_LATER);
    hub_deliver(&hub, publication(0, 7, 31), 0);
    hub_deliver(&hub, publication(0, 7, 32), 0); /* it has that */
    hub_deliver(&hub, publication(0, 7, 33), 0);
    take("+32", true);
    hub_unsubscribe(&hub, &sub);

    assert_int_equal(come_back(&sub, (struct version){7, 34}, true), RESUME_LATER);
    hub_deliver(&hub, publication(0, 8, 1), 0); /* it has been too long on its way */
    take("not resumed", true);
    end_client(&sub);
}

TEST(who_comes_back_before_there_is_anything_is_judged_by_the_first_version)
{
    struct subscription sub;

    begin_client(&sub);
    assert_int_equal(come_back(&sub, (struct version){7, 20}, true), RESUME_LATER);
    hub_deliver(&hub, publication(0, 7, 21), 0);
    take("+20", true);
    hub_unsubscribe(&hub, &sub);
    end_client(&sub);

    begin_client(&sub);
    assert_int_equal(come_back(&sub, (struct version){7, 20}, true), RESUME_LATER);
    hub_deliver(&hub, publication(0, 9, 1), 0);
    take("not resumed", true);
    end_client(&sub);
}

/* --- encodings --- */

static const struct encoding *encode(struct publication *pub, uint64_t since_seq,
                                     enum packing packing)
{
    struct encoding_key key = {.since_seq = since_seq, .packing = (uint8_t)packing};

    return publication_encode(pub, &key, NULL, &cost);
}

static void expect_bytes(const struct encoding *encoding, const void *bytes, size_t size)
{
    assert_int_equal(encoding->blob->size, size);
    assert_memory_equal(encoding->blob->data, bytes, size);
}

TEST(a_message_is_packed_as_text_frame_or_event)
{
    struct publication *pub = publication(0, 36, 21);

    written = 0;
    expect_bytes(encode(pub, 0, PACK_FRAME), "\x81\x05whole", 7);
    expect_bytes(encode(pub, 0, PACK_TEXT), "whole", 5);
    expect_bytes(encode(pub, 20, PACK_EVENT), "id: 10:21\ndata: +20\n\n", 21);
    assert_int_equal(written, 2);
    publication_unref(pub);
}

TEST(a_short_message_is_not_compressed_and_says_so)
{
    struct publication *pub = publication(0, 36, 21);
    const struct encoding *encoding = encode(pub, 0, PACK_DEFLATED);

    expect_bytes(encoding, "\x81\x05whole", 7);
    assert_int_equal(encoding->key.packing, PACK_FRAME);
    encoding = encode(pub, 0, PACK_GZIP);
    expect_bytes(encoding, "whole", 5);
    assert_int_equal(encoding->key.packing, PACK_TEXT);
    publication_unref(pub);
}

TEST(a_difference_that_does_not_pay_says_that_it_is_the_whole)
{
    struct publication *pub = publication(0, 36, 21);

    assert_int_equal(encode(pub, 20, PACK_TEXT)->key.since_seq, 20);
    assert_int_equal(encode(pub, 12, PACK_TEXT)->key.since_seq, 0);
    assert_ptr_equal(encode(pub, 12, PACK_TEXT)->blob, encode(pub, 0, PACK_TEXT)->blob);
    publication_unref(pub);
}

TEST(a_difference_that_turns_out_longer_than_the_whole_is_the_whole_however_it_is_packed)
{
    for (int packing = 0; packing < PACKINGS; packing++) {
        struct publication *pub = publication(0, 36, 21);
        const struct encoding *encoding = encode(pub, LONG, (enum packing)packing);

        assert_int_equal(encoding->key.since_seq, 0);
        assert_ptr_equal(encoding->blob, encode(pub, 0, (enum packing)packing)->blob);
        publication_unref(pub);
    }
}

/* Half a megabyte in whole, a byte less in each difference. */
static void write_much(const void *content, const struct encoding_key *key, struct buf *out)
{
    size_t size = (512 << 10) - (key->since_seq != 0);

    (void)content;
    buf_reserve(out, size);
    while (out->size < size)
        buf_add_char(out, 'x');
}

TEST(differences_to_one_version_have_a_bound_in_bytes)
{
    static const struct content_ops ops = {difference_pays, write_much, free_content};
    struct publication *pub =
        publication_new(0, (struct version){1, 1000}, OLDEST, &ops, mem_alloc(1));
    size_t bytes = 0;

    for (uint64_t seq = 100; seq < 200; seq++) {
        const struct encoding *encoding = encode(pub, seq, PACK_FRAME);

        if (encoding->key.since_seq)
            bytes += encoding->blob->size + encode(pub, seq, PACK_TEXT)->blob->size;
        else
            assert_ptr_equal(encoding->blob, encode(pub, 0, PACK_FRAME)->blob);
    }
    assert_in_range(bytes, LIMIT_DIFFERENCE_BYTES, LIMIT_DIFFERENCE_BYTES + (1 << 20));
    assert_int_equal(encode(pub, 100, PACK_FRAME)->key.since_seq, 100); /* what is there, stays */
    publication_unref(pub);
}

TEST(an_epoch_is_read_as_it_is_written_and_nothing_else_is_one)
{
    static const char *const bad[] = {"",    "A", "-1", "00", "01", " 1", "1 ", "3w5e11264sgsg",
                                      "\xc3"};
    static const uint64_t good[] = {0, 1, 35, 36, 1700000000000, UINT64_MAX};
    uint64_t epoch = 77;
    char text[14];

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        epoch_format(good[i], text);
        assert_true(epoch_parse(str_of(text), &epoch));
        assert_true(epoch == good[i]);
    }
    epoch = 77;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(epoch_parse(str_of(bad[i]), &epoch));
    assert_int_equal(epoch, 77);
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

TEST(an_epoch_bears_its_time_and_its_server)
{
    uint64_t now = epoch_at(1767000000000, 5);

    assert_true(now == UINT64_C(1767000000000) * LIMIT_EPOCHS_PER_MS + 5);
    assert_true(epoch_at(1767000000000, 5 + LIMIT_EPOCHS_PER_MS) == now);
    assert_true(epoch_after(now, 5) == epoch_at(1767000000001, 5));
    assert_true(epoch_after(now, 6) == epoch_at(1767000000000, 6));
    assert_true(epoch_after(now, 4) == epoch_at(1767000000001, 4));
}
