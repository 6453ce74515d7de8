#include "io/ingest.h"

#include <assert.h>
#include <errno.h>
#include <fts.h>
#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "io/source.h"

#define READ_BYTES 262144

void ingest_init(struct ingest *ingest, const struct ingest_listener *listener, bool skips_bad_rows,
                 const volatile sig_atomic_t *stop)
{
    *ingest = (struct ingest){.listener = listener,
                              .skips_bad_rows = skips_bad_rows,
                              .stop = stop,
                              .dump = mem_alloc(sizeof(struct dump)),
                              .data = mem_alloc(READ_BYTES)};
}

void ingest_deinit(struct ingest *ingest)
{
    for (size_t i = 0; i < ingest->file_count; i++)
        free(ingest->files[i].path);
    free(ingest->files);
    free(ingest->symbols);
    free(ingest->dump);
    free(ingest->data);
}

static void refuse(struct ingest *ingest, const char *label, const char *reason)
{
    ingest->totals.refused_count++;
    ingest->listener->on_refused(ingest, label, reason);
}

/* What is no dump is an error where the user named it, and passed over where it just lies there. */
static void refuse_or_skip(struct ingest *ingest, const char *label, const char *reason,
                           bool is_named)
{
    if (is_named) {
        refuse(ingest, label, reason);
        return;
    }
    ingest->totals.skipped_count++;
    ingest->listener->on_skipped(ingest, label, reason);
}

/* --- finding --- */

static bool has_ending(const char *name, const char *ending)
{
    size_t size = strlen(name), ending_size = strlen(ending);

    return size > ending_size && strcasecmp(name + size - ending_size, ending) == 0;
}

static bool is_hidden(const char *path)
{
    const char *slash = strrchr(path, '/');

    return (slash ? slash[1] : path[0]) == '.';
}

static void add_file(struct ingest *ingest, const char *path, int64_t size, bool is_named)
{
    if (ingest->file_count == ingest->file_capacity) {
        ingest->file_capacity = ingest->file_capacity ? 2 * ingest->file_capacity : 64;
        ingest->files = mem_realloc(ingest->files, ingest->file_capacity * sizeof(*ingest->files));
    }
    ingest->files[ingest->file_count++] = (struct ingest_file){mem_strdup(path), size, is_named};
    ingest->bytes_total += size;
}

static int compare_names(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void visit(struct ingest *ingest, const FTSENT *entry)
{
    switch (entry->fts_info) {
    case FTS_F:
        if (!is_hidden(entry->fts_name) &&
            (has_ending(entry->fts_name, ".csv") || has_ending(entry->fts_name, ".zip")))
            add_file(ingest, entry->fts_path, entry->fts_statp->st_size, false);
        else
            ingest->totals.skipped_count++;
        break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        refuse(ingest, entry->fts_path, strerror(entry->fts_errno));
        break;
    default: /* folders before and after, cycles, links to nowhere, devices */
        break;
    }
}

static void walk(struct ingest *ingest, char *folder)
{
    char *roots[] = {folder, NULL};
    FTS *fts = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, compare_names);
    FTSENT *entry;

    if (!fts) {
        refuse(ingest, folder, strerror(errno));
        return;
    }
    while (!*ingest->stop && (entry = fts_read(fts)))
        visit(ingest, entry);
    fts_close(fts);
}

static void find_path(struct ingest *ingest, const char *path)
{
    char *copy = mem_strdup(path);
    size_t size = strlen(copy);
    struct stat st;

    while (size > 1 && copy[size - 1] == '/')
        copy[--size] = '\0';
    if (stat(copy, &st) != 0)
        refuse(ingest, path, errno == ENOENT ? "no such file or folder" : strerror(errno));
    else if (S_ISDIR(st.st_mode))
        walk(ingest, copy);
    else if (!S_ISREG(st.st_mode))
        refuse(ingest, path, "neither a file nor a folder");
    else
        add_file(ingest, copy, st.st_size, true);
    free(copy);
}

/* A pattern that the shell was kept from expanding. */
static void find_pattern(struct ingest *ingest, const char *pattern)
{
    glob_t found = {0};
    int err = glob(pattern, GLOB_NOMAGIC, NULL, &found);

    if (err == GLOB_NOMATCH) refuse(ingest, pattern, "the pattern matches nothing");
    if (err && err != GLOB_NOMATCH) refuse(ingest, pattern, "the pattern's folders are unreadable");
    for (size_t i = 0; !err && i < found.gl_pathc; i++)
        find_path(ingest, found.gl_pathv[i]);
    globfree(&found);
}

