#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/shard.h"
#include "serve/stale.h"
#include "test.h"

/* A shard that listens on a free port of 127.0.0.1; its loop runs when the test lets it. */
static struct shard_env env;
static struct shard *shard;
static char no_text[] = "";

static void ignore_interest(struct hub *hub, const struct topic *topic)
{
    (void)hub, (void)topic;
}

static void open_shard(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(&env, 0, sizeof(env));
    env.ws_enabled = true;
    env.connections_max = 10;
    env.message_bytes_max = 4096;
    env.slow_consumer_ms = 60000;
    env.publish_token = env.origins = env.listen_host = env.web_root = no_text;
    shard = mem_alloc_aligned(sizeof(*shard), _Alignof(struct shard));
    assert_int_equal(shard_init(shard, &env, 0, (struct sockaddr *)&address), 0);
    hub_add_topic(&shard->hub, "MINE", 0);
    shard->hub.on_interest = ignore_interest; /* there is no main loop to tell */
}

static void close_shard(void)
{
    shard_stop(shard);
    loop_run(&shard->loop);
    shard_deinit(shard);
    free(shard);
}

static int send_request(const char *request)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_int_equal(getsockname(shard->listener, (struct sockaddr *)&address, &size), 0);
    connect(fd, (struct sockaddr *)&address, size);
    for (int i = 0; i < 5000 && send(fd, request, strlen(request), MSG_NOSIGNAL) < 0; i++)
        usleep(1000);
    return fd;
}

struct client {
    int fd;
    char text[8192]; /* all that came */
    size_t size;
};

static struct client come(const char *target, const char *more)
{
    char request[512];

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, more);
    return (struct client){.fd = send_request(request)};
}

static struct client come_by_socket(void)
{
    return come("/ws/heatmap", "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                               "Sec-WebSocket-Version: 13\r\n");
}

static struct client come_by_events(void)
{
    return come("/sse/heatmap?symbols=MINE", "");
}

/* How often this stands in what the client has been sent. */
static size_t count(const struct client *client, const char *what)
{
    const char *at = client->text, *end = at + client->size;
    size_t found = 0;

    for (; (at = memmem(at, (size_t)(end - at), what, strlen(what))); at += strlen(what))
        found++;
    return found;
}

static void turn(struct client *client)
{
    ssize_t size;

    uv_run(&shard->loop.uv, UV_RUN_NOWAIT);
    size = recv(client->fd, client->text + client->size, sizeof(client->text) - client->size - 1,
                MSG_DONTWAIT);
    if (size > 0) client->size += (size_t)size;
    usleep(1000);
}

/* Lets the shard run until the client has been sent this so often; then a little longer, for what
 * should not come. */
static void run_until(struct client *client, const char *what, size_t times)
{
    for (int i = 0; i < 20000 && count(client, what) < times; i++)
        turn(client);
    for (int i = 0; i < 20; i++)
        turn(client);
    assert_int_equal(count(client, what), times);
}

#define WARNING "\"code\":\"STALE\""

static void check_door(struct client (*come_in)(void), const char *welcome)
{
    struct client early, late;

    open_shard();
    early = come_in();
    run_until(&early, welcome, 1);
    assert_int_equal(count(&early, WARNING), 0);
    stale_set(shard, true, INT64_C(1767002400123));
    stale_set(shard, true, INT64_C(1767002400999));
    run_until(&early, WARNING, 1);
    assert_int_equal(count(&early, "\"since\":\"2025-12-29T10:00:00.123Z\""), 1);
    late = come_in();
    run_until(&late, WARNING, 1);
    stale_set(shard, false, 0);
    stale_set(shard, true, INT64_C(1767002500000));
    run_until(&early, WARNING, 2);
    run_until(&late, WARNING, 2);
    assert_int_equal(count(&late, "\"since\":\"2025-12-29T10:01:40Z\""), 1);
    stale_set(shard, false, 0);
    close(late.fd);
    late = come_in();
    run_until(&late, welcome, 1);
    assert_int_equal(count(&late, WARNING), 0);
    close(early.fd);
    close(late.fd);
    close_shard();
}

TEST(every_websocket_is_told_once_that_there_is_no_news_now_or_when_it_comes)
{
    check_door(come_by_socket, "101 Switching");
}

TEST(every_stream_of_events_is_told_the_same)
{
    check_door(come_by_events, "retry: ");
}

TEST(on_a_stream_of_events_it_is_an_event_called_warning)
{
    struct client client;

    open_shard();
    stale_set(shard, true, INT64_C(1767002400123));
    client = come_by_events();
    run_until(&client, "event: warning\ndata: {\"type\":\"warning\"," WARNING, 1);
    close(client.fd);
    close_shard();
}
