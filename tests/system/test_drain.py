"""A server that is to stop lets its streaming clients go one after the other (WS_DRAIN_SECONDS)."""

import json
import signal
import time
from contextlib import ExitStack, contextmanager

import pytest

from rude import CLOSE, ROOMY, Rude, RudeSocket, frame, upgrade
from server import CROWDED, FAST, await_that
from test_doors import STILL, Events, id_of, latest, request
from test_publish import TOKEN, model, publish

pytestmark = pytest.mark.servers

# One thread, so that where each client's part of the time lies is known.
ONE = ("--threads", "1")
# Of two clients, one has its turn in the second half: half an hour from now.
HOLDING = (*ONE, "--ws-drain-seconds", "3600")
DOOR = {"HEATCAST_PUBLISH_TOKEN": TOKEN, "HEATCAST_PUBLISH_SYMBOLS": "MINE"}


def take_warning(client, code="SERVER_SHUTDOWN"):
    warning = client.take_message("warning")
    assert warning["code"] == code and warning["message"], warning
    return warning


def take_event_warning(stream):
    """The next warning, after whatever versions come before it."""
    while (event := stream.take_event()).name != "warning":
        pass
    assert event.id is None
    return json.loads(event.data)


def answer_of(server, request):
    """The answer to one request, and whether the connection ended with it."""
    with Rude(server.address) as client:
        answer = client.ask(request)
        return answer, answer.headers.get("Connection") == "close" and client.is_closed()


def assert_refused(server, request):
    answer, is_closed = answer_of(server, request)
    assert answer.status == 503 and answer.headers["Retry-After"] == "5", request
    assert "about to stop" in answer.detail and is_closed


@contextmanager
def held(serve, *flags, **env):
    """A server that drains for as long as the test wants, and its two clients."""
    server = serve(*HOLDING, *flags, **env)
    with RudeSocket(server.address) as one, RudeSocket(server.address) as other:
        clients = [one, other]
        for client in clients:
            client.pong()
        server.signal(signal.SIGTERM)
        delays = [take_warning(client)["reconnect_in_ms"] for client in clients]
        server.last_client = clients[delays.index(max(delays))]
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_every_client_is_told_when_it_has_to_go_and_goes_then(serve, number):
    server = serve(*FAST, *ONE, "--ws-drain-seconds", "2")
    with ExitStack() as stack:
        clients = [stack.enter_context(RudeSocket(server.address)) for _ in range(8)]
        for client in clients[1:]:  # the first one only is there
            client.subscribe("BTCUSDT", "ETHUSDT", "SOLUSDT", update_interval=0)
            client.take_message("snapshot")
        clients[0].pong()
        began = time.monotonic()
        server.signal(number)
        delays = {client: take_warning(client)["reconnect_in_ms"] for client in clients}
        for turn, client in enumerate(sorted(clients, key=delays.get)):
            assert 250 * turn <= delays[client] < 250 * (turn + 1), "each has a part of the time"
            assert client.take_close() == (1012, "the server restarts; connect again now")
            assert time.monotonic() - began >= delays[client] / 1000 - 0.002
            client.send(frame(CLOSE, b"\x03\xf4"))
    assert server.await_end() == 0


def test_clients_of_several_threads_go_at_different_moments(serve):
    server = serve("--threads", "4", "--ws-drain-seconds", "1")
    with ExitStack() as stack:
        clients = [stack.enter_context(RudeSocket(server.address)) for _ in range(12)]
        for client in clients:
            client.pong()
        server.signal(signal.SIGTERM)
        delays = [take_warning(client)["reconnect_in_ms"] for client in clients]
        assert all(0 <= delay < 1000 for delay in delays) and len(set(delays)) > 6, delays
        assert {client.take_close().code for client in clients} == {1012}
    assert server.await_end() == 0


