"""Several servers under many faults at once: what they show is true, in order, and one in the end."""

import http.client
import os
import random
import threading

import pytest

from chaos import MINE, Storm
from cluster import Cluster, assert_same, redis_is
from model import Model, content_of
from server import PATIENCE, await_that

pytestmark = pytest.mark.servers

SEED = int(os.environ.get("HEATCAST_TEST_SEED") or random.randrange(1 << 32))


@pytest.fixture
def storm(tmp_path):
    """storm(SEED): two full nodes, two edges and Redis, watched (chaos.py)."""
    cluster, started = Cluster(tmp_path, None), []

    def start(seed):
        started.append(Storm(cluster, tmp_path, seed))
        return started[-1]

    yield start
    for storm in started:
        storm.end()
    cluster.end()


def weather(storm, seed, seconds):
    storm = storm(seed)
    try:
        storm.rage(seconds)
        storm.settle()
    except AssertionError:
        print(storm.tale())
        raise


def test_a_short_storm_leaves_all_servers_one(storm):
    weather(storm, 1, 15)


@pytest.mark.cluster
def test_ten_minutes_of_storm_leave_all_servers_one(storm, capsys):
    with capsys.disabled():
        print(f"\nHEATCAST_TEST_SEED={SEED}")
    weather(storm, SEED, 600)


# --- a burst ---


class Burst:
    """Publishes to one node as quickly as it answers, until that does not."""

    def __init__(self, model):
        self.model = model
        self.count = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while True:
                for bucket in range(100, 110):
                    self.model.levels[bucket] = (self.model.time % 1000 + 1, 1)
                self.model.publish()
                self.count += 1
        except (OSError, http.client.HTTPException):
            pass

    def end(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def test_a_node_killed_in_a_burst_leaves_no_torn_version_and_nobody_behind(cluster):
    nodes, edges = [cluster.publishing(), cluster.publishing()], [cluster.edge(), cluster.edge()]
    for server in nodes + edges:
        redis_is(server, "up")
    watchers = [cluster.watch(edge, MINE) for edge in edges] + [cluster.watch(nodes, MINE)]
    model = Model(nodes[0], MINE, {bucket: (bucket * 100, 5) for bucket in range(90, 390)})
    for turn in range(4):
        burst = Burst(model)
        await_that(lambda: burst.count > 20 + 7 * turn, "it is under way")
        cluster.kill(nodes[0])
        burst.end()
        nodes.reverse()
        nodes[1] = cluster.publishing()
        model.server = nodes[0]
        model.levels[99] = (turn + 1, 7)  # what was lost with its answer may have come through
        model.publish()
        for watcher in watchers:
            await_that(lambda: shows(watcher, model), "the last one, by the other node")
    for watcher in watchers:
        for version, text in watcher.seen[MINE].items():
            assert content_of(text) in model.said, f"{version} is nobody's: {text}"
            assert model.versions.get(version, text) == text
    assert_same(watchers, MINE)


def shows(watcher, model):
    newest = watcher.newest(MINE)
    return newest and content_of(watcher.seen[MINE][newest]) == list(model.said)[-1]


def test_an_edge_sees_no_older_model_after_a_newer_one_when_nodes_die(cluster):
    """One publisher, who goes to another node when the first does not answer."""
    nodes, edge = [cluster.publishing(), cluster.publishing()], cluster.edge()
    for server in [*nodes, edge]:
        redis_is(server, "up")
    watcher = cluster.watch(edge, MINE)
    model = Model(nodes[0], MINE, {100: (5, 5)})
    for seen, node in enumerate(nodes, 1):
        model.server = node
        burst = Burst(model)
        await_that(lambda: len(watcher.seen.get(MINE, ())) > seen * 10, "it is under way")
        cluster.kill(node)
        burst.end()
    watcher.check()
    times = [model.said[content_of(text)] for text in watcher.seen[MINE].values()]
    assert times == sorted(times)
