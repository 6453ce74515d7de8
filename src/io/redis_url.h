/* redis_url.h - where Redis is, out of what people type.
 *
 *     redis://[user:pass@]host[:port][/db]             one server
 *     unix://[user:pass@]/path[?db=N]                  the same, by its socket
 *     redis+sentinel://[user:pass@]host[:port],…/master-name[/db]
 *                                                      whoever the sentinels call the master
 *
 * User, password and names are percent-encoded where they hold reserved characters;
 * "redis://:pass@" is a password without a user. The login is the master's: sentinels are asked
 * without one. TLS (rediss://) is refused: Debian 12's hiredis has none. Pure. */
#ifndef HEATCAST_IO_REDIS_URL_H
#define HEATCAST_IO_REDIS_URL_H

#include "base/base.h"

#define REDIS_HOSTS_MAX        8
#define REDIS_HOST_BYTES_MAX   253
#define REDIS_SECRET_BYTES_MAX 512
#define REDIS_PATH_BYTES_MAX   107 /* of struct sockaddr_un */
#define REDIS_DB_MAX           16383

enum redis_kind { REDIS_TCP, REDIS_UNIX, REDIS_SENTINEL };

struct redis_host {
    char name[REDIS_HOST_BYTES_MAX + 1]; /* without brackets */
    int port;
};

struct redis_url {
    enum redis_kind kind;
    struct redis_host hosts[REDIS_HOSTS_MAX]; /* of the server, or the sentinels */
    size_t host_count;
    char path[REDIS_PATH_BYTES_MAX + 1];
    char master[REDIS_HOST_BYTES_MAX + 1];
    char user[REDIS_SECRET_BYTES_MAX + 1];     /* "" for none */
    char password[REDIS_SECRET_BYTES_MAX + 1]; /* "" for none */
    int db;
};

/* Returns 0 with *url filled; ERR_SYNTAX with *url untouched and *reason a static text that says
 * what is wrong. */
int redis_url_parse(struct str text, struct redis_url *url, const char **reason) MUST_CHECK;

#endif
