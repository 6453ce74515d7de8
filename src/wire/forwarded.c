#include "wire/forwarded.h"

#include <string.h>

static bool is_port(struct str text)
{
    uint64_t port;

    return str_number(text, 65535, &port);
}

/* "[2001:db8::1]", "[2001:db8::1]:80" */
static int parse_in_brackets(struct str text, struct address *address)
{
    const char *end = memchr(text.at, ']', text.size);
    struct str name, rest;

    if (!end) return ERR_SYNTAX;
    name = (struct str){text.at + 1, (size_t)(end - text.at) - 1};
    rest = str_skip(text, name.size + 2);
    if (rest.size && (rest.at[0] != ':' || !is_port(str_skip(rest, 1)))) return ERR_SYNTAX;
    return memchr(name.at, ':', name.size) ? address_parse(name, address) : ERR_SYNTAX;
}

/* These, and "192.0.2.1", "2001:db8::1", "192.0.2.1:80" */
static int parse(struct str text, struct address *address)
{
    struct str rest = text, name;

    if (text.at[0] == '[') return parse_in_brackets(text, address);
    if (address_parse(text, address) == 0) return 0;
    name = str_split(&rest, ':');
    return is_port(rest) ? address_parse(name, address) : ERR_SYNTAX;
}

/* From left to right, so that the list need not be kept: whoever comes later and is not trusted is
 * nearer to us, and after what is no address the list begins anew. */
struct address forwarded_client(const struct networks *trusted, const struct http_headers *headers,
                                const struct address *peer)
{
    struct http_elements elements = http_elements_of(headers, "X-Forwarded-For");
    struct address client = *peer, found;
    bool has_any = false;
    struct str element;

    while (http_next_element(&elements, &element)) {
        if (parse(element, &found)) {
            client = *peer;
            has_any = false;
        } else if (!has_any || !networks_include(trusted, &found)) {
            client = found;
            has_any = true;
        }
    }
    return client;
}
