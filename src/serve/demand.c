#include "serve/demand.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/protocol.h"
#include "wire/query.h"

/* How long a poll waits that does not say: less than the 30 s that many proxies allow. */
#define POLL_WAIT_DEFAULT_MS 25000

/* Reading goes on until the first error. */
struct reader {
    const struct hub *hub;
    struct str query;
    struct buf *reason;
    int status; /* 0 while all is well */
};

static void fail(struct reader *reader, int status, struct str reason)
{
    if (reader->status) return; /* the first one is told */
    buf_add(reader->reason, reason.at, reason.size);
    buf_add_char(reader->reason, '\0');
    reader->status = status;
}

static void fail_parameter(struct reader *reader, const char *name, const char *what)
{
    char *text = mem_printf("parameter '%s' %s", name, what);

    fail(reader, 422, str_of(text));
    free(text);
}

/* A parameter's text into *value (emptied first); false where it is absent, empty or in error. */
static bool read_text(struct reader *reader, const char *name, struct buf *value)
{
    buf_clear(value);
    switch (query_get(reader->query, name, value)) {
    case QUERY_ABSENT:
        break;
    case QUERY_OK:
        return value->size > 0;
    case QUERY_DUPLICATE:
        fail_parameter(reader, name, "is given twice");
        break;
    case QUERY_BAD_ENCODING:
        fail_parameter(reader, name, "is not properly percent-encoded UTF-8");
        break;
    }
    return false;
}

/* --- symbols --- */

static void fail_unknown(struct reader *reader, const struct buf *unknown)
{
    struct buf text = {0};

    protocol_write_unknown(&text, buf_str(unknown), reader->hub);
    fail(reader, 400, buf_str(&text));
    buf_deinit(&text);
}

static void add_topic(const struct reader *reader, struct str name, struct demand *demand,
                      struct buf *unknown)
{
    struct topic *topic = hub_find(reader->hub, name);

    if (topic)
        demand->topics[demand->topic_count++] = topic;
    else
        protocol_note_unknown(unknown, name);
}

static size_t count_of(struct str text, char c)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += text.at[i] == c;
    return count;
}

/* `names` has at most as many as there is room for. */
static void add_topics(struct reader *reader, struct str names, struct demand *demand)
{
    struct buf unknown = {0};

    for (size_t at = 0; at <= names.size;) {
        const char *comma = memchr(names.at + at, ',', names.size - at);
        size_t end = comma ? (size_t)(comma - names.at) : names.size;

        add_topic(reader, (struct str){names.at + at, end - at}, demand, &unknown);
        at = end + 1;
    }
    if (unknown.size) fail_unknown(reader, &unknown);
    buf_deinit(&unknown);
}

static void read_symbols(struct reader *reader, struct demand *demand)
{
    struct buf names = {0};

    if (!read_text(reader, "symbols", &names))
        fail_parameter(reader, "symbols", "is missing");
    else if (count_of(buf_str(&names), ',') >= LIMIT_SYMBOLS_PER_MESSAGE)
        fail_parameter(reader, "symbols",
                       "may name at most " TEXT_OF(LIMIT_SYMBOLS_PER_MESSAGE) " symbols");
    else
        add_topics(reader, buf_str(&names), demand);
    buf_deinit(&names);
}

static void read_symbol(struct reader *reader, struct demand *demand)
{
    struct buf name = {0}, unknown = {0};

    if (read_text(reader, "symbol", &name))
        add_topic(reader, buf_str(&name), demand, &unknown);
    else
        fail_parameter(reader, "symbol", "is missing");
    if (unknown.size) fail_unknown(reader, &unknown);
    buf_deinit(&unknown);
    buf_deinit(&name);
}

/* --- how they are wanted --- */

/* 5, 5.0, .5 or -5: no exponent, no hexadecimal, none of strtod()'s other words. */
static bool is_number(struct str text)
{
    size_t digits = 0, points = 0;

    for (size_t i = text.size && text.at[0] == '-'; i < text.size; i++) {
        points += text.at[i] == '.';
        digits += text.at[i] >= '0' && text.at[i] <= '9';
        if (points > 1 || (text.at[i] != '.' && (text.at[i] < '0' || text.at[i] > '9')))
            return false;
    }
    return digits > 0;
}

/* False where it is absent, and *value stays; what is none is NAN. */
static bool read_number(struct reader *reader, const char *name, double *value)
{
    struct buf text = {0};
    bool is_given = read_text(reader, name, &text);

    if (is_given) {
        bool is_one = is_number(buf_str(&text));

        buf_add_char(&text, '\0');
        *value = is_one ? strtod(text.data, NULL) : NAN;
    }
    buf_deinit(&text);
    return is_given;
}

