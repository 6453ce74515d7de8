#!/usr/bin/python3
"""`make scaling`: how many machines one and ten million clients take, from what was measured.

    bench/scaling.py [--seed N] [--cores N] [--memory-gib N] [--gbit N] [--machine-price P] [--traffic-price P]
                     [--write | --check]

Reads bench/results/cluster.json (`make bench-cluster`) and the newest results of `make bench`, reckons, plays the
storms of bench/storm.py, and prints tables. --write puts them into docs/scaling.md, --check says whether they are
what stands there. Deterministic: the same results and seed give the same text.
"""

import argparse
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from report import memory_after, number, row, table
from storm import OPEN_TIMEOUT, Costs, Machine, Scene, Storm

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
DOCUMENT = ROOT / "docs" / "scaling.md"

# ---- assumptions: what was not measured ----

CLIENTS = (1_000_000, 10_000_000)
PLANNED_CLIENTS = 100_000  # of one machine at most, though the limits may allow more: what ends with it is not more
FULL_CLIENTS = 125_000  # of one machine: --ws-max-connections
SPARE = 10  # one machine more for each so many
SYMBOL_COUNTS = (3, 50, 300)
VERSIONS_KEPT = 300  # --ws-resume-versions
CPU_SHARE = 0.5  # of a machine's processors that ordinary work may take
NETWORK_SHARE = 0.5
MEMORY_SHARE = 0.7
LAST_CLIENT_S = 0.5
FILES_OF_PROCESS = 1_048_576  # fs.nr_open
PORTS_OF_ADDRESS = 28_232  # net.ipv4.ip_local_port_range: 32768 to 60999
NODE_ADDRESSES = 8  # that nginx reaches the server on its machine by: 127.0.0.1 to 127.0.0.8
BACKLOG_OF_CORE = 4096  # what the server asks for; nginx: `listen … backlog=4096 reuseport`
HANDSHAKE_BYTES = 3500  # to a client: certificates, TLS and the upgrade's answer
SEGMENT_BYTES, SEGMENT_HEADS = 1448, 66  # Ethernet, IPv4 and TCP with time stamps
RECORD_BYTES = 22  # TLS 1.3, RFC 8446 §5.2: head, type, tag
MONTH_S = 30 * 86400

SMALL = ("delta", "columns", "deflate")
FORMS = (("snapshot", "levels", "plain"), ("snapshot", "columns", "deflate"), ("delta", "columns", "plain"), SMALL)
INTERVALS = (1, 5)

SCENES = (
    (Scene("one machine's programs end", lost=1), "", CLIENTS),
    (Scene("the same, and the balancer sees it after 5 s", lost=1, notice_s=5), "", CLIENTS),
    (Scene("one machine falls silent", lost=1, is_silent=True, notice_s=5), "", CLIENTS),
    (Scene("every tenth machine ends", lost=10), "share", CLIENTS),
    (Scene("all connections are cut", lost=-1, outage_s=0), "", CLIENTS),
    (Scene("all are cut, nothing answers for 10 s", lost=-1, outage_s=10), "", CLIENTS),
    (Scene("all machines start anew, 30 s", lost=-1, outage_s=30, forgets=True), "", CLIENTS),
    (Scene("the leading full node ends", leader_dies=True), "", CLIENTS),
    (Scene("rolling restart, a tenth at a time, 10 s each", lost=10, drain_s=10, notice_s=5), "share", CLIENTS),
    (Scene("the same, 60 s each", lost=10, drain_s=60, notice_s=5), "share", CLIENTS),
    (Scene("the same, 10 s, the balancer goes by chance", lost=10, drain_s=10, notice_s=5, is_by_chance=True),
     "share", CLIENTS[:1]),
)


# ---- what was measured ----


