#include "wire/ws.h"

#include <assert.h>
#include <string.h>

#define BIT_MASKED 0x80u

/* What became of one step through the input. */
enum step {
    STEP_DONE,    /* go on */
    STEP_STARVED, /* needs bytes that have not come */
    STEP_EVENT,   /* *event is filled */
};

void ws_init(struct ws *ws, enum ws_role role, size_t message_bytes_max, struct inflater *inflater)
{
    assert(message_bytes_max <= SIZE_MAX / 2); /* wire_bytes_max() adds to it */
    *ws = (struct ws){
        .role = (uint8_t)role,
        .message_bytes_max = message_bytes_max,
        .inflater = inflater,
    };
}

void ws_deinit(struct ws *ws)
{
    buf_deinit(&ws->message);
    buf_deinit(&ws->control);
}

void ws_feed(struct ws *ws, uint8_t *bytes, size_t size)
{
    assert(ws->input_size == 0);
    if (ws->is_over) return;
    ws->input = bytes;
    ws->input_size = size;
}

/* RFC 6455 §5.5.1, §7.1.7: after a close frame or a failure nothing more is processed. */
static enum step end(struct ws *ws, struct ws_event *event, struct ws_event last)
{
    ws->is_over = true;
    ws->input_size = 0;
    *event = last;
    return STEP_EVENT;
}

static enum step fail(struct ws *ws, struct ws_event *event, enum ws_close_code code,
                      const char *reason)
{
    return end(ws, event, (struct ws_event){WS_EVENT_FAIL, (uint16_t)code, str_of(reason)});
}

static enum step fail_protocol(struct ws *ws, struct ws_event *event, const char *reason)
{
    return fail(ws, event, WS_CLOSE_PROTOCOL_ERROR, reason);
}

static unsigned frame_opcode(const struct ws *ws)
{
    return ws->header[0] & 0x0f;
}

static bool frame_is_control(const struct ws *ws)
{
    return (ws->header[0] & 0x08) != 0;
}

static bool frame_is_final(const struct ws *ws)
{
    return (ws->header[0] & FRAME_FIN) != 0;
}

/* Moves input to the header until it has `size` bytes; false when the input is too short. */
static bool collect_header(struct ws *ws, size_t size)
{
    size_t take;

    if (ws->header_size >= size) return true;
    take = MIN(size - ws->header_size, ws->input_size);
    if (take == 0) return false;
    memcpy(ws->header + ws->header_size, ws->input, take);
    ws->header_size += (uint8_t)take;
    ws->input += take;
    ws->input_size -= take;
    return ws->header_size == size;
}

/* What is wrong with a frame's first byte, given what came before; NULL if nothing. */
static const char *first_byte_fault(const struct ws *ws)
{
    bool is_within_message = ws->message_opcode != WS_CONTINUATION;

    /* RFC 6455 §5.2: RSV bits MUST be 0 unless an extension gives them a meaning; the only one is
     * RFC 7692 §6: RSV1 on the first frame of a data message. */
    if (ws->header[0] & (FRAME_RSV2 | FRAME_RSV3)) return "reserved bit set";
    if ((ws->header[0] & FRAME_RSV1) &&
        (!ws->inflater || frame_is_control(ws) || frame_opcode(ws) == WS_CONTINUATION))
        return "RSV1 set without meaning";
    switch (frame_opcode(ws)) {
    case WS_CONTINUATION: /* RFC 6455 §5.4 */
        return is_within_message ? NULL : "continuation of no message";
    case WS_TEXT:
    case WS_BINARY:
        return is_within_message ? "new message within a message" : NULL;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG: /* RFC 6455 §5.5: control frames MUST NOT be fragmented */
        return frame_is_final(ws) ? NULL : "fragmented control frame";
    default:
        return "reserved opcode";
    }
}

static const char *second_byte_fault(const struct ws *ws)
{
    bool is_masked = (ws->header[1] & BIT_MASKED) != 0;

    /* RFC 6455 §5.1: a client MUST mask, a server MUST NOT. */
    if (is_masked != (ws->role == WS_SERVER)) return is_masked ? "masked frame" : "unmasked frame";
    /* RFC 6455 §5.5: at most 125 bytes */
    if (frame_is_control(ws) && (ws->header[1] & 0x7f) > FRAME_CONTROL_BYTES_MAX)
        return "control frame too long";
    return NULL;
}

/* Bytes of extended length that the second byte announces. */
static size_t length_size(const struct ws *ws)
{
    switch (ws->header[1] & 0x7f) {
    case 126:
        return 2;
    case 127:
        return 8;
    default:
        return 0;
    }
}

