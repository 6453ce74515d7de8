/* publish.c - a snapshot of somebody's own model: read, written, and read again the same. */
#include "fuzz.h"
#include "publish_body.h"

#define NOW_MS INT64_C(1767002400000)
/* Doubles, which JSON's numbers become, tell all cents apart up to here. */
#define EXACT_CENTS INT64_C(1000000000000000)

static void check_levels(const struct snapshot *snapshot)
{
    assert(snapshot->bin_e12 > 0);
    for (size_t i = 0; i < snapshot->level_count; i++) {
        const struct level *level = &snapshot->levels[i];

        assert(level->long_cents >= 0 && level->short_cents >= 0);
        assert(level->long_cents || level->short_cents);
        assert(i == 0 || level->bucket > snapshot->levels[i - 1].bucket);
    }
}

static bool is_exact(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->level_count; i++)
        if (MAX(snapshot->levels[i].long_cents, snapshot->levels[i].short_cents) >= EXACT_CENTS)
            return false;
    return true;
}

static void check_round_trip(const struct snapshot *snapshot)
{
    struct buf text = {0}, again = {0};
    struct snapshot second;
    char message[200] = "";

    snapshot_write_data(&text, snapshot);
    assert(publish_body_parse(buf_str(&text), NOW_MS, &second, message, sizeof(message)) == 0);
    snapshot_write_data(&again, &second);
    if (is_exact(snapshot)) assert(str_eq(buf_str(&again), buf_str(&text)));
    snapshot_deinit(&second);
    buf_deinit(&text);
    buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = fuzz_copy(bytes, size);
    struct str text = {(const char *)copy, size};
    struct snapshot snapshot;
    char message[200] = "";
    int err = publish_body_parse(text, NOW_MS, &snapshot, message, sizeof(message));

    if (err)
        assert(err == ERR_SYNTAX && message[0]);
    else {
        check_levels(&snapshot);
        check_round_trip(&snapshot);
        snapshot_deinit(&snapshot);
    }
    free(copy);
    return 0;
}
