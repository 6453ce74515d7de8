/* replay_body.c - what is to be different of a replay: read, written, and read again the same; or
 * refused in a printable sentence. */
#include "replay_body.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "fuzz.h"

enum { MESSAGE_BYTES = 100 };

static int parse(const uint8_t *bytes, size_t size, struct replay_change *change)
{
    struct str text = {(const char *)bytes, size};
    char message[MESSAGE_BYTES];
    int err = replay_body_parse(text, change, message, sizeof(message));

    if (err) {
        assert(err == ERR_SYNTAX);
        fuzz_check_message(message);
    }
    return err;
}

static void check_limits(const struct replay_change *change)
{
    if (!change->has_speed) return;
    assert(change->speed >= LIMIT_REPLAY_SPEED_MIN);
    assert(change->speed <= LIMIT_REPLAY_SPEED_MAX);
}

static void write_change(struct buf *out, const struct replay_change *change)
{
    buf_printf(out, "{\"paused\":%s", change->is_paused ? "true" : "false");
    if (change->has_speed) {
        buf_add_text(out, ",\"speed\":");
        buf_add_double(out, change->speed);
    }
    if (change->has_position) buf_add_time_field(out, "position", change->position_ms);
    buf_add_char(out, '}');
}

static void check_round_trip(const struct replay_change *change)
{
    struct buf text = {0};
    struct replay_change again;
    int err;

    write_change(&text, change);
    err = parse((const uint8_t *)text.data, text.size, &again);
    assert(!err && again.has_paused);
    assert(again.has_speed == change->has_speed && again.has_position == change->has_position);
    assert(again.is_paused == change->is_paused && again.speed == change->speed);
    assert(again.position_ms == change->position_ms);
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct replay_change before = {.speed = 7, .position_ms = 9};
    struct replay_change change = before;
    uint8_t *copy = fuzz_copy(bytes, size);
    int err = parse(copy, size, &change);

    free(copy);
    if (err) {
        assert(!change.has_speed && !change.has_paused && !change.has_position);
        assert(change.speed == before.speed && change.position_ms == before.position_ms);
        return 0;
    }
    check_limits(&change);
    check_round_trip(&change);
    return 0;
}
