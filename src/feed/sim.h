/* sim.h - the simulated market as a feed: a week of history at first, then candles as time goes.
 *
 * What it makes goes into the DuckDB file like any other data, and is read from there. The file
 * remembers seed and progress, so a restart goes on where it stopped. On the main loop's thread. */
#ifndef HEATCAST_FEED_SIM_H
#define HEATCAST_FEED_SIM_H

#include "io/store.h"

/* The simulated time begins here, whatever the clock says: same seed, same market, same times. */
#define SIM_START_MS INT64_C(1735689600000) /* 2025-01-01T00:00:00Z */

struct sim;

/* Is the file one of a simulated market? */
int sim_is_in(struct store_conn *conn, bool *is_simulated) MUST_CHECK;

/* Looks at the file, writes the first week if it is empty, and stands where the file ends. Refuses,
 * with a sentence in message, a file of real data or of another seed. */
int sim_open(struct store_conn *conn, int64_t seed, struct sim **sim, char *message,
             size_t message_size) MUST_CHECK;

/* Starts to append candles at `speed` simulated seconds a second. on_candle tells, on the loop,
 * each symbol's newest that is in the file. */
void sim_start(struct sim *sim, struct store *store, struct loop *loop, double speed,
               void (*on_candle)(void *context, const char *symbol, const struct candle *newest),
               void *context);
/* Ends the timer; sim_free() is for after the store is closed. */
void sim_stop(struct sim *sim);
void sim_free(struct sim *sim); /* NULL is fine */

#endif
