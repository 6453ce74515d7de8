"""The other doors on the hub, PROTOCOL section 2: server-sent events and the long poll."""

import gzip
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
from collections import namedtuple
from contextlib import ExitStack, contextmanager, suppress

import pytest

from rude import ROOMY, Headers, Rude, RudeSocket
from server import CROWDED, FAST, PATIENCE, SLACK, Server, await_that
from test_publish import TOKEN, model, publish

SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
STILL = ("--feed", "sim", "--sim-speed", "0.001")  # a candle in 83 hours

Event = namedtuple("Event", "name id data")


def target(path, query):
    return path + "?" + urllib.parse.urlencode(query, safe=",:")


def request(path, method="GET", version="1.1", query=None, **fields):
    lines = [f"{k.replace('_', '-')}: {v}" for k, v in fields.items()]
    head = [f"{method} {target(path, query or {})} HTTP/{version}", "Host: x", *lines, "", ""]
    return "\r\n".join(head).encode()


class Events(Rude):
    """A reader of server-sent events, WHATWG HTML §9.2.6, that lets nothing else through."""

    def __init__(self, address, *symbols, receive_buffer=None, last_event_id=None, **query):
        super().__init__(address, receive_buffer)
        fields = {} if last_event_id is None else {"Last_Event_ID": last_event_id}
        query = {"symbols": ",".join(symbols), **query}
        self.send(request("/sse/heatmap", query=query, **fields))
        self.begin()

    def begin(self):
        self.pings, self.retries, self.last_id = [], [], ""
        status, *lines = self.take_line_end(b"\r\n\r\n").decode().rstrip("\r\n").split("\r\n")
        assert status == "HTTP/1.1 200 OK"
        self.headers = Headers(line.split(": ", 1) for line in lines)
        self.take_block()

    def take_block(self):
        """The fields up to an empty line, as they come; comments and retries are noted."""
        fields = []
        while line := self.take_line_end(b"\n").decode()[:-1]:
            assert "\r" not in line
            if line.startswith(":"):
                self.pings.append((time.monotonic(), line))
            elif line.startswith("retry: "):
                self.retries.append(int(line.removeprefix("retry: ")))
            else:
                fields.append(line.split(": ", 1))
        return fields

    def take_event(self):
        fields = self.take_block()
        while not fields:
            fields = self.take_block()
        names = [name for name, _ in fields]
        assert names in (["id", "data"], ["event", "data"]), fields
        values = dict(fields)
        self.last_id = values.get("id", self.last_id)
        return Event(values.get("event", "message"), values.get("id"), values["data"])

    def take_text(self):
        """The next message's text; its id is the message's own."""
        event = self.take_event()
        message = json.loads(event.data)
        assert event.name == "message" and event.id == id_of(message), event
        return event.data

    def take_message(self):
        return json.loads(self.take_text())

    def take_messages(self, count):
        return [self.take_message() for _ in range(count)]


def id_of(message):
    return f"{message['epoch']}:{message['seq']}"


def latest(server, symbol="BTCUSDT", **query):
    return server.request("/heatmap/latest", symbol=symbol, **query)


def poll(server, message, **query):
    """The answer to a poll of who has the message."""
    return latest(server, message["symbol"], since=id_of(message), **query)


class Listener(threading.Thread):
    """Reads a stream for so long that it has one comment, if there is no news."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.stream = Events(address, "BTCUSDT")
        self.began = time.monotonic()
        self.count = 0
        self.start()

    def run(self):
        end = self.began + 25 + SLACK
        with suppress(OSError, AssertionError):  # its server may stop earlier
            while (left := end - time.monotonic()) > 0 and not self.stream.is_silent(left):
                self.count += len(self.stream.take_block()) > 0


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A market that stands still."""
    server = Server(*STILL, db=tmp_path_factory.mktemp("still") / "still.duckdb")
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def listeners(still, sim):
    """Three without news, one with: from the first test on, so that the last ones need not wait."""
    return [Listener(still.address) for _ in range(3)], Listener(sim.address)


PUBLISHING = (*STILL, "--publish-symbols", "MINE,YOURS")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A server of which the tests say what moves when."""
    db = tmp_path_factory.mktemp("published") / "published.duckdb"
    server = Server(*PUBLISHING, db=db, HEATCAST_PUBLISH_TOKEN=TOKEN)
    yield server
    server.stop()


class Mover:
    """Publishes a heatmap of 100 levels of which few change from one version to the next."""

    def __init__(self, server, symbol="MINE"):
        self.server, self.symbol = server, symbol
        self.random = random.Random(symbol)
        self.levels = {100 * i: i + 0.25 for i in range(100)}
        self.move()

    def move(self, count=1):
        """So many versions further; the id of the newest."""
        for _ in range(count):
            for price in self.random.sample(sorted(self.levels), 3):
                self.levels[price] = self.random.choice([0, self.random.randrange(10**9) / 100])
            rows = [(price, volume, 0) for price, volume in self.levels.items() if volume]
            told = publish(self.server, self.symbol, model(self.random.randrange(1, 10**6), rows))
        return id_of(told)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A market of many levels that is published as often as it moves."""
    server = Server(*CROWDED, db=tmp_path_factory.mktemp("crowded") / "crowded.duckdb")
    yield server
    server.stop()


