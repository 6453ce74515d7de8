#!/usr/bin/python3
"""Half an hour in the life of a server: publications, and clients of every kind that come and go,
stall, and resume. In the end every client must know the very content of GET /heatmap/latest, and
the server must not have grown.

    make soak [MINUTES=30] [CLIENTS=2000] [MODE=release] [SEED=1]

Samples go to build/soak/samples.jsonl, the report to build/soak/report.json and standard output.
Status 1 when a client was wronged, a final state was lost, or something grew."""

import argparse
import http.client
import json
import os
import random
import resource
import secrets
import statistics
import sys
import tempfile
import threading
import time
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests" / "system")]

from replica import Version, write_data  # noqa: E402
from server import MODE, SLACK, Server, await_that  # noqa: E402
from swarm import Swarm  # noqa: E402

SLOW_TIMEOUT_S = 30
SAMPLE_S = 5
ARRIVALS_PER_S = 200 / SLACK
# More than the versions that the server keeps for resuming: they are there from the start, and
# are no growth.
VERSIONS_BEFORE = 330
# Name, bucket, price in buckets, levels.
MARKETS = (("SOAKA", "100", 980, 30), ("SOAKB", "0.0002", 550, 80), ("SOAKC", "5", 700, 200))

# What may grow between the second and the last third of the time without being called growth:
# a part, and so much more.
GROWTH = {"rss_kb": (0.02, 1024), "files": (0.02, 10)}
# Sanitizers keep freed memory for their own ends.
if MODE in ("asan", "tsan"):
    del GROWTH["rss_kb"]

