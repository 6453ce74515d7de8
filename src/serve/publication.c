#include "serve/publication.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "wire/deflate.h"
#include "wire/frame.h"

/* Below this a compressed frame saves less than the work costs. */
#define DEFLATE_BYTES_MIN 512

/* As for frames: what a publication costs once, all its readers save. */
#define GZIP_LEVEL 6

/* --- versions --- */

bool version_is_newer(struct version a, struct version than)
{
    return a.epoch != than.epoch ? a.epoch > than.epoch : a.seq > than.seq;
}

uint64_t epoch_at(int64_t wall_ms, uint32_t number)
{
    return (uint64_t)wall_ms * LIMIT_EPOCHS_PER_MS + number % LIMIT_EPOCHS_PER_MS;
}

uint64_t epoch_after(uint64_t epoch, uint32_t number)
{
    uint64_t next = epoch - epoch % LIMIT_EPOCHS_PER_MS + number % LIMIT_EPOCHS_PER_MS;

    return next > epoch ? next : next + LIMIT_EPOCHS_PER_MS;
}

uint64_t epoch_latest(int64_t wall_ms)
{
    return epoch_at(wall_ms + LIMIT_EPOCH_AHEAD_MS, 0);
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

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : -1;
}

bool epoch_parse(struct str text, uint64_t *epoch)
{
    uint64_t value = 0;

    if (!text.size || (text.size > 1 && text.at[0] == '0')) return false;
    for (size_t i = 0; i < text.size; i++) {
        int digit = digit_of(text.at[i]);

        if (digit < 0 || __builtin_mul_overflow(value, 36u, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *epoch = value;
    return true;
}

/* --- life --- */

struct publication *publication_new(uint32_t topic_id, struct version version, uint64_t oldest_seq,
                                    const struct content_ops *ops, void *content)
{
    struct publication *pub = mem_zalloc(sizeof(*pub));

    atomic_init(&pub->refs, 1);
    pub->topic_id = topic_id;
    pub->version = version;
    pub->oldest_seq = oldest_seq;
    pub->made_us = clock_monotonic_us();
    pub->ops = ops;
    pub->content = content;
    if (uv_mutex_init(&pub->mutex)) abort();
    return pub;
}

struct publication *publication_ref(struct publication *pub)
{
    atomic_fetch_add_explicit(&pub->refs, 1, memory_order_relaxed);
    return pub;
}

static void free_encodings(struct encoding *first)
{
    while (first) {
        struct encoding *next = first->next;

        blob_unref(first->blob);
        free(first);
        first = next;
    }
}

void publication_unref(struct publication *pub)
{
    if (!pub || atomic_fetch_sub_explicit(&pub->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < ENCODING_BUCKETS; i++)
        free_encodings(atomic_load_explicit(&pub->encodings[i], memory_order_relaxed));
    uv_mutex_destroy(&pub->mutex);
    pub->ops->free(pub->content);
    free(pub);
}

bool publication_reaches(const struct publication *pub, struct version since)
{
    return since.epoch == pub->version.epoch && since.seq >= pub->oldest_seq &&
           since.seq <= pub->version.seq;
}

/* --- encodings --- */

static bool key_eq(const struct encoding_key *a, const struct encoding_key *b)
{
    return a->since_seq == b->since_seq && a->format == b->format && a->packing == b->packing &&
           a->not_resumed == b->not_resumed;
}

static struct encoding *_Atomic *bucket_of(struct publication *pub, const struct encoding_key *key)
{
    return &pub->encodings[key->since_seq % ENCODING_BUCKETS];
}

static const struct encoding *find(struct publication *pub, const struct encoding_key *key)
{
    const struct encoding *it = atomic_load_explicit(bucket_of(pub, key), memory_order_acquire);

    while (it && !key_eq(&it->asked, key))
        it = it->next;
    return it;
}

/* Under the mutex. Readers see it whole or not at all. */
static const struct encoding *add(struct publication *pub, const struct encoding_key *asked,
                                  const struct encoding_key *key, struct blob *blob)
{
    struct encoding *_Atomic *bucket = bucket_of(pub, asked);
    struct encoding *made = mem_alloc(sizeof(*made));

    *made = (struct encoding){.asked = *asked,
                              .key = *key,
                              .blob = blob,
                              .next = atomic_load_explicit(bucket, memory_order_relaxed)};
    if (key->since_seq) pub->difference_bytes += blob->size;
    atomic_store_explicit(bucket, made, memory_order_release);
    return made;
}

static const struct encoding *encode(struct publication *pub, const struct encoding_key *asked,
                                     struct deflater *deflater, struct encoding_cost *cost);

static struct blob *text_of(struct publication *pub, const struct encoding_key *key,
                            struct encoding_cost *cost)
{
    int64_t started_us = clock_monotonic_us();
    struct buf text = {0};

    pub->ops->write(pub->content, key, &text);
    cost->write_us += clock_monotonic_us() - started_us;
    return blob_take(&text);
}

static struct blob *frame_of(const struct blob *text, unsigned first)
{
    struct buf frame = {0};

    buf_reserve(&frame, text->size + FRAME_HEADER_BYTES_MAX);
    frame_append(&frame, first, text->data, text->size, NULL);
    return blob_take(&frame);
}

static struct blob *deflated_of(const struct blob *text, struct deflater *deflater,
                                struct encoding_cost *cost)
{
    int64_t started_us = clock_monotonic_us();
    struct buf packed = {0};
    struct blob *bytes, *frame;

    deflate_message(deflater, text->data, text->size, &packed);
    cost->deflate_us += clock_monotonic_us() - started_us;
    bytes = blob_take(&packed);
    frame = frame_of(bytes, FRAME_FIN | FRAME_RSV1 | WS_TEXT);
    blob_unref(bytes);
    return frame;
}

/* WHATWG HTML §9.2.5. The message has no line breaks of its own. */
static struct blob *event_of(const struct publication *pub, const struct blob *text)
{
    struct buf event = {0};
    char epoch[14];

    epoch_format(pub->version.epoch, epoch);
    buf_reserve(&event, text->size + 64);
    buf_printf(&event, "id: %s:%llu\ndata: ", epoch, (unsigned long long)pub->version.seq);
    buf_add(&event, text->data, text->size);
    buf_add_text(&event, "\n\n");
    return blob_take(&event);
}

/* A difference that would be longer than the whole is the whole under another name. */
static const struct encoding *alias(struct publication *pub, const struct encoding_key *asked,
                                    struct deflater *deflater, struct encoding_cost *cost)
{
    struct encoding_key whole = *asked;
    const struct encoding *of;

    whole.since_seq = 0;
    of = encode(pub, &whole, deflater, cost);
    return add(pub, asked, &of->key, blob_ref(of->blob));
}

static const struct encoding *make_text(struct publication *pub, const struct encoding_key *asked,
                                        struct encoding_cost *cost)
{
    struct encoding_key whole = *asked;
    struct blob *text = text_of(pub, asked, cost);

    whole.since_seq = 0;
    if (!asked->since_seq || text->size <= encode(pub, &whole, NULL, cost)->blob->size)
        return add(pub, asked, asked, text);
    blob_unref(text);
    return alias(pub, asked, NULL, cost);
}

static const struct encoding *make_gzip(struct publication *pub, const struct encoding_key *asked,
                                        const struct encoding *text, struct encoding_cost *cost)
{
    int64_t started_us = clock_monotonic_us();
    struct blob *packed = gzip_blob(text->blob, GZIP_LEVEL);

    cost->deflate_us += clock_monotonic_us() - started_us;
    return packed ? add(pub, asked, asked, packed)
                  : add(pub, asked, &text->key, blob_ref(text->blob));
}

static const struct encoding *make(struct publication *pub, const struct encoding_key *asked,
                                   struct deflater *deflater, struct encoding_cost *cost)
{
    struct encoding_key key = *asked, plain = *asked;
    const struct encoding *of;
    const struct blob *text;

    cost->made++;
    if (key.packing == PACK_TEXT) return make_text(pub, asked, cost);
    plain.packing = PACK_TEXT;
    of = encode(pub, &plain, NULL, cost);
    text = of->blob;
    if (of->key.since_seq != key.since_seq) return alias(pub, asked, deflater, cost);
    if (key.packing == PACK_GZIP) return make_gzip(pub, asked, of, cost);
    if (key.packing == PACK_EVENT) return add(pub, asked, &key, event_of(pub, text));
    if (key.packing == PACK_DEFLATED && text->size >= DEFLATE_BYTES_MIN)
        return add(pub, asked, &key, deflated_of(text, deflater, cost));
    if (key.packing == PACK_FRAME)
        return add(pub, asked, &key, frame_of(text, FRAME_FIN | WS_TEXT));
    key.packing = PACK_FRAME;
    return add(pub, asked, &key, blob_ref(encode(pub, &key, NULL, cost)->blob));
}

static bool may_differ(const struct publication *pub, uint64_t since_seq)
{
    return pub->difference_bytes < LIMIT_DIFFERENCE_BYTES &&
           pub->ops->difference_pays(pub->content, since_seq);
}

/* Under the mutex: what is not there is made. */
static const struct encoding *encode(struct publication *pub, const struct encoding_key *asked,
                                     struct deflater *deflater, struct encoding_cost *cost)
{
    const struct encoding *found = find(pub, asked);

    if (found) return found;
    if (asked->since_seq && !may_differ(pub, asked->since_seq))
        return alias(pub, asked, deflater, cost);
    return make(pub, asked, deflater, cost);
}

const struct encoding *publication_encode(struct publication *pub, const struct encoding_key *key,
                                          struct deflater *deflater, struct encoding_cost *cost)
{
    const struct encoding *found = find(pub, key);

    cost->reused += found != NULL;
    if (found) return found;
    assert(!key->since_seq || key->since_seq >= pub->oldest_seq);
    uv_mutex_lock(&pub->mutex);
    found = encode(pub, key, deflater, cost);
    uv_mutex_unlock(&pub->mutex);
    return found;
}