# --- applying what comes ---


class State:
    """What a client makes of snapshots and deltas, in either format: bucket -> densities."""

    def __init__(self):
        self.levels, self.at = None, None

    def rows(self, data):
        levels, step = data["levels"], data["price_bin_size"]
        if isinstance(levels, list):
            return [(round(l["price"] / step), l["long_density"], l["short_density"]) for l in levels]
        assert len(levels["prices"]) == len(levels["long"]) == len(levels["short"])
        buckets = []
        for i, price in enumerate(levels["prices"]):
            buckets.append(buckets[-1] + price if i else round(price / step))
        return list(zip(buckets, levels["long"], levels["short"]))

    def take(self, message):
        rows = self.rows(message["data"])
        if message["type"] == "snapshot":
            self.levels = {}
        else:
            assert self.at == (message["epoch"], message["prev"]), "a delta to what is not there"
        for bucket, long, short in rows:
            if long or short:
                self.levels[bucket] = (long, short)
            else:
                self.levels.pop(bucket, None)  # it may have come and gone in between
        self.at = message["epoch"], message["seq"]

    def is_as(self, snapshot):
        other = State()
        other.take(snapshot)
        return (self.levels, self.at) == (other.levels, other.at)


class Witness(threading.Thread):
    """Every version of a symbol as a WebSocket sees it, by id."""

    def __init__(self, server, symbol="BTCUSDT", **fields):
        super().__init__(daemon=True)
        self.socket = RudeSocket(server.address)
        self.socket.subscribe(symbol, update_interval=0, **fields)
        self.texts = {}
        self.start()

    def run(self):
        try:
            while True:
                text = self.socket.take_text()
                self.texts[id_of(json.loads(text))] = text
        except (OSError, AssertionError):
            pass  # the test is over

    def text(self, id):
        return await_that(lambda: self.texts.get(id), f"{id} on the WebSocket")


@pytest.fixture
def witness():
    """witness(server, symbol, …): what a WebSocket gets meanwhile."""
    started = []

    def start(*args, **fields):
        started.append(Witness(*args, **fields))
        return started[-1]

    yield start
    for one in started:
        one.socket.close()


# --- events: what comes ---


def test_the_head_of_a_stream(sim):
    with Events(sim.address, "BTCUSDT") as events:
        wanted = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
            "Connection": "close",
            "X-Content-Type-Options": "nosniff",
        }
        assert {name: events.headers.get(name) for name in wanted} == wanted
        for name in ("Content-Length", "Transfer-Encoding", "ETag", "Content-Encoding"):
            assert name not in events.headers
        assert len(events.retries) == 1 and 1000 <= events.retries[0] < 5000


def test_hints_for_reconnecting_differ(still):
    hints = set()
    for _ in range(10):
        with Events(still.address, "BTCUSDT") as events:
            hints.update(events.retries)
    assert len(hints) >= 5


@pytest.mark.parametrize("format", ["levels", "columns"])
def test_events_are_the_messages_that_a_websocket_gets(sim, witness, format):
    seen = witness(sim, format=format)
    with Events(sim.address, "BTCUSDT", format=format, update_interval=0) as events:
        for _ in range(5):
            text = events.take_text()
            message = json.loads(text)
            assert message["type"] == "snapshot"
            assert isinstance(message["data"]["levels"], list if format == "levels" else dict)
            assert seen.text(id_of(message)) == text


def test_the_newest_of_each_symbol_comes_at_once(still):
    for symbol in SYMBOLS:
        latest(still, symbol)
    with Events(still.address, *SYMBOLS, update_interval=60) as events:
        got = [events.take_text() for _ in SYMBOLS]
        assert events.is_silent(0.3)
    assert sorted(got) == sorted(latest(still, symbol).body.decode() for symbol in SYMBOLS)


def test_the_first_visitor_gets_a_heatmap_too(serve):
    server = serve(*STILL)
    with Events(server.address, "SOLUSDT") as events:
        message = events.take_message()
    assert (message["symbol"], message["seq"]) == ("SOLUSDT", 1)


def test_each_symbol_has_its_own_versions_on_one_stream(sim):
    with Events(sim.address, *SYMBOLS, "BTCUSDT") as events:
        messages = events.take_messages(18)
    for symbol in SYMBOLS:
        seqs = [m["seq"] for m in messages if m["symbol"] == symbol]
        assert len(seqs) >= 4 and seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_an_interval_is_kept(sim):
    with Events(sim.address, "BTCUSDT", update_interval=1) as paced:
        times = []
        for _ in range(4):
            paced.take_event()
            times.append(time.monotonic())
    steps = [b - a for a, b in zip(times, times[1:])]
    assert all(0.9 < step < 1.6 * SLACK for step in steps), steps


