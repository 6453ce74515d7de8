/* ingest_command.c - `heatcast ingest`: words in, lines and an exit status out. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/printable.h"
#include "commands.h"
#include "io/ingest.h"
#include "io/progress.h"

static const char usage[] =
    "usage: heatcast ingest [OPTION…] PATH…\n\n"
    "Loads Binance dump files of futures into the DuckDB file: klines of 1m, 5m, 15m, 30m and 1h,\n"
    "and metrics (open interest), as CSV or inside .zip. A PATH is a file, a folder or a pattern.\n"
    "Loading a file again changes nothing. Each file is one transaction: with a bad row it is "
    "left\n"
    "out whole, unless --skip-bad-rows. Exit status: 0 all well, 1 a file was refused or rows "
    "were\n"
    "skipped, 2 wrong use or trouble with the database, 128 + N stopped by signal N.";

#define BAD_ROWS_SHOWN 10 /* of one file, when they are skipped */
#define GAPS_SHOWN     3  /* of one series */

enum { STATUS_WELL, STATUS_REFUSED, STATUS_TROUBLE, STATUS_SIGNAL = 128 };

struct command {
    struct ingest ingest;
    struct progress progress;
    enum log_level level;
    uint64_t file_bad_row_count; /* of the file being read */
};

static volatile sig_atomic_t stop_signal;

