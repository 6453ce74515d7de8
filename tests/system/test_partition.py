"""Servers in network namespaces: a line to Redis that is gone says nothing, not even that it is."""

import time

import pytest

from cluster import (
    BTC,
    HANDOVER,
    Cluster,
    Redis,
    assert_same,
    await_leader,
    await_progress,
    leaders,
    redis_is,
)
from model import Model, content_of, taking
from namespaces import REDIS_HOST, Bridge, Resident, why_not
from server import FAST, SLACK, await_that

pytestmark = pytest.mark.cluster

# Until a silent line is known to be one (limits.h), and until others have what it led.
SILENCE = 2.5 * SLACK
TAKEOVER = HANDOVER * SLACK


@pytest.fixture
def bridge():
    if why := why_not():
        pytest.skip(f"NO NETWORK NAMESPACES: {why}")
    bridge = Bridge()
    yield bridge
    bridge.end()


@pytest.fixture
def town(bridge, tmp_path):
    """.full() and .edge(), each in a home of its own, on a Redis across the bridge."""

    class Town(Cluster):
        def full(self, *flags, feed=FAST, **env):
            db = tmp_path / f"{len(self.started)}.duckdb"
            return self._settle("serve", "--redis-enabled", "--db", db, *feed, *flags, **env)

        def edge(self, *flags, **env):
            return self._settle("edge", *flags, **env)

        def _settle(self, command, *flags, **env):
            flags = ("--redis-url", self.url, *flags)
            self.started.append(Resident(bridge.home(), command, *flags, **env))
            return self.started[-1]

    redis = Redis(tmp_path, "bind", "0.0.0.0", "protected-mode", "no")
    town = Town(tmp_path, f"redis://{REDIS_HOST}:{redis.port}/0")
    yield town
    town.end()
    redis.kill()


@pytest.fixture
def pair(town):
    """Who leads, who follows, and a watcher on each."""
    nodes = [town.full(), town.full()]
    watchers = [town.watch(node, BTC) for node in nodes]
    for watcher in watchers:
        await_progress(watcher)
    leader = await_leader(nodes, BTC)
    if leader is nodes[1]:
        nodes.reverse()
        watchers.reverse()
    return *nodes, *watchers


def await_one(leader, follower, watchers):
    """Both are of one epoch again, within the longest pause between two tries and a hand-over."""
    await_that(lambda: follower.get("/health")["redis"]["status"] == "up", "it is back")

    def is_one():
        epochs = {watcher.newest(BTC)[0] for watcher in watchers}
        return len(epochs) == 1 and leaders([leader, follower], BTC) == [leader]

    await_that(is_one, "one leads, and both show it", 2 * SLACK + 2 * TAKEOVER)
    for watcher in watchers:
        await_progress(watcher)
    assert_same(watchers, BTC)


def test_a_leader_whose_line_is_gone_is_followed_goes_on_and_joins_again(pair):
    leader, follower, own, other = pair
    epoch, _ = other.newest(BTC)
    leader.home.cut()
    began = time.monotonic()
    await_that(lambda: leaders([follower], BTC), "the other leads")
    assert time.monotonic() - began < TAKEOVER
    await_that(lambda: not leaders([leader], BTC), "it knows that it does not lead")
    assert time.monotonic() - began < TAKEOVER + SILENCE
    other.await_other_epoch(BTC, epoch)
    for watcher in [own, other]:
        await_progress(watcher, versions=6)
    assert own.newest(BTC)[0] == epoch, "its own clients notice nothing"
    leader.home.mend()
    await_one(follower, leader, [own, other])


def test_a_follower_whose_line_is_gone_goes_its_own_way_and_is_called_back(pair):
    leader, follower, other, own = pair
    epoch, _ = own.newest(BTC)
    follower.home.cut()
    began = time.monotonic()
    alone, _ = own.await_other_epoch(BTC, epoch)
    assert time.monotonic() - began < TAKEOVER + SILENCE + SLACK
    await_progress(own)
    follower.home.mend()
    await_one(leader, follower, [own, other])
    assert own.epochs[BTC] == [epoch, alone, own.newest(BTC)[0]]


def test_a_line_that_drops_packets_costs_no_version_its_place(town):
    node = town.full(feed=(), **taking("MINE"))
    edge = town.edge()
    for server in [node, edge]:
        redis_is(server, "up")
        server.home.lose_packets()
    model = Model(node, "MINE", {bucket: (bucket * 100, 5) for bucket in range(90, 120)})
    watcher = town.watch(edge, "MINE")

    def has_lost_some():
        for _ in range(100):
            model.levels[100] = (model.time + 1, 1)
            model.publish()
            time.sleep(0.01)
        return node.home.drops() + edge.home.drops() > 0

    await_that(has_lost_some, "something is lost on the way")
    # A lease that could not be renewed in time begins an epoch of the same content.
    last = list(model.said)[-1]
    await_that(lambda: content_of(watcher.states["MINE"].text()) == last, "the last one is shown")
    watcher.check()
    for version, text in watcher.seen["MINE"].items():
        assert model.versions.get(version, text) == text

