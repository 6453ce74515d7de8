/* broadcast.c - what a publication costs the server, and how long it takes from the first to the
 * last of N clients. Starts build/release/heatcast itself, on a simulated market, over loopback.
 *
 *     make bench-broadcast [CLIENTS=1000] [SECONDS=20]
 *
 * Prints: start to first snapshot, memory per idle connection, spread of each publication over the
 * clients (all of them get every version), server CPU per message. The clients share the machine
 * with the server, so the spread includes their own reading. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/clock.h"
#include "wire/handshake.h"
#include "wire/ws.h"

enum { SEQ_MAX = 4096 };

struct client {
    int fd;
    bool is_open;
    struct ws ws;
    struct buf head;
};

static pid_t server;
static int port;
static int64_t first_us[SEQ_MAX], last_us[SEQ_MAX];
static uint32_t arrived[SEQ_MAX];
static uint64_t messages, bytes;

static NORETURN void die(const char *what)
{
    perror(what);
    if (server > 0) kill(server, SIGKILL);
    exit(1);
}

static void start_server(const char *program, const char *db)
{
    int out[2];
    FILE *lines;
    char line[512], *at;

    if (pipe(out)) die("pipe");
    server = fork();
    if (server == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        execl(program, program, "serve", "--feed", "sim", "--db", db, "--listen", "127.0.0.1:0",
              "--sim-speed", "300", "--ws-update-interval", "1", "--log-level", "error",
              "--ws-max-connections", "200000", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    lines = fdopen(out[0], "r");
    if (!lines || !fgets(line, sizeof(line), lines)) die("server");
    at = strrchr(line, ':');
    port = at ? atoi(at + 1) : 0;
    if (!port) die("server's address");
}

/* /proc/PID/FILE's number after `key`. */
static long status_kb(const char *key)
{
    char path[64], line[256];
    long value = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)server);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, key, strlen(key)) == 0) value = atol(line + strlen(key));
    if (file) fclose(file);
    return value;
}

static double cpu_seconds(void)
{
    unsigned long user, system;
    char path[64];
    FILE *file;
    int got;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)server);
    file = fopen(path, "r");
    if (!file) die("stat");
    got = fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                 &system);
    fclose(file);
    if (got != 2) die("stat");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void send_all(int fd, const struct buf *out)
{
    for (size_t at = 0; at < out->size;) {
        ssize_t n = send(fd, out->data + at, out->size - at, MSG_NOSIGNAL);

        if (n < 0) die("send");
        at += (size_t)n;
    }
}

static void open_client(struct client *c, int poll_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct handshake_request request = {.host = STR("bench"), .target = STR("/ws/heatmap")};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    struct buf out = {0};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address))) die("connect");
    handshake_write_request(&out, &request);
    send_all(c->fd, &out);
    buf_deinit(&out);
    ws_init(&c->ws, WS_CLIENT, 1 << 24, NULL);
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

static void subscribe(struct client *c)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    static const char text[] =
        "{\"action\":\"subscribe\",\"symbols\":[\"BTCUSDT\"],\"update_interval\":0}";
    struct buf out = {0};

    frame_append(&out, FRAME_FIN | WS_TEXT, text, sizeof(text) - 1, mask);
    send_all(c->fd, &out);
    buf_deinit(&out);
}

static void note_message(struct str text, int64_t now_us)
{
    static const char key[] = "\"seq\":";
    const char *at = memmem(text.at, text.size, key, sizeof(key) - 1);
    long seq = at ? atol(at + sizeof(key) - 1) : -1;

    messages++;
    bytes += text.size;
    if (seq < 0 || seq >= SEQ_MAX) return;
    if (!arrived[seq]++) first_us[seq] = now_us;
    last_us[seq] = now_us;
}

static void read_client(struct client *c, unsigned *open_count)
{
    static uint8_t buffer[1 << 18];
    ssize_t n = recv(c->fd, buffer, sizeof(buffer), 0);
    int64_t now_us = clock_monotonic_us();
    struct ws_event event;
    size_t at = 0;

    if (n <= 0) die("recv");
    if (!c->is_open) {
        struct http_response response;
        int head;

        buf_add(&c->head, buffer, (size_t)n);
        head = http_parse_response((uint8_t *)c->head.data, c->head.size, &response);
        if (head < 0 || (head > 0 && response.status != 101)) die("handshake");
        if (!head) return;
        at = (size_t)n - (c->head.size - (size_t)head);
        buf_deinit(&c->head);
        c->is_open = true;
        ++*open_count;
    }
    ws_feed(&c->ws, buffer + at, (size_t)n - at);
    while (ws_next(&c->ws, &event))
        if (event.type == WS_EVENT_TEXT) note_message(event.payload, now_us);
}

