"""Several servers on one Redis: who computes, who relays, and what happens when something dies."""

import json
import re
import signal
import time

import pytest

from cluster import (
    BTC,
    SOON,
    Redis,
    assert_same,
    await_leader,
    await_one_epoch,
    await_progress,
    connects,
    leaders,
    metric,
    redis_is,
)
from decoder import parse
from model import Model, taking
from rude import RudeSocket
from server import SLACK, await_that
from test_contract import OPERATING, check_answer

pytestmark = pytest.mark.servers


# --- all is well ---


def test_one_server_computes_and_all_show_the_same(cluster, redis):
    nodes = [cluster.full(), cluster.full()]
    edges = [cluster.edge(), cluster.edge()]
    watchers = [cluster.watch(server, BTC) for server in nodes + edges]
    for watcher in watchers:
        await_progress(watcher, versions=8)
    assert len(leaders(nodes, BTC)) == 1
    truth = assert_same(watchers, BTC)
    assert len({epoch for epoch, _ in truth}) == 1
    # What stands in Redis is what clients receive.
    text = redis.cli("GET", f"heatmap:latest:{BTC}")
    message = parse(text)
    assert truth.get((message["epoch"], message["seq"]), text) == text


def test_no_two_symbols_share_an_epoch(cluster, redis):
    """So that an epoch and a seq name one version of one symbol."""
    symbols = [BTC, "ETHUSDT", "SOLUSDT"]
    nodes = [cluster.full(), cluster.full()]
    for symbol in symbols:
        await_leader(nodes, symbol)
        await_that(lambda: redis.latest(symbol), f"{symbol} is published")
    assert len({redis.latest(symbol)["epoch"] for symbol in symbols}) == 3


def test_an_edge_that_comes_later_shows_the_newest_at_once(cluster):
    node = cluster.publishing()
    model = Model(node, "MINE", {bucket: (bucket * 100, 5) for bucket in range(90, 120)})
    model.publish()
    edge = cluster.edge()
    redis_is(edge, "up")
    told = edge.request("/heatmap/latest", symbol="MINE")
    assert told.body.decode() == model.versions[model.epoch, model.seq]
    assert edge.get("/symbols")["symbols"][0]["symbol"] == "MINE"
    with RudeSocket(edge.address) as client:
        client.subscribe("MINE")
        assert client.take_text() == told.body.decode()


def test_a_client_that_goes_to_another_server_is_resumed_by_a_difference(cluster):
    node = cluster.publishing()
    model = Model(node, "MINE", {bucket: (bucket * 100, 5) for bucket in range(90, 190)})
    edges = [cluster.edge(), cluster.edge()]
    for edge in edges:
        redis_is(edge, "up")
    model.publish()
    watcher = cluster.watch(edges, "MINE")
    watcher.await_version("MINE", model.epoch, 1)
    cluster.kill(watcher.connected_to)
    for bucket in range(100, 104):
        model.levels[bucket] = (7, 7)
        model.publish()
    watcher.await_version("MINE", model.epoch, 5)
    assert watcher.wholes == 1, "no snapshot after the first"
    assert watcher.states["MINE"].text() == model.versions[model.epoch, 5]


def test_a_model_that_is_published_to_another_server_takes_over(cluster):
    nodes = [cluster.publishing(), cluster.publishing()]
    edge = cluster.edge()
    for server in [*nodes, edge]:
        redis_is(server, "up")
    watchers = [cluster.watch(server, "MINE") for server in [*nodes, edge]]
    model = Model(nodes[0], "MINE", {bucket: (bucket * 100, 5) for bucket in range(90, 120)})
    for turn in range(6):
        model.server = nodes[turn % 2]
        model.levels[100] = (turn + 1, 0)
        model.publish()
        for watcher in watchers:
            watcher.await_version("MINE", model.epoch, model.seq)
    assert_same(watchers, "MINE")
    for watcher in watchers:
        assert watcher.states["MINE"].text() == model.versions[model.epoch, model.seq]


