#include "io/redis_url.h"

#include <stdlib.h>
#include <string.h>

#include "wire/query.h"

#define PORT_REDIS    6379
#define PORT_SENTINEL 26379

static bool take_prefix(struct str *rest, struct str prefix)
{
    if (rest->size < prefix.size || !str_eq_nocase((struct str){rest->at, prefix.size}, prefix))
        return false;
    *rest = str_skip(*rest, prefix.size);
    return true;
}

static bool decode(struct str text, char *out, size_t size_max)
{
    struct buf buf = {0};
    bool fits = query_decode_segment(text, &buf) && buf.size <= size_max;

    if (fits && buf.size) memcpy(out, buf.data, buf.size);
    if (fits) out[buf.size] = '\0';
    buf_deinit(&buf);
    return fits;
}

static bool read_number(struct str text, int max, int *number)
{
    uint64_t value;

    if (text.size > 5 || !str_number(text, (uint64_t)max, &value)) return false;
    *number = (int)value;
    return true;
}

static const char *read_login(struct str *rest, struct redis_url *url)
{
    const char *at = NULL;
    struct str login, user;

    /* The last one before the path: an '@' in a password is often left as it is. */
    for (size_t i = 0; i < rest->size && rest->at[i] != '/'; i++)
        if (rest->at[i] == '@') at = rest->at + i;
    if (!at) return NULL;
    login = (struct str){rest->at, (size_t)(at - rest->at)};
    *rest = str_skip(*rest, login.size + 1);
    if (!memchr(login.at, ':', login.size)) return "before the @ comes user:password or :password";
    user = str_split(&login, ':');
    if (!decode(user, url->user, REDIS_SECRET_BYTES_MAX) ||
        !decode(login, url->password, REDIS_SECRET_BYTES_MAX))
        return "user and password must be percent-encoded UTF-8 of at most 512 bytes each";
    return *url->password ? NULL : "the password before the @ is empty";
}

/* Splits "name", "name:port", "[address]:port"; *port keeps .at NULL where there is none. */
static const char *split_host(struct str text, struct str *name, struct str *port)
{
    struct str rest = text;

    if (text.size && text.at[0] == '[') {
        rest = str_skip(rest, 1);
        if (!memchr(rest.at, ']', rest.size)) return "the ] is missing";
        *name = str_split(&rest, ']');
        if (!rest.size) return NULL;
        if (rest.at[0] != ':') return "after ] comes a port";
        *port = str_skip(rest, 1);
        return NULL;
    }
    *name = str_split(&rest, ':');
    if (name->size != text.size) *port = rest;
    return NULL;
}

static const char *read_host(struct str text, int default_port, struct redis_host *host)
{
    struct str name, port = {0};
    const char *reason = split_host(text, &name, &port);

    if (reason) return reason;
    if (!name.size || name.size > REDIS_HOST_BYTES_MAX) return "a host is missing or too long";
    if (memchr(name.at, '%', name.size)) return "a host is a name or an address";
    host->port = default_port;
    if (port.at && (!read_number(port, 65535, &host->port) || !host->port))
        return "a port is a number from 1 to 65535";
    memcpy(host->name, name.at, name.size);
    host->name[name.size] = '\0';
    return NULL;
}

static const char *read_db(struct str text, struct redis_url *url)
{
    if (text.size && !read_number(text, REDIS_DB_MAX, &url->db))
        return "the database is a number from 0 to 16383";
    return NULL;
}

static const char *read_tcp(struct str rest, struct redis_url *url)
{
    struct str host = str_split(&rest, '/');
    const char *reason = read_host(host, PORT_REDIS, &url->hosts[0]);

    url->host_count = 1;
    return reason ? reason : read_db(rest, url);
}

static const char *read_unix(struct str rest, struct redis_url *url)
{
    struct str path = str_split(&rest, '?');

    if (!path.size || path.at[0] != '/' || !decode(path, url->path, REDIS_PATH_BYTES_MAX))
        return "after unix:// comes the absolute path of a socket, at most 107 bytes";
    if (rest.size && !take_prefix(&rest, STR("db="))) return "after the ? only db=N is known";
    return read_db(rest, url);
}

static const char *read_sentinel(struct str rest, struct redis_url *url)
{
    struct str hosts = str_split(&rest, '/'), master = str_split(&rest, '/');
    const char *reason = NULL;

    do {
        if (url->host_count == REDIS_HOSTS_MAX) return "more than 8 sentinels";
        reason = read_host(str_split(&hosts, ','), PORT_SENTINEL, &url->hosts[url->host_count++]);
    } while (!reason && hosts.size);
    if (reason) return reason;
    if (!master.size || !decode(master, url->master, REDIS_HOST_BYTES_MAX))
        return "after the sentinels comes the master's name: redis+sentinel://host1,host2/name";
    return read_db(rest, url);
}

static const char *read_url(struct str rest, struct redis_url *url)
{
    const char *reason;

    if (take_prefix(&rest, STR("rediss://")))
        return "TLS to Redis is not in this version (Debian's hiredis has none): use redis:// "
               "through a TLS tunnel";
    if (take_prefix(&rest, STR("redis+sentinel://")))
        url->kind = REDIS_SENTINEL;
    else if (take_prefix(&rest, STR("unix://")))
        url->kind = REDIS_UNIX;
    else if (!take_prefix(&rest, STR("redis://")))
        return "the scheme must be redis://, redis+sentinel:// or unix://";
    for (size_t i = 0; i < rest.size; i++)
        if (rest.at[i] <= ' ' || rest.at[i] > '~') return "visible ASCII only: percent-encode it";
    reason = read_login(&rest, url);
    if (reason) return reason;
    if (url->kind == REDIS_SENTINEL) return read_sentinel(rest, url);
    return url->kind == REDIS_UNIX ? read_unix(rest, url) : read_tcp(rest, url);
}

int redis_url_parse(struct str text, struct redis_url *url, const char **reason)
{
    struct redis_url parsed = {0};

    *reason = read_url(str_trim(text), &parsed);
    if (*reason) return ERR_SYNTAX;
    *url = parsed;
    return 0;
}
