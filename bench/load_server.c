#include "load_server.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>

static NORETURN void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Calls `look` with the folder of each thread of a process. */
static void each_task(pid_t pid, void (*look)(const char *task, void *context), void *context)
{
    char folder[64], task[128];
    struct dirent *entry;
    DIR *tasks;

    snprintf(folder, sizeof(folder), "/proc/%d/task", (int)pid);
    tasks = opendir(folder);
    while (tasks && (entry = readdir(tasks))) {
        if (entry->d_name[0] == '.') continue;
        snprintf(task, sizeof(task), "%s/%.32s", folder, entry->d_name);
        look(task, context);
    }
    if (tasks) closedir(tasks);
}

static FILE *open_in(const char *folder, const char *name)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return fopen(path, "r");
}

/* ---- CPU ---- */

static void add_task_cpu(const char *task, void *context)
{
    int64_t *sum = context;
    long long ns;
    FILE *file = open_in(task, "schedstat");
    int child;

    if (file && fscanf(file, "%lld", &ns) == 1) *sum += ns;
    if (file) fclose(file);
    file = open_in(task, "children");
    while (file && fscanf(file, "%d", &child) == 1)
        each_task(child, add_task_cpu, context);
    if (file) fclose(file);
}

/* "ksoftirqd/3" is core 3's; -1 for any other thread. */
static int softirq_core(const char *process)
{
    FILE *file = open_in(process, "comm");
    int core = -1;

    if (file && fscanf(file, "ksoftirqd/%d", &core) != 1) core = -1;
    if (file) fclose(file);
    return core;
}

/* Finds them once: they stay. */
static const pid_t *softirq_pids(void)
{
    static pid_t pids[CPU_SETSIZE];
    static bool is_known;
    DIR *processes = is_known ? NULL : opendir("/proc");
    struct dirent *entry;
    char folder[64];
    int core;

    while (processes && (entry = readdir(processes))) {
        snprintf(folder, sizeof(folder), "/proc/%.32s", entry->d_name);
        core = atoi(entry->d_name) > 0 ? softirq_core(folder) : -1;
        if (core >= 0 && core < CPU_SETSIZE) pids[core] = atoi(entry->d_name);
    }
    if (processes) closedir(processes);
    is_known = true;
    return pids;
}

int64_t server_cpu_ns(const pid_t *pids)
{
    const pid_t *softirqs = softirq_pids();
    int64_t sum = 0;
    cpu_set_t cores;

    for (const pid_t *pid = pids; *pid; pid++)
        each_task(*pid, add_task_cpu, &sum);
    if (sched_getaffinity(*pids, sizeof(cores), &cores)) return sum;
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &cores) && softirqs[core])
            each_task(softirqs[core], add_task_cpu, &sum);
    return sum;
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

int64_t server_wait_rest(const pid_t *pids, int ms_max)
{
    enum { STEP_MS = 2, CALM_STEPS = 3 };
    int64_t before = server_cpu_ns(pids), now;
    int calm = 0;

    for (int ms = 0; ms < ms_max && calm < CALM_STEPS; ms += STEP_MS) {
        sleep_ms(STEP_MS);
        now = server_cpu_ns(pids);
        calm = now - before < STEP_MS * 20000 ? calm + 1 : 0;
        before = now;
    }
    return before;
}

/* ---- memory ---- */

static void add_task_memory(const char *task, void *context);

static void add_process_memory(pid_t pid, int64_t *sum)
{
    char folder[64], line[256];
    FILE *file;
    long kib;

    snprintf(folder, sizeof(folder), "/proc/%d", (int)pid);
    file = open_in(folder, "smaps_rollup");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Pss_Anon: %ld kB", &kib) == 1 ||
            sscanf(line, "Pss_Shmem: %ld kB", &kib) == 1)
            *sum += (int64_t)kib * 1024;
    if (file) fclose(file);
    each_task(pid, add_task_memory, sum);
}

static void add_task_memory(const char *task, void *context)
{
    FILE *file = open_in(task, "children");
    int child;

    while (file && fscanf(file, "%d", &child) == 1)
        add_process_memory(child, context);
    if (file) fclose(file);
}

int64_t server_memory_bytes(const pid_t *pids)
{
    int64_t sum = 0;

    for (const pid_t *pid = pids; *pid; pid++)
        add_process_memory(*pid, &sum);
    return sum;
}

int64_t machine_slab_bytes(void)
{
    FILE *file = open_in("/proc", "meminfo");
    char line[256];
    long kib = 0;

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Slab: %ld kB", &kib) == 1) break;
    if (file) fclose(file);
    return (int64_t)kib * 1024;
}

/* ---- sockets ---- */

static int ask_for_sockets(void)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } ask = {
        .header = {.nlmsg_len = sizeof(ask),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = AF_INET,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
                    .idiag_states = ~0u},
    };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

    if (fd < 0 || send(fd, &ask, sizeof(ask), 0) != sizeof(ask)) die("sock_diag");
    return fd;
}

static bool is_one_of(const struct inet_diag_sockid *id, const struct sockaddr_in *peers,
                      unsigned peer_count)
{
    for (unsigned i = 0; i < peer_count; i++)
        if (peers[i].sin_port == id->idiag_dport && peers[i].sin_addr.s_addr == id->idiag_dst[0])
            return true;
    return false;
}

static int64_t queued_bytes(struct nlmsghdr *header)
{
    struct inet_diag_msg *socket = NLMSG_DATA(header);
    size_t size = header->nlmsg_len - NLMSG_LENGTH(sizeof(*socket));
    uint32_t memory[SK_MEMINFO_VARS];

    for (struct rtattr *a = (struct rtattr *)(socket + 1); RTA_OK(a, size); a = RTA_NEXT(a, size)) {
        if (a->rta_type != INET_DIAG_SKMEMINFO || RTA_PAYLOAD(a) < sizeof(memory)) continue;
        memcpy(memory, RTA_DATA(a), sizeof(memory));
        return (int64_t)memory[SK_MEMINFO_WMEM_QUEUED] + memory[SK_MEMINFO_FWD_ALLOC];
    }
    return 0;
}

unsigned server_queued_bytes(uint16_t port, const struct sockaddr_in *peers, unsigned peer_count,
                             int64_t *bytes)
{
    static char buffer[1 << 16];
    unsigned found = 0;
    int fd = ask_for_sockets();

    *bytes = 0;
    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
        struct nlmsghdr *header = (struct nlmsghdr *)buffer;

        if (n <= 0) die("sock_diag");
        for (; NLMSG_OK(header, n); header = NLMSG_NEXT(header, n)) {
            struct inet_diag_msg *socket = NLMSG_DATA(header);

            if (header->nlmsg_type == NLMSG_ERROR) die("sock_diag");
            if (header->nlmsg_type == NLMSG_DONE) {
                close(fd);
                return found;
            }
            if (ntohs(socket->id.idiag_sport) != port) continue;
            if (!is_one_of(&socket->id, peers, peer_count)) continue;
            *bytes += queued_bytes(header);
            found++;
        }
    }
}
