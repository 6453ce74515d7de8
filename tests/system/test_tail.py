"""heatcast tail: against the real server, and against servers that behave badly."""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest
import websockets

from listening import Listener
from server import PATIENCE, PROGRAM, SLACK, environment

# A server that is stopped ends at once, whoever is connected.
CLEAN = environment(WS_DRAIN_SECONDS="0")
CLEAN.pop("NO_COLOR", None)


class Process:
    """A running heatcast whose output is collected as it comes."""

    def __init__(self, *words, stdout=subprocess.PIPE, **env):
        self.process = subprocess.Popen(
            [PROGRAM, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**CLEAN, **env},
        )
        self.out, self.err = bytearray(), bytearray()
        self.threads = [threading.Thread(target=self.collect, args=(self.process.stderr, self.err))]
        if stdout == subprocess.PIPE:
            pair = (self.process.stdout, self.out)
            self.threads.append(threading.Thread(target=self.collect, args=pair))
        for thread in self.threads:
            thread.start()

    @staticmethod
    def collect(stream, into):
        while chunk := os.read(stream.fileno(), 65536):
            into.extend(chunk)
        stream.close()

    def lines(self):
        return self.out.decode(errors="replace").splitlines()

    def messages(self):
        """The lines that are there to their end, parsed."""
        return [json.loads(line) for line in bytes(self.out).split(b"\n")[:-1]]

    def snapshots(self):
        return [message for message in self.messages() if message["type"] == "snapshot"]

    def errors(self):
        return self.err.decode()

    def until(self, condition, what, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not in {seconds} s: {what}\n{self.errors()}"
            time.sleep(0.01)

    def until_said(self, text, times=1):
        self.until(lambda: self.errors().count(text) >= times, f"{text!r}, {times} times")

    def wait(self, seconds=PATIENCE):
        status = self.process.wait(seconds)
        for thread in self.threads:
            thread.join(seconds)
        return status

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


@pytest.fixture
def start():
    """start("tail", …): a Process that does not outlive the test."""
    started = []

    def start_process(*words, **options):
        started.append(Process(*words, **options))
        return started[-1]

    yield start_process
    for process in started:
        process.end()


def start_server(db, port=0):
    server = Process(
        *("serve", "--feed", "sim", "--sim-speed", "3000", "--ws-update-interval", "0.25"),
        *("--listen", f"127.0.0.1:{port}", "--db", db),
    )
    server.until(lambda: b"http://" in server.out, "the server's address", PATIENCE * 3)
    server.url = re.search(r"http://\S+", server.out.decode())[0]
    server.address = server.url[len("http://") : -1]
    server.port = int(server.address.split(":")[1])
    return server


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    server = start_server(tmp_path_factory.mktemp("tail") / "market.duckdb")
    yield server
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    server.end()


SNAPSHOT = {
    "type": "snapshot",
    "symbol": "BTCUSDT",
    "timestamp": "2025-12-29T10:00:00Z",
    "seq": 1,
    "epoch": "e",
    "data": {
        "levels": [
            {"price": 98000, "long_density": 1500000, "short_density": 200000},
            {"price": 99000, "long_density": 0, "short_density": 3000000},
        ],
        "current_price": 98450,
        "positions_created": 5,
        "positions_consumed": 2,
        "price_bin_size": 100,
    },
}


class Fake:
    """A WebSocket server in a thread; `behave(self, socket, number)` is what each connection gets,
    after its subscription was read."""

    def __init__(self, behave, **options):
        self.behave, self.options = behave, options
        self.received = []  # of all connections, parsed
        self.close_codes = []
        self.connection_count = 0
        self.is_ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))
        self.thread.start()
        assert self.is_ready.wait(PATIENCE)

    async def run(self):
        self.loop, self.stop = asyncio.get_running_loop(), asyncio.Event()
        options = {"ping_interval": None, "close_timeout": 1, **self.options}
        async with websockets.serve(self.talk, "127.0.0.1", 0, **options) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
            self.is_ready.set()
            await self.stop.wait()

    async def talk(self, socket, _path=None):
        number, self.connection_count = self.connection_count, self.connection_count + 1
        try:
            self.received.append(json.loads(await socket.recv()))
            await self.behave(self, socket, number)
            async for text in socket:
                self.received.append(json.loads(text))
        except websockets.ConnectionClosed:
            pass
        finally:
            await socket.wait_closed()
            self.close_codes.append(socket.close_code)

    def end(self):
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.stop.set)
            self.thread.join(PATIENCE)


