#include "wire/origin.h"

#include <arpa/inet.h>
#include <string.h>

bool origin_is_listed(struct str origin, const char *list, bool *is_any)
{
    struct str rest = str_of(list);

    *is_any = false;
    while (rest.size) {
        struct str one = str_trim(str_split(&rest, ','));

        if (str_eq(one, STR("*"))) return *is_any = true;
        if (one.size && str_eq_nocase(one, origin)) return true;
    }
    return false;
}

/* "[::1]:8000" -> "::1", "localhost:8000" -> "localhost" */
static struct str name_of(struct str host)
{
    if (!host.size || host.at[0] != '[') return str_split(&host, ':');
    host = str_skip(host, 1);
    return str_split(&host, ']');
}

static bool is_address(struct str name)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (name.size >= sizeof(text)) return false;
    memcpy(text, name.at, name.size);
    text[name.size] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static bool ends_with(struct str text, struct str end)
{
    return text.size >= end.size && str_eq_nocase(str_skip(text, text.size - end.size), end);
}

/* RFC 6761 §6.3: names below localhost are never asked of a name server. */
static bool is_localhost(struct str name)
{
    return str_eq_nocase(name, STR("localhost")) || ends_with(name, STR(".localhost"));
}

bool origin_is_own(struct str origin, struct str host, struct str listen_host)
{
    const struct str scheme = STR("http://"); /* TLS is a proxy's, whose name we are not told */
    struct str name;

    if (!host.size || origin.size != scheme.size + host.size ||
        !str_eq_nocase((struct str){origin.at, scheme.size}, scheme) || !ends_with(origin, host))
        return false;
    name = name_of(host);
    return is_address(name) || is_localhost(name) ||
           (name.size && str_eq_nocase(name, listen_host));
}
