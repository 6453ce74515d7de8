/* load.c - the load generator of `make bench`: N WebSocket clients of one server, and what each
 * broadcast to them takes.
 *
 *     load --port P[,P…] --pid PID[,PID…] --clients N --payloads FILE [more; read_options()]
 *
 * Opens the clients, half by half, then for each broadcast: posts the next payload, notes when the
 * last byte of the message is at each client, and the server's CPU time until it rests again. One
 * clock, this process's. Before each it pauses for --pause-ms: longer than a receiver holds back an
 * acknowledgement (40 ms), so that no broadcast pays for the last one's. While a broadcast is under
 * way it looks for events without sleeping, so that waking it is no cost of the server's. With
 * --late-ms it sleeps instead and reads afterwards, with the kernel's time stamps: for servers that
 * need both cores of a small machine. With several ports the clients are spread over them, and the
 * server is all the processes together. Prints one JSON object; times in microseconds, sizes in
 * bytes. The payloads' file: for each, its size in decimal, a line feed, its bytes. bench/run.py
 * and bench/cluster.py are the drivers. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "load_crowd.h"
#include "load_server.h"
#include "wire/http.h"

enum {
    PAYLOADS_MAX = 4096,
    SETTLE_MS_MAX = 3000,
    REST_MS_MAX = 200,
    RETURN_QUIET_MS = 500,
    PIDS_MAX = 32
};

struct options {
    int post_port, clients, stalled, deflate, broadcasts, warmups, message_min, late_ms, pause_ms,
        timeout_s, limit_s;
    int ports[CROWD_PORTS_MAX], pids[PIDS_MAX]; /* 0 after the last */
    const char *path, *subscribe, *publish, *token, *payloads;
};

struct result {
    int64_t first_ns, median_ns, p99_ns, last_ns, cpu_ns;
    unsigned done;
};

struct load {
    struct options options;
    struct crowd crowd;
    struct buf payloads;
    struct str payload[PAYLOADS_MAX]; /* in payloads */
    unsigned payload_count, payload_next;
    int trigger_fd;
    struct buf answer; /* to the POST that is under way */
    int64_t *times;    /* scratch: one broadcast's, of all clients */
};

static NORETURN void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- options ---- */

static NORETURN void usage(void)
{
    fprintf(stderr, "usage: load --port P[,P...] --pid PID[,PID...] --clients N --payloads FILE "
                    "[--NAME VALUE]...\n");
    exit(2);
}

/* Numbers with commas between them; one place stays 0. */
static void read_list(const char *text, int *list, size_t room)
{
    char *end;

    for (size_t i = 0; i + 1 < room; i++) {
        list[i] = (int)strtol(text, &end, 10);
        if (list[i] <= 0 || (*end && *end != ',')) usage();
        if (!*end) return;
        text = end + 1;
    }
    usage();
}