def test_the_stream_is_an_answer_on_a_kept_alive_connection(sim):
    with Rude(sim.address) as client:
        assert client.ask(request("/health")).status == 200
        client.send(request("/health") + request("/sse/heatmap", query={"symbols": "BTCUSDT"}))
        assert client.take_answer().status == 200
        assert client.take_line_end(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
        assert client.take_line_end(b'"symbol":"BTCUSDT"')


def test_http_1_0_gets_a_stream_too(sim):
    with Rude(sim.address) as client:
        client.send(request("/sse/heatmap", version="1.0", query={"symbols": "BTCUSDT"}))
        for _ in range(3):
            client.take_line_end(b"\nid: ")


def test_what_a_client_sends_into_its_stream_is_passed_over(sim):
    with Events(sim.address, "BTCUSDT", update_interval=0) as events:
        events.send(request("/health") * 500 + b"\x81\x00 \r\n\r\n")
        messages = events.take_messages(4)
    assert [m["type"] for m in messages] == ["snapshot"] * 4


def test_events_stay_when_the_websocket_is_switched_off(serve):
    server = serve(*FAST, WS_ENABLED="false")
    assert server.request("/ws/heatmap").status == 404
    with Events(server.address, "BTCUSDT") as events:
        events.take_messages(2)


def test_a_listed_origin_may_read_and_another_may_not(serve):
    server = serve(*FAST, "--cors-allowed-origins", "https://a.example")
    path = target("/sse/heatmap", {"symbols": "BTCUSDT"})
    for origin, told in (("https://a.example", "https://a.example"), ("https://b.example", None)):
        answer = server.request(path, "HEAD", {"Origin": origin})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, told)
    preflight = server.request(path, "OPTIONS", {"Origin": "https://a.example"})
    assert "Last-Event-ID" in preflight.headers["Access-Control-Allow-Headers"]


# --- events: errors ---


@pytest.mark.parametrize(
    "query, status, said",
    [
        ({}, 422, "'symbols' is missing"),
        ({"symbols": ""}, 422, "'symbols' is missing"),
        ({"symbols": ",".join(["BTCUSDT"] * 101)}, 422, "at most 100 symbols"),
        ({"symbols": "BTCUSDT", "update_interval": "1.5"}, 422, "'update_interval'"),
        ({"symbols": "BTCUSDT", "update_interval": "fast"}, 422, "'update_interval'"),
        ({"symbols": "BTCUSDT", "mode": "full"}, 422, "'mode'"),
        ({"symbols": "BTCUSDT", "format": "csv"}, 422, "'format'"),
        ({"symbols": "NOPE"}, 400, "Unknown symbol 'NOPE'"),
        ({"symbols": "BTCUSDT,btcusdt,ETHUSDT"}, 400, "Unknown symbol 'btcusdt'"),
        ({"symbols": "BTCUSDT,"}, 400, "Unknown symbol ''"),
    ],
    ids=str,
)
def test_a_bad_wish_is_an_error_and_nothing_is_subscribed(still, query, status, said):
    with Rude(still.address) as client:
        answer = client.ask(request("/sse/heatmap", query=query))
        assert answer.status == status and said in answer.detail
        if status == 400:
            assert answer.detail.endswith("Valid symbols: BTCUSDT, ETHUSDT, SOLUSDT")
        still.await_stat("the listeners alone", subscriptions=3, sse_connections=3)
        # A better one may follow on the same connection.
        client.send(request("/sse/heatmap", query={"symbols": "BTCUSDT"}))
        client.take_line_end(b"\ndata: ")


def test_a_hundred_symbols_are_taken(sim):
    with Events(sim.address, *["BTCUSDT"] * 100) as events:
        events.take_messages(2)


