"""The REST door, PROTOCOL section 2, and HTTP as such."""

import gzip
import json
import re
import time
from datetime import datetime
from decimal import Decimal
from itertools import accumulate

import pytest

from dumps import STEP_MS, START_MS, aggregate, iso, ms, read_klines, write_klines, write_metrics
from rude import Rude, RudeSocket
from server import FAST, PATIENCE, SLACK, Server, await_that, ingest

TIMESERIES = "/liquidations/heatmap-timeseries"
KLINES = "/prices/klines"
HOUR = 3_600_000
DAY = 24 * HOUR
INTERVALS = {
    "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": HOUR, "2h": 2 * HOUR, "4h": 4 * HOUR,
    "8h": 8 * HOUR, "12h": 12 * HOUR, "1d": DAY,
}  # fmt: skip
WINDOWS = {
    "48h": (2, "30m"), "3d": (3, "1h"), "7d": (7, "1h"), "14d": (14, "2h"), "30d": (30, "4h"),
    "60d": (60, "8h"), "90d": (90, "12h"), "180d": (180, "1d"), "1y": (365, "1d"),
}  # fmt: skip
BTC_END = "2025-12-31T23:55:00Z"


# --- heatmap timeseries against the reference ---

REFERENCES = [
    "BTCUSDT-15m-100-2", "BTCUSDT-1h-500-3", "BTCUSDT-30m-100-4", "BTCUSDT-5m-100-1",
    "ETHUSDT-1h-10-5", "SOLUSDT-4h-1-6",
]  # fmt: skip


def close_to(ours, reference, terms=1):
    """1e-9 relative, or 0.005 absolute and the rounding to 0.01 of each term."""
    return abs(ours - reference) <= max(abs(reference) * 1e-9, 0.005) + 0.0051 * terms


@pytest.mark.parametrize("name", REFERENCES)
def test_a_whole_request_gives_what_the_original_gave(real, oracle, name):
    reference = json.loads((oracle / f"{name}.json").read_text())
    query = {k: v for k, v in reference["request"].items() if v and k != "stored_klines"}
    answer = real.get(TIMESERIES, **query)
    meta, wanted = answer["meta"], reference["meta"]

    for name in ("symbol", "interval", "start_time", "end_time"):
        assert meta[name] == query[name]
    assert meta["price_bin_size"] == query["price_bin_size"]
    assert meta["price_range"] == wanted["price_range"]
    assert meta["total_snapshots"] == wanted["total_snapshots"] == len(answer["data"])
    assert meta["total_consumed"] == wanted["total_consumed"]
    for side in ("long", "short"):
        assert close_to(meta[f"total_{side}_volume"], wanted[f"total_{side}_volume"])

    assert len(answer["data"]) == len(reference["snapshots"])
    with_levels = 0
    for ours, theirs in zip(answer["data"], reference["snapshots"]):
        for name in ("timestamp", "positions_created", "positions_consumed"):
            assert ours[name] == theirs[name], theirs["timestamp"]
        for side in ("long", "short"):
            total = sum(level[f"{side}_density"] for level in ours["levels"])
            assert close_to(total, theirs[f"{side}_total"], len(ours["levels"]))
        if "levels" in theirs:
            with_levels += 1
            compare_levels(ours["levels"], theirs["levels"])
    assert with_levels > 0


def compare_levels(ours, theirs):
    # What rounds to nothing on both sides is no level of ours.
    theirs = [level for level in theirs if max(level[1:]) >= 0.005]
    assert [level["price"] for level in ours] == [price for price, _, _ in theirs]
    for level, (_, long_density, short_density) in zip(ours, theirs):
        assert close_to(level["long_density"], long_density)
        assert close_to(level["short_density"], short_density)


def test_an_answer_is_written_in_the_canonical_form(real):
    body = real.request(
        TIMESERIES, symbol="BTCUSDT", start_time="2025-12-20", end_time="2025-12-21", interval="1h"
    ).body.decode()
    number, cents = r"(?:0|[1-9]\d*)(?:\.\d*[1-9])?", r"(?:0|[1-9]\d*)(?:\.\d?[1-9])?"
    level = rf'\{{"price":{number},"long_density":{cents},"short_density":{cents}\}}'
    at = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    row = (
        rf'\{{"timestamp":"{at}","levels":\[(?:{level}(?:,{level})*)?\],'
        r'"positions_created":\d+,"positions_consumed":\d+\}'
    )
    meta = r'"meta":\{"symbol":"BTCUSDT",.*\}'
    assert re.fullmatch(rf'\{{"data":\[{row}(?:,{row})*\],{meta}\}}', body)


def test_levels_ascend_and_none_is_empty(real):
    answer = real.get(TIMESERIES, symbol="ETHUSDT", interval="1h", price_bin_size=2.5)
    assert answer["data"]
    for snapshot in answer["data"]:
        prices = [level["price"] for level in snapshot["levels"]]
        assert prices == sorted(set(prices))
        assert all(price % 2.5 == 0 for price in prices)
        assert all(x["long_density"] or x["short_density"] for x in snapshot["levels"])


# --- parameters of the timeseries ---


def test_without_times_it_is_the_seven_days_before_the_newest_data(real):
    meta = real.get(TIMESERIES, symbol="BTCUSDT")["meta"]
    assert (meta["end_time"], meta["interval"]) == (BTC_END, "15m")
    assert ms(meta["start_time"]) == ms(BTC_END) - 7 * DAY


def test_without_a_start_it_is_the_seven_days_before_the_end(real):
    meta = real.get(TIMESERIES, symbol="BTCUSDT", end_time="2025-12-20T12:00:00Z")["meta"]
    assert meta["start_time"] == "2025-12-13T12:00:00Z"
    assert meta["end_time"] == "2025-12-20T12:00:00Z"


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_is_its_span_and_interval_before_the_end(real, window):
    days, interval = WINDOWS[window]
    answer = real.get(TIMESERIES, symbol="BTCUSDT", time_window=window)
    meta = answer["meta"]
    assert (meta["end_time"], meta["interval"]) == (BTC_END, interval)
    assert ms(meta["start_time"]) == ms(BTC_END) - days * DAY
    spelled_out = {k: meta[k] for k in ("symbol", "start_time", "end_time", "interval")}
    assert real.get(TIMESERIES, **spelled_out) == answer


