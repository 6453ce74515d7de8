"""Thousands of WebSocket clients on one thread. They come and go, stall and resume, each in a mode
of its own, and every one keeps what it should know by now and looks at all it is told."""

import errno
import heapq
import itertools
import json
import os
import queue
import random
import select
import socket
import struct
import time
from collections import Counter, OrderedDict, deque

from replica import Wrong, demand, parse, read_delta, read_snapshot, write_data, write_version
from rude import CLOSE, DEFLATE, PING, PONG, TEXT, frame, inflate, text, upgrade

# What a plan does, and how often.
PLANS = {"stay": 40, "leave": 25, "stall": 20, "subscribe again": 10, "ping": 5}
GOODBYES = {"close": 50, "end": 25, "reset": 25}
INTERVALS = {0: 60, 1: 20, 2: 10, 5: 10}


def draw(chances, weights):
    return chances.choices(list(weights), list(weights.values()))[0]


class Cache(OrderedDict):
    """The newest so many results: what goes to many clients is read once."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def fetch(self, key, make):
        value = self.get(key)
        if value is None:
            value = self[key] = make()
            if len(self) > self.limit:
                self.popitem(last=False)
        return value


class Book:
    """All versions that anybody has seen or published lately. Whoever comes to the same version, by
    whatever snapshots and deltas, must find the same content there."""

    def __init__(self):
        self.versions = Cache(6000)
        self.inflated = Cache(500)
        self.messages = Cache(500)
        self.results = Cache(2000)
        self.published = Cache(6000)  # (symbol, seq) → data as it was posted
        self.posts = queue.SimpleQueue()  # from the publisher's thread

    def inflate(self, payload):
        return self.inflated.fetch(payload, lambda: inflate(payload))

    def read_message(self, payload):
        return self.messages.fetch(payload, lambda: parse(payload.decode()))

    def read_version(self, payload, message, before):
        """The version that a message makes of the one that a client has."""
        is_delta = message["type"] == "delta"
        key = (payload, before and (before.epoch, before.seq) if is_delta else None)
        return self.results.fetch(key, lambda: self._read(payload, message, before if is_delta else None))

    def _read(self, payload, message, before):
        if message["type"] == "delta":
            return self._enter(read_delta(message, before))
        version = read_snapshot(message)
        if isinstance(message["data"]["levels"], list) and "resumed" not in message:
            demand(write_version(version) == payload.decode(), "a snapshot is not written canonically")
        return self._enter(version)

    def _enter(self, version):
        known = self.versions.fetch((version.symbol, version.epoch, version.seq), lambda: version)
        demand(known == version, f"two contents of {version.symbol} {version.epoch}:{version.seq}")
        self._compare(version)
        return known

    def _compare(self, version):
        posted = self.published.get((version.symbol, version.epoch, version.seq))
        demand(
            posted in (None, write_data(version)),
            f"{version.symbol} {version.epoch}:{version.seq} is not what was published",
        )

    def take_posts(self):
        while not self.posts.empty():
            symbol, epoch, seq, data = self.posts.get()
            self.published.fetch((symbol, epoch, seq), lambda: data)
            version = self.versions.get((symbol, epoch, seq))
            if version:
                self._compare(version)


class Client:
    """One place in the swarm: a connection, or the pause between two."""

    def __init__(self, swarm, source):
        self.swarm = swarm
        self.chances = swarm.chances
        self.source = source
        self.socket = None
        self.life = 0  # counts connections: timers of an earlier one are void
        self.known = {}  # symbol → Version; outlives the connection of one who will resume
        self.be_somebody()

    def be_somebody(self):
        chances = self.chances
        symbols = self.swarm.symbols
        self.symbols = sorted(chances.sample(symbols, chances.randint(1, len(symbols))))
        self.mode = chances.choice(("snapshot", "delta"))
        self.format = chances.choice(("levels", "columns"))
        self.has_deflate = chances.random() < 0.4
        self.interval = draw(chances, INTERVALS)
        self.known = {}

    def count(self, what):
        self.swarm.counts[what] += 1

    def later(self, seconds, action):
        self.swarm.later(seconds, self, action)

    # Coming ------------------------------------------------------------------------------------

    def connect(self):
        self.bytes = bytearray()
        self.is_open = self.is_stalled = self.is_leaving = self.may_be_cut = False
        self.since = dict(self.known)  # versions that the next subscribe resumes from
        self.asked = deque()  # of each subscribe without acknowledgement yet, symbols to resume
        self.resumed = set()  # symbols being resumed; until the first version of each
        self.is_bogus = False  # from something that never was
        self.fresh = set()  # symbols just subscribed to; until the first version of each
        # Snapshots that were skipped, as warnings say and as gaps in seq do; compared while every
        # version is wanted, as a gap is then nothing else.
        self.told = self.skipped = 0
        self.is_exact = self.interval == 0
        self.delta_run = Counter()
        self.socket = socket.socket()
        self.socket.setblocking(False)
        # So little that the server feels a stall within seconds; but with a window smaller than a
        # segment the kernel sends by its probes alone, which are up to a minute apart.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind((self.source, 0))
        code = self.socket.connect_ex(self.swarm.address)
        if code not in (0, errno.EINPROGRESS):
            raise Wrong(f"connect: {os.strerror(code)}")
        self.count("connections")
        self.swarm.watch(self, select.EPOLLOUT)
        self.later(self.swarm.patience, self.give_up_handshake)

    def give_up_handshake(self):
        demand(self.is_open, "no handshake in time")

    def on_connected(self):
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise Wrong(f"connect: {os.strerror(code)}")
        fields = {"Sec_WebSocket_Extensions": DEFLATE} if self.has_deflate else {}
        self.send(upgrade(**fields).encode())
        self.swarm.change(self, select.EPOLLIN)

    def on_handshake(self):
        head, end, rest = bytes(self.bytes).partition(b"\r\n\r\n")
        if not end:
            return
        demand(head.startswith(b"HTTP/1.1 101 "), f"handshake: {head[:60]}")
        demand((b"permessage-deflate" in head) == self.has_deflate, "an extension that was not asked for")
        self.bytes = bytearray(rest)
        self.is_open = True
        self.subscribe()
        self.plan()

    def subscribe(self):
        """What it is told after the acknowledgement belongs to this subscription."""
        request = {"action": "subscribe", "symbols": self.symbols, "id": self.life}
        request["update_interval"] = self.interval
        if self.mode == "delta" or self.chances.random() < 0.5:
            request["mode"] = self.mode
        if self.format == "columns" or self.chances.random() < 0.5:
            request["format"] = self.format
        resumption = self.resumption()
        self.asked.append(set(resumption.get("since", ())))
        self.say(request | resumption)
        self.since.clear()

    def resumption(self):
        """since and epoch, where it knows something from before; one in ten says what cannot be."""
        epoch = next((version.epoch for version in self.since.values()), None)
        since = {symbol: version.seq for symbol, version in self.since.items() if version.epoch == epoch}
        if not since:
            return {}
        self.swarm.counts["resumes asked"] += len(since)
        if self.chances.random() < 0.1:
            self.is_bogus = True
            return {"since": since, "epoch": "1"}
        return {"since": since, "epoch": epoch}

    # Going -------------------------------------------------------------------------------------

    def leave(self):
        goodbye = draw(self.chances, GOODBYES)
        self.count(f"goodbye: {goodbye}")
        if goodbye == "close":
            self.is_leaving = True
            self.send(frame(CLOSE, struct.pack(">H", 1000)))
            self.later(self.swarm.patience, self.give_up_close)
            return
        if goodbye == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.gone()

    def give_up_close(self):
        raise Wrong("no answer to a close frame in time")

    def on_close_frame(self, payload):
        code = struct.unpack(">H", payload[:2])[0] if payload else None
        self.count(f"closed by server: {code}")
        if self.is_leaving:
            demand(code == 1000, f"close frame answered by {code}")
        else:
            demand(self.may_be_cut and code in (1001, 1013), f"closed by server: {code} {payload[2:]}")
        self.gone()

    def on_end(self, how):
        """The server's end of the stream, or a reset, without a close frame."""
        if not self.may_be_cut:
            state = "leaving" if self.is_leaving else "open" if self.is_open else "in the handshake"
            raise Wrong(f"cut while {state}: {how}")
        self.count("cut after a long stall")
        self.gone()

    def gone(self):
        """Disconnected; comes again after a pause, resuming or as somebody else."""
        self.compare_skipped()
        self.drop()
        if not (self.mode == "delta" and self.known and self.chances.random() < 0.7):
            self.be_somebody()
        pause = 0 if self.swarm.is_settling else self.chances.uniform(0.1, 5)
        self.later(pause, self.connect)

    def compare_skipped(self):
        # The first version of each subscription may have given way before it was written.
        demand(
            not self.is_exact or self.told <= self.skipped + len(self.symbols),
            f"told of {self.told} skipped snapshots, of {self.skipped} that were",
        )

    def drop(self):
        if not self.is_stalled:
            self.swarm.unwatch(self)
        self.socket.close()
        self.socket = None
        self.is_open = False
        self.life += 1

    # Living ------------------------------------------------------------------------------------

    def plan(self):
        if self.swarm.is_settling:
            return
        what = draw(self.chances, PLANS)
        seconds = self.chances.uniform(3, 40)
        actions = {
            "leave": self.leave,
            "stall": self.stall,
            "subscribe again": self.subscribe_again,
            "ping": self.ping,
        }
        # Who stays, stays for minutes: the oldest connections are where leaks would show.
        self.later(*((seconds * 10, self.plan) if what == "stay" else (seconds, actions[what])))

    def stall(self):
        """Reads nothing for a while; one in ten longer than the server puts up with."""
        longest = self.swarm.slow_timeout
        seconds = self.chances.uniform(1, longest * 0.7)
        if self.chances.random() < 0.1:
            seconds = longest * 1.5
            self.may_be_cut = True
        self.count("stalls")
        self.swarm.unwatch(self)
        self.is_stalled = True
        self.later(seconds, self.wake)

    def wake(self):
        if not self.is_stalled:
            return
        self.is_stalled = False
        self.swarm.watch(self, select.EPOLLIN)
        self.plan()

    def subscribe_again(self):
        self.interval = draw(self.chances, INTERVALS)
        self.is_exact = False
        self.subscribe()
        self.plan()

    def ping(self):
        self.say({"action": "ping"})
        self.plan()

    def say(self, message):
        self.send(text(message))

    def send(self, data):
        try:
            sent = self.socket.send(data)
        except (ConnectionResetError, BrokenPipeError):
            return  # reading tells
        demand(sent == len(data), "a request does not fit into the kernel's buffer")

    # Hearing -----------------------------------------------------------------------------------

    def on_event(self, events):
        if not self.is_open and events & select.EPOLLOUT:
            self.on_connected()
            return
        try:
            piece = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self.on_end(os.strerror(error.errno))
            return
        if not piece:
            self.on_end("end of stream")
            return
        self.bytes += piece
        if not self.is_open:
            self.on_handshake()
        life = self.life
        for first, payload in self.take_frames() if self.is_open else ():
            self.on_frame(first, payload)
            if self.life != life:
                return

    def take_frames(self):
        """All whole frames: first byte and payload."""
        data, at, frames = self.bytes, 0, []
        while len(data) - at >= 2:
            size, head = data[at + 1], 2
            if size == 126:
                size, head = int.from_bytes(data[at + 2 : at + 4]), 4
            elif size == 127:
                size, head = int.from_bytes(data[at + 2 : at + 10]), 10
            demand(data[at + 1] < 128, "a server's frame is masked")
            if len(data) - at < head + size:
                break
            frames.append((data[at], bytes(data[at + head : at + head + size])))
            at += head + size
        del data[:at]
        return frames

    def on_frame(self, first, payload):
        if first == 0x80 | TEXT:
            self.on_message(payload)
        elif first == 0xC0 | TEXT and self.has_deflate:
            self.on_message(self.swarm.book.inflate(payload))
        elif first == 0x80 | PING:
            # RFC 6455 §5.5.1: nothing after a close frame.
            if not self.is_leaving:
                self.send(frame(PONG, payload))
        elif first == 0x80 | CLOSE:
            self.on_close_frame(payload)
        else:
            raise Wrong(f"a frame that begins with {first:#x}")

    def on_message(self, payload):
        message = self.swarm.book.read_message(payload)
        type = message["type"]
        self.count(type)
        if type in ("snapshot", "delta"):
            self.on_version(payload, message)
        elif type == "warning":
            self.told += int(message.get("dropped_messages", 0))
        elif type == "subscribed":
            demand(message["id"] == self.life and message["symbols"] == self.symbols, payload.decode())
            self.fresh = set(self.symbols)
            self.resumed = self.asked.popleft()
        else:
            demand(type == "pong", payload.decode())

    def on_version(self, payload, message):
        symbol = message["symbol"]
        demand(symbol in self.symbols, f"{symbol} was not subscribed to")
        before = self.known.get(symbol)
        version = self.swarm.book.read_version(payload, message, before)
        has_columns = isinstance(message["data"]["levels"], dict)
        demand(has_columns == (self.format == "columns"), "the other format")
        demand(message["type"] == "snapshot" or self.mode == "delta", "a delta that was not asked for")
        self.delta_run[symbol] = self.delta_run[symbol] + 1 if message["type"] == "delta" else 0
        demand(self.delta_run[symbol] < 60, "60 deltas without a snapshot")
        if symbol in self.fresh:
            self.on_first(message, version, before)
        else:
            self.on_next(version, before)
        self.known[symbol] = version

    def on_first(self, message, version, before):
        """Of a subscription: may be what is known already, but nothing older."""
        symbol = version.symbol
        self.fresh.discard(symbol)
        if before and before.epoch == version.epoch:
            demand(version.seq >= before.seq, f"{symbol} falls from {before.seq} to {version.seq}")
        if symbol not in self.resumed:
            demand(message["type"] == "snapshot", "a subscription that begins with a delta")
            return
        self.resumed.discard(symbol)
        demand(not self.is_bogus or message.get("resumed") is False, "resumed from what never was")
        # A difference that is longer than the whole comes as a snapshot; it is resumed all the same.
        self.count("not resumed" if message.get("resumed") is False else f"resumed by {message['type']}")

    def on_next(self, version, before):
        if before and before.epoch == version.epoch:
            demand(version.seq > before.seq, f"{version.symbol} goes from {before.seq} to {version.seq}")
            self.skipped += version.seq - before.seq - 1


