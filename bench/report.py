"""What `make bench` measured, as tables in Markdown."""

import re
from statistics import median

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


# ---- figures ----

FIGURES = ("message_cpu_us", "first_us", "median_us", "p99_us", "last_us")


def worth(run, key):
    """A run's median of one figure over its broadcasts; None where it has none."""
    if "error" in run or not run["broadcasts"]:
        return None
    reached = [b for b in run["broadcasts"] if b["done"]]
    values = [b["cpu_us"] / b["done"] if key == "message_cpu_us" else b[key] for b in reached]
    return median(values) if values else None


class Results:
    def __init__(self, results):
        self.runs = {}
        for run in results["runs"]:
            self.runs.setdefault((run["scenario"], run["contender"]), {})[run["round"]] = run

    def of(self, scenario, name):
        """Its good runs, by round."""
        runs = self.runs.get((scenario, name), {})
        return {turn: run for turn, run in runs.items() if "error" not in run}

    def error(self, scenario, name):
        for run in self.runs.get((scenario, name), {}).values():
            if "error" in run:
                return run["error"]
        return None

    def each(self, scenario, name, look):
        return [value for value in map(look, self.of(scenario, name).values()) if value is not None]

    def value(self, scenario, name, look):
        values = self.each(scenario, name, look)
        return median(values) if values else None

    def ratio(self, scenario, name, base, look, base_scenario=None):
        """The median, over the rounds that both have, of the ratio in one round."""
        ours, theirs = self.of(scenario, name), self.of(base_scenario or scenario, base)
        pairs = [(look(ours[turn]), look(theirs[turn])) for turn in ours.keys() & theirs.keys()]
        ratios = [a / b for a, b in pairs if a is not None and b]
        return median(ratios) if ratios else None


def figure(key):
    return lambda run: worth(run, key)


def field(key):
    return lambda run: run.get(key)


def stall(key):
    return lambda run: run.get("stall", {}).get(key)


def worst_last(run):
    lasts = [b["last_us"] for b in run["broadcasts"] if b["done"]]
    return max(lasts) if lasts else None


def stalled_growth(run):
    """Per stalled client. A process that gave memory back meanwhile, as after its start, has grown by none."""
    return max(0, run["stall"]["process_bytes"])


def memory_after(run):
    """Per client, once it has been sent to; the rest of the server's growth is in it too."""
    return run["memory_growth"] / run["clients"]


CPU, LAST = figure("message_cpu_us"), figure("last_us")


def complete(run):
    """Every client that reads had every broadcast, and none was lost or could not connect."""
    readers = run["clients"] - run["stalled"]
    is_lossless = not run["closed"] and not run["connect_failed"]
    return is_lossless and all(b["done"] == readers for b in run["broadcasts"])


# ---- text ----

def number(value, digits=2):
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.{0 if value >= 100 else digits}f}"


def times(value):
    return "–" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def ms(value_us):
    return number(None if value_us is None else value_us / 1000)


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(head, rows):
    return "\n".join([row(*head), row(*["---"] + ["--:"] * (len(head) - 1)), *rows])


def brief(run):
    if "error" in run:
        return run["error"]
    text = "%s us CPU a message, last after %s ms" % (number(CPU(run)), ms(LAST(run)))
    return text if complete(run) else text + ", NOT COMPLETE"


# ---- tables ----

# Of a broadcast: (head, its text). Ratios are to `base` in the same round.
COLUMNS = [
    ("CPU a message, µs", lambda r, of, base: number(r.value(*of, CPU))),
    ("× bare", lambda r, of, base: times(r.ratio(*of, base, CPU))),
    ("median client, ms", lambda r, of, base: ms(r.value(*of, figure("median_us")))),
    ("p99, ms", lambda r, of, base: ms(r.value(*of, figure("p99_us")))),
    ("last client, ms", lambda r, of, base: ms(r.value(*of, LAST))),
    ("× bare", lambda r, of, base: times(r.ratio(*of, base, LAST))),
    ("on the wire, B", lambda r, of, base: number(r.value(*of, field("message_bytes")), 0)),
    ("CPU a connect, µs", lambda r, of, base: number(r.value(*of, field("connect_cpu_us")), 1)),
]
# Only with many clients is a client's share more than the noise of the rest.
MEMORY_COLUMNS = [
    ("memory a client, idle, B", lambda r, of, base: number(r.value(*of, field("memory_per_client")), 0)),
    ("after broadcasts, B", lambda r, of, base: number(r.value(*of, memory_after), 0)),
]


