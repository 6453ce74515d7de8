"""Several servers: real Redis, a proxy that misbehaves, and clients that watch everything."""

import json
import select
import signal
import socket
import subprocess
import threading
import time

from decoder import Heatmap, parse
from rude import CLOSE, PING, PONG, RudeSocket, frame
from listening import Listener
from model import taking
from server import FAST, PATIENCE, ROOT, SLACK, Server, await_that

REDIS = ROOT / ".deps" / "redis" / "redis-server"
SENTINEL = ROOT / ".deps" / "redis" / "redis-sentinel"

BTC = "BTCUSDT"
# Who leads is followed within this: the lease, and how often others ask for it (limits.h).
HANDOVER = 3
# The same on a machine that may be busy.
SOON = (HANDOVER + 2) * SLACK


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Redis:
    """A redis-server, or a sentinel, of its own; the same port every time it is started."""

    def __init__(self, folder, *settings, program=REDIS, config=None):
        self.port = free_port()
        self.folder = folder
        self.program = program
        self.words = [f"--{word}" if i % 2 == 0 else word for i, word in enumerate(settings)]
        self.config = config
        self.process = None
        self.start()

    def start(self):
        words = [str(self.program)]
        if self.config:
            words.append(str(self.config))
        words += ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *self.words]
        self.process = subprocess.Popen(
            words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        await_that(self.is_there, "redis-server is there")

    def is_there(self):
        answer = self.cli("PING", check=False)
        return self.process.poll() is None and ("PONG" in answer or "NOAUTH" in answer)

    def cli(self, *words, stdin=None, check=True, password=None):
        login = ["-a", password, "--no-auth-warning"] if password else []
        line = ["redis-cli", "-p", str(self.port), *login, *map(str, words)]
        done = subprocess.run(line, input=stdin, capture_output=True, timeout=PATIENCE)
        # Sentinels that turn a server round close its connections.
        if b"Connection reset by peer" in done.stderr:
            done = subprocess.run(line, input=stdin, capture_output=True, timeout=PATIENCE)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout.decode("utf-8", "replace").rstrip("\n")

    def publish(self, channel, message):
        """`message` may be any bytes."""
        message = message if isinstance(message, bytes) else message.encode()
        return int(self.cli("-x", "PUBLISH", channel, stdin=message))

    def listen(self, channel):
        """A list that grows by every message there; the subscription ends with Redis."""
        words = ["redis-cli", "-p", str(self.port), "SUBSCRIBE", channel]
        listener = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        heard = []

        def hear():
            for line in listener.stdout:
                heard.append(line.decode().rstrip("\n"))
            listener.wait()

        threading.Thread(target=hear, daemon=True).start()
        await_that(lambda: "subscribe" in heard, "it is subscribed")
        return heard

    def latest(self, symbol, prefix="heatmap"):
        text = self.cli("GET", f"{prefix}:latest:{symbol}")
        return json.loads(text) if text else None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)


class Proxy(Listener):
    """Between a server and Redis: passes bytes on, unless it is told to delay, cut or swallow."""

    def __init__(self, to):
        self.to = to
        self.delay = 0
        self.is_black_hole = False  # takes bytes, and nothing comes out
        self.is_refusing = False
        self.lock = threading.Lock()
        self.cut_after = None
        self.pairs = []
        super().__init__(self._carry)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def _carry(self, client):
        if self.is_refusing:
            return
        with socket.create_connection(("127.0.0.1", self.to), PATIENCE) as server:
            self.pairs.append((client, server))
            while self._pass(client, server):
                pass

    def _pass(self, client, server):
        for source in select.select([client, server], [], [], 0.1)[0]:
            if self.is_black_hole:
                time.sleep(0.05)
                return True
            data = source.recv(65536)
            if not data:
                return False
            if self.delay:
                time.sleep(self.delay)
            if source is server:
                data, is_cut = self._until_cut(data)
                client.sendall(data)
                if is_cut:
                    return False
                continue
            server.sendall(data)
        return True

    @property
    def cut_after(self):
        """Bytes from Redis that still pass; None: all."""
        return self._cut_after

    @cut_after.setter
    def cut_after(self, count):
        with self.lock:
            self._cut_after = count

    def _until_cut(self, data):
        """What passes of this, and whether it ends there."""
        with self.lock:
            if self._cut_after is None:
                return data, False
            data = data[: self._cut_after]
            self._cut_after -= len(data)
            return data, self._cut_after == 0

    def cut(self):
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs = []

    def close(self):
        super().close()
        self.cut()


