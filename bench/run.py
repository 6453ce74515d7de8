#!/usr/bin/python3
"""`make bench`: heatcast beside other servers, on loopback of one machine.

    bench/run.py [--quick] [--only bare,heatcast] [--resume]

Each run starts one contender on core 0, bench/load on core 1, and lets it open its clients and
broadcast to them. Rounds are interleaved, A B C A B C, and what is compared is ratios within a round.
A contender that fails is reported as such. Every result is kept in build/bench/runs.jsonl at once:
--resume goes on where a stopped run was. A whole run ends as bench/results/DATE.json, the tables in
docs/benchmarks.md and the plot docs/benchmarks.svg; the others are only printed.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import payloads
import report
from contenders import BUILD, NGINX, ROOT, Failed, Server, contenders, prepare_child
from plot import plot

WORK = ROOT / "build" / "bench"
GENERATOR_CORE = 1
SLOW = {"ws-deflate", "original", "original-uvloop", "original-deflate"}
PLAIN = ["bare", "heatcast", "uws", "nchan", "ws", "original"]
DEFLATED = [name + "-deflate" for name in PLAIN]
ONE_SHARD = ["bare", "bare-uring", *PLAIN[1:], *DEFLATED]


# A young connection acknowledges its first 16 segments at once (TCP_MAX_QUICKACKS), at the server's
# cost; one that has lived for a while does not, and compilers at run time are warm then too.
WARMUPS = 20

# Longer than the 40 ms for which Linux holds back an acknowledgement. Without it a client that once
# said something itself (a subscription) acknowledges every second message at once and the others not
# at all: a fifth more or less of the server's CPU time, which is the clients' doing.
PAUSE_MS = 60


class Scenario:
    """So many clients of each of `names`, so often. Slow contenders broadcast less."""

    def __init__(self, name, names, clients, rounds, broadcasts, payload="made", stalled=0, warmups=WARMUPS, **more):
        self.name, self.names, self.clients, self.rounds = name, names, clients, rounds
        self.broadcasts, self.payload, self.stalled, self.warmups = broadcasts, payload, stalled, warmups
        self.slow = {"rounds": rounds, "broadcasts": broadcasts, "warmups": warmups, **more.pop("slow", {})}
        self.more = more  # of bench/load's arguments

    def count(self, what, name):
        return self.slow[what] if name in SLOW else getattr(self, what)


def scenarios(quick):
    """The reader's order. Who is stalled never reads: 400 snapshots are more than the kernel's send
    buffer holds (4 MB), so that all that a server keeps is kept."""
    two = ["bare", "heatcast", "heatcast-2"]
    others = [name for name in PLAIN if name != "original"]
    with_uvloop = [*ONE_SHARD, "original-uvloop"]
    once = {"rounds": 1, "broadcasts": 2, "warmups": 2}
    fast = [name for name in ONE_SHARD if name not in SLOW]
    if quick:
        return [
            Scenario("1000", ONE_SHARD, 1000, 2, 5, slow=once),
            Scenario("10000", [*fast, "original"], 10000, 1, 3, warmups=5, slow=once),
            Scenario("real", fast, 1000, 1, 5, payload="real"),
            Scenario("two-1000", two, 1000, 2, 5, late_ms=30),
            Scenario("two-10000", two, 10000, 1, 3, warmups=5, late_ms=200),
            Scenario("stalled", others, 200, 1, 400, stalled=20),
            Scenario("few-stalled", ["heatcast"], 1000, 2, 20, stalled=50),
            Scenario("none-stalled", ["heatcast"], 950, 2, 20),
            Scenario("19000", ["bare", "heatcast"], 19000, 1, 1, warmups=1),
        ]
    return [
        Scenario("1000", with_uvloop, 1000, 5, 20, slow={"rounds": 2, "broadcasts": 10}),
        Scenario("10000", ONE_SHARD, 10000, 4, 8, slow={"rounds": 2, "broadcasts": 3, "warmups": 2}),
        Scenario("real", PLAIN + DEFLATED, 1000, 3, 10, payload="real", slow={"broadcasts": 5, "warmups": 5}),
        Scenario("two-1000", two, 1000, 5, 10, late_ms=30),
        Scenario("two-10000", two, 10000, 3, 5, late_ms=200),
        Scenario("stalled", others, 1000, 1, 400, stalled=100),
        Scenario("stalled", ["original"], 1000, 1, 400, stalled=20, timeout=60, limit=150),
        Scenario("few-stalled", ["heatcast"], 1000, 5, 30, stalled=50),
        Scenario("none-stalled", ["heatcast"], 950, 5, 30),
        Scenario("19000", ["bare", "heatcast"], 19000, 2, 3),
    ]


def steps(all_scenarios, names):
    """(scenario, contender's name, round), interleaved. Scenarios to compare with each other take turns."""
    groups = {}
    for scenario in all_scenarios:
        group = "stalled-or-not" if scenario.name in ("few-stalled", "none-stalled") else scenario.name
        groups.setdefault(group, []).append(scenario)
    for group in groups.values():
        for turn in range(max(scenario.rounds for scenario in group)):
            for scenario in group:
                for name in scenario.names:
                    if name in names and turn < scenario.count("rounds", name):
                        yield scenario, name, turn


class Journal:
    """Results as they come, one line of JSON each."""

    def __init__(self, path, resume):
        self.path, self.runs = path, {}
        if resume and path.exists():
            for line in path.read_text().splitlines():
                run = json.loads(line)
                if "error" not in run:
                    self.runs[self.key(run)] = run
        path.write_text("".join(json.dumps(run) + "\n" for run in self.runs.values()))

    @staticmethod
    def key(run):
        return run["scenario"], run["contender"], run["round"], run.get("clients"), run.get("stalled")

    def has(self, scenario, name, turn):
        return (scenario.name, name, turn, scenario.clients, scenario.stalled) in self.runs

    def add(self, run):
        self.runs[self.key(run)] = run
        with open(self.path, "a") as file:
            file.write(json.dumps(run) + "\n")


def load_command(contender, scenario, server):
    command = [
        BUILD / "bench/load", "--port", server.port, "--pid", server.pid, "--clients", scenario.clients,
        "--stalled", scenario.stalled, "--broadcasts", scenario.count("broadcasts", contender.name),
        "--warmups", scenario.count("warmups", contender.name), "--deflate", int(contender.deflate),
        "--pause-ms", 0 if scenario.stalled else PAUSE_MS, "--message-min", contender.message_min, "--payloads", WORK / f"{scenario.payload}.{contender.payload}",
        *contender.client,
    ]
    for key, value in scenario.more.items():
        command += ["--" + key.replace("_", "-"), value]
    return [str(word) for word in command]


def run_once(contender, scenario):
    """One start, one load; the load's results or an error's text."""
    folder = Path(tempfile.mkdtemp(prefix="heatcast-bench-"))
    try:
        with Server(contender, folder) as server:
            load = subprocess.Popen(
                load_command(contender, scenario, server), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, preexec_fn=lambda: prepare_child({GENERATOR_CORE}))
            try:
                out, errors = load.communicate(timeout=300)
            finally:
                load.kill()
                load.wait()
            if load.returncode != 0 or not out:
                raise Failed((errors.strip().splitlines() or ["no result"])[-1])
            return json.loads(out)
    except (Failed, subprocess.TimeoutExpired) as trouble:
        return {"error": str(trouble)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start_times(count):
    """From exec to listening, and to the first snapshot, of a server with a simulated market (which
    begins by writing a week of history); milliseconds."""
    times = []
    for _ in range(count):
        folder = Path(tempfile.mkdtemp(prefix="heatcast-bench-"))
        contender = next(c for c in contenders() if c.name == "heatcast")
        contender.command = lambda folder, port: [
            BUILD / "heatcast", "serve", "--db", folder / "sim.duckdb", "--feed", "sim",
            "--listen", "127.0.0.1:0", "--log-level", "error"]
        start = time.monotonic()
        with Server(contender, folder) as server:
            listening = time.monotonic() - start
            while time.monotonic() - start < 20:
                if has_snapshot(server.port):
                    break
                time.sleep(0.001)
            times.append((listening * 1000, (time.monotonic() - start) * 1000))
        shutil.rmtree(folder, ignore_errors=True)
    return times


def has_snapshot(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/heatmap/latest?symbol=BTCUSDT") as answer:
            return answer.status == 200
    except OSError:
        return False


def first_line(*command):
    try:
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
    except OSError:
        return ""
    return (done.stdout.strip().splitlines() or [""])[0]


def python_version(module):
    code = "import importlib.metadata as m; print(m.version(%r))" % module
    return first_line("/usr/bin/python3", "-c", code)


def nchan_version():
    try:
        done = subprocess.run(["zcat", NGINX / "usr/share/doc/libnginx-mod-nchan/changelog.Debian.gz"],
                              stdout=subprocess.PIPE, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return re.search(r"\((?:\d+:)?([^)+]+)", done.stdout)[1]


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    system = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())
    return {
        "cpu": cpu[1] if cpu else os.uname().machine,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": os.uname().release,
        "system": system[1] if system else "",
        "tcp_wmem": Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split(),
        "load_before": os.getloadavg()[0],
    }


def versions():
    ws = ROOT / "tests/node_modules/ws/package.json"
    uws = re.search(r'uws_part="uwebsockets (\S+)', (ROOT / "scripts/setup").read_text())
    return {
        "heatcast": first_line("git", "-C", ROOT, "describe", "--tags", "--always", "--dirty"),
        "node": first_line("node", "--version"),
        "uwebsockets": uws[1] if uws else "",
        "ws": json.loads(ws.read_text())["version"] if ws.exists() else "",
        "nginx": first_line(NGINX / "usr/sbin/nginx", "-v").rpartition("/")[2],
        "nchan": nchan_version(),
        "python": first_line("/usr/bin/python3", "--version").removeprefix("Python "),
        **{module: python_version(module) for module in ("fastapi", "uvicorn", "websockets", "uvloop")},
    }


def read_arguments():
    parser = argparse.ArgumentParser(description="heatcast beside other servers")
    parser.add_argument("--quick", action="store_true", help="two or three minutes, rough figures")
    parser.add_argument("--only", default="", help="families or names of contenders, with commas")
    parser.add_argument("--resume", action="store_true", help="keep what a stopped run has measured")
    return parser.parse_args()


def chosen(only):
    known = contenders()
    words = set(filter(None, only.split(",")))
    unknown = words - {c.name for c in known} - {c.family for c in known}
    if unknown:
        sys.exit("bench: no such contender: " + ", ".join(sorted(unknown)))
    return {c.name: c for c in known if not words or c.name in words or c.family in words}


def make_payloads(results):
    WORK.mkdir(parents=True, exist_ok=True)
    results["payload_bytes"] = dict(zip(("message", "deflated"), payloads.write_all(WORK, "made", payloads.made())))
    with tempfile.TemporaryDirectory() as folder:
        origin, datas = payloads.real(BUILD / "heatcast", Path(folder), payloads.market_data_folder(ROOT))
    sizes = payloads.write_all(WORK, "real", datas)
    results["real_payload"] = {"origin": origin, "message": sizes[0], "deflated": sizes[1]}


def measure(arguments, results):
    known = chosen(arguments.only)
    journal = Journal(WORK / ("quick.jsonl" if arguments.quick else "runs.jsonl"), arguments.resume)
    plan = list(steps(scenarios(arguments.quick), known))
    for at, (scenario, name, turn) in enumerate(plan):
        if journal.has(scenario, name, turn):
            continue
        start = time.monotonic()
        run = {"scenario": scenario.name, "contender": name, "round": turn, "stalled": scenario.stalled,
               "clients": scenario.clients, **run_once(known[name], scenario)}
        journal.add(run)
        print("bench: %d/%d %s, %s, round %d: %s (%.1f s)" % (
            at + 1, len(plan), scenario.name, name, turn + 1, report.brief(run), time.monotonic() - start),
            file=sys.stderr, flush=True)
    results["runs"] = list(journal.runs.values())


def condensed(results):
    """What is kept of a whole run: a line for each start of a server, its broadcasts as their medians."""
    lines = []
    for run in results["runs"]:
        short = {key: value for key, value in run.items() if key != "broadcasts"}
        for key in report.FIGURES:
            short[key] = report.worth(run, key)
        lines.append(json.dumps(short))
    rest = json.dumps({key: value for key, value in results.items() if key != "runs"}, indent=1)
    return rest.removesuffix("\n}") + ',\n "runs": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


def main():
    arguments = read_arguments()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    if os.cpu_count() < 2:
        sys.exit("bench: needs two cores, one for the server and one for its clients")
    if os.getloadavg()[0] > 0.5:
        print("bench: the machine is busy with something else: figures will be worse than they are", file=sys.stderr)
    results = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine(), "versions": versions()}
    make_payloads(results)
    measure(arguments, results)
    if not arguments.only or "heatcast" in arguments.only:
        results["start_ms"] = start_times(3)
    names = [(c.name, c.family, c.label, c.deflate) for c in contenders()]
    text = report.tables(results, names)
    print(text)
    if arguments.quick or arguments.only:
        return
    folder = ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{results['date']}.json").write_text(condensed(results))
    report.insert(ROOT / "docs" / "benchmarks.md", text)
    (ROOT / "docs" / "benchmarks.svg").write_text(plot(results, names))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("bench: stopped; make bench RESUME=1 goes on")
