/* redis_guard.h - keeps from hiredis what it would end the process for.
 *
 * hiredis 0.14 asserts that what comes was asked for, and that what comes to a subscription has the
 * form of one. From another server than Redis, or by a fault on the way, that is not so: with a
 * guard such an answer is a fault of the connection (REDIS_ERR_OOM: the only one that it lets its
 * reader's functions tell). On the loop's thread. */
#ifndef HEATCAST_IO_REDIS_GUARD_H
#define HEATCAST_IO_REDIS_GUARD_H

#include <hiredis/async.h>

struct redis_guard {
    redisReplyObjectFunctions functions; /* ours, in front of hiredis' own */
    const redisReplyObjectFunctions *plain;
    const redisAsyncContext *redis;
};

/* Before `redis` reads. The guard stays where it is until `redis` is freed. */
void redis_guard_init(struct redis_guard *guard, redisAsyncContext *redis);

#endif