@pytest.fixture
def fake():
    """fake(behave, …): a Fake that ends with the test."""
    made = []

    def make(behave, **options):
        made.append(Fake(behave, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


@contextlib.contextmanager
def raw_server(answer):
    """A TCP server; answer(connection, head) talks to each client once its request head came."""

    def talk(connection):
        head = b""
        while b"\r\n\r\n" not in head and (chunk := connection.recv(4096)):
            head += chunk
        answer(connection, head)

    with Listener(talk) as listener:
        yield f"127.0.0.1:{listener.port}"


def accept(head, extra=b""):
    """The 101 that answers a request head."""
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)[1].decode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + websockets.utils.accept_key(key).encode() + b"\r\n" + extra
    ) + b"\r\n"


async def send_snapshot(_fake, socket, _number):
    await socket.send(json.dumps(SNAPSHOT))


# --- the real server ---


def test_messages_are_lines_of_json(market, start):
    tail = start("tail", market.url, "BTCUSDT", "ETHUSDT", "--count", 6)
    assert tail.wait() == 0
    first, *rest = tail.messages()
    assert first["type"] == "subscribed" and first["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert [m["type"] for m in rest] == ["snapshot"] * 6
    assert {m["symbol"] for m in rest} == {"BTCUSDT", "ETHUSDT"}
    for symbol in ("BTCUSDT", "ETHUSDT"):
        seqs = [m["seq"] for m in rest if m["symbol"] == symbol]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert all(level["price"] > 0 for m in rest for level in m["data"]["levels"])


@pytest.mark.parametrize(
    "form",
    ["http://{}/", "http://{}", "{}", "{}/", "ws://{}", "ws://{}/ws/heatmap", "{}/ws/heatmap"],
)
def test_all_forms_of_the_address_reach_the_server(market, start, form):
    assert start("tail", form.format(market.address), "BTCUSDT", "--count", 1).wait() == 0


def test_a_name_with_several_addresses_is_tried_until_one_answers(market, start):
    # localhost is ::1 too on most machines, where nobody listens.
    assert start("tail", f"localhost:{market.port}", "BTCUSDT", "--count", 1).wait() == 0


def test_the_interval_is_asked_for(market, start):
    tail = start("tail", market.url, "BTCUSDT", "--interval", 1, "--count", 3)
    begun = time.monotonic()
    assert tail.wait() == 0
    assert tail.messages()[0]["update_interval"] == 1
    assert time.monotonic() - begun > 1.9


def test_unknown_symbols_alone_are_status_4(market, start):
    tail = start("tail", market.url, "NOPE", "NADA")
    assert tail.wait() == 4
    assert tail.messages()[-1]["code"] == "INVALID_SYMBOL"
    assert "none of the symbols" in tail.errors()


def test_unknown_symbols_beside_known_ones_are_told_and_passed_over(market, start):
    tail = start("tail", market.url, "NOPE", "BTCUSDT", "--count", 2)
    assert tail.wait() == 0
    assert [m["code"] for m in tail.messages() if m["type"] == "error"] == ["INVALID_SYMBOL"]
    assert {m["symbol"] for m in tail.snapshots()} == {"BTCUSDT"}


def test_the_timeout_is_status_3(market, start):
    tail = start("tail", market.url, "BTCUSDT", "--count", 1000000, "--timeout", 1)
    assert tail.wait() == 3
    assert tail.snapshots()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(market, start, number):
    tail = start("tail", market.url, "BTCUSDT")
    tail.until(tail.snapshots, "a snapshot")
    tail.signal(number)
    assert tail.wait() == 0
    tail.messages()  # the last line is whole


def test_head_ends_it_quietly(market):
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" tail "$1" BTCUSDT | head -n 1', PROGRAM, market.url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=CLEAN,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["type"] == "subscribed"
    assert "write" not in done.stderr


@pytest.mark.parametrize("way", ["signal", "timeout"])
def test_a_reader_that_does_not_read_cannot_hold_it(market, start, way):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    words = ["tail", market.url, "BTCUSDT"] + (["--timeout", "2"] if way == "timeout" else [])
    tail = start(*words, stdout=writing)
    os.close(writing)
    tail.until_said("connected")
    time.sleep(1)  # the pipe is full after the first snapshot
    if way == "signal":
        tail.signal(signal.SIGTERM)
    assert tail.wait() == (0 if way == "signal" else 3)
    os.close(reading)


def test_a_server_killed_and_started_again_is_found_again(tmp_path, start):
    server = start_server(tmp_path / "market.duckdb")
    try:
        tail = start("tail", server.url, "BTCUSDT")
        tail.until(tail.snapshots, "a snapshot")
        server.signal(signal.SIGKILL)
        server.wait()
        tail.until_said("retry in")
        server = start_server(tmp_path / "market.duckdb", server.port)
        tail.until(
            lambda: len({m["epoch"] for m in tail.snapshots()}) == 2, "the new server's", PATIENCE * 2
        )
        # A server that stops says goodbye, and when to come back.
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        tail.until_said("server is stopping")
        told = re.search(r"reconnect in (\d+) ms \(code 1001\); retry in (\S+) s", tail.errors())
        assert abs(int(told[1]) / 1000 - float(told[2])) < 0.06
        tail.signal(signal.SIGINT)
        assert tail.wait() == 0
    finally:
        server.end()


# --- the table ---


class Terminal:
    """A pseudo-terminal with a heatcast on it."""

    def __init__(self, *words, rows=24, columns=80, **env):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            [PROGRAM, *map(str, words)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**CLEAN, "TERM": "xterm", **env},
        )
        os.close(slave)
        self.out = bytearray()
        self.thread = threading.Thread(target=self.collect)
        self.thread.start()

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def collect(self):
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while chunk := os.read(self.master, 65536):
                self.out.extend(chunk)

    def frames(self):
        """The text of each redraw that is there to its end, colours left out."""
        text = re.sub(r"\x1b\[\d*m", "", self.out.decode(errors="replace")).replace("\r\n", "\n")
        return [part.split("\x1b[J")[0].replace("\x1b[K", "") for part in text.split("\x1b[H")[1:]]

    def until_frame(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not any(condition(frame) for frame in self.frames()[:-1]):
            assert time.monotonic() < end, f"never {what}: {self.frames()[-1:]}"
            time.sleep(0.01)

    def wait(self):
        status = self.process.wait(PATIENCE)
        self.thread.join(PATIENCE)
        os.close(self.master)
        return status


def test_the_table_is_drawn_in_place_on_a_terminal(market):
    terminal = Terminal("tail", market.url, "BTCUSDT", "--table", "--top", 5, "--count", 4)
    assert terminal.wait() == 0
    text = terminal.out.decode()
    assert "\x1b[?1049h" not in text and "\x1b[?25l" not in text  # nothing is left behind
    assert "\x1b[36m" in text or "\x1b[35m" in text
    status, empty, header, heading, *rows = terminal.frames()[-1].splitlines()
    assert "connected to ws://" in status and empty == ""
    assert re.match(r"BTCUSDT  2025-\S+Z  price [\d.]+  seq \d+  long \S+  short \S+$", header)
    assert heading.split() == ["price", "long", "short"]
    assert len(rows) == 6 and sum(row.startswith("> ") for row in rows) == 1
    prices = [float(row[2:].split()[0]) for row in rows]
    assert prices == sorted(prices, reverse=True)
    assert max(len(line) for line in terminal.frames()[-1].splitlines()) == 80
    assert "█" in terminal.frames()[-1]


def test_no_color_is_honoured(market):
    terminal = Terminal("tail", market.url, "BTCUSDT", "--table", "--count", 1, NO_COLOR="1")
    assert terminal.wait() == 0
    assert not re.search(rb"\x1b\[\d*m", terminal.out)
    assert "▒" in terminal.frames()[-1]


def test_the_table_fits_a_small_terminal_and_follows_its_size(market):
    terminal = Terminal("tail", market.url, "BTCUSDT", "SOLUSDT", "--table", rows=10, columns=40)
    try:
        terminal.until_frame(lambda frame: frame.count("\n") == 9, "ten rows")
        assert all(len(line) <= 40 for line in "".join(terminal.frames()[:-1]).splitlines())
        terminal.resize(60, 100)
        terminal.until_frame(
            lambda frame: "SOLUSDT" in frame and max(map(len, frame.splitlines())) == 100, "100 wide"
        )
    finally:
        terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 0


def test_the_live_table_tells_what_happens_above_itself():
    terminal = Terminal("tail", "127.0.0.1:1", "BTCUSDT", "--table", "--timeout", "1")
    assert terminal.wait() == 3
    assert any("Connection refused" in frame for frame in terminal.frames())
    assert "heatcast: 0 snapshots in 1 s" in terminal.out.decode()


def test_elsewhere_the_table_is_a_block_for_each_snapshot(market, start):
    tail = start("tail", market.url, "BTCUSDT", "--table", "--count", 3, "--top", 2, TERM="xterm")
    assert tail.wait() == 0
    blocks = tail.out.decode().split("\n\n")
    assert len(blocks) == 4 and blocks[3] == ""
    assert all(block.startswith("BTCUSDT  2025-") for block in blocks[:3])
    assert b"\x1b" not in tail.out


# --- wrong use ---


@pytest.mark.parametrize(
    "words, part",
    [
        ([], "needs a URL and symbols"),
        (["127.0.0.1:1"], "needs a URL and symbols"),
        (["wss://h/", "BTCUSDT"], "TLS proxy"),
        (["ftp://h/", "BTCUSDT"], "scheme"),
        (["ws://h:0/", "BTCUSDT"], "port"),
        (["h", ""], "no symbol"),
        (["h", "X" * 33], "no symbol"),
        (["h", *["S%d" % i for i in range(101)]], "at most 100"),
        (["h", "X", "--interval", "61"], "from 0 to 60"),
        (["h", "X", "--interval", "1.5"], "whole number"),
        (["h", "X", "--count", "-1"], "from 0"),
        (["h", "X", "--top", "0"], "from 1"),
        (["h", "X", "--timeout"], "needs a value"),
        (["h", "X", "--nonsense"], "unknown option"),
    ],
)
def test_wrong_use_is_status_2(start, words, part):
    tail = start("tail", *words)
    assert tail.wait() == 2
    assert part in tail.errors() and not tail.out


def test_help_tells_the_exit_statuses(start):
    tail = start("tail", "--help")
    assert tail.wait() == 0
    assert "Exit status" in tail.out.decode() and "--no-reconnect" in tail.out.decode()


def test_settings_come_from_the_environment_too(market, start):
    tail = start("tail", market.url, "BTCUSDT", HEATCAST_TAIL_COUNT="1", HEATCAST_TAIL_TABLE="yes")
    assert tail.wait() == 0
    assert tail.lines()[0].startswith("BTCUSDT")


# --- no connection ---


def test_without_reconnect_no_connection_is_status_1(start):
    tail = start("tail", "127.0.0.1:1", "BTCUSDT", "--no-reconnect")
    assert tail.wait() == 1
    assert "cannot connect to 127.0.0.1 port 1: Connection refused" in tail.errors()


def test_waits_are_random_below_a_limit_that_doubles(start):
    tail = start("tail", "127.0.0.1:1", "BTCUSDT", "--timeout", 4)
    assert tail.wait() == 3
    waits = [float(text) for text in re.findall(r"retry in (\S+) s", tail.errors())]
    assert len(waits) >= 2
    assert all(wait <= min(30, 0.5 * 2**i) + 0.05 for i, wait in enumerate(waits))


@pytest.mark.parametrize(
    "answer, part",
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n", "503 Service Unavailable"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 Not Found"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "200"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "not valid"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000, "does not answer in HTTP"),
        (b"", "ended the connection instead of answering"),
        (b"HTTP/1.1 1", "ended the connection instead of answering"),
    ],
)
def test_an_answer_that_is_no_websocket_is_told(start, answer, part):
    with raw_server(lambda connection, _: connection.sendall(answer)) as address:
        tail = start("tail", address, "BTCUSDT", "--no-reconnect")
        assert tail.wait() == 1
        assert part in tail.errors()


