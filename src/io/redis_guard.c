#include "io/redis_guard.h"

#include "base/base.h"

/* A confirmation has three elements, a message by its pattern four. */
#define PUSH_ELEMENTS_MIN 3

static const struct redis_guard *guard_of(const redisReadTask *task)
{
    return task->privdata;
}

/* A part of what nobody asked for. hiredis looks at the first two elements, and believes the first.
 */
static bool is_push(const redisReadTask *task, struct str text)
{
    if (!task->parent) return task->type == REDIS_REPLY_ERROR;
    if (task->parent->parent || task->idx > 1) return true;
    if (task->type != REDIS_REPLY_STRING) return false;
    return task->idx == 1 || str_eq(text, STR("psubscribe")) || str_eq(text, STR("pmessage"));
}

/* hiredis shifts a command from the list when its answer is whole. */
static bool is_welcome(const redisReadTask *task, struct str text)
{
    return guard_of(task)->redis->replies.head || is_push(task, text);
}

static void *create_string(const redisReadTask *task, char *text, size_t size)
{
    if (!is_welcome(task, (struct str){text, size})) return NULL;
    return guard_of(task)->plain->createString(task, text, size);
}

static void *create_array(const redisReadTask *task, int count)
{
    const redisAsyncContext *redis = guard_of(task)->redis;
    bool is_push_whole =
        !task->parent && redis->c.flags & REDIS_SUBSCRIBED && count >= PUSH_ELEMENTS_MIN;

    if (!is_push_whole && !is_welcome(task, (struct str){0})) return NULL;
    return guard_of(task)->plain->createArray(task, count);
}

static void *create_integer(const redisReadTask *task, long long value)
{
    return is_welcome(task, (struct str){0}) ? guard_of(task)->plain->createInteger(task, value)
                                             : NULL;
}

static void *create_nil(const redisReadTask *task)
{
    return is_welcome(task, (struct str){0}) ? guard_of(task)->plain->createNil(task) : NULL;
}

void redis_guard_init(struct redis_guard *guard, redisAsyncContext *redis)
{
    redisReader *reader = redis->c.reader;

    guard->redis = redis;
    guard->plain = reader->fn;
    guard->functions = (redisReplyObjectFunctions){create_string, create_array, create_integer,
                                                   create_nil, reader->fn->freeObject};
    reader->fn = &guard->functions;
    reader->privdata = guard;
}
