"""What an edge has no database for: REST that it fetches from a full node (--upstream)."""

import base64
import gzip
import http.client
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

import cluster
from listening import Listener
from rude import RudeSocket
from server import FAST, PATIENCE, Server, await_that, free_port, run

TIMESERIES, KLINES = "/liquidations/heatmap-timeseries", "/prices/klines"
QUESTIONS = [
    "/symbols",
    "/data/date-range?symbol=AAAUSDT",
    f"{KLINES}?symbol=AAAUSDT&interval=5m",
    f"{KLINES}?symbol=AAAUSDT&interval=15m&format=columns&limit=100",
    f"{TIMESERIES}?symbol=AAAUSDT&interval=5m",
    f"{TIMESERIES}?symbol=%41AAUSDT&interval=5m&format=matrix&price_bin_size=0.5&warmup=stream",
    f"{TIMESERIES}?symbol=AAAUSDT&interval=1h&leverage_weights=5:1,100:1",
]
REFUSED = [
    ("/data/date-range?symbol=NOPE", 400),
    ("/data/date-range", 422),
    (f"{KLINES}?symbol=AAAUSDT&interval=7m", 422),
    (f"{TIMESERIES}?symbol=AAAUSDT&start_time=yesterday", 400),
]
# Nobody is there: what is fetched needs no Redis.
NO_REDIS = "redis://127.0.0.1:1/0"


class Edge(cluster.Edge):
    """One that is without Redis, unless it is told of one."""

    def __init__(self, *flags, **env):
        super().__init__(*flags, **{"REDIS_URL": NO_REDIS, **env})


@pytest.fixture(scope="module")
def full(still_db):
    server = Server(db=still_db)
    yield server
    server.stop()


@pytest.fixture
def edge():
    """edge(URL, FLAG…) starts an edge that asks there."""
    with ExitStack() as started:

        def start(upstream, *flags, **env):
            server = Edge("--upstream", upstream, *flags, **env)
            started.callback(lambda: server.process.returncode is None and server.stop())
            return server

        yield start


@pytest.fixture(scope="module")
def relay(full):
    """An edge of the full node, for tests that leave no trace in either."""
    server = Edge("--upstream", full.url)
    yield server
    server.stop()


def take_head(lines):
    """All lines up to the empty one; "" where the asker is gone."""
    head = b""
    while (line := lines.readline()) not in (b"\r\n", b""):
        head += line
    return head.decode()


class Fake(Listener):
    """A full node that answers as the test says: answer(socket, head), and counts who asks."""

    OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'

    def __init__(self, answer=None, context=None):
        self.answer = answer or (lambda client, head: client.sendall(self.OK))
        self.context = context
        self.heads = []
        self.is_open = threading.Event()
        super().__init__(self.serve)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"

    def hold(self, client, head):
        """Answers when the test lets it."""
        self.is_open.wait(PATIENCE * 3)
        client.sendall(self.OK)

    def serve(self, client):
        if self.context:
            client = self.context.wrap_socket(client, server_side=True)
        with client, client.makefile("rb") as lines:
            while head := take_head(lines):
                self.heads.append(head)
                self.answer(client, head)

    def close(self):
        self.is_open.set()
        super().close()


@contextmanager
def asking(server, targets):
    """Asks for all of them at once; yields the answers to come."""
    with ThreadPoolExecutor(len(targets)) as pool:
        yield [pool.submit(server.request, target) for target in targets]


def await_asked(server, **wanted):
    return server.await_stat("asked", **{f"upstream_requests_{k}": v for k, v in wanted.items()})


# --- what the full node says ---


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("target", QUESTIONS)
def test_an_answer_is_the_full_nodes_to_the_byte(full, relay, target, coding):
    kept = ("Content-Type", "Content-Encoding", "Content-Length", "ETag", "Cache-Control", "Vary")
    asked = {"Accept-Encoding": coding}
    ours, theirs = (server.request(target, headers=asked) for server in (relay, full))
    assert (ours.status, ours.body) == (200, theirs.body)
    assert [ours.headers[name] for name in kept] == [theirs.headers[name] for name in kept]
    head = relay.request(target, "HEAD", asked)
    assert (head.status, head.body) == (200, b"")
    assert [head.headers[name] for name in kept] == [theirs.headers[name] for name in kept]


