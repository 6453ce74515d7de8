"""`heatcast serve` as a program: its feeds, its settings, its file, its beginning and its end."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from dumps import STEP_MS, START_MS, iso, ms, write_klines, write_metrics
from rude import RudeSocket
from server import FAST, PATIENCE, PROGRAM, ROOT, Server, await_that, ingest, run

KLINES = "/prices/klines"
TIMESERIES = "/liquidations/heatmap-timeseries"
DAY_STEPS = 288


def newest(server, symbol="BTCUSDT"):
    """The open time of the newest candle that the server shows."""
    symbols = {s["symbol"]: s for s in server.get("/symbols")["symbols"]}
    return ms(symbols[symbol]["end_time"])


def candles(server, symbol="BTCUSDT"):
    return server.get(KLINES, symbol=symbol, interval="5m", limit=2000)["data"]


def without_gaps(rows):
    times = [ms(row["timestamp"]) for row in rows]
    return times == list(range(times[0], times[0] + len(times) * STEP_MS, STEP_MS))


def run_serve(db, *flags):
    """One that is expected to refuse."""
    return run("serve", "--listen", "127.0.0.1:0", "--db", db, *flags)


# --- no feed ---


def test_without_a_feed_the_file_is_served_as_it_is(real):
    before = [real.get("/symbols"), real.request("/heatmap/latest", symbol="BTCUSDT").body]
    with RudeSocket(real.address) as client:
        client.subscribe("BTCUSDT", update_interval=0)
        assert client.take_message()["timestamp"] == "2025-12-31T23:55:00Z"
        assert client.is_silent(1)
    assert [real.get("/symbols"), real.request("/heatmap/latest", symbol="BTCUSDT").body] == before
    assert "SIMULATED" not in real.lines[0]


# --- replay ---


@pytest.fixture
def day(tmp_path):
    """One day of two symbols, the second a day later; open interest rises all the time."""
    folder = tmp_path / "dumps"
    for i, symbol in enumerate(("AAAUSDT", "BBBUSDT")):
        start = START_MS + i * DAY_STEPS * STEP_MS
        write_klines(folder, symbol, [1000 + k % 7 + k / 8 for k in range(DAY_STEPS)], start)
        write_metrics(folder, symbol, [1e6 + 1e4 * k for k in range(DAY_STEPS)], start)
    db = tmp_path / "day.duckdb"
    ingest(db, folder)
    return db


STILL = ("--feed", "replay", "--replay-speed", "0.001", "--ws-update-interval", "0.25")


@pytest.mark.parametrize(
    "where, steps",
    [
        (None, 143),  # 50%: the candle before noon has closed
        ("0%", 0),  # there is always one to show
        ("25%", 71),
        ("99.9%", 286),
        ("100%", 287),
        ("2026-01-01T06:00:00Z", 71),
        ("2026-01-01T06:04:59Z", 71),
        ("2026-01-01T06:05:00Z", 72),
        ("2026-01-01", 0),
        ("2020-01-01T00:00:00Z", 0),
        ("2030-01-01T00:00:00Z", 287),
    ],
)
def test_a_replay_starts_where_it_is_told_to(serve, day, where, steps):
    server = serve(*STILL, *(["--replay-from", where] if where else []), db=day)
    assert newest(server, "AAAUSDT") == START_MS + steps * STEP_MS


def test_each_symbol_is_replayed_over_its_own_data(serve, day):
    server = serve(*STILL, db=day)
    assert newest(server, "BBBUSDT") - newest(server, "AAAUSDT") == DAY_STEPS * STEP_MS


@pytest.mark.parametrize(
    "where", ["", "50", "101%", "-1%", "%", "x%", "noon", "2026-13-01", "1e1%%"]
)
def test_a_replay_from_nowhere_is_refused(day, where):
    done = run_serve(day, "--feed", "replay", f"--replay-from={where}")
    assert done.returncode != 0
    assert "replay-from" in done.stderr and f"'{where}'" in done.stderr


def test_the_replay_clock_moves_and_all_doors_follow_it(serve, day):
    server = serve(
        "--feed", "replay", "--replay-speed", "3000", "--replay-from", "10%",
        "--ws-update-interval", "0.25", db=day,
    )  # fmt: skip
    first = newest(server, "AAAUSDT")
    with RudeSocket(server.address) as client:
        client.subscribe("AAAUSDT", update_interval=0)
        times = [ms(m["timestamp"]) for m in client.take_messages(4, "snapshot")]
    assert times == sorted(set(times))
    await_that(lambda: newest(server, "AAAUSDT") > first + 10 * STEP_MS, "the clock moves")
    before = newest(server, "AAAUSDT")
    meta = server.get(TIMESERIES, symbol="AAAUSDT", interval="5m")["meta"]
    last = ms(server.get(KLINES, symbol="AAAUSDT", interval="5m")["data"][-1]["timestamp"])
    after = newest(server, "AAAUSDT")
    assert before <= ms(meta["end_time"]) <= after
    assert before <= last <= after
    assert server.get("/health")["feed"] == "replay"
    assert server.get("/health")["replay"]["speed"] == 3000


def test_a_replay_shows_nothing_of_what_is_to_come(serve, day):
    server = serve(*STILL, db=day)
    clock = START_MS + 144 * STEP_MS
    late = {"symbol": "AAAUSDT", "start_time": iso(START_MS), "end_time": "2026-01-03T00:00:00Z"}
    rows = server.get(KLINES, interval="5m", **late)["data"]
    assert len(rows) == 144
    assert all(ms(row["timestamp"]) + STEP_MS <= clock for row in rows)
    assert len(server.get(KLINES, symbol="AAAUSDT", interval="5m", limit=2000)["data"]) == 144
    rows = server.get(TIMESERIES, interval="5m", **late)["data"]
    assert [ms(row["timestamp"]) for row in rows] == [START_MS + k * STEP_MS for k in range(144)]
    # Wider candles hold only what has closed.
    wide = server.get(KLINES, interval="1d", **late)["data"]
    seen = server.get(KLINES, interval="5m", **late)["data"]
    assert wide[0]["high"] == max(row["high"] for row in seen)
    assert wide[0]["close"] == seen[-1]["close"]
    assert ms(server.get("/data/date-range", symbol="AAAUSDT")["end_date"]) <= clock
    shown = server.get("/symbols")["symbols"][0]
    assert ms(shown["end_time"]) < clock and ms(shown["open_interest_end"]) <= clock
    assert shown.get("last_price", seen[0]["close"]) in {r["close"] for r in seen}
    latest = server.get("/heatmap/latest", symbol="AAAUSDT")
    assert ms(latest["timestamp"]) == clock - STEP_MS
    assert latest["data"]["current_price"] == seen[-1]["close"]


def test_a_replay_that_begins_again_is_a_new_epoch(serve, day):
    server = serve(
        "--feed", "replay", "--replay-speed", "20000", "--replay-from", "80%",
        "--ws-update-interval", "0.1", db=day,
    )  # fmt: skip
    with RudeSocket(server.address) as client:
        client.subscribe("AAAUSDT", update_interval=0)
        laps = [[client.take_message()]]
        while len(laps) < 3:
            message = client.take_message()
            if message["epoch"] != laps[-1][-1]["epoch"]:
                laps.append([])
            laps[-1].append(message)
    begin = START_MS + int(DAY_STEPS * 0.8) * STEP_MS
    end = START_MS + (DAY_STEPS - 1) * STEP_MS
    for before, after in zip(laps, laps[1:]):
        assert ms(before[-1]["timestamp"]) == end, "it came to the end of the data"
        assert ms(after[0]["timestamp"]) < end
        assert int(after[0]["epoch"], 36) > int(before[0]["epoch"], 36)
        assert after[0]["seq"] == 1
    for lap in laps:
        assert [m["seq"] for m in lap] == list(range(lap[0]["seq"], lap[0]["seq"] + len(lap)))
        assert all(begin - STEP_MS <= ms(m["timestamp"]) <= end for m in lap)
        times = [m["timestamp"] for m in lap]
        assert times == sorted(set(times))
    # The state is built anew: nothing of the first lap is left in the second.
    levels = laps[0][-1]["data"]["levels"]
    assert levels == laps[1][-1]["data"]["levels"] and len(levels) > 5


# --- the simulated market ---


def test_the_same_seed_gives_the_same_market(tmp_path):
    weeks = []
    for i, seed in enumerate((7, 7, 8)):
        still = ("--feed", "sim", "--sim-seed", seed, "--sim-speed", 0.001)
        server = Server(*still, db=tmp_path / f"{i}.duckdb")
        assert "SIMULATED" in server.lines[0]
        week = [candles(server, symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
        weeks.append([*week, server.get(TIMESERIES, symbol="ETHUSDT", interval="4h")])
        server.stop()
    assert weeks[0] == weeks[1] != weeks[2]


def test_a_simulation_goes_on_where_it_stopped_as_if_it_never_had(serve, tmp_path):
    ends = []
    for _ in range(3):
        server = serve(*FAST, db=tmp_path / "sim.duckdb")
        ends.append(newest(server))
        await_that(lambda: newest(server) >= ends[-1] + 5 * STEP_MS, "candles come")
        rows = candles(server)
        assert without_gaps(rows)
        server.stop()
    assert ends == sorted(set(ends))
    straight = serve("--feed", "sim", "--sim-speed", "100000", db=tmp_path / "straight.duckdb")
    await_that(lambda: newest(straight) >= ms(rows[-1]["timestamp"]), "it has come as far")
    others = {row["timestamp"]: row for row in candles(straight)}
    shared = [row for row in rows if row["timestamp"] in others]
    assert len(shared) > 1000 and all(row == others[row["timestamp"]] for row in shared)


def test_a_file_of_another_seed_is_refused_by_name(serve, tmp_path):
    serve("--feed", "sim", "--sim-seed", 5, db=tmp_path / "sim.duckdb").stop()
    for seed in (6, 0):
        done = run_serve(tmp_path / "sim.duckdb", "--feed", "sim", "--sim-seed", seed)
        assert done.returncode == 1
        assert "seed 5" in done.stderr and "--sim-seed 5" in done.stderr
    serve("--feed", "sim", "--sim-seed", 5, db=tmp_path / "sim.duckdb").stop()


def test_a_simulation_never_touches_a_file_of_real_data(serve, day):
    done = run_serve(day, "--feed", "sim")
    assert done.returncode == 1
    assert "real market data" in done.stderr and "--db" in done.stderr
    server = serve(db=day)
    assert [s["symbol"] for s in server.get("/symbols")["symbols"]] == ["AAAUSDT", "BBBUSDT"]
    assert server.get("/health")["simulated"] is False


def test_a_simulated_market_is_called_so_without_its_feed_too(serve, tmp_path):
    serve("--feed", "sim", db=tmp_path / "sim.duckdb").stop()
    for feed in ("none", "replay"):
        server = serve("--feed", feed, db=tmp_path / "sim.duckdb")
        assert "SIMULATED" in server.lines[0]
        assert server.get("/health")["simulated"] is True
        server.stop()


# --- settings ---


def printed(*words, **env):
    """{name: (value, origin)} of --print-config."""
    done = run("serve", *words, "--print-config", **env)
    assert done.returncode == 0, done.stderr
    rows = [re.fullmatch(r"([a-z-]+) = (.*?) +# (.+)", line) for line in done.stdout.splitlines()]
    return {row[1]: (row[2], row[3]) for row in rows}


def options():
    """(flag, environment, fallback) of every setting of `serve`, from the one table of them."""
    table = (ROOT / "src" / "base" / "options.h").read_text()
    found = re.findall(
        r'OPTION\(\s*\w+,\s*\w+,\s*"([^"]+)",\s*"([^"]+)",\s*"([^"]*)",[^"]*?CMD_SERVE', table
    )
    assert len(found) > 20
    return found


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(tmp_path):
    file = tmp_path / "settings"
    file.write_text("ws-max-connections = 3\n")
    name = "ws-max-connections"
    config, env = ["--config", file], {"WS_MAX_CONNECTIONS": "4"}
    assert printed()[name] == ("0", "default")
    assert printed(*config)[name] == ("3", f"{file}:1")
    assert printed(*config, **env)[name] == ("4", "environment WS_MAX_CONNECTIONS")
    assert printed(*config, f"--{name}", 5, **env)[name] == ("5", f"flag --{name}")
    assert printed(f"--{name}=6", *config, **env)[name] == ("6", f"flag --{name}")
    assert printed(f"--{name}=6", f"--{name}=7")[name] == ("7", f"flag --{name}")
    assert printed(**{"WS_MAX_CONNECTIONS": ""})[name] == ("0", "default")


def test_settings_really_take_effect_from_the_file_and_the_environment(serve, tmp_path):
    (tmp_path / "settings").write_text("WS_UPDATE_INTERVAL = 0.75\nthreads=2\n")
    server = serve("--config", tmp_path / "settings", WS_MAX_MESSAGE_BYTES="200")
    assert server.get("/health")["update_interval"] == 0.75
    with RudeSocket(server.address) as client:
        client.say({"action": "ping", "x": "y" * 200})
        assert client.take_end().code == 1009


def test_a_file_may_use_either_name_and_have_comments(tmp_path):
    file = tmp_path / "settings"
    file.write_text(
        "# settings\n\n  feed = sim  \r\nHEATCAST_SIM_SEED = 42 # the answer\n"
        "db = /tmp/a#b.duckdb\ncors-allowed-origins=https://a.example,https://b.example\nbin =\n"
    )
    got = printed("--config", file)
    assert got["feed"] == ("sim", f"{file}:3")
    assert got["sim-seed"] == ("42", f"{file}:4")
    assert got["db"][0] == "/tmp/a#b.duckdb"
    assert got["cors-allowed-origins"][0] == "https://a.example,https://b.example"
    assert got["bin"] == ("", f"{file}:7")


def test_what_print_config_prints_is_a_settings_file(tmp_path):
    changed = ["--feed=sim", "--bin=BTCUSDT=50", "--ws-enabled=false", "--sim-speed=12.5"]
    file = tmp_path / "settings"
    file.write_text(run("serve", *changed, "--print-config").stdout)
    before, after = printed(*changed), printed("--config", file)
    assert {k: v for k, (v, _) in before.items()} == {k: v for k, (v, _) in after.items()}


def test_every_setting_is_printed_and_explained():
    got = printed()
    help = run("serve", "--help")
    assert help.returncode == 0 and help.stderr == ""
    for flag, environment, fallback in options():
        assert got[flag] == (fallback, "default")
        assert f"--{flag} " in help.stdout and environment in help.stdout
    assert len(got) == len(options())
    for word in ("--config", "--print-config", "--help"):
        assert word in help.stdout
    assert run("serve", "-h").stdout == help.stdout


@pytest.mark.parametrize("value", ["", "=true", "=yes", "=ON", "=1"])
def test_a_switch_may_be_spelled_in_the_usual_ways(value):
    got = printed(f"--ws-enabled{value}", WS_ENABLED="false")
    assert got["ws-enabled"] == ("true", "flag --ws-enabled")


BAD = [
    ("ws-max-connections", "WS_MAX_CONNECTIONS", "-1"),
    ("ws-max-connections", "WS_MAX_CONNECTIONS", "many"),
    ("ws-max-connections", "WS_MAX_CONNECTIONS", "1.5"),
    ("ws-max-message-bytes", "WS_MAX_MESSAGE_BYTES", "127"),
    ("ws-update-interval", "WS_UPDATE_INTERVAL", "0"),
    ("ws-update-interval", "WS_UPDATE_INTERVAL", "nan"),
    ("ws-slow-consumer-disconnect", "WS_SLOW_CONSUMER_DISCONNECT", "-1"),
    ("ws-enabled", "WS_ENABLED", "maybe"),
    ("replay-speed", "HEATCAST_REPLAY_SPEED", "1e9"),
    ("sim-seed", "HEATCAST_SIM_SEED", "-1"),
    ("store-threads", "HEATCAST_STORE_THREADS", "0"),
    ("listen", "HEATCAST_LISTEN", "here"),
    ("listen", "HEATCAST_LISTEN", "127.0.0.1:65536"),
    ("listen", "HEATCAST_LISTEN", "::1:80"),
    ("trusted-proxy", "HEATCAST_TRUSTED_PROXY", "localhost"),
    ("trusted-proxy", "HEATCAST_TRUSTED_PROXY", "127.0.0.1,10.0.0.1/8"),
    ("history", "HEATCAST_HISTORY", "30"),
    ("history", "HEATCAST_HISTORY", "11y"),
    ("feed", "HEATCAST_FEED", "live"),
    ("log-level", "HEATCAST_LOG_LEVEL", "loud"),
    ("log-format", "HEATCAST_LOG_FORMAT", "xml"),
    ("redis-channel-prefix", "REDIS_CHANNEL_PREFIX", "two words"),
    ("redis-channel-prefix", "REDIS_CHANNEL_PREFIX", "x" * 65),
]


@pytest.mark.parametrize("flag, variable, value", BAD)
def test_a_bad_setting_is_named_with_where_it_was_said(tmp_path, flag, variable, value):
    file = tmp_path / "settings"
    file.write_text(f"# one line before\n{flag} = {value}\n")
    for words, env, where in [
        ([f"--{flag}={value}"], {}, f"flag --{flag}"),
        ([], {variable: value}, f"environment {variable}"),
        (["--config", file], {}, f"{file}:2"),
    ]:
        done = run("serve", "--db", tmp_path / "x.duckdb", *words, **env)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{where}: {flag} is " in done.stderr, done.stderr
        assert value in done.stderr and "must be" in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x.duckdb").exists()


@pytest.mark.parametrize(
    "bin",
    ["BTCUSDT", "BTCUSDT=", "BTCUSDT=0", "=5", "BTCUSDT=x", "BTCUSDT=1000001", "A=1,,B=2"],
)
def test_a_bad_bucket_size_is_refused(tmp_path, bin):
    done = run_serve(tmp_path / "x.duckdb", f"--bin={bin}")
    assert done.returncode != 0 and "bin is" in done.stderr


def test_bucket_sizes_can_be_set_per_symbol(serve):
    server = serve(*FAST, "--bin", "BTCUSDT=250,ETHUSDT=0.5,LATERUSDT=1")
    with RudeSocket(server.address) as client:
        client.subscribe("BTCUSDT", "ETHUSDT", "SOLUSDT", update_interval=60)
        sizes = {m["symbol"]: m["data"]["price_bin_size"] for m in client.take_messages(3)}
    assert sizes == {"BTCUSDT": 250, "ETHUSDT": 0.5, "SOLUSDT": 0.2}


@pytest.mark.parametrize(
    "words, named",
    [
        (["--nosuch", "1"], "--nosuch"),
        (["--nosuch=1"], "--nosuch"),
        (["--threads"], "--threads"),
        (["--config"], "--config"),
        (["--config", "/nonexistent/file"], "/nonexistent/file"),
        (["word"], "word"),
        (["--", "--feed"], "--feed"),
        (["--skip-bad-rows"], "--skip-bad-rows"),
    ],
)
def test_a_command_line_that_is_wrong_is_refused(words, named):
    done = run("serve", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr


@pytest.mark.parametrize(
    "text, named",
    [("nosuch = 1\n", ":1: unknown setting 'nosuch'"), ("\nfeed\n", ":2:"), ("x" * 5000, ":1:")],
)
def test_a_settings_file_that_is_wrong_is_refused_by_line(tmp_path, text, named):
    (tmp_path / "settings").write_text(text)
    done = run("serve", "--config", tmp_path / "settings")
    assert done.returncode == 2
    assert f"settings{named}" in done.stderr


def test_a_shared_file_may_have_settings_of_other_commands(tmp_path):
    (tmp_path / "settings").write_text("skip-bad-rows = true\nfeed = sim\n")
    assert printed("--config", tmp_path / "settings")["feed"][0] == "sim"


def test_the_program_explains_itself():
    assert run("--version").stdout.startswith("heatcast ")
    for words in (["--help"], ["help"]):
        done = run(*words)
        assert done.returncode == 0 and "serve" in done.stdout and "ingest" in done.stdout
    for words in ([], ["nosuch"]):
        done = run(*words)
        assert done.returncode == 2 and "usage" in done.stderr and done.stdout == ""


def test_the_log_is_json_lines_and_stdout_has_the_address_only(serve):
    server = serve(*FAST)
    with RudeSocket(server.address) as client:
        client.subscribe("BTCUSDT")
        client.take_message()
    server.stop()
    assert server.lines == [f"heatcast serves a SIMULATED market at {server.url}/"]
    for line in server.log().splitlines():
        entry = json.loads(line)
        assert list(entry)[:3] == ["time", "level", "event"]
    assert [e["address"] for e in server.events("serving")] == [f"127.0.0.1:{server.port}"]
    assert server.events("stopping")[0]["signal"] == signal.SIGTERM
    assert server.events("stopped")


def test_the_log_can_be_text_and_quiet(serve):
    server = serve("--log-format", "text", "--log-level", "error")
    server.stop()
    assert server.log() == ""


@pytest.mark.parametrize(
    "listen, host", [("[::1]:0", "::1"), ("localhost:0", "127.0.0.1"), ("0", "0.0.0.0")]
)
def test_it_listens_where_it_is_told_to(serve, listen, host):
    if host == "::1":
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            pytest.skip("NO IPv6 on this machine: listening on it was not tested")
    server = serve("--listen", listen)
    assert server.host == host
    assert server.get("/ready") == {"status": "ready"}


def test_an_address_that_is_not_ours_is_refused_by_name(tmp_path):
    for listen in ("192.0.2.1:0", "no.such.host.invalid:80"):
        done = run("serve", "--db", tmp_path / "x.duckdb", "--listen", listen)
        assert done.returncode == 1 and listen in done.stderr


# --- the file ---


def test_a_second_process_on_the_same_file_is_told_who_holds_it(serve, tmp_path):
    server = serve(*FAST)
    write_klines(tmp_path / "dumps", "AAAUSDT", [1, 2, 3])
    for words in (["serve", "--listen", "127.0.0.1:0"], ["ingest", tmp_path / "dumps"]):
        done = run(words[0], "--db", server.db, *words[1:])
        assert done.returncode != 0
        assert str(server.db) in done.stderr
        assert f"PID {server.pid}" in done.stderr
        assert "heatcast" in done.stderr
    assert server.get("/ready") == {"status": "ready"}
    server.stop()
    serve(*FAST).stop()


def test_a_file_that_is_absent_is_made(serve, tmp_path):
    serve(db=tmp_path / "new.duckdb").stop()
    assert (tmp_path / "new.duckdb").exists()


def test_a_folder_that_is_absent_is_named(tmp_path):
    done = run_serve(tmp_path / "nosuch" / "x.duckdb")
    assert done.returncode == 1 and str(tmp_path / "nosuch") in done.stderr


def test_a_folder_is_no_file(tmp_path):
    done = run_serve(tmp_path)
    assert done.returncode == 1 and str(tmp_path) in done.stderr and "folder" in done.stderr


@pytest.mark.parametrize("content", [b"hello, world\n" * 1000, b"\0" * 20000, os.urandom(20000)])
def test_a_file_that_is_no_database_is_left_alone(tmp_path, content):
    db = tmp_path / "x.duckdb"
    db.write_bytes(content)
    done = run_serve(db)
    assert done.returncode == 1
    assert str(db) in done.stderr and len(done.stderr.splitlines()) == 1
    assert db.read_bytes() == content


def test_a_damaged_file_is_refused_not_served(real_db, tmp_path):
    db = tmp_path / "x.duckdb"
    whole = real_db.read_bytes()
    db.write_bytes(whole[: len(whole) // 3])
    done = run_serve(db)
    assert done.returncode == 1 and str(db) in done.stderr


def test_the_file_survives_kill_9(tmp_path):
    """Whatever was shown before is there afterwards, without holes."""
    db = tmp_path / "sim.duckdb"
    for _ in range(4):
        server = Server("--feed", "sim", "--sim-speed", "30000", db=db)
        begin = newest(server)
        seen = await_that(
            lambda: (t := newest(server)) >= begin + 20 * STEP_MS and t, "candles come"
        )
        server.kill()
        again = Server(db=db)
        assert newest(again) >= seen
        rows = candles(again)
        assert without_gaps(rows) and ms(rows[-1]["timestamp"]) == newest(again)
        open_interest = again.get("/data/date-range", symbol="SOLUSDT")
        assert ms(open_interest["end_date"]) == newest(again)
        again.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_shutdown_loses_nothing(serve, tmp_path, number):
    server = serve("--feed", "sim", "--sim-speed", "30000")
    begin = newest(server)
    await_that(lambda: newest(server) >= begin + 20 * STEP_MS, "candles come")
    shown = candles(server)
    server.signal(number)
    assert server.await_end() == 0
    assert not list(tmp_path.glob("*.wal")), "everything is in the file itself"
    again = serve()
    kept = candles(again)
    assert without_gaps(kept)
    assert kept[-1]["timestamp"] >= shown[-1]["timestamp"]
    assert [row for row in shown if row["timestamp"] >= kept[0]["timestamp"]] == [
        row for row in kept if row["timestamp"] <= shown[-1]["timestamp"]
    ]


def test_a_server_can_be_stopped_at_any_moment(tmp_path):
    """While it builds, answers, writes; each end is clean and each file is whole."""
    hurried = ("--feed", "sim", "--sim-speed", "100000", "--ws-update-interval", "0.05")
    for i in range(8):
        server = Server(*hurried, db=tmp_path / "sim.duckdb")
        client = RudeSocket(server.address)
        client.subscribe("BTCUSDT", "ETHUSDT", "SOLUSDT", update_interval=0)
        if i % 2:
            client.take_message()
        time.sleep(i * 0.02)
        server.signal(signal.SIGTERM)
        if i > 1:
            client.close()
        assert server.await_end() == 0, server.log()
        client.close()


def test_it_runs_from_any_folder_and_makes_its_file_there(tmp_path):
    process = subprocess.Popen(
        [os.path.abspath(PROGRAM), "serve", "--listen", "127.0.0.1:0"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert "serves" in process.stdout.readline()
        assert (tmp_path / "heatcast.duckdb").exists()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        process.stdout.close()