static void read_options(int argc, char **argv, struct options *o)
{
    const struct {
        const char *name;
        int *number;
        const char **text;
        int *list;
        size_t room;
    } table[] = {
        {"--port", .list = o->ports, .room = ARRAY_LEN(o->ports)},
        {"--post-port", .number = &o->post_port}, /* what is posted goes here, not to the first */
        {"--pid", .list = o->pids, .room = ARRAY_LEN(o->pids)},
        {"--clients", .number = &o->clients},
        {"--stalled", .number = &o->stalled}, /* so many of them never read */
        {"--deflate", .number = &o->deflate}, /* 1: offer permessage-deflate */
        {"--broadcasts", .number = &o->broadcasts},
        {"--warmups", .number = &o->warmups}, /* broadcasts before those that count */
        {"--message-min",
         .number = &o->message_min},            /* bytes; smaller messages are not the payload */
        {"--late-ms", .number = &o->late_ms},   /* read so long after the trigger */
        {"--pause-ms", .number = &o->pause_ms}, /* before each broadcast */
        {"--timeout", .number = &o->timeout_s}, /* of one broadcast */
        {"--limit", .number = &o->limit_s},     /* no new broadcast after so many seconds */
        {"--path", .text = &o->path},
        {"--subscribe", .text = &o->subscribe}, /* the message to send first */
        {"--publish", .text = &o->publish},     /* the path to post to */
        {"--token", .text = &o->token},         /* a bearer token for it */
        {"--payloads", .text = &o->payloads},
    };

    for (int i = 1; i < argc; i += 2) {
        size_t row = 0;

        while (row < ARRAY_LEN(table) && strcmp(argv[i], table[row].name))
            row++;
        if (row == ARRAY_LEN(table) || i + 1 == argc) usage();
        if (table[row].list)
            read_list(argv[i + 1], table[row].list, table[row].room);
        else if (table[row].text)
            *table[row].text = argv[i + 1];
        else
            *table[row].number = atoi(argv[i + 1]);
    }
    if (!o->post_port) o->post_port = o->ports[0];
    if (!o->ports[0] || !o->pids[0] || o->clients < 2 || !o->payloads || o->stalled >= o->clients)
        usage();
}

static void read_payloads(struct load *load)
{
    FILE *file = fopen(load->options.payloads, "r");
    char bytes[1 << 16], *end;
    size_t n;

    if (!file) die(load->options.payloads);
    while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
        buf_add(&load->payloads, bytes, n);
    fclose(file);
    buf_add_char(&load->payloads, '\0'); /* strtoul() ends somewhere */
    for (size_t at = 0; at + 1 < load->payloads.size && load->payload_count < PAYLOADS_MAX;) {
        size_t size = strtoul(load->payloads.data + at, &end, 10);

        at = (size_t)(end + 1 - load->payloads.data);
        load->payload[load->payload_count++] = (struct str){load->payloads.data + at, size};
        at += size;
    }
    if (!load->payload_count) usage();
}

/* ---- the trigger: a POST on a connection of its own ---- */

static void trigger_open(struct load *load)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)load->options.post_port)};
    struct epoll_event event = {.events = EPOLLIN};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load->trigger_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (load->trigger_fd < 0) die("socket");
    if (connect(load->trigger_fd, (struct sockaddr *)&to, sizeof(to))) die("connect");
    if (epoll_ctl(load->crowd.poll_fd, EPOLL_CTL_ADD, load->trigger_fd, &event)) die("epoll_ctl");
}