@dataclass(frozen=True)
class Figures:
    """Processor time in microseconds, sizes in bytes."""

    origin: str
    connect_us: float  # the server's part
    snapshot_us: float
    resume_us: float
    message_us: float
    client_bytes: float
    kernel_bytes: float  # of one end of a connection
    proxy_connect_us: float  # nginx's part
    proxy_client_bytes: float
    proxy_points: tuple  # (bytes, microseconds) of two messages
    redis_us: float  # a message, for the first two subscribers
    redis_subscriber_us: float
    edge_us: float  # a version, without clients
    sizes: dict  # interval: "mode format packing": bytes

    @classmethod
    def read(cls, folder=RESULTS):
        cluster = json.loads((folder / "cluster.json").read_text())
        bench = json.loads(max(folder.glob("20*.json")).read_text())
        clients = [memory_after(run) for run in bench["runs"]
                   if (run["scenario"], run["contender"]) == ("10000", "heatcast-deflate") and "error" not in run]
        opening, proxy, bus = cluster["opening"], cluster["proxy"], cluster["bus"]
        origin = f"`make bench-cluster` of {cluster['date']}, `make bench` of {bench['date']}: {cluster['machine']['cpu']}"
        return cls(
            origin=origin + (". **A short run: rough figures.**" if cluster["short"] else "."),
            connect_us=opening["connect_cpu_us"], snapshot_us=opening["snapshot_cpu_us"],
            resume_us=opening["resume_cpu_us"], message_us=opening["delta_cpu_us"], client_bytes=median(clients),
            kernel_bytes=opening["kernel_bytes_both_ends"] / 2,
            proxy_connect_us=median(proxy[form]["connect_cpu_us"] for form in ("plain", "deflated")),
            proxy_client_bytes=max(proxy[form]["client_bytes"] for form in ("plain", "deflated")),
            proxy_points=tuple((proxy[form]["message_bytes"], proxy[form]["message_cpu_us"])
                               for form in ("deflated", "plain")),
            redis_us=bus["redis"]["2"]["message_cpu_us"], redis_subscriber_us=bus["subscriber_cpu_us"],
            edge_us=bus["edge_cpu_us"],
            sizes={int(seconds): sizes for seconds, sizes in cluster["sizes"].items()})

    def proxy_message_us(self, size):
        """On the line through both messages; a shorter one than the shorter takes no less than half of that."""
        (small, low), (large, high) = self.proxy_points
        return max(low + (size - small) * (high - low) / (large - small), low / 2)

    def size(self, form, interval_s):
        return self.sizes[interval_s][" ".join(form)]

    def machine_client_bytes(self):
        """Three ends of connections: the client's with nginx, and both of nginx with the server."""
        return self.client_bytes + self.proxy_client_bytes + 3 * self.kernel_bytes

    def machine_message_us(self, form, interval_s):
        return self.message_us + self.proxy_message_us(self.size(form, interval_s))

    def costs(self, form, interval_s):
        """On a machine with nginx and a server."""
        whole = ("snapshot", *form[1:])
        relay_us = self.proxy_message_us(self.size(form, interval_s))
        return Costs(
            connect_us=self.connect_us + self.proxy_connect_us, resume_us=self.resume_us + relay_us,
            snapshot_us=self.snapshot_us + self.proxy_message_us(self.size(whole, interval_s)),
            message_us=self.message_us + relay_us, connect_bytes=on_the_wire(HANDSHAKE_BYTES),
            resume_bytes=on_the_wire(self.size(form, interval_s)),
            snapshot_bytes=on_the_wire(self.size(whole, interval_s)),
            message_bytes=on_the_wire(self.size(form, interval_s)))


def on_the_wire(size):
    """A message of so many bytes, frame included, with TLS, TCP, IP and Ethernet around it."""
    size += RECORD_BYTES
    return size + SEGMENT_HEADS * math.ceil(size / SEGMENT_BYTES)


# ---- what follows from it ----


@dataclass(frozen=True)
class Hardware:
    """Of one machine, as the plan assumes it."""

    cores: int = 8
    memory_gib: float = 32
    gbit: float = 10

    def limits(self, figures, form, interval_s):
        """What it holds by each measure: {measure: clients}."""
        costs = figures.costs(form, interval_s)
        return {
            "memory": self.memory_gib * 2**30 * MEMORY_SHARE / figures.machine_client_bytes(),
            "processors": self.cores * 1e6 * CPU_SHARE * interval_s / costs.message_us,
            "last client": self.cores * 1e6 * LAST_CLIENT_S / costs.message_us,
            "coming back": self.cores * 1e6 * OPEN_TIMEOUT / (costs.connect_us + costs.resume_us),
            "network": self.gbit * 1e9 / 8 * NETWORK_SHARE * interval_s / costs.message_bytes,
            "ports": PORTS_OF_ADDRESS * NODE_ADDRESSES,
            "files": FILES_OF_PROCESS / 2,
        }

    def holds(self, figures, form, interval_s):
        """(clients that are planned for, the measure that decides)."""
        name, least = min(self.limits(figures, form, interval_s).items(), key=lambda item: item[1])
        if least >= PLANNED_CLIENTS:
            return PLANNED_CLIENTS, "plan"
        return int(least / 1000) * 1000, name

    def count_for(self, clients, figures, form, interval_s):
        needed = math.ceil(clients / self.holds(figures, form, interval_s)[0])
        return needed + math.ceil(needed / SPARE)

    def machine(self):
        return Machine(cores=self.cores, bytes_per_s=self.gbit * 1e9 / 8, clients_max=FULL_CLIENTS,
                       backlog=BACKLOG_OF_CORE * self.cores)


