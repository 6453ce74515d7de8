#include "serve/hub.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void hub_init(struct hub *hub)
{
    *hub = (struct hub){0};
}

void hub_deinit(struct hub *hub)
{
    for (size_t i = 0; i < hub->topic_count; i++) {
        assert(hub->topics[i]->subscriber_count == 0);
        publication_unref(hub->topics[i]->latest);
        free(hub->topics[i]);
    }
    free(hub->topics);
    free(hub->by_id);
}

/* The first topic whose name is not below `name`. */
static size_t lower_bound(const struct hub *hub, struct str name)
{
    size_t low = 0, high = hub->topic_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *other = hub->topics[middle]->name;
        int order = strncmp(other, name.at, name.size);

        if (order < 0)
            low = middle + 1;
        else
            high = middle; /* a longer name with this beginning is above it */
    }
    return low;
}

struct topic *hub_find(const struct hub *hub, struct str name)
{
    size_t at = lower_bound(hub, name);

    if (at == hub->topic_count || !str_eq(str_of(hub->topics[at]->name), name)) return NULL;
    return hub->topics[at];
}

static void index_topic(struct hub *hub, struct topic *topic)
{
    if (topic->id >= hub->id_count) {
        size_t count = topic->id + 1;

        hub->by_id = mem_realloc(hub->by_id, count * sizeof(struct topic *));
        memset(&hub->by_id[hub->id_count], 0, (count - hub->id_count) * sizeof(struct topic *));
        hub->id_count = count;
    }
    hub->by_id[topic->id] = topic;
}

struct topic *hub_add_topic(struct hub *hub, const char *name, uint32_t id)
{
    size_t at = lower_bound(hub, str_of(name));
    struct topic *topic = hub_find(hub, str_of(name));

    if (topic) return topic;
    topic = mem_zalloc(sizeof(*topic));
    strncpy(topic->name, name, LIMIT_SYMBOL_BYTES);
    topic->id = id;
    for (size_t i = 0; i < HUB_CLASSES; i++)
        list_init(&topic->classes[i]);
    hub->topics = mem_realloc(hub->topics, (hub->topic_count + 1) * sizeof(struct topic *));
    memmove(&hub->topics[at + 1], &hub->topics[at],
            (hub->topic_count - at) * sizeof(struct topic *));
    hub->topics[at] = topic;
    hub->topic_count++;
    index_topic(hub, topic);
    return topic;
}

static struct topic *find_by_id(const struct hub *hub, uint32_t id)
{
    return id < hub->id_count ? hub->by_id[id] : NULL;
}

/* Moves to the end of its class: it is due last now. */
static void note_marked(struct subscription *sub, int64_t now_ms)
{
    struct topic *topic = sub->topic;

    list_remove(&sub->in_class);
    list_append(&topic->classes[sub->wish.interval], &sub->in_class);
    sub->marked = topic->latest->version;
    sub->marked_ms = now_ms;
}

/* Shards hear of a version one after the other: who comes from a quicker one may have what is still
 * on its way here. */
static bool is_ahead(struct version has, struct version latest)
{
    return has.epoch == latest.epoch && has.seq > latest.seq &&
           has.seq - latest.seq <= LIMIT_VERSIONS_AHEAD;
}

/* What a client says it has is believed as far as it can be true. */
static enum resume judge(struct subscription *sub)
{
    const struct publication *latest = sub->topic->latest;

    if (!sub->is_resuming) return RESUME_NONE;
    if (is_ahead(sub->sent, latest->version)) return RESUME_LATER;
    sub->is_resuming = false;
    if (!publication_reaches(latest, sub->sent)) {
        sub->sent = (struct version){0};
        sub->not_resumed = true;
        return RESUME_IMPOSSIBLE;
    }
    return version_is_newer(latest->version, sub->sent) ? RESUME_POSSIBLE : RESUME_UP_TO_DATE;
}

/* Marks for the newest version, unless the client has it already. */
static enum resume mark(struct hub *hub, struct subscription *sub, int64_t now_ms)
{
    bool is_newer = version_is_newer(sub->topic->latest->version, sub->marked);
    enum resume resume = judge(sub);

    note_marked(sub, now_ms);
    if (resume != RESUME_UP_TO_DATE && resume != RESUME_LATER) hub->on_mark(sub, is_newer);
    return resume;
}

static void leave_class(struct subscription *sub)
{
    struct topic *topic = sub->topic;

    list_remove(&sub->in_class);
    if (list_is_empty(&topic->classes[sub->wish.interval]))
        topic->occupied &= ~(UINT64_C(1) << sub->wish.interval);
    topic->subscriber_count--;
}

/* Keeps the class ordered by marked_ms: a new member goes behind all who were marked before it.
 * Almost always that is the end, as time goes on; a changed interval may have to look further. */
static void join_class(struct subscription *sub)
{
    struct topic *topic = sub->topic;
    struct list *class = &topic->classes[sub->wish.interval], *before = class;

    while (before->prev != class &&
           container_of(before->prev, struct subscription, in_class)->marked_ms > sub->marked_ms)
        before = before->prev;
    list_append(before, &sub->in_class);
    topic->occupied |= UINT64_C(1) << sub->wish.interval;
    topic->subscriber_count++;
}

