/* store_file.h - the file of a store: checked, made when it is new, opened, brought to our schema,
 * with a sentence for the user where that cannot be.
 *
 * Knows no threads and no rows. Only store.c includes this; on its caller's thread. */
#ifndef HEATCAST_IO_STORE_FILE_H
#define HEATCAST_IO_STORE_FILE_H

#include "io/duck.h"

/* Opens or makes `path`; a new file appears under its name when it is complete. Returns 0, the
 * database then being the caller's; ERR_BUSY (another process holds it), ERR_NEWER or ERR_DATABASE,
 * *database untouched and a printable sentence in `message`: what is wrong with which file, what to
 * do. */
int store_file_open(const char *path, duckdb_database *database, char *message,
                    size_t message_size) MUST_CHECK;

#endif
