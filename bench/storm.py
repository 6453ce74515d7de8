"""A reconnect storm, simulated: clients lose their machine and come back to the others.

Nobody is simulated one by one. Clients that share a fate so far are a *cohort*, a key and a count; chance
splits it over moments and machines, by binomials, so that ten million take no longer than one. Time goes in
steps. A machine has so much processor time and so many bytes in each: its newest messages go first, then who
waits in its accept queue. What is left out makes it worse than life, or is said in docs/scaling.md.

The same seed gives the same answer. What things cost comes from bench/scaling.py.
"""

import math
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

STEPS = 20  # a second
MOMENTS_MAX = 80  # among which one wait chooses; many waits begin at other steps, and mix

# web/heatmap-client.js, in seconds; tests hold them against it.
RECONNECT_DELAY, RECONNECT_DELAY_MAX = 2, 32
ATTEMPTS_MAX, RETRY_WHEN_FAILED = 5, 60
OPEN_TIMEOUT = 10
RESTART_PAUSE = 0.25
KEEPALIVE, PONG_TIMEOUT = 15, 10

# A SYN that finds the accept queue full is dropped; the client's kernel repeats it so much later each time
# (RFC 6298: one second, doubled), and the client gives up after OPEN_TIMEOUT.
KNOCKS = (1, 2, 4)


@dataclass(frozen=True)
class Machine:
    cores: int
    bytes_per_s: float
    clients_max: int
    backlog: int  # that wait to be accepted


@dataclass(frozen=True)
class Costs:
    """Of one client. Processor time in microseconds."""

    connect_us: float
    resume_us: float  # subscribing, and the delta that it is answered with
    snapshot_us: float  # the same with a snapshot
    message_us: float
    connect_bytes: float
    resume_bytes: float
    snapshot_bytes: float
    message_bytes: float


@dataclass(frozen=True)
class Scene:
    """What happens, from second 1 on: `lost` machines end; -1 is all."""

    name: str
    lost: int = 0
    is_silent: bool = False  # nothing tells the clients; they notice by themselves
    outage_s: float = math.inf  # until the machines are there again
    forgets: bool = False  # they know nothing of before then, and a new epoch begins
    leader_dies: bool = False  # a new epoch for everybody, at second 1
    drain_s: float = 0  # above 0: a rolling restart, `lost` machines at a time, WS_DRAIN_SECONDS
    pause_s: float = 2  # of a restart, from its last client to its first
    is_by_chance: bool = False  # the balancer: not who has the fewest, but anybody
    notice_s: float = 0  # that the balancer takes to see that a machine is away, or there


class Cohort(NamedTuple):
    left: int  # the step of their last message
    attempts: int  # that failed, as the client counts
    knocks: int = 0  # of the attempt that is under way
    began: int = 0  # the attempt


@dataclass
class Node:
    connected: int
    is_up: bool = True
    is_known_up: bool = True  # to the balancer
    knows_since: int = -1  # the step of the first version that it can make deltas from
    pending: int = 0  # of the newest version, not written yet
    are_whole: bool = False  # and they are snapshots
    queue: deque = field(default_factory=deque)  # of [count, cohort]
    queued: int = 0
    used_us: float = 0  # in this second
    used_bytes: float = 0
    connects: int = 0


@dataclass
class Answer:
    displaced: int = 0
    away: Counter = field(default_factory=Counter)  # steps: how many were away so long
    snapshots: int = 0  # sent to who came back
    deltas: int = 0
    broadcast_snapshots: int = 0  # to who had been there all the time
    skipped: int = 0  # versions that a newer one overtook
    failed_attempts: int = 0
    refused: int = 0  # of them, by a machine that was full
    polling: int = 0  # clients that gave up and polled for a while
    peak_cpu: float = 0  # of a machine, in the busiest second: 1 is all its cores
    peak_bytes_per_s: float = 0  # of a machine
    peak_bytes_per_s_all: float = 0
    peak_connects_per_s: int = 0  # of a machine
    peak_connects_per_s_all: int = 0
    most_on_one: int = 0
    seconds: float = 0

    def away_s(self, share):
        """How long this share of those who were displaced was away at most; None where nobody was."""
        wanted, seen = math.ceil(self.displaced * share), 0
        for steps in sorted(self.away):
            seen += self.away[steps]
            if seen >= wanted:
                return steps / STEPS
        return None