def test_a_window_wins_over_interval_and_start(real):
    given = {"start_time": "2025-12-30", "interval": "5m", "end_time": "2025-12-20T00:00:00Z"}
    meta = real.get(TIMESERIES, symbol="BTCUSDT", time_window="3d", **given)["meta"]
    assert meta["interval"] == "1h"
    assert meta["start_time"] == "2025-12-17T00:00:00Z"


@pytest.mark.parametrize(
    "text, meant",
    [
        ("2025-12-20T10:00:00Z", "2025-12-20T10:00:00Z"),
        ("2025-12-20T10:00:00", "2025-12-20T10:00:00Z"),
        ("2025-12-20 10:00", "2025-12-20T10:00:00Z"),
        ("2025-12-20", "2025-12-20T00:00:00Z"),
        ("2025-12-20T10:00:00.250Z", "2025-12-20T10:00:00.250Z"),
        ("2025-12-20T10:00:00.000000+00:00", "2025-12-20T10:00:00Z"),
        ("2025-12-20T12:30:00+02:30", "2025-12-20T10:00:00Z"),
    ],
)
def test_times_are_iso_8601_in_its_usual_forms(real, text, meant):
    meta = real.get(TIMESERIES, symbol="BTCUSDT", end_time=text, interval="1d")["meta"]
    assert meta["end_time"] == meant


@pytest.mark.parametrize("symbol, size", [("BTCUSDT", 100), ("ETHUSDT", 5), ("SOLUSDT", 0.2)])
def test_the_bucket_is_100_or_the_streams_where_that_is_coarse(real, symbol, size):
    meta = real.get(TIMESERIES, symbol=symbol, interval="4h")["meta"]
    assert meta["price_bin_size"] == size
    stream = {s["symbol"]: s["price_bin_size"] for s in real.get("/symbols")["symbols"]}
    assert stream[symbol] == size


@pytest.mark.parametrize("size", [0.001, 0.25, 1, 1000, 1_000_000])
def test_a_bucket_is_any_number_above_0_up_to_a_million(real, size):
    answer = real.get(TIMESERIES, symbol="BTCUSDT", interval="1d", price_bin_size=size)
    assert answer["meta"]["price_bin_size"] == size
    for level in answer["data"][-1]["levels"]:
        steps = level["price"] / size
        assert abs(steps - round(steps)) < 1e-6


def test_weights_are_normalised_to_1(real):
    query = {"symbol": "BTCUSDT", "interval": "1d"}
    usual = real.get(TIMESERIES, **query)
    for weights in ("5:15,10:30,25:25,50:20,100:10", "100:1,50:2,25:2.5,10:3,5:1.5"):
        assert real.get(TIMESERIES, leverage_weights=weights, **query) == usual
    single = real.get(TIMESERIES, leverage_weights="10:1", **query)
    assert single["meta"]["total_snapshots"] == usual["meta"]["total_snapshots"]
    assert {s["positions_created"] for s in single["data"]} <= {0, 1}


def test_without_data_in_range_the_answer_is_empty_and_zero(real):
    answer = real.get(TIMESERIES, symbol="BTCUSDT", start_time="2025-01-01", end_time="2025-01-02")
    assert answer == {
        "data": [],
        "meta": {
            "symbol": "BTCUSDT",
            "start_time": "2025-01-01T00:00:00Z",
            "end_time": "2025-01-02T00:00:00Z",
            "interval": "15m",
            "total_snapshots": 0,
            "price_range": {"min": 0, "max": 0},
            "total_long_volume": 0,
            "total_short_volume": 0,
            "total_consumed": 0,
            "price_bin_size": 100,
        },
    }


# --- warm-up: REST and the stream are one model ---


def last_with_warmup(server, message, warmup):
    at = message["timestamp"]
    return server.get(
        TIMESERIES,
        symbol=message["symbol"],
        interval=server.get("/symbols")["symbols"][0]["interval"],
        start_time=at,
        end_time=at,
        price_bin_size=message["data"]["price_bin_size"],
        warmup=warmup,
    )["data"]


def test_a_warm_start_gives_the_very_levels_of_the_stream(sim):
    with RudeSocket(sim.address) as client:
        client.subscribe("BTCUSDT", "ETHUSDT", "SOLUSDT", update_interval=0)
        for message in client.take_messages(6, "snapshot"):
            rows = last_with_warmup(sim, message, "30d")
            assert len(rows) == 1
            assert rows[0]["timestamp"] == message["timestamp"]
            assert rows[0]["levels"] == message["data"]["levels"]


def test_a_warm_start_on_real_data_gives_the_levels_of_the_replay(serve, real_db, tmp_path):
    (tmp_path / "copy.duckdb").write_bytes(real_db.read_bytes())
    replay = serve(
        "--feed", "replay", "--replay-speed", "20000", "--ws-update-interval", "0.25",
        "--history", "2y", db=tmp_path / "copy.duckdb",
    )  # fmt: skip
    with RudeSocket(replay.address) as client:
        client.subscribe("BTCUSDT", update_interval=0)
        for message in client.take_messages(4, "snapshot"):
            rows = last_with_warmup(replay, message, "2y")
            assert rows[-1]["timestamp"] == message["timestamp"]
            assert len(message["data"]["levels"]) > 100
            assert rows[-1]["levels"] == message["data"]["levels"]


