/* load_server.h - what the load generator sees of the server under test, from outside.
 *
 * A server is one or more processes and all that they started; `pids` ends with a 0. Looks into
 * /proc and asks the kernel for its sockets; needs no help from the server. */
#ifndef HEATCAST_BENCH_LOAD_SERVER_H
#define HEATCAST_BENCH_LOAD_SERVER_H

#include <netinet/in.h>
#include <sys/types.h>

#include "base/base.h"

/* CPU time of all its threads so far, in nanoseconds (schedstat: what the scheduler counts, exact
 * while they sleep; kernel work for their sends included), and of ksoftirqd on the cores where the
 * first process may run: when much is sent at once the kernel leaves a part of the work to that. */
int64_t server_cpu_ns(const pid_t *pids);

/* Waits until it rests, which also lets garbage collectors and timers finish what they had begun:
 * less than 2 % of a core for a while, at most `ms_max`. Returns its CPU time then. */
int64_t server_wait_rest(const pid_t *pids, int ms_max);

/* Its own memory in bytes: anonymous and shared between its processes. Files that it maps, programs
 * and libraries, are left out: what they count for hangs on who else maps them. */
int64_t server_memory_bytes(const pid_t *pids);

/* What the kernel of this machine holds in its slabs, for whomever: what many connections add to it
 * is theirs, both ends. */
int64_t machine_slab_bytes(void);

/* Kernel memory for what waits unsent at the server for these peers (SK_MEMINFO: bytes queued for
 * writing and reserved). Returns how many of them still have a connection. */
unsigned server_queued_bytes(uint16_t port, const struct sockaddr_in *peers, unsigned peer_count,
                             int64_t *bytes);

#endif
