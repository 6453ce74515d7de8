/* forwarded.h - whose request a proxy hands on: X-Forwarded-For. Pure.
 *
 * Each proxy appends the address that it was asked from, so the list is true from its right end up
 * to the first address that is not one of our proxies: what stands left of it, that one may have
 * made up. Nobody's header is believed who is no proxy of ours: the caller looks at the peer. */
#ifndef HEATCAST_WIRE_FORWARDED_H
#define HEATCAST_WIRE_FORWARDED_H

#include "base/networks.h"
#include "wire/http.h"

/* The client of a request that `peer`, one of `trusted`, handed on: the right-most address in all
 * fields called X-Forwarded-For together that is not trusted itself. Where all are, the left-most.
 * Reading stops at what is no address, and the last one before it is the answer; `peer` where there
 * is none. An address may have a port, and stands in brackets then if it is IPv6, as some proxies
 * write it. */
struct address forwarded_client(const struct networks *trusted, const struct http_headers *headers,
                                const struct address *peer);

#endif
