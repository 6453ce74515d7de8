"""heatcast ingest, from outside: files in, lines and an exit status out, a file that remembers."""

import datetime
import fcntl
import os
import pty
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import zipfile
from pathlib import Path

import pytest

KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore"
)
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
STEPS = {"1m": 60_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000}
DAY = 86_400_000
T0 = int(datetime.datetime(2025, 12, 1, tzinfo=datetime.timezone.utc).timestamp() * 1000)


def kline(open_ms, step="5m", price=100.0, unit=1):
    close = (open_ms + STEPS[step]) * unit - 1
    return f"{open_ms * unit},{price},{price + 1},{price - 1},{price},1.5,{close},,,,,0"


def klines(count, start=T0, step="5m", unit=1):
    return [kline(start + i * STEPS[step], step, 100.0 + i % 50, unit) for i in range(count)]


def metric(time_ms, symbol="BTCUSDT", value=1e9):
    moment = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M:%S},{symbol},75000.5000000000000000,{value},,,,"


def text_of(lines, header=None):
    return "".join(line + "\n" for line in ([header] if header else []) + lines)


def write(path, lines, header=KLINES):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_of(lines, header))
    return path


def rows(result):
    """(new, known, refused) of the summary."""
    found = re.search(r"^rows: (\d+) new, (\d+) known, (\d+) refused$", result.stdout, re.M)
    assert found, result.stdout + result.stderr
    return tuple(map(int, found.groups()))


def files(result):
    """(loaded, refused, skipped) of the summary."""
    found = re.search(r"^files: (\d+) loaded, (\d+) refused, (\d+) skipped$", result.stdout, re.M)
    assert found, result.stdout + result.stderr
    return tuple(map(int, found.groups()))


def ranges(result):
    """The summary's lines about symbols: {"BTCUSDT 5m": the rest}."""
    return dict(re.findall(r"^([A-Z0-9_]+ (?:\d+[mh]|open interest)): (.*)$", result.stdout, re.M))


# --- what is loaded ---


def test_the_real_data_loads_and_a_second_time_changes_nothing(run, data):
    first = run("ingest", data)
    assert first.returncode == 0, first.stderr
    new, known, refused = rows(first)
    assert new > 20_000 and refused == 0
    second = run("ingest", data)
    assert second.returncode == 0
    assert rows(second) == (0, new + known, 0)
    assert ranges(second) == ranges(first)
    assert ranges(first)["BTCUSDT 5m"] == (
        "2025-12-01 00:00 to 2025-12-31 23:55, 8928 candles, no gaps"
    )
    assert ranges(first)["SOLUSDT 1h"] == (
        "2024-06-19 21:00 to 2024-08-19 21:00, 1463 candles, 1 gap, 2 missing: "
        "2024-07-19 10:00 to 2024-07-19 11:00"
    )
    assert ranges(first)["SOLUSDT open interest"].endswith(
        "1 gap, 2 missing: between 2024-07-19 09:00 and 2024-07-19 12:00"
    )
    assert ranges(first)["ETHUSDT open interest"].endswith("1465 points, no gaps")


def test_liquidations_in_a_folder_are_passed_over_with_a_note(run, data):
    folder = run("ingest", data / "SOLUSDT")
    assert folder.returncode == 0
    assert re.search(r"/liquidations-1h-\S+\.csv: skipped: neither klines nor metrics", folder.stderr)
    assert files(folder)[2] == 1
    quiet = run("ingest", "--log-level", "warning", data / "SOLUSDT")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    named = run("ingest", *sorted((data / "SOLUSDT").glob("liquidations-*.csv")))
    assert named.returncode == 1
    assert "neither klines nor metrics, by its name and its first line; it is left out" in named.stderr


def test_the_single_lines_of_metrics_load_by_their_own_symbols(run, data):
    result = run("ingest", data / "metrics-lines.csv")
    assert result.returncode == 0, result.stderr
    assert rows(result) == (19, 0, 0)
    assert set(ranges(result)) == {"ACEUSDT open interest", "BTCUSDT open interest"}
    assert ": BTCUSDT and 1 more open interest: 19 new, 0 known" in result.stderr