def test_compressed_bytes_are_passed_on_as_they_came(edge):
    body = gzip.compress(b'{"from": "the full node"}' * 100)
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        f'ETag: W/"0123456789abcdef"\r\nContent-Length: {len(body)}\r\n\r\n'
    )
    with Fake(lambda client, _: client.sendall(head.encode() + body)) as node:
        server = edge(node.url)
        answer = server.request(KLINES, headers={"Accept-Encoding": "gzip"})
        assert (answer.body, answer.headers["Content-Encoding"]) == (body, "gzip")
        assert answer.headers["ETag"] == 'W/"0123456789abcdef"'
        # Not asked for, it is none of ours to unpack.
        assert server.request(KLINES, headers={"Accept-Encoding": "br"}).status == 502


@pytest.mark.parametrize("target", QUESTIONS)
def test_who_has_the_answer_is_told_that_it_is_unchanged(full, relay, target):
    etag = full.request(target).headers["ETag"]
    answer = relay.request(target, headers={"If-None-Match": etag})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize("target, status", REFUSED)
def test_an_error_is_the_full_nodes_too(full, relay, target, status):
    ours, theirs = relay.request(target), full.request(target)
    assert (ours.status, ours.detail) == (status, theirs.detail)


@pytest.mark.parametrize("status", [429, 503])
def test_when_to_come_again_is_passed_on(edge, status):
    body = b'{"detail":"later"}'
    head = (
        f"HTTP/1.1 {status} Later\r\nContent-Type: application/json\r\nRetry-After: 77\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with Fake(lambda client, _: client.sendall(head.encode() + body)) as node:
        answer = edge(node.url).request(KLINES)
        assert (answer.status, answer.detail, answer.headers["Retry-After"]) == (status, "later", "77")


def test_path_and_query_go_as_they_came_below_the_urls_own_path(edge):
    with Fake() as node:
        port = node.url.rsplit(":", 1)[1]
        server = edge(f"http://me:secret@127.0.0.1:{port}/heat/")
        assert server.get(f"{KLINES}?symbol=%41&x={{|}}&&") == {}
        (head,) = node.heads
    lines = head.split("\r\n")
    assert lines[0] == f"GET /heat{KLINES}?symbol=%41&x={{|}}&& HTTP/1.1"
    assert f"Authorization: Basic {base64.b64encode(b'me:secret').decode()}" in lines


def test_the_environment_names_no_proxy(edge, full):
    nowhere = {name: "http://127.0.0.1:1" for name in ("http_proxy", "all_proxy", "HTTPS_PROXY")}
    assert edge(full.url, **nowhere).request(QUESTIONS[1]).status == 200


def test_only_what_needs_a_database_is_asked_for(edge):
    with Fake() as node:
        server = edge(node.url)
        for path in ("/health", "/ws/stats", "/metrics", "/", "/heatmap/latest?symbol=X"):
            server.request(path)
        assert server.request(KLINES, "POST", body="").status == 405
        assert not node.heads


# --- without one ---


def test_without_an_upstream_history_is_answered_503_and_symbols_are_what_the_edge_knows(edge):
    server = edge("")
    for target in QUESTIONS[1:]:
        answer = server.request(target)
        assert answer.status == 503 and "--upstream" in answer.detail
        assert answer.headers["Retry-After"] == "5"
    assert server.get("/symbols") == {"symbols": []}


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://me:secret@x", "http://x/?a", "http://x/#b", "http://", "http://x:y"]
)
def test_what_is_no_url_of_a_full_node_is_refused_at_the_start(url):
    done = run("edge", "--upstream", url)
    assert done.returncode == 2 and "upstream" in done.stderr and "secret" not in done.stderr


def test_the_url_is_not_printed_since_it_may_have_a_password():
    done = run("edge", "--upstream", "http://me:secret@x", "--print-config")
    assert done.returncode == 0 and "secret" not in done.stdout + done.stderr


# --- a full node in trouble ---