def test_prefixes_keep_clusters_apart(cluster, redis):
    one = cluster.publishing("--redis-channel-prefix", "one*")
    edge = cluster.edge("--redis-channel-prefix", "one*")
    other = cluster.edge("--redis-channel-prefix", "one")
    for server in [one, edge, other]:
        redis_is(server, "up")
    model = Model(one, "MINE", {100: (5, 5)})
    model.publish()
    cluster.watch(edge, "MINE")
    await_that(lambda: edge.get("/symbols")["symbols"], "the symbol")
    assert redis.latest("MINE", prefix="one*")
    assert not other.get("/symbols")["symbols"]


# --- somebody dies ---


def test_a_leader_that_is_killed_is_followed(cluster):
    nodes = [cluster.full(), cluster.full()]
    edge = cluster.edge()
    watcher = cluster.watch(edge, BTC)
    await_progress(watcher)
    leader = await_leader(nodes, BTC)
    epoch, _ = watcher.newest(BTC)
    cluster.kill(leader)
    watcher.await_other_epoch(BTC, epoch, SOON)
    await_progress(watcher)
    assert watcher.epochs[BTC] == [epoch, watcher.newest(BTC)[0]]
    other = next(node for node in nodes if node is not leader)
    assert leaders([other], BTC) == [other]
    assert_same([watcher, cluster.watch(other, BTC)], BTC)


def test_a_leader_that_ends_properly_is_followed_at_once_and_by_its_last_word(cluster):
    nodes = [cluster.full(), cluster.full()]
    edge = cluster.edge()
    watcher = cluster.watch(edge, BTC)
    await_progress(watcher)
    leader = await_leader(nodes, BTC)
    other = next(node for node in nodes if node is not leader)
    leader.stop()
    cluster.started.remove(leader)
    await_leader([other], BTC, SOON)
    await_progress(watcher)
    assert len(watcher.epochs[BTC]) == 2


def test_a_leader_that_is_stopped_says_nothing_stale_when_it_wakes(cluster, redis):
    nodes = [cluster.full(), cluster.full()]
    edge = cluster.edge()
    watcher = cluster.watch(edge, BTC)
    await_progress(watcher)
    leader = await_leader(nodes, BTC)
    other = next(node for node in nodes if node is not leader)
    own = cluster.watch(leader, BTC)
    await_progress(own)
    leader.signal(signal.SIGSTOP)
    epoch, _ = watcher.newest(BTC)
    watcher.await_other_epoch(BTC, epoch, SOON)
    await_leader([other], BTC)
    leader.signal(signal.SIGCONT)
    await_that(lambda: not leaders([leader], BTC), "it knows that it does not lead")
    await_progress(watcher)
    own.await_other_epoch(BTC, epoch)
    await_progress(own)
    assert redis.latest(BTC)["epoch"] == watcher.newest(BTC)[0] != epoch
    assert len(watcher.epochs[BTC]) == 2
    truth = assert_same([watcher, own], BTC)
    assert {e for e, _ in truth} == set(watcher.epochs[BTC])


def test_without_redis_servers_go_on_for_their_own_and_meet_again(cluster, redis):
    nodes = [cluster.full(), cluster.full()]
    edge = cluster.edge()
    watchers = [cluster.watch(server, BTC) for server in [*nodes, edge]]
    for watcher in watchers:
        await_progress(watcher)
    redis.kill()
    for server in [*nodes, edge]:
        redis_is(server, "away")
    for watcher in watchers[:2]:
        await_progress(watcher, versions=8)
    relayed = watchers[2].newest(BTC)
    assert edge.get("/heatmap/latest", symbol=BTC)["seq"] == relayed[1]
    (warning,) = await_that(lambda: watchers[2].warnings, "the edge says that it is stale")
    assert warning["code"] == "STALE" and warning["since"] == edge.get("/health")["redis"]["since"]
    assert edge.get("/ready")["status"] == "stale"
    redis.start()
    leader = await_leader(nodes, BTC)
    epoch = await_that(lambda: (redis.latest(BTC) or {}).get("epoch"), "something is published")
    for watcher in watchers:
        await_progress(watcher, versions=5)
    for watcher in watchers:
        epoch, seq = watchers[nodes.index(leader)].newest(BTC)
        watcher.await_version(BTC, epoch, seq)
    assert_same(watchers, BTC)
    assert len(leaders(nodes, BTC)) == 1
    assert len(watchers[2].warnings) == 1 and edge.get("/ready")["status"] == "ready"