def test_a_handshake_that_never_comes_is_given_up(start):
    with raw_server(lambda connection, _: connection.recv(1)) as address:
        begun = time.monotonic()
        tail = start("tail", address, "BTCUSDT", "--no-reconnect")
        assert tail.wait() == 1
        assert "did not answer the handshake in 5 s" in tail.errors()
        assert time.monotonic() - begun > 4


def test_a_signal_during_the_handshake_ends_at_once(start):
    with raw_server(lambda connection, _: connection.recv(1)) as address:
        tail = start("tail", address, "BTCUSDT")
        tail.until_said("connecting")
        time.sleep(0.2)
        tail.signal(signal.SIGINT)
        assert tail.wait(2 * SLACK) == 0


# --- servers that behave badly ---


def test_it_subscribes_anew_after_each_loss(fake, start):
    async def behave(_fake, socket, number):
        await socket.send(json.dumps({**SNAPSHOT, "seq": number}))
        if number == 0:
            await socket.close(1011, "oh dear \x1b[2J")
        if number == 1:
            socket.transport.abort()

    server = fake(behave)
    tail = start("tail", server.address, "BTCUSDT", "--interval", 7, "--count", 3)
    assert tail.wait() == 0
    assert [m["seq"] for m in tail.snapshots()] == [0, 1, 2]
    request = {"action": "subscribe", "id": "tail", "symbols": ["BTCUSDT"], "update_interval": 7}
    had = [{}, *({"since": {"BTCUSDT": seq}, "epoch": {"BTCUSDT": "e"}} for seq in (0, 1))]
    assert server.received == [{**request, **more} for more in had]
    assert "oh dear ?[2J (code 1011); retry in" in tail.errors()
    assert tail.errors().count("(code 1006); retry in") == 1
    server.end()
    assert server.close_codes[0] == 1011 and server.close_codes[2] == 1000


