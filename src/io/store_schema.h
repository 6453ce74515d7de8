/* store_schema.h - the tables of the file, their version, and how an older file becomes a newer.
 *
 * A version is a number in the file. Step N of the table brings version N-1 to version N in one
 * transaction, so that a file is always of one version, whenever the power goes. */
#ifndef HEATCAST_IO_STORE_SCHEMA_H
#define HEATCAST_IO_STORE_SCHEMA_H

#include "io/duck.h"

struct schema_step {
    const char *sql;
};

extern const struct schema_step schema_steps[];
extern const unsigned schema_version; /* how many steps there are: what this program writes */

/* Brings the file to version `step_count`. Returns 0; ERR_NEWER when it is beyond that (*version
 * tells); ERR_UNKNOWN when it has tables but none of ours; ERR_DATABASE with duck->error, the file
 * being then at *version, the last step that was completed. */
int schema_migrate(struct duck *duck, const struct schema_step *steps, unsigned step_count,
                   int64_t *version) MUST_CHECK;

#endif