class Edge(Server):
    """One `heatcast edge` on a free port of 127.0.0.1."""

    def __init__(self, *flags, **env):
        self._start("edge", *flags, env=env)


class Watcher:
    """A client that takes differences, comes back where it is lost, and looks at every message: seq
    never goes back within an epoch, no epoch comes back on one server, and every state is kept.

    `servers` are visited in turn; one may be a function that returns a server, or None while there
    is none."""

    def __init__(self, servers, *symbols, **fields):
        self.servers = servers if isinstance(servers, list) else [servers]
        self.symbols = symbols
        self.fields = {"mode": "delta", "update_interval": 0, **fields}
        self.states = {}  # symbol: Heatmap
        self.seen = {}  # symbol: {(epoch, seq): canonical text}
        self.epochs = {}  # symbol: the epochs in their order
        self.epochs_here = {}  # the same, of one run of one server
        self.newest_here = {}  # (symbol, epoch): the greatest seq, there
        self.newest_known = {}  # the same, since a server knew nothing of what we had
        self.wholes = 0
        self.warnings = []
        self.fault = None
        self.is_stopped = False
        self.connected_to = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        turn = 0
        while not self.is_stopped:
            server = self.servers[turn % len(self.servers)]
            server = server() if callable(server) else server
            turn += 1
            try:
                if server:
                    self._visit(server)
            except AssertionError as fault:
                if self._is_an_end(fault):
                    continue
                self.fault = fault
                return
            except (OSError, EOFError):
                pass
            time.sleep(0.05)

    def _visit(self, server):
        with RudeSocket(server.address) as client:
            if server is not self.connected_to:
                self.epochs_here, self.newest_here = {}, {}
            self.connected_to = server
            self._watch(client)

    @staticmethod
    def _is_an_end(fault):
        return str(fault).startswith("closed after")

    def _watch(self, client):
        fields = dict(self.fields)
        if self.states:
            fields["since"] = {symbol: state.seq for symbol, state in self.states.items()}
            fields["epoch"] = {symbol: state.epoch for symbol, state in self.states.items()}
        client.subscribe(*self.symbols, **fields)
        while not self.is_stopped:
            if not client.bytes and not select.select([client.socket], [], [], 0.2)[0]:
                continue
            got = client.take_frame()
            if got.opcode == CLOSE:
                return
            if got.opcode == PING:
                client.send(frame(PONG, got.payload))
                continue
            message = parse(got.payload.decode())
            if message["type"] == "error":  # an edge that has not heard of the symbol yet
                assert message["code"] == "INVALID_SYMBOL", message
                return
            self._take(message)

    def _take(self, message):
        if message["type"] == "warning":
            self.warnings.append(message)
            return
        symbol = message["symbol"]
        seen, version = self.seen.setdefault(symbol, {}), (message["epoch"], message["seq"])
        if message.pop("resumed", None) is False:  # nothing is known here of what we had
            self.newest_known = {at: seq for at, seq in self.newest_known.items() if at[0] != symbol}
        if message["type"] == "snapshot":
            self.wholes += 1
            self.states[symbol] = Heatmap(message)
        else:
            self.states[symbol].apply(message)
        self._note_epoch(symbol, version[0])
        for newest in [self.newest_here, self.newest_known]:
            seq = newest.get((symbol, version[0]), 0)
            assert version[1] >= seq, f"{symbol} {version} after {seq}"
            newest[symbol, version[0]] = version[1]
        text = self.states[symbol].text()
        assert seen.setdefault(version, text) == text, f"{symbol} {version} is not what it was"

    def _note_epoch(self, symbol, epoch):
        here = self.epochs_here.setdefault(symbol, [])
        if not here or here[-1] != epoch:
            assert epoch not in here, f"{symbol}: epoch {epoch} is back after {here}"
            here.append(epoch)
        epochs = self.epochs.setdefault(symbol, [])
        if not epochs or epochs[-1] != epoch:
            epochs.append(epoch)

    def newest(self, symbol):
        self.check()
        state = self.states.get(symbol)
        return (state.epoch, state.seq) if state else None

    def check(self):
        if self.fault:
            raise self.fault

    def await_version(self, symbol, epoch, seq, seconds=PATIENCE):
        """Until it has this version, or a later one of its epoch."""

        def reached():
            newest = self.newest(symbol)
            return newest and newest[0] == epoch and newest[1] >= seq

        await_that(reached, f"{symbol} {epoch}:{seq}, not {self.newest(symbol)}", seconds)

    def await_other_epoch(self, symbol, epoch, seconds=PATIENCE):
        def reached():
            newest = self.newest(symbol)
            return newest if newest and newest[0] != epoch else None

        return await_that(reached, f"{symbol} in another epoch than {epoch}", seconds)

    def stop(self):
        self.is_stopped = True
        self.thread.join(PATIENCE)
        self.check()