def test_a_short_cut_costs_nobody_a_snapshot(cluster, redis):
    proxy = cluster.proxy(redis.port)
    node = cluster.publishing()
    edge = cluster.edge(at=proxy.url)
    redis_is(edge, "up")
    model = Model(node, "MINE", {bucket: (bucket * 100, 5) for bucket in range(90, 190)})
    model.publish()
    watcher = cluster.watch(edge, "MINE")
    watcher.await_version("MINE", model.epoch, 1)
    proxy.cut()
    await_that(lambda: connects(edge) == 2, "it is back")
    model.levels[100] = (1, 1)
    model.publish()
    watcher.await_version("MINE", model.epoch, 2)
    assert watcher.wholes == 1


def test_a_leader_cut_off_from_redis_is_followed_and_joins_again(cluster, redis):
    proxy = cluster.proxy(redis.port)
    cut_off = cluster.full(at=proxy.url)
    await_leader([cut_off], BTC)
    other = cluster.full()
    watchers = [cluster.watch(cut_off, BTC), cluster.watch(other, BTC)]
    for watcher in watchers:
        await_progress(watcher)
    proxy.is_black_hole = True
    await_leader([other], BTC, SOON)
    for watcher in watchers:
        await_progress(watcher, versions=6)
    proxy.is_black_hole = False
    redis_is(cut_off, "up")
    await_that(lambda: not leaders([cut_off], BTC), "it follows")
    await_one_epoch(watchers, BTC)
    for watcher in watchers:
        await_progress(watcher)
    assert_same(watchers, BTC)
    await_leader([cut_off, other], BTC)


def test_what_a_leader_said_reaches_nobody_when_it_comes_too_late(cluster, redis):
    """It lies in the network until somebody else leads: then Redis refuses it."""
    proxy = cluster.proxy(redis.port)
    late = cluster.full(at=proxy.url)
    await_leader([late], BTC)
    other = cluster.full()
    watcher = cluster.watch(other, BTC)
    await_progress(watcher)
    heard = redis.listen(f"heatmap:{BTC}")
    proxy.is_black_hole = True
    await_leader([other], BTC, SOON)
    await_progress(watcher)
    proxy.is_black_hole = False
    redis_is(late, "up")
    await_progress(watcher, versions=6)
    messages = [json.loads(line) for line in heard if line.startswith("{")]
    versions = [(int(message["epoch"], 36), message["seq"]) for message in messages]
    assert len(versions) > 6 and versions == sorted(versions)


def test_a_follower_that_went_its_own_way_is_called_back(cluster, redis):
    proxy = cluster.proxy(redis.port)
    leader = cluster.full()
    await_leader([leader], BTC)
    follower = cluster.full(at=proxy.url)
    watchers = [cluster.watch(leader, BTC), cluster.watch(follower, BTC)]
    for watcher in watchers:
        await_progress(watcher)
    epoch, _ = watchers[1].newest(BTC)
    proxy.is_refusing = True
    proxy.cut()
    own, _ = watchers[1].await_other_epoch(BTC, epoch)
    await_progress(watchers[1])
    proxy.is_refusing = False
    redis_is(follower, "up")
    newest, _ = watchers[1].await_other_epoch(BTC, own)
    watchers[0].await_version(BTC, newest, 1)
    for watcher in watchers:
        await_progress(watcher)
    assert leaders([leader, follower], BTC) == [leader]
    assert watchers[0].epochs[BTC] == [epoch, newest]