@pytest.mark.parametrize("step", STEPS)
def test_every_interval_loads_with_and_without_header(run, tmp_path, step):
    lines = klines(20, step=step)
    write(tmp_path / f"BTCUSDT-{step}-2025-12-01.csv", lines)
    write(tmp_path / f"ETHUSDT-{step}-2025-12-01.csv", lines, header=None)
    result = run("ingest", tmp_path)
    assert result.returncode == 0, result.stderr
    assert rows(result) == (40, 0, 0)
    assert set(ranges(result)) == {f"BTCUSDT {step}", f"ETHUSDT {step}"}


def test_microseconds_and_milliseconds_are_the_same_rows(run, tmp_path):
    us = write(tmp_path / "BTCUSDT-1m-2025-01.csv", klines(100, step="1m", unit=1000))
    assert rows(run("ingest", us)) == (100, 0, 0)
    write(us, klines(100, step="1m"))
    result = run("ingest", us)
    assert rows(result) == (0, 100, 0)
    assert "conflicts" not in result.stdout


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n\n",
    ],
    ids=["crlf", "bom", "no-newline-at-the-end", "blank-lines"],
)
def test_line_endings_and_marks_do_not_matter(run, tmp_path, change):
    path = tmp_path / "BTCUSDT-5m-2025-12.csv"
    path.write_text(change(text_of(klines(10), KLINES)), newline="")
    assert rows(run("ingest", path)) == (10, 0, 0)


def test_metrics_come_out_of_order_and_overlap_at_midnight(run, tmp_path):
    first = [metric(T0 + i * 300_000) for i in range(1, 289)]
    second = [metric(T0 + DAY + i * 300_000) for i in range(0, 289)]
    random.Random(1).shuffle(first)
    write(tmp_path / "BTCUSDT-metrics-2025-12-01.csv", first, METRICS)
    write(tmp_path / "BTCUSDT-metrics-2025-12-02.csv", second, METRICS)
    result = run("ingest", tmp_path)
    assert result.returncode == 0, result.stderr
    assert rows(result) == (576, 1, 0)
    assert ranges(result)["BTCUSDT open interest"] == (
        "2025-12-01 00:05 to 2025-12-03 00:00, 576 points, no gaps"
    )


def test_overlapping_files_merge(run, tmp_path):
    write(tmp_path / "BTCUSDT-5m-2025-12-01.csv", klines(100))
    write(tmp_path / "BTCUSDT-5m-2025-12-02.csv", klines(100)[40:] + klines(50, T0 + 100 * 300_000))
    result = run("ingest", tmp_path)
    assert rows(result) == (150, 60, 0)
    assert ranges(result)["BTCUSDT 5m"].endswith("150 candles, no gaps")


def test_what_is_stored_wins_over_a_later_file_and_is_told(run, tmp_path):
    path = write(tmp_path / "BTCUSDT-5m-2025-12.csv", klines(10))
    run("ingest", path)
    write(path, klines(9) + [kline(T0 + 9 * 300_000, price=500.0)])
    for _ in range(2):  # the stored one stays, so it is told again
        result = run("ingest", path)
        assert result.returncode == 0
        assert rows(result) == (0, 10, 0)
        assert "BTCUSDT 5m: 0 new, 10 known (1 with other values than stored, which stay)" in result.stderr
        assert "conflicts: 1 of the known rows have other values" in result.stdout


def test_rows_repeated_inside_a_file_are_known(run, tmp_path):
    lines = klines(3)
    path = write(tmp_path / "BTCUSDT-5m-2025-12.csv", [lines[0], lines[0], lines[1], lines[2], lines[2]])
    result = run("ingest", path)
    assert result.returncode == 0
    assert rows(result) == (3, 2, 0)


def test_gaps_are_told(run, tmp_path):
    lines = klines(20)
    path = write(tmp_path / "BTCUSDT-5m-2025-12.csv", lines[:5] + lines[6:10] + lines[13:])
    assert ranges(run("ingest", path))["BTCUSDT 5m"] == (
        "2025-12-01 00:00 to 2025-12-01 01:35, 16 candles, 2 gaps, 4 missing: "
        "2025-12-01 00:25 to 2025-12-01 00:25, 2025-12-01 00:50 to 2025-12-01 01:00"
    )


# --- where files are found ---


