#include "io/store_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/printable.h"
#include "io/store_schema.h"

/* --- sentences --- */

struct message {
    char *at;
    size_t size;
};

/* Paths, the names of other programs and what DuckDB found in a file can hold anything. */
static PRINTF_LIKE(3, 4) int say(struct message *message, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(message->at, message->size, format, args);
    va_end(args);
    message->at[printable_keep_utf8(message->at, strlen(message->at))] = '\0';
    return err;
}

/* "… Conflicting lock is held in /usr/bin/heatcast (PID 17). See …": the name and the number. */
static int say_held(struct message *message, const char *path, const char *text)
{
    const char *program = strstr(text, "held in "), *pid = strstr(text, " (PID ");
    char *who = mem_strdup("another process");

    if (program && pid && program + 8 < pid) {
        program += 8;
        for (const char *at = program; at < pid; at++)
            if (*at == '/') program = at + 1;
        free(who);
        who =
            mem_printf("%.*s (PID %ld)", (int)(pid - program), program, strtol(pid + 6, NULL, 10));
    }
    say(message, ERR_BUSY,
        "%s is in use by %s, and only one process can have it open: stop that one, or name another "
        "file with --db",
        path, who);
    free(who);
    return ERR_BUSY;
}

/* DuckDB's reason for not opening, as a sentence that says what to do. */
static int say_unopened(struct message *message, const char *path, const char *text)
{
    if (strstr(text, "Could not set lock")) return say_held(message, path, text);
    if (strstr(text, "not a valid DuckDB"))
        return say(message, ERR_DATABASE,
                   "%s is not a DuckDB file: name another file with --db, or move this one away",
                   path);
    if (strstr(text, "version number"))
        return say(message, ERR_NEWER,
                   "%s was written by another version of DuckDB than %s: use the heatcast that "
                   "wrote it, or name another file with --db",
                   path, duckdb_library_version());
    if (strstr(text, "Permission denied") || strstr(text, "Read-only file system"))
        return say(message, ERR_DATABASE,
                   "%s may not be written: give this user the right to write it and its folder, or "
                   "name another file with --db",
                   path);
    if (strstr(text, "Corrupt") || strstr(text, "Could not read enough bytes"))
        return say(message, ERR_DATABASE,
                   "%s is damaged (%.*s): restore it from a copy, or move it away and load the "
                   "dumps again",
                   path, (int)strcspn(text, "\n"), text);
    if (strstr(text, "No space left"))
        return say(message, ERR_DATABASE, "no space is left on the disk of %s: free some", path);
    return say(message, ERR_DATABASE, "%s cannot be opened: %.*s", path, (int)strcspn(text, "\n"),
               text);
}

/* --- a file that is there --- */

/* DuckDB opens other kinds of files too: a CSV file, as a view in a database that is forgotten. */
static bool has_other_content(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char start[12] = "";
    bool is_other;

    if (fd < 0) return false; /* DuckDB will say why */
    is_other = read(fd, start, sizeof(start)) != sizeof(start) || memcmp(start + 8, "DUCK", 4) != 0;
    close(fd);
    return is_other;
}

/* What DuckDB would say less clearly, or not at all. *is_there tells whether the file exists. */
static int check_path(const char *path, bool *is_there, struct message *message)
{
    char *folder = mem_strdup(path), *slash = strrchr(folder, '/');
    const char *parent = ".";
    struct stat st;
    int err = 0;

    if (slash) {
        slash[slash == folder] = '\0';
        parent = folder;
    }
    *is_there = stat(path, &st) == 0;
    if (!*path)
        err = say(message, ERR_DATABASE, "no database file is named: give one with --db FILE");
    else if (*is_there && S_ISDIR(st.st_mode))
        err = say(message, ERR_DATABASE, "%s is a folder: name a file with --db", path);
    else if (*is_there && !S_ISREG(st.st_mode))
        err = say(message, ERR_DATABASE, "%s is not a regular file: name another with --db", path);
    else if (*is_there && has_other_content(path))
        err = say(message, ERR_DATABASE,
                  "%s is not a DuckDB file: name another file with --db, or move this one away",
                  path);
    else if (strchr(path, '?')) /* DuckDB takes what follows for options */
        err = say(message, ERR_DATABASE, "%s cannot be a DuckDB file: its name has a ?", path);
    else if (stat(parent, &st) != 0 || !S_ISDIR(st.st_mode))
        err = say(message, ERR_DATABASE,
                  "%s cannot be made: the folder %s does not exist or may not be entered; make it "
                  "first",
                  path, parent);
    else if (access(parent, W_OK) != 0)
        err = say(message, ERR_DATABASE, "%s needs its folder to be writable by this user (%s: %s)",
                  path, parent, strerror(errno));
    free(folder);
    return err;
}

