#include "heat/edition.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* --- making --- */

static bool level_has_vanished(const struct level *level)
{
    return !level->long_cents && !level->short_cents;
}

/* Level `now` after `was` (NULL: none there). What vanished before the oldest version remembered
 * is in no difference any more. */
static void add_level(struct edition *edition, const struct edition_level *was, struct level now)
{
    bool has_vanished = level_has_vanished(&now);
    bool is_same =
        was && was->level.long_cents == now.long_cents && was->level.short_cents == now.short_cents;
    uint64_t changed_seq = is_same ? was->changed_seq : edition->seq;

    if (has_vanished && changed_seq <= edition->oldest_seq) return;
    edition->levels[edition->level_count++] = (struct edition_level){now, changed_seq};
    edition->live_count += !has_vanished;
}

/* A merge of what is with what was; both ascend by bucket. */
static void merge_levels(struct edition *edition, const struct snapshot *snapshot,
                         const struct edition *before)
{
    size_t is_left = snapshot->level_count, was_left = before ? before->level_count : 0;
    const struct level *is = snapshot->levels;
    const struct edition_level *was = before ? before->levels : NULL;

    while (is_left || was_left) {
        if (!was_left || (is_left && is->bucket < was->level.bucket)) {
            add_level(edition, NULL, *is++);
            is_left--;
        } else if (!is_left || was->level.bucket < is->bucket) {
            add_level(edition, was, (struct level){.bucket = was->level.bucket});
            was++, was_left--;
        } else {
            add_level(edition, was++, *is++);
            is_left--, was_left--;
        }
    }
}

static size_t count_vanished(const struct edition *edition, uint64_t since_seq)
{
    size_t count = 0;

    for (size_t i = 0; i < edition->level_count; i++)
        count += edition->levels[i].changed_seq > since_seq &&
                 level_has_vanished(&edition->levels[i].level);
    return count;
}

