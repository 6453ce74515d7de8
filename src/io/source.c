#include "io/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zip.h>

struct archive {
    zip_t *zip;
};

int archive_open(const char *path, struct archive **out, char *reason, size_t reason_size)
{
    struct archive *archive;
    int code = 0;
    zip_t *zip = zip_open(path, ZIP_RDONLY, &code);
    zip_error_t error;

    if (!zip) {
        zip_error_init_with_code(&error, code);
        if (code == ZIP_ER_NOZIP || code == ZIP_ER_INCONS)
            snprintf(reason, reason_size, "it is no zip archive, or a broken one");
        else
            snprintf(reason, reason_size, "the archive cannot be opened: %s",
                     zip_error_strerror(&error));
        zip_error_fini(&error);
        return ERR_SYNTAX;
    }
    if (zip_get_num_entries(zip, 0) > LIMIT_ARCHIVE_MEMBERS) {
        snprintf(reason, reason_size, "the archive has more than %d members",
                 LIMIT_ARCHIVE_MEMBERS);
        zip_discard(zip);
        return ERR_RANGE;
    }
    archive = mem_zalloc(sizeof(*archive));
    archive->zip = zip;
    *out = archive;
    return 0;
}

void archive_close(struct archive *archive)
{
    if (!archive) return;
    zip_discard(archive->zip);
    free(archive);
}

uint64_t archive_member_count(const struct archive *archive)
{
    return (uint64_t)zip_get_num_entries(archive->zip, 0);
}

bool archive_member_at(struct archive *archive, uint64_t index, struct archive_member *member)
{
    zip_stat_t st;
    size_t size;

    if (zip_stat_index(archive->zip, index, 0, &st) != 0 || !(st.valid & ZIP_STAT_NAME))
        return false;
    size = strlen(st.name);
    member->name = st.name;
    member->size = st.valid & ZIP_STAT_SIZE && st.size < INT64_MAX ? (int64_t)st.size : INT64_MAX;
    member->is_folder = size && st.name[size - 1] == '/';
    return true;
}

static int fail(struct source *source, int err, const char *what, const char *why)
{
    snprintf(source->reason, sizeof(source->reason), "%s%s%s", what, why ? ": " : "",
             why ? why : "");
    return err;
}

static int fail_size(struct source *source)
{
    snprintf(source->reason, sizeof(source->reason), "it has more than %lld MiB",
             (long long)(LIMIT_DUMP_BYTES >> 20));
    return ERR_RANGE;
}

int source_open_file(struct source *source, const char *path)
{
    *source = (struct source){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    if (source->fd < 0) return fail(source, -errno, "it cannot be read", strerror(errno));
    return 0;
}

int source_open_member(struct source *source, struct archive *archive, uint64_t index)
{
    zip_stat_t st;
    zip_file_t *file;

    *source = (struct source){.fd = -1};
    if (zip_stat_index(archive->zip, index, 0, &st) != 0)
        return fail(source, ERR_SYNTAX, "the archive is broken", NULL);
    if (st.valid & ZIP_STAT_SIZE && st.size > (zip_uint64_t)LIMIT_DUMP_BYTES)
        return fail_size(source);
    if (st.valid & ZIP_STAT_ENCRYPTION_METHOD && st.encryption_method != ZIP_EM_NONE)
        return fail(source, ERR_SYNTAX, "it is encrypted: decrypt the archive first", NULL);
    file = zip_fopen_index(archive->zip, index, 0);
    if (!file) return fail(source, ERR_SYNTAX, "it cannot be unpacked", zip_strerror(archive->zip));
    source->member = file;
    return 0;
}

static ssize_t read_file(struct source *source, char *data, size_t size)
{
    ssize_t count;

    do {
        count = read(source->fd, data, size);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? fail(source, -errno, "it cannot be read", strerror(errno)) : count;
}

static ssize_t read_member(struct source *source, char *data, size_t size)
{
    zip_int64_t count = zip_fread(source->member, data, size);

    if (count >= 0) return count;
    return fail(source, ERR_SYNTAX, "the archive is broken here",
                zip_error_strerror(zip_file_get_error(source->member)));
}

ssize_t source_read(struct source *source, char *data, size_t size)
{
    ssize_t count =
        source->member ? read_member(source, data, size) : read_file(source, data, size);

    if (count <= 0) return count;
    source->byte_count += count;
    return source->byte_count > LIMIT_DUMP_BYTES ? fail_size(source) : count;
}

void source_close(struct source *source)
{
    if (source->member) zip_fclose(source->member);
    if (source->fd >= 0) close(source->fd);
}
