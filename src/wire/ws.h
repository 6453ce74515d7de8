/* ws.h - a WebSocket's incoming side: bytes in, events out; RFC 6455 and RFC 7692.
 *
 *     ws_feed(&c->ws, bytes, size);
 *     while (ws_next(&c->ws, &event))
 *         switch (event.type) { ... }
 *
 * Bytes may be cut anywhere; the events are the same. Whoever sends us nonsense is told apart at
 * the first byte that shows it. A message that came in one piece is handed over where it lies in
 * the caller's bytes, unmasked there; memory is held only while a message or a control frame is
 * incomplete. Knows no sockets and answers nothing: pongs and closes are the caller's. Belongs to
 * one thread. */
#ifndef HEATCAST_WIRE_WS_H
#define HEATCAST_WIRE_WS_H

#include "base/base.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "wire/deflate.h"
#include "wire/frame.h"

enum ws_role {
    WS_SERVER, /* frames must be masked */
    WS_CLIENT, /* frames must not be masked */
};

enum ws_event_type {
    WS_EVENT_TEXT,   /* payload: a whole message, valid UTF-8 */
    WS_EVENT_BINARY, /* payload: a whole message */
    WS_EVENT_PING,   /* payload: what the pong must carry */
    WS_EVENT_PONG,   /* payload: what it carried */
    WS_EVENT_CLOSE,  /* the peer closes: code, or WS_CLOSE_NO_STATUS; payload: its reason */
    WS_EVENT_FAIL,   /* the peer broke the protocol: close with `code`; payload: our reason */
};

struct ws_event {
    enum ws_event_type type;
    uint16_t code;      /* of CLOSE and FAIL; else 0 */
    struct str payload; /* until the next ws_next(), ws_feed() or ws_deinit() */
};

struct ws {
    struct inflater *inflater; /* borrowed, the thread's; NULL: permessage-deflate is not in use */
    uint8_t *input;            /* borrowed from ws_feed()'s caller: the bytes not yet looked at */
    size_t input_size;
    struct buf message;       /* the unfinished message's payload so far, as it came */
    struct buf control;       /* the unfinished control frame's payload so far */
    size_t message_bytes_max; /* of a message, after inflating */
    uint64_t payload_size;    /* of the frame being read */
    uint64_t payload_taken;   /* of that, what was seen */
    struct utf8_state utf8;   /* of the unfinished text message; complete between messages */
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    uint8_t header_size;    /* bytes of header collected */
    uint8_t role;           /* enum ws_role */
    uint8_t message_opcode; /* WS_TEXT or WS_BINARY; WS_CONTINUATION between messages */
    bool message_is_compressed;
    bool is_in_payload;     /* the header is complete */
    bool message_was_given; /* the last event pointed into `message`: to be released */
    bool control_was_given; /* the same of `control` */
    bool is_over;           /* closed or failed: takes no more */
};

/* `inflater` stays the caller's and must outlive the ws; NULL where permessage-deflate was not
 * negotiated. */
void ws_init(struct ws *ws, enum ws_role role, size_t message_bytes_max, struct inflater *inflater);
void ws_deinit(struct ws *ws);

/* Lends `bytes` until ws_next() returns false or the ws is deinitialised; payloads are unmasked in
 * place. The bytes fed before must have been used up. */
void ws_feed(struct ws *ws, uint8_t *bytes, size_t size);

/* The next event of the bytes fed; false when they are used up, and then nothing is held but an
 * unfinished message. After WS_EVENT_CLOSE or WS_EVENT_FAIL there is no further event, whatever
 * comes. */
bool ws_next(struct ws *ws, struct ws_event *event) MUST_CHECK;

/* Appends the bytes fed that were not looked at yet to `rest` and forgets them: for a caller who
 * wants no more events for now. Feeding them again goes on where this stopped. */
void ws_take_rest(struct ws *ws, struct buf *rest);

#endif
