"""A seeded storm over two full nodes, two edges and Redis, and what must be true in it all along."""

import http.client
import json
import random
import signal
import threading
import time

from cluster import BTC, HANDOVER, Redis, assert_same, await_progress, leaders
from model import Model, content_of, taking
from server import FAST, PATIENCE, SLACK, await_that

MINE = "MINE"
# After the last fault: a silence noticed (2.5 s), the longest pause before the next try (2 s), and a
# lease that has to end (2 s), twice, as a node may come up without a lead.
CALM = 12 * SLACK
# A part of what a faulty message may be: test_cluster.py has all of it.
GARBAGE = [b"", b"\xff\xfe\x00", b"{" * 3000, b'{"type":"snapshot"}', b"null", b" " * (2 << 20) + b"{}"]


class Place:
    """Where one server runs, dies and runs again, with a proxy of its own to Redis."""

    def __init__(self, storm, name, make):
        self.name = name
        self.make = make  # (url of Redis) -> a server
        self.proxy = storm.cluster.proxy(storm.redis.port)
        self.cluster = storm.cluster
        self.server = None
        self.start()

    def start(self):
        self.server = self.make(self.proxy.url)

    def current(self):
        return self.server

    def kill(self):
        server, self.server = self.server, None
        self.cluster.kill(server)

    def end(self):
        server, self.server = self.server, None
        server.stop()
        self.cluster.started.remove(server)