def test_without_reconnect_a_lost_connection_is_status_1(fake, start):
    async def behave(_fake, socket, _number):
        await socket.send(json.dumps(SNAPSHOT))
        await socket.close(1013, "try again later")

    tail = start("tail", fake(behave).address, "BTCUSDT", "--no-reconnect")
    assert tail.wait() == 1
    assert len(tail.snapshots()) == 1
    assert "try again later (code 1013)" in tail.errors()


def test_a_server_says_when_to_come_back(fake, start):
    async def behave(_fake, socket, number):
        if number == 0:
            await socket.close(1001, "server is stopping; reconnect in 1300 ms")
        await socket.send(json.dumps(SNAPSHOT))

    tail = start("tail", fake(behave).address, "BTCUSDT", "--count", 1)
    begun = time.monotonic()
    assert tail.wait() == 0
    assert "retry in 1.3 s" in tail.errors()
    assert time.monotonic() - begun > 1.2


def test_a_server_with_versions_too_many_to_name_is_asked_for_all(fake, start):
    symbols = [f"A{i:030}" for i in range(100)]

    async def behave(_fake, socket, number):
        for symbol in symbols[: 100 if number else 3]:
            await socket.send(json.dumps({**SNAPSHOT, "symbol": symbol}))
        await socket.close(1012)

    server = fake(behave)
    tail = start("tail", server.address, *symbols)
    tail.until(lambda: len(server.received) >= 3, "three requests")
    assert ["since" in request for request in server.received[:3]] == [False, True, False]