def test_a_folder_is_walked_and_what_is_no_dump_is_counted_quietly(run, tmp_path):
    folder = tmp_path / "dumps"
    write(folder / "BTCUSDT" / "klines" / "december.csv", klines(5))
    write(folder / "futures/um/daily/metrics/ETHUSDT/ETHUSDT-metrics-2025-12-01.CSV", [metric(T0, "ETHUSDT")], METRICS)
    (folder / "README.md").write_text("no dump")
    (folder / "._BTCUSDT-5m-2025-12.csv").write_bytes(b"\0\1")
    (folder / "BTCUSDT-5m-2025-12.zip.CHECKSUM").write_text("no dump")
    os.symlink(folder, folder / "loop")
    result = run("ingest", folder)
    assert result.returncode == 0, result.stderr
    assert files(result) == (2, 0, 3)
    assert set(ranges(result)) == {"BTCUSDT 5m", "ETHUSDT open interest"}
    assert "README" not in result.stderr


def test_a_pattern_is_expanded_and_one_that_matches_nothing_is_an_error(run, tmp_path):
    for month in range(1, 4):
        write(tmp_path / f"BTCUSDT-5m-2025-0{month}.csv", klines(5, T0 + month * DAY))
    found = run("ingest", "BTCUSDT-5m-*.csv")
    assert (found.returncode, rows(found)) == (0, (15, 0, 0))
    none = run("ingest", "ETHUSDT-*.csv")
    assert none.returncode == 1
    assert "ETHUSDT-*.csv: the pattern matches nothing; it is left out" in none.stderr
    both = run("ingest", "ETHUSDT-*.csv", "BTCUSDT-5m-2025-01.csv")
    assert (both.returncode, rows(both)) == (1, (0, 5, 0))


def test_a_file_with_a_star_in_its_name_is_itself(run, tmp_path):
    write(tmp_path / "BTCUSDT-5m-*.csv", klines(5))
    write(tmp_path / "BTCUSDT-5m-x.csv", klines(9))
    assert rows(run("ingest", "BTCUSDT-5m-*.csv")) == (5, 0, 0)


def test_what_is_not_there_is_told_and_makes_no_database(run, tmp_path):
    result = run("ingest", "nowhere.csv")
    assert result.returncode == 1
    assert "nowhere.csv: no such file or folder; it is left out" in result.stderr
    assert "no dump files (.csv, .zip) found" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_paths_or_with_wrong_options_it_says_how(run, tmp_path):
    for words in ([], ["--log-level", "loud", "x"], ["--no-such-option", "x"]):
        result = run("ingest", *words)
        assert result.returncode == 2
        assert result.stderr.startswith("heatcast: ")
    assert list(tmp_path.iterdir()) == []
    assert run("ingest", "--help").stdout.startswith("usage: heatcast ingest")


@pytest.mark.parametrize(
    "name, what",
    [
        ("BTCUSDT-trades-2025-12.csv", "trades"),
        ("BTCUSDT-aggTrades-2025-12.csv", "aggTrades"),
        ("BTCUSDT-4h-2025-12.csv", "4h klines"),
        ("spot/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2025-12.csv", "spot"),
        ("um/monthly/indexPriceKlines/BTCUSDT/5m/BTCUSDT-5m-2025-12.csv", "indexPriceKlines"),
    ],
)
def test_other_kinds_are_an_error_when_named_and_passed_over_in_folders(run, tmp_path, name, what):
    path = write(tmp_path / "x" / name, klines(5))
    named = run("ingest", path)
    reason = f"{what}: only klines of 1m, 5m, 15m, 30m, 1h and metrics of futures are read"
    assert named.returncode == 1
    assert f"{path}: {reason}; it is left out" in named.stderr
    folder = run("ingest", tmp_path / "x")
    assert folder.returncode == 0
    assert f"{path}: skipped: {reason}" in folder.stderr


def test_the_symbol_must_be_told_by_something(run, tmp_path):
    path = write(tmp_path / "december.csv", klines(5))
    result = run("ingest", path)
    assert result.returncode == 1
    assert "december.csv: neither its name nor its folder tells the symbol" in result.stderr


def test_names_that_contradict_their_content_are_refused(run, tmp_path):
    write(tmp_path / "BTCUSDT-1h-2025-12.csv", klines(5))
    write(tmp_path / "BTCUSDT-metrics-2025-12.csv", klines(5))
    write(tmp_path / "ETHUSDT-metrics-2025-12.csv", [metric(T0)], METRICS)
    result = run("ingest", tmp_path)
    assert result.returncode == 1
    assert files(result) == (0, 3, 0)
    assert "BTCUSDT-1h-2025-12.csv: its name says 1h, but line 2 is of 5m; it is left out" in result.stderr
    assert "BTCUSDT-metrics-2025-12.csv: its name says metrics, its content is klines" in result.stderr
    assert "ETHUSDT-metrics-2025-12.csv:2: symbol BTCUSDT in a file of ETHUSDT; the file is left out" in result.stderr