/* Reads for so long, or until `enough` clients are open. */
static void pump(int poll_fd, int64_t for_us, unsigned *open_count, unsigned enough)
{
    int64_t end_us = clock_monotonic_us() + for_us;
    struct epoll_event events[256];

    while (clock_monotonic_us() < end_us && *open_count < enough) {
        int n = epoll_wait(poll_fd, events, 256, 20);

        for (int i = 0; i < n; i++)
            read_client(events[i].data.ptr, open_count);
    }
}

static void connect_clients(struct client *clients, unsigned count, int poll_fd)
{
    unsigned open_count = 0;

    for (unsigned i = 0; i < count; i++)
        open_client(&clients[i], poll_fd);
    pump(poll_fd, 10000000, &open_count, count);
    if (open_count != count) die("not all clients could connect");
    pump(poll_fd, 500000, &(unsigned){0}, 1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(unsigned client_count, double cpu, double wall)
{
    double spreads[SEQ_MAX];
    size_t count = 0;

    for (size_t i = 0; i < SEQ_MAX; i++)
        if (arrived[i] == client_count)
            spreads[count++] = (double)(last_us[i] - first_us[i]) / 1000;
    if (!count) {
        printf("no publication reached all clients\n");
        return;
    }
    qsort(spreads, count, sizeof(*spreads), by_value);
    printf("publications that reached all %u clients: %zu in %.1f s, %.0f bytes each\n",
           client_count, count, wall, (double)bytes / (double)messages);
    printf("first to last client: median %.2f ms, p90 %.2f ms, worst %.2f ms\n", spreads[count / 2],
           spreads[count * 9 / 10], spreads[count - 1]);
    printf("server CPU: %.2f us per message (%llu messages), %.1f %% of a core\n",
           cpu * 1e6 / (double)messages, (unsigned long long)messages, cpu / wall * 100);
}

int main(int argc, char **argv)
{
    const char *program = argc > 1 ? argv[1] : "build/release/heatcast";
    unsigned client_count = argc > 2 ? (unsigned)atoi(argv[2]) : 1000, one = 0;
    double seconds = argc > 3 ? atof(argv[3]) : 20, cpu;
    struct client *clients = mem_zalloc((client_count + 1) * sizeof(*clients));
    char folder[] = "/tmp/heatcast-bench-XXXXXX", db[64];
    int poll_fd = epoll_create1(0);
    long before_kb, after_kb;
    int64_t start_us;
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (!mkdtemp(folder)) die("mkdtemp");
    snprintf(db, sizeof(db), "%s/bench.duckdb", folder);
    start_us = clock_monotonic_us();
    start_server(program, db);
    printf("listening %.0f ms after the start (a week of simulated history written)\n",
           (double)(clock_monotonic_us() - start_us) / 1000);
    open_client(&clients[client_count], poll_fd);
    pump(poll_fd, 5000000, &one, 1);
    subscribe(&clients[client_count]);
    while (!messages)
        pump(poll_fd, 1000, &(unsigned){0}, 1);
    printf("first snapshot %.0f ms after the start\n",
           (double)(clock_monotonic_us() - start_us) / 1000);
    epoll_ctl(poll_fd, EPOLL_CTL_DEL, clients[client_count].fd, NULL);
    close(clients[client_count].fd);

    /* The second half tells what one costs; the first also wakes what is there once. */
    connect_clients(clients, client_count / 2, poll_fd);
    before_kb = status_kb("VmRSS:");
    connect_clients(clients + client_count / 2, client_count - client_count / 2, poll_fd);
    after_kb = status_kb("VmRSS:");
    printf("%u idle WebSocket connections: %.2f KiB of server memory each (%ld KiB with half)\n",
           client_count, (double)(after_kb - before_kb) / (client_count - client_count / 2),
           before_kb);

    for (unsigned i = 0; i < client_count; i++)
        subscribe(&clients[i]);
    pump(poll_fd, 2000000, &(unsigned){0}, 1);
    messages = bytes = 0;
    memset(arrived, 0, sizeof(arrived));
    cpu = cpu_seconds();
    pump(poll_fd, (int64_t)(seconds * 1e6), &(unsigned){0}, 1);
    report(client_count, cpu_seconds() - cpu, seconds);
    printf("server memory at the end: %ld KiB\n", status_kb("VmRSS:"));
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    unlink(db);
    rmdir(folder);
    return 0;
}
