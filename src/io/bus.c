#include "io/bus.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "io/redis_words.h"
#include "io/sentinels.h"

enum bus_state {
    BUS_IDLE,       /* waits for the next try, or has not begun */
    BUS_ASKING,     /* a sentinel, who the master is */
    BUS_CONNECTING, /* both connections */
    BUS_READING,    /* subscribed; the last messages are read */
    BUS_UP,
    BUS_STOPPED,
};

struct bus {
    struct loop *loop;
    struct redis_url url;
    struct bus_ops ops;
    char *prefix;  /* owned */
    char *pattern; /* owned: of all channels, with what is special in the prefix escaped */
    char node[64];
    enum bus_state state;
    struct sentinels sentinels;
    struct redis_host master;                   /* REDIS_SENTINEL: whom we were sent to */
    struct redis_link *commands, *subscription; /* NULL where there is none */
    bool has_commands, has_subscription;        /* they are ready */
    size_t reads_unanswered;
    size_t unanswered_bytes;
    int commands_silent, subscription_silent; /* beats since they were last heard */
    uv_timer_t retry, beat;
    unsigned failures; /* in a row, since it was last up for LIMIT_BUS_STEADY_MS */
    int64_t up_ms;     /* when it came up last */
    char why[256];     /* it failed last: told once, not at every try */
    bool is_full;      /* it kept no message the last time */
    uint64_t seed;
    struct bus_counts counts;
};

/* A command under way. */
struct call {
    struct bus *bus;
    uint32_t id;
    size_t bytes;
    int64_t asked_us;
    char symbol[LIMIT_SYMBOL_BYTES + 1];
};

/* KEYS: lease, fence. ARGV: node, milliseconds, want, seen, forced, most. Answers {ours?, epoch}.
 * Numbers stay below 2^53, which Lua's doubles hold. A fence above `most` is passed over: epochs
 * after it would be believed by nobody. So is what is no text, and a lease that would never end:
 * SET writes over it. */
static const char claim_script[] =
    "local function read(key)\n"
    "  local text = redis.pcall('GET', key)\n"
    "  return type(text) == 'string' and text or ''\n"
    "end\n"
    "local epoch, holder = string.match(read(KEYS[1]), '^(%d+) (.*)$')\n"
    "if redis.call('PTTL', KEYS[1]) == -1 then holder = nil end\n"
    "local want, seen, fence = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(read(KEYS[2])) or 0\n"
    "epoch = tonumber(epoch or 0)\n"
    "if not (fence >= 0 and fence <= tonumber(ARGV[6])) then fence = 0 end\n"
    "local function grant(least, node)\n"
    "  epoch = math.max(fence + 1, least)\n"
    "  local text = string.format('%.0f', epoch)\n"
    "  redis.call('SET', KEYS[2], text)\n"
    "  return text .. ' ' .. node\n"
    "end\n"
    "if holder and holder ~= ARGV[1] and ARGV[5] == '0' then\n"
    "  if epoch < seen then redis.call('SET', KEYS[1], grant(seen + 1, holder), 'KEEPTTL') end\n"
    "  return {0, epoch}\n"
    "end\n"
    "if holder == ARGV[1] and epoch >= want then\n"
    "  redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
    "  return {1, epoch}\n"
    "end\n"
    "redis.call('SET', KEYS[1], grant(want, ARGV[1]), 'PX', ARGV[2])\n"
    "return {1, epoch}\n";

/* KEYS: lease, latest, symbols. ARGV: "EPOCH NODE", channel, message, symbol, feed. The fence: who
 * does not hold the lease of this very epoch says nothing. Answers 0 for that, else 1, or why the
 * message is not kept: a Redis that is full may still pass it on. */
static const char publish_script[] =
    "if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
    "local known = redis.pcall('HSET', KEYS[3], ARGV[4], ARGV[5])\n"
    "if type(known) == 'table' and string.find(known.err, 'WRONGTYPE', 1, true) then\n"
    "  redis.call('DEL', KEYS[3])\n"
    "  redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])\n"
    "end\n"
    "local kept = redis.pcall('SET', KEYS[2], ARGV[3])\n"
    "redis.call('PUBLISH', ARGV[2], ARGV[3])\n"
    "return kept.err or 1\n";

