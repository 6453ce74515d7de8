"""Redis is there and wrong: it refuses writes, holds what nobody wrote here, or is slow."""

import pytest

from cluster import Edge, Proxy, Redis, Watcher, await_leader
from server import FAST, Server, await_that

pytestmark = pytest.mark.servers

BTC = "BTCUSDT"
KEYS = ("lease:" + BTC, "fence", "latest:" + BTC)


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


@pytest.mark.parametrize("fence", ["1152921504606846976", "nan", "x"])
def test_a_fence_that_nobody_gave_stops_nobody(start, watch, redis, fence):
    redis.cli("SET", "heatmap:fence", fence)
    nodes = [start("serve"), start("serve")]
    edge = watch(start("edge"))
    await_leader(nodes, BTC)
    await_news(edge, 8)
    assert len(edge.epochs[BTC]) == 1


@pytest.mark.parametrize("lease", ["x", "9" * 400 + " somebody"])
def test_a_lease_that_nobody_took_is_over_in_its_time(start, watch, redis, lease):
    redis.cli("SET", "heatmap:lease:" + BTC, lease, "PX", 1000)
    edge = watch(start("edge"))
    nodes = [start("serve"), start("serve")]
    await_news(edge, 8)
    await_leader(nodes, BTC)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_a_wrong_kind_is_written_anew(start, watch, redis, key):
    redis.cli("RPUSH", "heatmap:" + key, "wrong")
    redis.cli("HSET", "heatmap:symbols", BTC, "sim")
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