# ---- chance ----


def binomial(rng, n, p):
    """How many of n, each with probability p. Large ones by the normal distribution."""
    if p <= 0 or n <= 0:
        return 0
    if p >= 1:
        return n
    if p > 0.5:
        return n - binomial(rng, n, 1 - p)
    variance = n * p * (1 - p)
    if variance > 9:
        return min(max(round(rng.gauss(n * p, math.sqrt(variance))), 0), n)
    hits, at, log_miss = 0, 0, math.log1p(-p)
    while True:  # from hit to hit
        at += int(math.log(1 - rng.random()) / log_miss) + 1
        if at > n:
            return hits
        hits += 1


def split(rng, count, parts):
    """Each of `count` into one of `parts`, all alike; yields (part, how many), without zeros."""
    if count < 3 * parts:
        yield from sorted(Counter(int(rng.random() * parts) for _ in range(count)).items())
        return
    for part in range(parts):
        some = binomial(rng, count, 1 / (parts - part))
        count -= some
        if some:
            yield part, some


def fill_up(count, nodes, load_of):
    """So many more, to those with the least first, as water finds its level: [(node, how many), …]."""
    ordered = sorted(((load_of(node), i) for i, node in enumerate(nodes)))
    total, lowest = 0, 0  # of the `lowest` first ones
    while lowest < len(ordered) and total + count > ordered[lowest][0] * lowest:
        total, lowest = total + ordered[lowest][0], lowest + 1
    level, rest = divmod(total + count, lowest)
    shares = []
    for place, (load, i) in enumerate(ordered[:lowest]):
        some = level + (place < rest) - load
        if some > 0:
            shares.append((nodes[i], some))
    return shares


# ---- the storm ----