RETRY = re.compile(r"\(code 1012\); retry in (\S+) s")


def test_a_server_that_restarts_is_come_back_to_at_once(fake, start):
    async def behave(_fake, socket, number):
        if number == 0:
            await socket.close(1012, "the server restarts; connect again now")
        await socket.send(json.dumps(SNAPSHOT))

    tail = start("tail", fake(behave).address, "BTCUSDT", "--count", 1)
    assert tail.wait() == 0
    assert float(RETRY.search(tail.errors())[1]) <= 0.3


def test_one_that_restarts_again_and_again_is_waited_for(fake, start):
    async def behave(_fake, socket, _number):
        await socket.close(1012)

    tail = start("tail", fake(behave).address, "BTCUSDT")
    tail.until(lambda: any(float(s) > 0.3 for s in RETRY.findall(tail.errors())), "a longer pause")


@pytest.mark.parametrize(
    "frames, code",
    [
        (b"\xff\xff\xff\xff garbage", 1002),
        (b"\x81\x82abcd", 1002),  # masked
        (b"\xc1\x05hello", 1002),  # compressed, which was not agreed on
        (b"\x89\xfe\x00\x7e", 1002),  # a ping too long
        (b"\x81\x02\xc3\x28", 1007),
        (b"\x82\x02hi", 1003),
        (b"\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00", 1009),  # 1 GiB is announced
    ],
)
def test_a_broken_frame_is_answered_with_its_close_code(start, frames, code):
    replies = []

    def answer(connection, head):
        connection.sendall(accept(head) + frames)
        connection.settimeout(PATIENCE)
        stream = connection.makefile("rb")
        while True:
            first, size = stream.read(2)
            size &= 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", stream.read(2))
            mask = stream.read(4)
            payload = bytes(b ^ mask[i % 4] for i, b in enumerate(stream.read(size)))
            if first == 0x88:
                replies.append(struct.unpack(">H", payload[:2])[0])
                return

    with raw_server(answer) as address:
        tail = start("tail", address, "BTCUSDT", "--no-reconnect")
        assert tail.wait() == 1
    assert replies == [code]
    assert f"(code {code})" in tail.errors()
    assert not tail.out