/* KEYS: lease. ARGV: "EPOCH NODE". */
static const char release_script[] =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end\n"
    "return 1\n";

static int64_t now_ms(const struct bus *bus)
{
    return (int64_t)uv_now(&bus->loop->uv);
}

bool bus_is_up(const struct bus *bus)
{
    return bus->state == BUS_UP;
}

const char *bus_node(const struct bus *bus)
{
    return bus->node;
}

struct bus_counts bus_counts(const struct bus *bus)
{
    return bus->counts;
}

/* --- losing it, and trying again --- */

static void on_retry(uv_timer_t *retry);

/* xorshift64: jitter needs no better. */
static uint64_t next_random(struct bus *bus)
{
    bus->seed ^= bus->seed << 13;
    bus->seed ^= bus->seed >> 7;
    bus->seed ^= bus->seed << 17;
    return bus->seed;
}

/* Doubled with each failure in a row, and between half of it and all. Sentinels know of a new
 * master at any moment, so they are asked more often. */
static uint64_t backoff_ms(struct bus *bus)
{
    uint64_t longest =
        bus->url.kind == REDIS_SENTINEL ? LIMIT_BUS_BACKOFF_SENTINEL_MS : LIMIT_BUS_BACKOFF_MS;
    uint64_t ms = (uint64_t)LIMIT_BUS_BACKOFF_FIRST_MS << MIN(bus->failures, 10);

    ms = MIN(ms, longest);
    return ms / 2 + next_random(bus) % (ms / 2 + 1);
}

static void disconnect(struct bus *bus)
{
    sentinels_leave(&bus->sentinels);
    redis_link_close(bus->commands);
    redis_link_close(bus->subscription);
    bus->commands = bus->subscription = NULL;
    bus->has_commands = bus->has_subscription = false;
    bus->reads_unanswered = bus->unanswered_bytes = 0;
    bus->commands_silent = bus->subscription_silent = 0;
}

static void lose(struct bus *bus, const char *why)
{
    bool was_up = bus->state == BUS_UP, was_asking = bus->state == BUS_ASKING;

    if (bus->state == BUS_IDLE || bus->state == BUS_STOPPED) return;
    if (was_up || strncmp(why, bus->why, sizeof(bus->why) - 1) != 0)
        log_warning(was_up ? "Redis is lost" : "Redis cannot be reached", F_STR("why", why));
    snprintf(bus->why, sizeof(bus->why), "%s", why);
    disconnect(bus);
    bus->state = BUS_IDLE;
    /* A sentinel that sends us where no master is may be cut off itself. */
    if (!was_up && !was_asking) sentinels_pass_over(&bus->sentinels);
    if (was_up && now_ms(bus) - bus->up_ms >= LIMIT_BUS_STEADY_MS) bus->failures = 0;
    uv_timer_start(&bus->retry, on_retry, backoff_ms(bus), 0);
    bus->failures++;
    if (was_up) bus->ops.on_down(bus->ops.context);
}

static void on_commands_closed(void *context, const char *why)
{
    struct bus *bus = context;

    bus->commands = NULL;
    lose(bus, why);
}

static void on_subscription_closed(void *context, const char *why)
{
    struct bus *bus = context;

    bus->subscription = NULL;
    lose(bus, why);
}

/* --- commands --- */

static struct call *call_new(struct bus *bus, uint32_t id, const char *symbol)
{
    struct call *call = mem_zalloc(sizeof(*call));

    call->bus = bus;
    call->id = id;
    call->asked_us = clock_monotonic_us();
    if (symbol) snprintf(call->symbol, sizeof(call->symbol), "%s", symbol);
    return call;
}

/* What is of a wrong kind was written by somebody else, and is over with our next message: it is
 * read as nothing. */
