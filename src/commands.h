/* commands.h - the subcommands that main.c offers.
 *
 * Each takes the words after its name and returns the process's exit status. Main thread only. */
#ifndef HEATCAST_COMMANDS_H
#define HEATCAST_COMMANDS_H

int serve_command(int argc, char **argv);
int edge_command(int argc, char **argv);
int ingest_command(int argc, char **argv);
int tail_command(int argc, char **argv);
int echo_command(int argc, char **argv);

#endif
