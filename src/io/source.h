/* source.h - where a dump's bytes come from: a file, or a member of a zip archive.
 *
 * Members are read as they are inflated and never written anywhere, so their names are only names.
 * Knows bytes, not what they mean. */
#ifndef HEATCAST_IO_SOURCE_H
#define HEATCAST_IO_SOURCE_H

#include <sys/types.h>

#include "base/base.h"
#include "base/limits.h"

struct archive;

/* 0, or a negative error with the reason in words ("is no zip archive, or a broken one"). */
int archive_open(const char *path, struct archive **archive, char *reason,
                 size_t reason_size) MUST_CHECK;
void archive_close(struct archive *archive);

struct archive_member {
    const char *name; /* the archive's; with folders, untrusted */
    int64_t size;     /* unpacked, as the archive claims */
    bool is_folder;
};

uint64_t archive_member_count(const struct archive *archive);
/* False where the archive's directory is broken. */
bool archive_member_at(struct archive *archive, uint64_t index, struct archive_member *member);

struct source {
    int fd;             /* of a file, -1 */
    void *member;       /* of an archive, NULL */
    int64_t byte_count; /* read so far */
    char reason[160];
};

/* Both return 0, or a negative error with source->reason; then there is nothing to close. */
int source_open_file(struct source *source, const char *path) MUST_CHECK;
int source_open_member(struct source *source, struct archive *archive, uint64_t index) MUST_CHECK;

/* Bytes read, 0 at the end, or a negative error with source->reason: unreadable, broken (an
 * archive's checksum is looked at), or beyond LIMIT_DUMP_BYTES. */
ssize_t source_read(struct source *source, char *data, size_t size) MUST_CHECK;
void source_close(struct source *source);

#endif
