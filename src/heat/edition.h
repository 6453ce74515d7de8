/* edition.h - one published version of a symbol's heatmap: its levels, and when each changed last.
 *
 * Every level carries the seq of the version that changed it; one that vanished stays, with no
 * volume, while versions that still had it are remembered. So the difference to any remembered
 * version is a filter of the newest one: nobody keeps old versions, and a client that comes back
 * after 300 of them is given one merged difference. A level that changed and changed back is in it
 * too, which does no harm. Immutable once made; any thread may read. */
#ifndef HEATCAST_HEAT_EDITION_H
#define HEATCAST_HEAT_EDITION_H

#include "heat/snapshot.h"

struct edition_level {
    struct level level;   /* both volumes 0: vanished */
    uint64_t changed_seq; /* the version that brought it to what it is */
};

struct edition {
    char *symbol; /* owned */
    char epoch[14];
    uint64_t seq;
    uint64_t oldest_seq; /* the oldest version that a difference can start from */
    int64_t time_ms, bin_e12, current_price_e8; /* as in struct snapshot */
    uint64_t positions_created, positions_consumed;
    struct edition_level *levels; /* owned, ascending by bucket, vanished ones among them */
    size_t level_count;
    size_t live_count; /* those that have not vanished */
};

/* Version `seq` of `epoch` (seqs of an epoch begin at 1 and rise), which says what `snapshot` says.
 * `before` is the edition it follows, NULL for none; it is not remembered when its epoch or bucket
 * size is another. `versions_max` versions before this one are remembered, fewer when more than
 * LIMIT_VANISHED_LEVELS levels vanished meanwhile. Buckets are not negative. */
struct edition *edition_new(const char *symbol, const char *epoch, uint64_t seq,
                            const struct snapshot *snapshot, const struct edition *before,
                            uint64_t versions_max) MUST_CHECK;
void edition_free(struct edition *edition); /* NULL is fine */

enum edition_format {
    EDITION_LEVELS,  /* [{"price":…,"long_density":…,"short_density":…},…] */
    EDITION_COLUMNS, /* {"prices":[first, step, …],"long":[…],"short":[…]}; steps in buckets */
};

/* Can a difference start from version `since_seq` of this epoch, and may it be shorter than the
 * whole: are there fewer changed levels than levels? */
bool edition_has_difference(const struct edition *edition, uint64_t since_seq);

/* Appends the message of PROTOCOL section 1: the whole ("snapshot") when `since_seq` is 0, else
 * what changed since that version ("delta", with "prev"), which must be remembered: one from
 * oldest_seq to seq. `not_resumed` adds "resumed":false to a whole, for who asked for a difference
 * that cannot be made. */
void edition_write(struct buf *out, const struct edition *edition, enum edition_format format,
                   uint64_t since_seq, bool not_resumed);

#endif