def test_head_tells_the_head_alone(still):
    with Rude(still.address) as client:
        client.send(request("/sse/heatmap", "HEAD", query={"symbols": "BTCUSDT"}))
        head = client.take_line_end(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and not client.bytes
        assert client.socket.recv(1) == b"", "it goes on"
    assert b"\r\nContent-Type: text/event-stream\r\n" in head
    assert still.request("/sse/heatmap?symbols=NOPE", "HEAD").status == 400
    assert still.request("/sse/heatmap?symbols=BTCUSDT", "POST").status == 405


# --- events: coming back ---


@pytest.mark.parametrize("format", ["levels", "columns"])
def test_who_comes_back_is_told_what_changed_and_ends_with_the_same(published, format):
    mover, state, last_id, kinds = Mover(published), State(), None, []
    for visit in range(6):
        wish = {"mode": "delta", "format": format, "update_interval": 0}
        with Events(published.address, "MINE", last_event_id=last_id, **wish) as events:
            for _ in range(3):
                message = events.take_message()
                kinds.append(message["type"])
                assert "resumed" not in message
                state.take(message)
                mover.move()
            last_id = events.last_id
        mover.move(1 + visit)
    assert kinds == ["snapshot"] + ["delta"] * 17
    state.take(poll(published, message, mode="delta").json())
    assert state.is_as(latest(published, "MINE").json())


def test_of_several_symbols_the_one_goes_on_and_the_others_begin(published):
    movers = {symbol: Mover(published, symbol) for symbol in ("MINE", "YOURS")}
    had = {symbol: mover.move() for symbol, mover in movers.items()}
    for mover in movers.values():
        mover.move()
    for symbol, id in had.items():
        with Events(published.address, *movers, "BTCUSDT", last_event_id=id, mode="delta") as events:
            got = {message["symbol"]: message for message in events.take_messages(3)}
        assert not any("resumed" in message for message in got.values())
        kinds = {name: message["type"] for name, message in got.items()}
        # Nobody knows which versions of the others it had.
        assert kinds == {**dict.fromkeys([*movers, "BTCUSDT"], "snapshot"), symbol: "delta"}
        assert f"{got[symbol]['epoch']}:{got[symbol]['prev']}" == id


def test_who_has_the_newest_is_sent_nothing_until_there_is_news(still):
    last_id = id_of(latest(still).json())
    for mode in ("snapshot", "delta"):
        with Events(still.address, "BTCUSDT", last_event_id=last_id, mode=mode) as events:
            assert events.is_silent(0.5)


def test_who_comes_back_without_deltas_gets_the_newest(sim):
    with Events(sim.address, "BTCUSDT") as events:
        events.take_message()
        last_id = events.last_id
    await_that(lambda: id_of(latest(sim).json()) != last_id, "it moved on")
    with Events(sim.address, "BTCUSDT", last_event_id=last_id) as events:
        message = events.take_message()
    assert message["type"] == "snapshot" and "resumed" not in message
    assert id_of(message) != last_id


@pytest.mark.parametrize(
    "id", ["zzz:1", "EPOCH:999999", "EPOCH:", "SEQ", "EPOCH:x", ":", "0:1", "nonsense", "1:1:1"]
)
def test_who_has_what_nobody_knows_begins_and_is_told_so(still, id):
    known = {symbol: latest(still, symbol).json() for symbol in ("BTCUSDT", "ETHUSDT")}
    snapshot = known["BTCUSDT"]
    is_known_epoch = id == "EPOCH:999999"
    id = id.replace("EPOCH", snapshot["epoch"]).replace("SEQ", str(snapshot["seq"]))
    with Events(still.address, *known, last_event_id=id, mode="delta") as events:
        got = {message["symbol"]: message for message in events.take_messages(2)}
        assert events.is_silent(0.3)
    for symbol, message in got.items():
        is_told = message.pop("resumed", None)
        # An epoch that is known names its symbol, though not the version.
        assert is_told is (None if is_known_epoch and symbol == "ETHUSDT" else False)
        assert message == known[symbol]


def test_a_client_without_headers_says_it_in_the_query_and_the_header_is_younger(still):
    snapshot = latest(still).json()
    path = {"symbols": "BTCUSDT", "last_event_id": id_of(snapshot)}
    with Rude(still.address) as client:
        client.send(request("/sse/heatmap", query=path))
        client.take_line_end(b"retry: ")
        client.take_line_end(b"\n\n")
        assert client.is_silent(0.4)
    with Rude(still.address) as client:
        client.send(request("/sse/heatmap", query=path, Last_Event_ID="zzz:1"))
        assert b'"resumed":false' in client.take_line_end(b'"data"')


def test_the_id_of_an_earlier_run_is_unknown(serve, tmp_path):
    first = serve(*FAST, db=tmp_path / "runs.duckdb")
    with Events(first.address, "BTCUSDT", mode="delta") as events:
        events.take_messages(2)
        last_id = events.last_id
    first.stop()
    second = serve(*FAST, db=tmp_path / "runs.duckdb")
    # Nobody has built a heatmap yet: the first version will tell.
    with Events(second.address, "BTCUSDT", mode="delta", last_event_id=last_id) as events:
        message, then = events.take_messages(2)
    assert (message["type"], message["seq"], message["resumed"]) == ("snapshot", 1, False)
    assert "resumed" not in then


# --- events: slow readers ---


def test_a_slow_reader_is_conflated_and_told_and_gets_the_newest(serve):
    server = serve(*CROWDED)
    with Events(server.address, "BTCUSDT", receive_buffer=4096, update_interval=0) as slow:
        with Events(server.address, "BTCUSDT", receive_buffer=ROOMY, update_interval=0) as quick:
            seqs = [quick.take_message()["seq"]]
            end = time.monotonic() + PATIENCE * 2
            while server.stats()["snapshots_dropped"] < 20:
                assert time.monotonic() < end, "never slow"
                seqs += [m["seq"] for m in quick.take_messages(5)]
            assert server.stats()["slow_consumers"] == 1
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "its neighbour missed some"
        got, warning, told_after = [], None, 0
        while not got or got[-1] < seqs[-1] or not warning:
            event = slow.take_event()
            message = json.loads(event.data)
            if event.name == "warning":
                assert (event.id, warning) == (None, None)
                warning, told_after = message, len(got)
            else:
                got.append(message["seq"])
    assert warning["type"] == "warning" and warning["code"] == "SLOW_CONSUMER"
    gaps = [b - a - 1 for a, b in zip(got, got[1:])]
    # The warning goes out before the snapshot that follows the gap, and tells its width.
    assert warning["dropped_messages"] == gaps[told_after - 1] >= 20


def test_a_slow_reader_of_differences_ends_with_the_same(serve, witness):
    server = serve(*CROWDED)
    seen, state = witness(server), State()
    wish = {"receive_buffer": 4096, "mode": "delta", "update_interval": 0}
    with Events(server.address, "BTCUSDT", **wish) as slow:
        for _ in range(3):
            dropped = server.stats()["snapshots_dropped"]
            await_that(lambda: server.stats()["snapshots_dropped"] > dropped + 5, "it is slow")
            for _ in range(40):
                event = slow.take_event()
                if event.name == "message":
                    state.take(json.loads(event.data))
        last_id = slow.last_id
    assert state.is_as(json.loads(seen.text(last_id)))


def test_who_reads_nothing_is_cut_and_costs_nothing_afterwards(serve):
    server = serve(*CROWDED, "--ws-slow-consumer-disconnect", "2")
    with Events(server.address, "BTCUSDT", receive_buffer=4096, update_interval=0) as dead:
        await_that(lambda: server.stats()["slow_closes"] == 1, "it is cut")
        server.await_stat("freed", sse_connections=0, slow_consumers=0, subscriptions=0, queue_bytes=0)
        told = server.events("client cut: it takes too little of what waits for it")
        assert [line["address"] for line in told] == [dead.socket.getsockname()[0]]
        dead.take_rest()  # to its end


# --- events: counting, leaving, the end ---


def test_streams_are_counted_by_door_and_encoding(serve):
    server = serve(*CROWDED)
    with Events(server.address, "BTCUSDT", mode="delta", format="columns") as events:
        for kind in ("delta", "snapshot"):
            while events.take_message()["type"] != kind:
                pass
        stats = server.stats()
    assert (stats["sse_connections"], stats["websockets"]) == (1, 0)
    assert (stats["subscriptions"], stats["subscriptions_by_symbol"]) == (1, {"BTCUSDT": 1})
    assert stats["messages_sent"] == 0, "those are a WebSocket's"
    for kind in ("delta", "snapshot"):
        count, size = (stats[f"{what}_sse_{kind}_columns_plain"] for what in ("updates", "update_bytes"))
        assert 0 < count < size
    server.await_stat("it left", sse_connections=0, subscriptions=0)


@pytest.mark.parametrize("farewell", ["close", "reset", "half_close"])
def test_who_leaves_is_cleaned_up(serve, farewell):
    server = serve(*FAST)
    streams = [Events(server.address, *SYMBOLS) for _ in range(10)]
    for stream in streams:
        stream.take_event()
    stats = server.stats()
    assert (stats["sse_connections"], stats["subscriptions"], stats["connections"]) == (10, 30, 11)
    for stream in streams:
        getattr(stream, farewell)()
    server.await_stat("nobody is left", sse_connections=0, subscriptions=0, connections=1)
    for stream in streams:
        stream.close()


def test_streams_count_towards_the_limit_on_connections(serve):
    server = serve(*STILL, "--ws-max-connections", "2")
    with Events(server.address, "BTCUSDT"), Events(server.address, "BTCUSDT"):
        with Rude(server.address) as third:
            answer = third.take_answer()
            assert answer.status == 503 and answer.headers["Retry-After"] == "5"


    def has_room():
        with Rude(server.address) as client:
            client.send(request("/sse/heatmap", "HEAD", query={"symbols": "BTCUSDT"}))
            return client.take_rest().startswith(b"HTTP/1.1 200 ")

    await_that(has_room, "room after they left")


def test_a_stopping_server_ends_streams_and_says_when_to_come_back(serve):
    server = serve(*FAST)
    streams = [Events(server.address, "BTCUSDT") for _ in range(5)]
    for stream in streams:
        stream.take_event()
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    for stream in streams:
        rest = stream.take_rest().decode()
        hint = re.fullmatch(r"(?:id: .+\ndata: .+\n\n)*retry: (\d+)\n\n", rest)
        assert hint and 500 <= int(hint[1]) < 10000, rest[-200:]
        stream.close()
    assert server.await_end() == 0
    assert time.monotonic() - began < 2 * SLACK


def test_a_reader_that_reads_nothing_does_not_hold_up_the_end(serve):
    server = serve(*CROWDED)
    with Events(server.address, *SYMBOLS, receive_buffer=4096, update_interval=0):
        await_that(lambda: server.stats()["slow_consumers"] == 1, "it is slow")
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.await_end() == 0
        assert time.monotonic() - began < 2.5 * SLACK


# --- events: clients that nobody here wrote ---


@contextmanager
def cutting_proxy(address):
    """Passes connections on to `address` and cuts each one 1.5 seconds after its first event; yields
    its port and what clients asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked = []

    def pass_on(client):
        with suppress(OSError), client, socket.create_connection(address, PATIENCE) as server:
            asked.append(client.recv(65536).decode())
            server.sendall(asked[-1].encode())
            end = None
            while end is None or time.monotonic() < end:
                data = server.recv(65536)
                client.sendall(data)
                end = end or (time.monotonic() + 1.5 if b"id: " in data else None)

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=pass_on, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


LISTENER = """
const source = new EventSource(process.argv[1]);
const awake = setInterval(() => {}, 1000); // its own timer for coming back keeps nobody awake
let opened = 0;
source.onopen = () => opened++;
source.onmessage = (event) => {
    const { type, seq, prev, resumed, epoch } = JSON.parse(event.data);
    const is_id = event.lastEventId === `${epoch}:${seq}`;
    console.log(JSON.stringify({ opened, type, seq, prev, resumed, epoch, is_id }));
    if (opened === 2) process.exit();
};
"""


def test_an_eventsource_comes_back_by_itself_and_goes_on(crowded):
    node = shutil.which("node")
    assert node, "run scripts/setup test"
    with cutting_proxy(crowded.address) as (port, asked):
        path = target("/sse/heatmap", {"symbols": "BTCUSDT", "mode": "delta", "update_interval": 0})
        done = subprocess.run(
            [node, "--experimental-eventsource", "--no-warnings", "-e", LISTENER, f"http://127.0.0.1:{port}{path}"],
            capture_output=True, text=True, timeout=PATIENCE * 2, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *before, first = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(before) > 5 and first["opened"] == 2 and first["is_id"]
    last = before[-1]
    assert len(asked) == 2 and "last-event-id" not in asked[0].lower()
    assert f"last-event-id: {last['epoch']}:{last['seq']}\r\n" in asked[1].lower()
    assert "resumed" not in first and first["seq"] > last["seq"]
    assert first.get("prev") in (last["seq"], None)


def test_curl_shows_a_stream(sim):
    path = target("/sse/heatmap", {"symbols": "BTCUSDT"})
    curl = subprocess.Popen(["curl", "-sN", sim.url + path], stdout=subprocess.PIPE)
    lines = [curl.stdout.readline() for _ in range(8)]
    curl.terminate()
    curl.wait(PATIENCE)
    curl.stdout.close()
    assert [line[:5] for line in lines] == [b"retry", b"\n"] + [b"id: " + lines[2][4:5], b"data:", b"\n"] * 2


# --- the long poll ---


def test_a_poll_is_answered_by_the_next_version(sim, witness):
    seen, message = witness(sim), latest(sim).json()
    for _ in range(4):
        began = time.monotonic()
        answer = poll(sim, message, wait=20)
        assert answer.status == 200 and time.monotonic() - began < 5 * SLACK
        news = answer.json()
        assert news["epoch"] == message["epoch"] and news["seq"] > message["seq"]
        assert seen.text(id_of(news)) == answer.body.decode()
        message = news


def test_who_is_behind_is_answered_at_once(still):
    newest = latest(still)
    behind = {**newest.json(), "seq": 0}
    unknown = {**newest.json(), "epoch": "zzz"}
    ahead = {**newest.json(), "seq": 999999}
    assert poll(still, behind).body != newest.body, "no version is the 0th"
    for had in (unknown, ahead):
        answer = poll(still, had)
        assert answer.json() == {**newest.json(), "resumed": False}
    for query in ({"wait": 60}, {"mode": "delta"}, {"since": "", "format": "levels"}, {"wait": 0}):
        answer = latest(still, **query)
        assert (answer.status, answer.body) == (200, newest.body), query


def test_who_is_behind_by_known_versions_gets_the_newest(published):
    mover = Mover(published)
    old = latest(published, "MINE").json()
    mover.move(4)
    assert poll(published, old).body == latest(published, "MINE").body


@pytest.mark.parametrize("wait, least", [("0", 0), ("0.4", 0.4), (".75", 0.75), ("1", 1)])
def test_a_poll_without_news_ends_after_its_wait(still, wait, least):
    message = latest(still).json()
    began = time.monotonic()
    answer = poll(still, message, wait=wait)
    took = time.monotonic() - began
    assert least - 0.01 <= took < least + 1 * SLACK
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Length"] is None and answer.headers["ETag"] is None


def test_the_first_poll_waits_for_the_heatmap_to_be_built(serve):
    server = serve(*STILL)
    answer = latest(server, "ETHUSDT", wait=20)
    assert answer.status == 200 and answer.json()["seq"] == 1
    assert latest(server, "ETHUSDT").body == answer.body


@pytest.mark.parametrize("format", ["levels", "columns"])
def test_polls_for_differences_end_with_the_same(published, format):
    mover, state, query = Mover(published), State(), {"mode": "delta", "format": format}
    state.take(message := latest(published, "MINE", **query).json())
    for visit in range(8):
        id = mover.move(1 + visit % 3)
        had, message = message["seq"], poll(published, message, **query).json()
        assert (message["type"], message["prev"], id_of(message)) == ("delta", had, id)
        state.take(message)
    assert state.is_as(latest(published, "MINE").json())


def test_an_answer_is_dressed_as_others_are(serve):
    server = serve(*STILL, "--cors-allowed-origins", "https://a.example")
    plain, polled = latest(server), latest(server, wait=5)
    assert polled.body == plain.body
    for name in ("ETag", "Cache-Control", "Content-Type", "X-Content-Type-Options"):
        assert polled.headers[name] == plain.headers[name]
    path = target("/heatmap/latest", {"symbol": "BTCUSDT", "wait": 5})
    origin = server.request(path, headers={"Origin": "https://a.example"})
    assert origin.headers["Access-Control-Allow-Origin"] == "https://a.example"
    again = server.request(path, headers={"If-None-Match": plain.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    head = server.request(path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(plain.body))
    assert server.request(path, "POST").status == 405


def test_an_answer_is_compressed_once_for_all_who_wait_and_take_it(serve):
    server = serve(*PUBLISHING, HEATCAST_PUBLISH_TOKEN=TOKEN)
    mover = Mover(server)
    query = {"symbol": "MINE", "since": mover.move()}
    with ExitStack() as stack:
        clients = [stack.enter_context(Rude(server.address)) for _ in range(6)]
        for i, client in enumerate(clients):
            fields = {"Accept_Encoding": "gzip"} if i % 2 else {}
            client.send(request("/heatmap/latest", query=query, **fields))
        server.await_stat("they wait", subscriptions=6)
        mover.move()
        plain, packed, *rest = [client.take_answer() for client in clients]
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 2
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert [answer.body for answer in rest] == [plain.body, packed.body] * 2
    stats = server.stats()
    assert stats["updates_poll_snapshot_levels_plain"] == 3
    assert stats["update_bytes_poll_snapshot_levels_deflate"] == 3 * len(packed.body)
    # A text and its compression, wherever the clients are: of one thread they are made once.
    assert stats["encodings_made"] <= 2


@pytest.mark.parametrize(
    "query, status, said",
    [
        ({"wait": 1}, 422, "'symbol' is missing"),
        ({"symbol": "NOPE", "wait": 1}, 400, "Valid symbols: BTCUSDT, ETHUSDT, SOLUSDT"),
        ({"symbol": "BTCUSDT,ETHUSDT", "wait": 1}, 400, "Unknown symbol 'BTCUSDT,ETHUSDT'"),
        ({"symbol": "BTCUSDT", "wait": "60.001"}, 422, "from 0 to 60"),
        ({"symbol": "BTCUSDT", "wait": "-0.1"}, 422, "from 0 to 60"),
        ({"symbol": "BTCUSDT", "wait": "soon"}, 422, "from 0 to 60"),
        ({"symbol": "BTCUSDT", "since": "1841"}, 422, "'since' must be epoch:seq"),
        ({"symbol": "BTCUSDT", "since": "a:1", "mode": "x"}, 422, "'mode'"),
        ({"symbol": "BTCUSDT", "since": "a:1", "format": "x"}, 422, "'format'"),
    ],
    ids=str,
)
def test_a_bad_poll_is_an_error_at_once(still, query, status, said):
    with Rude(still.address) as client:
        answer = client.ask(request("/heatmap/latest", query=query))
        assert answer.status == status and said in answer.detail
        assert client.ask(request("/health")).status == 200


def waiting(server, message, count=1, wait=60):
    """So many clients that wait for news."""
    query = {"symbol": message["symbol"], "since": id_of(message), "wait": wait}
    clients = [Rude(server.address) for _ in range(count)]
    for client in clients:
        client.send(request("/heatmap/latest", query=query))
    server.await_stat("they wait", subscriptions_by_symbol={message["symbol"]: count})
    return clients


def test_two_hundred_polls_cost_no_thread_and_are_answered_at_once(serve):
    server = serve(*PUBLISHING, HEATCAST_PUBLISH_TOKEN=TOKEN)
    publish(server, "MINE", model(price=100))
    message, threads = latest(server, "MINE").json(), thread_count(server)
    with ExitStack() as stack:
        clients = [stack.enter_context(client) for client in waiting(server, message, 200)]
        assert thread_count(server) == threads
        told = publish(server, "MINE", model(price=200))
        assert told["subscribers"] == 200
        answers = [client.take_answer() for client in clients]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert id_of(answers[0].json()) == id_of(told) != id_of(message)
    stats = server.await_stat("all have left", subscriptions=0, connections=1)
    assert (stats["polls_answered"], stats["polls_timed_out"]) == (200, 0)
    assert stats["updates_poll_snapshot_levels_plain"] == 200
    assert stats["encodings_made"] == 1, "for all of them, on all shards"


def thread_count(server):
    return len(os.listdir(f"/proc/{server.pid}/task"))


@pytest.mark.parametrize("farewell", ["close", "reset", "half_close"])
def test_a_poll_whose_client_has_left_is_over(serve, farewell):
    server = serve(*STILL)
    clients = waiting(server, latest(server).json(), 10)
    for client in clients:
        getattr(client, farewell)()
    server.await_stat("nobody waits", subscriptions=0, connections=1)
    stats = server.stats()
    assert (stats["polls_answered"], stats["polls_timed_out"]) == (0, 0)
    for client in clients:
        client.close()


def test_a_connection_goes_on_after_a_poll(still):
    message = latest(still).json()
    query = {"symbol": "BTCUSDT", "since": id_of(message), "wait": "0.2"}
    with Rude(still.address) as client:
        for _ in range(2):
            assert client.ask(request("/heatmap/latest", query=query)).status == 204
            assert client.ask(request("/health")).status == 200
            assert client.ask(request("/heatmap/latest", query={**query, "since": "a:1"})).status == 200
        answer = client.ask(request("/heatmap/latest", query=query, Connection="close"))
        assert answer.headers["Connection"] == "close"
        assert client.is_closed()


def test_a_poll_that_is_over_hears_no_more(published):
    mover = Mover(published)
    query = {"symbol": "MINE", "since": mover.move()}
    with Rude(published.address) as client:
        assert client.ask(request("/heatmap/latest", query={**query, "wait": 0})).status == 204
        id = mover.move()
        assert client.is_silent(0.3)
        answer = client.ask(request("/heatmap/latest", query=query))
        assert id_of(answer.json()) == id
        mover.move()
        assert client.is_silent(0.3)
        published.await_stat("nobody waits", subscriptions=0)


def test_requests_behind_a_poll_wait_for_its_answer(still):
    message = latest(still).json()
    query = {"symbol": "BTCUSDT", "since": id_of(message)}
    first = request("/heatmap/latest", query={**query, "wait": "0.5"})
    second = request("/heatmap/latest", query={**query, "wait": "0.3"})
    with Rude(still.address) as client:
        began = time.monotonic()
        client.send(first + request("/ready") + second + request("/health"))
        assert client.take_answer().status == 204
        assert time.monotonic() - began > 0.49
        assert client.take_answer().json() == {"status": "ready"}
        assert client.take_answer().status == 204
        assert time.monotonic() - began > 0.79
        assert client.take_answer().json()["status"] == "ok"


def test_a_poll_that_waits_holds_back_what_is_behind_it_after_one_that_did_not(still):
    query = {"symbol": "BTCUSDT", "wait": "0.5"}
    has_nothing, has_all = query, {**query, "since": id_of(latest(still).json())}
    with Rude(still.address) as client:
        began = time.monotonic()
        client.send(b"".join(request("/heatmap/latest", query=q) for q in (has_nothing, has_all)))
        client.send(request("/ready"))
        assert [client.take_answer().status for _ in range(2)] == [200, 204]
        assert time.monotonic() - began > 0.49
        assert client.take_answer().json() == {"status": "ready"}


def test_a_poll_may_arrive_in_pieces(still):
    message = latest(still).json()
    with Rude(still.address) as client:
        query = {"symbol": "BTCUSDT", "since": id_of(message), "wait": 0}
        client.send_in_pieces(request("/heatmap/latest", query=query))
        assert client.take_answer().status == 204


def test_a_stopping_server_answers_who_waits(serve):
    server = serve(*STILL)
    clients = waiting(server, latest(server).json(), 5)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    for client in clients:
        answer = client.take_answer()
        assert answer.status == 503 and answer.headers["Retry-After"] == "5"
        assert "stopping" in answer.detail and client.is_closed()
        client.close()
    assert server.await_end() == 0
    assert time.monotonic() - began < 2 * SLACK


def test_polls_and_streams_survive_each_other(serve):
    """Everybody at once, some of them leaving: nothing is left behind."""
    server = serve(*CROWDED, "--threads", "2")
    message = latest(server).json()
    with ExitStack() as stack:
        streams = [stack.enter_context(Events(server.address, *SYMBOLS, mode="delta")) for _ in range(10)]
        for round_ in range(5):
            clients = [stack.enter_context(Rude(server.address)) for _ in range(10)]
            for i, client in enumerate(clients):
                query = {"symbol": SYMBOLS[i % 3], "since": id_of(message), "wait": 0.2 * (i % 4)}
                client.send(request("/heatmap/latest", query=query) * 3)
            for client in clients[5:]:
                assert client.take_answer().status in (200, 204)
                client.reset() if round_ % 2 else client.close()
            for stream in streams:
                stream.take_event()
    server.await_stat("all gone", connections=1, subscriptions=0, sse_connections=0, queue_bytes=0)


# --- twenty seconds later ---


def test_a_stream_without_news_has_a_comment_every_twenty_seconds(listeners):
    for one in listeners[0]:
        one.join(PATIENCE * 2)
        assert one.count == 1, "the snapshot at its beginning"
        ((at, line),) = one.stream.pings
        # 20 s, up to 2 more or less for each stream, looked at once a second.
        assert line == ": ping" and 17.5 < at - one.began < 23.5 + SLACK
        one.stream.close()


def test_a_stream_with_news_has_none(listeners):
    one = listeners[1]
    one.join(PATIENCE * 2)
    assert one.count > 25 and one.stream.pings == []
    one.stream.close()