def test_a_message_cut_in_the_middle_is_read_again_whole(cluster, redis):
    proxy = cluster.proxy(redis.port)
    node = cluster.publishing()
    edge = cluster.edge(at=proxy.url)
    redis_is(edge, "up")
    model = Model(node, "MINE", {bucket: (bucket * 100, 5) for bucket in range(90, 400)})
    model.publish()
    watcher = cluster.watch(edge, "MINE")
    watcher.await_version("MINE", model.epoch, 1)
    for turn in range(4):
        proxy.cut_after = 500 + 997 * turn
        model.levels[100] = (turn + 1, 1)
        model.publish()
        await_that(lambda: proxy.cut_after <= 0, "it was cut")
        proxy.cut_after = None
        watcher.await_version("MINE", model.epoch, turn + 2)
    assert watcher.states["MINE"].text() == model.versions[model.epoch, 5]


def test_slow_redis_delays_nobody_here(cluster, redis):
    proxy = cluster.proxy(redis.port)
    node = cluster.publishing(at=proxy.url)
    redis_is(node, "up")
    proxy.delay = 0.3
    model = Model(node, "MINE", {bucket: (bucket * 100, 5) for bucket in range(90, 120)})
    with RudeSocket(node.address) as client:
        client.subscribe("MINE", update_interval=0)
        began = time.monotonic()
        for turn in range(10):
            model.levels[100] = (turn + 1, 1)
            model.publish()
            assert client.take_message()["seq"] == turn + 1
        took = time.monotonic() - began
    assert took < 3 * SLACK, "ten answers of Redis would take longer"
    proxy.delay = 0
    await_that(lambda: (redis.latest("MINE") or {}).get("seq") == 10, "the newest is there at last")


def test_epochs_begun_without_redis_bear_the_number_of_their_server(cluster):
    """Redis tells no two servers apart that begin one in the same millisecond."""
    numbers = []
    for _ in range(4):
        node = cluster.full(feed=(), at="redis://127.0.0.1:1", **taking("MINE", "YOURS"))
        epochs = [Model(node, symbol, {9: (9, 9)}).publish()["epoch"] for symbol in ["MINE", "YOURS"]]
        (number,) = {int(epoch, 36) % 1024 for epoch in epochs}
        numbers.append(number)
    assert len(set(numbers)) > 1


# --- nobody is trusted ---


def garbage(good):
    """Messages that are none, each with one fault; `good` is one without."""
    levels = good["data"]["levels"]

    def but(**fields):
        return json.dumps({**good, **fields})

    def with_data(**fields):
        return but(data={**good["data"], **fields})

    later = good["seq"] + 1000
    return [
        b"",
        b"\xff\xfe\x00",
        b"{" * 3000,
        b"[1,2,3]",
        b"null",
        b'"text"',
        json.dumps(good).encode()[:-20],
        b'{"type":"snapshot"}',
        but(type="delta", prev=good["seq"], seq=later),
        but(type="error", seq=later),
        but(symbol="ETHUSDT", seq=later),
        but(symbol=7, seq=later),
        but(timestamp="yesterday", seq=later),
        but(timestamp=None, seq=later),
        but(seq=0, epoch="zzzzzzzz"),
        but(seq=-5, epoch="zzzzzzzz"),
        but(seq=1.5, epoch="zzzzzzzz"),
        but(seq="9", epoch="zzzzzzzz"),
        but(seq=1e300, epoch="zzzzzzzz"),
        but(seq=1, epoch="zzzzzzzzzzzz"),
        but(seq=1, epoch="ZZZ!"),
        but(seq=1, epoch=12),
        but(seq=later, data=None),
        but(seq=later, data=[]),
        with_data(levels=None),
        with_data(levels=[{"price": 1e308, "long_density": 1, "short_density": 1}]),
        with_data(levels=[{"price": -100, "long_density": 1, "short_density": 1}]),
        with_data(levels=list(reversed(levels))),
        with_data(levels=[{**levels[0], "long_density": -1}]),
        with_data(levels=[{**levels[0], "long_density": "1"}]),
        with_data(levels=levels[:1] * 2),
        with_data(price_bin_size=0),
        with_data(price_bin_size=1e-15),
        with_data(current_price=-1),
        with_data(current_price=None),
        with_data(positions_created=-1),
        with_data(positions_created=1e300),
        b" " * (8 << 20) + json.dumps({**good, "seq": later}).encode(),
    ]


