/* publication.h - one version of one topic, encoded at most once in each way that somebody wants.
 *
 * What it says is its maker's affair (struct content_ops): this floor knows bytes and versions,
 * never what they mean. Immutable but for the encodings, which are added when first asked for and
 * then stay; counted across threads. */
#ifndef HEATCAST_SERVE_PUBLICATION_H
#define HEATCAST_SERVE_PUBLICATION_H

#include <uv.h>

#include "base/blob.h"

/* A topic's versions are ordered by epoch, then seq. An epoch is a run of the publisher; later runs
 * have greater epochs. Seqs of an epoch begin at 1. */
struct version {
    uint64_t epoch;
    uint64_t seq;
};

bool version_is_newer(struct version a, struct version than);
/* The first epoch of that time which has this number, which counts modulo LIMIT_EPOCHS_PER_MS. */
uint64_t epoch_at(int64_t wall_ms, uint32_t number);
/* The next one after an epoch that has this number. */
uint64_t epoch_after(uint64_t epoch, uint32_t number);
/* The greatest that is believed of another server at this time of ours. */
uint64_t epoch_latest(int64_t wall_ms);
/* An epoch as clients see it: base 36. `text` holds at least 14 bytes. */
void epoch_format(uint64_t epoch, char text[14]);
/* The other way round; false, *epoch untouched, for what epoch_format() does not write. */
bool epoch_parse(struct str text, uint64_t *epoch) MUST_CHECK;

enum format { FORMAT_LEVELS, FORMAT_COLUMNS, FORMATS };

enum packing {
    PACK_TEXT,     /* the message itself, for HTTP */
    PACK_FRAME,    /* an unmasked RFC 6455 text frame */
    PACK_DEFLATED, /* the same compressed (RFC 7692); a PACK_FRAME below 512 bytes */
    PACK_EVENT,    /* a server-sent event with its id */
    PACK_GZIP,     /* the message compressed, for HTTP; a PACK_TEXT where that does not pay */
    PACKINGS
};

/* One way to say it. */
struct encoding_key {
    uint64_t since_seq; /* the version of this epoch that it is a difference to; 0: the whole */
    uint8_t format;     /* enum format */
    uint8_t packing;    /* enum packing */
    bool not_resumed;   /* the whole, to who asked for a difference that there is none of */
};

struct encoding {
    struct encoding_key asked; /* what it was made for */
    struct encoding_key key;   /* what it is: a difference that would not pay is the whole */
    struct blob *blob;         /* reference held */
    struct encoding *next;     /* in its bucket of publication.encodings */
};

/* What a publication says; functions may be called on any thread, one at a time. */
struct content_ops {
    /* May a difference to that version of its epoch be shorter than the whole? One that turns out
     * not to be is not used. */
    bool (*difference_pays)(const void *content, uint64_t since_seq);
    /* Appends the message. */
    void (*write)(const void *content, const struct encoding_key *key, struct buf *out);
    void (*free)(void *content);
};

enum { ENCODING_BUCKETS = 16 };

struct publication {
    _Atomic uint32_t refs;
    uint32_t topic_id;
    struct version version;
    uint64_t oldest_seq; /* the oldest version of its epoch that a difference can start from */
    int64_t made_us;     /* clock_monotonic_us() when it was */
    const struct content_ops *ops;
    void *content;           /* owned */
    uv_mutex_t mutex;        /* held while an encoding is made: who wants one too waits for it */
    size_t difference_bytes; /* under the mutex: of the encodings that are differences */
    struct encoding *_Atomic encodings[ENCODING_BUCKETS]; /* owned lists, by since_seq */
};

/* Takes `content`. Returns one reference. */
struct publication *publication_new(uint32_t topic_id, struct version version, uint64_t oldest_seq,
                                    const struct content_ops *ops, void *content) MUST_CHECK;
struct publication *publication_ref(struct publication *pub);
void publication_unref(struct publication *pub); /* NULL is fine */

struct deflater;

/* What making encodings took, for whoever counts. */
struct encoding_cost {
    uint64_t made, reused;
    int64_t write_us, deflate_us;
};

/* The encoding asked for, made now if nobody asked before. `deflater` is the calling thread's, NULL
 * where PACK_DEFLATED is not asked for. Lives as long as the publication. Adds to *cost. */
const struct encoding *publication_encode(struct publication *pub, const struct encoding_key *key,
                                          struct deflater *deflater, struct encoding_cost *cost);

/* Can a client that has that version be given a difference to this one? */
bool publication_reaches(const struct publication *pub, struct version since);

#endif
