/* networks.h - a list of addresses and of ranges of them: 192.0.2.1, 10.0.0.0/8, fd00::/8. Pure. */
#ifndef HEATCAST_BASE_NETWORKS_H
#define HEATCAST_BASE_NETWORKS_H

#include "base/address.h"

struct network {
    struct address first;
    uint8_t bits; /* how many of the first 128 all its addresses share */
};

/* `{0}` is the empty list. */
struct networks {
    struct network *items; /* owned */
    size_t count;
};

/* Reads a comma-separated list; "" is an empty one. RFC 4632 §3.1, RFC 4291 §2.3: a range is its
 * first address and how many bits of it count. Returns 0; or ERR_SYNTAX,
 * and nothing is held. */
int networks_parse(struct str list, struct networks *networks) MUST_CHECK;
void networks_deinit(struct networks *networks);

/* An IPv6 range like ::/0 has no IPv4 address in it, although those are mapped into IPv6 here. */
bool networks_include(const struct networks *networks, const struct address *address);

#endif
