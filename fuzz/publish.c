/* publish.c - a snapshot of somebody's own model: read, sent in both formats, and read again the
 * same; or refused in a printable sentence. */
#include "base/limits.h"
#include "fuzz.h"
#include "heat/candle.h"
#include "heat/edition.h"
#include "heat/price_bin.h"
#include "publish_body.h"

#define NOW_MS INT64_C(1767002400000)

enum { MESSAGE_BYTES = 200 };

static void check_facts(const struct snapshot *snapshot)
{
    assert(snapshot->bin_e12 > 0 && snapshot->bin_e12 <= PRICE_BIN_MAX_E12);
    assert(snapshot->current_price_e8 > 0);
    assert(snapshot->current_price_e8 <= (int64_t)PRICE_MAX_USDT * PRICE_ONE_E8);
    assert(snapshot->level_count <= LIMIT_PUBLISH_LEVELS);
}

static void check_levels(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->level_count; i++) {
        const struct level *level = &snapshot->levels[i];

        assert(level->bucket >= 0);
        assert(level->long_cents >= 0 && level->short_cents >= 0);
        assert(level->long_cents || level->short_cents);
        assert(i == 0 || level->bucket > snapshot->levels[i - 1].bucket);
    }
}

static void send(struct buf *out, const struct snapshot *snapshot, enum edition_format format)
{
    struct edition *edition = edition_new("BTCUSDT", "k3f9", 1, snapshot, NULL, 0);

    edition_write(out, edition, format, 0, false);
    edition_free(edition);
}

/* The message's last member. */
static struct str data_of(const struct buf *message)
{
    static const char key[] = ",\"data\":";
    const char *at = memmem(message->data, message->size, key, sizeof(key) - 1);

    assert(at);
    at += sizeof(key) - 1;
    return (struct str){at, (size_t)(message->data + message->size - 1 - at)};
}

static void check_round_trip(const struct snapshot *snapshot, enum edition_format format)
{
    struct buf text = {0}, again = {0};
    struct snapshot second;
    char message[MESSAGE_BYTES];
    int err;

    send(&text, snapshot, format);
    err = publish_body_parse(data_of(&text), snapshot->time_ms, &second, message, sizeof(message));
    assert(!err);
    send(&again, &second, format);
    assert(str_eq(buf_str(&again), buf_str(&text)));
    snapshot_deinit(&second);
    buf_deinit(&text);
    buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = fuzz_copy(bytes, size);
    struct str text = {(const char *)copy, size};
    struct snapshot snapshot;
    char message[MESSAGE_BYTES];
    int err = publish_body_parse(text, NOW_MS, &snapshot, message, sizeof(message));

    free(copy);
    if (err) {
        assert(err == ERR_SYNTAX);
        fuzz_check_message(message);
        return 0;
    }
    check_facts(&snapshot);
    check_levels(&snapshot);
    check_round_trip(&snapshot, EDITION_LEVELS);
    check_round_trip(&snapshot, EDITION_COLUMNS);
    snapshot_deinit(&snapshot);
    return 0;
}