static bool is_of_wrong_kind(const redisReply *error)
{
    return strncmp(error->str, "WRONGTYPE ", 10) == 0;
}

/* Frees the call. NULL where there is no answer any more. Any other error ends the connection. */
static const redisReply *answer_to(struct call *call, void *data, struct call *copy)
{
    const redisReply *reply = data;

    *copy = *call;
    free(call);
    if (!reply) return NULL;
    copy->bus->commands_silent = 0;
    if (reply->type != REDIS_REPLY_ERROR || is_of_wrong_kind(reply)) return reply;
    lose(copy->bus, reply->str);
    return NULL;
}

static bool is_integers(const redisReply *reply, size_t count)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count) return false;
    for (size_t i = 0; i < count; i++)
        if (reply->element[i]->type != REDIS_REPLY_INTEGER) return false;
    return true;
}

static void on_claimed(redisAsyncContext *redis, void *data, void *privdata)
{
    struct call call;
    const redisReply *reply = answer_to(privdata, data, &call);

    (void)redis;
    if (!reply) return;
    if (!is_integers(reply, 2)) {
        lose(call.bus, "it answers a claim with something else");
        return;
    }
    call.bus->ops.on_claimed(call.bus->ops.context, call.id, reply->element[0]->integer == 1,
                             (uint64_t)reply->element[1]->integer, call.asked_us);
}

/* Told once: the channel goes on, but who comes anew finds an old version. */
static void note_kept(struct bus *bus, const redisReply *reply)
{
    bool is_full = reply->type == REDIS_REPLY_STRING;

    if (is_full && !bus->is_full)
        log_warning("Redis passes versions on and keeps none", F_STR("why", reply->str));
    bus->is_full = is_full;
}

static void on_published(redisAsyncContext *redis, void *data, void *privdata)
{
    struct call call;
    const redisReply *reply = answer_to(privdata, data, &call);
    struct bus *bus = call.bus;
    bool is_refused;

    (void)redis;
    if (!reply) return;
    note_kept(bus, reply);
    is_refused = reply->type == REDIS_REPLY_INTEGER && reply->integer != 1;
    bus->unanswered_bytes -= call.bytes;
    bus->counts.round_trip_us = clock_monotonic_us() - call.asked_us;
    bus->counts.refused += is_refused;
    bus->counts.published += !is_refused;
    bus->ops.on_published(bus->ops.context, call.id, is_refused);
}

static void on_pong(redisAsyncContext *redis, void *data, void *privdata)
{
    struct call call;

    (void)redis;
    (void)answer_to(privdata, data, &call);
}

/* --- scripts --- */

static char *key_of(const struct bus *bus, const char *what, const char *symbol)
{
    return mem_printf("%s:%s%s", bus->prefix, what, symbol);
}

static void run(struct bus *bus, struct redis_words *words, redisCallbackFn *done,
                struct call *call)
{
    redis_words_send(words, redis_link_redis(bus->commands), done, call);
}

void bus_claim(struct bus *bus, uint32_t id, const struct bus_claim *claim)
{
    struct redis_words words;

    if (bus->state != BUS_UP) return;
    words = redis_words_script(claim_script, 2);
    redis_words_add(&words, key_of(bus, "lease:", claim->symbol));
    redis_words_add(&words, key_of(bus, "fence", ""));
    redis_words_add(&words, mem_strdup(bus->node));
    redis_words_add_number(&words, LIMIT_LEASE_MS);
    redis_words_add_number(&words, claim->want);
    redis_words_add_number(&words, claim->seen);
    redis_words_add_number(&words, claim->is_forced);
    redis_words_add_number(&words, claim->most);
    run(bus, &words, on_claimed, call_new(bus, id, claim->symbol));
}

void bus_release(struct bus *bus, const char *symbol, uint64_t epoch)
{
    struct redis_words words;

    if (bus->state != BUS_UP) return;
    words = redis_words_script(release_script, 1);
    redis_words_add(&words, key_of(bus, "lease:", symbol));
    redis_words_add(&words, mem_printf("%" PRIu64 " %s", epoch, bus->node));
    run(bus, &words, on_pong, call_new(bus, 0, symbol));
}

