"""What other servers, or a slow Redis, can make grow on one of several servers, and where it ends."""

import json
import re

import pytest

from cluster import metric, redis_is
from model import Model
from server import ROOT, await_that

pytestmark = pytest.mark.servers

LIMITS = (ROOT / "src/base/limits.h").read_text()


def limit(name):
    first, shift = re.search(rf"^#define {name} +\(?(\d+)(?: << (\d+))?\)?$", LIMITS, re.M).groups()
    return int(first) << int(shift or 0)


def message_of(symbol):
    data = {"levels": [], "current_price": 1, "price_bin_size": 1}
    head = {"type": "snapshot", "symbol": symbol, "timestamp": "2025-12-29T10:00:00Z"}
    return json.dumps({**head, "seq": 1, "epoch": "k3f9", "data": data})


def invalid(server):
    return metric(server, 'heatcast_redis_messages_total{result="invalid"}')


def test_symbols_of_others_are_known_up_to_a_limit(cluster, redis):
    most = limit("LIMIT_SYMBOLS_RELAYED")
    script = "for i = 1, ARGV[1] do redis.call('HSET', 'heatmap:symbols', 'S' .. i, 'none') end"
    redis.cli("EVAL", script, 0, most - 1)
    edge = cluster.edge()
    redis_is(edge, "up")
    assert edge.get("/health")["symbols"] == most - 1
    for symbol in ["LAST", "ONEMORE", "S7"]:
        redis.publish(f"heatmap:{symbol}", message_of(symbol))
    await_that(lambda: edge.request("/heatmap/latest", symbol="S7").status == 200, "a known one")
    assert edge.get("/health")["symbols"] == most
    assert edge.request("/heatmap/latest", symbol="LAST").status == 200
    assert edge.request("/heatmap/latest", symbol="ONEMORE").status == 400
    assert invalid(edge) == 1
    redis.cli("EVAL", script, 0, most + 1)
    late = cluster.edge()
    redis_is(late, "up")
    assert late.get("/health")["symbols"] == most


def test_what_redis_is_too_slow_for_is_left_out_and_the_newest_follows(cluster, redis):
    proxy = cluster.proxy(redis.port)
    node, edge = cluster.publishing(at=proxy.url), cluster.edge()
    redis_is(node, "up")
    # Messages of 200 kB, of which one and then the next one is answered: it is slow, not silent.
    levels = {bucket: (10**15 + bucket, 10**15 + bucket) for bucket in range(2400)}
    model = Model(node, "MINE", levels)
    proxy.delay = 0.2

    def is_too_much():
        model.levels[0] = (model.time, 1)
        model.publish()
        return metric(node, 'heatcast_redis_publishes_total{result="skipped"}')

    await_that(is_too_much, "versions are left out")
    assert sum(map(len, model.versions.values())) > limit("LIMIT_BUS_UNANSWERED_BYTES")
    proxy.delay = 0

    def latest(server):
        return server.request("/heatmap/latest", symbol="MINE").body

    # Perhaps in another epoch: the lease may have ended while its renewal was under way.
    await_that(lambda: latest(edge) == latest(node), "the edge shows what the node shows")
    assert latest(node).decode() == redis.cli("GET", "heatmap:latest:MINE")
    assert json.loads(latest(edge))["data"]["levels"] == json.loads(model.versions[model.epoch, model.seq])["data"]["levels"]
    assert invalid(edge) == 0