def test_a_full_node_that_is_away_is_said_so_and_one_that_comes_back_is_asked_again(edge, still_db, tmp_path):
    db = shutil.copy(still_db, tmp_path / "own.duckdb")
    full = Server(db=db)
    port = full.port
    server = edge(f"http://me:secret@127.0.0.1:{port}")
    before = server.request(KLINES, symbol="AAAUSDT")
    assert before.status == 200
    full.stop()
    for _ in range(3):
        answer = server.request(KLINES, symbol="AAAUSDT")
        assert answer.status == 502
        assert answer.detail == f"the full node at 127.0.0.1:{port} cannot be reached"
    assert server.get("/symbols") == {"symbols": []}  # what the edge knows itself
    assert len(server.events("full node fails")) == 1 and "secret" not in server.log()
    full = Server("--listen", f"127.0.0.1:{port}", db=db)
    try:
        assert server.request(KLINES, symbol="AAAUSDT").body == before.body
        assert len(server.events("full node answers")) == 1
    finally:
        full.stop()


def test_a_full_node_that_does_not_take_the_connection_is_given_up_in_time(edge):
    with ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        # Linux lets backlog + 1 wait to be accepted, and answers nobody else.
        held.enter_context(socket.create_connection(address))
        answer = edge(f"http://127.0.0.1:{address[1]}").request(KLINES)
        assert answer.status == 504
        assert answer.detail == f"the full node at 127.0.0.1:{address[1]} did not answer in time"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"220 mail ESMTP\r\n\r\n", id="no HTTP"),
        pytest.param(HEAD + b"Content-Length: 10\r\n\r\n{}", id="cut"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", id="chunks cut"),
        pytest.param(HEAD + b"Content-Length: 200000000\r\n\r\n", id="too long"),
        pytest.param(HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", id="coding"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi", id="page"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", id="no type"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: /symbols\r\nContent-Length: 0\r\n\r\n", id="redirect"
        ),
        pytest.param(
            b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            id="401",
        ),
    ],
)
def test_what_no_full_node_says_is_not_passed_on(edge, answer):
    def say(client, head):
        client.sendall(answer)
        client.shutdown(socket.SHUT_RDWR)

    with Fake(say) as node:
        server = edge(node.url)
        got = server.request(KLINES)
        assert got.status == 502 and got.detail.startswith(f"the full node at {node.url[7:]} ")
        assert server.stats()["upstream_fetches_failed"] == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(edge, tmp_path):
    words = "req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 1 -subj /CN=127.0.0.1"
    subprocess.run(["openssl", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with Fake(context=context) as node:
        assert edge(node.url).request(KLINES).status == 502
        assert not node.heads


def test_a_request_that_goes_round_is_ended_at_once():
    port = free_port()
    itself = Edge("--listen", f"127.0.0.1:{port}", "--upstream", f"http://127.0.0.1:{port}")
    try:
        answer = itself.request(KLINES)
        assert answer.status == 508 and "goes round" in answer.detail
    finally:
        itself.stop()


def test_edges_that_ask_each_other_do_not_wait_for_each_other():
    ports = [free_port() for _ in range(2)]
    servers = [
        Edge("--listen", f"127.0.0.1:{port}", "--upstream", f"http://127.0.0.1:{other}")
        for port, other in (ports, reversed(ports))
    ]
    try:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: servers[i % 2].request(KLINES), range(40)))
        assert {answer.status for answer in answers} == {508}
    finally:
        for server in servers:
            server.stop()


def test_an_edge_may_ask_an_edge(edge, full, relay):
    second = edge(relay.url)
    for target in QUESTIONS:
        assert second.request(target).body == full.request(target).body


def test_too_many_proxies_are_a_round(relay):
    via = ", ".join(f"1.1 p{i}" for i in range(9))
    assert relay.request(QUESTIONS[1], headers={"Via": via}).status == 508
    via = ", ".join(f"1.1 p{i}" for i in range(8))
    assert relay.request(QUESTIONS[1], headers={"Via": via}).status == 200


# --- many at once ---