/* As in a WebSocket's subscribe: whole, 0 for every version, else clamped. */
static void read_interval(struct reader *reader, struct wish *wish)
{
    double seconds = 0;

    if (!read_number(reader, "update_interval", &seconds)) return;
    if (seconds != floor(seconds)) {
        fail_parameter(reader, "update_interval", "must be a whole number of seconds");
        return;
    }
    wish->interval = (uint8_t)(seconds == 0 ? 0 : seconds < 1 ? 1 : seconds > 60 ? 60 : seconds);
}

static void read_wait(struct reader *reader, int64_t *wait_ms)
{
    double seconds = POLL_WAIT_DEFAULT_MS / 1000.0;

    if (read_number(reader, "wait", &seconds) && !(seconds >= 0 && seconds <= LIMIT_POLL_WAIT_S))
        fail_parameter(reader, "wait",
                       "must be a number of seconds from 0 to " TEXT_OF(LIMIT_POLL_WAIT_S));
    else
        *wait_ms = (int64_t)(seconds * 1000);
}

/* One of two names; which. The first where it is absent. */
static bool read_choice(struct reader *reader, const char *name, const char *const names[2],
                        const char *what)
{
    struct buf value = {0};
    bool is_given = read_text(reader, name, &value);
    bool is_first = !is_given || str_eq(buf_str(&value), str_of(names[0]));
    bool is_second = !is_first && str_eq(buf_str(&value), str_of(names[1]));

    if (!is_first && !is_second) fail_parameter(reader, name, what);
    buf_deinit(&value);
    return is_second;
}

static void read_wish(struct reader *reader, struct wish *wish)
{
    static const char *const modes[] = {"snapshot", "delta"}, *const formats[] = {"levels",
                                                                                  "columns"};

    wish->wants_delta = read_choice(reader, "mode", modes, "must be snapshot or delta");
    wish->format = read_choice(reader, "format", formats, "must be levels or columns")
                       ? FORMAT_COLUMNS
                       : FORMAT_LEVELS;
}

/* --- what is there already --- */

/* epoch:seq, as an event's id has it. */
static bool parse_version(struct str text, struct version *version)
{
    const char *colon = text.size ? memchr(text.at, ':', text.size) : NULL;
    size_t epoch_size = colon ? (size_t)(colon - text.at) : 0;
    struct version parsed;

    if (!colon || !epoch_parse((struct str){text.at, epoch_size}, &parsed.epoch) || !parsed.epoch ||
        !str_number((struct str){colon + 1, text.size - epoch_size - 1}, UINT64_MAX, &parsed.seq))
        return false;
    *version = parsed;
    return true;
}

static void read_last_event_id(struct reader *reader, struct str header, struct version *has)
{
    struct buf value = {0};
    bool is_given = read_text(reader, "last_event_id", &value);
    struct str id = header.size ? header : buf_str(&value);

    if ((header.size || is_given) && !parse_version(id, has))
        *has = (struct version){.epoch = UINT64_MAX};
    buf_deinit(&value);
}

static void read_since(struct reader *reader, struct version *has)
{
    struct buf value = {0};

    if (read_text(reader, "since", &value) && !parse_version(buf_str(&value), has))
        fail_parameter(reader, "since", "must be epoch:seq of a snapshot, such as mwsk3xuz:1841");
    buf_deinit(&value);
}

/* --- the two doors --- */

int demand_read_stream(const struct hub *hub, struct str query, struct str last_event_id,
                       struct demand *demand, struct buf *reason)
{
    struct reader reader = {.hub = hub, .query = query, .reason = reason};
    struct demand read = {0};

    read_symbols(&reader, &read);
    read_interval(&reader, &read.wish);
    read_wish(&reader, &read.wish);
    read_last_event_id(&reader, last_event_id, &read.has);
    if (!reader.status) *demand = read;
    return reader.status;
}

int demand_read_poll(const struct hub *hub, struct str query, struct demand *demand,
                     struct buf *reason)
{
    struct reader reader = {.hub = hub, .query = query, .reason = reason};
    struct demand read = {0};

    read_symbol(&reader, &read);
    read_since(&reader, &read.has);
    read_wait(&reader, &read.wait_ms);
    read_wish(&reader, &read.wish);
    if (!reader.status) *demand = read;
    return reader.status;
}

bool demand_is_poll(struct str query)
{
    static const char *const names[] = {"since", "wait", "mode", "format"};
    struct buf value = {0};
    bool is_one = false;

    for (size_t i = 0; i < ARRAY_LEN(names) && !is_one; i++) {
        enum query_result result = query_get(query, names[i], &value);

        is_one = result != QUERY_ABSENT && (result != QUERY_OK || value.size);
    }
    buf_deinit(&value);
    return is_one;
}

struct version demand_version_had(const struct demand *demand, const struct topic *topic)
{
    for (size_t i = 0; i < demand->topic_count; i++) {
        const struct topic *other = demand->topics[i];

        if (!other->latest || other->latest->version.epoch != demand->has.epoch) continue;
        return other == topic ? demand->has : (struct version){0};
    }
    return demand->has;
}