def play(scene, scale, clients, figures, hardware, seed):
    """One storm, with the shortest messages, every second."""
    machines = hardware.count_for(clients, figures, SMALL, 1)
    lost = max(machines // scene.lost, 1) if scale == "share" else scene.lost
    scene = Scene(**{**vars(scene), "lost": lost})
    return Storm(scene, clients, machines, hardware.machine(), figures.costs(SMALL, 1), 1, VERSIONS_KEPT, seed).run()


# ---- tables ----

FORM_LABELS = {("snapshot", "levels", "plain"): "snapshot, levels", ("snapshot", "columns", "deflate"):
               "snapshot, columns, deflated", ("delta", "columns", "plain"): "delta, columns",
               SMALL: "delta, columns, deflated"}


def whole(value):
    return f"{round(value):,}".replace(",", " ")


def inputs_table(figures, hardware):
    costs = figures.costs(SMALL, 1)
    f = figures
    rows = [
        row("a connection and its handshakes, µs of CPU", number(f.connect_us), number(f.proxy_connect_us),
            number(costs.connect_us)),
        row("coming back: subscribing, and a delta, µs", number(f.resume_us),
            number(costs.resume_us - f.resume_us), number(costs.resume_us)),
        row("coming: subscribing, and a snapshot, µs", number(f.snapshot_us),
            number(costs.snapshot_us - f.snapshot_us), number(costs.snapshot_us)),
        row("a message to one of many, µs", number(f.message_us), number(costs.message_us - f.message_us),
            number(costs.message_us)),
        row("memory of a client, bytes", whole(f.client_bytes), whole(f.proxy_client_bytes),
            whole(f.client_bytes + f.proxy_client_bytes)),
        row("kernel memory of it, bytes", whole(f.kernel_bytes), whole(2 * f.kernel_bytes), whole(3 * f.kernel_bytes)),
    ]
    return figures.origin + "\n\n" + table(["", "heatcast", "nginx with TLS", "a machine"], rows)


def sizes_table(figures, hardware):
    rows = [row(FORM_LABELS[form], *[cell for seconds in INTERVALS for cell in (
        whole(figures.size(form, seconds)), whole(on_the_wire(figures.size(form, seconds))),
        whole(on_the_wire(figures.size(form, seconds)) / seconds))]) for form in FORMS]
    return table(["one symbol, mean bytes", *[head for seconds in INTERVALS for head in (
        f"every {seconds} s", "on the wire", "a second")]], rows)


LIMIT_LABELS = {
    "memory": "{memory:.0f} % of {gib:g} GiB",
    "processors": "{cpu:.0f} % of {cores} cores for messages",
    "last client": "last client {last:g} s after a version",
    "coming back": "all its clients back within {open} s of CPU time",
    "network": "{network:.0f} % of {gbit:g} Gbit/s",
    "ports": "{addresses} loopback addresses × {ports} ports",
    "files": "{files} files of nginx, two a client",
}


def node_table(figures, hardware):
    words = {"memory": MEMORY_SHARE * 100, "gib": hardware.memory_gib, "cpu": CPU_SHARE * 100, "cores": hardware.cores,
             "last": LAST_CLIENT_S, "open": OPEN_TIMEOUT, "network": NETWORK_SHARE * 100, "gbit": hardware.gbit,
             "addresses": NODE_ADDRESSES, "ports": whole(PORTS_OF_ADDRESS), "files": whole(FILES_OF_PROCESS)}
    columns = [(SMALL, 1), (SMALL, 5), (FORMS[0], 1), (FORMS[0], 5)]
    limits = [hardware.limits(figures, *column) for column in columns]
    rows = [row(label.format(**words), *[whole(of[name] // 1000 * 1000) for of in limits])
            for name, label in LIMIT_LABELS.items()]
    return table(["clients that one machine holds by", *[f"{FORM_LABELS[form]}, {seconds} s" for form, seconds in columns]],
                 rows)


def redis_table(figures, hardware):
    rows = []
    for clients in CLIENTS:
        servers = hardware.count_for(clients, figures, SMALL, 1) + 2
        one_us = figures.redis_us + (servers - 2) * figures.redis_subscriber_us
        for symbols in SYMBOL_COUNTS:
            rows.append(row(f"{whole(clients)} clients, {servers} servers, {symbols} symbols", whole(symbols),
                            whole(symbols * servers), number(symbols * one_us / 1e4, 1) + " %",
                            number(symbols * servers * figures.size(FORMS[0], 1) * 8 / 1e9, 2),
                            number(symbols * figures.edge_us / 1e4, 1) + " %"))
    return table(["a version of each every second", "published a second", "delivered a second", "CPU of Redis, one core",
                  "Gbit/s out of Redis", "CPU of an edge for it, one core"], rows)


def plan_table(figures, hardware):
    rows = []
    for clients in CLIENTS:
        for form in FORMS:
            for seconds in INTERVALS:
                each, why = hardware.holds(figures, form, seconds)
                count = hardware.count_for(clients, figures, form, seconds)
                costs = figures.costs(form, seconds)
                rows.append(row(
                    f"{whole(clients)}: {FORM_LABELS[form]}, {seconds} s", f"{whole(each)} ({why})", count,
                    whole(clients * figures.machine_client_bytes() / 2**30),
                    number(clients * costs.message_bytes / seconds * 8 / 1e9, 1),
                    number(clients * costs.message_us / 1e6 / seconds, 0),
                    number(clients * costs.message_us / count / hardware.cores / 1e6)))
    return table(["clients", "a machine's (decided by)", "machines", "memory of all, GiB", "Gbit/s of all",
                  "cores busy of all", "last client, s"], rows)


def storm_table(figures, hardware, seed):
    rows = []
    for scene, scale, sizes in SCENES:
        for clients in sizes:
            a = play(scene, scale, clients, figures, hardware, seed)
            rows.append(row(
                f"{clients // 10**6} M: {scene.name}", whole(a.displaced),
                *["–" if a.away_s(share) is None else number(a.away_s(share), 1) for share in (0.5, 0.99, 1)],
                whole(a.peak_connects_per_s_all), whole(a.peak_connects_per_s), f"{a.peak_cpu * 100:.0f} %",
                number(a.peak_bytes_per_s * 8 / 1e9), number(a.peak_bytes_per_s_all * 8 / 1e9, 1),
                whole(a.snapshots + a.broadcast_snapshots), whole(a.failed_attempts), whole(a.polling)))
    return table(["what happens", "lost their machine", "half back, s", "99 %, s", "all, s", "connects a second: all",
                  "one machine", "its CPU", "its Gbit/s", "Gbit/s of all", "snapshots instead of deltas",
                  "failed attempts", "polled meanwhile"], rows)


def cost_table(figures, hardware, machine_price, traffic_price):
    rows = []
    for clients in CLIENTS:
        for form, seconds in ((FORMS[0], 1), (SMALL, 1), (SMALL, 5)):
            count = hardware.count_for(clients, figures, form, seconds) + 3
            terabytes = clients * figures.costs(form, seconds).message_bytes / seconds * MONTH_S / 1e12
            machines, traffic = count * machine_price, terabytes * traffic_price
            rows.append(row(f"{whole(clients)}: {FORM_LABELS[form]}, {seconds} s", count, whole(machines),
                            whole(terabytes), whole(traffic), whole(machines + traffic),
                            number((machines + traffic) / clients * 1000)))
    return table([f"at {machine_price:g} a machine, {traffic_price:g} a TB; a month", "machines", "money for them", "TB",
                  "money for them", "together", "for 1000 clients"], rows)


def all_tables(figures, hardware, seed, machine_price, traffic_price):
    """{the name of its marks in docs/scaling.md: text}"""
    return {
        "scaling-inputs": inputs_table(figures, hardware),
        "scaling-sizes": sizes_table(figures, hardware),
        "scaling-node": node_table(figures, hardware),
        "scaling-redis": redis_table(figures, hardware),
        "scaling-plan": plan_table(figures, hardware),
        "scaling-storm": storm_table(figures, hardware, seed),
        "scaling-cost": cost_table(figures, hardware, machine_price, traffic_price),
    }


# ---- the document ----


def between_marks(document, name):
    lines = document.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(f"<!-- {name}: made by "))
    return "\n".join(lines[begin + 1 : lines.index(f"<!-- {name} end -->")])


def read_arguments(words):
    parser = argparse.ArgumentParser(description="machines for one and ten million clients")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cores", type=int, default=Hardware.cores)
    parser.add_argument("--memory-gib", type=float, default=Hardware.memory_gib)
    parser.add_argument("--gbit", type=float, default=Hardware.gbit)
    parser.add_argument("--machine-price", type=float, default=250, help="of one, a month")
    parser.add_argument("--traffic-price", type=float, default=5, help="of a terabyte that goes out")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    what.add_argument("--check", action="store_true", help="are they what stands there?")
    return parser.parse_args(words)


def main(words):
    arguments = read_arguments(words)
    hardware = Hardware(arguments.cores, arguments.memory_gib, arguments.gbit)
    tables = all_tables(Figures.read(), hardware, arguments.seed, arguments.machine_price, arguments.traffic_price)
    if arguments.check:
        document = DOCUMENT.read_text()
        stale = [name for name, text in tables.items() if between_marks(document, name) != text]
        if stale:
            sys.exit(f"scaling: docs/scaling.md has old tables ({', '.join(stale)}): run make scaling")
        return
    print("\n\n".join(tables.values()))
    if arguments.write:
        for name, text in tables.items():
            subprocess.run([ROOT / "scripts/put-table", name, DOCUMENT], input=text + "\n", text=True, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
