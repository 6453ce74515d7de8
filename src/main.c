/* main.c - heatcast's command line: which subcommand runs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/version.h"
#include "commands.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* the words after the name; returns the exit status */
    const char *help;                  /* NULL: for those who test heatcast, not in the list */
};

static const struct command commands[] = {
    {"serve", serve_command, "serve live heatmaps over WebSocket and REST"},
    {"edge", edge_command, "relay what other servers publish, without a database"},
    {"ingest", ingest_command, "load Binance dump files into the DuckDB file"},
    {"tail", tail_command, "subscribe to a server and print what it sends"},
    {"echo", echo_command, NULL},
};

static int print_usage(FILE *out)
{
    fprintf(out,
            "heatcast %s: live liquidation heatmaps of futures markets\n\n"
            "usage: heatcast COMMAND [OPTION…] (heatcast COMMAND --help tells more)\n\n",
            heatcast_version);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i].help) fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    return out == stdout ? 0 : 2;
}

/* A descriptor 0, 1 or 2 that is closed would be given to the next file opened, the database's
 * among them, and messages would be written into it. /dev/null, opened the wrong way round, takes
 * the place: using it fails as it did. */
static void open_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd) abort();
}

int main(int argc, char **argv)
{
    open_standard_files();
    if (argc < 2) return print_usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) return print_usage(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        printf("heatcast %s\n", heatcast_version);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 2, argv + 2);
    fprintf(stderr, "heatcast: unknown command '%s'\n\n", argv[1]);
    return print_usage(stderr);
}
