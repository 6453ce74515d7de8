/* publish_body.h - the body of POST /publish/SYMBOL: a snapshot of somebody's own model; and the
 * same as the `data` of a message from another server.
 *
 *     {"levels":[{"price":98000,"long_density":1500000.25,"short_density":0},…],
 *      "current_price":98450,"price_bin_size":100,
 *      "positions_created":5,"positions_consumed":2,"timestamp":"2025-12-29T10:00:00Z"}
 *
 * The stream's `data` object, so what was received can be sent on; levels may be columns as well
 * ({"prices":[first, step, …],"long":[…],"short":[…]}). The last three fields may be left out.
 * Outside input: whatever is not exactly this is refused in words. Pure; any thread may call it. */
#ifndef HEATCAST_PUBLISH_BODY_H
#define HEATCAST_PUBLISH_BODY_H

#include "heat/snapshot.h"

struct json_t;

/* Reads `text` into *out, whose levels are then the caller's to free by snapshot_deinit(); what it
 * held before is not looked at. Numbers are the decimals that were meant, exact where they have up
 * to 15 digits: the price is rounded to 8 decimals, densities to cents (half away from zero), and
 * levels without either are left out. Without a timestamp the time is `now_ms`, without counts they
 * are 0. Returns 0, or ERR_SYNTAX with *out untouched and in `message` a sentence that says what is
 * wrong and where: "levels[3].price: 98050 is not a multiple of price_bin_size 100". */
int publish_body_parse(struct str text, int64_t now_ms, struct snapshot *out, char *message,
                       size_t message_size) MUST_CHECK;

/* The same of the `data` of another server's message, loaded by publish_body_load(): up to
 * LIMIT_PEER_LEVELS levels, and fields that are not known are passed over. */
int publish_body_read_peer(struct json_t *data, int64_t now_ms, struct snapshot *out, char *message,
                           size_t message_size) MUST_CHECK;
/* The caller's to json_decref(); NULL, with the message, for what is not JSON. Whole numbers are
 * read as doubles too, so that one too big for 64 bits is like any other. */
struct json_t *publish_body_load(struct str text, char *message, size_t message_size) MUST_CHECK;

#endif