int bus_publish(struct bus *bus, uint32_t id, const char *symbol, uint64_t epoch, const char *feed,
                const struct blob *text)
{
    struct redis_words words;
    struct call *call;

    if (bus->state != BUS_UP) return ERR_STOPPED;
    if (bus->unanswered_bytes + text->size > LIMIT_BUS_UNANSWERED_BYTES) return ERR_FULL;
    words = redis_words_script(publish_script, 3);
    redis_words_add(&words, key_of(bus, "lease:", symbol));
    redis_words_add(&words, key_of(bus, "latest:", symbol));
    redis_words_add(&words, key_of(bus, "symbols", ""));
    redis_words_add(&words, mem_printf("%" PRIu64 " %s", epoch, bus->node));
    redis_words_add(&words, key_of(bus, symbol, ""));
    redis_words_borrow(&words, text->data, text->size);
    redis_words_borrow(&words, symbol, strlen(symbol));
    redis_words_borrow(&words, feed, strlen(feed));
    call = call_new(bus, id, symbol);
    call->bytes = text->size;
    bus->unanswered_bytes += text->size;
    run(bus, &words, on_published, call);
    return 0;
}

/* --- reading --- */

static void come_up(struct bus *bus)
{
    bus->state = BUS_UP;
    bus->up_ms = now_ms(bus);
    bus->why[0] = '\0';
    bus->counts.connects++;
    log_info("Redis is up", F_STR("node", bus->node));
    bus->ops.on_up(bus->ops.context);
}

static void finish_read(struct bus *bus)
{
    if (bus->state == BUS_READING && !--bus->reads_unanswered) come_up(bus);
}

static void on_read(redisAsyncContext *redis, void *data, void *privdata)
{
    struct call call;
    const redisReply *reply = answer_to(privdata, data, &call);

    (void)redis;
    if (!reply) return;
    if (reply->type == REDIS_REPLY_STRING)
        call.bus->ops.on_message(call.bus->ops.context, str_of(call.symbol),
                                 (struct str){reply->str, reply->len});
    finish_read(call.bus);
}

static void read_latest(struct bus *bus, const char *symbol)
{
    if (bus->state == BUS_READING) bus->reads_unanswered++;
    redisAsyncCommand(redis_link_redis(bus->commands), on_read, call_new(bus, 0, symbol),
                      "GET %s:latest:%s", bus->prefix, symbol);
}

void bus_read(struct bus *bus, const char *symbol)
{
    if (bus->state == BUS_UP) read_latest(bus, symbol);
}

static void on_feed(redisAsyncContext *redis, void *data, void *privdata)
{
    struct call call;
    const redisReply *reply = answer_to(privdata, data, &call);

    (void)redis;
    if (reply && reply->type == REDIS_REPLY_STRING)
        call.bus->ops.on_feed(call.bus->ops.context, str_of(call.symbol),
                              (struct str){reply->str, reply->len});
}

void bus_read_feed(struct bus *bus, const char *symbol)
{
    if (bus->state != BUS_UP) return;
    redisAsyncCommand(redis_link_redis(bus->commands), on_feed, call_new(bus, 0, symbol),
                      "HGET %s:symbols %s", bus->prefix, symbol);
}

static void take_symbol(struct bus *bus, const redisReply *name, const redisReply *feed)
{
    if (name->type != REDIS_REPLY_STRING || feed->type != REDIS_REPLY_STRING ||
        name->len > LIMIT_SYMBOL_BYTES)
        return;
    bus->ops.on_feed(bus->ops.context, (struct str){name->str, name->len},
                     (struct str){feed->str, feed->len});
    read_latest(bus, name->str);
}

