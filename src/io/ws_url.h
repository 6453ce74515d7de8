/* ws_url.h - where a WebSocket server is, out of what people type.
 *
 *     ws://host:port/path    as it stands
 *     http://host:port/      the page's address, as `heatcast serve` prints it: its stream is meant
 *     host:port              the same
 *
 * Without a port it is 80, without a path WS_URL_TARGET. IPv6 addresses stand in brackets. Pure. */
#ifndef HEATCAST_IO_WS_URL_H
#define HEATCAST_IO_WS_URL_H

#include "base/base.h"

#define WS_URL_TARGET "/ws/heatmap"

#define WS_URL_HOST_BYTES_MAX   253 /* RFC 1035 §2.3.4, as text without the last dot */
#define WS_URL_TARGET_BYTES_MAX 1024

struct ws_url {
    char host[WS_URL_HOST_BYTES_MAX + 1]; /* a name or an address, without brackets */
    char port[6];
    char authority[WS_URL_HOST_BYTES_MAX + 9]; /* for the Host field: [host]:port, no ":80" */
    char target[WS_URL_TARGET_BYTES_MAX + 1];  /* path and query */
};

/* Returns 0 with *url filled; ERR_SYNTAX with *url untouched and *reason a static text that says
 * what is wrong. */
int ws_url_parse(struct str text, struct ws_url *url, const char **reason) MUST_CHECK;

#endif