def test_warming_up_adds_nothing_to_what_is_shown(real):
    query = {"symbol": "BTCUSDT", "interval": "1h", "end_time": "2025-12-20T00:00:00Z"}
    whole = real.get(TIMESERIES, start_time="2025-12-05T00:00:00Z", **query)
    warm = real.get(TIMESERIES, start_time="2025-12-15T00:00:00Z", warmup="10d", **query)
    assert warm["data"] == whole["data"][240:]
    assert warm["meta"]["total_snapshots"] == len(warm["data"]) == 121
    assert warm["meta"]["total_consumed"] == sum(s["positions_consumed"] for s in warm["data"])
    cold = real.get(TIMESERIES, start_time="2025-12-15T00:00:00Z", **query)
    assert cold["data"][0]["levels"] == [] != warm["data"][0]["levels"]


# --- klines ---


def klines_of(body):
    """{open time: exact decimals} of an answer."""
    rows = {}
    for row in json.loads(body, parse_float=Decimal, parse_int=Decimal)["data"]:
        assert list(row) == ["timestamp", "open", "high", "low", "close", "volume"]
        rows[ms(row["timestamp"])] = tuple(row[k] for k in list(row)[1:])
    return rows


def same_candles(ours, theirs):
    assert list(ours) == list(theirs)
    for at in theirs:
        assert ours[at][:4] == theirs[at][:4], iso(at)
        assert abs(ours[at][4] - theirs[at][4]) <= Decimal("1e-9") * theirs[at][4], iso(at)


@pytest.mark.parametrize(
    "symbol, files, interval, start, end",
    [
        *[("BTCUSDT", "*5m*", interval, "2025-12-03", "2025-12-29") for interval in INTERVALS],
        *[("SOLUSDT", "*1h*", i, "2024-06-20", "2024-08-19") for i in list(INTERVALS)[3:]],
        ("ETHUSDT", "*1h*", "4h", "2024-07-01T02:00:00Z", "2024-08-05T12:34:56Z"),
    ],
)
def test_candles_are_the_dumps_aggregated(real, data, symbol, files, interval, start, end):
    step = INTERVALS[interval]
    stored = read_klines((data / symbol / "klines").glob(files))
    start_ms, end_ms = (ms(t if "T" in t else t + "T00:00:00Z") for t in (start, end))
    wanted = aggregate({t: row for t, row in stored.items() if start_ms <= t <= end_ms}, step)
    answer = real.request(KLINES, symbol=symbol, interval=interval, start_time=start, end_time=end)
    assert answer.status == 200
    ours = klines_of(answer.body)
    # The edge buckets may be whole or cut at the request's times.
    inside = [t for t in wanted if start_ms <= t and t + step <= end_ms]
    assert len(inside) > 20
    same_candles({t: ours[t] for t in ours if t in inside}, {t: wanted[t] for t in inside})
    assert answer.json()["count"] == len(ours)
    assert list(ours) == list(wanted)


@pytest.mark.parametrize("query", [{"limit": 2000}, {"start_time": "1999-01-01", "end_time": "1999-01-02"}])
def test_columns_of_candles_are_the_same_numbers(real, query):
    query = query | {"symbol": "BTCUSDT", "interval": "1h"}  # over a gap of months
    wanted = klines_of(real.request(KLINES, **query).body)
    body = real.request(KLINES, format="columns", **query).body
    columns = json.loads(body, parse_float=Decimal, parse_int=Decimal)["columns"]
    assert list(columns) == ["time", "open", "high", "low", "close"]
    assert [time * 1000 for time in accumulate(columns["time"])] == list(wanted)
    prices = zip(*(columns[name] for name in list(columns)[1:]))
    assert list(prices) == [values[:4] for values in wanted.values()]


@pytest.mark.parametrize("interval", ["5m", "1h", "1d"])
@pytest.mark.parametrize("limit", [None, 10, 250, 2000])
def test_the_newest_candles_come_up_to_the_limit(real, data, interval, limit):
    # A wide interval reaches over the sixteen months without data into the older dump.
    stored = read_klines((data / "BTCUSDT" / "klines").glob("*5m*" if interval == "5m" else "*"))
    wanted = aggregate(stored, INTERVALS[interval])
    wanted = dict(list(wanted.items())[-(limit or 100) :])
    query = {"limit": limit} if limit else {}
    answer = real.request(KLINES, symbol="BTCUSDT", interval=interval, **query)
    head = answer.json()
    assert (head["symbol"], head["interval"], head["count"]) == ("BTCUSDT", interval, len(wanted))
    same_candles(klines_of(answer.body), wanted)


def test_the_usual_interval_of_candles_is_15m(real):
    answer = real.get(KLINES, symbol="BTCUSDT")
    assert (answer["interval"], answer["count"]) == ("15m", 100)
    assert answer["data"][-1]["timestamp"] == "2025-12-31T23:45:00Z"
    assert answer == real.get(KLINES, symbol="BTCUSDT", interval="15m", limit=100)


def test_candles_finer_than_the_stored_ones_are_not_invented(real):
    assert real.get(KLINES, symbol="ETHUSDT", interval="5m")["data"] == []


# --- what is refused ---

BAD_TIMES = ["yesterday", "2025", "2025-13-01", "2025-02-30", "2025-12-01T25:00:00Z", "1765000000",
             "2025-12-01T00:00:00Zulu", "2025-12-01T"]  # fmt: skip


