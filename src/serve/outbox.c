#include "serve/outbox.h"

#include <stdlib.h>
#include <string.h>

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){0};
    list_init(&outbox->marked);
}

/* The ring goes with its last reply: most clients are told something once, then only versions. */
static struct blob *pop_reply(struct outbox *outbox)
{
    struct blob *frame = outbox->replies[outbox->reply_first];

    outbox->reply_first = (uint16_t)((outbox->reply_first + 1) % outbox->reply_capacity);
    outbox->reply_count--;
    if (outbox->reply_count) return frame;
    free(outbox->replies);
    outbox->replies = NULL;
    outbox->reply_first = outbox->reply_capacity = 0;
    return frame;
}

void outbox_deinit(struct outbox *outbox)
{
    while (outbox->reply_count)
        blob_unref(pop_reply(outbox));
}

/* Doubles the ring; its contents start at 0 again. */
static void grow(struct outbox *outbox)
{
    uint16_t capacity = outbox->reply_capacity ? (uint16_t)(outbox->reply_capacity * 2) : 4;
    struct blob **ring = mem_alloc(capacity * sizeof(*ring));

    for (uint16_t i = 0; i < outbox->reply_count; i++)
        ring[i] = outbox->replies[(outbox->reply_first + i) % outbox->reply_capacity];
    free(outbox->replies);
    outbox->replies = ring;
    outbox->reply_first = 0;
    outbox->reply_capacity = capacity;
}

int outbox_reply(struct outbox *outbox, struct blob *frame)
{
    if (outbox->reply_count >= LIMIT_REPLIES_QUEUED) {
        blob_unref(frame);
        return ERR_FULL;
    }
    if (outbox->reply_count == outbox->reply_capacity) grow(outbox);
    outbox->replies[(outbox->reply_first + outbox->reply_count++) % outbox->reply_capacity] = frame;
    return 0;
}

bool outbox_mark(struct subscription *sub, bool is_newer)
{
    bool was_waiting = !list_is_empty(&sub->in_outbox);

    /* It went out early, when an older mark of this topic was served with the newest. */
    if (!version_is_newer(sub->marked, sub->sent)) return false;
    if (!was_waiting) list_append(&sub->outbox->marked, &sub->in_outbox);
    return was_waiting && is_newer;
}

void outbox_unmark(struct subscription *sub)
{
    if (sub->in_outbox.next) list_remove(&sub->in_outbox);
}

/* What this client is told: what changed since the version it has, if it asked for that; the whole
 * now and then all the same, so that whatever went wrong heals. */
static struct encoding_key key_of(const struct subscription *sub)
{
    const struct publication *latest = sub->topic->latest;
    bool is_delta = sub->wish.wants_delta && sub->delta_count < LIMIT_DELTAS_IN_A_ROW &&
                    publication_reaches(latest, sub->sent);

    return (struct encoding_key){.since_seq = is_delta ? sub->sent.seq : 0,
                                 .format = sub->wish.format,
                                 .packing = sub->wish.packing,
                                 .not_resumed = !is_delta && sub->not_resumed};
}

struct outgoing outbox_take(struct subscription *sub, struct deflater *deflater,
                            struct encoding_cost *cost)
{
    struct encoding_key key = key_of(sub);
    const struct encoding *encoding = publication_encode(sub->topic->latest, &key, deflater, cost);

    sub->delta_count = encoding->key.since_seq ? sub->delta_count + 1 : 0;
    sub->sent = sub->topic->latest->version;
    sub->not_resumed = false;
    return (struct outgoing){.blob = encoding->blob, .is_version = true, .key = encoding->key};
}

bool outbox_next(struct outbox *outbox, struct deflater *deflater, struct encoding_cost *cost,
                 struct outgoing *out)
{
    struct list *front;

    if (outbox->reply_count) {
        *out = (struct outgoing){.blob = pop_reply(outbox), .is_owned = true};
        return true;
    }
    front = list_pop(&outbox->marked);
    if (!front) return false;
    *out = outbox_take(container_of(front, struct subscription, in_outbox), deflater, cost);
    return true;
}