static duckdb_config make_config(void)
{
    /* Nothing is fetched or loaded from elsewhere, no SQL reaches other files, and after opening
     * that cannot be changed. Temporary files go to FILE.tmp beside the file. */
    static const char *const settings[][2] = {
        {"threads", "2"}, /* beside the store's own threads: one more helps large scans */
        {"memory_limit", "1GB"},
        /* DuckDB 1.4.4 packs strings by a column's statistics before it groups and sorts, and in a
         * table that was filled since it was opened those can say that all are one byte long:
         * BTCUSDT came back as H. */
        {"disabled_optimizers", "compressed_materialization"},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"enable_external_access", "false"},
        {"lock_configuration", "true"},
    };
    duckdb_config config;

    if (duckdb_create_config(&config) != DuckDBSuccess) abort();
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (duckdb_set_config(config, settings[i][0], settings[i][1]) != DuckDBSuccess) abort();
    return config;
}

static int open_database(const char *path, duckdb_database *database, struct message *message)
{
    duckdb_config config = make_config();
    /* A path with a slash is never taken for ":memory:" or "postgres:…". */
    char *plain = mem_printf("%s%s", strchr(path, '/') ? "" : "./", path), *text = NULL;
    int err = 0;

    if (duckdb_open_ext(plain, database, config, &text) != DuckDBSuccess) {
        err = say_unopened(message, path, text ? text : "no reason given");
        duckdb_free(text);
    }
    duckdb_destroy_config(&config);
    free(plain);
    return err;
}

static int migrate(const char *path, duckdb_database database, struct message *message)
{
    atomic_bool never = false;
    struct duck duck;
    int64_t version = 0;
    int err = duck_init(&duck, database, &never);

    if (err) return say(message, err, "%s cannot be opened: DuckDB gives no connection", path);
    err = schema_migrate(&duck, schema_steps, schema_version, &version);
    switch (err) {
    case 0:
        break;
    case ERR_NEWER:
        say(message, err,
            "%s was written by a newer heatcast (schema version %lld, this one knows up to %u): "
            "use "
            "that version or a later one, or name another file with --db",
            path, (long long)version, schema_version);
        break;
    case ERR_UNKNOWN:
        err = say(message, ERR_DATABASE,
                  "%s is a DuckDB file of another program: name another file with --db", path);
        break;
    default:
        say(message, err, "%s cannot be brought to schema version %u: %s", path, schema_version,
            duck.error);
    }
    duck_deinit(&duck);
    return err;
}

/* --- a new file --- */

static void remove_with_wal(const char *path)
{
    char *wal = mem_printf("%s.wal", path);

    unlink(path);
    unlink(wal);
    free(wal);
}

/* Leftovers of birth() in processes that were killed. */
static void remove_stillborn(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *folder = mem_strndup(slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
    size_t size = strlen(name);
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char *rest;
        long pid;

        if (strncmp(entry->d_name, name, size) != 0) continue;
        if (strncmp(entry->d_name + size, ".new-", 5) != 0) continue;
        pid = strtol(entry->d_name + size + 5, &rest, 10);
        if (pid <= 0 || (*rest && strcmp(rest, ".wal") != 0)) continue;
        if (kill((pid_t)pid, 0) == 0 || errno != ESRCH) continue;
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir) closedir(dir);
    free(folder);
}

/* Makes the file elsewhere and gives it its name when it is complete, so that a kill at any moment
 * leaves no half of a file under the name. When somebody else was faster, theirs stays. */
static int birth(const char *path, struct message *message)
{
    char *unborn = mem_printf("%s.new-%ld", path, (long)getpid());
    duckdb_database database = NULL;
    int err;

    remove_stillborn(path);
    remove_with_wal(unborn);
    err = open_database(unborn, &database, message);
    if (!err) err = migrate(path, database, message);
    if (database) duckdb_close(&database);
    /* Not every file system has links; where it has none, take the risk of the race. */
    if (!err && link(unborn, path) != 0 && errno != EEXIST && rename(unborn, path) != 0)
        err = say(message, ERR_DATABASE, "%s cannot be made: %s", path, strerror(errno));
    remove_with_wal(unborn);
    free(unborn);
    return err;
}

int store_file_open(const char *path, duckdb_database *database, char *message, size_t message_size)
{
    struct message text = {message, message_size};
    duckdb_database opened = NULL;
    bool is_there;
    int err = check_path(path, &is_there, &text);

    if (!err && !is_there) err = birth(path, &text);
    if (!err) err = open_database(path, &opened, &text);
    if (err) return err;
    err = migrate(path, opened, &text);
    if (err)
        duckdb_close(&opened);
    else
        *database = opened;
    return err;
}