def test_the_stream_goes_on_to_the_very_end(serve):
    """What is published while clients are let go comes to each of them, until it is closed."""
    server = serve(*HOLDING, **DOOR)
    with RudeSocket(server.address) as one, RudeSocket(server.address) as other:
        for client in (one, other):
            client.subscribe("MINE", update_interval=0, id=1)
            client.take_message("subscribed")
        server.signal(signal.SIGTERM)
        delays = [take_warning(client)["reconnect_in_ms"] for client in (one, other)]
        last = (one, other)[delays.index(max(delays))]
        for price in range(100, 120):
            told = publish(server, "MINE", model(price))
            assert last.take_message("snapshot")["seq"] == told["seq"]
        assert latest(server, "MINE").json()["seq"] == told["seq"]
        server.signal(signal.SIGTERM)
        assert last.take_close().code == 1001
    assert server.await_end() == 0


def test_the_last_snapshot_before_a_close_is_delivered(serve):
    server = serve(*CROWDED, *ONE, "--ws-drain-seconds", "1")
    with RudeSocket(server.address, receive_buffer=ROOMY) as client:
        client.subscribe("BTCUSDT", update_interval=0)
        before = client.take_message("snapshot")["seq"]
        server.signal(signal.SIGTERM)
        seqs = [before]
        while (got := client.take_frame()).opcode != CLOSE:
            message = client.message_of(got)
            seqs += [message["seq"]] if message["type"] == "snapshot" else []
        assert seqs == list(range(before, before + len(seqs)))
    assert server.await_end() == 0


def test_streams_of_events_are_told_and_ended_too(serve):
    server = serve(*FAST, *ONE, "--ws-drain-seconds", "2")
    with Events(server.address, "BTCUSDT") as stream, RudeSocket(server.address) as client:
        client.pong()
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        told = take_event_warning(stream)
        assert told["type"] == "warning" and told["code"] == "SERVER_SHUTDOWN"
        assert take_warning(client)["reconnect_in_ms"] < 1000 <= told["reconnect_in_ms"] < 2000
        left = 2000 - told["reconnect_in_ms"]
        rest = stream.take_rest().decode()
        assert time.monotonic() - began >= told["reconnect_in_ms"] / 1000 - 0.002
        # Not before this server has gone: its 503 would be the end of an EventSource.
        retry = int(rest.removesuffix("\n\n").rpartition("retry: ")[2])
        assert 500 <= retry < left + 2500
        assert "event: warning" not in rest
    assert server.await_end() == 0


def test_nobody_new_is_given_a_stream_and_everything_else_goes_on(serve):
    with held(serve, *STILL) as server:
        assert_refused(server, upgrade())
        assert_refused(server, request("/sse/heatmap", query={"symbols": "BTCUSDT"}))
        assert_refused(server, request("/heatmap/latest", query={"symbol": "BTCUSDT", "wait": 20}))
        ready, is_closed = answer_of(server, request("/ready"))
        assert ready.status == 503 and ready.headers["Retry-After"] == "5"
        assert ready.json() == {"status": "draining"} and not is_closed
        assert server.get("/health")["status"] == "ok"
        assert latest(server).status == 200
        assert server.get("/prices/klines", symbol="BTCUSDT")["count"] > 0
        assert server.request("/").status == 200
        server.last_client.subscribe("BTCUSDT")
        assert server.last_client.take_message()["type"] == "snapshot"


def test_who_was_waiting_already_is_answered_by_news_or_at_the_end(serve):
    server = serve(*HOLDING, **DOOR)
    publish(server, "MINE", model(100))
    query = {"symbol": "MINE", "since": id_of(latest(server, "MINE").json()), "wait": 60}
    waiting = [Rude(server.address) for _ in range(2)]
    with RudeSocket(server.address) as one, RudeSocket(server.address) as other:
        for client in (one, other):
            client.pong()
        waiting[0].send(request("/heatmap/latest", query=query))
        server.await_stat("it waits", subscriptions=1)
        server.signal(signal.SIGTERM)
        for client in (one, other):
            take_warning(client)
        told = publish(server, "MINE", model(101))
        assert waiting[0].take_answer().json()["seq"] == told["seq"]
        server.signal(signal.SIGTERM)
    assert server.await_end() == 0
    for client in waiting:
        client.close()


