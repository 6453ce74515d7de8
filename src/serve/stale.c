#include "serve/stale.h"

#include "serve/protocol.h"
#include "serve/shard.h"

void stale_greet(struct conn *c)
{
    struct buf text = {0};

    if (!c->shard->is_stale) return;
    protocol_write_stale(&text, c->shard->stale_since_ms);
    conn_warn(c, &text);
}

static void greet_all(struct list *conns)
{
    LIST_FOR_EACH (it, after, conns)
        stale_greet(container_of(it, struct conn, in_state));
}

void stale_set(struct shard *shard, bool is_stale, int64_t since_wall_ms)
{
    bool was_stale = shard->is_stale;

    shard->is_stale = is_stale;
    shard->stale_since_ms = since_wall_ms;
    if (!is_stale || was_stale) return;
    greet_all(&shard->conns[CONN_OPEN]);
    greet_all(&shard->conns[CONN_EVENTS]);
}
