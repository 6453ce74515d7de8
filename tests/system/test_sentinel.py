"""Redis under sentinels: the master dies, is stopped or steps down, and everybody goes along."""

import signal
import time

import pytest

from cluster import BTC, Cluster, assert_same, await_progress, free_port, leaders, redis_is
from sentinels import NAME, Sentinels, Switch
from server import SLACK, await_that

pytestmark = pytest.mark.servers

# What a failover may cost beyond what the sentinels take themselves: a second, and the time until
# there is something new to be seen.
BEYOND = (1 + 0.5) * SLACK


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory):
    """Each test leaves them with a master and a replica, which may be the other way round."""
    sentinels = Sentinels(tmp_path_factory.mktemp("sentinels"))
    yield sentinels
    sentinels.end()


class Market:
    """Two full nodes, two edges, and a watcher on each."""

    def __init__(self, cluster):
        self.nodes = [cluster.full(), cluster.full()]
        self.servers = [*self.nodes, cluster.edge(), cluster.edge()]
        self.watchers = [cluster.watch(server, BTC) for server in self.servers]
        for watcher in self.watchers:
            await_progress(watcher)

    def versions(self):
        return [watcher.newest(BTC) for watcher in self.watchers]

    def shows(self, master, before):
        """One leads, what it says has come to this Redis, and everybody shows it."""
        # Two may say that they lead until one has heard of the other's Redis.
        if len(leaders(self.nodes, BTC)) != 1:
            return False
        latest = master.latest(BTC)
        if latest == before:
            return False
        return all(
            epoch == latest["epoch"] and seq >= latest["seq"] for epoch, seq in self.versions()
        )

    def await_one(self, switch):
        """Until all are one again after this switch; returns how long after it that was."""
        at = switch.await_it()
        master = switch.sentinels.master
        before = master.latest(BTC)  # that was published since, or by way of the old one
        await_that(lambda: self.shows(master, before), "all are one again")
        took = time.monotonic() - at
        for watcher in self.watchers:
            await_progress(watcher)
        assert_same(self.watchers, BTC)
        return took


@pytest.fixture
def cluster(tmp_path, sentinels):
    sentinels.await_calm()
    cluster = Cluster(tmp_path, sentinels.url())
    yield cluster
    cluster.end()


@pytest.fixture
def market(cluster):
    return Market(cluster)


def test_a_master_that_is_stopped_is_left_for_the_new_one(sentinels, market):
    switch = Switch(sentinels)
    switch.old.signal(signal.SIGSTOP)
    try:
        assert market.await_one(switch) < BEYOND
    finally:
        switch.old.signal(signal.SIGCONT)


@pytest.mark.cluster
def test_a_master_that_steps_down_is_left_for_the_new_one(sentinels, market):
    switch = Switch(sentinels)
    sentinels.sentinels[0].cli("SENTINEL", "FAILOVER", NAME)
    assert market.await_one(switch) < BEYOND
    for node in market.nodes:
        assert "READONLY" not in node.log(), "that is no news to an operator"


def test_a_sentinel_that_is_gone_is_passed_over(sentinels, cluster):
    url = sentinels.url(first=[free_port()])
    edges = [cluster.edge(at=url), cluster.edge(at=url)]
    for edge in edges:
        redis_is(edge, "up")
        assert len(edge.events("Redis cannot be reached")) == 1


def test_a_sentinel_that_knows_no_such_master_is_asked_calmly_and_said_once(sentinels, cluster):
    edge = cluster.edge(at=sentinels.url("nobody"))
    await_that(lambda: edge.events("Redis cannot be reached"), "it is said")
    before = sum(connections_of(sentinel) for sentinel in sentinels.sentinels)
    time.sleep(3)
    (line,) = edge.events("Redis cannot be reached")
    assert line["why"] == "it knows no master of this name"
    asked = sum(connections_of(sentinel) for sentinel in sentinels.sentinels) - before
    assert 1 < asked < 40, "it goes on, and not in a hurry"


def connections_of(sentinel):
    """How many it has taken, without those of redis-cli."""
    stats = sentinel.cli("INFO", "stats")
    sentinel.asked = getattr(sentinel, "asked", 0) + 1
    return int(stats.split("total_connections_received:")[1].split()[0]) - sentinel.asked


@pytest.mark.cluster
def test_one_sentinel_is_asked_after_the_other(sentinels, market):
    """The one that they ask dies, and then the master."""
    sentinels.sentinels[0].kill()
    switch = Switch(sentinels)
    switch.old.kill()
    try:
        assert market.await_one(switch) < BEYOND
    finally:
        switch.old.start()
        sentinels.sentinels[0].start()


# The last: until the sentinels have made a replica of it, they do not fail over again.
def test_a_master_that_was_killed_comes_back_and_misleads_nobody(sentinels, market):
    switch = Switch(sentinels)
    switch.old.kill()
    try:
        assert market.await_one(switch) < BEYOND
    finally:
        switch.old.start()
    epochs = [watcher.epochs[BTC][-1] for watcher in market.watchers]
    await_that(lambda: "role:slave" in switch.old.cli("INFO", "replication"), "it is a replica")
    for watcher, epoch in zip(market.watchers, epochs):
        await_progress(watcher)
        assert watcher.epochs[BTC][-1] == epoch
    assert len(leaders(market.nodes, BTC)) == 1