def assert_same(watchers, symbol):
    """What two of them saw of one version is the same, byte for byte."""
    truth = {}
    for watcher in watchers:
        watcher.check()
        for version, text in list(watcher.seen.get(symbol, {}).items()):
            assert truth.setdefault(version, text) == text, version
    return truth


def leaders(servers, symbol):
    return [s for s in servers if symbol in s.get("/health")["redis"]["leads"]]


def await_one_epoch(watchers, symbol, seconds=PATIENCE):
    """Until all show one, whoever leads by then."""

    def is_one():
        return len({(watcher.newest(symbol) or [None])[0] for watcher in watchers}) == 1

    await_that(is_one, "all show the same epoch", seconds)


def await_leader(servers, symbol, seconds=PATIENCE):
    """The one of them that leads; two at a time never do."""

    def only():
        # Asked one after the other: the lead may pass on between two of them, but not twice.
        found = leaders(servers, symbol)
        found = found if len(found) < 2 else leaders(servers, symbol)
        assert len(found) < 2, "two lead at a time"
        return found[0] if found else None

    return await_that(only, f"somebody leads {symbol}", seconds)


def await_progress(watcher, symbol=BTC, versions=3):
    """Some versions more than it has now."""
    before = len(watcher.seen.get(symbol, ()))

    def moved():
        watcher.check()
        return len(watcher.seen.get(symbol, ())) >= before + versions

    await_that(moved, f"{versions} versions more")


def redis_is(server, status):
    return await_that(lambda: server.get("/health")["redis"]["status"] == status, f"Redis {status}")


def metric(server, name):
    text = server.request("/metrics").body.decode()
    return float(text.split(f"\n{name} ")[1].split()[0])


def connects(server):
    return metric(server, "heatcast_redis_connects_total")


class Cluster:
    """What one test stands on: servers, watchers and proxies, all ended by end()."""

    def __init__(self, folder, url):
        self.folder = folder
        self.url = url
        self.count = 0
        self.started, self.watchers, self.proxies = [], [], []

    def full(self, *flags, at=None, feed=FAST, db=None, **env):
        self.count += 1
        db = db or self.folder / f"{self.count}.duckdb"
        redis_url = ("--redis-enabled", "--redis-url", at or self.url)
        self.started.append(Server(*feed, *redis_url, *flags, db=db, **env))
        return self.started[-1]

    def edge(self, *flags, at=None, **env):
        self.started.append(Edge("--redis-url", at or self.url, *flags, **env))
        return self.started[-1]

    def publishing(self, *flags, **more):
        return self.full(*flags, feed=(), **taking("MINE"), **more)

    def watch(self, servers, *symbols, **fields):
        self.watchers.append(Watcher(servers, *symbols, **fields))
        return self.watchers[-1]

    def proxy(self, to):
        self.proxies.append(Proxy(to))
        return self.proxies[-1]

    def kill(self, server):
        server.kill()
        self.started.remove(server)

    def end(self):
        for watcher in self.watchers:
            watcher.is_stopped = True
        for server in self.started:
            if server.process.returncode is None:
                server.signal(signal.SIGCONT)
        for server in self.started:
            if server.process.returncode is None:
                server.stop()
        for watcher in self.watchers:
            watcher.stop()
        for proxy in self.proxies:
            proxy.close()
