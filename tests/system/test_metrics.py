"""/metrics and /ws/stats: their form, and what they say after known traffic."""

import json
import os
import re
import struct
import time

import pytest

import exposition
from dumps import STEP_MS, START_MS, write_klines, write_metrics
from rude import CLOSE, DEFLATE, PING, PONG, TEXT, Rude, RudeSocket, frame, inflate, text
from server import FAST, ROOT, await_that, ingest

OPERATING = (ROOT / "docs" / "operating.md").read_text()
TIMES = [
    *["publish_to_last_write", "loop_busy", "encode", "deflate", "store_wait", "store_query"],
    "upstream_fetch",
]


def metrics(server):
    answer = server.request("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"
    return exposition.parse(answer.body.decode())


# --- the reader ---

GOOD = '# HELP a_total x\n# TYPE a_total counter\na_total{b="c",d="\\"\\\\\\n"} 1\na_total 2.5e3\n'
HISTOGRAM = (
    "# HELP h x\n# TYPE h histogram\n"
    'h_bucket{le="1"} 1\nh_bucket{le="2"} 3\nh_bucket{le="+Inf"} 3\nh_sum 3.5\nh_count 3\n'
)


def test_the_reader_reads_what_the_format_allows():
    family = exposition.parse(GOOD)["a_total"]
    assert family.samples == [("a_total", {"b": "c", "d": '"\\\n'}, 1), ("a_total", {}, 2500)]
    assert exposition.parse(HISTOGRAM)["h"].one("_count") == 3


@pytest.mark.parametrize(
    "old, new",
    [
        ("a_total 2.5e3\n", "a_total 2.5e3"),
        ("a_total 2.5e3", "a-total 2.5e3"),
        ("a_total 2.5e3", "a_total two"),
        ("a_total 2.5e3", "a_total -1"),
        ("a_total 2.5e3", "a_total  1"),
        ("a_total 2.5e3", "b 1\na_total 1"),
        ("a_total 2.5e3", 'a_total{b="c",d="\\"\\\\\\n"} 1'),
        ("a_total 2.5e3", 'a_total{b="\\q"} 1'),
        ("a_total 2.5e3", 'a_total{b="c"d="e"} 1'),
        ("a_total 2.5e3", 'a_total{b="c",} 1'),
        ("a_total 2.5e3", 'a_total{b="c",b="d"} 1'),
        ("a_total 2.5e3", "# HELP a_total x"),
        ("# HELP a_total x\n", ""),
        ("# TYPE a_total counter\n", ""),
        ("counter", "number"),
        ("counter", "gauge"),
        ("# HELP", "\n# HELP"),
    ],
)
def test_the_reader_refuses_what_is_ill_formed(old, new):
    assert old in GOOD
    with pytest.raises(exposition.Ill):
        exposition.parse(GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    "old, new",
    [
        ('h_bucket{le="2"} 3', 'h_bucket{le="2"} 0'),
        ('h_bucket{le="2"} 3', 'h_bucket{le="0.5"} 3'),
        ('h_bucket{le="2"} 3', "h_bucket 3"),
        ('h_bucket{le="+Inf"} 3\n', ""),
        ("h_count 3", "h_count 4"),
        ("h_count 3\n", ""),
        ("h_sum 3.5", "h_sum 0.1"),
    ],
)
def test_the_reader_refuses_histograms_that_contradict_themselves(old, new):
    assert old in HISTOGRAM
    with pytest.raises(exposition.Ill):
        exposition.parse(HISTOGRAM.replace(old, new, 1))


# --- the form ---


def test_metrics_are_well_formed_while_everything_moves(sim):
    with RudeSocket(sim.address) as client:
        client.subscribe("BTCUSDT", "ETHUSDT", update_interval=0)
        for _ in range(5):
            client.take_message()
            metrics(sim)


def documented():
    """{name: (type, {label: values})} of the table in operating.md."""
    rows = re.findall(r"^\| `((?:heatcast|process)_\w+)` \| (\w+) \| ([^|]*) \| [^|]+ \|$", OPERATING, re.M)
    return {
        name: (kind, dict(re.findall(r"`(\w+)`: ([^;]+?)(?:;|$)", labels.strip())))
        for name, kind, labels in rows
    }


def test_every_metric_is_in_operating_md_with_its_labels(serve):
    nowhere = ("--redis-enabled", "--redis-url", "redis://127.0.0.1:1")
    server = serve(*FAST, "--threads", "2", *nowhere)
    families, table = metrics(server), documented()
    assert list(families) == list(table)
    for name, family in families.items():
        kind, labels = table[name]
        assert family.type == kind, name
        for _, found, _ in family.samples:
            assert set(found) - {"le"} == set(labels), name
        for label, values in labels.items():
            if "…" not in values:
                assert {found[label] for _, found, _ in family.samples} == set(values.split(", ")), name


def test_every_shard_tells_of_its_own_loop(serve):
    server = serve(*FAST, "--threads", "3")
    family = metrics(server)["heatcast_loop_busy_seconds"]
    assert {labels["shard"] for _, labels, _ in family.samples} == {"0", "1", "2"}


# --- what they say ---


def test_stats_and_metrics_agree(serve):
    server = serve(*FAST)
    with RudeSocket(server.address) as client:
        client.subscribe("BTCUSDT", update_interval=0)
        client.take_messages(3)
        client.pong()  # what was sent before it is counted
        found, stats = metrics(server), server.stats()
    doors = found["heatcast_connections_by_door"].by("door")
    assert doors["ws"] == stats["websockets"] == stats["active_connections"] == 1
    assert found["heatcast_subscriptions"].one() == stats["subscriptions"] == 1
    assert found["heatcast_websockets_opened_total"].one() == stats["websockets_opened"] == 1
    assert 3 <= found["heatcast_snapshots_sent_total"].one() <= stats["snapshots_sent"]
    assert 0 < found["heatcast_bytes_sent_total"].one() < stats["bytes_sent"]
    for name in TIMES:
        count, seconds = stats[f"{name}_count"], stats[f"{name}_seconds"]
        p50, p99 = stats[f"{name}_p50_seconds"], stats[f"{name}_p99_seconds"]
        samples = found[f"heatcast_{name}_seconds"].samples
        before = sum(v for n, _, v in samples if n.endswith("_count"))
        assert before <= count
        assert (p50 is None) == (count == 0) and (seconds > 0) == (count > 0)
        assert not count or p50 <= p99


def test_counters_say_what_clients_did(serve):
    server = serve("--feed", "sim", "--threads", "2")
    before = metrics(server)
    clients = [RudeSocket(server.address) for _ in range(4)]
    for client in clients[:3]:
        client.subscribe("BTCUSDT")
        client.take_message("snapshot")
    clients[0].subscribe("ETHUSDT")
    clients[0].take_message("snapshot")
    for client in clients:
        client.pong()
    clients[3].send(text("what?"))
    assert clients[3].take_message("error")["code"] == "INVALID_MESSAGE"
    assert server.request("/nosuch").status == 404
    after = metrics(server)

    def grown(name):
        return after[name].one() - before[name].one()

    assert after["heatcast_connections_by_door"].by("door")["ws"] == 4
    assert after["heatcast_symbol_subscriptions"].by("symbol") == {
        "BTCUSDT": 3, "ETHUSDT": 1, "SOLUSDT": 0
    }  # fmt: skip
    assert after["heatcast_subscriptions"].one() == 4
    assert grown("heatcast_websockets_opened_total") == 4
    assert grown("heatcast_messages_received_total") == 4 + 4 + 1
    assert grown("heatcast_errors_sent_total") == 1
    assert grown("heatcast_http_errors_total") == 1
    assert grown("heatcast_http_requests_total") == 2  # that one, and /metrics before it
    assert grown("heatcast_connections_accepted_total") == 6
    for client in clients:
        client.close()
    server.await_stat("all have gone", websockets=0, subscriptions=0)
    assert set(metrics(server)["heatcast_symbol_subscriptions"].by("symbol").values()) == {0}


def updates(server):
    """{(door, type, format, compression): [messages, bytes]}, those above 0."""
    found, counts = metrics(server), {}
    for i, what in enumerate(("updates", "update_bytes")):
        for _, labels, value in found[f"heatcast_{what}_sent_total"].samples:
            key = tuple(labels[name] for name in ("door", "type", "format", "compression"))
            counts.setdefault(key, [0, 0])[i] = value
    return {key: value for key, value in counts.items() if any(value)}


def header_size(payload):
    """Of a server's frame, RFC 6455 §5.2."""
    return 2 if len(payload) < 126 else 4 if len(payload) < 65536 else 10


def take_update(client):
    """The next snapshot or delta: its message, and the bytes of its frame."""
    got = client.take_frame()
    while got.opcode == PING:
        got = client.take_frame()
    assert got.opcode == TEXT
    message = json.loads(inflate(got.payload) if got.rsv else got.payload)
    return message, header_size(got.payload) + len(got.payload)


@pytest.mark.parametrize("form", ["levels", "columns"])
@pytest.mark.parametrize("compression", ["plain", "deflate"])
def test_snapshots_are_counted_by_encoding_to_the_byte(still_db, serve, form, compression):
    server = serve(db=still_db)
    fields = {"Sec_WebSocket_Extensions": DEFLATE} if compression == "deflate" else {}
    size = 0
    for _ in range(3):
        with RudeSocket(server.address, **fields) as client:
            client.subscribe("AAAUSDT", format=form)
            message, bytes_ = take_update(client)
            assert message["type"] == "snapshot"
            size += bytes_
    server.await_stat("all have gone", websockets=0)
    assert updates(server) == {("ws", "snapshot", form, compression): [3, size]}


def test_deltas_are_counted_by_encoding_to_the_byte(serve):
    server = serve(*FAST)
    counts = {}
    with RudeSocket(server.address) as client:
        client.subscribe("BTCUSDT", update_interval=0, mode="delta", format="columns")
        while len(counts) < 2 or sum(n for n, _ in counts.values()) < 8:
            message, size = take_update(client)
            count = counts.setdefault(("ws", message["type"], "columns", "plain"), [0, 0])
            count[0] += 1
            count[1] += size
        client.say({"action": "unsubscribe", "symbols": ["BTCUSDT"], "id": 1})
        while (got := take_update(client))[0]["type"] != "unsubscribed":
            count = counts[("ws", got[0]["type"], "columns", "plain")]
            count[0] += 1
            count[1] += got[1]
        assert updates(server) == counts


def test_encodings_are_made_once_and_then_reused(still_db, serve):
    server = serve("--threads", "1", db=still_db)
    clients = [RudeSocket(server.address) for _ in range(5)]
    for client in clients:
        client.subscribe("AAAUSDT")
        client.take_message("snapshot")
    first = metrics(server)["heatcast_encodings_total"].by("result")
    for client in clients[:2]:
        client.subscribe("AAAUSDT", format="columns")
        client.take_message("snapshot")
    second = metrics(server)["heatcast_encodings_total"].by("result")
    assert first["reused"] == 4
    assert second["reused"] == 5
    assert 1 <= first["made"] < second["made"] <= 2 * first["made"]
    found = metrics(server)
    assert 1 <= found["heatcast_encode_seconds"].one("_count") <= second["made"]
    assert found["heatcast_deflate_seconds"].one("_count") == 0
    for client in clients:
        client.close()


def test_what_a_publication_took_is_timed_once_a_shard(serve):
    server = serve(*FAST, "--threads", "1")
    with RudeSocket(server.address) as client:
        client.subscribe("BTCUSDT", update_interval=0)
        client.take_messages(5)
        found = metrics(server)
    times = found["heatcast_publish_to_last_write_seconds"].one("_count")
    assert 3 <= times <= found["heatcast_publications_total"].one()
    assert found["heatcast_loop_busy_seconds"].one("_count", shard="0") > 5


def test_a_shard_s_busy_time_holds_all_its_work(serve):
    server = serve("--threads", "1")

    def times():
        found = metrics(server)
        busy = found["heatcast_loop_busy_seconds"].one("_sum", shard="0")
        return busy, found["process_cpu_seconds_total"].one()

    unasked = frame(PONG, b"x" * 125) * 500
    with RudeSocket(server.address) as client:
        before = times()
        for _ in range(2000):
            client.send(unasked)
        client.pong()
        after = times()
    busy, processor = (after[i] - before[i] for i in range(2))
    assert busy > processor / 2, "reading is not in it"


CLOSES = [
    ("1000", frame(CLOSE, struct.pack(">H", 1000))),
    ("1001", frame(CLOSE, struct.pack(">H", 1001) + b"reloading")),
    ("1005", frame(CLOSE)),
    ("other", frame(CLOSE, struct.pack(">H", 4321))),
    ("1002", frame(PING, fin=False)),
    ("1003", frame(2, b"x")),
    ("1007", frame(TEXT, b"\xff")),
    ("1009", frame(TEXT, b"", length=5000)),
]


def test_closes_are_counted_by_the_code_that_was_first(serve):
    server = serve("--threads", "2")
    for _, bytes_ in CLOSES:
        with RudeSocket(server.address) as client:
            client.send(bytes_)
            client.take_end()
    with RudeSocket(server.address) as client:
        client.reset()
    server.await_stat("all have gone", websockets=0, closes_1006=1)
    expected = {code: 1 for code, _ in CLOSES} | {"1006": 1}
    closes = metrics(server)["heatcast_closes_total"].by("code")
    assert {code: count for code, count in closes.items() if count} == expected


def test_resumes_are_counted_by_what_they_got(serve):
    server = serve(*FAST)
    with RudeSocket(server.address) as client:
        client.subscribe("BTCUSDT", update_interval=0, mode="delta")
        old = client.take_message()
        client.take_messages(3)
    for since, epoch in ((old["seq"], old["epoch"]), (old["seq"], "0")):
        with RudeSocket(server.address) as client:
            client.subscribe("BTCUSDT", mode="delta", since={"BTCUSDT": since}, epoch=epoch)
            client.take_message()
    assert metrics(server)["heatcast_resumes_total"].by("answer") == {
        "delta": 1, "snapshot": 1, "current": 0
    }  # fmt: skip


def test_who_is_up_to_date_is_a_resume_too(still_db, serve):
    server = serve(db=still_db)
    with RudeSocket(server.address) as client:
        client.subscribe("AAAUSDT", mode="delta")
        old = client.take_message()
        with RudeSocket(server.address) as other:
            since = {"AAAUSDT": old["seq"]}
            other.subscribe("AAAUSDT", mode="delta", since=since, epoch=old["epoch"])
            other.pong()
    assert metrics(server)["heatcast_resumes_total"].by("answer")["current"] == 1


@pytest.mark.parametrize("reads_again", [False, True])
def test_bytes_that_a_socket_refused_are_a_gauge(serve, reads_again):
    server = serve(*FAST)
    with RudeSocket(server.address, receive_buffer=4096) as client:
        client.subscribe("BTCUSDT", "ETHUSDT", "SOLUSDT", update_interval=0)
        await_that(lambda: metrics(server)["heatcast_queue_bytes"].one() > 0, "refused bytes")
        if reads_again:
            symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
            client.say({"action": "unsubscribe", "symbols": symbols, "id": 1})
            client.take_message("unsubscribed")
            await_that(lambda: metrics(server)["heatcast_queue_bytes"].one() == 0, "all is taken")
    await_that(lambda: metrics(server)["heatcast_queue_bytes"].one() == 0, "they are let go of")


def test_a_connection_is_counted_at_its_door(serve):
    server = serve(*FAST)

    def are(**doors):
        found = metrics(server)
        by_door = found["heatcast_connections_by_door"].by("door")
        return by_door == doors and found["heatcast_connections"].one() == sum(doors.values())

    with Rude(server.address) as idle, RudeSocket(server.address):
        idle.ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        await_that(lambda: are(ws=1, sse=0, http=2), "one idle, one that asks")
    await_that(lambda: are(ws=0, sse=0, http=1), "the one that asks")


def test_what_the_store_does_is_timed(real):
    def counts():
        found = metrics(real)
        return [found[f"heatcast_store_{what}_seconds"].one("_count") for what in ("wait", "query")]

    before = counts()
    real.get("/prices/klines", symbol="BTCUSDT", interval="5m", limit=10)
    after = counts()
    assert after[0] == before[0] + 1
    assert after[1] > before[1]
    assert metrics(real)["heatcast_store_jobs_waiting"].one() == 0


def test_a_symbol_s_newest_candle_is_told_by_its_close(serve, tmp_path):
    write_klines(tmp_path / "dumps", "AAAUSDT", [100, 101, 102])
    write_metrics(tmp_path / "dumps", "OPENUSDT", [1e6])
    ingest(tmp_path / "test.duckdb", tmp_path / "dumps")
    family = metrics(serve())["heatcast_symbol_candle_close_timestamp_seconds"]
    assert family.by("symbol") == {"AAAUSDT": (START_MS + 3 * STEP_MS) // 1000}


def test_the_age_of_the_newest_publication_is_told_once_there_is_one(still_db, serve):
    server = serve(db=still_db)

    def ages():
        return metrics(server)["heatcast_symbol_last_publication_age_seconds"].by("symbol")

    assert ages() == {}
    began = time.monotonic()
    with RudeSocket(server.address) as client:
        client.subscribe("AAAUSDT")
        client.take_message("snapshot")
        first = ages()
        second = ages()
    assert set(first) == {"AAAUSDT"}
    assert 0 < first["AAAUSDT"] < second["AAAUSDT"] < time.monotonic() - began


def test_the_newest_candle_of_a_market_moves(sim):
    def close():
        return metrics(sim)["heatcast_symbol_candle_close_timestamp_seconds"].by("symbol")["BTCUSDT"]

    before = close()
    await_that(lambda: close() > before, "another candle")


def test_the_process_is_as_the_kernel_tells(sim):
    began = time.time() - float(open("/proc/uptime").read().split()[0])
    fields = open(f"/proc/{sim.pid}/stat").read().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    found = metrics(sim)
    files = len(os.listdir(f"/proc/{sim.pid}/fd"))
    assert abs(found["process_start_time_seconds"].one() - (began + int(fields[19]) / ticks)) < 1
    assert found["process_cpu_seconds_total"].one() >= (int(fields[11]) + int(fields[12]) - 2) / ticks
    assert 0.5 < found["process_resident_memory_bytes"].one() / sim.resident_bytes() < 2
    assert 0.5 < found["process_virtual_memory_bytes"].one() / int(fields[20]) < 2
    assert abs(found["process_open_fds"].one() - files) <= 2  # the connection that asked may be gone
    assert found["process_open_fds"].one() <= found["process_max_fds"].one()


def test_the_version_is_told(sim):
    family = metrics(sim)["heatcast_build_info"]
    assert family.by("version") == {sim.get("/health")["version"]: 1}
