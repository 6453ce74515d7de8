/* publication.h - one version of one topic, framed once and shared by all who send it.
 *
 * Made by the publisher's thread, immutable from then on, counted across threads. It knows bytes
 * and versions, never what they mean. */
#ifndef HEATCAST_SERVE_PUBLICATION_H
#define HEATCAST_SERVE_PUBLICATION_H

#include "base/blob.h"

/* A topic's versions are ordered by epoch, then seq. An epoch is a run of the publisher; later runs
 * have greater epochs. */
struct version {
    uint64_t epoch;
    uint64_t seq;
};

bool version_is_newer(struct version a, struct version than);
/* An epoch as clients see it: base 36. `text` holds at least 14 bytes. */
void epoch_format(uint64_t epoch, char text[14]);

struct publication {
    _Atomic uint32_t refs;
    uint32_t topic_id;
    struct version version;
    struct blob *json;     /* the message; one reference held, as for the two below */
    struct blob *frame;    /* the message as an unmasked RFC 6455 text frame */
    struct blob *deflated; /* the same compressed (RFC 7692), NULL when nobody wanted it */
};

/* Takes the caller's reference of `json`. `deflater` makes the compressed frame too; NULL leaves it
 * out (also left out below 512 bytes, where it does not pay). Returns one reference. */
struct deflater;
struct publication *publication_new(uint32_t topic_id, struct version version, struct blob *json,
                                    struct deflater *deflater) MUST_CHECK;
struct publication *publication_ref(struct publication *pub);
void publication_unref(struct publication *pub); /* NULL is fine */

#endif