def test_a_message_right_behind_the_handshake_is_taken(start):
    def answer(connection, head):
        text = json.dumps({"type": "snapshot"}).encode()
        connection.sendall(accept(head) + bytes([0x81, len(text)]) + text)
        connection.recv(65536)

    with raw_server(answer) as address:
        assert start("tail", address, "BTCUSDT", "--count", 1).wait() == 0


def test_a_handshake_that_comes_byte_by_byte_is_taken(start):
    def answer(connection, head):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in accept(head) + b'\x81\x13{"type":"snapshot"}':
            connection.sendall(bytes([byte]))
            time.sleep(0.001)
        connection.recv(65536)

    with raw_server(answer) as address:
        assert start("tail", address, "BTCUSDT", "--count", 1).wait() == 0


@pytest.mark.parametrize("is_deflated", [True, False])
def test_a_huge_message_is_too_big(fake, start, is_deflated):
    async def behave(_fake, socket, _number):
        await socket.send(" " * (9 << 20))

    server = fake(behave, compression="deflate" if is_deflated else None)
    tail = start("tail", server.address, "BTCUSDT", "--no-reconnect")
    assert tail.wait() == 1
    assert "(code 1009)" in tail.errors()
    server.end()
    assert server.close_codes == [1009]


@pytest.mark.parametrize("is_deflated", [True, False])
def test_fragments_and_deflated_messages_are_put_together(fake, start, is_deflated):
    levels = [
        {"price": price, "long_density": price * 1.5, "short_density": 0}
        for price in range(1, 20001)
    ]
    text = json.dumps({**SNAPSHOT, "data": {**SNAPSHOT["data"], "levels": levels}})

    async def behave(_fake, socket, _number):
        await socket.send(text)
        await socket.send([text[at : at + 1000] for at in range(0, len(text), 1000)])

    server = fake(behave, compression="deflate" if is_deflated else None)
    tail = start("tail", server.address, "BTCUSDT", "--count", 2)
    assert tail.wait() == 0
    assert tail.lines() == [text, text]