class Swarm:
    def __init__(self, address, symbols, count, seed, slow_timeout, patience):
        self.address = address
        self.symbols = symbols
        self.slow_timeout = slow_timeout
        self.patience = patience
        self.chances = random.Random(seed)
        self.epoll = select.epoll()
        self.by_file = {}
        self.timers = []
        self.order = itertools.count()
        self.book = Book()
        self.counts = Counter()
        self.wrongs = Counter()
        self.is_settling = False
        self.longest_pass_s = 0
        # Every place has a loopback address of its own: the server counts some faults by address.
        sources = (f"127.{100 + i // 62500}.{i // 250 % 250}.{1 + i % 250}" for i in range(count))
        self.clients = [Client(self, source) for source in sources]

    def come(self, per_second):
        for index, client in enumerate(self.clients):
            self.later(index / per_second, client, client.connect)

    def settle(self):
        """From now on everybody stays and reads."""
        self.is_settling = True
        now = time.monotonic()
        pending, self.timers = self.timers, []
        for at, _, life, client, action in pending:
            if life == client.life and action in (client.connect, client.wake):
                heapq.heappush(self.timers, (now, next(self.order), life, client, action))

    def later(self, seconds, client, action):
        at = time.monotonic() + seconds
        heapq.heappush(self.timers, (at, next(self.order), client.life, client, action))

    def watch(self, client, events):
        self.by_file[client.socket.fileno()] = client
        self.epoll.register(client.socket, events)

    def change(self, client, events):
        self.epoll.modify(client.socket, events)

    def unwatch(self, client):
        del self.by_file[client.socket.fileno()]
        self.epoll.unregister(client.socket)

    def run(self, condition, seconds):
        """Lives until condition() or for so long; False if it never came."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            pause = min(end, time.monotonic() + 0.5)
            while time.monotonic() < pause:
                self._pass()
        return True

    def _pass(self):
        wait = min(0.1, max(0, self.timers[0][0] - time.monotonic())) if self.timers else 0.1
        ready = self.epoll.poll(wait)
        begin = time.monotonic()
        for file, events in ready:
            client = self.by_file.get(file)
            if client:
                self._guarded(client, client.on_event, events)
        while self.timers and self.timers[0][0] <= begin:
            _, _, life, client, action = heapq.heappop(self.timers)
            if life == client.life:
                self._guarded(client, action)
        try:
            self.book.take_posts()
        except Wrong as wrong:
            self.complain(wrong)
        self.longest_pass_s = max(self.longest_pass_s, time.monotonic() - begin)

    def _guarded(self, client, action, *words):
        """A client that was wronged says so, and comes again as somebody else."""
        try:
            action(*words)
        except Wrong as wrong:
            self.complain(wrong)
            if client.socket:
                client.drop()
            client.be_somebody()
            client.later(1, client.connect)

    def complain(self, wrong):
        what = str(wrong)
        self.wrongs[what if what in self.wrongs or len(self.wrongs) < 1000 else "and others"] += 1

    def lost(self, latest):
        """Pairs of a client and a symbol, where what the client knows is not the latest text."""
        texts = Cache(100)

        def knows(client, symbol):
            version = client.socket and client.known.get(symbol)
            return version and texts.fetch(id(version), lambda: write_version(version)) == latest[symbol]

        return [(c, symbol) for c in self.clients for symbol in c.symbols if not knows(c, symbol)]

    def is_up_to(self, final):
        """Has everybody come to these versions, {symbol: (epoch, seq)}, of what it subscribed to?"""

        def is_there(client, symbol):
            version = client.socket and client.known.get(symbol)
            return version and (version.epoch, version.seq) == final[symbol]

        return all(is_there(client, symbol) for client in self.clients for symbol in client.symbols)

    def close(self):
        for client in self.clients:
            if client.socket:
                client.drop()
