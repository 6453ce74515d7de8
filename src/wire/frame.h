/* frame.h - RFC 6455 §5.2: what a frame looks like, and how to write one.
 *
 * Numbers of the protocol, masking, and frames appended to a buf. Reading is ws.h's. Pure; any
 * thread may call it. */
#ifndef HEATCAST_WIRE_FRAME_H
#define HEATCAST_WIRE_FRAME_H

#include "base/base.h"
#include "base/buf.h"

#define FRAME_HEADER_BYTES_MAX  14
#define FRAME_CONTROL_BYTES_MAX 125 /* RFC 6455 §5.5 */
#define FRAME_MASK_BYTES        4

/* The first byte of a frame: these bits and an opcode. */
#define FRAME_FIN  0x80u
#define FRAME_RSV1 0x40u /* RFC 7692 §6: the message is compressed; first frame of it only */
#define FRAME_RSV2 0x20u
#define FRAME_RSV3 0x10u

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

/* RFC 6455 §7.4.1 and IANA's registry. */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_UNSUPPORTED_DATA = 1003,
    WS_CLOSE_NO_STATUS = 1005, /* never on the wire: the close frame had no code */
    WS_CLOSE_ABNORMAL = 1006,  /* never on the wire: there was no close frame */
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL_ERROR = 1011,
    WS_CLOSE_SERVICE_RESTART = 1012,
    WS_CLOSE_TRY_AGAIN_LATER = 1013,
};

/* May `code` stand in a close frame? 1000-1003, 1007-1014, 3000-4999. */
bool frame_close_code_is_valid(unsigned code);

/* Writes the header of a frame with `size` bytes of payload, in its shortest form. `first` is an
 * opcode with its FRAME_ bits. `mask` is four bytes, or NULL for a frame from a server. Returns how
 * many bytes of `out` it takes. */
size_t frame_write_header(uint8_t out[FRAME_HEADER_BYTES_MAX], unsigned first, uint64_t size,
                          const uint8_t *mask);

/* Masks, or unmasks, in place the part of a payload that begins `offset` bytes into it. */
void frame_mask(uint8_t *bytes, size_t size, const uint8_t mask[FRAME_MASK_BYTES], uint64_t offset);

/* Appends one whole frame; masked, as from a client, unless `mask` is NULL. A control frame takes
 * at most FRAME_CONTROL_BYTES_MAX (asserted). */
void frame_append(struct buf *out, unsigned first, const void *payload, size_t size,
                  const uint8_t *mask);

/* Appends a close frame. WS_CLOSE_NO_STATUS gives one without a body; any other code must be valid
 * on the wire and `reason` UTF-8 of at most 123 bytes (asserted). */
void frame_append_close(struct buf *out, unsigned code, struct str reason, const uint8_t *mask);

#endif