@pytest.mark.parametrize(
    "path, query, status, named",
    [
        (TIMESERIES, {}, 422, "symbol"),
        (TIMESERIES, {"symbol": ""}, 422, "symbol"),
        (TIMESERIES, {"symbol": "NOSUCH"}, 400, "NOSUCH"),
        (TIMESERIES, {"symbol": "btcusdt"}, 400, "btcusdt"),
        (TIMESERIES, {"symbol": "€" * 50}, 400, "€"),
        *[(TIMESERIES, {"symbol": "BTCUSDT", "end_time": t}, 400, "end_time") for t in BAD_TIMES],
        (TIMESERIES, {"symbol": "BTCUSDT", "start_time": "x"}, 400, "start_time"),
        (
            TIMESERIES,
            {"symbol": "BTCUSDT", "start_time": "2025-12-02", "end_time": "2025-12-01"},
            400,
            "start_time",
        ),
        *[
            (TIMESERIES, {"symbol": "BTCUSDT", "interval": i}, 422, "interval")
            for i in ("1m", "5M", "1w", "60", "15", "1h ")
        ],
        *[
            (TIMESERIES, {"symbol": "BTCUSDT", "time_window": w}, 422, "time_window")
            for w in ("1h", "48H", "2d", "7", "all")
        ],
        *[
            (TIMESERIES, {"symbol": "BTCUSDT", "price_bin_size": b}, 422, "price_bin_size")
            for b in ("0", "-1", "1000000.01", "1e9", "nan", "inf", "abc", "1,5", "0x10", "1 ")
        ],
        *[
            (TIMESERIES, {"symbol": "BTCUSDT", "leverage_weights": w}, 400, "leverage_weights")
            for w in ("5", "5:", ":1", "7:1", "5:15,7:1", "5:0", "5:-1,10:2", "5:x", "5:1,5:1",
                      "5:1;10:1", "5:nan", "5:1,", "5:1e999", "3:1")
        ],
        *[
            (TIMESERIES, {"symbol": "BTCUSDT", "warmup": w}, 422, "warmup")
            for w in ("30", "d", "-1d", "0d", "1w", "11y", "1.5d", "99999999999d")
        ],
        (KLINES, {}, 422, "symbol"),
        (KLINES, {"symbol": "NOSUCH"}, 400, "BTCUSDT"),
        (KLINES, {"symbol": "BTCUSDT", "interval": "7m"}, 422, "interval"),
        *[
            (KLINES, {"symbol": "BTCUSDT", "limit": n}, 422, "limit")
            for n in ("9", "0", "-1", "2001", "1e2", "10.5", "x", "99999999999999999999", "10x")
        ],
        (KLINES, {"symbol": "BTCUSDT", "start_time": "2025-12-01"}, 422, "end_time"),
        (KLINES, {"symbol": "BTCUSDT", "end_time": "2025-12-01"}, 422, "start_time"),
        (
            KLINES,
            {"symbol": "BTCUSDT", "start_time": "2025-12-02", "end_time": "2025-12-01"},
            400,
            "start_time",
        ),
        (
            KLINES,
            {"symbol": "BTCUSDT", "start_time": "x", "end_time": "2025-12-01"},
            400,
            "start_time",
        ),
        ("/data/date-range", {}, 422, "symbol"),
        ("/data/date-range", {"symbol": "NOSUCH"}, 400, "NOSUCH"),
        ("/heatmap/latest", {}, 422, "symbol"),
        ("/heatmap/latest", {"symbol": "NOSUCH"}, 400, "NOSUCH"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_wrong_is_named(real, path, query, status, named):
    answer = real.request(path, **query)
    assert answer.status == status, answer.body
    assert named in answer.detail


@pytest.mark.parametrize(
    "query, named",
    [
        ("symbol=%zz", "symbol"),
        ("symbol=BTC%", "symbol"),
        ("symbol=BTC%5", "symbol"),
        ("symbol=BTC%00USDT", "symbol"),
        ("symbol=%ff%fe", "symbol"),
        ("symbol=%c0%80", "symbol"),
        ("symbol=BTCUSDT&symbol=BTCUSDT", "symbol"),
        ("symbol=BTCUSDT&interval=1h&interval=1d", "interval"),
        ("symbol=BTCUSDT&interval=%", "interval"),
    ],
)
def test_a_query_that_is_badly_written_is_422(real, query, named):
    for path in (TIMESERIES, KLINES):
        answer = real.request(f"{path}?{query}")
        assert answer.status == 422 and named in answer.detail


def test_a_query_may_be_percent_encoded_and_empty_parameters_count_as_absent(real):
    plain = real.get(KLINES, symbol="BTCUSDT", interval="1h")
    odd = "symbol=%42TC%55SDT&interval=1%68&&limit=&start_time=&end_time&unknown=1"
    assert real.get(f"{KLINES}?{odd}") == plain


def test_more_than_20000_snapshots_are_refused_before_anything_is_computed(real):
    query = {"symbol": "BTCUSDT", "interval": "5m", "end_time": "2026-01-01T00:00:00Z"}
    edge = ms("2026-01-01T00:00:00Z") - 20000 * STEP_MS
    assert real.request(TIMESERIES, start_time=iso(edge), **query).status == 200
    answer = real.request(TIMESERIES, start_time=iso(edge - STEP_MS), **query)
    assert answer.status == 422 and "20000" in answer.detail


def test_more_than_2000000_levels_are_refused(real):
    query = {"symbol": "BTCUSDT", "interval": "5m", "start_time": "2025-12-01"}
    answer = real.request(TIMESERIES, end_time="2025-12-31", price_bin_size="0.01", **query)
    assert answer.status == 422
    assert "2000000" in answer.detail and "price_bin_size" in answer.detail


def test_more_than_50000_candles_are_refused(real):
    query = {"symbol": "BTCUSDT", "interval": "5m", "end_time": "2026-01-01T00:00:00Z"}
    edge = ms("2026-01-01T00:00:00Z") - 50000 * STEP_MS
    assert real.request(KLINES, start_time=iso(edge), **query).status == 200
    answer = real.request(KLINES, start_time=iso(edge - STEP_MS), **query)
    assert answer.status == 422 and "50000" in answer.detail


# --- the other endpoints ---


def test_the_date_range_is_that_of_the_open_interest(real):
    assert real.get("/data/date-range", symbol="BTCUSDT") == {
        "symbol": "BTCUSDT",
        "start_date": "2024-06-19T21:00:00Z",
        "end_date": "2026-01-01T00:00:00Z",
    }


@pytest.fixture
def halves(serve, tmp_path):
    """One symbol has candles only, the other open interest only."""
    write_klines(tmp_path / "dumps", "PRICEUSDT", [100, 101, 102, 101])
    write_metrics(tmp_path / "dumps", "OPENUSDT", [1e6, 2e6, 1.5e6])
    ingest(tmp_path / "halves.duckdb", tmp_path / "dumps")
    return serve(db=tmp_path / "halves.duckdb")


def test_candles_without_open_interest_give_empty_heatmaps(halves):
    assert halves.request("/data/date-range", symbol="PRICEUSDT").status == 404
    assert halves.get(KLINES, symbol="PRICEUSDT", interval="5m")["count"] == 4
    answer = halves.get(TIMESERIES, symbol="PRICEUSDT", interval="5m")
    assert [s["levels"] for s in answer["data"]] == [[], [], [], []]
    latest = halves.get("/heatmap/latest", symbol="PRICEUSDT")
    assert (latest["data"]["levels"], latest["data"]["current_price"]) == ([], 101)


def test_open_interest_without_candles_is_told_as_no_data(halves):
    assert halves.get("/data/date-range", symbol="OPENUSDT") == {
        "symbol": "OPENUSDT",
        "start_date": iso(START_MS),
        "end_date": iso(START_MS + 2 * STEP_MS),
    }
    answer = halves.request("/heatmap/latest", symbol="OPENUSDT")
    assert answer.status == 404 and answer.detail
    assert halves.get(KLINES, symbol="OPENUSDT")["data"] == []
    assert halves.get(TIMESERIES, symbol="OPENUSDT")["data"] == []
    with RudeSocket(halves.address) as client:
        client.subscribe("OPENUSDT", "PRICEUSDT")
        assert client.take_message()["symbol"] == "PRICEUSDT"
        client.pong()


def test_without_any_data_every_door_stays_friendly(serve):
    server = serve()
    assert "no data" in server.lines[-1].lower() or "ingest" in " ".join(server.lines)
    assert server.get("/symbols") == {"symbols": []}
    assert server.get("/health")["symbols"] == 0
    for path in (TIMESERIES, KLINES, "/data/date-range", "/heatmap/latest"):
        answer = server.request(path, symbol="BTCUSDT")
        assert answer.status == 400 and "BTCUSDT" in answer.detail
    with RudeSocket(server.address) as client:
        client.subscribe("BTCUSDT")
        assert client.take_message()["code"] == "INVALID_SYMBOL"


def test_the_newest_snapshot_is_the_very_message_of_the_stream(real):
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        body = real.request("/heatmap/latest", symbol=symbol).body.decode()
        with RudeSocket(real.address) as client:
            client.subscribe(symbol)
            assert client.take_text() == body
        assert real.request("/heatmap/latest", symbol=symbol).body.decode() == body


def test_health_says_what_runs(real, sim):
    health = real.get("/health")
    assert (health["status"], health["service"]) == ("ok", "liquidation-heatmap")
    assert (health["feed"], health["simulated"], health["symbols"]) == ("none", False, 3)
    health = sim.get("/health")
    assert (health["feed"], health["simulated"]) == ("sim", True)
    assert health["update_interval"] == 0.25
    assert sim.get("/ready") == {"status": "ready"}


def test_symbols_say_what_is_stored(real):
    btc, eth, sol = real.get("/symbols")["symbols"]
    assert btc == {
        "symbol": "BTCUSDT",
        "feed": "none",
        "price_bin_size": 100,
        "last_price": btc["last_price"],
        "interval": "5m",
        "start_time": "2025-12-01T00:00:00Z",
        "end_time": BTC_END,
        "open_interest_start": "2024-06-19T21:00:00Z",
        "open_interest_end": "2026-01-01T00:00:00Z",
    }
    assert (eth["symbol"], eth["interval"]) == ("ETHUSDT", "1h")
    assert sol["end_time"] == "2024-08-19T21:00:00Z"
    newest = real.get(KLINES, symbol="BTCUSDT", interval="5m", limit=10)["data"][-1]
    assert btc["last_price"] == newest["close"]


def test_stats_count_the_messages_of_the_last_minute(serve):
    server = serve(*FAST)
    assert server.stats()["messages_sent_1m"] == 0
    with RudeSocket(server.address) as client:
        for _ in range(7):
            client.pong()
        # The last one was written before it was counted.
        server.await_stat("seven pings and pongs", messages_received=7, messages_sent=7, messages_sent_1m=7)


# --- conditional requests and compression ---


CACHEABLE = ["/", "/app.js", "/symbols", f"{TIMESERIES}?symbol=BTCUSDT&interval=1d"]


@pytest.mark.parametrize("target", CACHEABLE)
def test_what_has_not_changed_is_304(real, target):
    first = real.request(target)
    etag = first.headers["ETag"]
    opaque = etag[2:] if etag.startswith("W/") else etag
    assert re.fullmatch(r'"[!#-~]+"', opaque)
    for wanted in (etag, opaque, f'"x", {etag}', "*"):
        for method in ("GET", "HEAD"):
            again = real.request(target, method, headers={"If-None-Match": wanted})
            assert (again.status, again.body) == (304, b""), (wanted, method)
            assert again.headers["ETag"] == etag
    for other in ('"x"', 'W/"0"', opaque[:-2] + '"'):
        again = real.request(target, headers={"If-None-Match": other})
        assert (again.status, again.body) == (200, first.body)


def test_an_etag_changes_with_what_it_stands_for(sim):
    before = sim.request("/heatmap/latest", symbol="BTCUSDT").headers["ETag"]
    await_that(
        lambda: sim.request("/heatmap/latest", symbol="BTCUSDT").headers["ETag"] != before,
        "another snapshot, another etag",
    )


@pytest.mark.parametrize("target", ["/", "/metrics", f"{TIMESERIES}?symbol=BTCUSDT&interval=1d"])
def test_gzip_is_used_when_asked_for_and_holds_the_same(real, target):
    plain = real.request(target)
    assert "Content-Encoding" not in plain.headers
    for accept in ("gzip", "deflate, gzip;q=0.5, br", "*"):
        packed = real.request(target, headers={"Accept-Encoding": accept})
        assert packed.headers["Content-Encoding"] == "gzip", accept
        assert len(packed.body) < len(plain.body)
        if target != "/metrics":
            assert gzip.decompress(packed.body) == plain.body
        assert "accept-encoding" in packed.headers["Vary"].lower()
    for accept in ("identity", "gzip;q=0", "br", ""):
        answer = real.request(target, headers={"Accept-Encoding": accept})
        assert "Content-Encoding" not in answer.headers, accept


@pytest.mark.parametrize("target", [*CACHEABLE, "/health", "/nosuch", f"{TIMESERIES}"])
def test_head_is_get_without_the_body(real, target):
    with Rude(real.address) as client:
        get = client.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
        head = client.ask(f"HEAD {target} HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD")
        again = client.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (head.status, head.body) == (get.status, b"")
    for name in ("Content-Type", "ETag"):
        assert head.headers.get(name) == get.headers.get(name)
    if target != "/health":  # its uptime moves
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert again.status == get.status


# --- CORS ---

FRIEND, FOE = "https://friend.example", "https://foe.example"


def cors_of(server, method="GET", origin=FRIEND, target="/health", **headers):
    answer = server.request(target, method, headers={"Origin": origin, **headers})
    fields = {name.lower(): value for name, value in answer.headers.items()}
    return answer, {name: fields[name] for name in fields if name.startswith("access-")}


def test_without_origins_there_are_no_cors_headers(real):
    for method in ("GET", "OPTIONS"):
        answer, cors = cors_of(real, method, **{"Access-Control-Request-Method": "GET"})
        assert answer.status in (200, 204) and cors == {}


def test_only_configured_origins_may_read(serve):
    server = serve("--cors-allowed-origins", f"{FRIEND}, https://other.example")
    for target in ("/health", "/", "/nosuch", KLINES):
        answer, cors = cors_of(server, target=target)
        assert cors["access-control-allow-origin"] == FRIEND
        assert "ETag" in cors["access-control-expose-headers"]
        assert "Origin" in ",".join(answer.headers.get_all("Vary"))
        answer, cors = cors_of(server, origin=FOE, target=target)
        assert cors == {} and "Origin" in ",".join(answer.headers.get_all("Vary"))


def test_a_preflight_is_answered_for_configured_origins_only(serve):
    server = serve("--cors-allowed-origins", FRIEND)
    wish = {"Access-Control-Request-Method": "GET"}
    answer, cors = cors_of(server, "OPTIONS", target=KLINES, **wish)
    assert (answer.status, answer.body) == (204, b"")
    assert cors["access-control-allow-origin"] == FRIEND
    assert "GET" in cors["access-control-allow-methods"]
    assert "if-none-match" in cors["access-control-allow-headers"].lower()
    answer, cors = cors_of(server, "OPTIONS", origin=FOE, target=KLINES, **wish)
    assert cors == {}


def test_a_star_lets_everybody_read(serve):
    server = serve("--cors-allowed-origins", "*")
    _, cors = cors_of(server, origin=FOE)
    assert cors["access-control-allow-origin"] == "*"


# --- connections ---

GET = "GET /ready HTTP/1.1\r\nHost: x\r\n"


def test_a_connection_serves_many_requests(real):
    with Rude(real.address) as client:
        for target in ("/ready", "/", "/nosuch", KLINES, "/symbols") * 4:
            answer = client.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.status == {"/nosuch": 404, KLINES: 422}.get(target, 200)
            assert "Connection" not in answer.headers


def test_pipelined_requests_are_answered_in_order(real):
    """Slow ones, quick ones and files, whole and cut anywhere."""
    targets = [
        f"{TIMESERIES}?symbol=BTCUSDT&interval=1h", "/ready", "/app.js", "/nosuch", "/symbols",
        f"{KLINES}?symbol=BTCUSDT", "/", "/ws/stats",
    ] * 3  # fmt: skip
    requests = "".join(f"GET {t} HTTP/1.1\r\nHost: x\r\n\r\n" for t in targets).encode()
    alone = {t: real.request(t) for t in set(targets)}
    for piece in (len(requests), 97):
        with Rude(real.address) as client:
            client.send_in_pieces(requests, piece)
            for target in targets:
                answer = client.take_answer()
                assert answer.status == alone[target].status, target
                if target != "/ws/stats":
                    assert answer.body == alone[target].body, target


def test_a_flood_of_pipelined_requests_is_answered_whole(real):
    requests = (GET + "\r\n").encode() * 3000
    with Rude(real.address) as client:
        client.socket.settimeout(PATIENCE)
        client.send(requests)
        for _ in range(3000):
            assert client.take_answer().status == 200


def test_pipelined_requests_are_answered_to_who_has_said_all(real):
    """A half-closed connection still listens."""
    with Rude(real.address) as client:
        first = f"GET {KLINES}?symbol=BTCUSDT HTTP/1.1\r\nHost: x\r\n\r\n"
        client.send((first + GET + "\r\n").encode())
        client.half_close()
        assert client.take_answer().json()["symbol"] == "BTCUSDT"
        assert client.take_answer().json() == {"status": "ready"}
        assert client.is_closed()


def test_who_says_close_is_closed(real):
    with Rude(real.address) as client:
        answer = client.ask(GET + "Connection: close\r\n\r\n")
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert client.is_closed()


def test_http_1_0_ends_after_the_answer_unless_asked_otherwise(real):
    with Rude(real.address) as client:
        assert client.ask("GET /ready HTTP/1.0\r\n\r\n").status == 200
        assert client.is_closed()
    with Rude(real.address) as client:
        client.send(b"GET /ready HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = client.take_answer()
        assert answer.status == 200
        if answer.headers.get("Connection", "").lower() == "keep-alive":
            assert client.ask("GET /ready HTTP/1.0\r\n\r\n").status == 200


def test_requests_may_come_byte_by_byte(real):
    with Rude(real.address) as client:
        client.send_in_pieces((GET + "X: y\r\n\r\n").encode())
        assert client.take_answer().json() == {"status": "ready"}


def test_a_long_answer_reaches_a_slow_reader_whole(real):
    target = f"{TIMESERIES}?symbol=BTCUSDT&interval=15m&start_time=2025-12-10"
    whole = real.request(target).body
    assert len(whole) > 5_000_000
    with Rude(real.address, receive_buffer=65536) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(0.3)
        assert client.take_answer().body == whole
        assert client.ask(GET + "\r\n").status == 200


def test_options_says_what_is_allowed(real):
    for target in ("*", "/", KLINES):
        with Rude(real.address) as client:
            answer = client.ask(f"OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS")
            assert answer.status == 204
            assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize("target", ["/", "/health", KLINES])
def test_other_methods_are_405_with_those_that_work(real, method, target):
    with Rude(real.address) as client:
        answer = client.ask(f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]
        assert answer.detail


@pytest.mark.parametrize(
    "target", ["/nosuch", "/health/", "/HEALTH", "//", "/ws", "/prices", "/api/health", "/%00"]
)
def test_an_unknown_path_is_404(real, target):
    answer = real.request(target)
    assert answer.status in ((400, 404) if "%" in target else (404,))
    assert answer.detail


# --- what is no good HTTP ---


@pytest.mark.parametrize(
    "request_text, status",
    [
        ("hello\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        ("GET /ready\r\n\r\n", 400),
        ("GET  /ready HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /ready HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
        ("GET ready HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /re\x01ady HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /ready#x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /ready HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        ("GET /ready HTTP/1.1\r\n\r\n", 400),
        ("GET /ready HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /ready HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (GET + "no colon\r\n\r\n", 400),
        (GET + ": no name\r\n\r\n", 400),
        (GET + "Name : x\r\n\r\n", 400),
        (GET + " folded: x\r\n\r\n", 400),
        (GET + "X: a\x00b\r\n\r\n", 400),
        (GET + "X: a\rb\r\n\r\n", 400),
        (GET + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (GET + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (GET + "Content-Length: 1, 1\r\n\r\n", 400),
        (GET + "Content-Length: -1\r\n\r\n", 400),
        (GET + "Content-Length: +1\r\n\r\n", 400),
        (GET + "Content-Length: x\r\n\r\n", 400),
        (GET + "Content-Length:\r\n\r\n", 400),
        (GET + "Content-Length: 99999999999999999999999\r\n\r\n", 413),
        (GET + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (GET + "Transfer-Encoding: chunked\r\n\r\n", 411),
        (GET + "Transfer-Encoding: gzip\r\n\r\n", 501),
        ("BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        ("G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /" + "x" * 8192 + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (GET + "X: " + "y" * 8192 + "\r\n\r\n", 431),
        (GET + "X: y\r\n" * 64 + "\r\n", 431),
    ],
)
@pytest.mark.parametrize("piece", [100_000, 61], ids=["whole", "pieces"])
def test_a_bad_head_gets_its_status_and_the_connection_ends(real, request_text, status, piece):
    with Rude(real.address) as client:
        try:
            client.send_in_pieces(request_text.encode("latin-1"), piece)
        except ConnectionError:
            pass  # it did not wait for the end
        answer = client.take_answer()
        assert answer.status == status
        assert answer.detail
        assert answer.headers["Connection"] == "close"
        assert client.is_closed()


def test_a_head_of_exactly_8192_bytes_is_read(real):
    with Rude(real.address) as client:
        head = GET + "X: "
        head += "y" * (8192 - len(head) - 4) + "\r\n\r\n"
        assert len(head) == 8192
        assert client.ask(head).status == 200
        assert client.ask(GET + "".join(f"X{i}: y\r\n" for i in range(63)) + "\r\n").status == 200


def test_a_head_that_does_not_come_is_408_after_five_seconds(real):
    """Whether it stands still or drips."""
    still, dripping = Rude(real.address), Rude(real.address)
    began = time.monotonic()
    still.send(b"GET /rea")
    dripping.send(GET.encode())
    while dripping.is_silent(0.25):
        dripping.send(b"X")
        assert time.monotonic() - began < 8 * SLACK
    for client in (still, dripping):
        answer = client.take_answer()
        assert answer.status == 408 and "5" in answer.detail
        assert 4.5 < time.monotonic() - began < 8 * SLACK
        assert client.is_closed()
        client.close()


def test_a_body_that_nobody_asked_for_is_not_taken_for_a_request(real):
    body = b"GET /symbols HTTP/1.1\r\nHost: x\r\n\r\n"
    with Rude(real.address) as client:
        client.send((GET + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
        answer = client.take_answer()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert client.is_closed()


def test_a_big_upload_is_refused_without_breaking_the_answer(real):
    with Rude(real.address) as client:
        client.send(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
        try:
            for _ in range(30):
                client.send(b"x" * 100_000)
        except ConnectionError:
            pass
        assert client.take_answer().status == 405


# --- the page ---

FILES = {
    "/": "text/html; charset=utf-8",
    "/index.html": "text/html; charset=utf-8",
    "/app.js": "text/javascript; charset=utf-8",
    "/style.css": "text/css; charset=utf-8",
    "/favicon.svg": "image/svg+xml",
    "/vendor/lightweight-charts.mjs": "text/javascript; charset=utf-8",
    "/vendor/lightweight-charts-LICENSE": "text/plain; charset=utf-8",
}


@pytest.mark.parametrize("path", FILES)
def test_the_page_is_served_with_types_and_a_strict_policy(real, path):
    answer = real.request(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, FILES[path])
    policy = answer.headers.get("Content-Security-Policy", "")
    assert bool(policy) == FILES[path].startswith(("text/html", "image/svg"))  # what may run scripts
    if policy:
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy and "script-src 'unsafe-inline'" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert datetime.strptime(answer.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")


def test_everything_that_the_page_asks_for_is_there(real):
    seen, to_see = set(), {"/"}
    while to_see:
        path = to_see.pop()
        seen.add(path)
        answer = real.request(path)
        assert answer.status == 200, path
        if not path.endswith((".js", ".mjs", "/")) or "/vendor/" in path:
            continue
        text = answer.body.decode()
        named = re.findall(r'(?:src|href)="([^":#]+)"', text)
        named += re.findall(r'^(?:import|export)\b[^;]*?\bfrom\s+"(\.?/[^"]+)"', text, re.M)
        to_see |= {"/" + n.removeprefix(".").removeprefix("/") for n in named} - seen
    assert len(seen) > 5


@pytest.mark.parametrize("own_root", [False, True])
@pytest.mark.parametrize(
    "target",
    [
        "/../secret", "/../../etc/passwd", "/%2e%2e/secret", "/..%2fsecret", "/..%5csecret",
        "/vendor/../../secret", "/./secret", "//etc/passwd", "/app.js/../../secret", "/secret",
        "/node_modules/", "/package.json", "/test/", "/app.js%00", "/.git/config",
    ],
)  # fmt: skip
def test_nothing_but_the_page_can_be_read(request, target, own_root):
    server = request.getfixturevalue("root_server" if own_root else "sim")
    with Rude(server.address) as client:
        answer = client.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.status in (400, 404)
        assert b"secret words" not in answer.body and b"root:" not in answer.body


@pytest.fixture(scope="module")
def root_server(tmp_path_factory):
    """A server whose page lies in a folder beside something it must not show."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "secret").write_text("secret words")
    (folder / "web").mkdir()
    (folder / "web" / "secret").write_text("secret words")
    (folder / "web" / "app.js").write_text("// mine\n")
    server = Server("--web-root", folder / "web", db=folder / "root.duckdb")
    server.root = folder / "web"
    yield server
    server.stop()


def test_a_web_root_is_read_anew_for_each_request(root_server):
    first = root_server.request("/app.js")
    assert first.body == b"// mine\n"
    assert first.headers["Content-Type"] == FILES["/app.js"]
    (root_server.root / "app.js").write_text("// changed\n")
    stale = {"If-None-Match": first.headers["ETag"]}
    assert root_server.request("/app.js", headers=stale).body == b"// changed\n"
    assert root_server.request("/style.css").status == 404
    assert root_server.get("/ready") == {"status": "ready"}


# --- many requests ---


def heavy(method="HEAD"):
    """A tenth of a second of work; by HEAD, without megabytes to read."""
    target = f"{TIMESERIES}?symbol=BTCUSDT&interval=15m&start_time=2025-12-01&price_bin_size=50"
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def test_one_address_has_at_most_16_requests_under_way(serve, real_db, tmp_path):
    (tmp_path / "copy.duckdb").write_bytes(real_db.read_bytes())
    server = serve("--store-threads", "1", db=tmp_path / "copy.duckdb")
    crowd = [Rude(server.address, source="127.0.0.7") for _ in range(24)]
    for client in crowd:
        client.send(heavy())
    with Rude(server.address, source="127.0.0.9") as other:
        light = f"GET {KLINES}?symbol=ETHUSDT&interval=1h HTTP/1.1\r\nHost: x\r\n\r\n"
        assert other.ask(light).status == 200
        # No query, however slow, delays what needs none.
        began = time.monotonic()
        assert other.ask(GET + "\r\n").status == 200
        assert time.monotonic() - began < 1 * SLACK
    answers = [client.take_answer("HEAD") for client in crowd]
    refused = [a for a in answers if a.status == 429]
    assert {a.status for a in answers} == {200, 429}
    assert 1 <= len(refused) <= 8
    assert all(int(a.headers["Retry-After"]) > 0 for a in refused)
    assert len({a.headers["ETag"] for a in answers if a.status == 200}) == 1
    for client in crowd:
        client.close()
    with Rude(server.address, source="127.0.0.7") as again:
        assert again.ask(GET + "\r\n").status == 200


def test_beyond_the_queue_requests_are_told_to_come_later(serve, real_db, tmp_path):
    (tmp_path / "copy.duckdb").write_bytes(real_db.read_bytes())
    server = serve("--store-threads", "1", db=tmp_path / "copy.duckdb")
    blockers = [Rude(server.address, source=f"127.0.1.{i}") for i in range(1, 5)]
    for client in blockers:
        client.send(heavy())
    light = f"GET {KLINES}?symbol=ETHUSDT&interval=1h HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    crowd = [Rude(server.address, source=f"127.0.2.{i // 15 + 1}") for i in range(300)]
    for client in crowd:
        client.send(light)
    answers = [client.take_answer() for client in crowd]
    statuses = {a.status for a in answers}
    assert statuses <= {200, 503} and 200 in statuses
    for answer in answers:
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) > 0 and answer.detail
    for client in blockers + crowd:
        client.close()
    assert server.get("/ready") == {"status": "ready"}


def test_who_leaves_before_the_answer_costs_nothing(serve, real_db, tmp_path):
    (tmp_path / "copy.duckdb").write_bytes(real_db.read_bytes())
    server = serve(db=tmp_path / "copy.duckdb")
    for i in range(12):
        client = Rude(server.address)
        client.send(heavy("GET"))
        client.close() if i % 2 else client.reset()
    server.await_stat("all gone", connections=1)
    assert server.get(KLINES, symbol="BTCUSDT")["count"] == 100
    # And it can be stopped with work under way.
    late = Rude(server.address)
    late.send(heavy("GET"))
    server.stop()
    late.close()