def test_those_who_ask_the_same_at_once_are_given_one_answer(edge, full):
    """A whole crowd opens the same map, and the full node is asked once."""
    target = f"{TIMESERIES}?symbol=AAAUSDT&interval=5m&format=matrix"
    wanted = full.request(target).body
    server = edge(full.url)
    before = full.stats()["http_requests"]
    full.signal(signal.SIGSTOP)
    try:
        with asking(server, [target] * 40) as answers:
            await_asked(server, fetched=1, shared=39)
            full.signal(signal.SIGCONT)
            assert {answer.result().body for answer in answers} == {wanted}
    finally:
        full.signal(signal.SIGCONT)
    assert full.stats()["http_requests"] == before + 2  # this look and the fetch
    await_that(lambda: server.stats()["upstream_fetches_answered"] == 1, "the answer is counted")
    assert server.request(target).body == wanted  # who comes later asks anew
    await_asked(server, fetched=2, shared=39)


def test_others_are_not_delayed_by_a_full_node_that_is_slow(edge):
    with Fake() as node:
        node.answer = node.hold
        server = edge(node.url)
        with asking(server, [f"{KLINES}?n={i}" for i in range(8)]) as answers:
            await_that(lambda: len(node.heads) == 8, "all have been asked")
            for path in ("/health", "/ready", "/ws/stats", "/"):
                assert server.request(path).status in (200, 503)
            assert not any(answer.done() for answer in answers)
            node.is_open.set()
            assert [answer.result().status for answer in answers] == [200] * 8


def test_the_stream_is_not_delayed_by_a_full_node_that_is_slow(edge, redis_url, tmp_path):
    full = Server(*FAST, db=tmp_path / "sim.duckdb", REDIS_ENABLED="true", REDIS_URL=redis_url)
    try:
        with Fake() as node:
            node.answer = node.hold
            server = edge(node.url, REDIS_URL=redis_url)
            heard = lambda: server.request("/heatmap/latest?symbol=BTCUSDT").status == 200  # noqa: E731
            await_that(heard, "the edge has news from Redis")
            with asking(server, [f"{KLINES}?n={i}" for i in range(8)]) as answers:
                await_that(lambda: len(node.heads) == 8, "all have been asked")
                with RudeSocket(server.address) as client:
                    client.subscribe("BTCUSDT", update_interval=0)
                    seqs = [message["seq"] for message in client.take_messages(6, "snapshot")]
                assert seqs == sorted(set(seqs))
                assert not any(answer.done() for answer in answers)
                node.is_open.set()
    finally:
        full.stop()


def test_one_address_may_not_have_the_full_node_to_itself(edge):
    with Fake() as node:
        node.answer = node.hold
        server = edge(node.url)
        with asking(server, [f"{KLINES}?n={i}" for i in range(16)]) as answers:
            await_asked(server, fetched=16)
            refused = server.request(f"{KLINES}?n=16")
            assert refused.status == 429 and refused.headers["Retry-After"] == "5"
            other = http.client.HTTPConnection(
                *server.address, timeout=PATIENCE, source_address=("127.0.0.9", 0)
            )
            other.request("GET", f"{KLINES}?n=17")
            await_asked(server, fetched=17)  # it waits for its turn
            assert len(node.heads) <= 16
            node.is_open.set()
            assert other.getresponse().status == 200
            other.close()
            assert [answer.result().status for answer in answers] == [200] * 16


def test_an_edge_stops_while_it_waits_for_the_full_node(edge):
    with Fake() as node:
        node.answer = node.hold
        server = edge(node.url)
        with asking(server, [f"{KLINES}?n={i}" for i in range(4)]) as answers:
            await_asked(server, fetched=4)
            server.stop()
            for answer in answers:
                try:
                    assert answer.result().status == 503
                except (OSError, http.client.HTTPException):
                    pass  # the connection went before its answer


def test_what_is_asked_of_the_full_node_is_counted(edge, full):
    server = edge(full.url)
    server.request(QUESTIONS[1])
    server.request(REFUSED[0][0])
    server.request(QUESTIONS[1], headers={"Via": "1.1 x," * 9})
    stats = await_asked(server, fetched=2, shared=0, refused=1)
    counts = [stats[f"upstream_fetches_{k}"] for k in ("answered", "refused", "timed_out", "failed")]
    assert counts == [1, 1, 0, 0]
    assert stats["upstream_fetch_count"] == 2 and stats["upstream_fetch_seconds"] > 0
    text = server.request("/metrics").body.decode()
    assert 'heatcast_upstream_requests_total{result="fetched"} 2\n' in text
    assert 'heatcast_upstream_fetches_total{result="refused"} 1\n' in text
