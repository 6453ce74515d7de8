#include "base/networks.h"

#include <stdlib.h>
#include <string.h>

#define ADDRESS_BITS   128
#define MAPPED_V4_BITS 96 /* before the 32 of an IPv4 address */

static bool shares_bits(const struct address *a, const struct address *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a->bytes, b->bytes, whole) != 0) return false;
    return !rest || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

static bool network_includes(const struct network *network, const struct address *address)
{
    if (network->bits < MAPPED_V4_BITS && address_is_v4(address)) return false;
    return shares_bits(&network->first, address, network->bits);
}

/* "8" -> 8; no sign, no zero in front. */
static int parse_bits(struct str text, unsigned most, unsigned *bits)
{
    uint64_t value;

    if (text.size > 1 && text.at[0] == '0') return ERR_SYNTAX;
    if (!str_number(text, most, &value)) return ERR_SYNTAX;
    *bits = (unsigned)value;
    return 0;
}

/* 10.0.0.1/8 is a slip: of the address, or of the bits. */
static bool is_first(const struct address *address, unsigned bits)
{
    for (unsigned bit = bits; bit < ADDRESS_BITS; bit++)
        if (address->bytes[bit / 8] & 0x80 >> bit % 8) return false;
    return true;
}

static int parse_one(struct str text, struct network *network)
{
    struct str rest = text, name = str_split(&rest, '/');
    bool has_bits = name.size < text.size;
    unsigned most, bits;

    if (address_parse(name, &network->first)) return ERR_SYNTAX;
    most = memchr(name.at, ':', name.size) ? ADDRESS_BITS : ADDRESS_BITS - MAPPED_V4_BITS;
    bits = most;
    if (has_bits && parse_bits(rest, most, &bits)) return ERR_SYNTAX;
    network->bits = (uint8_t)(bits + ADDRESS_BITS - most);
    return is_first(&network->first, network->bits) ? 0 : ERR_SYNTAX;
}

int networks_parse(struct str list, struct networks *networks)
{
    struct networks found = {0};

    while (list.size) {
        struct str text = str_trim(str_split(&list, ','));

        found.items = mem_realloc(found.items, (found.count + 1) * sizeof(*found.items));
        if (parse_one(text, &found.items[found.count++])) {
            networks_deinit(&found);
            return ERR_SYNTAX;
        }
    }
    *networks = found;
    return 0;
}

void networks_deinit(struct networks *networks)
{
    free(networks->items);
    *networks = (struct networks){0};
}

bool networks_include(const struct networks *networks, const struct address *address)
{
    for (size_t i = 0; i < networks->count; i++)
        if (network_includes(&networks->items[i], address)) return true;
    return false;
}
