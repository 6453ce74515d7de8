#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct address mapped_of(const void *v4)
{
    struct address address = {0};

    memcpy(address.bytes, mapped, sizeof(mapped));
    memcpy(address.bytes + sizeof(mapped), v4, 4);
    return address;
}

struct address address_of(const struct sockaddr *sockaddr)
{
    struct address address = {0};

    if (sockaddr->sa_family == AF_INET)
        return mapped_of(&((const struct sockaddr_in *)(const void *)sockaddr)->sin_addr);
    memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)sockaddr)->sin6_addr, 16);
    return address;
}

int address_parse(struct str text, struct address *address)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    if (!text.size || text.size >= sizeof(copy) || memchr(text.at, '\0', text.size))
        return ERR_SYNTAX;
    memcpy(copy, text.at, text.size);
    copy[text.size] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1)
        *address = mapped_of(bytes);
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        memcpy(address->bytes, bytes, sizeof(bytes));
    else
        return ERR_SYNTAX;
    return 0;
}

bool address_is_v4(const struct address *address)
{
    return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    if (address_is_v4(address))
        inet_ntop(AF_INET, address->bytes + 12, text, ADDRESS_TEXT_SIZE);
    else
        inet_ntop(AF_INET6, address->bytes, text, ADDRESS_TEXT_SIZE);
}

bool address_is_localhost(const struct address *address)
{
    static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};

    return (address_is_v4(address) && memcmp(address->bytes + 12, v4, 4) == 0) ||
           memcmp(address->bytes, v6, 16) == 0;
}

uint64_t address_hash(const struct address *address)
{
    return XXH3_64bits(address->bytes, sizeof(address->bytes));
}