static void on_symbols(redisAsyncContext *redis, void *data, void *privdata)
{
    struct call call;
    const redisReply *reply = answer_to(privdata, data, &call);
    struct bus *bus = call.bus;

    (void)redis;
    if (!reply) return;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements &&
                       i < 2 * LIMIT_SYMBOLS_RELAYED;
         i += 2)
        take_symbol(bus, reply->element[i], reply->element[i + 1]);
    finish_read(bus);
}

static void read_all(struct bus *bus)
{
    bus->state = BUS_READING;
    bus->reads_unanswered = 1;
    redisAsyncCommand(redis_link_redis(bus->commands), on_symbols, call_new(bus, 0, NULL),
                      "HGETALL %s:symbols", bus->prefix);
}

/* --- the subscription --- */

static void take_message(struct bus *bus, const redisReply *channel, const redisReply *text)
{
    size_t skip = strlen(bus->prefix) + 1;

    if (channel->type != REDIS_REPLY_STRING || channel->len < skip ||
        text->type != REDIS_REPLY_STRING)
        return;
    bus->counts.received++;
    bus->ops.on_message(bus->ops.context, (struct str){channel->str + skip, channel->len - skip},
                        (struct str){text->str, text->len});
}

/* ["psubscribe", pattern, count], or ["pmessage", pattern, channel, text]. */
static void on_subscription(redisAsyncContext *redis, void *data, void *privdata)
{
    struct bus *bus = privdata;
    const redisReply *reply = data;

    (void)redis;
    if (!reply || !bus->subscription) return;
    bus->subscription_silent = 0;
    if (reply->type == REDIS_REPLY_ERROR)
        lose(bus, reply->str);
    else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 4)
        take_message(bus, reply->element[2], reply->element[3]);
    else if (bus->state == BUS_CONNECTING)
        read_all(bus);
}

/* Again and again: its confirmation is the answer to "are you there?", as a subscribed connection
 * of hiredis takes no ping. */
static void subscribe(struct bus *bus)
{
    redisAsyncCommand(redis_link_redis(bus->subscription), on_subscription, bus, "PSUBSCRIBE %s",
                      bus->pattern);
}

/* --- connecting --- */

static void begin_when_ready(struct bus *bus)
{
    if (bus->has_commands && bus->has_subscription) subscribe(bus);
}

static void on_commands_ready(void *context)
{
    struct bus *bus = context;

    bus->has_commands = true;
    begin_when_ready(bus);
}

static void on_subscription_ready(void *context)
{
    struct bus *bus = context;

    bus->has_subscription = true;
    begin_when_ready(bus);
}

static void connect_to(struct bus *bus, const struct redis_host *host)
{
    static const struct redis_link_listener commands = {on_commands_ready, on_commands_closed};
    static const struct redis_link_listener subscription = {on_subscription_ready,
                                                            on_subscription_closed};
    enum redis_greeting greeting =
        bus->url.kind == REDIS_SENTINEL ? REDIS_GREET_MASTER : REDIS_GREET_SERVER;

    bus->state = BUS_CONNECTING;
    bus->commands = redis_link_open(&bus->loop->uv, host, &bus->url, greeting, &commands, bus);
    bus->subscription =
        redis_link_open(&bus->loop->uv, host, &bus->url, greeting, &subscription, bus);
}

static bool is_same_host(const struct redis_host *a, const struct redis_host *b)
{
    return a->port == b->port && strcmp(a->name, b->name) == 0;
}

/* A master that is stopped, or cut off with us, says nothing of another: sentinels are asked all
 * the time. */
static void on_master(void *context, const struct redis_host *master)
{
    struct bus *bus = context;

    if (bus->state == BUS_ASKING) {
        bus->master = *master;
        connect_to(bus, &bus->master);
    } else if (!is_same_host(master, &bus->master)) {
        lose(bus, "the sentinels name another master");
    }
}

static void on_no_master(void *context, const char *why)
{
    struct bus *bus = context;

    if (bus->state == BUS_ASKING) lose(bus, why);
}

