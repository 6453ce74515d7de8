/* restless.h - addresses whose WebSockets keep being cut: the protocol's CONNECTION_UNSTABLE.
 *
 * A small table that all shards share, since a client that reconnects lands on any of them. A place
 * belongs to all addresses of one hash: a false alarm is one warning too many, and memory is
 * bounded whoever connects. Lock-free; looked at once per WebSocket, never per message. */
#ifndef HEATCAST_SERVE_RESTLESS_H
#define HEATCAST_SERVE_RESTLESS_H

#include <stdatomic.h>

#include "base/address.h"

/* Half a megabyte, of which what is not touched costs nothing: with ten thousand lives cut short in
 * a minute, of a million others one at most is called restless that is not. */
enum { RESTLESS_PLACES = 65536 };

/* `{0}` is a valid start. */
struct restless {
    _Atomic uint64_t places[RESTLESS_PLACES]; /* minute << 32 | short lives in it */
};

/* A WebSocket of `address` was cut after so short a life that it counts. */
void restless_note(struct restless *restless, const struct address *address, int64_t now_ms);
/* How many such there were lately (this minute, or the last one if it is younger). */
uint32_t restless_count(struct restless *restless, const struct address *address, int64_t now_ms);

#endif
