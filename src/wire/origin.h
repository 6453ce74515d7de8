/* origin.h - whose page sends a request (RFC 6454): one of ours, or one that was allowed? Pure. */
#ifndef HEATCAST_WIRE_ORIGIN_H
#define HEATCAST_WIRE_ORIGIN_H

#include "base/base.h"

/* Is `origin` in a comma-separated list of origins? "*" there is any; *is_any: it was that. */
bool origin_is_listed(struct str origin, const char *list, bool *is_any);

/* Is `origin` that of a page which this server sent, to who asked for `host` (the Host field)?
 *
 * "http://" and the host, and no name that somebody else could point at us: a page of theirs would
 * then have our address and their name, in both fields (DNS rebinding). So the host is an IP
 * address, localhost or below it, or `listen_host`, the name that the operator gave. */
bool origin_is_own(struct str origin, struct str host, struct str listen_host);

#endif
