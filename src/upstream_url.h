/* upstream_url.h - what --upstream says, in parts. Pure. */
#ifndef HEATCAST_UPSTREAM_URL_H
#define HEATCAST_UPSTREAM_URL_H

#include "base/base.h"

struct upstream_url {
    char *base;   /* owned: the text, user and password too: for the HTTP client only */
    char *prefix; /* owned: its path, to stand before ours; without a '/' at its end */
    char *place;  /* owned: host:port, to be shown */
};

/* http://HOST:PORT or https://HOST, perhaps with user:password@ and a path. Returns 0, or
 * ERR_SYNTAX with *url untouched. */
int upstream_url_parse(const char *text, struct upstream_url *url) MUST_CHECK;
void upstream_url_deinit(struct upstream_url *url);

#endif
