"""nginx, with the very configuration of deploy/nginx, in front of two servers."""

import gzip
import http.client
import json
import signal
import time
import urllib.parse
from contextlib import ExitStack, contextmanager

import pytest

from model import TOKEN, Model, taking
from nginx import Nginx
from rude import CLOSE, DEFLATE, PING, PONG, TEXT, Rude, RudeSocket, frame, upgrade
from server import CROWDED, PATIENCE, SLACK, await_that

pytestmark = pytest.mark.servers

MARKET = ("--feed", "sim", "--sim-speed", "3000", "--ws-update-interval", "0.25", "--trusted-proxy", "127.0.0.1")


@pytest.fixture
def site(serve, tmp_path):
    """site(FLAG…, timeout=…, SETTING=…): nginx and the two servers behind it, which are told the
    same; a server's own are those in `own`, for the first and for the second one."""
    started = []

    def start(*flags, timeout=None, own=((), ()), **env):
        nodes = [serve(*flags, *own[i], db=tmp_path / f"node{i}.duckdb", **env) for i in range(2)]
        started.append(Nginx(nodes, tmp_path / "nginx", timeout))
        return started[-1], *nodes

    yield start
    for nginx in started:
        nginx.stop()


def restart(serve, node, *flags, **env):
    """The same server again, in its old place."""
    return serve(*flags, "--listen", f"{node.host}:{node.port}", db=node.db, **env)


def websockets(*nodes):
    return sum(node.stats()["websockets"] for node in nodes)


def is_let_in(nginx, **fields):
    with Rude(nginx.address) as client:
        return client.ask(upgrade(**fields)).status == 101


def epochs(node, symbol="BTCUSDT"):
    return node.get("/heatmap/latest", symbol=symbol)["epoch"]


class Stream:
    """Server-sent events, by Python's own HTTP client."""

    def __init__(self, server, **query):
        self.connection = http.client.HTTPConnection(*server.address, timeout=PATIENCE)
        self.connection.request("GET", "/sse/heatmap?" + urllib.parse.urlencode(query))
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()

    def take_lines(self):
        """An event's lines, or a comment's."""
        lines = []
        while (line := self.response.readline()) != b"\n":
            assert line, "the stream ended"
            lines.append(line.decode().rstrip("\n"))
        return lines

    def take_message(self):
        while True:
            for line in self.take_lines():
                if line.startswith("data: "):
                    return json.loads(line[6:])

    def close(self):
        # The socket is the response's by now, and shutting down is what ends it for both.
        self.response.close()
        self.connection.close()


# --- what comes through ---