def test_silence_ends_the_connection(fake, start):
    async def behave(_fake, socket, number):
        if number == 1:
            await socket.send(json.dumps(SNAPSHOT))

    server = fake(behave)
    tail = start("tail", server.address, "BTCUSDT", "--silence", 2, "--count", 1)
    assert tail.wait() == 0
    assert "nothing heard for 2 s (code 1006); retry in" in tail.errors()
    assert server.received.count({"action": "ping"}) >= 2


def test_pongs_keep_a_quiet_connection(fake, start):
    async def behave(_fake, socket, _number):
        async for text in socket:
            assert json.loads(text) == {"action": "ping"}
            await socket.send('{"type":"pong","timestamp":"2025-12-29T10:00:00Z"}')

    server = fake(behave)
    tail = start("tail", server.address, "BTCUSDT", "--silence", 1, "--timeout", 4)
    assert tail.wait() == 3
    assert server.connection_count == 1
    assert {m["type"] for m in tail.messages()} == {"pong"}


def test_a_flood_of_pings_is_answered_and_survived(fake, start):
    async def behave(_fake, socket, _number):
        await socket.send(json.dumps(SNAPSHOT))
        for i in range(20000):
            await socket.ping(b"%d" % i)  # not waiting for its pong
        await (await socket.ping(b"last"))  # RFC 6455: the last one must be answered
        await socket.send(json.dumps(SNAPSHOT))

    tail = start("tail", fake(behave).address, "BTCUSDT", "--count", 2, "--no-reconnect")
    assert tail.wait() == 0


def test_a_server_that_never_answers_our_close_is_left(fake, start):
    def answer(connection, head):
        connection.sendall(accept(head) + b'\x81\x13{"type":"snapshot"}')
        while connection.recv(65536):  # until the other side has gone
            pass

    with raw_server(answer) as address:
        begun = time.monotonic()
        assert start("tail", address, "BTCUSDT", "--count", 1).wait() == 0
        assert 1.5 < time.monotonic() - begun < 2 + 3 * SLACK


def test_a_server_that_floods_instead_of_answering_our_close_is_left(start):
    def answer(connection, head):
        connection.sendall(accept(head))
        while True:
            connection.sendall(b'\x81\x13{"type":"snapshot"}' * 1000)

    with raw_server(answer) as address:
        tail = start("tail", address, "BTCUSDT", "--count", 5)
        assert tail.wait() == 0
        assert len(tail.lines()) == 5


def test_each_message_is_one_line_whatever_it_is(fake, start):
    async def behave(_fake, socket, _number):
        for text in ['{\n "type":\r\n  "pong"\n}', "no json \x1b[2J", "", "[1,2]", '"x"', "null"]:
            await socket.send(text)
        await socket.send(json.dumps(SNAPSHOT, indent=1))

    tail = start("tail", fake(behave).address, "BTCUSDT", "--count", 1)
    assert tail.wait() == 0
    lines = tail.out.decode().split("\n")
    assert lines[1:6] == ["no json \x1b[2J", "", "[1,2]", '"x"', "null"]
    assert json.loads(lines[0]) == {"type": "pong"} and json.loads(lines[6]) == SNAPSHOT
    assert lines[7:] == [""]


