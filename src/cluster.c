#include "cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/printable.h"
#include "peer_message.h"

/* Between two lines about messages that are no snapshots. */
#define COMPLAIN_MS 60000
/* "published", "replay": a word. */
#define FEED_BYTES 15

/* What is known of a symbol's leadership, by topic id. */
struct share {
    uint64_t epoch;   /* of the lease that is ours, or that we asked for; 0 for none */
    bool is_behind;   /* Redis has not got our newest version */
    bool is_claiming; /* a claim is not answered yet */
    bool is_too_long; /* the last version was, for Redis */
    char feed[FEED_BYTES + 1];
};

struct cluster {
    struct engine *engine;
    struct server *server; /* NULL until cluster_start() */
    struct bus *bus;
    struct loop *loop;
    uint32_t number; /* of the epochs that are begun here: a random one */
    bool is_edge;
    bool is_stopped;
    bool is_settled;      /* Redis is up, and answers what we ask */
    bool is_alone;        /* Redis has been away for longer than the grace */
    struct share *shares; /* owned array */
    size_t share_count;
    uv_timer_t renew, grace;
    int64_t away_since_ms; /* wall clock; 0: it is up */
    int64_t complained_ms;
    struct cluster_counts counts;
};

static struct share *share_of(struct cluster *cluster, uint32_t id)
{
    size_t count = (size_t)id + 1, before = cluster->share_count;

    if (count > before) {
        cluster->shares = mem_realloc(cluster->shares, count * sizeof(*cluster->shares));
        memset(&cluster->shares[before], 0, (count - before) * sizeof(*cluster->shares));
        cluster->share_count = count;
    }
    return &cluster->shares[id];
}

/* --- what others are told --- */

static const char *feed_of(const struct cluster *cluster, const struct symbol *symbol)
{
    if (symbol->is_published) return "published";
    if (engine_is_simulated(cluster->engine)) return "sim";
    return engine_config(cluster->engine)->feed;
}

/* Such versions are skipped for ever, not until others are through: told once. */
static void note_size(struct share *share, const struct symbol *symbol, size_t size)
{
    bool is_too_long = size > LIMIT_PEER_BYTES;

    if (is_too_long && !share->is_too_long)
        log_warning("versions are too long for other servers: a larger --bin makes them shorter",
                    F_STR("symbol", symbol->name), F_INT("bytes", (int64_t)size));
    share->is_too_long = is_too_long;
}

static void tell(struct cluster *cluster, const struct symbol *symbol, struct publication *pub)
{
    const struct encoding_key key = {.packing = PACK_TEXT};
    struct share *share = share_of(cluster, symbol->id);
    struct encoding_cost cost = {0};
    const struct blob *text = publication_encode(pub, &key, NULL, &cost)->blob;
    int err = bus_publish(cluster->bus, symbol->id, symbol->name, pub->version.epoch,
                          feed_of(cluster, symbol), text);

    note_size(share, symbol, text->size);
    share->is_behind = err != 0;
    if (err == ERR_FULL) cluster->counts.skipped++;
}

static void claim(struct cluster *cluster, const struct symbol *symbol, uint64_t want,
                  bool is_forced)
{
    const struct bus_claim claim = {
        .symbol = symbol->name,
        .want = want,
        .seen = symbol->version.epoch,
        .most = epoch_latest(clock_wall_ms()),
        .is_forced = is_forced,
    };

    share_of(cluster, symbol->id)->is_claiming = true;
    bus_claim(cluster->bus, symbol->id, &claim);
}

/* The lease is one with the epoch: a version of an epoch that was begun here needs a lease of it.
 * Commands are run in their order, so the claim is decided when the version comes. */
static void on_made(void *context, const struct symbol *symbol, struct publication *pub)
{
    struct cluster *cluster = context;
    struct share *share = share_of(cluster, symbol->id);
    bool may_lead = symbol->is_published || engine_role(cluster->engine, symbol) == ENGINE_LEADS;

    share->is_behind = true;
    if (!bus_is_up(cluster->bus) || !may_lead) return;
    if (share->epoch != pub->version.epoch) {
        share->epoch = pub->version.epoch;
        claim(cluster, symbol, share->epoch, symbol->is_published);
    }
    tell(cluster, symbol, pub);
}

static void catch_up(struct cluster *cluster, const struct symbol *symbol)
{
    struct publication *latest = engine_latest(cluster->engine, symbol);

    if (!share_of(cluster, symbol->id)->is_behind) return;
    if (latest && latest->version.epoch == share_of(cluster, symbol->id)->epoch)
        tell(cluster, symbol, latest);
}

