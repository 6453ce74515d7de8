#include "io/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

struct address address_of(const struct sockaddr *sockaddr)
{
    struct address address = {0};

    if (sockaddr->sa_family == AF_INET) {
        memcpy(address.bytes, mapped, sizeof(mapped));
        memcpy(address.bytes + 12, &((const struct sockaddr_in *)(const void *)sockaddr)->sin_addr,
               4);
    } else
        memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)sockaddr)->sin6_addr,
               16);
    return address;
}

static bool is_mapped(const struct address *address)
{
    return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    if (is_mapped(address))
        inet_ntop(AF_INET, address->bytes + 12, text, ADDRESS_TEXT_SIZE);
    else
        inet_ntop(AF_INET6, address->bytes, text, ADDRESS_TEXT_SIZE);
}

bool address_is_localhost(const struct address *address)
{
    static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};

    return (is_mapped(address) && memcmp(address->bytes + 12, v4, 4) == 0) ||
           memcmp(address->bytes, v6, 16) == 0;
}

uint64_t address_hash(const struct address *address)
{
    return XXH3_64bits(address->bytes, sizeof(address->bytes));
}