def test_a_terminal_gets_no_control_characters(fake):
    async def behave(_fake, socket, _number):
        await socket.send("a\x1b[2Jb\x07c\x9bd\u00e4\tz")
        await socket.send(json.dumps(SNAPSHOT))

    terminal = Terminal("tail", fake(behave).address, "BTCUSDT", "--count", 1)
    assert terminal.wait() == 0
    assert "a?[2Jb?c?d\u00e4?z\r\n" in terminal.out.decode()


def test_the_table_passes_over_what_is_no_snapshot(fake, start):
    async def behave(_fake, socket, _number):
        await socket.send("no json")
        await socket.send('{"type":"snapshot"}')
        await socket.send('{"type":"snapshot","symbol":"\\u001b","timestamp":1,"data":{}}')
        await socket.send("[" * 100000)
        await socket.send('{"type":"warning","code":"SLOW_CONSUMER","message":"too\\u001b slow"}')
        await socket.send(json.dumps(SNAPSHOT))

    tail = start("tail", fake(behave).address, "BTCUSDT", "--count", 1, "--table")
    assert tail.wait() == 0
    assert tail.lines()[0].startswith("BTCUSDT  2025-12-29T10:00:00Z  price 98450  seq 1")
    assert tail.errors().count("ignored a message that is not JSON") == 2
    assert tail.errors().count("ignored a snapshot") == 2
    assert "warning SLOW_CONSUMER: too? slow" in tail.errors()


def test_refusals_without_an_acknowledgement_are_counted(fake, start):
    async def behave(_fake, socket, _number):
        for symbol in ("A", "B"):
            error = {"type": "error", "code": "INVALID_SYMBOL", "message": symbol}
            await socket.send(json.dumps(error))

    assert start("tail", fake(behave).address, "A", "B").wait() == 4
    tail = start("tail", fake(behave).address, "A", "B", "C", "--timeout", 1)
    assert tail.wait() == 3


def test_symbols_that_a_restarted_server_does_not_know_yet_are_asked_for_again(fake, start):
    async def behave(_fake, socket, number):
        if number == 1:
            await socket.send('{"type":"subscribed","id":"tail","symbols":[]}')
            await socket.send('{"type":"error","code":"INVALID_SYMBOL","message":"none yet"}')
            return
        await socket.send(json.dumps(SNAPSHOT))
        if number == 0:
            await socket.close(1001)

    server = fake(behave)
    tail = start("tail", server.address, "BTCUSDT", "--count", 2)
    assert tail.wait() == 0
    assert server.connection_count == 3


def test_a_reader_that_leaves_a_silent_stream_is_noticed(fake, start):
    reading, writing = os.pipe()
    server = fake(send_snapshot)
    tail = start("tail", server.address, "BTCUSDT", stdout=writing)
    os.close(writing)
    assert os.read(reading, 65536).endswith(b"\n")
    os.close(reading)
    assert tail.wait(5 * SLACK) == 0


def test_a_full_disk_is_told(fake, start):
    with open("/dev/full", "wb") as full:
        tail = start("tail", fake(send_snapshot).address, "BTCUSDT", stdout=full)
        assert tail.wait() == 1
        assert "cannot write: No space left on device" in tail.errors()


def test_a_closed_output_is_no_place_for_a_socket(fake):
    address = fake(send_snapshot).address
    words = ["bash", "-c", '"$0" tail "$1" BTCUSDT >&-', PROGRAM, address]
    assert subprocess.run(words, timeout=PATIENCE, env=CLEAN).returncode == 0


def test_ipv6_addresses_are_reached(start):
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no ::1")
    with listener:
        heads = []

        def serve():
            connection, _ = listener.accept()
            with connection:
                heads.append(connection.recv(65536))
                connection.sendall(accept(heads[0]) + b'\x81\x13{"type":"snapshot"}')
                connection.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        assert start("tail", f"ws://[::1]:{port}/x?y", "BTCUSDT", "--count", 1).wait() == 0
        thread.join(PATIENCE)
        assert heads[0].startswith(b"GET /x?y HTTP/1.1\r\nHost: [::1]:%d\r\n" % port)