/* --- leases --- */

/* What was begun here may go on; else an epoch that is greater than what was seen, and than the
 * clock of any run before. */
static uint64_t epoch_wanted(const struct cluster *cluster, const struct symbol *symbol)
{
    if (symbol->is_own_epoch) return symbol->version.epoch;
    return MAX(symbol->version.epoch + 1, epoch_at(clock_wall_ms(), cluster->number));
}

static void ask(struct cluster *cluster, const struct symbol *symbol)
{
    struct share *share = share_of(cluster, symbol->id);
    bool is_forced;

    if (share->is_claiming) return;
    /* What somebody published here while Redis was away is the last word on it. */
    is_forced = symbol->is_published && share->is_behind;
    if (engine_is_modelled(cluster->engine, symbol) || share->epoch || is_forced)
        claim(cluster, symbol, epoch_wanted(cluster, symbol), is_forced);
}

static void ask_for_all(struct cluster *cluster)
{
    if (cluster->is_edge || !bus_is_up(cluster->bus)) return;
    for (size_t i = 0; i < engine_symbol_count(cluster->engine); i++)
        ask(cluster, engine_symbol(cluster->engine, i));
}

static void on_renew(uv_timer_t *renew)
{
    ask_for_all(container_of(renew, struct cluster, renew));
}

static void take_lead(struct cluster *cluster, const struct symbol *symbol, uint64_t epoch,
                      int64_t asked_us)
{
    struct share *share = share_of(cluster, symbol->id);

    if (engine_role(cluster->engine, symbol) != ENGINE_LEADS)
        log_info("leads", F_STR("symbol", symbol->name));
    share->epoch = epoch;
    engine_lead(cluster->engine, symbol, epoch, asked_us + LIMIT_LEASE_MS * INT64_C(1000));
    catch_up(cluster, symbol);
}

/* What was said while we led was passed over: it is read again. */
static void give_up(struct cluster *cluster, const struct symbol *symbol)
{
    struct share *share = share_of(cluster, symbol->id);

    if (engine_role(cluster->engine, symbol) == ENGINE_LEADS)
        log_info("follows", F_STR("symbol", symbol->name));
    if (share->epoch) bus_read(cluster->bus, symbol->name);
    share->epoch = 0;
    share->is_behind = false;
    engine_follow(cluster->engine, symbol);
}

static const struct symbol *symbol_of(const struct cluster *cluster, uint32_t id)
{
    return engine_symbol_by_id(cluster->engine, id);
}

/* Not when it is up: one that takes no writes (full, or a replica) comes and goes all the time, and
 * nobody would ever take it for gone. */
static void settle(struct cluster *cluster)
{
    if (cluster->is_settled) return;
    uv_timer_stop(&cluster->grace);
    cluster->is_settled = true;
    cluster->is_alone = false;
    for (size_t i = 0; i < engine_symbol_count(cluster->engine); i++) {
        const struct symbol *symbol = engine_symbol(cluster->engine, i);

        if (!engine_is_modelled(cluster->engine, symbol)) engine_follow(cluster->engine, symbol);
    }
}

static void on_claimed(void *context, uint32_t id, bool is_ours, uint64_t epoch, int64_t asked_us)
{
    struct cluster *cluster = context;
    const struct symbol *symbol = symbol_of(cluster, id);

    share_of(cluster, id)->is_claiming = false;
    if (cluster->is_stopped) return;
    settle(cluster);
    if (!is_ours)
        give_up(cluster, symbol);
    else if (epoch >= symbol->version.epoch)
        take_lead(cluster, symbol, epoch, asked_us);
    /* Else a new epoch was begun and claimed since this was asked. */
}

/* Refused: somebody else has the lease by now. Who was published to last is right. */
static void on_told(void *context, uint32_t id, bool is_refused)
{
    struct cluster *cluster = context;
    const struct symbol *symbol = symbol_of(cluster, id);
    struct share *share = share_of(cluster, id);

    if (cluster->is_stopped) return;
    if (!is_refused) {
        catch_up(cluster, symbol);
        return;
    }
    share->is_behind = true;
    ask(cluster, symbol);
}

/* --- what others say --- */

