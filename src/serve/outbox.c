#include "serve/outbox.h"

#include <stdlib.h>
#include <string.h>

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){0};
    list_init(&outbox->marked);
}

static struct blob *pop_reply(struct outbox *outbox)
{
    struct blob *frame = outbox->replies[outbox->reply_first];

    outbox->reply_first = (uint16_t)((outbox->reply_first + 1) % outbox->reply_capacity);
    outbox->reply_count--;
    return frame;
}

void outbox_deinit(struct outbox *outbox)
{
    while (outbox->reply_count)
        blob_unref(pop_reply(outbox));
    free(outbox->replies);
    outbox->replies = NULL;
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

bool outbox_mark(struct outbox *outbox, struct subscription *sub)
{
    bool gave_way = !list_is_empty(&sub->in_outbox) && version_is_newer(sub->marked, sub->waiting);

    /* It went out early, when an older mark of this topic was served with the newest. */
    if (!version_is_newer(sub->marked, sub->sent)) return false;
    sub->waiting = sub->marked;
    if (list_is_empty(&sub->in_outbox)) list_append(&outbox->marked, &sub->in_outbox);
    return gave_way;
}

void outbox_unmark(struct subscription *sub)
{
    if (sub->in_outbox.next) list_remove(&sub->in_outbox);
}

struct blob *outbox_next(struct outbox *outbox, struct subscription **sub)
{
    struct list *front;
    struct publication *pub;

    *sub = NULL;
    if (outbox->reply_count) return pop_reply(outbox);
    front = list_pop(&outbox->marked);
    if (!front) return NULL;
    *sub = container_of(front, struct subscription, in_outbox);
    pub = (*sub)->topic->latest;
    (*sub)->sent = pub->version;
    return blob_ref((*sub)->wants_deflate && pub->deflated ? pub->deflated : pub->frame);
}
