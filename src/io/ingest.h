/* ingest.h - dump files into the store.
 *
 * Finds files in folders, patterns and zip archives, reads each as a dump, and stores each in one
 * transaction: all of its rows or, when one is bad, none (or all but the bad ones, if asked for).
 * It prints nothing: a listener hears what happens. One thread, the caller's. */
#ifndef HEATCAST_IO_INGEST_H
#define HEATCAST_IO_INGEST_H

#include <signal.h>

#include "io/dump.h"
#include "io/store.h"

struct ingest;

/* What happened, as it happens. `label` is "file.csv" or "archive.zip:member.csv", not cleaned of
 * what a terminal would obey. */
struct ingest_listener {
    /* One row: left out with the file, or, when is_skipped, by itself. */
    void (*on_bad_row)(struct ingest *ingest, const char *label, uint64_t line, const char *reason,
                       bool is_skipped);
    /* A file that was to be loaded was not; reason is NULL after on_bad_row. */
    void (*on_refused)(struct ingest *ingest, const char *label, const char *reason);
    /* A file in a folder that is no dump. */
    void (*on_skipped)(struct ingest *ingest, const char *label, const char *reason);
    void (*on_loaded)(struct ingest *ingest, const char *label, const struct dump *dump,
                      const struct store_counts *counts);
    /* Every now and then, at least once per file. */
    void (*on_progress)(struct ingest *ingest, const char *label);
};

struct ingest_totals {
    uint64_t loaded_count, refused_count; /* dump files, an archive's members one by one */
    uint64_t skipped_count;               /* files that are no dumps */
    uint64_t bad_row_count;
    struct store_counts rows;
};

struct ingest_file {
    char *path; /* owned */
    int64_t size;
    bool is_named; /* by the user, not found in a folder */
};

struct ingest {
    const struct ingest_listener *listener; /* borrowed */
    bool skips_bad_rows;
    const volatile sig_atomic_t *stop; /* borrowed; not 0: end soon with ERR_STOPPED */

    struct ingest_totals totals;
    char (*symbols)[LIMIT_SYMBOL_BYTES + 1]; /* owned; of what was loaded, in no order */
    size_t symbol_count;

    struct ingest_file *files; /* owned */
    size_t file_count, file_capacity;
    size_t file_at;                  /* the one being read */
    int64_t bytes_total, bytes_done; /* of all files; as they are on disk */

    struct store_conn *conn; /* borrowed, while running */
    struct dump *dump;       /* owned; the file being read */
    const char *label;       /* of the same */
    char *data;              /* owned; what was read of it last */
};

void ingest_init(struct ingest *ingest, const struct ingest_listener *listener, bool skips_bad_rows,
                 const volatile sig_atomic_t *stop);
void ingest_deinit(struct ingest *ingest);

/* Lists what `paths` name: files, folders (walked, in the order of names), patterns. What is not
 * there is refused. */
void ingest_find(struct ingest *ingest, char *const *paths, size_t count);

/* Loads what was found. Returns 0, ERR_STOPPED, or ERR_DATABASE (store_conn_error() tells); files
 * that were loaded before stay, the one under way is rolled back. */
int ingest_run(struct ingest *ingest, struct store_conn *conn) MUST_CHECK;

#endif
