#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/shard.h"
#include "test.h"

/* A shard that listens on a free port of 127.0.0.1 and never runs. */
static struct shard_env env;
static struct shard *shard;

static void open_shard(int64_t slow_consumer_ms)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(&env, 0, sizeof(env));
    env.slow_consumer_ms = slow_consumer_ms;
    shard = mem_alloc_aligned(sizeof(*shard), _Alignof(struct shard));
    assert_int_equal(shard_init(shard, &env, 0, (struct sockaddr *)&address), 0);
}

static void close_shard(void)
{
    shard_stop(shard);
    loop_run(&shard->loop);
    shard_deinit(shard);
    free(shard);
}

/* The server's end of a connection. The other one is closed. */
static int accept_one(void)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    int near = socket(AF_INET, SOCK_STREAM, 0), far;

    assert_int_equal(getsockname(shard->listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(near, (struct sockaddr *)&address, size), 0);
    far = accept(shard->listener, NULL, NULL);
    assert_true(far >= 0);
    close(near);
    return far;
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, option, &value, &size), 0);
    return value;
}

TEST(a_connection_has_the_options_of_its_listener)
{
    int fd;

    open_shard(5000);
    fd = accept_one();
    assert_true(option_of(fd, TCP_NODELAY));
    assert_int_equal(option_of(fd, TCP_NOTSENT_LOWAT), 16384);
    assert_int_equal(option_of(fd, TCP_USER_TIMEOUT), LIMIT_DEAD_MS + LIMIT_PARTING_MS);
    close(fd);
    close_shard();
}

/* A client that takes nothing hears why from us, before the kernel drops it without a word. */
TEST(the_kernels_deadline_comes_after_the_one_for_slow_consumers)
{
    static const int64_t deadlines_ms[] = {1000, LIMIT_DEAD_MS, 600000, 86400000};

    for (size_t i = 0; i < ARRAY_LEN(deadlines_ms); i++) {
        int fd;

        open_shard(deadlines_ms[i]);
        fd = accept_one();
        assert_true(option_of(fd, TCP_USER_TIMEOUT) >= deadlines_ms[i] + LIMIT_PARTING_MS);
        close(fd);
        close_shard();
    }
}

/* --- pings --- */

TEST(pings_come_in_the_rhythm_give_or_take_the_jitter)
{
    for (int fd = 0; fd < 20000; fd++) {
        struct conn c = {.fd = fd};
        int64_t first_ms = conn_ping_ms(&c);

        assert_in_range(first_ms, LIMIT_PING_MS - LIMIT_PING_JITTER_MS,
                        LIMIT_PING_MS + LIMIT_PING_JITTER_MS);
        c.pings_unheard = 1;
        assert_int_equal(conn_ping_ms(&c), first_ms + LIMIT_PING_MS);
    }
}

/* Those who connect at once have numbers in a row. */
TEST(clients_that_came_at_once_are_not_pinged_at_once)
{
    enum { CLIENTS = 1000, PARTS = 20 };

    for (int first_fd = 10; first_fd < 15000; first_fd += 777) {
        int in_part[PARTS] = {0};

        for (int i = 0; i < CLIENTS; i++) {
            struct conn c = {.fd = first_fd + i};
            int64_t early_ms = conn_ping_ms(&c) - (LIMIT_PING_MS - LIMIT_PING_JITTER_MS);

            in_part[early_ms * PARTS / (2 * LIMIT_PING_JITTER_MS + 1)]++;
        }
        for (int part = 0; part < PARTS; part++)
            assert_in_range(in_part[part], CLIENTS / PARTS / 2, CLIENTS / PARTS * 2);
    }
}