/* Servers may close a connection that was idle for a while. */
static void trigger_reopen(struct load *load)
{
    char byte;

    if (recv(load->trigger_fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 0) return;
    close(load->trigger_fd);
    trigger_open(load);
}

static void request_write(struct load *load, struct buf *out)
{
    struct options *o = &load->options;
    struct str body = load->payload[load->payload_next++ % load->payload_count];

    buf_printf(out,
               "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n",
               o->publish, body.size);
    if (o->token) buf_printf(out, "Authorization: Bearer %s\r\n", o->token);
    buf_add_text(out, "\r\n");
    buf_add(out, body.at, body.size);
}

static void trigger_send(struct load *load, const struct buf *request)
{
    for (size_t at = 0; at < request->size;) {
        ssize_t n = send(load->trigger_fd, request->data + at, request->size - at, MSG_NOSIGNAL);

        if (n < 0) die("publish");
        at += (size_t)n;
    }
    buf_clear(&load->answer);
}

/* Reads what is there of the answer; true when it is whole. */
static bool trigger_read(struct load *load)
{
    struct http_response response;
    char bytes[4096];
    ssize_t n = recv(load->trigger_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    struct str length;
    int head;

    if (n == 0 || (n < 0 && errno != EAGAIN)) die("publish: no answer");
    if (n > 0) buf_add(&load->answer, bytes, (size_t)n);
    head = http_parse_response((uint8_t *)load->answer.data, load->answer.size, &response);
    if (head == 0) return false;
    if (head < 0 || response.status / 100 != 2) {
        fprintf(stderr, "load: publish was answered %.*s\n", (int)load->answer.size,
                load->answer.data);
        exit(1);
    }
    length = http_header(&response.headers, "Content-Length");
    return load->answer.size >= (size_t)head + (length.at ? strtoul(length.at, NULL, 10) : 0);
}

/* ---- one broadcast ---- */

/* Stalled clients are not waited for. */
static unsigned readers_open(const struct load *load)
{
    unsigned count = 0;

    for (unsigned i = 0; i < load->crowd.count; i++)
        count += load->crowd.clients[i].state == CLIENT_OPEN && !load->crowd.clients[i].is_stalled;
    return count;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void summarize(struct load *load, int64_t start_ns, struct result *r)
{
    unsigned n = 0;

    for (unsigned i = 0; i < load->crowd.count; i++)
        if (load->crowd.clients[i].is_done)
            load->times[n++] = load->crowd.clients[i].done_ns - start_ns;
    r->done = n;
    if (n == 0) return;
    qsort(load->times, n, sizeof(*load->times), by_value);
    r->first_ns = load->times[0];
    r->median_ns = load->times[n / 2];
    r->p99_ns = load->times[(uint64_t)n * 99 / 100];
    r->last_ns = load->times[n - 1];
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static void broadcast(struct load *load, struct result *r)
{
    int64_t cpu_ns = server_cpu_ns(load->options.pids), start_ns, end_ns;
    bool is_answered = false;
    unsigned expected = readers_open(load);
    struct buf request = {0};

    trigger_reopen(load);
    request_write(load, &request);
    crowd_expect(&load->crowd);
    sleep_ms(load->options.pause_ms);
    start_ns = crowd_now_ns(&load->crowd);
    end_ns = start_ns + load->options.timeout_s * INT64_C(1000000000);
    trigger_send(load, &request);
    if (load->options.late_ms) sleep_ms(load->options.late_ms);
    while (load->crowd.done < expected || !is_answered) {
        if (crowd_pump(&load->crowd, 0) && !is_answered) is_answered = trigger_read(load);
        if (load->crowd.closed) expected = MIN(expected, readers_open(load));
        if (crowd_now_ns(&load->crowd) > end_ns) break;
    }
    summarize(load, start_ns, r);
    r->cpu_ns = server_wait_rest(load->options.pids, REST_MS_MAX) - cpu_ns;
    buf_deinit(&request);
}

/* ---- the whole run ---- */

struct opening {
    unsigned failed;
    int64_t connect_cpu_ns, subscribe_cpu_ns, elapsed_ns; /* of the second half */
    int64_t memory_before, memory_half, memory_full;
    int64_t slab_bytes; /* that the machine's kernel took for them, both ends */
};

/* What arrives until the server rests, such as answers to subscriptions, is read here. */
static int64_t settle(struct load *load)
{
    int64_t cpu_ns;

    sleep_ms(50);
    cpu_ns = server_wait_rest(load->options.pids, SETTLE_MS_MAX);
    while (crowd_pump(&load->crowd, 0) && trigger_read(load))
        continue;
    return cpu_ns;
}

/* The second half tells what one costs; the first also wakes what is there once. */
static struct opening open_clients(struct load *load)
{
    unsigned half = load->crowd.count / 2, all = load->crowd.count;
    int64_t cpu_ns, start_ns, slab_bytes;
    struct opening o = {0};

    settle(load);
    o.memory_before = server_memory_bytes(load->options.pids);
    o.failed = crowd_open(&load->crowd, 0, half);
    crowd_subscribe(&load->crowd, 0, half);
    cpu_ns = settle(load);
    o.memory_half = server_memory_bytes(load->options.pids);
    slab_bytes = machine_slab_bytes();
    start_ns = crowd_now_ns(&load->crowd);
    o.failed += crowd_open(&load->crowd, half, all);
    o.elapsed_ns = crowd_now_ns(&load->crowd) - start_ns;
    o.connect_cpu_ns = settle(load) - cpu_ns;
    cpu_ns += o.connect_cpu_ns;
    crowd_subscribe(&load->crowd, half, all);
    o.subscribe_cpu_ns = settle(load) - cpu_ns;
    o.memory_full = server_memory_bytes(load->options.pids);
    o.slab_bytes = machine_slab_bytes() - slab_bytes;
    return o;
}

struct stall {
    unsigned alive; /* stalled clients that the server had not given up at the end */
    int64_t kernel_bytes, process_bytes;
    unsigned stale_median, stale_max; /* messages before the newest one, on return */
    unsigned newest;                  /* clients whose last message was the newest one */
};

/* Does the last message hold the last payload's price? The payloads of a stalled run all differ in
 * it. Compressed messages are not looked into. */
static bool has_newest(const struct load *load, const struct client *c)
{
    static const char key[] = "\"current_price\":";
    struct str body = load->payload[(load->payload_next - 1) % load->payload_count];
    const char *at = memmem(body.at, body.size, key, sizeof(key) - 1);
    const char *end = at ? memchr(at, ',', body.size - (size_t)(at - body.at)) : NULL;

    return end && memmem(c->tail, sizeof(c->tail), at, (size_t)(end - at));
}

/* The stalled ones read everything until nothing more comes. */
static void let_return(struct load *load)
{
    int64_t quiet_ns = crowd_now_ns(&load->crowd);
    uint64_t before = 0, now;

    crowd_unstall(&load->crowd);
    do {
        crowd_pump(&load->crowd, 10);
        now = 0;
        for (unsigned i = 0; i < load->crowd.count; i++)
            now += load->crowd.clients[i].message_count;
        if (now != before) quiet_ns = crowd_now_ns(&load->crowd);
        before = now;
    } while (crowd_now_ns(&load->crowd) - quiet_ns < RETURN_QUIET_MS * INT64_C(1000000));
}

static void look_at_stalled(struct load *load, int64_t memory_before, struct stall *s)
{
    struct sockaddr_in *peers = mem_zalloc(load->crowd.count * sizeof(*peers));
    unsigned stalled = 0, n = 0;

    for (unsigned i = 0; i < load->crowd.count; i++)
        if (load->crowd.clients[i].is_stalled) peers[stalled++] = load->crowd.clients[i].address;
    s->alive =
        server_queued_bytes((uint16_t)load->options.ports[0], peers, stalled, &s->kernel_bytes);
    s->process_bytes = server_memory_bytes(load->options.pids) - memory_before;
    free(peers);
    let_return(load);
    for (unsigned i = 0; i < load->crowd.count; i++) {
        struct client *c = &load->crowd.clients[i];

        if (!c->is_stalled || c->message_count == 0) continue;
        load->times[n++] = c->message_count - 1;
        s->newest += has_newest(load, c);
    }
    if (n == 0) return;
    qsort(load->times, n, sizeof(*load->times), by_value);
    s->stale_median = (unsigned)load->times[n / 2];
    s->stale_max = (unsigned)load->times[n - 1];
}

static double us(int64_t ns)
{
    return (double)ns / 1000;
}

static void print_opening(const struct load *load, const struct opening *o)
{
    unsigned half = load->crowd.count - load->crowd.count / 2;

    printf("{\"clients\":%u,\"stalled\":%d,\"connect_failed\":%u,\"connect_us\":%.1f,"
           "\"connect_cpu_us\":%.2f,\"subscribe_cpu_us\":%.2f,\"memory_bytes\":%lld,"
           "\"memory_per_client\":%.0f,\"slab_per_client\":%.0f,",
           load->crowd.count, load->options.stalled, o->failed, us(o->elapsed_ns) / half,
           us(o->connect_cpu_ns) / half, us(o->subscribe_cpu_ns) / half,
           (long long)o->memory_before, (double)(o->memory_full - o->memory_half) / half,
           (double)o->slab_bytes / half);
}

static void print_results(const struct load *load, const struct result *results, int count)
{
    printf("\"closed\":%u,\"message_bytes\":%llu,\"broadcasts\":[", load->crowd.closed,
           (unsigned long long)load->crowd.last_message_bytes);
    for (int i = 0; i < count; i++)
        printf("%s{\"first_us\":%.1f,\"median_us\":%.1f,\"p99_us\":%.1f,\"last_us\":%.1f,"
               "\"cpu_us\":%.1f,\"done\":%u}",
               i ? "," : "", us(results[i].first_ns), us(results[i].median_ns),
               us(results[i].p99_ns), us(results[i].last_ns), us(results[i].cpu_ns),
               results[i].done);
    printf("]");
}

static void print_stall(const struct load *load, const struct stall *s)
{
    double stalled = load->options.stalled;

    printf(",\"stall\":{\"alive\":%u,\"kernel_bytes\":%.0f,\"process_bytes\":%.0f,"
           "\"stale_median\":%u,\"stale_max\":%u,\"newest\":%u}",
           s->alive, (double)s->kernel_bytes / stalled, (double)s->process_bytes / stalled,
           s->stale_median, s->stale_max, s->newest);
}

static void raise_file_limit(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void run(struct load *load)
{
    const struct options *o = &load->options;
    struct result *results = mem_zalloc((size_t)(o->broadcasts + 1) * sizeof(*results));
    int64_t end_ns, memory_before, memory_growth;
    struct opening opening;
    struct stall stall = {0};
    int count = 0;

    trigger_open(load);
    opening = open_clients(load);
    for (int i = 0; i < o->warmups; i++)
        broadcast(load, &results[0]);
    memory_before = server_memory_bytes(o->pids);
    end_ns = crowd_now_ns(&load->crowd) + o->limit_s * INT64_C(1000000000);
    while (count < o->broadcasts && crowd_now_ns(&load->crowd) < end_ns)
        broadcast(load, &results[count++]);
    memory_growth = server_memory_bytes(o->pids) - opening.memory_before;
    print_opening(load, &opening);
    print_results(load, results, count);
    if (o->stalled) {
        look_at_stalled(load, memory_before, &stall);
        print_stall(load, &stall);
    }
    printf(",\"memory_growth\":%lld}\n", (long long)memory_growth);
    free(results);
}

int main(int argc, char **argv)
{
    static struct load load = {.options = {.broadcasts = 10,
                                           .warmups = 2,
                                           .message_min = 512,
                                           .timeout_s = 20,
                                           .limit_s = 600,
                                           .path = "/ws",
                                           .publish = "/publish",
                                           .subscribe = ""}};
    struct options *o = &load.options;

    struct crowd_options crowd;

    raise_file_limit();
    read_options(argc, argv, o);
    read_payloads(&load);
    crowd = (struct crowd_options){.target = str_of(o->path),
                                   .subscribe = str_of(o->subscribe),
                                   .offers_deflate = o->deflate,
                                   .uses_kernel_time = o->late_ms > 0,
                                   .message_bytes = (uint64_t)o->message_min};
    while (o->ports[crowd.port_count]) {
        crowd.ports[crowd.port_count] = (uint16_t)o->ports[crowd.port_count];
        crowd.port_count++;
    }
    crowd_init(&load.crowd, &crowd, (unsigned)o->clients, (unsigned)o->stalled);
    load.times = mem_zalloc((size_t)o->clients * sizeof(*load.times));
    run(&load);
    crowd_deinit(&load.crowd);
    buf_deinit(&load.payloads);
    buf_deinit(&load.answer);
    free(load.times);
    return 0;
}