/* The oldest version since which few enough have vanished, by bisection. */
static uint64_t oldest_affordable(const struct edition *edition)
{
    uint64_t low = edition->oldest_seq, high = edition->seq;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (count_vanished(edition, middle) > LIMIT_VANISHED_LEVELS)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void forget_until(struct edition *edition, uint64_t oldest_seq)
{
    size_t kept = 0;

    edition->oldest_seq = oldest_seq;
    for (size_t i = 0; i < edition->level_count; i++) {
        const struct edition_level *level = &edition->levels[i];

        if (level->changed_seq <= oldest_seq && level_has_vanished(&level->level)) continue;
        edition->levels[kept++] = *level;
    }
    edition->level_count = kept;
}

static uint64_t oldest_remembered(const struct edition *before, uint64_t seq, uint64_t versions_max)
{
    if (!before || versions_max >= seq) return before ? before->oldest_seq : seq;
    return MAX(before->oldest_seq, seq - versions_max);
}

struct edition *edition_new(const char *symbol, const char *epoch, uint64_t seq,
                            const struct snapshot *snapshot, const struct edition *before,
                            uint64_t versions_max)
{
    struct edition *edition = mem_zalloc(sizeof(*edition));

    assert(seq > 0 && strlen(epoch) < sizeof(edition->epoch));
    if (before && (strcmp(before->epoch, epoch) != 0 || before->bin_e12 != snapshot->bin_e12))
        before = NULL;
    assert(!before || seq > before->seq);
    edition->symbol = mem_strdup(symbol);
    strcpy(edition->epoch, epoch);
    edition->seq = seq;
    edition->oldest_seq = oldest_remembered(before, seq, versions_max);
    edition->time_ms = snapshot->time_ms;
    edition->bin_e12 = snapshot->bin_e12;
    edition->current_price_e8 = snapshot->current_price_e8;
    edition->positions_created = snapshot->positions_created;
    edition->positions_consumed = snapshot->positions_consumed;
    edition->levels = mem_alloc((snapshot->level_count + (before ? before->level_count : 0)) *
                                sizeof(*edition->levels));
    merge_levels(edition, snapshot, before);
    if (edition->level_count - edition->live_count > LIMIT_VANISHED_LEVELS)
        forget_until(edition, oldest_affordable(edition));
    edition->levels = mem_realloc(edition->levels, edition->level_count * sizeof(*edition->levels));
    return edition;
}

void edition_free(struct edition *edition)
{
    if (!edition) return;
    free(edition->symbol);
    free(edition->levels);
    free(edition);
}

bool edition_has_difference(const struct edition *edition, uint64_t since_seq)
{
    size_t changed_count = 0;

    if (since_seq < edition->oldest_seq || since_seq > edition->seq) return false;
    for (size_t i = 0; i < edition->level_count; i++)
        changed_count += edition->levels[i].changed_seq > since_seq;
    return changed_count < edition->live_count;
}

/* --- writing --- */

/* The next level from *at on that a message has: of the whole those that are there, of a difference
 * those that changed. Moves *at behind it; NULL after the last. */
static const struct level *next_level(const struct edition *edition, uint64_t since_seq, size_t *at)
{
    while (*at < edition->level_count) {
        const struct edition_level *level = &edition->levels[(*at)++];

        if (since_seq ? level->changed_seq > since_seq : !level_has_vanished(&level->level))
            return &level->level;
    }
    return NULL;
}

static void write_levels(struct buf *out, const struct edition *edition, uint64_t since_seq)
{
    const struct level *level;
    struct snapshot_bin bin = {0};
    size_t at = 0;

    if (edition->level_count) bin = snapshot_bin_reduce(edition->bin_e12);
    buf_add_char(out, '[');
    for (size_t count = 0; (level = next_level(edition, since_seq, &at)); count++) {
        if (count) buf_add_char(out, ',');
        snapshot_write_level(out, level, bin);
    }
    buf_add_char(out, ']');
}

/* Buckets are not negative, so no step overflows. */
static void write_prices(struct buf *out, const struct edition *edition, uint64_t since_seq)
{
    const struct level *level;
    size_t at = 0;
    int64_t bucket;

    level = next_level(edition, since_seq, &at);
    if (!level) return;
    snapshot_write_price(out, level->bucket, edition->bin_e12);
    for (bucket = level->bucket; (level = next_level(edition, since_seq, &at));
         bucket = level->bucket) {
        buf_add_char(out, ',');
        buf_add_int(out, level->bucket - bucket);
    }
}

static void write_cents(struct buf *out, const struct edition *edition, uint64_t since_seq,
                        bool of_shorts)
{
    const struct level *level;
    size_t at = 0;

    for (size_t count = 0; (level = next_level(edition, since_seq, &at)); count++) {
        if (count) buf_add_char(out, ',');
        buf_add_decimal(out, of_shorts ? level->short_cents : level->long_cents, 2);
    }
}

static void write_columns(struct buf *out, const struct edition *edition, uint64_t since_seq)
{
    buf_add_text(out, "{\"prices\":[");
    write_prices(out, edition, since_seq);
    buf_add_text(out, "],\"long\":[");
    write_cents(out, edition, since_seq, false);
    buf_add_text(out, "],\"short\":[");
    write_cents(out, edition, since_seq, true);
    buf_add_text(out, "]}");
}

static void write_head(struct buf *out, const struct edition *edition, uint64_t since_seq,
                       bool not_resumed)
{
    buf_printf(out, "{\"type\":\"%s\",\"symbol\":", since_seq ? "delta" : "snapshot");
    buf_add_json(out, str_of(edition->symbol));
    buf_add_text(out, ",\"timestamp\":\"");
    buf_add_time(out, edition->time_ms);
    buf_printf(out, "\",\"seq\":%llu,\"epoch\":\"%s\"", (unsigned long long)edition->seq,
               edition->epoch);
    if (since_seq) buf_printf(out, ",\"prev\":%llu", (unsigned long long)since_seq);
    if (not_resumed) buf_add_text(out, ",\"resumed\":false");
}

static void write_facts(struct buf *out, const struct edition *edition)
{
    snapshot_write_facts(out, &(struct snapshot){
                                  .bin_e12 = edition->bin_e12,
                                  .current_price_e8 = edition->current_price_e8,
                                  .positions_created = edition->positions_created,
                                  .positions_consumed = edition->positions_consumed,
                              });
}

void edition_write(struct buf *out, const struct edition *edition, enum edition_format format,
                   uint64_t since_seq, bool not_resumed)
{
    assert(!since_seq || (since_seq >= edition->oldest_seq && since_seq <= edition->seq));
    assert(!since_seq || !not_resumed);
    write_head(out, edition, since_seq, not_resumed);
    buf_add_text(out, ",\"data\":{\"levels\":");
    if (format == EDITION_COLUMNS)
        write_columns(out, edition, since_seq);
    else
        write_levels(out, edition, since_seq);
    buf_add_char(out, ',');
    write_facts(out, edition);
    buf_add_text(out, "}}");
}
