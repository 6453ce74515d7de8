/* crowd.h - how many connections each address has, for the limit on one address.
 *
 * A table that all shards share, since a client's connections land on any of them. Addresses of one
 * hash share a place, so somebody may in theory be refused for another; memory is bounded whoever
 * connects. Lock-free, touched twice per connection. 127.0.0.1 and ::1 are never counted: a reverse
 * proxy or tunnel there stands for many clients. */
#ifndef HEATCAST_SERVE_CROWD_H
#define HEATCAST_SERVE_CROWD_H

#include <stdatomic.h>

#include "base/address.h"

enum { CROWD_PLACES = 16384 };

/* `{0}` is a valid start. */
struct crowd {
    _Atomic uint32_t places[CROWD_PLACES];
};

/* One more of this address; false, not counted, where it has `limit` already. 0: no limit. */
bool crowd_enter(struct crowd *crowd, const struct address *address, uint32_t limit) MUST_CHECK;
/* One of those that entered goes. */
void crowd_leave(struct crowd *crowd, const struct address *address);

#endif
