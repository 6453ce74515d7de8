/* config.h - settings by flag, environment and file; options.h is the one table of them.
 *
 * A flag wins over the environment, the environment over the file, the file over the default. The
 * file (--config FILE) has lines `name = value`, name being the flag's or the environment's; `#`
 * starts a comment, at a line's beginning or behind a space. Used by the main thread before others
 * start; read-only from then on. */
#ifndef HEATCAST_BASE_CONFIG_H
#define HEATCAST_BASE_CONFIG_H

#include <stdio.h>

#include "base/base.h"
#include "base/limits.h" /* options.h names some */

enum config_command { CMD_SERVE = 1, CMD_INGEST = 2, CMD_TAIL = 4, CMD_ECHO = 8, CMD_EDGE = 16 };

#define CONFIG_BOOL   bool
#define CONFIG_INT    int64_t
#define CONFIG_REAL   double
#define CONFIG_TEXT   char * /* owned */
#define CONFIG_SECRET char * /* the same; not printed */

struct config {
#define OPTION(field, type, ...) CONFIG_##type field;
#include "base/options.h"
#undef OPTION
};

enum config_result {
    CONFIG_RUN,   /* settings are valid: go on */
    CONFIG_DONE,  /* --help or --print-config was answered on stdout: exit 0 */
    CONFIG_ERROR, /* said on stderr what is wrong and where: exit 2 */
};

/* Reads all sources for `command`. argv[0..argc) are the words after the command's name; the words
 * that are no options are moved to the front of argv and counted in *word_count. `usage` is the
 * first line of --help. */
enum config_result config_load(struct config *config, enum config_command command,
                               const char *usage, int argc, char **argv,
                               int *word_count) MUST_CHECK;
void config_deinit(struct config *config);
/* Sets the log's level and format as the loaded settings say. */
void config_apply_log(const struct config *config);

/* "12h", "30d", "1y", "90m", "45s" -> milliseconds, above 0 and at most 10 years. */
int span_parse(struct str text, int64_t *span_ms) MUST_CHECK;

/* "127.0.0.1:8000", "[::1]:8000", ":8000", "8000" -> host (written into host[host_size]) and port.
 */
int host_port_parse(const char *text, char *host, size_t host_size, int *port) MUST_CHECK;

#endif