static void complain(struct cluster *cluster, struct str symbol, const char *why)
{
    int64_t now = clock_monotonic_us() / 1000;
    char name[LIMIT_SYMBOL_BYTES + 1], text[512];
    size_t size = MIN(symbol.size, LIMIT_SYMBOL_BYTES);

    cluster->counts.invalid++;
    if (cluster->complained_ms && now - cluster->complained_ms < COMPLAIN_MS) return;
    cluster->complained_ms = now;
    memcpy(name, symbol.at, size);
    name[printable_keep_utf8(name, size)] = '\0';
    snprintf(text, sizeof(text), "%s", why);
    log_warning("a message from Redis is no snapshot, and was passed over", F_STR("symbol", name),
                F_STR("why", text));
}

static const struct symbol *find_or_add(struct cluster *cluster, struct str name)
{
    const struct symbol *symbol = engine_find(cluster->engine, name);

    return symbol ? symbol : engine_add_symbol(cluster->engine, name);
}

static void adopt(struct cluster *cluster, const struct symbol *symbol,
                  struct peer_message *message)
{
    /* Another run may be of another feed. */
    if (symbol->version.epoch != message->version.epoch) bus_read_feed(cluster->bus, symbol->name);
    if (engine_adopt(cluster->engine, symbol, message->version, &message->snapshot)) {
        cluster->counts.adopted++;
        return;
    }
    cluster->counts.outdated++;
    snapshot_deinit(&message->snapshot);
}

static void on_message(void *context, struct str name, struct str text)
{
    struct cluster *cluster = context;
    const struct symbol *symbol = engine_find(cluster->engine, name);
    struct peer_message message;
    char why[512];

    if (cluster->is_stopped) return;
    /* Our own, coming back. If it is not, the next claim tells, and all is read again. */
    if (symbol && engine_role(cluster->engine, symbol) == ENGINE_LEADS) return;
    if (peer_message_parse(text, name, clock_wall_ms(), &message, why, sizeof(why))) {
        complain(cluster, name, why);
        return;
    }
    symbol = find_or_add(cluster, name);
    if (symbol)
        adopt(cluster, symbol, &message);
    else {
        complain(cluster, name, "no symbol, or one too many");
        snapshot_deinit(&message.snapshot);
    }
}

static void on_feed(void *context, struct str name, struct str feed)
{
    struct cluster *cluster = context;
    const struct symbol *symbol = find_or_add(cluster, name);
    struct share *share;

    if (!symbol || feed.size > FEED_BYTES) return;
    share = share_of(cluster, symbol->id);
    memcpy(share->feed, feed.at, feed.size);
    share->feed[printable_keep_utf8(share->feed, feed.size)] = '\0';
}

/* --- Redis comes and goes --- */

static bool is_claiming_any(const struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->share_count; i++)
        if (cluster->shares[i].is_claiming) return true;
    return false;
}

/* An edge is up. All that Redis has was read, so that nothing means that nobody has spoken yet. */
static void greet(struct cluster *cluster)
{
    server_set_stale(cluster->server, false, 0);
    if (!engine_symbol_count(cluster->engine))
        log_warning("no full node has published under this prefix yet",
                    F_STR("prefix", engine_config(cluster->engine)->redis_channel_prefix));
}

static void on_up(void *context)
{
    struct cluster *cluster = context;

    cluster->away_since_ms = 0;
    for (size_t i = 0; i < cluster->share_count; i++)
        cluster->shares[i].is_claiming = false;
    if (cluster->is_edge) greet(cluster);
    ask_for_all(cluster);
    if (!is_claiming_any(cluster)) settle(cluster);
}

static void on_grace(uv_timer_t *grace)
{
    struct cluster *cluster = container_of(grace, struct cluster, grace);

    cluster->is_alone = true;
    if (cluster->is_edge) {
        server_set_stale(cluster->server, true, cluster->away_since_ms);
        return;
    }
    for (size_t i = 0; i < engine_symbol_count(cluster->engine); i++)
        engine_stand_alone(cluster->engine, engine_symbol(cluster->engine, i));
}

/* Who leads goes on at once; who follows waits until the leader would have been followed. */
static void on_down(void *context)
{
    struct cluster *cluster = context;

    cluster->away_since_ms = clock_wall_ms();
    if (cluster->is_stopped) return;
    cluster->is_settled = false;
    if (!cluster->is_alone && !uv_is_active((uv_handle_t *)&cluster->grace))
        uv_timer_start(&cluster->grace, on_grace, LIMIT_BUS_GRACE_MS, 0);
    for (size_t i = 0; i < engine_symbol_count(cluster->engine); i++) {
        const struct symbol *symbol = engine_symbol(cluster->engine, i);

        if (engine_role(cluster->engine, symbol) == ENGINE_LEADS)
            engine_stand_alone(cluster->engine, symbol);
    }
}