/* Somebody joined or left. */
static void tell_interest(struct hub *hub, struct topic *topic)
{
    bool has_subscribers = topic->subscriber_count > 0;

    if (topic->tally)
        atomic_store_explicit(topic->tally, topic->subscriber_count, memory_order_relaxed);
    if (has_subscribers == topic->told_subscribers) return;
    topic->told_subscribers = has_subscribers;
    hub->on_interest(hub, topic);
}

/* A subscription's new beginning: who asks again is answered again. */
static void begin(struct subscription *sub, const struct wish *wish, struct version has)
{
    sub->wish = *wish;
    sub->sent = has;
    sub->is_resuming = has.epoch != 0;
    sub->not_resumed = false;
    sub->delta_count = 0;
    list_init(&sub->in_class);
    if (!sub->in_outbox.next) list_init(&sub->in_outbox);
}

enum resume hub_subscribe(struct hub *hub, struct subscription *sub, struct topic *topic,
                          const struct wish *wish, struct version has, int64_t now_ms)
{
    assert(wish->interval < HUB_CLASSES && (!sub->topic || sub->topic == topic));
    if (sub->topic)
        leave_class(sub);
    else {
        sub->topic = topic;
        sub->marked = (struct version){0};
        sub->marked_ms = now_ms;
    }
    begin(sub, wish, has);
    join_class(sub);
    tell_interest(hub, topic);
    if (topic->latest) return mark(hub, sub, now_ms);
    return has.epoch ? RESUME_LATER : RESUME_NONE;
}

void hub_unsubscribe(struct hub *hub, struct subscription *sub)
{
    struct topic *topic = sub->topic;

    if (!topic) return;
    leave_class(sub);
    sub->topic = NULL;
    tell_interest(hub, topic);
}

static bool is_due(const struct subscription *sub, int64_t now_ms)
{
    return sub->marked.epoch == 0 || now_ms - sub->marked_ms >= sub->wish.interval * INT64_C(1000);
}

static void prefetch_lines(const void *at)
{
    __builtin_prefetch(at);
    __builtin_prefetch((const char *)at + 64);
}

/* The next but one of a class, and the next one's client around its outbox: of ten thousand clients
 * they are in no cache, and come while this one's bytes are written. At the end of a class its head
 * is taken for a subscription, of which only topic memory is read. */
static void prefetch_after(const struct list *front)
{
    const struct list *next = front->next;

    prefetch_lines(container_of(next, struct subscription, in_class)->outbox);
    prefetch_lines(container_of(next->next, struct subscription, in_class));
}

/* Marks the front of a class while it is due; the rest were marked later. Returns how many. */
static uint32_t mark_due(struct hub *hub, struct topic *topic, unsigned interval, int64_t now_ms)
{
    struct list *class = &topic->classes[interval];
    uint32_t count = 0;

    for (struct list *front = class->next; front != class; front = class->next, count++) {
        struct subscription *sub = container_of(front, struct subscription, in_class);

        prefetch_after(front);
        if (!version_is_newer(topic->latest->version, sub->marked) || !is_due(sub, now_ms)) break;
        mark(hub, sub, now_ms);
    }
    return count;
}

static uint32_t mark_topic(struct hub *hub, struct topic *topic, int64_t now_ms)
{
    uint32_t count = 0;

    for (uint64_t rest = topic->occupied; rest; rest &= rest - 1)
        count += mark_due(hub, topic, (unsigned)__builtin_ctzll(rest), now_ms);
    return count;
}

uint32_t hub_deliver(struct hub *hub, struct publication *pub, int64_t now_ms)
{
    struct topic *topic = find_by_id(hub, pub->topic_id);

    if (!topic || (topic->latest && !version_is_newer(pub->version, topic->latest->version))) {
        publication_unref(pub);
        return 0;
    }
    publication_unref(topic->latest);
    topic->latest = pub;
    return mark_topic(hub, topic, now_ms);
}

void hub_forget(struct hub *hub, uint32_t topic_id, struct version version)
{
    struct topic *topic = find_by_id(hub, topic_id);

    if (!topic || !topic->latest || topic->subscriber_count) return;
    if (version_is_newer(topic->latest->version, version)) return;
    publication_unref(topic->latest);
    topic->latest = NULL;
}

/* When the front of a class will be due, -1 when it has the newest already. */
static int64_t class_due_ms(const struct topic *topic, unsigned interval)
{
    const struct list *front = topic->classes[interval].next;
    const struct subscription *sub = container_of(front, const struct subscription, in_class);

    if (!version_is_newer(topic->latest->version, sub->marked)) return -1;
    return sub->marked_ms + interval * INT64_C(1000);
}

int64_t hub_tick(struct hub *hub, int64_t now_ms)
{
    int64_t next_ms = -1;

    for (size_t i = 0; i < hub->topic_count; i++) {
        struct topic *topic = hub->topics[i];

        if (!topic->latest || !topic->occupied) continue;
        mark_topic(hub, topic, now_ms);
        for (uint64_t rest = topic->occupied; rest; rest &= rest - 1) {
            int64_t due_ms = class_due_ms(topic, (unsigned)__builtin_ctzll(rest));

            if (due_ms >= 0 && (next_ms < 0 || due_ms < next_ms)) next_ms = due_ms;
        }
    }
    return next_ms;
}