static uint64_t frame_length(const struct ws *ws)
{
    size_t size = length_size(ws);
    uint64_t length = 0;

    if (size == 0) return ws->header[1] & 0x7f;
    for (size_t i = 0; i < size; i++)
        length = length << 8 | ws->header[2 + i];
    return length;
}

static const char *length_fault(const struct ws *ws, uint64_t length)
{
    size_t size = length_size(ws);

    /* RFC 6455 §5.2: the most significant bit MUST be 0, and the minimal number of bytes MUST be
     * used. */
    if (length >> 63) return "length with its top bit set";
    if ((size == 2 && length < 126) || (size == 8 && length <= UINT16_MAX))
        return "length not in its shortest form";
    return NULL;
}

/* How many bytes a data message may have as it comes. Compression can make it longer: by less
 * than a quarter and a few bytes, says zlib's deflateBound() at its worst settings. */
static size_t wire_bytes_max(const struct ws *ws, bool is_compressed)
{
    size_t max = ws->message_bytes_max;

    return is_compressed ? max + max / 4 + 64 : max;
}

/* A data frame may begin: is there room for all of it? Refused before a byte of it is held. */
static bool fits(const struct ws *ws, uint64_t length)
{
    bool is_compressed = frame_opcode(ws) == WS_CONTINUATION ? ws->message_is_compressed
                                                             : (ws->header[0] & FRAME_RSV1) != 0;

    return length <= wire_bytes_max(ws, is_compressed) - ws->message.size;
}

static void begin_payload(struct ws *ws, uint64_t length)
{
    ws->is_in_payload = true;
    ws->payload_size = length;
    ws->payload_taken = 0;
    if (frame_is_control(ws) || frame_opcode(ws) == WS_CONTINUATION) return;
    ws->message_opcode = (uint8_t)frame_opcode(ws);
    ws->message_is_compressed = (ws->header[0] & FRAME_RSV1) != 0;
}

/* Each part of the header is judged as soon as it is there, again when more came: judging changes
 * nothing. */
static enum step read_header(struct ws *ws, struct ws_event *event)
{
    const char *fault;
    uint64_t length;

    if (!collect_header(ws, 1)) return STEP_STARVED;
    fault = first_byte_fault(ws);
    if (fault) return fail_protocol(ws, event, fault);

    if (!collect_header(ws, 2)) return STEP_STARVED;
    fault = second_byte_fault(ws);
    if (fault) return fail_protocol(ws, event, fault);

    if (!collect_header(ws, 2 + length_size(ws))) return STEP_STARVED;
    length = frame_length(ws);
    fault = length_fault(ws, length);
    if (fault) return fail_protocol(ws, event, fault);
    if (!frame_is_control(ws) && !fits(ws, length))
        return fail(ws, event, WS_CLOSE_TOO_BIG, "message too big");

    if (ws->role == WS_SERVER && !collect_header(ws, 2 + length_size(ws) + FRAME_MASK_BYTES))
        return STEP_STARVED;
    begin_payload(ws, length);
    return STEP_DONE;
}

/* The frame's payload as far as it has come, unmasked. */
static struct str take_payload(struct ws *ws)
{
    size_t size = (size_t)MIN(ws->payload_size - ws->payload_taken, ws->input_size);
    struct str piece = {(const char *)ws->input, size};

    if (ws->role == WS_SERVER)
        frame_mask(ws->input, size, ws->header + ws->header_size - FRAME_MASK_BYTES,
                   ws->payload_taken);
    ws->input += size;
    ws->input_size -= size;
    ws->payload_taken += size;
    return piece;
}

/* The whole of what `piece` is the last of: the piece itself if it is the first as well. */
static struct str assemble(struct buf *parts, struct str piece, bool *was_given)
{
    if (parts->size == 0) return piece;
    buf_add(parts, piece.at, piece.size);
    *was_given = true;
    return buf_str(parts);
}

static enum step close_received(struct ws *ws, struct str body, struct ws_event *event)
{
    struct str reason = {body.at, 0};
    unsigned code = WS_CLOSE_NO_STATUS;

    if (body.size == 1) return fail_protocol(ws, event, "close code cut off"); /* §5.5.1 */
    if (body.size >= 2) {
        code = (unsigned)(uint8_t)body.at[0] << 8 | (uint8_t)body.at[1];
        if (!frame_close_code_is_valid(code))
            return fail_protocol(ws, event, "close code not allowed");
        reason = (struct str){body.at + 2, body.size - 2};
    }
    /* RFC 6455 §5.5.1: the reason is UTF-8, and §8.1 says what to do if not. */
    if (!utf8_is_valid((const uint8_t *)reason.at, reason.size))
        return fail(ws, event, WS_CLOSE_BAD_DATA, "close reason is not UTF-8");
    return end(ws, event, (struct ws_event){WS_EVENT_CLOSE, (uint16_t)code, reason});
}

