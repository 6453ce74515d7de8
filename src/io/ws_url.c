#include "io/ws_url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The parts of a URL, in the caller's text. */
struct parts {
    struct str scheme; /* empty when there is none */
    struct str host;   /* without brackets */
    struct str port;
    struct str target; /* path and query, as typed; empty when there is none */
    bool has_port;
    bool is_ipv6;
};

/* Takes what stands before the first of `stops`, or all of it. */
static struct str take_until(struct str *rest, const char *stops)
{
    struct str taken = {rest->at, 0};

    while (taken.size < rest->size && !strchr(stops, rest->at[taken.size]))
        taken.size++;
    rest->at += taken.size;
    rest->size -= taken.size;
    return taken;
}

static struct str skip(struct str text, size_t size)
{
    return (struct str){text.at + size, text.size - size};
}

/* Visible ASCII only: what stands here goes into a request head and onto terminals. */
static bool is_visible(struct str text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~') return false;
    return true;
}

static const char *split_scheme(struct str *rest, struct parts *parts)
{
    struct str after = *rest, scheme = take_until(&after, ":/?[");

    if (after.size < 3 || memcmp(after.at, "://", 3) != 0) return NULL;
    if (str_eq_nocase(scheme, STR("wss")) || str_eq_nocase(scheme, STR("https")))
        return "TLS is not in this version: put a TLS proxy in front, or use ws://";
    if (!str_eq_nocase(scheme, STR("ws")) && !str_eq_nocase(scheme, STR("http")))
        return "the scheme must be ws://";
    parts->scheme = scheme;
    *rest = skip(after, 3);
    return NULL;
}

static const char *split_host(struct str *rest, struct parts *parts)
{
    struct str authority = take_until(rest, "/?");

    if (memchr(authority.at, '@', authority.size)) return "user names are not supported";
    if (authority.size && authority.at[0] == '[') {
        authority = skip(authority, 1);
        parts->host = take_until(&authority, "]");
        parts->is_ipv6 = true;
        if (!authority.size) return "the ] is missing";
        authority = skip(authority, 1);
        if (authority.size && authority.at[0] != ':') return "after ] comes a port or a path";
    } else
        parts->host = take_until(&authority, ":");
    if (!authority.size) return NULL;
    parts->has_port = true;
    parts->port = skip(authority, 1);
    if (memchr(parts->port.at, ':', parts->port.size))
        return "an IPv6 address must stand in brackets: ws://[::1]:8000";
    return NULL;
}

static const char *check_host(const struct parts *parts)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._";
    char address[INET6_ADDRSTRLEN];
    struct in6_addr ignored;

    if (!parts->host.size) return "the host is missing";
    if (parts->host.size > WS_URL_HOST_BYTES_MAX) return "the host is too long";
    if (parts->is_ipv6) {
        if (parts->host.size >= sizeof(address)) return "this is no IPv6 address";
        memcpy(address, parts->host.at, parts->host.size);
        address[parts->host.size] = '\0';
        return inet_pton(AF_INET6, address, &ignored) == 1 ? NULL : "this is no IPv6 address";
    }
    for (size_t i = 0; i < parts->host.size; i++)
        if (!strchr(allowed, parts->host.at[i])) return "a host has letters, digits, - and . only";
    return NULL;
}

/* 1 to 65535, or 0 where it is none. */
static unsigned port_number(struct str text)
{
    uint64_t port;

    return text.size <= 5 && str_number(text, 65535, &port) ? (unsigned)port : 0;
}

static const char *split(struct str text, struct parts *parts)
{
    struct str rest = text;
    const char *reason;

    if (!text.size) return "it is empty";
    if (!is_visible(text)) return "it has a space or a byte that is not ASCII";
    /* RFC 6455 §3: fragments "MUST NOT be used on these URIs". */
    if (memchr(text.at, '#', text.size)) return "a WebSocket URL has no # part";
    reason = split_scheme(&rest, parts);
    if (!reason) reason = split_host(&rest, parts);
    if (!reason) reason = check_host(parts);
    if (reason) return reason;
    if (parts->has_port && !port_number(parts->port)) return "the port must be from 1 to 65535";
    parts->target = rest;
    /* A page's "/" is not its stream; after ws:// it may be somebody's. */
    if (str_eq(rest, STR("/")) && !str_eq_nocase(parts->scheme, STR("ws")))
        parts->target = skip(rest, 1);
    if (parts->target.size + sizeof(WS_URL_TARGET) > WS_URL_TARGET_BYTES_MAX)
        return "the path is too long";
    return NULL;
}

int ws_url_parse(struct str text, struct ws_url *url, const char **reason)
{
    struct parts parts = {0};
    const char *trouble = split(text, &parts);
    bool has_path = parts.target.size && parts.target.at[0] == '/';
    unsigned port;

    if (trouble) {
        *reason = trouble;
        return ERR_SYNTAX;
    }
    port = parts.has_port ? port_number(parts.port) : 80;
    snprintf(url->host, sizeof(url->host), "%.*s", (int)parts.host.size, parts.host.at);
    snprintf(url->port, sizeof(url->port), "%u", port);
    snprintf(url->authority, sizeof(url->authority), parts.is_ipv6 ? "[%s]" : "%s", url->host);
    if (port != 80)
        snprintf(url->authority + strlen(url->authority), sizeof(url->port) + 1, ":%s", url->port);
    snprintf(url->target, sizeof(url->target), "%s%.*s", has_path ? "" : WS_URL_TARGET,
             (int)parts.target.size, parts.target.size ? parts.target.at : "");
    return 0;
}