/* --- life --- */

struct cluster *cluster_new(const struct config *config, struct loop *loop, struct engine *engine,
                            bool is_edge)
{
    struct cluster *cluster = mem_zalloc(sizeof(*cluster));
    const struct bus_ops ops = {cluster, on_up, on_down, on_message, on_feed, on_claimed, on_told};
    struct redis_url url;
    const char *reason;

    if (redis_url_parse(str_of(config->redis_url), &url, &reason)) abort(); /* it was looked at */
    cluster->engine = engine;
    cluster->loop = loop;
    cluster->is_edge = is_edge;
    cluster->bus = bus_new(loop, &url, config->redis_channel_prefix, &ops);
    cluster->away_since_ms = clock_wall_ms();
    uv_timer_init(&loop->uv, &cluster->renew);
    uv_timer_init(&loop->uv, &cluster->grace);
    if (uv_random(NULL, NULL, &cluster->number, sizeof(cluster->number), 0, NULL)) abort();
    engine_join(engine, &(struct engine_peers){cluster, cluster->number, on_made});
    return cluster;
}

void cluster_start(struct cluster *cluster, struct server *server)
{
    if (!cluster) return;
    cluster->server = server;
    uv_timer_start(&cluster->renew, on_renew, LIMIT_LEASE_RENEW_MS, LIMIT_LEASE_RENEW_MS);
    uv_timer_start(&cluster->grace, on_grace, LIMIT_BUS_GRACE_FIRST_MS, 0);
    bus_start(cluster->bus);
}

void cluster_stop(struct cluster *cluster)
{
    if (!cluster) return;
    cluster->is_stopped = true;
    for (size_t i = 0; i < engine_symbol_count(cluster->engine); i++) {
        const struct symbol *symbol = engine_symbol(cluster->engine, i);
        uint64_t epoch = share_of(cluster, symbol->id)->epoch;

        if (epoch) bus_release(cluster->bus, symbol->name, epoch);
    }
    bus_stop(cluster->bus);
    uv_close((uv_handle_t *)&cluster->renew, NULL);
    uv_close((uv_handle_t *)&cluster->grace, NULL);
}

void cluster_free(struct cluster *cluster)
{
    if (!cluster) return;
    bus_free(cluster->bus);
    free(cluster->shares);
    free(cluster);
}

/* --- for those who look --- */

struct cluster_counts cluster_counts(const struct cluster *cluster)
{
    struct cluster_counts counts = cluster->counts;

    counts.bus = bus_counts(cluster->bus);
    for (size_t i = 0; i < engine_symbol_count(cluster->engine); i++)
        counts.leading += engine_has_lead(cluster->engine, engine_symbol(cluster->engine, i));
    return counts;
}

bool cluster_is_up(const struct cluster *cluster)
{
    return cluster && bus_is_up(cluster->bus);
}

bool cluster_is_stale(const struct cluster *cluster)
{
    return cluster && cluster->is_edge && cluster->is_alone;
}

bool cluster_is_edge(const struct cluster *cluster)
{
    return cluster && cluster->is_edge;
}

const char *cluster_feed(const struct cluster *cluster, const struct symbol *symbol)
{
    if (!cluster || symbol->id >= cluster->share_count) return "";
    return cluster->shares[symbol->id].feed;
}

bool cluster_is_simulated(const struct cluster *cluster)
{
    if (!cluster) return false;
    for (size_t i = 0; i < cluster->share_count; i++)
        if (strcmp(cluster->shares[i].feed, "sim") == 0) return true;
    return false;
}

void cluster_write_health(const struct cluster *cluster, struct buf *out)
{
    bool is_first = true;

    if (!cluster) return;
    buf_printf(out, ",\"redis\":{\"status\":\"%s\"", cluster_is_up(cluster) ? "up" : "away");
    if (cluster->away_since_ms) buf_add_time_field(out, "since", cluster->away_since_ms);
    buf_printf(out, ",\"node\":\"%s\",\"stale\":%s,\"leads\":[", bus_node(cluster->bus),
               cluster_is_stale(cluster) ? "true" : "false");
    for (size_t i = 0; i < engine_symbol_count(cluster->engine); i++) {
        const struct symbol *symbol = engine_symbol(cluster->engine, i);

        if (!engine_has_lead(cluster->engine, symbol)) continue;
        buf_printf(out, "%s\"%s\"", is_first ? "" : ",", symbol->name);
        is_first = false;
    }
    buf_add_text(out, "]}");
}