static enum step control_received(struct ws *ws, struct str body, struct ws_event *event)
{
    switch (frame_opcode(ws)) {
    case WS_CLOSE:
        return close_received(ws, body, event);
    case WS_PING:
        *event = (struct ws_event){WS_EVENT_PING, 0, body};
        return STEP_EVENT;
    default:
        *event = (struct ws_event){WS_EVENT_PONG, 0, body};
        return STEP_EVENT;
    }
}

/* Puts the inflated message in the place of the compressed one. */
static enum step inflate_received(struct ws *ws, struct str *message, struct ws_event *event)
{
    struct buf inflated = {0};
    enum inflate_result result =
        inflate_message(ws->inflater, message->at, message->size, ws->message_bytes_max, &inflated);

    buf_deinit(&ws->message);
    ws->message = inflated;
    ws->message_was_given = true;
    *message = buf_str(&ws->message);
    if (result == INFLATE_TOO_BIG) return fail(ws, event, WS_CLOSE_TOO_BIG, "message too big");
    /* RFC 7692 names no code; RFC 6455 §7.4.1: 1007 is for data within a message that is not
     * consistent with its type. */
    if (result == INFLATE_BAD_DATA)
        return fail(ws, event, WS_CLOSE_BAD_DATA, "message is not deflate");
    return STEP_DONE;
}

/* Takes the next piece of a text, as its characters come. */
static bool text_is_valid(struct ws *ws, struct str piece, bool is_last)
{
    return utf8_feed(&ws->utf8, (const uint8_t *)piece.at, piece.size) &&
           (!is_last || utf8_is_complete(&ws->utf8));
}

static enum step message_received(struct ws *ws, struct str message, struct ws_event *event)
{
    bool is_text = ws->message_opcode == WS_TEXT;

    if (ws->message_is_compressed) {
        enum step step = inflate_received(ws, &message, event);

        if (step != STEP_DONE) return step;
        if (is_text && !text_is_valid(ws, message, true))
            return fail(ws, event, WS_CLOSE_BAD_DATA, "text is not UTF-8");
    }
    ws->message_opcode = WS_CONTINUATION;
    *event = (struct ws_event){is_text ? WS_EVENT_TEXT : WS_EVENT_BINARY, 0, message};
    return STEP_EVENT;
}

static enum step read_control(struct ws *ws, struct str piece, bool is_whole,
                              struct ws_event *event)
{
    if (!is_whole) {
        buf_add(&ws->control, piece.at, piece.size);
        return STEP_STARVED;
    }
    return control_received(ws, assemble(&ws->control, piece, &ws->control_was_given), event);
}

static enum step read_data(struct ws *ws, struct str piece, bool is_whole, struct ws_event *event)
{
    bool is_last = is_whole && frame_is_final(ws);

    /* RFC 6455 §8.1, at the first byte that shows it: the rest need not come. */
    if (ws->message_opcode == WS_TEXT && !ws->message_is_compressed &&
        !text_is_valid(ws, piece, is_last))
        return fail(ws, event, WS_CLOSE_BAD_DATA, "text is not UTF-8");
    if (is_last)
        return message_received(ws, assemble(&ws->message, piece, &ws->message_was_given), event);
    buf_add(&ws->message, piece.at, piece.size);
    return is_whole ? STEP_DONE : STEP_STARVED;
}

static enum step read_payload(struct ws *ws, struct ws_event *event)
{
    struct str piece;
    bool is_whole;

    if (ws->input_size == 0 && ws->payload_size > ws->payload_taken) return STEP_STARVED;
    piece = take_payload(ws);
    is_whole = ws->payload_taken == ws->payload_size;
    if (is_whole) {
        ws->is_in_payload = false;
        ws->header_size = 0; /* the header's bytes stay until the next frame's first */
    }
    return frame_is_control(ws) ? read_control(ws, piece, is_whole, event)
                                : read_data(ws, piece, is_whole, event);
}

static void release_given(struct ws *ws)
{
    if (ws->message_was_given || ws->is_over) buf_deinit(&ws->message);
    if (ws->control_was_given || ws->is_over) buf_deinit(&ws->control);
    ws->message_was_given = ws->control_was_given = false;
}

bool ws_next(struct ws *ws, struct ws_event *event)
{
    enum step step = STEP_DONE;

    release_given(ws);
    while (!ws->is_over && step == STEP_DONE)
        step = ws->is_in_payload ? read_payload(ws, event) : read_header(ws, event);
    return step == STEP_EVENT;
}

void ws_take_rest(struct ws *ws, struct buf *rest)
{
    buf_add(rest, ws->input, ws->input_size);
    ws->input_size = 0;
}