class Storm:
    def __init__(self, scene, clients, machines, machine, costs, interval_s, versions_kept, seed):
        self.scene, self.machine, self.costs = scene, machine, costs
        self.interval, self.versions_kept = round(interval_s * STEPS), versions_kept
        self.rng = random.Random(f"{seed} {scene.name} {clients} {machines}")
        self.nodes = [Node(clients // machines + (i < clients % machines)) for i in range(machines)]
        self.due = {}  # step: Counter of cohorts that try then
        self.todo = {}  # step: functions
        self.now = 0
        self.epoch_began = -1
        self.answer = Answer()
        self.second_connects = self.second_bytes = 0
        self._plan()

    # -- what happens when --

    def _at(self, seconds, do, *words):
        self.todo.setdefault(round(seconds * STEPS), []).append(lambda: do(*words))

    def _plan(self):
        scene = self.scene
        count = len(self.nodes) if scene.lost < 0 else scene.lost
        if scene.leader_dies:
            self._at(1, self._begin_epoch)
        if scene.drain_s:
            for turn, first in enumerate(range(0, len(self.nodes), max(count, 1))):
                start = 1 + turn * (scene.drain_s + scene.pause_s + scene.notice_s)
                for node in self.nodes[first : first + count]:
                    self._at(start, self._begin_drain, node, start)
            return
        for node in self.nodes[:count]:
            self._at(1, self._die, node)
            self._at(1 + scene.notice_s, self._notice, node)
            if scene.outage_s < math.inf:
                self._at(1 + scene.outage_s, self._come_back, node)
                self._at(1 + scene.outage_s, self._notice, node)
        if scene.forgets:
            self._at(1 + scene.outage_s, self._begin_epoch)

    def _begin_epoch(self):
        """The next version is whole for everybody who is there."""
        self.epoch_began = self.now
        for node in self.nodes:
            node.are_whole = node.connected > 0

    def _die(self, node):
        waiting, count = list(node.queue), node.connected
        node.queue.clear()
        node.connected = node.queued = node.pending = 0
        node.is_up = False
        self.answer.displaced += count
        noticed = (KEEPALIVE + PONG_TIMEOUT) * STEPS if self.scene.is_silent else 0
        self._retry(Cohort(self.now, 1), count, 0, RECONNECT_DELAY, noticed)
        for some, cohort in waiting:
            self._fail(cohort, some)

    def _come_back(self, node):
        node.is_up = True
        node.is_known_up = node.is_known_up or not self.scene.drain_s
        if self.scene.forgets or self.scene.drain_s:
            node.knows_since = self.now

    def _notice(self, node):
        node.is_known_up = node.is_up

    def _begin_drain(self, node, start):
        """/ready says 503, and refused streams go on to the next machine at once."""
        scene, steps = self.scene, round(self.scene.drain_s * STEPS)
        node.is_known_up = False
        for i in range(steps):
            self._at(start + i / STEPS, self._let_go, node, steps - i)
        end = start + scene.drain_s
        self._at(end, self._end, node)
        self._at(end + scene.pause_s, self._come_back, node)
        self._at(end + scene.pause_s + scene.notice_s, self._notice, node)

    def _let_go(self, node, shares):
        """An even share of those who are left, with 1012."""
        count = node.connected // shares
        node.connected -= count
        node.pending = min(node.pending, node.connected)
        self.answer.displaced += count
        self._retry(Cohort(self.now, 0), count, 0, RESTART_PAUSE, 0)

    def _end(self, node):
        node.is_up = False
        waiting = list(node.queue)
        node.queue.clear()
        node.queued = 0
        for some, cohort in waiting:
            self._fail(cohort, some)

    # -- clients --

    def _retry(self, cohort, count, least_s, most_s, after_steps):
        """Each at a moment of its own, after `after_steps`, within so many seconds."""
        first, steps = self.now + 1 + after_steps + round(least_s * STEPS), round((most_s - least_s) * STEPS)
        moments = min(steps, MOMENTS_MAX)
        for moment, some in split(self.rng, count, moments):
            self.due.setdefault(first + moment * steps // moments, Counter())[cohort] += some

    def _fail(self, cohort, count, after_steps=0):
        failed = cohort.attempts + 1
        cohort = Cohort(cohort.left, failed)
        self.answer.failed_attempts += count
        if failed > ATTEMPTS_MAX:
            self.answer.polling += count if failed == ATTEMPTS_MAX + 1 else 0
            self._retry(cohort, count, 0.75 * RETRY_WHEN_FAILED, 1.25 * RETRY_WHEN_FAILED, after_steps)
        else:
            most = min(RECONNECT_DELAY * 2 ** (failed - 1), RECONNECT_DELAY_MAX)
            self._retry(cohort, count, 0, most, after_steps)

    def _arrive(self):
        cohorts = sorted(self.due.pop(self.now, {}).items())
        if not cohorts:
            return
        targets = [node for node in self.nodes if node.is_known_up]
        shares = iter(self._share(sum(count for _, count in cohorts), targets) if targets else ())
        left, node = 0, None
        for cohort, count in cohorts:
            if cohort.knocks == 0:
                cohort = cohort._replace(began=self.now)
            if not targets:
                self._fail(cohort, count)
                continue
            while count:
                if not left:
                    node, left = next(shares)
                some = min(count, left)
                self._knock(node, cohort, some)
                count, left = count - some, left - some

    def _share(self, count, targets):
        """How the balancer gives so many to the machines that it knows: [(node, how many), …]."""
        if self.scene.is_by_chance:
            shares = [(targets[i], some) for i, some in split(self.rng, count, len(targets))]
        else:
            shares = fill_up(count, targets, lambda node: node.connected + node.queued)
        self.rng.shuffle(shares)
        return shares

    def _knock(self, node, cohort, count):
        if not node.is_up:
            self._fail(cohort, count, OPEN_TIMEOUT * STEPS if self.scene.is_silent else 0)
            return
        some = min(count, self.machine.backlog - node.queued)
        if some:
            node.queue.append([some, cohort])
            node.queued += some
        if some == count:
            return
        if cohort.knocks < len(KNOCKS):
            at = self.now + KNOCKS[cohort.knocks] * STEPS
            self.due.setdefault(at, Counter())[cohort._replace(knocks=cohort.knocks + 1)] += count - some
        else:
            self._fail(cohort, count - some, max(cohort.began + OPEN_TIMEOUT * STEPS - self.now, 0))

    # -- machines --

    def _serve(self, node):
        budget_us = self.machine.cores * 1e6 / STEPS
        budget_bytes = self.machine.bytes_per_s / STEPS
        us, size = self._write(node, budget_us, budget_bytes)
        while node.queue:
            count, cohort = node.queue[0]
            if self.now - cohort.began > OPEN_TIMEOUT * STEPS:
                self._leave_queue(node, count)
                self._fail(cohort, count)
                continue
            one_us, one_size, is_whole = self._price(node, cohort)
            some = int(min(count, (budget_us - us) / one_us, (budget_bytes - size) / one_size))
            if some <= 0:
                break
            self._leave_queue(node, some)
            taken = min(some, self.machine.clients_max - node.connected)
            us, size = us + some * one_us, size + some * one_size
            node.connects += some
            if taken:
                self._take(node, cohort, taken, is_whole)
            if taken < some:
                self.answer.refused += some - taken
                self._fail(cohort, some - taken)
        node.used_us += us
        node.used_bytes += size

    def _write(self, node, budget_us, budget_bytes):
        """The newest version, to who has not had it; returns time and bytes."""
        if not node.pending:
            return 0, 0
        one_size = self.costs.snapshot_bytes if node.are_whole else self.costs.message_bytes
        some = int(min(node.pending, budget_us / self.costs.message_us, budget_bytes / one_size))
        node.pending -= some
        if node.are_whole:
            self.answer.broadcast_snapshots += some
            node.are_whole = node.pending > 0
        return some * self.costs.message_us, some * one_size

    def _leave_queue(self, node, count):
        node.queued -= count
        node.queue[0][0] -= count
        if node.queue[0][0] == 0:
            node.queue.popleft()

    def _price(self, node, cohort):
        """A delta, where the machine knows the version that they had and has not forgotten it."""
        costs = self.costs
        missed = (self.now - cohort.left) / self.interval
        is_whole = cohort.left < max(node.knows_since, self.epoch_began) or missed > self.versions_kept
        if is_whole:
            return costs.connect_us + costs.snapshot_us, costs.connect_bytes + costs.snapshot_bytes, True
        return costs.connect_us + costs.resume_us, costs.connect_bytes + costs.resume_bytes, False

    def _take(self, node, cohort, count, is_whole):
        node.connected += count
        if is_whole:
            self.answer.snapshots += count
        else:
            self.answer.deltas += count
        self.answer.away[self.now - cohort.left] += count

    # -- time --

    def step(self):
        while self.now in self.todo:  # what is done may have more to be done at once
            for do in self.todo.pop(self.now):
                do()
        self._arrive()
        if self.now % self.interval == 0:
            for node in self.nodes:
                self.answer.skipped += node.pending
                node.pending = node.connected
        for node in self.nodes:
            if node.pending or node.queue:
                self._serve(node)
        self.now += 1
        if self.now % STEPS == 0:
            self._end_second()

    def _end_second(self):
        a, nodes = self.answer, self.nodes
        a.peak_cpu = max(a.peak_cpu, max(node.used_us for node in nodes) / 1e6 / self.machine.cores)
        a.peak_bytes_per_s = max(a.peak_bytes_per_s, max(node.used_bytes for node in nodes))
        a.peak_bytes_per_s_all = max(a.peak_bytes_per_s_all, sum(node.used_bytes for node in nodes))
        a.peak_connects_per_s = max(a.peak_connects_per_s, max(node.connects for node in nodes))
        a.peak_connects_per_s_all = max(a.peak_connects_per_s_all, sum(node.connects for node in nodes))
        a.most_on_one = max(a.most_on_one, max(node.connected for node in nodes))
        for node in nodes:
            node.used_us = node.used_bytes = node.connects = 0

    def count_clients(self):
        """(connected, in an accept queue, waiting for their next attempt)"""
        waiting = sum(sum(cohorts.values()) for cohorts in self.due.values())
        return sum(node.connected for node in self.nodes), sum(node.queued for node in self.nodes), waiting

    def is_over(self):
        return not (self.todo or self.due or any(node.queue or node.pending for node in self.nodes))

    def run(self, limit_s=1800):
        """To the end of the second in which the last one is back, and a version after that."""
        while self.now < limit_s * STEPS and not (self.is_over() and self.now > 2 * STEPS + self.interval):
            self.step()
        while self.now % STEPS:
            self.step()
        self.answer.seconds = self.now / STEPS
        return self.answer
