/* ws.c - frames of either side, with and without permessage-deflate.
 *
 * The first byte sets the decoder up (below), the second says how the rest is cut. Fed whole, byte
 * by byte, cut at random, and with the rest taken back after each event, the events must be the
 * same. */
#include "wire/ws.h"
#include "base/buf.h"
#include "fuzz.h"

#define IS_CLIENT   BIT(0)
#define HAS_DEFLATE BIT(1)
#define LIMIT_SHIFT 2 /* two bits: which of limits[] */

static const size_t limits[] = {4096, 125, 0, 70000};

/* One way to feed the bytes. */
struct way {
    size_t piece;    /* bytes at a time; 0: at random */
    uint64_t seed;   /* of that */
    bool takes_rest; /* takes what was not looked at back after each event, and feeds it again */
};

struct listener {
    struct ws ws;
    struct buf log; /* every event, as bytes */
    bool is_over;
};

/* RFC 3629 by its numbers, to hold against utf8.c's ranges. */
static bool is_utf8(const uint8_t *at, size_t size)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

    for (size_t i = 0; i < size;) {
        size_t more = at[i] < 0x80 ? 0 : at[i] >> 5 == 6 ? 1 : at[i] >> 4 == 14 ? 2 : 3;
        uint32_t c = at[i] & (more ? 0x3fu >> more : 0x7fu);

        if (more == 3 && at[i] >> 3 != 30) return false;
        if (more >= size - i) return false;
        for (size_t k = 1; k <= more; k++) {
            if (at[i + k] >> 6 != 2) return false;
            c = c << 6 | (at[i + k] & 0x3f);
        }
        if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
        i += 1 + more;
    }
    return true;
}

static void check_event(const struct listener *listener, const struct ws_event *event)
{
    const uint8_t *payload = (const uint8_t *)event->payload.at;
    size_t size = event->payload.size;

    assert(!listener->is_over);
    switch (event->type) {
    case WS_EVENT_TEXT:
        assert(is_utf8(payload, size));
        /* fallthrough */
    case WS_EVENT_BINARY:
        assert(size <= listener->ws.message_bytes_max && !event->code);
        break;
    case WS_EVENT_PING:
    case WS_EVENT_PONG:
        assert(size <= FRAME_CONTROL_BYTES_MAX && !event->code);
        break;
    case WS_EVENT_CLOSE:
        assert(event->code == WS_CLOSE_NO_STATUS || frame_close_code_is_valid(event->code));
        assert(size <= FRAME_CONTROL_BYTES_MAX - 2 && is_utf8(payload, size));
        break;
    case WS_EVENT_FAIL:
        assert(frame_close_code_is_valid(event->code) && size > 0);
        break;
    }
}

static void note(struct listener *listener, const struct ws_event *event)
{
    check_event(listener, event);
    listener->is_over = event->type == WS_EVENT_CLOSE || event->type == WS_EVENT_FAIL;
    buf_printf(&listener->log, "%d %d %zu ", event->type, event->code, event->payload.size);
    buf_add(&listener->log, event->payload.at, event->payload.size);
}

static void feed(struct listener *listener, const uint8_t *bytes, size_t size, bool takes_rest)
{
    struct ws *ws = &listener->ws;
    uint8_t *copy = fuzz_copy(bytes, size);
    struct buf rest = {0};
    struct ws_event event;
    bool has_event;

    ws_feed(ws, copy, size);
    has_event = ws_next(ws, &event);
    if (has_event) note(listener, &event);
    if (has_event && takes_rest) ws_take_rest(ws, &rest);
    while (ws_next(ws, &event))
        note(listener, &event);
    free(copy);
    /* RFC 6455 leaves nothing to hold between messages. */
    if (ws->message_opcode == WS_CONTINUATION) assert(!ws->message.data);
    if (rest.size) feed(listener, (const uint8_t *)rest.data, rest.size, takes_rest);
    buf_deinit(&rest);
}

static struct buf events_of(uint8_t setup, struct way way, const uint8_t *bytes, size_t size)
{
    enum ws_role role = setup & IS_CLIENT ? WS_CLIENT : WS_SERVER;
    struct listener listener = {0};
    struct inflater inflater;

    inflater_init(&inflater);
    ws_init(&listener.ws, role, limits[setup >> LIMIT_SHIFT & 3],
            setup & HAS_DEFLATE ? &inflater : NULL);
    for (size_t at = 0; at < size;) {
        size_t want = way.piece ? way.piece : fuzz_random(&way.seed) % 40;
        size_t n = MIN(want, size - at);

        feed(&listener, bytes + at, n, way.takes_rest);
        at += n;
    }
    ws_deinit(&listener.ws);
    inflater_deinit(&inflater);
    return listener.log;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t setup = fuzz_take(&bytes, &size);
    uint64_t seed = 1 + fuzz_take(&bytes, &size);
    const struct way ways[] = {{1, 0, false}, {0, seed, false}, {SIZE_MAX, 0, true}};
    struct buf whole = events_of(setup, (struct way){SIZE_MAX, 0, false}, bytes, size);

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct buf log = events_of(setup, ways[i], bytes, size);

        assert(str_eq(buf_str(&log), buf_str(&whole)));
        buf_deinit(&log);
    }
    buf_deinit(&whole);
    return 0;
}