def relayed_model(cluster):
    """An edge, and a model whose first version was published for it."""
    node, edge = cluster.publishing(), cluster.edge()
    for server in [node, edge]:
        redis_is(server, "up")
    model = Model(node, "MINE", {bucket: (bucket * 100, 5) for bucket in range(90, 120)})
    model.publish()
    return edge, model


def test_garbage_on_the_channel_reaches_no_client(cluster, redis):
    edge, model = relayed_model(cluster)
    watcher = cluster.watch(edge, "MINE")
    watcher.await_version("MINE", model.epoch, 1)
    messages = garbage(json.loads(redis.cli("GET", "heatmap:latest:MINE")))
    messages = [m.replace('"seq": 1,', '"seq": 1001,') if isinstance(m, str) else m for m in messages]
    for message in messages:
        assert redis.publish("heatmap:MINE", message) == 2
    for channel in ["heatmap:", "heatmap:../x", "heatmap:" + "A" * 5000, "heatmap:latest:MINE"]:
        redis.publish(channel, json.dumps(json.loads(redis.cli("GET", "heatmap:latest:MINE"))))
    model.levels[100] = (1, 1)
    model.publish()
    watcher.await_version("MINE", model.epoch, 2)
    assert set(watcher.seen["MINE"]) == {(model.epoch, 1), (model.epoch, 2)}
    assert [symbol["symbol"] for symbol in edge.get("/symbols")["symbols"]] == ["MINE"]
    assert metric(edge, 'heatcast_redis_messages_total{result="invalid"}') == len(messages) + 4
    complaints = edge.events("a message from Redis is no snapshot, and was passed over")
    assert len(complaints) == 1, "not a line for each"


def test_an_old_version_on_the_channel_is_dropped(cluster, redis):
    edge, model = relayed_model(cluster)
    first = redis.cli("GET", "heatmap:latest:MINE")
    model.levels[100] = (1, 1)
    model.publish()
    watcher = cluster.watch(edge, "MINE")
    watcher.await_version("MINE", model.epoch, 2)
    for old in [first, redis.cli("GET", "heatmap:latest:MINE"), first]:
        redis.publish("heatmap:MINE", old)
    model.levels[100] = (2, 2)
    model.publish()
    watcher.await_version("MINE", model.epoch, 3)
    assert list(watcher.seen["MINE"])[-2:] == [(model.epoch, 2), (model.epoch, 3)]


# --- logins, addresses, bad settings ---


def test_a_server_logs_in_and_chooses_its_database(tmp_path, cluster):
    guarded = Redis(tmp_path, "requirepass", "let me in")
    try:
        url = f"redis://:let%20me%20in@127.0.0.1:{guarded.port}/3"
        node, edge = cluster.publishing(at=url), cluster.edge(at=url)
        for server in [node, edge]:
            redis_is(server, "up")
        Model(node, "MINE", {100: (5, 5)}).publish()
        await_that(lambda: edge.get("/symbols")["symbols"], "the symbol")
        keys = guarded.cli("-n", 3, "KEYS", "*", password="let me in")
        assert "heatmap:latest:MINE" in keys
        assert "let" not in node.log() + edge.log()
    finally:
        guarded.kill()


def test_a_wrong_password_is_said_once_and_tried_calmly(tmp_path, cluster):
    guarded = Redis(tmp_path, "requirepass", "right")
    try:
        edge = cluster.edge(at=f"redis://:wrong@127.0.0.1:{guarded.port}")
        await_that(lambda: edge.events("Redis cannot be reached"), "it is said")
        time.sleep(3)
        (line,) = edge.events("Redis cannot be reached")
        assert "WRONGPASS" in line["why"] or "invalid" in line["why"]
        connections = guarded.cli("INFO", "stats", password="right")
        count = int(connections.split("total_connections_received:")[1].split()[0])
        assert count < 60, "no busy loop"
    finally:
        guarded.kill()


