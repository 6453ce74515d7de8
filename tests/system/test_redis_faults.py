"""Redis is there and wrong: it refuses writes, holds what nobody wrote here, or is slow."""

import time

import pytest

from cluster import Edge, Proxy, Redis, Watcher, await_leader
from listening import Listener
from server import FAST, Server, await_that

pytestmark = pytest.mark.servers

BTC = "BTCUSDT"
KEYS = ("lease:" + BTC, "fence", "latest:" + BTC, "symbols")


@pytest.fixture
def redis(tmp_path):
    redis = Redis(tmp_path)
    yield redis
    redis.kill()


@pytest.fixture
def start(tmp_path, redis):
    """start(NODE, FLAG…): "serve" or "edge", on that Redis."""
    started = []

    def start(command, *flags, at=None):
        url = ("--redis-url", at or redis.url)
        db = tmp_path / f"{len(started)}.duckdb"
        node = (
            Edge(*url, *flags)
            if command == "edge"
            else Server(*FAST, "--redis-enabled", *url, *flags, db=db)
        )
        started.append(node)
        return node

    yield start
    for node in started:
        if node.process.returncode is None:
            node.stop()


@pytest.fixture
def watch():
    watchers = []

    def watch(node):
        watchers.append(Watcher(node, BTC))
        return watchers[-1]

    yield watch
    for watcher in watchers:
        watcher.stop()


def await_news(watcher, versions=3):
    before = len(watcher.seen.get(BTC, ()))

    def moved():
        watcher.check()
        return len(watcher.seen.get(BTC, ())) >= before + versions

    await_that(moved, f"{versions} versions more")


@pytest.mark.parametrize(
    "setting", [("maxmemory", "1"), ("min-replicas-to-write", "3")], ids=["full", "no-replica"]
)
def test_a_server_computes_for_its_own_while_redis_takes_no_writes(start, watch, redis, setting):
    redis.cli("CONFIG", "SET", *setting)
    watcher = watch(start("serve"))
    await_news(watcher)
    redis.cli("CONFIG", "SET", setting[0], 0)
    edge = watch(start("edge"))
    await_news(edge)
    await_news(watcher)


def test_a_full_redis_passes_versions_on(start, watch, redis):
    node, edge = start("serve"), watch(start("edge"))
    await_news(edge)
    redis.cli("CONFIG", "SET", "maxmemory", 1)
    await_that(lambda: "Redis passes versions on and keeps none" in node.log(), "that is noticed")
    await_news(edge, 8)
    redis.cli("CONFIG", "SET", "maxmemory", 0)
    await_news(edge)
    assert len(edge.epochs[BTC]) == 1
    assert node.log().count("Redis passes versions on and keeps none") == 1
    assert node.get("/health")["redis"]["status"] == "up"


@pytest.mark.parametrize("fence", ["1152921504606846976", "nan", "x"])
def test_a_fence_that_nobody_gave_stops_nobody(start, watch, redis, fence):
    redis.cli("SET", "heatmap:fence", fence)
    nodes = [start("serve"), start("serve")]
    edge = watch(start("edge"))
    await_leader(nodes, BTC)
    await_news(edge, 8)
    assert len(edge.epochs[BTC]) == 1


def test_a_fence_of_a_server_whose_clock_goes_ahead_is_kept_to(start, redis):
    fence = int((time.time() + 3600) * 1000) * 1024
    redis.cli("SET", "heatmap:fence", fence)
    await_leader([start("serve")], BTC)
    assert int(redis.cli("GET", "heatmap:fence")) > fence
    assert int(redis.cli("GET", "heatmap:lease:" + BTC).split()[0]) > fence


@pytest.mark.parametrize("lease", ["x", "9" * 400 + " somebody"])
def test_a_lease_that_nobody_took_is_over_in_its_time(start, watch, redis, lease):
    redis.cli("SET", "heatmap:lease:" + BTC, lease, "PX", 1000)
    edge = watch(start("edge"))
    nodes = [start("serve"), start("serve")]
    await_news(edge, 8)
    await_leader(nodes, BTC)


def test_a_lease_without_an_end_is_over_at_once(start, watch, redis):
    redis.cli("SET", "heatmap:lease:" + BTC, "9 somebody")
    edge = watch(start("edge"))
    nodes = [start("serve"), start("serve")]
    await_leader(nodes, BTC)
    await_news(edge, 8)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_a_wrong_kind_is_written_anew(start, watch, redis, key):
    redis.cli("HSET", "heatmap:symbols", BTC, "sim")
    redis.cli("DEL", "heatmap:" + key)
    redis.cli("RPUSH", "heatmap:" + key, "wrong")
    nodes = [start("serve"), start("serve")]
    edge = watch(start("edge"))
    await_leader(nodes, BTC)
    await_news(edge, 8)


def test_what_takes_long_to_read_is_read(start, redis):
    """Each message comes in time, all of them do not."""
    for i in range(24):
        redis.cli("HSET", "heatmap:symbols", f"S{i}USDT", "sim")
        redis.cli("-x", "SET", f"heatmap:latest:S{i}USDT", stdin=b"x" * (64 << 10))
    proxy = Proxy(redis.port)
    proxy.delay = 0.2
    edge = start("edge", at=proxy.url)
    await_that(lambda: edge.get("/health")["redis"]["status"] == "up", "Redis up")
    proxy.close()


PATTERN = b"$10\r\npsubscribe\r\n$9\r\nheatmap:*\r\n"
CONFIRMED = b"*3\r\n" + PATTERN + b":1\r\n"


@pytest.mark.parametrize(
    "greeting, subscribed, listed",
    [
        (b"+PONG\r\n+PONG\r\n", b"", b""),
        (b"+PONG\r\n", b"+OK\r\n", b""),
        (b"+PONG\r\n", b"*0\r\n", b""),
        (b"+PONG\r\n", b"*2\r\n" + PATTERN, b""),
        (b"+PONG\r\n", b"*3\r\n:1\r\n:2\r\n:3\r\n", b""),
        (b"+PONG\r\n", b"*3\r\n$-1\r\n$-1\r\n:1\r\n", b""),
        (b"+PONG\r\n", b"*3\r\n*1\r\n:1\r\n*0\r\n:1\r\n", b""),
        (b"+PONG\r\n", CONFIRMED.replace(b"$10\r\np", b"$12\r\npun"), b""),
        (b"+PONG\r\n", CONFIRMED, b"*0\r\n*0\r\n"),
    ],
)
def test_what_nobody_asked_for_ends_the_connection_and_not_the_server(
    start, greeting, subscribed, listed
):
    """hiredis would end the process."""

    def answer(client):
        while words := client.recv(65536):
            client.sendall(greeting if b"PING" in words else b"")
            client.sendall(subscribed if b"PSUBSCRIBE" in words else b"")
            client.sendall(listed if b"HGETALL" in words else b"")

    with Listener(answer) as impostor:
        edge = start("edge", at=f"redis://127.0.0.1:{impostor.port}/0")
        await_that(lambda: "it says what nobody asked for" in edge.log(), "that is noticed")
        assert edge.get("/health")["redis"]["status"] == "away"