os.environ.setdefault(
    "TSAN_OPTIONS", f"suppressions={ROOT}/tests/tsan.supp:halt_on_error=1:second_deadlock_stack=1"
)
os.environ.setdefault("LSAN_OPTIONS", f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0")
os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")


class Market:
    """A heatmap that wanders: levels come, go, change and change back; now and then all at once."""

    def __init__(self, symbol, bin, price, level_count, seed):
        self.symbol = symbol
        self.bin = Decimal(bin)
        self.price = price  # in buckets
        self.level_count = level_count
        self.chances = random.Random(f"{seed} {symbol}")
        self.levels = {}  # bucket → (long, short)

    def make_level(self):
        cents = [Decimal(self.chances.randint(1, 10**9)).scaleb(-2), Decimal(0)]
        self.chances.shuffle(cents)
        return tuple(cents)

    def move(self):
        chance = self.chances.random()
        if chance < 0.01:
            self.levels = {}
        share = 1 if chance < 0.03 else 0.1
        for bucket in range(self.price - self.level_count // 2, self.price + self.level_count // 2):
            if self.chances.random() < share:
                self.levels.pop(bucket, None)
            if bucket not in self.levels and self.chances.random() < share:
                self.levels[bucket] = self.make_level()
        self.price += self.chances.randint(-1, 1)

    def version(self):
        levels = tuple((bucket * self.bin, *densities) for bucket, densities in sorted(self.levels.items()))
        created, consumed = self.chances.randint(0, 99), self.chances.randint(0, 99)
        price = self.price * self.bin
        return Version(self.symbol, None, None, None, levels, price, created, consumed, self.bin)


class Publisher(threading.Thread):
    """Posts every market's next move, so many times a second."""

    def __init__(self, address, token, markets, per_second, tell):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(*address, timeout=60)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.markets = markets
        self.pause_s = 1 / per_second
        self.tell = tell
        self.is_ending = threading.Event()
        self.final = {}  # symbol → (epoch, seq)
        self.uncounted = {}  # symbol → created and consumed of bodies that changed nothing
        self.count = 0
        self.failure = None

    def publish(self, market):
        market.move()
        version = market.version()
        self.connection.request("POST", f"/publish/{market.symbol}", write_data(version), self.headers)
        response = self.connection.getresponse()
        body = response.read()
        assert response.status == 200, (response.status, body)
        self.count += 1
        self.note(version, json.loads(body))

    def note(self, version, answer):
        """A body that changes nothing makes no version; its counts go into the next."""
        created, consumed = self.uncounted.pop(version.symbol, (0, 0))
        version = version._replace(created=version.created + created, consumed=version.consumed + consumed)
        self.final[version.symbol] = answer["epoch"], answer["seq"]
        if answer["changed"]:
            self.tell((version.symbol, answer["epoch"], answer["seq"], write_data(version)))
        else:
            self.uncounted[version.symbol] = version.created, version.consumed

    def publish_all(self):
        for market in self.markets:
            self.publish(market)

    def run(self):
        try:
            while not self.is_ending.wait(self.pause_s):
                self.publish_all()
            self.publish_all()
        except Exception as failure:  # told by end()
            self.failure = failure

    def end(self):
        self.is_ending.set()
        self.join()
        if self.failure:
            raise self.failure


class Sampler(threading.Thread):
    """Looks at the server every few seconds."""

    def __init__(self, server, file):
        super().__init__(daemon=True)
        self.server = server
        self.file = file
        self.begin = time.monotonic()
        self.samples = []
        self.is_ending = threading.Event()

    def sample(self):
        status = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return {
            "at_s": round(time.monotonic() - self.begin, 1),
            "rss_kb": self.server.resident_bytes() // 1024,
            "files": count_files(self.server),
            "cpu_s": (int(status[11]) + int(status[12])) / os.sysconf("SC_CLK_TCK"),
            "stats": self.server.stats(),
        }

    def run(self):
        while not self.is_ending.wait(SAMPLE_S):
            try:
                sample = self.sample()
            except (OSError, AssertionError):
                return  # the server is gone, which others tell
            self.samples.append(sample)
            print(json.dumps(sample), file=self.file, flush=True)

    def end(self):
        self.is_ending.set()
        self.join()


def count_files(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def thirds(samples, key):
    """Medians of the second and the last third of the time."""
    third = len(samples) // 3
    values = [sample.get(key, sample["stats"].get(key)) for sample in samples]
    return statistics.median(values[third:-third]), statistics.median(values[-third:])


def has_grown(key, before, after):
    part, more = GROWTH.get(key, (0, float("inf")))
    return after > before * (1 + part) + more


def read_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-second", type=float, default=1, help="publications of each symbol")
    return parser.parse_args()


def report(arguments, swarm, publisher, samples):
    keys = ("rss_kb", "files", "queue_bytes", "websockets", "subscriptions")
    growth = {key: thirds(samples, key) for key in keys} if len(samples) >= 9 else {}
    grown = [(key, *medians) for key, medians in growth.items() if has_grown(key, *medians)]
    faults = [f"{key} grew from {before:.0f} to {after:.0f}" for key, before, after in grown]
    faults += [f"{count} x {wrong}" for wrong, count in swarm.wrongs.most_common(20)]
    return {
        "arguments": vars(arguments) | {"mode": MODE},
        "publications": publisher.count,
        "medians": {key: {"second_third": a, "last_third": b} for key, (a, b) in growth.items()},
        "server_cpu_s": samples[-1]["cpu_s"] if samples else None,
        "swarm_longest_pass_s": round(swarm.longest_pass_s, 3),
        "events": dict(sorted(swarm.counts.items())),
        "faults": faults,
    }


def main():
    arguments = read_arguments()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    out = ROOT / "build" / "soak"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open(out / "samples.jsonl", "w") as file:
        result = soak(arguments, Path(folder), file)
    (out / "report.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    print("soak: " + ("; ".join(result["faults"]) or "clean"))
    return 1 if result["faults"] else 0


def soak(arguments, folder, file):
    token = secrets.token_hex(16)
    symbols = [market[0] for market in MARKETS]
    server = Server(
        *("--feed", "none", "--publish-symbols", ",".join(symbols), "--log-level", "warning"),
        *("--ws-slow-consumer-disconnect", SLOW_TIMEOUT_S),
        db=folder / "soak.duckdb",
        HEATCAST_PUBLISH_TOKEN=token,
    )
    try:
        return live(arguments, server, token, symbols, file)
    except Exception:
        print(server.log()[-20000:], file=sys.stderr)
        raise
    finally:
        if server.process.poll() is None:
            server.kill()


def live(arguments, server, token, symbols, file):
    swarm = Swarm(server.address, symbols, arguments.clients, arguments.seed, SLOW_TIMEOUT_S, 20 * SLACK)
    markets = [Market(*market, arguments.seed) for market in MARKETS]
    publisher = Publisher(server.address, token, markets, arguments.per_second, swarm.book.posts.put)
    for _ in range(VERSIONS_BEFORE):
        publisher.publish_all()
    files_before = count_files(server)
    sampler = Sampler(server, file)
    publisher.start()
    swarm.come(ARRIVALS_PER_S)
    swarm.run(lambda: False, arguments.clients / ARRIVALS_PER_S)
    sampler.start()
    swarm.run(lambda: publisher.failure, arguments.minutes * 60)
    sampler.end()
    lost = settle(server, swarm, publisher, symbols)
    swarm.close()
    result = report(arguments, swarm, publisher, sampler.samples)
    result["lost_final_states"] = lost
    result["left_after_all_had_gone"] = find_leftovers(server, files_before)
    for what in ("lost_final_states", "left_after_all_had_gone"):
        result["faults"] += [f"{what}: {result[what]}"] if result[what] else []
    result["faults"] += end(server)
    return result


def settle(server, swarm, publisher, symbols):
    """Everybody stays and reads, nothing more is published: how many do not come to the latest?"""
    swarm.settle()
    publisher.end()
    swarm.run(lambda: swarm.is_up_to(publisher.final), SLOW_TIMEOUT_S + 30 * SLACK)
    latest = {symbol: server.request("/heatmap/latest", symbol=symbol).body.decode() for symbol in symbols}
    return len(swarm.lost(latest))


def find_leftovers(server, files_before):
    """What should be gone when all clients are."""

    def count():
        stats = server.stats()
        left = {key: stats[key] for key in ("websockets", "subscriptions", "queue_bytes")}
        left["files"] = max(0, count_files(server) - files_before)
        return {key: value for key, value in left.items() if value}

    try:
        await_that(lambda: not count(), "nothing is left")
    except AssertionError:
        return count()
    return {}


def end(server):
    """Stops it: what it complains of then, and what it logged, which should be nothing."""
    faults = [f"logged: {line}" for line in server.log().splitlines()[:20]]
    try:
        server.stop()
    except AssertionError as ending:
        faults.append(f"ended badly: {ending}")
    return faults


if __name__ == "__main__":
    sys.exit(main())