def test_the_page_and_rest_come_through_as_they_are(site):
    nginx, one, two = site(*MARKET)
    await_that(lambda: epochs(one) and epochs(two), "both have a state")
    page = nginx.request("/")
    assert (page.status, page.body) == (200, one.request("/").body)
    assert page.headers["Content-Security-Policy"] == one.request("/").headers["Content-Security-Policy"]
    again = nginx.request("/", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    packed = nginx.request("/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == page.body
    assert {s["symbol"] for s in nginx.get("/symbols")["symbols"]} >= {"BTCUSDT"}
    error = nginx.request("/prices/klines?symbol=NOSUCH&interval=5m")
    assert error.status == 400 and "NOSUCH" in error.detail
    assert nginx.request("/metrics").status == 404


def test_a_body_as_long_as_may_be_published_comes_through(site):
    nginx, one, two = site(*MARKET, **taking("MINE"))
    body = b" " * (2097152 - 2) + b"{}"
    answer = nginx.request("/publish/MINE", "POST", {"Authorization": f"Bearer {TOKEN}"}, body)
    assert answer.status == 422, "read, and no snapshot"


def test_a_websocket_comes_through_with_deflate(site):
    nginx, one, two = site(*MARKET)
    with RudeSocket(nginx.address, Sec_WebSocket_Extensions=DEFLATE) as client:
        assert DEFLATE in client.handshake.headers["Sec-WebSocket-Extensions"]
        client.subscribe("BTCUSDT", update_interval=0)
        got = [client.take_frame() for _ in range(3)]
        assert [(one.opcode, one.rsv) for one in got] == [(TEXT, 4)] * 3
        first, second, third = (client.message_of(one)["seq"] for one in got)
        assert first < second < third
        assert websockets(one, two) == 1
        client.send(frame(CLOSE, b"\x03\xe8"))
        assert client.take_end()


def test_the_host_that_was_asked_for_comes_through(site):
    """Else the server would take its own pages for those of others."""
    nginx, one, two = site("--feed", "replay", "--replay-from", "0%", "--trusted-proxy", "127.0.0.1")
    for origin, status in [(nginx.url, 200), ("http://127.0.0.1", 403), (one.url, 403)]:
        headers = {"Origin": origin, "Content-Type": "application/json"}
        answer = nginx.request("/replay", "POST", headers, b"{}")
        assert answer.status == status, (origin, answer.body)


def test_events_come_one_by_one_and_not_when_a_buffer_is_full(site):
    nginx, one, two = site("--trusted-proxy", "127.0.0.1", **taking("MINE"))
    models = [Model(node, "MINE") for node in (one, two)]
    stream = Stream(nginx, symbols="MINE", update_interval=0)
    assert stream.response.headers["Content-Type"] == "text/event-stream"
    for _ in range(5):
        for model in models:
            model.price += 1
            model.publish()
        seqs = {model.seq for model in models}
        assert {stream.take_message()["seq"]} == seqs, "before the next one is made"
    stream.close()
    await_that(lambda: one.stats()["subscriptions"] + two.stats()["subscriptions"] == 0, "its end comes through")


def test_a_long_poll_waits_and_is_answered(site):
    nginx, one, two = site("--trusted-proxy", "127.0.0.1", **taking("MINE"))
    assert nginx.request("/heatmap/latest?symbol=MINE&wait=1").status == 204
    with Rude(nginx.address) as client:
        client.send(b"GET /heatmap/latest?symbol=MINE&wait=60 HTTP/1.1\r\nHost: x\r\n\r\n")
        await_that(lambda: one.stats()["subscriptions"] + two.stats()["subscriptions"], "it waits")
        for node in (one, two):
            Model(node, "MINE").publish()
        assert client.take_answer().status == 200


# --- whose address counts ---


def test_clients_are_counted_by_their_own_addresses_whatever_they_claim(site):
    nginx, one, two = site(*MARKET, "--ws-max-connections-per-address", "1")
    spoofs = iter(f"198.51.100.{i}" for i in range(1, 100))
    inside = [RudeSocket(nginx.address, source="127.0.0.5", X_Forwarded_For=next(spoofs)) for _ in range(2)]
    assert [websockets(one), websockets(two)] == [1, 1], "one on each, and no more"
    for _ in range(10):
        with Rude(nginx.address, source="127.0.0.5") as again:
            again.send(upgrade(X_Forwarded_For=next(spoofs)).encode())
            answer = again.take_answer()
            assert (answer.status, answer.headers["Retry-After"]) == (429, "5")
    # Nor has nginx taken the servers for ill, which told so many to come later.
    others = [RudeSocket(nginx.address, source=f"127.0.0.{i}") for i in range(6, 16)]
    assert websockets(one) >= 2 <= websockets(two)
    for client in inside + others:
        client.close()


# --- servers that are gone, or refuse ---


def test_a_dead_server_is_passed_over_and_comes_back(site, serve):
    nginx, one, two = site(*MARKET)
    one.kill()
    for _ in range(6):
        assert nginx.request("/health").status == 200
        assert is_let_in(nginx)
    again = restart(serve, one, *MARKET)

    def has_some():
        assert is_let_in(nginx)
        return again.stats()["websockets_opened"]

    await_that(has_some, "the one that came back is asked again", PATIENCE + 10)


def test_one_that_comes_back_gets_all_streams_at_once(site, serve):
    """Though none of those it got has ended, which is when nginx forgives failures."""
    nginx, one, two = site(*MARKET)
    with ExitStack() as stack:
        one.kill()
        for _ in range(3):
            stack.enter_context(RudeSocket(nginx.address))
        again = restart(serve, one, *MARKET)
        stack.enter_context(RudeSocket(nginx.address))
        two.kill()
        for _ in range(3):
            stack.enter_context(RudeSocket(nginx.address))
        assert websockets(again) == 4


class Follower(RudeSocket):
    """A client that takes differences, and looks that no version is older than the one before."""

    def __init__(self, nginx, has=None):
        super().__init__(nginx.address)
        since = {"since": {"BTCUSDT": has["seq"]}, "epoch": has["epoch"]} if has else {}
        self.subscribe("BTCUSDT", update_interval=0, mode="delta", **since)
        self.last = has

    def take_version(self):
        message = self.take_message()
        assert message["type"] in ("snapshot", "delta"), message
        if self.last and message["epoch"] == self.last["epoch"]:
            assert message["seq"] > self.last["seq"]
            assert message.get("prev", self.last["seq"]) == self.last["seq"]
        self.last = message
        return message

    def take_all(self):
        """Until the end of the connection, which comes without a close frame."""
        with pytest.raises(AssertionError, match="^closed after"):
            while True:
                self.take_version()


@pytest.mark.parametrize("who", ["the one that computes", "the one that follows"])
def test_a_client_whose_server_dies_goes_on_with_the_other_one(site, redis_url, who):
    nginx, one, two = site(*CROWDED, "--trusted-proxy", "127.0.0.1", "--redis-enabled", "--redis-url", redis_url)

    def leads(node):
        return "BTCUSDT" in node.get("/health")["redis"]["leads"]

    await_that(lambda: leads(one) or leads(two), "one of them computes")
    dies = one if leads(one) == (who == "the one that computes") else two
    with Follower(nginx) as first:
        homes = [node for node in (one, two) if websockets(node)]
        with Follower(nginx) as second:
            clients = [first, second] if homes == [dies] else [second, first]
            assert websockets(one) == websockets(two) == 1
            for client in clients:
                epoch = [client.take_version() for _ in range(3)][-1]["epoch"]
            cut, kept = clients
            dies.kill()
            cut.take_all()
            with Follower(nginx, has=cut.last) as again:
                message = again.take_version()
                if who == "the one that follows":
                    assert message["epoch"] == epoch and "resumed" not in message, "nothing was missed"
                else:  # whoever computes now begins an epoch
                    for client in (again, kept):
                        while client.take_version()["epoch"] == epoch:
                            pass
                for client in (again, kept):
                    client.take_version()


@contextmanager
def taken(node):
    """A server that allows one connection, and this is it."""
    with Rude(node.address) as only:
        assert only.ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        yield


def test_a_server_that_refuses_streams_is_passed_over(site):
    """A full one, which answers 503 like one that is being stopped."""
    nginx, one, two = site(*MARKET, own=(("--ws-max-connections", "1"), ()))
    with taken(one):
        clients = [RudeSocket(nginx.address) for _ in range(6)]
        assert websockets(two) == 6
        stream = Stream(nginx, symbols="BTCUSDT")
        assert stream.take_message()["type"] == "snapshot"
        assert nginx.get("/heatmap/latest", symbol="BTCUSDT", wait=5)["type"] == "snapshot"
        assert two.stats()["sse_connections"] == 1
        stream.close()
        for client in clients:
            client.close()


def test_a_server_that_is_being_stopped_is_passed_over(site):
    nginx, one, two = site(*MARKET, own=(("--ws-drain-seconds", "3600"), ()))
    with ExitStack() as stack:
        clients = [stack.enter_context(RudeSocket(nginx.address)) for _ in range(4)]
        for client in clients:
            client.subscribe("BTCUSDT", update_interval=0)
        before = websockets(two)
        assert 0 < websockets(one) < 4
        one.signal(signal.SIGTERM)
        await_that(lambda: one.request("/ready").status == 503, "it is being stopped")
        for _ in range(5):
            clients.append(stack.enter_context(RudeSocket(nginx.address)))
        stream = Stream(nginx, symbols="BTCUSDT")
        assert (websockets(two), two.stats()["sse_connections"]) == (before + 5, 1)
        stream.close()
        assert nginx.request("/health").status == 200
        one.signal(signal.SIGTERM)  # the second one: at once
        assert one.await_end() == 0
        assert is_let_in(nginx)


def test_where_all_refuse_the_client_is_told_to_come_later(site):
    full = ("--ws-max-connections", "1")
    nginx, one, two = site(*MARKET, own=(full, full))
    with taken(one), taken(two), Rude(nginx.address) as client:
        answer = client.ask(upgrade())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "too many connections" in answer.detail


# --- silence ---


def stay_idle(nginx, seconds, pings):
    """A WebSocket and a stream of events that nothing is said on; both are alive at the end, and were
    pinged so often at least."""
    end = time.monotonic() + seconds
    stream = Stream(nginx, symbols="MINE")
    heard = 0
    with RudeSocket(nginx.address) as client:
        client.subscribe("MINE")
        while (left := end - time.monotonic()) > 0 and not client.is_silent(left):
            got = client.take_frame()
            assert got.opcode == PING, got
            client.send(frame(PONG, got.payload))
            heard += 1
        client.say({"action": "ping"})
        assert client.take_message()["type"] == "pong"
    for _ in range(pings):
        while not stream.take_lines()[0].startswith(":"):
            pass
    stream.close()
    assert heard >= pings


def test_an_idle_connection_outlives_the_proxys_timeouts_by_our_pings(site):
    """With a timeout a little above the 22 s within which we ping."""
    nginx, one, two = site("--trusted-proxy", "127.0.0.1", timeout=25, **taking("MINE"))
    stay_idle(nginx, 27, 1)


def test_without_our_pings_it_would_not(site):
    nginx, one, two = site("--trusted-proxy", "127.0.0.1", timeout=2, **taking("MINE"))
    with RudeSocket(nginx.address) as client:
        client.subscribe("MINE")
        began = time.monotonic()
        assert client.is_closed()
        assert time.monotonic() - began < 15 * SLACK


@pytest.mark.cluster
def test_ten_minutes_of_silence_end_nothing(site):
    nginx, one, two = site("--trusted-proxy", "127.0.0.1", **taking("MINE"))
    stay_idle(nginx, 600, 25)
