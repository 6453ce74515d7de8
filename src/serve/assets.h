/* assets.h - the page's files, carried inside the program (scripts/embed writes the table). */
#ifndef HEATCAST_SERVE_ASSETS_H
#define HEATCAST_SERVE_ASSETS_H

#include "base/base.h"

struct asset {
    const char *path; /* as requested: "/app.js" */
    const char *content_type;
    const uint8_t *start, *end;
    const char *file; /* where it lies below --web-root: "app.js" */
};

extern const struct asset assets[];
extern const size_t asset_count;

#endif
