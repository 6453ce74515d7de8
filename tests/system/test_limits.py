"""What one client, one address and all of them may take; and that others never notice."""

import os
import resource
import time

import pytest

from model import Model, taking
from rude import CLOSE, TEXT, Rude, RudeSocket, frame, upgrade
from server import MODE, await_that

SHARED = "127.0.0.2"
LOCAL = "127.0.0.1"


def refusal(server, source=None):
    """What is answered to who connects, and has not said a word."""
    with Rude(server.address, source=source) as client:
        answer = client.take_answer()
        assert client.is_closed()
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        return answer


def has_room(server, source=None):
    with Rude(server.address, source=source) as client:
        try:
            return client.ask(upgrade()).status == 101
        except ConnectionResetError:  # in a storm, who is refused is cut
            return False


# --- connections of one address ---


def test_one_address_has_so_many_connections_and_no_more(serve):
    server = serve("--ws-max-connections-per-address", "3")
    inside = [RudeSocket(server.address, source=SHARED) for _ in range(3)]
    assert refusal(server, SHARED).detail
    for client in inside:
        client.pong()
    assert has_room(server, "127.0.0.3"), "another address is another matter"
    stats = server.stats()
    assert (stats["connections_refused_address"], stats["connections_refused"]) == (1, 0)
    inside.pop().close()
    await_that(lambda: has_room(server, SHARED), "room after one of its own left")
    for client in inside:
        client.close()


def test_connections_of_all_kinds_count_and_all_give_their_place_back(serve):
    server = serve("--ws-max-connections-per-address", "2")
    for _ in range(3):
        with Rude(server.address, source=SHARED), RudeSocket(server.address, source=SHARED) as last:
            server.await_stat("both are in", connections=3)  # with the one that asks
            refusal(server, SHARED)
            last.send(frame(CLOSE, b"\x03\xe8"))
            last.take_end()
        server.await_stat("gone", connections=1)
        with Rude(server.address, source=SHARED) as one, Rude(server.address, source=SHARED) as other:
            server.await_stat("both are in", connections=3)
            assert one.ask("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
            refusal(server, SHARED)
            other.reset()
        server.await_stat("gone", connections=1)


def test_who_is_refused_leaves_no_trace(serve):
    server = serve("--ws-max-connections-per-address", "1")
    with RudeSocket(server.address, source=SHARED):
        for _ in range(50):
            Rude(server.address, source=SHARED).reset()
        server.await_stat("gone", connections=2)
    await_that(lambda: has_room(server, SHARED), "its own place is free again")


@pytest.mark.parametrize("limit, source", [("1", LOCAL), ("0", SHARED)])
def test_a_proxy_on_this_machine_and_no_limit_have_none(serve, limit, source):
    server = serve("--ws-max-connections-per-address", limit)
    clients = [RudeSocket(server.address, source=source) for _ in range(20)]
    for client in clients:
        client.pong()
        client.close()
    assert server.stats()["connections_refused_address"] == 0


# --- files ---


def open_files(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def fill(server):
    """Connections of all addresses until one is refused."""
    clients = []
    while True:
        clients.append(Rude(server.address))
        clients[-1].send(upgrade().encode())
        answer = clients[-1].take_answer()
        if answer.status != 101:
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)
            clients.pop().close()
            return clients


@pytest.mark.parametrize("flags", [(), ("--ws-max-connections", "0"), ("--ws-max-connections", "5000")])
def test_the_file_limit_is_raised_and_says_how_many_may_connect(serve, flags):
    server = serve("--threads", "1", *flags, files=(120, 250))
    assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (250, 250)
    clients = fill(server)
    assert 120 < len(clients) < 250 - 16, "more than the soft limit allowed, and some kept back"
    for _ in range(30):  # who is refused is told so: there are files for that
        refusal(server)
    assert open_files(server) < 250
    for client in clients:
        client.close()
    warned = server.events("the limit on open files allows fewer connections than set")
    assert [line["connections"] for line in warned] == ([len(clients)] if "5000" in flags else [])


def test_fewer_connections_than_files_is_a_setting_too(serve):
    server = serve("--ws-max-connections", "4", files=(200, 200))
    clients = fill(server)
    assert len(clients) == 4
    for client in clients:
        client.close()


def processor_seconds(server):
    fields = open(f"/proc/{server.pid}/stat").read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_who_comes_while_files_are_short_is_let_in_as_soon_as_there_are_some(serve):
    server = serve("--threads", "1")
    with RudeSocket(server.address) as inside:
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (open_files(server) + 2, hard))
        waiting = [Rude(server.address) for _ in range(12)]
        for client in waiting:
            client.send(upgrade().encode())
        silent = [client for client in waiting if client.is_silent(0.3)]
        assert len(silent) == 10
        before = processor_seconds(server)
        time.sleep(1)
        assert processor_seconds(server) - before < 0.5, "it does not try in a circle"
        inside.pong()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
        for client in waiting:
            assert client.take_answer().status == 101
            client.close()
        inside.pong()
    complaints = server.events("cannot accept connections; trying again every second")
    assert len(complaints) == 1, "once a minute is enough"