def broadcast_row(r, scenario, name, label, base, columns):
    runs = r.of(scenario, name)
    if not runs:
        return row(label, f"could not be measured: {r.error(scenario, name)}", *[""] * (len(columns) - 1))
    lost = "" if all(map(complete, runs.values())) else " (incomplete)"
    return row(label + lost, *[text(r, (scenario, name), base) for _, text in columns])


def broadcast_table(r, scenario, names):
    columns = COLUMNS + (MEMORY_COLUMNS if scenario in ("10000", "19000") else [])
    rows = {False: [], True: []}
    for name, _, label, is_deflate in names:
        if (scenario, name) in r.runs:
            base = "bare-deflate" if is_deflate else "bare"
            rows[is_deflate].append(broadcast_row(r, scenario, name, label, base, columns))
    if rows[True]:
        rows[True].insert(0, row("**permessage-deflate**", *[""] * len(columns)))
    return table(["", *[head for head, _ in columns]], rows[False] + rows[True]) if any(rows.values()) else ""


def two_table(r, names):
    head = ["", "last of 1000, ms", "× bare", "last of 10 000, ms", "× bare"]
    rows = []
    for name, _, label, _ in names:
        if not r.of("two-1000", name):
            continue
        cells = []
        for scenario in ("two-1000", "two-10000"):
            cells += [ms(r.value(scenario, name, LAST)), times(r.ratio(scenario, name, "bare", LAST))]
        rows.append(row(label, *cells))
    return table(head, rows) if rows else ""


STALLED_COLUMNS = [
    ("last of the others, ms", lambda value, one: ms(value(LAST))),
    ("worst broadcast, ms", lambda value, one: ms(value(worst_last))),
    ("stale before the newest", lambda value, one: number(value(stall("stale_max")), 0)),
    ("newest arrived", lambda value, one: "yes" if value(stall("newest")) == one["stalled"] else "no"),
    ("kernel memory a stalled client, KB", lambda value, one: number(value(stall("kernel_bytes")) / 1000, 1)),
    ("process memory, KB", lambda value, one: number(value(stalled_growth) / 1000, 1)),
    ("still connected", lambda value, one: number(value(stall("alive")), 0)),
]


def stalled_row(r, name, label):
    runs = r.of("stalled", name)
    if not runs:
        return row(label, f"could not be measured: {r.error('stalled', name)}", *[""] * len(STALLED_COLUMNS))
    one = next(iter(runs.values()))
    cells = [text(lambda look: r.value("stalled", name, look), one) for _, text in STALLED_COLUMNS]
    return row(label, f"{one['stalled']} of {one['clients']}", *cells)


def stalled_table(r, names):
    rows = [stalled_row(r, name, label) for name, _, label, _ in names if ("stalled", name) in r.runs]
    return table(["", "stalled", *[head for head, _ in STALLED_COLUMNS]], rows) if rows else ""