def test_a_second_signal_ends_it_at_once(serve):
    with held(serve, *FAST) as server:
        server.signal(signal.SIGINT)
        assert server.last_client.take_close().code == 1001
        assert server.await_end() == 0
        assert [event["signal"] for event in server.events("stopping")] == [15, 2]


def test_it_ends_as_soon_as_nobody_is_left(serve):
    with held(serve) as server:
        assert server.process.poll() is None
    assert server.await_end() == 0
    assert len(server.events("draining")) == 1


def test_a_server_without_streaming_clients_ends_at_once(serve):
    server = serve(*HOLDING, *FAST)
    with Rude(server.address) as idle:
        assert idle.ask(request("/ready")).status == 200
        server.signal(signal.SIGTERM)
        assert server.await_end() == 0
        assert idle.is_closed()


def test_with_no_seconds_it_ends_at_once_whoever_is_there(serve):
    server = serve(*FAST, "--ws-drain-seconds", "0")
    with RudeSocket(server.address) as client:
        client.pong()
        server.signal(signal.SIGTERM)
        assert client.take_close().code == 1001
    assert server.await_end() == 0 and not server.events("draining")


def test_a_client_that_reads_nothing_does_not_hold_up_the_end(serve):
    server = serve(*CROWDED, "--ws-drain-seconds", "1")
    with RudeSocket(server.address, receive_buffer=4096) as deaf:
        deaf.subscribe("BTCUSDT", "ETHUSDT", "SOLUSDT", update_interval=0)
        await_that(lambda: server.stats()["slow_consumers"] == 1, "it is slow")
        server.signal(signal.SIGTERM)
        assert server.await_end() == 0


def test_closes_are_counted_by_their_code(serve):
    server = serve(*ONE, "--ws-drain-seconds", "800")
    with ExitStack() as stack:
        clients = [stack.enter_context(RudeSocket(server.address)) for _ in range(400)]
        for client in clients:
            client.pong()
        server.signal(signal.SIGTERM)
        # Each has 2 s: the first goes within them.
        first = min(clients, key=lambda client: take_warning(client)["reconnect_in_ms"])
        assert first.take_close().code == 1012
        assert server.stats()["closes_1012"] >= 1
        server.signal(signal.SIGTERM)
        assert server.await_end() == 0


# --- several servers ---


@pytest.fixture
def two(redis_url, serve, tmp_path):
    """Two servers that share a Redis: the first computes, the second follows."""
    flags = (*CROWDED, *ONE, "--redis-enabled", "--redis-url", redis_url)
    servers = []
    for name in ("first", "second"):
        servers.append(serve(*flags, "--ws-drain-seconds", "60", db=tmp_path / f"{name}.duckdb"))
        await_that(lambda: leads(servers[0]), "the first one leads")
    return servers


def leads(server):
    return "BTCUSDT" in server.get("/health")["redis"]["leads"]


def test_clients_resume_on_another_server_which_computes_when_all_have_gone(two):
    first, second = two
    with ExitStack() as stack:
        clients = [stack.enter_context(RudeSocket(first.address)) for _ in range(40)]
        for client in clients:
            client.subscribe("BTCUSDT", update_interval=0, mode="delta")
            client.take_message("snapshot")
        first.signal(signal.SIGTERM)
        delays = {client: take_warning(client)["reconnect_in_ms"] for client in clients}
        client = min(clients, key=delays.get)
        while (got := client.take_frame()).opcode != CLOSE:
            last = client.message_of(got)
        with RudeSocket(second.address) as again:
            had = {"since": {"BTCUSDT": last["seq"]}, "epoch": last["epoch"]}
            again.subscribe("BTCUSDT", update_interval=0, mode="delta", **had)
            message = again.take_message()
            # What it missed, or the whole where that is shorter; a gap would be told.
            assert message["epoch"] == last["epoch"] and message["seq"] > last["seq"]
            assert message.get("prev", last["seq"]) == last["seq"] and "resumed" not in message
            assert leads(first) and not leads(second)
            first.signal(signal.SIGTERM)
            assert first.await_end() == 0
            await_that(lambda: leads(second), "the second one leads")
            while again.take_message()["epoch"] == last["epoch"]:
                pass