def test_a_connection_that_goes_makes_room_while_files_are_short(serve):
    server = serve("--threads", "1")
    inside = [RudeSocket(server.address) for _ in range(3)]
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (open_files(server), hard))
    with Rude(server.address) as waiting:
        waiting.send(upgrade().encode())
        assert waiting.is_silent(0.3)
        inside.pop().close()
        assert waiting.take_answer().status == 101
    for client in inside:
        client.close()


# --- who does not read ---


def levels_of(size):
    """Levels of about so many bytes of JSON."""
    return {bucket: (10**9 + bucket, 10**8) for bucket in range(100, 100 + max(size // 60, 1))}


def versions(client):
    """The seqs of what comes until the next close frame, and that frame's code."""
    seqs, warnings = [], []
    while True:
        got = client.take_frame()
        if got.opcode == CLOSE:
            return seqs, warnings, int.from_bytes(got.payload[:2], "big")
        assert got.opcode == TEXT
        message = client.message_of(got)
        if message["type"] == "warning":
            warnings.append((len(seqs), message))
        else:
            seqs.append(message["seq"])


@pytest.mark.parametrize("size", [1000, 8192, 65536, 150_000])
@pytest.mark.parametrize("segment", [None, 1448])
def test_who_takes_nothing_is_freed_and_finds_out_why_when_it_wakes(serve, size, segment):
    server = serve("--ws-slow-consumer-disconnect", "1", **taking("MINE"))
    model = Model(server, "MINE", levels_of(size))
    asleep = RudeSocket(server.address, receive_buffer=4096, segment=segment)
    asleep.subscribe("MINE", update_interval=0)

    def is_blocked():
        model.price += 1
        model.publish()
        return server.stats()["queue_bytes"]

    await_that(is_blocked, "its socket takes no more")
    left = dict(websockets=0, connections=1, queue_bytes=0, subscriptions_by_symbol={})
    stats = server.await_stat("it is freed", slow_closes=1, closes_1013=1, **left)
    assert stats["slow_consumers"] == 0
    seqs, warnings, code = versions(asleep)
    assert seqs == list(range(1, len(seqs) + 1)) and not warnings, "what had begun came whole"
    assert code == 1013
    assert asleep.is_closed()
    assert len(server.events("client cut: it takes too little of what waits for it")) == 1


@pytest.mark.parametrize("size", [8192, 16384, 65536])
def test_who_returns_gets_few_stale_versions_before_the_newest(serve, size):
    server = serve("--threads", "1", **taking("MINE"))
    model = Model(server, "MINE", levels_of(size))
    asleep = RudeSocket(server.address, receive_buffer=4096)
    asleep.subscribe("MINE", update_interval=0)
    asleep.pong()
    with RudeSocket(server.address) as awake:
        awake.subscribe("MINE", update_interval=0)
        for _ in range(60):
            model.price += 1
            model.publish()
            assert len(awake.take_text()) > size
    got = []
    while not got or got[-1]["type"] == "warning" or got[-1]["seq"] < model.seq:
        got.append(asleep.take_message())
    asleep.close()
    seqs = [message["seq"] for message in got if message["type"] == "snapshot"]
    assert len(seqs) - 1 <= 5, "stale ones"
    assert seqs[:-1] == list(range(1, len(seqs))) and seqs[-1] == model.seq
    (warning,) = (message for message in got if message["type"] == "warning")
    assert got[-2] is warning, "ahead of what was kept"
    assert warning["dropped_messages"] == model.seq - len(seqs), "every version was sent or counted"


@pytest.mark.parametrize("setting", [{}, {"WS_SLOW_CONSUMER_TIMEOUT": "0.01", "WS_MAX_QUEUE_SIZE": "7"}])
def test_those_who_read_get_every_version_whoever_does_not(serve, setting):
    """A tenth of the clients do not read at all; the settings of the original change nothing."""
    server = serve("--threads", "2", **taking("MINE"), **setting)
    model = Model(server, "MINE", levels_of(16384))
    asleep = [RudeSocket(server.address, receive_buffer=4096) for _ in range(4)]
    awake = [RudeSocket(server.address) for _ in range(36)]
    for client in asleep + awake:
        client.subscribe("MINE", update_interval=0)
        client.pong()

    def publish(count):
        for _ in range(count):
            model.price += 1
            model.publish()
            for client in awake:
                assert client.take_message("snapshot")["seq"] == model.seq

    publish(50)
    before = server.resident_bytes()
    publish(150)
    if MODE == "release":  # sanitizers keep what was freed
        assert server.resident_bytes() - before < 1 << 20
    stats = server.await_stat("those asleep are slow", slow_consumers=4)
    assert stats["websockets"] == 40 and stats["slow_closes"] == 0
    assert stats["queue_bytes"] <= 4 * 20000, "one frame each, at most"
    assert stats["snapshots_dropped"] > 4 * 180
    for client in asleep + awake:
        client.close()