def test_redis_may_be_a_socket(tmp_path, cluster):
    path = tmp_path / "r.sock"
    redis = Redis(tmp_path, "unixsocket", str(path))
    try:
        node, edge = cluster.publishing(at=f"unix://{path}"), cluster.edge(at=f"unix://{path}")
        for server in [node, edge]:
            redis_is(server, "up")
        Model(node, "MINE", {100: (5, 5)}).publish()
        await_that(lambda: edge.get("/symbols")["symbols"], "the symbol")
    finally:
        redis.kill()


@pytest.mark.parametrize(
    "url, why",
    [
        ("rediss://host", "TLS"),
        ("http://host", "scheme"),
        ("redis+sentinel://host", "master's name"),
        ("redis://host/x", "database"),
    ],
)
def test_a_bad_redis_url_is_refused_at_once(run, url, why):
    for words in [("serve", "--redis-enabled", "--db", "x.duckdb"), ("edge",)]:
        done = run(*words, "--redis-url", url, "--listen", "127.0.0.1:0")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("heatcast: redis-url: ") and why in done.stderr


def test_an_edge_without_redis_starts_and_says_so(cluster):
    edge = cluster.edge(at="redis://127.0.0.1:1")
    assert edge.get("/health")["redis"]["status"] == "away"
    assert edge.get("/symbols") == {"symbols": []}
    answer = edge.request("/prices/klines", symbol=BTC)
    assert answer.status == 503 and "edge" in answer.detail


def test_an_edge_before_any_full_node_says_what_is_missing(cluster):
    edge = cluster.edge("--redis-channel-prefix", "young")
    [told] = await_that(lambda: edge.events("no full node has published under this prefix yet"), "it is told")
    assert told["prefix"] == "young"
    answer = edge.request("/heatmap/latest", symbol=BTC)
    assert answer.status == 400 and answer.detail.endswith("No symbols are known yet")
    cluster.full("--redis-channel-prefix", "young")
    await_that(lambda: edge.request("/heatmap/latest", symbol=BTC).status == 200, "a node is relayed")
    assert len(edge.events("no full node has published under this prefix yet")) == 1


def test_few_rights_in_redis_are_enough(tmp_path, cluster):
    """Those that docs/operating.md names."""
    documented = re.search(r"`user heatcast on >SECRET (.*?)`", OPERATING)[1]
    redis = Redis(tmp_path)
    try:
        redis.cli("ACL", "SETUSER", "heatcast", "on", ">SECRET", *documented.split())
        url = f"redis://heatcast:SECRET@127.0.0.1:{redis.port}/0"
        node, edge = cluster.publishing(at=url), cluster.edge(at=url)
        for server in [node, edge]:
            redis_is(server, "up")
        Model(node, "MINE", {100: (5, 5)}).publish()
        await_that(lambda: edge.get("/symbols")["symbols"], "the symbol")
        await_that(lambda: edge.get("/symbols")["symbols"][0]["feed"] == "published", "its feed")
        node.stop()
        cluster.started.remove(node)
        await_that(lambda: redis.cli("GET", "heatmap:lease:MINE") == "", "the lease was given back")
        assert not edge.events("Redis is lost")
    finally:
        redis.kill()


def test_what_servers_of_a_cluster_say_of_themselves_keeps_the_contract(cluster, redis):
    node, edge = cluster.full(), cluster.edge()
    never = cluster.edge(at="redis://127.0.0.1:1")
    await_leader([node], BTC)
    await_that(lambda: edge.get("/symbols")["symbols"], "symbols")

    def look():
        for server in [node, edge, never]:
            for path in ["/health", "/ready", "/symbols", "/ws/stats"]:
                answer = server.request(path)
                check_answer(path, answer.status, answer.headers, answer.body)

    look()
    assert edge.get("/health")["simulated"] and edge.get("/health")["feed"] == "relay"
    assert node.get("/health")["redis"]["leads"] == [s["symbol"] for s in node.get("/symbols")["symbols"]]
    redis.kill()
    await_that(lambda: edge.get("/ready")["status"] == "stale", "stale")
    await_that(lambda: never.request("/ready").status == 503, "waiting")
    assert json.loads(never.request("/ready").body) == {"status": "waiting"}
    look()
