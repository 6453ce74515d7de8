/* replay_body.h - the body of POST /replay: what is to be different of a replay.
 *
 *     {"speed":60,"paused":false,"position":"2025-12-29T10:00:00Z"}
 *
 * Any of the three. Outside input: whatever is not exactly this is refused in words. Pure; any
 * thread may call it. */
#ifndef HEATCAST_REPLAY_BODY_H
#define HEATCAST_REPLAY_BODY_H

#include "feed/clocks.h"

/* Returns 0, or ERR_SYNTAX with *change untouched and in `message` a sentence that says what is
 * wrong. Whether the position is within the data, the caller knows. */
int replay_body_parse(struct str text, struct replay_change *change, char *message,
                      size_t message_size) MUST_CHECK;

#endif
