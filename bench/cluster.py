#!/usr/bin/python3
"""`make bench-cluster`: what several servers cost, over a real redis-server, on loopback of one machine.

    bench/cluster.py [--short] [--only trip,spread,bus,opening,proxy,sizes] [--out FILE]

A whole run ends as bench/results/cluster.json and as tables in docs/benchmarks.md, and docs/scaling.md is reckoned
anew from the former (as `make scaling` does). A short one is only printed, or written to FILE.
"""

import argparse
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import payloads
import proxied
import sizes
from cluster_report import tables
from contenders import BUILD, ROOT, TOKEN, Failed, prepare_child
from run import first_line, machine
from servers import Server, await_that, cpu_ns, redis_info, redis_subscribers

WORK = ROOT / "build" / "bench"
SUBSCRIBE = {"action": "subscribe", "symbols": ["BENCH"], "update_interval": 0}
ONE_CORE, OTHER_CORE, ALL_CORES = {0}, {1}, {0, 1}


class Plan:
    """How often. Whatever is compared takes turns: A B C A B C."""

    def __init__(self, is_short):
        self.rounds = 1 if is_short else 3
        self.trips = 60 if is_short else 400  # publishes of one round trip run
        self.broadcasts = 6 if is_short else 40
        self.bus_messages = 100 if is_short else 500
        self.opening_clients = 1000 if is_short else 4000
        self.proxied_clients = 200 if is_short else 1000
        self.proxied_broadcasts = 5 if is_short else 20
        self.updates = 20 if is_short else 120  # versions of the simulated market


# ---- parts ----