class Storm:
    """Starts everything; rage() for some seconds, then settle()."""

    def __init__(self, cluster, folder, seed):
        self.random = random.Random(seed)
        self.cluster = cluster
        self.redis = Redis(folder, "appendonly", "yes")
        self.data = folder / "appendonlydir"
        self.nodes = [Place(self, f"node {i}", self._full(folder / f"{i}.duckdb")) for i in range(2)]
        self.edges = [Place(self, f"edge {i}", lambda at: cluster.edge(at=at)) for i in range(2)]
        self.places = self.nodes + self.edges
        self.model = Model(None, MINE, {bucket: (bucket * 100, 5) for bucket in range(90, 190)})
        self.watchers = [cluster.watch(place.current, BTC, MINE) for place in self.places]
        self.watchers.append(cluster.watch([place.current for place in self.places], BTC, MINE))
        self.under_way = []  # (when it ends, what it hurts, the rest of it)
        self.story = []
        self.began = time.monotonic()
        self.fault = None
        self.is_over = False
        self.threads = [
            threading.Thread(target=self._guarded, args=(body,), daemon=True)
            for body in (self._publish, self._count_leaders)
        ]

    def _full(self, db):
        return lambda at: self.cluster.full(at=at, db=db, feed=FAST, **taking(MINE))

    # --- what goes on meanwhile ---

    def _guarded(self, body):
        try:
            while not self.is_over:
                body()
        except AssertionError as fault:
            self.fault = fault

    def _publish(self):
        """A few models to one node, then to another, whatever becomes of them."""
        server = random.choice(self.nodes).server
        for _ in range(random.randrange(1, 20)):
            if not server or self.is_over:
                break
            self.model.server = server
            self.model.levels[100] = (self.model.time % 1000, 1)
            try:
                self.model.publish()
            except (OSError, http.client.HTTPException):
                break
            time.sleep(random.uniform(0, 0.1))
        time.sleep(random.uniform(0, 0.5))

    def _count_leaders(self):
        """Two that say so for longer than a hand-over takes."""
        since = time.monotonic()
        while not self.is_over:
            leading = [place.name for place in self.nodes if BTC in led_by(place)]
            if len(leading) < 2:
                since = time.monotonic()
            assert time.monotonic() - since < HANDOVER * SLACK, f"{leading} lead at a time"
            time.sleep(0.05)

    def check(self):
        if self.fault:
            raise self.fault
        for watcher in self.watchers:
            watcher.check()

    # --- faults: each begins, yields while it lasts, and is mended ---

    def _killed(self, place):
        place.kill()
        yield
        place.start()

    def _ended(self, place):
        place.end()
        yield
        place.start()

    def _stopped(self, place):
        place.server.signal(signal.SIGSTOP)
        yield
        place.server.signal(signal.SIGCONT)

    def _cut_off(self, place):
        place.proxy.is_black_hole = True
        yield
        place.proxy.is_black_hole = False

    def _refused(self, place):
        place.proxy.is_refusing = True
        place.proxy.cut()
        yield
        place.proxy.is_refusing = False

    def _slowed(self, place):
        place.proxy.delay = self.random.uniform(0.02, 0.4)
        yield
        place.proxy.delay = 0

    def _cut_in_the_middle(self, place):
        place.proxy.cut_after = self.random.randrange(20000)
        yield
        place.proxy.cut_after = None

    def _redis_killed(self, redis):
        redis.kill()
        yield
        redis.start()

    def _redis_emptied(self, redis):
        redis.kill()
        for file in self.data.iterdir():
            file.unlink()
        yield
        redis.start()

    def _redis_stopped(self, redis):
        redis.signal(signal.SIGSTOP)
        yield
        redis.signal(signal.SIGCONT)

    def _garbage(self, redis):
        redis.publish(f"heatmap:{self.random.choice([BTC, MINE])}", self.random.choice(GARBAGE))
        yield

    PLACES_FAULTS = [_killed, _ended, _stopped, _cut_off, _refused, _slowed, _cut_in_the_middle]
    REDIS_FAULTS = [_redis_killed, _redis_emptied, _redis_stopped, _garbage, _garbage]

    def _hurt(self):
        """Something that is well."""
        is_redis = self.random.random() < 0.25
        target = self.redis if is_redis else self.random.choice(self.places)
        kind = self.random.choice(self.REDIS_FAULTS if is_redis else self.PLACES_FAULTS)
        lasts = self.random.choice([0.1, 1, 2.5, 4, 6]) * self.random.uniform(0.5, 1)
        if any(hurt is target for _, hurt, _ in self.under_way):
            return
        self._tell(f"{getattr(target, 'name', 'redis')} {kind.__name__[1:]} for {lasts:.1f} s")
        fault = kind(self, target)
        next(fault)
        self.under_way.append((time.monotonic() + lasts, target, fault))

    def _tell(self, what):
        self.story.append(f"{time.monotonic() - self.began:7.2f} {what}")

    def _mend(self, until):
        for item in [item for item in self.under_way if item[0] <= until]:
            self.under_way.remove(item)
            next(item[2], None)
            self._tell(f"{getattr(item[1], 'name', 'redis')} is well again")

    def rage(self, seconds, settle_every=30):
        """Faults for so long, with calm in between."""
        for thread in self.threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            calm_at = min(end, time.monotonic() + settle_every)
            while time.monotonic() < calm_at:
                self.check()
                self._mend(time.monotonic())
                if len(self.under_way) < 3:
                    self._hurt()
                time.sleep(self.random.uniform(0.1, 1))
            self._mend(float("inf"))
            self._tell("calm")
            self._meet()

    # --- afterwards ---

    def _meet(self):
        """Once nothing fails, all are one within CALM."""
        await_that(self._is_one, f"one leader, whom all show:\n{self.tale()}", CALM)

    def _is_one(self):
        self.check()
        found = leaders([place.server for place in self.nodes], BTC)
        if len(found) != 1:
            return False
        epoch, seq = version_of(found[0], BTC)
        shown = [watcher.newest(BTC) for watcher in self.watchers]
        return all(version and version[0] == epoch for version in shown)

    def settle(self):
        """What is published at last is what all show, on whichever node it is published."""
        self.is_over = True
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for place in self.nodes:
            self.model.server = place.server
            self.model.levels[101] = (self.model.time % 1000, 1)
            self.model.publish()
            for watcher in self.watchers:
                await_that(lambda: self._shows_newest(watcher), f"the last one:\n{self.tale()}", CALM)
        for watcher in self.watchers:
            await_progress(watcher, BTC)
        self._compare()

    def _shows_newest(self, watcher):
        self.check()
        state = watcher.states.get(MINE)
        newest = list(self.model.said)[-1]
        return state and content_of(watcher.seen[MINE][state.epoch, state.seq]) == newest

    def _compare(self):
        """Nobody saw what nobody published, and what has one name is one."""
        assert_same(self.watchers, BTC)
        for version, text in assert_same(self.watchers, MINE).items():
            assert content_of(text) in self.model.said, f"{version} is nobody's: {text[:300]}"
            assert self.model.versions.get(version, text) == text

    def tale(self):
        shown = [
            [state.version for state in list(watcher.states.values())] for watcher in self.watchers
        ]
        return "\n".join([*self.story[-40:], *map(str, shown)])

    def end(self):
        self.is_over = True
        self._mend(float("inf"))
        self.redis.kill()


def led_by(place):
    """The symbols that it says it leads; none while it says nothing."""
    server = place.server
    if not server:
        return []
    connection = http.client.HTTPConnection(*server.address, timeout=1)
    try:
        connection.request("GET", "/health")
        return json.loads(connection.getresponse().read())["redis"]["leads"]
    except (OSError, http.client.HTTPException):
        return []
    finally:
        connection.close()


def version_of(server, symbol):
    latest = server.get("/heatmap/latest", symbol=symbol)
    return latest["epoch"], latest["seq"]
