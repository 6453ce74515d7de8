/* store_conn.h - what the store's own files share: a connection as they see it. Nobody else
 * includes this. */
#ifndef HEATCAST_IO_STORE_CONN_H
#define HEATCAST_IO_STORE_CONN_H

#include "io/duck.h"
#include "io/store.h"

struct store_load; /* store_load.c */

struct store_conn {
    struct duck duck;
    const char *path;        /* the file's; the store's */
    uv_mutex_t *write_lock;  /* the store's; held by whoever writes, for a whole transaction */
    struct store_load *load; /* owned; NULL outside a load */
};

/* BEGIN under the store's write lock. After success: store_commit() or store_rollback(). */
int store_begin(struct store_conn *conn) MUST_CHECK;
/* Ends the transaction either way; after trouble nothing of it is stored. */
int store_commit(struct store_conn *conn) MUST_CHECK;
void store_rollback(struct store_conn *conn);

#endif