void ingest_find(struct ingest *ingest, char *const *paths, size_t count)
{
    struct stat st;

    for (size_t i = 0; i < count; i++) {
        /* A file may have a star in its name: what exists is itself. */
        if (lstat(paths[i], &st) != 0 && strpbrk(paths[i], "*?["))
            find_pattern(ingest, paths[i]);
        else
            find_path(ingest, paths[i]);
    }
}

/* --- loading --- */

struct sink {
    struct dump_sink base;
    struct ingest *ingest;
};

static struct ingest *ingest_of(struct dump_sink *sink)
{
    return container_of(sink, struct sink, base)->ingest;
}

static int on_candles(struct dump_sink *sink, const char *symbol, const struct candle *candles,
                      size_t count)
{
    return store_load_candles(ingest_of(sink)->conn, symbol, candles, count);
}

static int on_points(struct dump_sink *sink, const char *symbol, const struct dump_point *points,
                     size_t count)
{
    struct store_point batch[256];
    int err = 0;

    for (size_t i = 0; i < count && !err; i += ARRAY_LEN(batch)) {
        size_t size = MIN(count - i, ARRAY_LEN(batch));

        for (size_t k = 0; k < size; k++)
            batch[k] = (struct store_point){points[i + k].time_ms, points[i + k].value,
                                            points[i + k].base};
        err = store_load_points(ingest_of(sink)->conn, symbol, batch, size);
    }
    return err;
}

static int on_bad_row(struct dump_sink *sink, uint64_t line, const char *reason)
{
    struct ingest *ingest = ingest_of(sink);

    ingest->totals.bad_row_count++;
    ingest->listener->on_bad_row(ingest, ingest->label, line, reason, ingest->skips_bad_rows);
    return ingest->skips_bad_rows ? 0 : ERR_SYNTAX;
}

static void note_symbol(struct ingest *ingest, const char *symbol)
{
    for (size_t i = ingest->symbol_count; i-- > 0;)
        if (strcmp(ingest->symbols[i], symbol) == 0) return;
    ingest->symbols =
        mem_realloc(ingest->symbols, (ingest->symbol_count + 1) * sizeof(*ingest->symbols));
    strcpy(ingest->symbols[ingest->symbol_count++], symbol);
}

static void note_loaded(struct ingest *ingest, const struct store_counts *stored)
{
    const struct dump *dump = ingest->dump;
    struct ingest_totals *totals = &ingest->totals;
    struct store_counts counts = *stored;

    counts.known += (int64_t)dump->duplicate_count;
    totals->loaded_count++;
    totals->rows.added += counts.added;
    totals->rows.known += counts.known;
    totals->rows.conflicting += counts.conflicting;
    if (dump->row_count && dump->symbol[0]) note_symbol(ingest, dump->symbol);
    for (size_t i = 0; i < dump->symbol_count; i++)
        note_symbol(ingest, dump->symbols[i]);
    ingest->listener->on_loaded(ingest, ingest->label, dump, &counts);
}

/* Reads to the end. `share` of a byte of the file on disk is done with each byte read. */
static int feed_all(struct ingest *ingest, struct source *source, double share)
{
    int64_t start = ingest->bytes_done;
    ssize_t size;
    int err;

    ingest->listener->on_progress(ingest, ingest->label);
    while ((size = source_read(source, ingest->data, READ_BYTES)) > 0) {
        if (*ingest->stop) return ERR_STOPPED;
        err = dump_feed(ingest->dump, ingest->data, (size_t)size);
        if (err) return err;
        ingest->bytes_done = start + (int64_t)((double)source->byte_count * share);
        ingest->listener->on_progress(ingest, ingest->label);
    }
    return size < 0 ? (int)size : dump_finish(ingest->dump);
}

/* What a file that was not loaded ended with, told; returns what ends the whole run. */
static int tell_unloaded(struct ingest *ingest, int err, const struct source *source, bool is_named)
{
    const struct dump *dump = ingest->dump;

    if (err == ERR_STOPPED || err == ERR_DATABASE) return err;
    if (source->reason[0])
        refuse(ingest, ingest->label, source->reason);
    else if (err == ERR_UNKNOWN)
        refuse_or_skip(ingest, ingest->label, dump->reason, is_named);
    else
        refuse(ingest, ingest->label, dump->reason[0] ? dump->reason : NULL);
    return 0;
}

