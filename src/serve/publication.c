#include "serve/publication.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "wire/deflate.h"
#include "wire/frame.h"

/* Below this a compressed frame saves less than the work costs. */
#define DEFLATE_BYTES_MIN 512

bool version_is_newer(struct version a, struct version than)
{
    return a.epoch != than.epoch ? a.epoch > than.epoch : a.seq > than.seq;
}

void epoch_format(uint64_t epoch, char text[14])
{
    char digits[14];
    int count = 0;

    do
        digits[count++] = "0123456789abcdefghijklmnopqrstuvwxyz"[epoch % 36];
    while (epoch /= 36);
    while (count)
        *text++ = digits[--count];
    *text = '\0';
}

static struct blob *frame_blob(unsigned first, const void *payload, size_t size)
{
    struct buf buf = {0};

    buf_reserve(&buf, size + FRAME_HEADER_BYTES_MAX);
    frame_append(&buf, first, payload, size, NULL);
    return blob_take(&buf);
}

static struct blob *deflated_blob(const struct blob *json, struct deflater *deflater)
{
    struct buf packed = {0};
    struct blob *frame;

    deflate_message(deflater, json->data, json->size, &packed);
    frame = frame_blob(FRAME_FIN | FRAME_RSV1 | WS_TEXT, packed.data, packed.size);
    buf_deinit(&packed);
    return frame;
}

struct publication *publication_new(uint32_t topic_id, struct version version, struct blob *json,
                                    struct deflater *deflater)
{
    struct publication *pub = mem_zalloc(sizeof(*pub));

    atomic_init(&pub->refs, 1);
    pub->topic_id = topic_id;
    pub->version = version;
    pub->json = json;
    pub->frame = frame_blob(FRAME_FIN | WS_TEXT, json->data, json->size);
    if (deflater && json->size >= DEFLATE_BYTES_MIN) pub->deflated = deflated_blob(json, deflater);
    return pub;
}

struct publication *publication_ref(struct publication *pub)
{
    atomic_fetch_add_explicit(&pub->refs, 1, memory_order_relaxed);
    return pub;
}

void publication_unref(struct publication *pub)
{
    if (!pub || atomic_fetch_sub_explicit(&pub->refs, 1, memory_order_acq_rel) != 1) return;
    blob_unref(pub->json);
    blob_unref(pub->frame);
    blob_unref(pub->deflated);
    free(pub);
}