def goals(r):
    """(what, wanted as text, limit, is it at most, measured)"""
    both = [("1000", "1000 clients"), ("10000", "10 000 clients")]
    for scenario, what in both:
        yield f"CPU a message × bare loop, {what}", 1.03, True, r.ratio(scenario, "heatcast", "bare", CPU)
    for scenario, what in both:
        yield f"last client × bare loop, {what}", 1.05, True, r.ratio(scenario, "heatcast", "bare", LAST)
    for scenario, what in both:
        yield (f"last client with two shards on two cores × bare loop, {what}", 0.6, True,
               r.ratio("two-" + scenario, "heatcast-2", "bare", LAST))
    for scenario, what in both:
        yield (f"with deflate: CPU a message × bare loop of the deflated frame, {what}", 1.05, True,
               r.ratio(scenario, "heatcast-deflate", "bare-deflate", CPU))
    yield ("memory of an idle subscribed client, bytes", 512, True,
           r.value("10000", "heatcast", field("memory_per_client")))
    plain, small = (r.value("10000", "heatcast" + kind, field("memory_per_client")) for kind in ("", "-deflate"))
    more = None if plain is None or small is None else max(0, round(small - plain))
    yield "the same with deflate, bytes more (pages tell no less than 4)", 4, True, more
    yield ("stale snapshots before the newest, on return", 5, True,
           r.value("stalled", "heatcast", stall("stale_max")))
    memory = r.value("stalled", "heatcast", lambda run: run["stall"]["kernel_bytes"] + stalled_growth(run))
    yield "memory a stalled client, kernel and process, KB", 64, True, None if memory is None else memory / 1000
    yield ("last of the others, 5 % stalled × none stalled", 1.05, True,
           r.ratio("few-stalled", "heatcast", "heatcast", LAST, "none-stalled"))
    yield ("CPU a connect × bare loop, 10 000 clients", 1.3, True,
           r.ratio("10000", "heatcast", "bare", field("connect_cpu_us")))
    for scenario, what in both:
        yield (f"original design's CPU a message × heatcast's, {what}", 18, False,
               r.ratio(scenario, "original", "heatcast", CPU))
    for scenario, what in both:
        yield (f"original design's last client × heatcast's, {what}", 18, False,
               r.ratio(scenario, "original", "heatcast", LAST))


def goal_table(r):
    rows = []
    for what, limit, at_most, measured in goals(r):
        if measured is None:
            continue
        reached = measured <= limit if at_most else measured >= limit
        rows.append(row(what, f"{'≤' if at_most else '≥'} {limit}", number(measured), "yes" if reached else "**no**"))
    runs = r.of("19000", "heatcast")
    if runs:
        good = all(map(complete, runs.values()))
        rows.append(row("19 000 clients on one process, opened and sent to without a loss", "all",
                        "all" if good else "not all", "yes" if good else "**no**"))
    return table(["heatcast", "goal", "measured", "reached"], rows) if rows else ""


def about(results):
    m, v = results["machine"], results["versions"]
    small = results["payload_bytes"]
    real = results["real_payload"]
    return (
        f"Measured on {results['date']}: {m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB, Linux {m['kernel']}, "
        f"{m['system']}; load {m['load_before']:.2f} before it began. heatcast {v['heatcast']}, uWebSockets (npm "
        f"`uwebsockets` {v['uwebsockets']}) and `ws` {v['ws']} on node {v['node']}, nginx {v['nginx']} with nchan "
        f"{v['nchan']}, FastAPI {v['fastapi']} on uvicorn {v['uvicorn']} with websockets {v['websockets']} and uvloop "
        f"{v['uvloop']}, Python {v['python']}.\n\n"
        f"Payload: a snapshot of {small['message']} bytes ({small['deflated']} deflated); the real one of "
        f"{real['message']} bytes ({real['deflated']} deflated) is from {real['origin']}."
    )


def tables(results, names):
    r = Results(results)
    parts = [("What was to be reached", goal_table(r)),
             ("1000 clients, 8 KiB", broadcast_table(r, "1000", names)),
             ("10 000 clients, 8 KiB", broadcast_table(r, "10000", names)),
             ("1000 clients, a real snapshot", broadcast_table(r, "real", names)),
             ("Two shards on two cores, read afterwards", two_table(r, names)),
             ("Clients that do not read", stalled_table(r, names)),
             ("19 000 clients", broadcast_table(r, "19000", names))]
    text = [about(results)] + [f"### {title}\n\n{part}" for title, part in parts if part]
    if "start_ms" in results:
        listening, first = (median(column) for column in zip(*results["start_ms"]))
        text.append(f"### Start\n\nWith a simulated market, whose week of history is written first, heatcast listens "
                    f"{listening:.0f} ms after it was started and has its first snapshot after {first:.0f} ms.")
    return "\n\n".join(text) + "\n"


def insert(path, text):
    """Puts it between the two markers of a document."""
    before = path.read_text()
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    shown = f"![heatcast beside other servers](benchmarks.svg)\n\n{text}"
    after, count = pattern.subn(lambda _: f"{BEGIN}\n\n{shown}\n{END}", before)
    if count != 1:
        raise ValueError(f"{path}: the markers are not there")
    path.write_text(after)
