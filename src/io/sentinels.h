/* sentinels.h - who the master is, asked of sentinels again and again, one at a time.
 *
 * One that cannot be reached, is silent, or knows no such master is left for the next of the URL.
 * When to ask is its user's (bus.h). Belongs to the thread of its loop. */
#ifndef HEATCAST_IO_SENTINELS_H
#define HEATCAST_IO_SENTINELS_H

#include "io/redis_link.h"

/* Called on the loop's thread, from sentinels_ask() or later. */
struct sentinels_ops {
    void *context;
    /* Each answer; `master` lives until this returns. */
    void (*on_master)(void *context, const struct redis_host *master);
    /* This one did not answer; the next to be asked is another. */
    void (*on_failed)(void *context, const char *why);
};

struct sentinels {
    uv_loop_t *loop;
    const struct redis_url *url; /* borrowed */
    struct sentinels_ops ops;
    struct redis_link *link; /* NULL: none is connected */
    bool is_ready;
    int silent; /* times that it was asked since it was last heard */
    size_t at;  /* the one that is asked, or will be */
};

/* Neither asks nor connects. */
void sentinels_init(struct sentinels *sentinels, uv_loop_t *loop, const struct redis_url *url,
                    const struct sentinels_ops *ops);
/* Connects, or asks whom it is connected to; one that did not answer LIMIT_BUS_SILENT_BEATS times
 * has failed. */
void sentinels_ask(struct sentinels *sentinels);
/* Leaves the one that is connected, if one is; it is asked first again. */
void sentinels_leave(struct sentinels *sentinels);
/* The same, for the next one: what this one says is of no use. */
void sentinels_pass_over(struct sentinels *sentinels);

#endif