static void on_retry(uv_timer_t *retry)
{
    struct bus *bus = container_of(retry, struct bus, retry);

    if (bus->url.kind == REDIS_SENTINEL) {
        bus->state = BUS_ASKING;
        sentinels_ask(&bus->sentinels);
    } else {
        connect_to(bus, bus->url.kind == REDIS_UNIX ? NULL : &bus->url.hosts[0]);
    }
}

static bool is_silent(struct bus *bus)
{
    bus->commands_silent++;
    bus->subscription_silent++;
    return MAX(bus->commands_silent, bus->subscription_silent) > LIMIT_BUS_SILENT_BEATS;
}

/* Silence is counted in beats, not in time: a process that was stopped for a while has not
 * listened. What happens between the steps of a connection is watched from here, too. */
static void on_beat(uv_timer_t *beat)
{
    struct bus *bus = container_of(beat, struct bus, beat);

    if (bus->state == BUS_IDLE || bus->state == BUS_STOPPED) return;
    if (bus->url.kind == REDIS_SENTINEL) sentinels_ask(&bus->sentinels);
    if (bus->state == BUS_IDLE || bus->state == BUS_ASKING) return;
    if (is_silent(bus)) lose(bus, "the server is silent");
    if (bus->state != BUS_READING && bus->state != BUS_UP) return;
    redisAsyncCommand(redis_link_redis(bus->commands), on_pong, call_new(bus, 0, NULL), "PING");
    subscribe(bus);
}

/* --- life --- */

static void make_pattern(struct bus *bus)
{
    struct buf pattern = {0};

    for (const char *at = bus->prefix; *at; at++) {
        if (strchr("*?[]\\^-", *at)) buf_add_char(&pattern, '\\');
        buf_add_char(&pattern, *at);
    }
    buf_add_text(&pattern, ":*");
    bus->pattern = mem_strndup(pattern.data, pattern.size);
    buf_deinit(&pattern);
}

struct bus *bus_new(struct loop *loop, const struct redis_url *url, const char *prefix,
                    const struct bus_ops *ops)
{
    struct bus *bus = mem_zalloc(sizeof(*bus));
    const struct sentinels_ops sentinels = {bus, on_master, on_no_master};
    char host[40] = "node";
    size_t size = sizeof(host);

    bus->loop = loop;
    bus->url = *url;
    bus->ops = *ops;
    bus->prefix = mem_strdup(prefix);
    make_pattern(bus);
    if (uv_random(NULL, NULL, &bus->seed, sizeof(bus->seed), 0, NULL) || !bus->seed)
        bus->seed = (uint64_t)clock_monotonic_us();
    if (uv_os_gethostname(host, &size)) strcpy(host, "node");
    snprintf(bus->node, sizeof(bus->node), "%s-%016" PRIx64, host, bus->seed);
    sentinels_init(&bus->sentinels, &loop->uv, &bus->url, &sentinels);
    uv_timer_init(&loop->uv, &bus->retry);
    uv_timer_init(&loop->uv, &bus->beat);
    return bus;
}

void bus_start(struct bus *bus)
{
    uv_timer_start(&bus->retry, on_retry, 0, 0);
    uv_timer_start(&bus->beat, on_beat, LIMIT_BUS_BEAT_MS, LIMIT_BUS_BEAT_MS);
}

/* What was said last goes out with a write of its own: hiredis writes when the loop says so, which
 * it will not any more. */
static void flush(struct bus *bus)
{
    redisAsyncContext *redis = bus->state == BUS_UP ? redis_link_redis(bus->commands) : NULL;
    int is_done = 0;

    if (redis) (void)redisBufferWrite(&redis->c, &is_done);
}

void bus_stop(struct bus *bus)
{
    flush(bus);
    disconnect(bus);
    bus->state = BUS_STOPPED;
    uv_close((uv_handle_t *)&bus->retry, NULL);
    uv_close((uv_handle_t *)&bus->beat, NULL);
}

void bus_free(struct bus *bus)
{
    if (!bus) return;
    free(bus->prefix);
    free(bus->pattern);
    free(bus);
}