def test_empty_files_are_refused_and_a_header_alone_is_not(run, tmp_path):
    (tmp_path / "BTCUSDT-5m-2025-11.csv").write_bytes(b"")
    write(tmp_path / "BTCUSDT-5m-2025-12.csv", [])
    result = run("ingest", tmp_path / "BTCUSDT-5m-2025-11.csv", tmp_path / "BTCUSDT-5m-2025-12.csv")
    assert result.returncode == 1
    assert "BTCUSDT-5m-2025-11.csv: it is empty; it is left out" in result.stderr
    assert "BTCUSDT-5m-2025-12.csv: BTCUSDT 5m: no rows" in result.stderr
    assert files(result) == (1, 1, 0)


# --- bad rows ---

OK = T0 + 300_000  # the row after the first
BAD_ROWS = {
    "few columns": (kline(OK).rsplit(",", 1)[0], "11 columns instead of 12"),
    "many columns": (kline(OK) + ",", "13 columns instead of 12"),
    "a word": (kline(OK).replace(",1.5,", ",abc,"), "volume 'abc' is not a number"),
    "nothing": (kline(OK).replace(",1.5,", ",,"), "volume '' is not a number"),
    "nan": (kline(OK).replace(",101.0,", ",NaN,"), "high 'NaN' is not a number"),
    "inf": (kline(OK).replace(",101.0,", ",inf,"), "high 'inf' is not a number"),
    "hex": (kline(OK).replace(",101.0,", ",0x7F,"), "high '0x7F' is not a number"),
    "quotes": (kline(OK).replace(",101.0,", ',"101.0",'), "high '\"101.0\"' is not a number"),
    "high below low": (kline(OK).replace(",101.0,", ",98.0,"), "high 98.0 is below low 99.0"),
    "open outside": (f"{OK},300,101,99,100,1,{OK + 299_999},,,,,", "open 300 is outside low 99 to high 101"),
    "close outside": (f"{OK},100,101,99,3,1,{OK + 299_999},,,,,", "close 3 is outside low 99 to high 101"),
    "zero price": (f"{OK},0,101,99,100,1,{OK + 299_999},,,,,", "open 0 is not above 0"),
    "negative price": (f"{OK},100,101,-99,100,1,{OK + 299_999},,,,,", "low -99 is not above 0"),
    "huge price": (f"{OK},100,1e10,99,100,1,{OK + 299_999},,,,,", "high 1e10 is above 1000000000"),
    "negative volume": (kline(OK).replace(",1.5,", ",-1.5,"), "volume -1.5 is negative"),
    "time of 1970": (f"17,1,1,1,1,1,{OK},,,,,", "open_time '17' is outside 2017-01-01 to 2100-01-01"),
    "time of 2101": (kline(4133980800000), "open_time '4133980800000' is outside 2017-01-01 to 2100-01-01"),
    "time before": (kline(T0 - 300_000), f"open_time {T0 - 300_000} is before line 2's: out of order"),
    "time between": (kline(OK + 60_000), f"open_time {OK + 60_000} is no full 5m"),
    "another interval": (kline(OK, "1m"), f"close_time {OK + 59_999} is not 5m after open_time {OK}"),
    "same time, other values": (kline(T0, price=7.5), f"other values than line 2 for the same open_time {T0}"),
    "escape codes": (kline(OK).replace(",1.5,", ",\x1b[2J,"), "volume '?[2J' is not a number"),
    "a header again": (KLINES, "open_time 'open_time' is not a whole number"),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_bad_row_names_file_line_and_reason_and_leaves_the_file_out(run, tmp_path, what):
    row, reason = BAD_ROWS[what]
    bad = write(tmp_path / "BTCUSDT-5m-2025-12.csv", [kline(T0), row, kline(T0 + 600_000)])
    good = write(tmp_path / "ETHUSDT-5m-2025-12.csv", klines(4))
    result = run("ingest", bad, good)
    assert result.returncode == 1
    assert f"{bad}:3: {reason}; the file is left out\n" in result.stderr
    assert (files(result), rows(result)) == ((1, 1, 0), (4, 0, 1))
    assert set(ranges(result)) == {"ETHUSDT 5m"}
    skipping = run("ingest", "--skip-bad-rows", bad)
    assert skipping.returncode == 1
    assert f"{bad}:3: {reason}; the row is left out\n" in skipping.stderr
    assert (files(skipping), rows(skipping)) == ((1, 0, 0), (2, 0, 1))


def test_a_bad_row_of_metrics_names_file_line_and_reason(run, tmp_path):
    path = write(tmp_path / "BTCUSDT-metrics-2025-12-01.csv", [metric(T0), metric(OK, value=-1)], METRICS)
    result = run("ingest", path)
    assert result.returncode == 1
    assert f"{path}:3: sum_open_interest_value -1 is negative; the file is left out\n" in result.stderr
    write(path, [metric(OK), metric(T0), metric(OK, value=5)], METRICS)
    result = run("ingest", path)
    assert f"{path}:4: other values than line 2 for the same create_time; the file is left out\n" in result.stderr


def test_line_numbers_are_the_files_own(run, tmp_path):
    path = write(tmp_path / "BTCUSDT-5m-2025-12.csv", klines(70_000)[:60_000] + ["", "x"], header=None)
    result = run("ingest", path)
    assert f"{path}:60002: 1 column instead of 12; the file is left out\n" in result.stderr
    assert rows(result) == (0, 0, 1)


def test_of_many_bad_rows_the_first_are_told_and_all_are_counted(run, tmp_path):
    path = write(tmp_path / "BTCUSDT-5m-2025-12.csv", klines(5) + ["x"] * 500)
    result = run("ingest", "--skip-bad-rows", path)
    assert rows(result) == (5, 0, 500)
    assert result.stderr.count("the row is left out") == 10
    assert "5 new, 0 known, 500 refused" in result.stderr


def test_a_file_mended_after_it_was_refused_loads(run, tmp_path):
    path = write(tmp_path / "BTCUSDT-5m-2025-12.csv", klines(3) + ["x"])
    assert run("ingest", path).returncode == 1
    write(path, klines(4))
    assert rows(run("ingest", path)) == (4, 0, 0)


# --- archives ---


def make_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, lines in members.items():
            archive.writestr(name, lines if isinstance(lines, (bytes, str)) else text_of(lines, KLINES))
    return path


def test_members_of_archives_load_as_files_do(run, tmp_path):
    archive = make_zip(
        tmp_path / "all.zip",
        {
            "BTCUSDT-5m-2025-12.csv": klines(5),
            "deep/er/ETHUSDT-5m-2025-12.csv": klines(6),
            "SOLUSDT/klines/x.csv": klines(7),
            "../../ADAUSDT-5m-2025-12.csv": klines(8),
            "/etc/XRPUSDT-5m-2025-12.csv": klines(9),
            "__MACOSX/._BTCUSDT-5m-2025-12.csv": b"\0",
            "README.md": "no dump",
            "empty/": "",
        },
    )
    result = run("ingest", archive)
    assert result.returncode == 0, result.stderr
    assert (files(result), rows(result)) == ((5, 0, 2), (35, 0, 0))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.zip", "heatcast.duckdb"]
    assert rows(run("ingest", archive)) == (0, 35, 0)


def test_a_member_without_a_telling_name_has_its_archives(run, tmp_path):
    archive = make_zip(tmp_path / "BTCUSDT-5m-2025-12.zip", {"data.csv": klines(5)})
    assert set(ranges(run("ingest", archive))) == {"BTCUSDT 5m"}


def test_a_bad_row_in_an_archive_names_archive_member_and_line(run, tmp_path):
    archive = make_zip(
        tmp_path / "all.zip",
        {"a/BTCUSDT-5m-2025-12.csv": klines(2) + ["x"], "ETHUSDT-5m-2025-12.csv": klines(3)},
    )
    result = run("ingest", archive)
    assert result.returncode == 1
    assert f"{archive}:a/BTCUSDT-5m-2025-12.csv:4: 1 column instead of 12; the file is left out\n" in result.stderr
    assert (files(result), rows(result)) == ((1, 1, 0), (3, 0, 1))


def test_an_archive_without_dumps_is_an_error_when_named(run, tmp_path):
    archive = make_zip(tmp_path / "x.zip", {"README.md": "no dump"})
    assert "x.zip: the archive holds no CSV file; it is left out" in run("ingest", archive).stderr
    folder = run("ingest", tmp_path)
    assert (folder.returncode, files(folder)[1]) == (0, 0)


def test_broken_archives_are_refused_and_the_rest_goes_on(run, tmp_path):
    good = make_zip(tmp_path / "BTCUSDT-5m-2025-12.zip", {"BTCUSDT-5m-2025-12.csv": klines(5)})
    whole = good.read_bytes()
    cut, none, turned = tmp_path / "1cut.zip", tmp_path / "2none.zip", tmp_path / "3turned.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    none.write_bytes(b"no zip at all")
    make_zip(turned, {"ETHUSDT-5m-2025-12.csv": klines(5000)}, zipfile.ZIP_STORED)
    # The very last volume: only the checksum, at the member's end, can tell.
    data = bytearray(turned.read_bytes())
    at = data.rindex(b",1.5,")
    data[at + 1 : at + 4] = b"2.5"
    turned.write_bytes(data)
    result = run("ingest", tmp_path)
    assert result.returncode == 1
    assert "1cut.zip: it is no zip archive, or a broken one; it is left out" in result.stderr
    assert "2none.zip: it is no zip archive, or a broken one; it is left out" in result.stderr
    assert re.search(r"3turned.zip:ETHUSDT-5m-2025-12.csv: the archive is broken here: .*CRC", result.stderr)
    assert rows(result) == (5, 0, 0)
    assert set(ranges(result)) == {"BTCUSDT 5m"}


def patch_headers(path, local_at, central_at, form, value):
    """Sets a field in all local and central headers of an archive."""
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", local_at), (b"PK\x01\x02", central_at)):
        start = data.find(mark)
        while start >= 0:
            struct.pack_into(form, data, start + at, value)
            start = data.find(mark, start + 4)
    path.write_bytes(data)


def test_an_encrypted_member_is_refused(run, tmp_path):
    archive = make_zip(tmp_path / "x.zip", {"BTCUSDT-5m-2025-12.csv": klines(5)})
    patch_headers(archive, 6, 8, "<H", 1)
    result = run("ingest", archive)
    assert result.returncode == 1
    assert "x.zip:BTCUSDT-5m-2025-12.csv: it is encrypted: decrypt the archive first; it is left out" in result.stderr


def test_a_member_that_is_too_large_is_refused_unread(run, tmp_path):
    archive = make_zip(tmp_path / "x.zip", {"BTCUSDT-5m-2025-12.csv": klines(5)})
    patch_headers(archive, 22, 24, "<I", (1 << 30) + 1)
    result = run("ingest", archive)
    assert result.returncode == 1
    assert "x.zip:BTCUSDT-5m-2025-12.csv: it has more than 1024 MiB; it is left out" in result.stderr


def test_a_member_that_lies_about_its_size_is_refused_when_it_is_reached(run, tmp_path):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        with out.open("BTCUSDT-5m-2025-12.csv", "w") as member:
            member.write(text_of(klines(5), KLINES).encode())
            for _ in range(1024):
                member.write(bytes(1 << 20))
    patch_headers(archive, 22, 24, "<I", 100)
    assert archive.stat().st_size < 10_000_000
    result = run("ingest", archive)
    assert result.returncode == 1
    assert "x.zip:BTCUSDT-5m-2025-12.csv: it has more than 1024 MiB; it is left out" in result.stderr
    assert rows(result) == (0, 0, 0)


def test_names_cannot_write_to_the_terminal(run, tmp_path):
    # An escape, C1 as a character, and as the single byte that 8-bit terminals know.
    write(tmp_path / "BTCUSDT-5m-\x1b[2J\x9b\udc9b.csv", klines(1) + ["x"])
    result = run("ingest", tmp_path)
    assert result.returncode == 1
    assert "\x1b" not in result.stderr and "\x9b" not in result.stderr
    assert "BTCUSDT-5m-?[2J??.csv:3: 1 column instead of 12" in result.stderr


# --- progress ---


def run_on_terminal(heatcast, words, folder, columns=60):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [heatcast, *map(str, words)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=slave,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        seen += part
    os.close(master)
    out = process.stdout.read().decode()
    process.stdout.close()
    return process.wait(), out, seen.decode()


def test_a_terminal_sees_a_bar_that_goes_away(heatcast, tmp_path):
    for day in range(40):
        write(tmp_path / "d" / f"BTCUSDT-1m-{day:02}.csv", klines(5000, T0 + day * 5000 * 60_000, "1m"))
    write(tmp_path / "d" / "BTCUSDT-1m-99.csv", ["x"])
    status, out, seen = run_on_terminal(heatcast, ["ingest", "d"], tmp_path)
    assert status == 1
    assert "rows: 200000 new, 0 known, 1 refused" in out
    bars = re.findall(r"\r(\[[#.]{24}\] +\d+% \d+/41 files, \d+ rows, [^\x1b]*)\x1b\[K", seen)
    assert len(bars) >= 2
    assert all(len(bar) < 60 for bar in bars)
    percents = [int(re.search(r"(\d+)%", bar).group(1)) for bar in bars]
    assert percents == sorted(percents) and percents[-1] <= 100
    assert "\r\x1b[Kd/BTCUSDT-1m-99.csv:2: 1 column instead of 12; the file is left out" in seen
    assert "new" not in seen  # the bar says it


def test_anything_else_sees_a_plain_line_for_each_file(run, tmp_path):
    for month in ("10", "11"):
        write(tmp_path / "d" / f"BTCUSDT-5m-2025-{month}.csv", klines(5, T0 + int(month) * DAY))
    result = run("ingest", "d")
    assert result.stderr == (
        "d/BTCUSDT-5m-2025-10.csv: BTCUSDT 5m: 5 new, 0 known\n"
        "d/BTCUSDT-5m-2025-11.csv: BTCUSDT 5m: 5 new, 0 known\n"
    )
    assert result.stdout.startswith("files: 2 loaded, 0 refused, 0 skipped\nrows: 10 new, 0 known, 0 refused\n")


# --- kills, signals, trouble ---


@pytest.fixture
def many(tmp_path):
    """A folder that takes a while: 60 files of 2000 rows each."""
    for day in range(60):
        write(tmp_path / "many" / f"BTCUSDT-1m-{day:02}.csv", klines(2000, T0 + day * 2000 * 60_000, "1m"))
    return tmp_path / "many"


def start(heatcast, folder, *words):
    return subprocess.Popen(
        [heatcast, "ingest", *map(str, words)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_kill_loses_nothing_that_was_committed_and_the_next_run_completes(heatcast, run, many, tmp_path):
    chance = random.Random(5)
    longest = 0.0
    for attempt in range(25):
        if attempt % 5 == 0:  # from nothing, where the file is being made
            for left in tmp_path.glob("heatcast.duckdb*"):
                left.unlink() if left.is_file() else shutil.rmtree(left)
            began = time.monotonic()
            assert run("ingest", many).returncode == 0
            longest = time.monotonic() - began
            (tmp_path / "heatcast.duckdb").unlink()
        process = start(heatcast, tmp_path, many)
        time.sleep(chance.uniform(0, longest))
        process.kill()
        _, err = process.communicate()
        told = sum(map(int, re.findall(r"(\d+) new", err)))
        half = run("ingest", many / "BTCUSDT-1m-00.csv")
        assert half.returncode == 0, half.stderr
        stored = int(re.search(r"(\d+) candles", ranges(half)["BTCUSDT 1m"]).group(1))
        assert stored >= told and stored % 2000 == 0
    whole = run("ingest", many)
    assert whole.returncode == 0
    assert sum(rows(whole)) == 120_000
    assert ranges(whole)["BTCUSDT 1m"].endswith("120000 candles, no gaps")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["heatcast.duckdb", "many"]


def start_and_signal(heatcast, folder, words, number):
    """A run that got a signal after its first file and before its last."""
    for _ in range(10):  # on a busy machine the run can be over before we are
        for left in folder.glob("heatcast.duckdb*"):
            left.unlink()
        process = start(heatcast, folder, *words)
        first = process.stderr.readline()
        process.send_signal(number)
        if number == signal.SIGSTOP:
            time.sleep(0.05)
            if process.poll() is None:
                return process, "", first
        # Not communicate(): it passes over what readline() has read beyond the first line.
        err, out = first + process.stderr.read(), process.stdout.read()
        if process.wait(60) != 0:
            return process, out, err
    pytest.fail("ten runs were over before a signal reached them")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_rolling_back_the_file_under_way(heatcast, run, many, tmp_path, number):
    process, out, err = start_and_signal(heatcast, tmp_path, [many], number)
    assert process.returncode == 128 + number
    assert f"heatcast: stopped by signal {int(number)}; the files loaded before are stored." in err
    loaded = int(re.search(r"rows: (\d+) new", out).group(1))
    assert 0 < loaded == 2000 * err.count(" new, ")
    rest = run("ingest", many)
    assert rows(rest) == (120_000 - loaded, loaded, 0)


def test_a_second_process_is_told_who_holds_the_file(heatcast, run, many, tmp_path):
    holder, _, _ = start_and_signal(heatcast, tmp_path, [many], signal.SIGSTOP)
    try:
        second = run("ingest", many)
        assert second.returncode == 2
        assert second.stdout == ""
        assert re.fullmatch(
            rf"heatcast: heatcast\.duckdb is in use by \S+ \(PID {holder.pid}\), and only one process "
            r"can have it open: stop that one, or name another file with --db\n",
            second.stderr,
        ), second.stderr
        other = run("ingest", "--db", "other.duckdb", many / "BTCUSDT-1m-00.csv")
        assert other.returncode == 0
    finally:
        holder.send_signal(signal.SIGCONT)
    holder.communicate(timeout=60)
    assert holder.returncode == 0


def test_a_database_that_is_none_is_refused_before_anything_is_read(run, tmp_path):
    path = write(tmp_path / "BTCUSDT-5m-2025-12.csv", klines(5))
    for db, reason in (
        (path, "is not a DuckDB file: name another file with --db, or move this one away"),
        (tmp_path, "is a folder: name a file with --db"),
        (tmp_path / "no" / "x.duckdb", "cannot be made: the folder"),
    ):
        result = run("ingest", "--db", db, path)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith(f"heatcast: {db} {reason}")
    assert path.read_text() == text_of(klines(5), KLINES)


def test_missing_rights_are_told(heatcast):
    if os.geteuid() != 0:
        pytest.skip("needs root, to run as somebody else")
    folder = Path(tempfile.mkdtemp(prefix="heatcast-rights-"))
    try:
        dump = write(folder / "BTCUSDT-5m-2025-12.csv", klines(5))
        folder.chmod(0o755)
        dump.chmod(0o644)

        def as_nobody(db):
            return subprocess.run(
                [heatcast, "ingest", "--db", str(db), str(dump)],
                cwd=folder, user=65534, group=65534, extra_groups=[], capture_output=True, text=True, check=False,
            )

        try:
            result = as_nobody(folder / "x.duckdb")
        except PermissionError:
            pytest.skip(f"{heatcast} is out of other users' reach")
        if result.returncode in (126, 127):
            pytest.skip(f"{heatcast} is out of other users' reach")
        assert result.returncode == 2
        assert f"x.duckdb needs its folder to be writable by this user ({folder}: Permission denied)" in result.stderr
        folder.chmod(0o777)
        subprocess.run([heatcast, "ingest", "--db", "x.duckdb", str(dump)], cwd=folder, check=True, capture_output=True)
        (folder / "x.duckdb").chmod(0o600)
        result = as_nobody(folder / "x.duckdb")
        assert result.returncode == 2
        assert "x.duckdb may not be written: give this user the right" in result.stderr
    finally:
        shutil.rmtree(folder)


def test_a_full_disk_is_told_and_loses_nothing(run, many, tmp_path):
    first = many / "BTCUSDT-1m-00.csv"
    assert run("ingest", first).returncode == 0
    size = (tmp_path / "heatcast.duckdb").stat().st_size

    def bound_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, size + 100_000))

    full = run("ingest", many, preexec_fn=bound_files)
    assert full.returncode == 2, full.stderr
    assert re.search(r"^heatcast: heatcast\.duckdb: .*(File too large|No space left)", full.stderr, re.M)
    assert "the files loaded before are stored. Make room on the disk. Run the same again" in full.stderr
    told = sum(map(int, re.findall(r"(\d+) new", full.stderr)))
    rest = run("ingest", many)
    assert rest.returncode == 0, rest.stderr
    new, known, _ = rows(rest)
    assert new + known == 120_000 and known >= 2000 + told


def test_a_year_of_minutes_loads_in_seconds(run, tmp_path):
    path = write(tmp_path / "BTCUSDT-1m-2024.csv", klines(525_600, T0 - 366 * DAY, "1m"))
    began = time.monotonic()
    result = run("ingest", path)
    took = time.monotonic() - began
    assert rows(result) == (525_600, 0, 0)
    assert took < (10 if os.environ.get("MODE", "release") == "release" else 200)
