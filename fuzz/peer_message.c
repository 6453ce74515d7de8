/* peer_message.c - a snapshot message of another server: read, sent on to clients, and read again
 * the same; or refused in a printable sentence. */
#include "peer_message.h"

#include "base/limits.h"
#include "fuzz.h"
#include "heat/edition.h"

#define NOW_MS INT64_C(1767002400000)
#define SYMBOL "BTCUSDT"

enum { MESSAGE_BYTES = 200 };

static int parse(struct str text, struct peer_message *out)
{
    char message[MESSAGE_BYTES];
    int err = peer_message_parse(text, STR(SYMBOL), NOW_MS, out, message, sizeof(message));

    if (err) {
        assert(err == ERR_SYNTAX);
        fuzz_check_message(message);
    }
    return err;
}

static void check_levels(const struct snapshot *snapshot)
{
    assert(snapshot->level_count <= LIMIT_PEER_LEVELS);
    for (size_t i = 0; i < snapshot->level_count; i++) {
        const struct level *level = &snapshot->levels[i];

        assert(level->bucket >= 0);
        assert(level->long_cents >= 0 && level->short_cents >= 0);
        assert(level->long_cents || level->short_cents);
        assert(i == 0 || level->bucket > snapshot->levels[i - 1].bucket);
    }
}

static void check_version(struct version version)
{
    assert(version.epoch > 0 && version.epoch <= epoch_at(NOW_MS + LIMIT_EPOCH_AHEAD_MS, 0));
    assert(version.seq > 0 && version.seq <= UINT64_C(1) << 53);
}

static void say(struct buf *out, const struct peer_message *said, enum edition_format format)
{
    char epoch[14];
    struct edition *edition;

    epoch_format(said->version.epoch, epoch);
    edition = edition_new(SYMBOL, epoch, said->version.seq, &said->snapshot, NULL, 0);
    edition_write(out, edition, format, 0, false);
    edition_free(edition);
}

static void check_round_trip(const struct peer_message *said, enum edition_format format)
{
    struct buf text = {0}, again = {0};
    struct peer_message second;
    int err;

    say(&text, said, format);
    err = parse(buf_str(&text), &second);
    assert(!err);
    say(&again, &second, format);
    assert(str_eq(buf_str(&again), buf_str(&text)));
    snapshot_deinit(&second.snapshot);
    buf_deinit(&text);
    buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = fuzz_copy(bytes, size);
    struct peer_message said;
    int err = parse((struct str){(const char *)copy, size}, &said);

    free(copy);
    if (err) return 0;
    check_version(said.version);
    check_levels(&said.snapshot);
    check_round_trip(&said, EDITION_LEVELS);
    check_round_trip(&said, EDITION_COLUMNS);
    snapshot_deinit(&said.snapshot);
    return 0;
}