class Cluster:
    """A redis-server and, on request, servers that share it; `with` ends them all."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="heatcast-cluster-"))
        self.servers = []

    def __enter__(self):
        self.redis = self.start(Server.redis(self.folder, ONE_CORE))
        return self

    def __exit__(self, *_):
        for server in reversed(self.servers):
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, server):
        self.servers.append(server)
        return server

    def full(self, cores, shares=True):
        name = f"full{len(self.servers)}"
        words = ["serve", "--db", self.folder / f"{name}.duckdb", "--feed", "none", "--publish-symbols", "BENCH"]
        if shares:
            words += ["--redis-enabled", "--redis-url", self.redis.url]
        return self.start(Server.heatcast(self.folder, name, cores, *words))

    def edge(self, cores):
        words = ["edge", "--redis-url", self.redis.url]
        return self.start(Server.heatcast(self.folder, f"edge{len(self.servers)}", cores, *words))


class Publisher:
    """POSTs to one server, on one connection. Begins with the last payload and goes backwards, since
    bench/load begins with the first: what is posted twice in a row is no news to anybody."""

    def __init__(self, server, kind="made"):
        self.door = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self.bodies = read_payloads(WORK / f"{kind}.data")
        self.next = 0

    def post(self):
        """What the server answered: seq and epoch among it."""
        self.next -= 1
        body = self.bodies[self.next % len(self.bodies)]
        self.door.request("POST", "/publish/BENCH", body, {"Authorization": f"Bearer {TOKEN}"})
        answer = self.door.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Failed(f"publish was answered {answer.status} {text.decode()}")
        return json.loads(text)


def read_payloads(path):
    data, at, list_ = path.read_bytes(), 0, []
    while at < len(data):
        end = data.index(b"\n", at)
        size = int(data[at:end])
        list_.append(data[end + 1 : end + 1 + size])
        at = end + 1 + size
    return list_


def await_seq(servers, said):
    """Until each has the version that a publisher was told of."""
    for server in servers:
        await_that(lambda server=server: server.latest("BENCH") == (said["epoch"], said["seq"]), "a version to spread")


def load(cores, publisher, servers, pids, clients, kind="made", subscribe=None, **more):
    """One run of bench/load: `publisher` is posted to, the clients are spread over `servers`."""
    command = [
        BUILD / "bench/load", "--port", ",".join(str(s.port) for s in servers), "--post-port", publisher.port,
        "--pid", ",".join(str(p) for p in pids), "--clients", clients, "--payloads", WORK / f"{kind}.data",
        "--path", "/ws/heatmap", "--publish", "/publish/BENCH", "--token", TOKEN,
        "--subscribe", json.dumps(subscribe or SUBSCRIBE),
    ]
    for key, value in {"message_min": 16, **more}.items():
        command += ["--" + key.replace("_", "-"), value]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, preexec_fn=lambda: prepare_child(cores))
    try:
        out, errors = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0 or not out:
        raise Failed((errors.strip().splitlines() or ["no result"])[-1])
    result = json.loads(out)
    if result["connect_failed"] or result["closed"] or any(b["done"] != clients for b in result["broadcasts"]):
        raise Failed("not every client had everything: " + errors.strip())
    return result


# ---- what is measured ----


def measure_trip(plan):
    """From a POST on one server to a client of another: Redis' round trip. All servers on one core, the
    clients and their clock on the other."""
    times = {}
    with Cluster() as c:
        first, second, edge = c.full(ONE_CORE), c.full(ONE_CORE), c.edge(ONE_CORE)
        alone = c.full(ONE_CORE, shares=False)
        await_seq([first, second, edge], Publisher(first).post())
        Publisher(alone).post()
        ways = {"alone": (alone, alone), "same": (first, first), "full": (first, second), "edge": (first, edge)}
        for _ in range(plan.rounds):
            for name, (to, at) in ways.items():
                run = load(OTHER_CORE, to, [at], [to.pid], 2, broadcasts=plan.trips, pause_ms=10, warmups=20)
                times.setdefault(name, []).extend(b["last_us"] for b in run["broadcasts"])
    return {name: summary(of) for name, of in times.items()}


def measure_spread(plan):
    """From a POST to the last of many clients, evenly on 2 and on 4 servers. Servers have both cores; the
    generator sleeps meanwhile, and the kernel stamps what arrives."""
    results = {}
    for name, fulls, edges, each, late_ms in (("2 x 1000", 2, 0, 1000, 60), ("4 x 2500", 2, 2, 2500, 300)):
        lasts, medians, cpu = [], [], []
        with Cluster() as c:
            servers = [c.full(ALL_CORES) for _ in range(fulls)] + [c.edge(ALL_CORES) for _ in range(edges)]
            await_seq(servers, Publisher(servers[0]).post())
            count = each * len(servers)
            for _ in range(plan.rounds):
                run = load(ALL_CORES, servers[0], servers, [s.pid for s in servers], count, late_ms=late_ms,
                           broadcasts=plan.broadcasts, warmups=5, pause_ms=60)
                lasts += [b["last_us"] for b in run["broadcasts"]]
                medians += [b["median_us"] for b in run["broadcasts"]]
                cpu += [b["cpu_us"] / b["done"] for b in run["broadcasts"]]
        results[name] = {"clients": count, "last": summary(lasts), "median_us": median(medians),
                         "message_cpu_us": median(cpu)}
    return results


class Subscribers:
    """Connections that ask Redis for what a server asks for, and throw it away."""

    def __init__(self, redis, count):
        self.sockets = [socket.create_connection(("127.0.0.1", redis.port)) for _ in range(count)]
        for one in self.sockets:
            one.sendall(b"PSUBSCRIBE heatmap:*\r\n")
        self.is_ended = False
        self.thread = threading.Thread(target=self.drain, daemon=True)
        self.thread.start()

    def drain(self):
        with select.epoll() as poll:
            sockets = {one.fileno(): one for one in self.sockets}
            for fd in sockets:
                poll.register(fd, select.EPOLLIN)
            while not self.is_ended:
                for fd, _ in poll.poll(0.1):
                    sockets[fd].recv(1 << 18)

    def close(self):
        self.is_ended = True
        self.thread.join()
        for one in self.sockets:
            one.close()


def steady_post(publisher, count, per_second):
    start = time.monotonic()
    for i in range(count):
        publisher.post()
        time.sleep(max(0, start + (i + 1) / per_second - time.monotonic()))


def measure_bus(plan):
    """CPU time a message, of Redis with more and more subscribers, of the server that publishes and of an
    edge that nobody is connected to. What they take when nothing is published is taken off."""
    PER_SECOND = 100
    results = {"per_second": PER_SECOND, "redis": {}}
    edges, fulls = [], []
    with Cluster() as c:
        first, edge = c.full(ONE_CORE), c.edge(ONE_CORE)
        publisher = Publisher(first)
        await_seq([first, edge], publisher.post())
        watched = {"redis": c.redis, "full": first, "edge": edge}
        idle = cpu_rates(watched, 2)
        results["idle_us_per_s"] = {name: rate * 1e6 for name, rate in idle.items()}
        for others in (0, 10, 50):
            subscribers = Subscribers(c.redis, others)
            await_that(lambda n=others + 2: redis_subscribers(c.redis) == n, "subscribers")
            steady_post(publisher, 20, PER_SECOND)
            costs = []
            for _ in range(plan.rounds):
                before, start = {n: cpu_ns(s.pid) for n, s in watched.items()}, time.monotonic()
                steady_post(publisher, plan.bus_messages, PER_SECOND)
                took = time.monotonic() - start
                costs.append({n: max(0, (cpu_ns(s.pid) - before[n]) / 1e3 - idle[n] * 1e6 * took) / plan.bus_messages
                              for n, s in watched.items()})
            info = redis_info(c.redis)
            results["redis"][str(others + 2)] = {
                "message_cpu_us": median(cost["redis"] for cost in costs),
                "used_bytes": info["used_memory"], "resident_bytes": info["used_memory_rss"]}
            edges += [cost["edge"] for cost in costs]
            fulls += [cost["full"] for cost in costs]
            subscribers.close()
    few, many = results["redis"]["2"], results["redis"]["52"]
    results["subscriber_cpu_us"] = (many["message_cpu_us"] - few["message_cpu_us"]) / 50
    results["subscriber_bytes"] = (many["used_bytes"] - few["used_bytes"]) / 50
    results["edge_cpu_us"], results["full_cpu_us"] = median(edges), median(fulls)
    return results


def cpu_rates(watched, seconds):
    """CPU seconds a second, of servers that are let alone."""
    before = {name: cpu_ns(server.pid) for name, server in watched.items()}
    time.sleep(seconds)
    return {name: (cpu_ns(server.pid) - before[name]) / 1e9 / seconds for name, server in watched.items()}


def measure_opening(plan):
    """What a client costs that comes (connect, first snapshot) or comes back (connect, one delta), and
    what a delta to many costs. The second half of the clients tells; consecutive snapshots of a market."""
    since = {**SUBSCRIBE, "mode": "delta", "format": "columns"}
    runs = {}
    with Cluster() as c:
        server = c.full(ONE_CORE)
        publisher = Publisher(server, "real")
        for _ in range(plan.rounds):
            known = publisher.post()
            publisher.post()
            ways = {
                "snapshot": since,
                "delta": {**since, "since": {"BENCH": known["seq"]}, "epoch": known["epoch"]},
            }
            for name, subscribe in ways.items():
                runs.setdefault(name, []).append(load(
                    OTHER_CORE, server, [server], [server.pid], plan.opening_clients, "real", subscribe,
                    broadcasts=plan.broadcasts if name == "delta" else 0, warmups=5 if name == "delta" else 0,
                    pause_ms=60))
    all_runs = runs["snapshot"] + runs["delta"]
    messages = [b for run in runs["delta"] for b in run["broadcasts"]]
    return {
        "clients": plan.opening_clients,
        "connect_cpu_us": median(run["connect_cpu_us"] for run in all_runs),
        "snapshot_cpu_us": median(run["subscribe_cpu_us"] for run in runs["snapshot"]),
        "resume_cpu_us": median(run["subscribe_cpu_us"] for run in runs["delta"]),
        "delta_cpu_us": median(b["cpu_us"] / b["done"] for b in messages),
        "delta_bytes": median(run["message_bytes"] for run in runs["delta"]),
        # Later runs also get what earlier ones left in the kernel's slabs.
        "kernel_bytes_both_ends": max(run["slab_per_client"] for run in all_runs),
    }


def measure_proxy(plan):
    """What nginx costs for TLS: it alone on one core, the server and the clients on the other."""
    with Cluster() as c:
        node = c.full(OTHER_CORE, shares=False)
        return proxied.measure(node, Publisher(node), ONE_CORE, plan.proxied_clients, plan.proxied_broadcasts, SUBSCRIBE)


def summary(times_us):
    ordered = sorted(times_us)
    return {"count": len(ordered), "p50_us": ordered[len(ordered) // 2], "p99_us": ordered[len(ordered) * 99 // 100],
            "max_us": ordered[-1]}


MEASURES = {"trip": measure_trip, "spread": measure_spread, "bus": measure_bus, "opening": measure_opening,
            "proxy": measure_proxy, "sizes": lambda plan: sizes.measure(plan.updates)}


# ---- the whole run ----


def read_arguments():
    parser = argparse.ArgumentParser(description="what several servers cost")
    parser.add_argument("--short", action="store_true", help="a minute, rough figures, only printed")
    parser.add_argument("--only", default="", help="of %s, with commas; only printed" % ", ".join(MEASURES))
    parser.add_argument("--out", type=Path, help="write the results here too")
    arguments = parser.parse_args()
    if not set(filter(None, arguments.only.split(","))) <= set(MEASURES):
        parser.error("--only: of " + ", ".join(MEASURES))
    return arguments


def main():
    arguments = read_arguments()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    if os.getloadavg()[0] > 0.5:
        print("bench: the machine is busy with something else: figures will be worse than they are", file=sys.stderr)
    results = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "short": arguments.short, "machine": machine(),
               "heatcast": first_line("git", "-C", ROOT, "describe", "--tags", "--always", "--dirty"),
               "redis": first_line("redis-cli", "--version").removeprefix("redis-cli ")}
    WORK.mkdir(parents=True, exist_ok=True)
    payloads.write_all(WORK, "made", payloads.made())
    with tempfile.TemporaryDirectory() as folder:
        origin, datas = payloads.real(BUILD / "heatcast", Path(folder), payloads.market_data_folder(ROOT))
    payloads.write_all(WORK, "real", datas)
    results["market"] = origin
    os.sched_setaffinity(0, OTHER_CORE)
    for name, measure in MEASURES.items():
        if arguments.only and name not in arguments.only.split(","):
            continue
        start = time.monotonic()
        results[name] = measure(Plan(arguments.short))
        print("bench: %s took %.0f s" % (name, time.monotonic() - start), file=sys.stderr, flush=True)
    text = tables(results)
    print(text)
    out = json.dumps(results, indent=1) + "\n"
    if arguments.out:
        arguments.out.write_text(out)
    if arguments.short or arguments.only:
        return
    (ROOT / "bench" / "results" / "cluster.json").write_text(out)
    subprocess.run([ROOT / "scripts/put-table", "cluster", "docs/benchmarks.md"], input=text, text=True, check=True)
    subprocess.run([ROOT / "bench/scaling.py", "--write"], stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    try:
        main()
    except Failed as trouble:
        sys.exit(f"bench: {trouble}")
    except KeyboardInterrupt:
        sys.exit("bench: stopped")