/* The second one finds the default action again, and ends at once. */
static void on_signal(int number)
{
    stop_signal = number;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static struct command *command_of(struct ingest *ingest)
{
    return container_of(ingest, struct command, ingest);
}

/* Starts a line about a file on standard error: names of files and members can hold anything. */
static void begin_line(struct command *command, const char *label)
{
    char *name = mem_strdup(label);

    progress_clear(&command->progress);
    fwrite(name, 1, printable_keep_utf8(name, strlen(name)), stderr);
    free(name);
}

static void on_bad_row(struct ingest *ingest, const char *label, uint64_t line, const char *reason,
                       bool is_skipped)
{
    struct command *command = command_of(ingest);

    if (++command->file_bad_row_count > BAD_ROWS_SHOWN) return;
    begin_line(command, label);
    fprintf(stderr, ":%" PRIu64 ": %s; the %s is left out\n", line, reason,
            is_skipped ? "row" : "file");
}

static void on_refused(struct ingest *ingest, const char *label, const char *reason)
{
    struct command *command = command_of(ingest);

    command->file_bad_row_count = 0;
    if (!reason) return;
    begin_line(command, label);
    fprintf(stderr, ": %s; it is left out\n", reason);
}

static void on_skipped(struct ingest *ingest, const char *label, const char *reason)
{
    struct command *command = command_of(ingest);

    if (command->level > LOG_INFO) return;
    begin_line(command, label);
    fprintf(stderr, ": skipped: %s\n", reason);
}

static void print_dump(const struct dump *dump)
{
    const char *symbol = dump->symbol;

    if (!*symbol && dump->symbol_count) symbol = dump->symbols[0];
    fprintf(stderr, ": %s", *symbol ? symbol : "no symbol");
    if (dump->symbol_count > 1) fprintf(stderr, " and %zu more", dump->symbol_count - 1);
    if (dump->kind == DUMP_METRICS)
        fputs(" open interest", stderr);
    else if (dump->step_ms)
        fprintf(stderr, " %s", dump_step_text(dump->step_ms));
}

static void on_loaded(struct ingest *ingest, const char *label, const struct dump *dump,
                      const struct store_counts *counts)
{
    struct command *command = command_of(ingest);

    command->file_bad_row_count = 0;
    /* On a terminal the bar says enough, unless there is something to say. */
    if (!dump->bad_row_count && !counts->conflicting &&
        (command->level > LOG_INFO || command->progress.out))
        return;
    begin_line(command, label);
    print_dump(dump);
    if (!dump->row_count)
        fputs(": no rows", stderr);
    else
        fprintf(stderr, ": %" PRId64 " new, %" PRId64 " known", counts->added, counts->known);
    if (counts->conflicting)
        fprintf(stderr, " (%" PRId64 " with other values than stored, which stay)",
                counts->conflicting);
    if (dump->bad_row_count) fprintf(stderr, ", %" PRIu64 " refused", dump->bad_row_count);
    fputc('\n', stderr);
}

static void on_progress(struct ingest *ingest, const char *label)
{
    struct command *command = command_of(ingest);
    const char *slash = strrchr(label, '/');
    char text[256];
    double fraction =
        ingest->bytes_total > 0 ? (double)ingest->bytes_done / (double)ingest->bytes_total : 1;

    if (!command->progress.out) return;
    snprintf(text, sizeof(text), "%zu/%zu files, %" PRId64 " rows, %s", ingest->file_at + 1,
             ingest->file_count, ingest->totals.rows.added + ingest->totals.rows.known,
             slash ? slash + 1 : label);
    printable_keep_ascii(text, strlen(text)); /* the bar counts a byte as a column */
    progress_draw(&command->progress, fraction, text);
}

static const struct ingest_listener listener = {on_bad_row, on_refused, on_skipped, on_loaded,
                                                on_progress};

/* --- the summary --- */

struct minute {
    char text[20]; /* 2025-12-31 23:55 */
};

static struct minute minute_of(int64_t time_ms)
{
    struct civil_time t = civil_from_ms(time_ms);
    struct minute minute;

    snprintf(minute.text, sizeof(minute.text), "%04u-%02u-%02u %02u:%02u", (unsigned)t.year % 10000,
             (unsigned)t.month % 100, (unsigned)t.day % 100, (unsigned)t.hour % 100,
             (unsigned)t.minute % 100);
    return minute;
}

static void print_gaps(const struct store_series *series, const struct store_gap *gaps,
                       size_t count)
{
    int64_t missing = 0;

    for (size_t i = 0; i < count; i++)
        missing += gaps[i].missing;
    if (!count) fputs(", no gaps", stdout);
    if (count) printf(", %zu gap%s, %" PRId64 " missing:", count, count > 1 ? "s" : "", missing);
    for (size_t i = 0; i < MIN(count, (size_t)GAPS_SHOWN); i++) {
        struct minute from = minute_of(gaps[i].after_ms + series->step_ms),
                      until = minute_of(gaps[i].before_ms - series->step_ms);

        if (series->step_ms)
            printf("%s %s to %s", i ? "," : "", from.text, until.text);
        else
            printf("%s between %s and %s", i ? "," : "", from.text, until.text);
    }
    if (count > GAPS_SHOWN) printf(", and %zu more", count - GAPS_SHOWN);
    fputc('\n', stdout);
}

static int print_series(struct store_conn *conn, const struct store_series *series)
{
    struct store_gap *gaps;
    size_t count;
    int err = store_gaps(conn, series->symbol, series->step_ms, &gaps, &count);

    if (err) return err;
    printf("%s %s: %s to %s, %" PRId64 " %s%s", series->symbol,
           series->step_ms ? dump_step_text(series->step_ms) : "open interest",
           minute_of(series->first_ms).text, minute_of(series->last_ms).text, series->row_count,
           series->step_ms ? "candle" : "point", series->row_count == 1 ? "" : "s");
    print_gaps(series, gaps, count);
    free(gaps);
    return 0;
}

static bool is_loaded(const struct ingest *ingest, const char *symbol)
{
    for (size_t i = 0; i < ingest->symbol_count; i++)
        if (strcmp(ingest->symbols[i], symbol) == 0) return true;
    return false;
}

/* What the file holds now of the symbols that were loaded. */
static int print_ranges(const struct ingest *ingest, struct store_conn *conn)
{
    struct store_series *series;
    size_t count;
    int err = store_series(conn, &series, &count);

    if (err) return err;
    for (size_t i = 0; i < count && !err; i++)
        if (is_loaded(ingest, series[i].symbol) &&
            (!series[i].step_ms || dump_step_text(series[i].step_ms)))
            err = print_series(conn, &series[i]);
    free(series);
    return err;
}

static void print_totals(const struct ingest_totals *t)
{
    printf("files: %" PRIu64 " loaded, %" PRIu64 " refused, %" PRIu64 " skipped\n", t->loaded_count,
           t->refused_count, t->skipped_count);
    printf("rows: %" PRId64 " new, %" PRId64 " known, %" PRIu64 " refused\n", t->rows.added,
           t->rows.known, t->bad_row_count);
    if (t->rows.conflicting)
        printf("conflicts: %" PRId64 " of the known rows have other values than the stored ones, "
               "which stay\n",
               t->rows.conflicting);
}

static int say_database(struct command *command, const char *db, const char *reason)
{
    bool is_full = strstr(reason, "No space left") || strstr(reason, "File too large");

    progress_clear(&command->progress);
    fprintf(stderr, "heatcast: %s: %s\n", db, reason);
    fprintf(stderr,
            "heatcast: stopped; the files loaded before are stored.%s Run the same again to "
            "complete it\n",
            is_full ? " Make room on the disk." : "");
    return STATUS_TROUBLE;
}

static int load(struct command *command, struct store *store, const char *db)
{
    struct ingest *ingest = &command->ingest;
    struct store_conn *conn;
    int err, status = ingest->totals.refused_count ? STATUS_REFUSED : STATUS_WELL;

    if (store_conn_open(store, &conn)) return say_database(command, db, "no connection");
    err = ingest_run(ingest, conn);
    progress_clear(&command->progress);
    if (err == ERR_DATABASE) status = say_database(command, db, store_conn_error(conn));
    print_totals(&ingest->totals);
    if (!err) err = print_ranges(ingest, conn);
    if (err == ERR_STOPPED) {
        fprintf(stderr,
                "heatcast: stopped by signal %d; the files loaded before are stored. Run "
                "the same again to complete it\n",
                (int)stop_signal);
        status = STATUS_SIGNAL + (int)stop_signal;
    } else if (err && status != STATUS_TROUBLE)
        status = say_database(command, db, store_conn_error(conn));
    else if (!err && (ingest->totals.refused_count || ingest->totals.bad_row_count))
        status = STATUS_REFUSED;
    store_conn_close(conn);
    return status;
}

static int open_and_load(struct command *command, const char *db)
{
    struct store *store;
    char message[512];
    int status;

    if (!command->ingest.file_count) {
        fputs("heatcast: no dump files (.csv, .zip) found\n", stderr);
        return STATUS_REFUSED;
    }
    if (store_open(db, 0, &store, message, sizeof(message))) {
        fprintf(stderr, "heatcast: %s\n", message);
        return STATUS_TROUBLE;
    }
    status = load(command, store, db);
    store_close(store);
    return status;
}

/* config_load() has looked at both words. */
static void configure_log(struct command *command, const struct config *config)
{
    enum log_format format;

    if (!log_level_parse(config->log_level, &command->level) ||
        !log_format_parse(config->log_format, &format))
        abort();
    log_configure(command->level, format);
}

int ingest_command(int argc, char **argv)
{
    struct command command = {.level = LOG_INFO};
    struct config config;
    int word_count, status;

    switch (config_load(&config, CMD_INGEST, usage, argc, argv, &word_count)) {
    case CONFIG_DONE:
        return STATUS_WELL;
    case CONFIG_ERROR:
        return STATUS_TROUBLE;
    case CONFIG_RUN:
        break;
    }
    if (!word_count) {
        fputs("heatcast: nothing to load: name files, folders or patterns (see --help)\n", stderr);
        status = STATUS_TROUBLE;
    } else {
        catch_signals();
        configure_log(&command, &config);
        progress_init(&command.progress, stderr);
        ingest_init(&command.ingest, &listener, config.skip_bad_rows, &stop_signal);
        ingest_find(&command.ingest, argv, (size_t)word_count);
        status = open_and_load(&command, config.db);
        ingest_deinit(&command.ingest);
    }
    config_deinit(&config);
    return status;
}