/* One dump, in one transaction. */
static int load_dump(struct ingest *ingest, const struct dump_name *name, struct source *source,
                     double share, bool is_named)
{
    struct sink sink = {{on_candles, on_points, on_bad_row}, ingest};
    struct store_counts counts = {0};
    int err = store_load_begin(ingest->conn);

    if (err) return err;
    dump_init(ingest->dump, name, &sink.base);
    err = feed_all(ingest, source, share);
    if (!err && *ingest->stop) err = ERR_STOPPED;
    if (err)
        store_load_rollback(ingest->conn);
    else
        err = store_load_commit(ingest->conn, &counts);
    if (err)
        err = tell_unloaded(ingest, err, source, is_named);
    else
        note_loaded(ingest, &counts);
    dump_deinit(ingest->dump);
    return err;
}

static int load_file(struct ingest *ingest, const struct ingest_file *file)
{
    struct source source;
    struct dump_name name;
    int err;

    ingest->label = file->path;
    dump_name_parse(file->path, &name);
    if (source_open_file(&source, file->path)) {
        refuse(ingest, file->path, source.reason);
        return 0;
    }
    err = load_dump(ingest, &name, &source, 1, file->is_named);
    source_close(&source);
    return err;
}

static bool is_dump_member(const struct archive_member *member)
{
    return !member->is_folder && !is_hidden(member->name) && has_ending(member->name, ".csv") &&
           strncmp(member->name, "__MACOSX/", 9) != 0;
}

static int load_member(struct ingest *ingest, const struct ingest_file *file,
                       struct archive *archive, uint64_t index, const struct archive_member *member,
                       double share)
{
    char *label = mem_printf("%s:%s", file->path, member->name);
    struct dump_name name, around;
    struct source source;
    int err = 0;

    ingest->label = label;
    dump_name_parse(member->name, &name);
    dump_name_parse(file->path, &around);
    dump_name_complete(&name, &around);
    if (source_open_member(&source, archive, index))
        refuse(ingest, label, source.reason);
    else {
        err = load_dump(ingest, &name, &source, share, file->is_named);
        source_close(&source);
    }
    free(label);
    return err;
}

/* Bytes on disk for each byte that its dumps unpack to, for the progress. */
static double archive_share(struct archive *archive, int64_t size, uint64_t *dump_count)
{
    struct archive_member member;
    double unpacked = 0;

    *dump_count = 0;
    for (uint64_t i = 0; i < archive_member_count(archive); i++) {
        if (!archive_member_at(archive, i, &member) || !is_dump_member(&member)) continue;
        unpacked += (double)member.size;
        ++*dump_count;
    }
    return unpacked > 0 ? (double)size / unpacked : 0;
}

static int load_archive(struct ingest *ingest, const struct ingest_file *file)
{
    struct archive_member member;
    struct archive *archive;
    uint64_t dump_count;
    char reason[160];
    double share;
    int err = 0;

    if (archive_open(file->path, &archive, reason, sizeof(reason))) {
        refuse(ingest, file->path, reason);
        return 0;
    }
    share = archive_share(archive, file->size, &dump_count);
    if (!dump_count)
        refuse_or_skip(ingest, file->path, "the archive holds no CSV file", file->is_named);
    for (uint64_t i = 0; i < archive_member_count(archive) && !err; i++) {
        if (!archive_member_at(archive, i, &member))
            refuse(ingest, file->path, "the archive's directory is broken");
        else if (is_dump_member(&member))
            err = load_member(ingest, file, archive, i, &member, share);
        else if (!member.is_folder)
            ingest->totals.skipped_count++;
    }
    archive_close(archive);
    return err;
}

int ingest_run(struct ingest *ingest, struct store_conn *conn)
{
    int64_t start = 0;
    int err = 0;

    ingest->conn = conn;
    for (ingest->file_at = 0; ingest->file_at < ingest->file_count && !err; ingest->file_at++) {
        const struct ingest_file *file = &ingest->files[ingest->file_at];

        if (*ingest->stop) return ERR_STOPPED;
        err = has_ending(file->path, ".zip") ? load_archive(ingest, file) : load_file(ingest, file);
        start += file->size;
        if (!err) ingest->bytes_done = start;
    }
    return err;
}
