#include "live.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "heat/edition.h"

/* Levels are whole cents in canonical order, so equal bytes are equal JSON. */
uint64_t live_hash(const struct snapshot *snapshot)
{
    static_assert(sizeof(struct level) == 3 * sizeof(int64_t), "no padding");
    const int64_t scale[] = {snapshot->current_price_e8, snapshot->bin_e12};

    return XXH3_64bits_withSeed(snapshot->levels, snapshot->level_count * sizeof(struct level),
                                XXH3_64bits(scale, sizeof(scale)));
}

bool live_is_modelled(const struct live *live)
{
    return live->symbol.step_ms && !live->symbol.is_published;
}

static bool difference_pays(const void *content, uint64_t since_seq)
{
    return edition_has_difference(content, since_seq);
}

static void write_message(const void *content, const struct encoding_key *key, struct buf *out)
{
    edition_write(out, content, key->format == FORMAT_COLUMNS ? EDITION_COLUMNS : EDITION_LEVELS,
                  key->since_seq, key->not_resumed);
}

static void free_edition(void *content)
{
    edition_free(content);
}

static const struct content_ops edition_ops = {difference_pays, write_message, free_edition};

/* The edition that one of this version follows: a difference must not pass over a version that was
 * never seen here, which some client may have. */
static const struct edition *edition_before(const struct live *live)
{
    struct version now = live->symbol.version, had;

    if (!live->latest) return NULL;
    had = live->latest->version;
    return had.epoch == now.epoch && had.seq + 1 == now.seq ? live->latest->content : NULL;
}

/* Makes live->snapshot the publication of symbol.version, and hands it to the shards. */
static void issue(struct live *live)
{
    struct engine *engine = live->engine;
    struct version version = live->symbol.version;
    struct edition *edition;
    char epoch[14];

    epoch_format(version.epoch, epoch);
    edition = edition_new(live->symbol.name, epoch, version.seq, &live->snapshot,
                          edition_before(live), (uint64_t)engine->config->ws_resume_versions);
    publication_unref(live->latest);
    live->latest =
        publication_new(live->symbol.id, version, edition->oldest_seq, &edition_ops, edition);
    live->is_forgotten = false;
    live->symbol.published_us = live->latest->made_us;
    server_publish(engine->server, publication_ref(live->latest));
}

/* Later runs of the publisher must have greater epochs: the wall clock sees to it, and one that
 * begins within the same millisecond is of the next. No two symbols share one, and no two servers
 * begin the same, so that an epoch and a seq name one version of one symbol. */
void live_begin_epoch(struct live *live)
{
    struct engine *engine = live->engine;
    uint64_t now = epoch_at(clock_wall_ms(), engine->peers.number);

    engine->epoch = now > engine->epoch ? now : epoch_after(engine->epoch, engine->peers.number);
    live->symbol.version = (struct version){.epoch = engine->epoch};
    live->symbol.is_own_epoch = true;
}

void live_publish_again(struct live *live)
{
    const struct engine_peers *peers = &live->engine->peers;

    if (!live->symbol.is_own_epoch) live_begin_epoch(live);
    live->symbol.version.seq++;
    issue(live);
    if (peers->on_published) peers->on_published(peers->context, &live->symbol, live->latest);
}

void live_publish(struct live *live)
{
    live->snapshot.positions_created = live->created;
    live->snapshot.positions_consumed = live->consumed;
    live->created = live->consumed = 0;
    live_publish_again(live);
}

void live_adopt(struct live *live, struct version version)
{
    struct engine *engine = live->engine;

    engine->epoch = MAX(engine->epoch, version.epoch);
    live->symbol.version = version;
    live->symbol.is_own_epoch = false;
    live->created = live->consumed = 0;
    live->content_hash = live_hash(&live->snapshot);
    issue(live);
}

bool live_has_lead(const struct live *live)
{
    return live->role == ENGINE_LEADS && clock_monotonic_us() < live->lease_until_us;
}

/* A node that was stopped for a while must not speak before it knows that it still leads. */
static bool may_publish(const struct live *live)
{
    return live->role == ENGINE_ALONE || live_has_lead(live);
}

void live_publish_if_changed(struct live *live)
{
    uint64_t hash;

    if (!may_publish(live)) return;
    heatmap_snapshot(live->map, &live->snapshot);
    live->created += live->snapshot.positions_created;
    live->consumed += live->snapshot.positions_consumed;
    hash = live_hash(&live->snapshot);
    if (!live->latest || hash != live->content_hash || live->symbol.version.seq == 0) {
        live->content_hash = hash;
        live_publish(live);
    } else if (live->is_forgotten && live->has_subscribers) {
        live->is_forgotten = false;
        server_publish(live->engine->server, publication_ref(live->latest));
    }
}

static struct blob *text_of(struct publication *pub)
{
    const struct encoding_key key = {.packing = PACK_TEXT};
    struct encoding_cost cost = {0};

    return blob_ref(publication_encode(pub, &key, NULL, &cost)->blob);
}

static const char *why_nothing(const struct live *live)
{
    if (live->symbol.is_published) return "nothing has been published for this symbol yet";
    return "no candles are stored for this symbol yet";
}

void live_answer_latest(const struct live *live, struct site_request *request)
{
    if (live->latest) {
        request->response = (struct site_response){
            .status = 200, .content_type = "application/json", .body = text_of(live->latest)};
        site_finish(&request->response, request->accepts_gzip);
    } else if (live->engine->is_stopping)
        site_fail(&request->response, 503, "the server is stopping");
    else if (live->role == ENGINE_FOLLOWS && live_is_modelled(live))
        site_fail(&request->response, 503, "nothing has come from the other servers yet");
    else
        site_fail(&request->response, 404, why_nothing(live));
    site_answer(request);
}

void live_answer_waiters(struct live *live, int status)
{
    static const char busy[] = "the server is busy; try again later";
    static const char unread[] = "the database could not be read; see the server's log";

    for (size_t i = 0; i < live->waiter_count; i++) {
        struct site_request *request = live->waiters[i];

        if (live->latest || status == 404) {
            live_answer_latest(live, request);
            continue;
        }
        site_fail(&request->response, status, status == 500 ? unread : busy);
        site_answer(request);
    }
    live->waiter_count = 0;
}
