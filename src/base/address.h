/* address.h - an IP address as 16 bytes: IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2). Pure. */
#ifndef HEATCAST_BASE_ADDRESS_H
#define HEATCAST_BASE_ADDRESS_H

#include <sys/socket.h>

#include "base/base.h"

struct address {
    uint8_t bytes[16];
};

enum { ADDRESS_TEXT_SIZE = 48 };

struct address address_of(const struct sockaddr *sockaddr);
/* "192.0.2.1" or "2001:db8::1", and nothing around it. Returns 0 or ERR_SYNTAX. */
int address_parse(struct str text, struct address *address) MUST_CHECK;
/* "127.0.0.1", "2001:db8::1". */
void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);
bool address_is_v4(const struct address *address);
/* Exactly 127.0.0.1 or ::1. */
bool address_is_localhost(const struct address *address);
uint64_t address_hash(const struct address *address);

#endif
