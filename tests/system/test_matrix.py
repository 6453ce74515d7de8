"""format=matrix of the timeseries: one byte a cell, held against the same request as JSON; and
columns_at, the exact numbers of some columns."""

import gzip
import itertools
import json
import zlib

import pytest

from dumps import START_MS, STEP_MS, iso, ms, write_klines, write_metrics
from server import ingest

TIMESERIES = "/liquidations/heatmap-timeseries"
FIELDS = (
    "symbol interval start_time step_seconds columns rows price_min price_bin_size scale gaps coding "
    "clipped meta"
).split()


class Matrix:
    """An answer, decoded as docs/protocol.md says."""

    def __init__(self, body):
        head, cells = body.split(b"\n", 1)
        self.head = json.loads(head)
        assert list(self.head) == FIELDS
        assert self.head["coding"] == "delta" and self.head["scale"]["steps"] == 255
        rows = self.head["rows"]
        assert len(cells) == self.head["columns"] * rows
        self.columns, before = [], bytes(rows)
        for c in range(self.head["columns"]):
            steps = cells[c * rows : (c + 1) * rows]
            before = bytes((a + b) & 255 for a, b in zip(before, steps))
            self.columns.append(before)

    @property
    def ratio(self):
        """What a total may be off by, either way."""
        scale = self.head["scale"]
        return (scale["max"] / scale["min"]) ** (0.5 / (scale["steps"] - 1))

    def total(self, byte):
        scale = self.head["scale"]
        if not byte:
            return 0
        return scale["min"] * (scale["max"] / scale["min"]) ** ((byte - 1) / (scale["steps"] - 1))

    def times(self):
        start = ms(self.head["start_time"])
        return [start + i * self.head["step_seconds"] * 1000 for i in range(self.head["columns"])]

    def gaps(self):
        """The times of the columns without a candle."""
        times = self.times()
        return [t for first, count in self.head["gaps"] for t in times[first : first + count]]

    def row(self, price):
        return round((price - self.head["price_min"]) / self.head["price_bin_size"])


def ask(server, **query):
    answer = server.request(TIMESERIES, format="matrix", **query)
    assert answer.status == 200, answer.body[:500]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    return Matrix(answer.body)


def totals_of(snapshot):
    return {x["price"]: x["long_density"] + x["short_density"] for x in snapshot["levels"]}


def assert_same(matrix, rows):
    """The matrix says what these snapshots say, to half a step, and nothing else."""
    cells = {t: column for t, column in zip(matrix.times(), matrix.columns)}
    shown = {ms(row["timestamp"]): totals_of(row) for row in rows}
    assert sorted(shown) == sorted(set(cells) - set(matrix.gaps()))
    for t in matrix.gaps():
        assert not any(cells[t])
    for t, totals in shown.items():
        assert sum(map(bool, cells[t])) == len(totals), iso(t)
        for price, total in totals.items():
            told = matrix.total(cells[t][matrix.row(price)])
            assert max(total / told, told / total) <= matrix.ratio * (1 + 1e-9), (iso(t), price)
    seen = [total for totals in shown.values() for total in totals.values()]
    scale = matrix.head["scale"]
    assert [scale["min"], scale["max"]] == pytest.approx([min(seen), max(seen)], rel=1e-12)


# --- on real data ---


@pytest.mark.parametrize(
    "query",
    [
        {"symbol": "BTCUSDT", "interval": "5m", "start_time": "2025-12-29"},
        {"symbol": "BTCUSDT", "interval": "5m", "start_time": "2025-12-30T00:02:00Z",
         "warmup": "5d", "price_bin_size": "500"},
        {"symbol": "BTCUSDT", "time_window": "7d", "price_bin_size": "50"},
        {"symbol": "BTCUSDT", "time_window": "1y", "leverage_weights": "5:1"},
        {"symbol": "BTCUSDT", "time_window": "48h", "price_bin_size": "12.5",
         "end_time": "2025-12-20T10:10:10Z", "leverage_weights": "100:1,50:3"},
        {"symbol": "ETHUSDT", "time_window": "14d", "warmup": "30d"},
        {"symbol": "SOLUSDT", "interval": "1h", "price_bin_size": "0.025",
         "start_time": "2024-08-01", "end_time": "2024-08-08"},
    ],
)  # fmt: skip
def test_a_matrix_says_what_the_json_says(real, query):
    exact = real.get(TIMESERIES, **query)
    matrix = ask(real, **query)
    assert matrix.head["meta"] == exact["meta"]
    for name in ("symbol", "interval", "price_bin_size"):
        assert matrix.head[name] == exact["meta"][name]
    assert matrix.head["clipped"] is False
    assert len(exact["data"]) > 20
    assert_same(matrix, exact["data"])


def test_it_is_compressed_for_who_takes_that(real):
    query = {"symbol": "BTCUSDT", "interval": "5m", "start_time": "2025-12-29", "format": "matrix"}
    plain = real.request(TIMESERIES, **query)
    packed = real.request(TIMESERIES, headers={"Accept-Encoding": "gzip"}, **query)
    assert packed.headers["Content-Encoding"] == "gzip" and packed.headers["ETag"] == plain.headers["ETag"]
    assert gzip.decompress(packed.body) == plain.body
    fast = zlib.compressobj(1, wbits=31)
    assert len(packed.body) < 0.75 * len(fast.compress(plain.body) + fast.flush())


def test_json_is_what_comes_without_a_format(real):
    query = {"symbol": "BTCUSDT", "time_window": "3d"}
    bare = real.request(TIMESERIES, **query).body
    assert bare == real.request(TIMESERIES, format="json", **query).body
    assert bare == real.request(TIMESERIES, format="", **query).body


@pytest.mark.parametrize("format", ["xml", "JSON", "matrix ", "columns"])
def test_another_format_is_422(real, format):
    answer = real.request(TIMESERIES, symbol="BTCUSDT", format=format)
    assert answer.status == 422 and "json or matrix" in answer.detail


# --- gaps and edges, on data made for it ---


@pytest.fixture(scope="module")
def holes(tmp_path_factory):
    """Candles at 5m with holes of 1, 2 and 30 of them; the open interest goes on meanwhile."""
    folder = tmp_path_factory.mktemp("holes")
    parts, at = [], 0
    for part, (count, hole) in enumerate([(50, 1), (3, 2), (40, 30), (20, 0)]):
        closes = [1000 + (at + i) * 37 % 90 for i in range(count)]
        write_klines(folder / str(part), "GAPUSDT", closes, START_MS + at * STEP_MS)
        parts.append(folder / str(part))
        at += count + hole
    write_metrics(folder / "0", "GAPUSDT", [10_000 + i * i for i in range(at)])
    ingest(folder / "gap.duckdb", *parts)
    return folder / "gap.duckdb", at


@pytest.fixture(scope="module")
def gappy(holes):
    from server import Server

    server = Server(db=holes[0])
    yield server
    server.stop()


@pytest.mark.parametrize("interval", ["5m", "15m", "30m", "1h"])
@pytest.mark.parametrize("size", [0.5, 3, 100])
def test_columns_that_have_no_candle_are_told_and_empty(gappy, interval, size):
    query = {"symbol": "GAPUSDT", "interval": interval, "price_bin_size": size}
    matrix = ask(gappy, **query)
    assert_same(matrix, gappy.get(TIMESERIES, **query)["data"])
    if interval == "5m":
        assert matrix.head["gaps"] == [[50, 1], [54, 2], [96, 30]]
    assert matrix.head["gaps"]
    flat = list(itertools.chain(*((first, first + count) for first, count in matrix.head["gaps"])))
    assert flat == sorted(set(flat)) and flat[0] > 0 and flat[-1] < matrix.head["columns"]


def test_spans_that_begin_or_end_in_a_hole_begin_and_end_with_a_candle(gappy):
    query = {
        "symbol": "GAPUSDT", "interval": "5m", "price_bin_size": 1,
        "start_time": iso(START_MS + 55 * STEP_MS), "end_time": iso(START_MS + 110 * STEP_MS),
    }  # fmt: skip
    matrix = ask(gappy, **query)
    assert ms(matrix.head["start_time"]) == START_MS + 56 * STEP_MS
    assert (matrix.head["columns"], matrix.head["gaps"]) == (40, [])
    assert_same(matrix, gappy.get(TIMESERIES, **query)["data"])


def test_a_span_without_data_has_neither_columns_nor_rows(gappy):
    matrix = ask(gappy, symbol="GAPUSDT", start_time="2020-01-01", end_time="2020-01-02")
    assert matrix.head["columns"] == matrix.head["rows"] == matrix.head["price_min"] == 0
    assert matrix.head["scale"] == {"min": 0, "max": 0, "steps": 255}
    assert matrix.head["start_time"] == "2020-01-01T00:00:00Z"
    assert matrix.head["meta"]["total_snapshots"] == 0


def test_columns_without_a_level_have_no_rows(gappy):
    """The first interval has no change of open interest."""
    at = iso(START_MS)
    matrix = ask(gappy, symbol="GAPUSDT", interval="5m", start_time=at, end_time=at)
    assert (matrix.head["columns"], matrix.head["rows"], matrix.head["gaps"]) == (1, 0, [])


# --- its limits ---


def test_beyond_8192_rows_those_farthest_from_the_price_are_left_out(real):
    query = {"symbol": "BTCUSDT", "interval": "8h", "start_time": "2025-12-20", "price_bin_size": 2}
    matrix = ask(real, **query)
    exact = real.get(TIMESERIES, **query)
    assert matrix.head["clipped"] is True and matrix.head["rows"] == 8192
    candles = real.get("/prices/klines", symbol="BTCUSDT", interval="8h", limit=10)
    price = candles["data"][-1]["close"]
    low, high = matrix.head["price_min"], matrix.head["price_min"] + 8192 * 2
    assert low < price < high and abs((low + high) / 2 - price) <= 4
    inside = [
        {**row, "levels": [x for x in row["levels"] if low <= x["price"] < high]}
        for row in exact["data"]
    ]
    assert inside != exact["data"]
    assert_same(matrix, inside)
    assert matrix.head["meta"] == exact["meta"]


def test_more_levels_than_json_may_have_are_no_matter(real):
    query = {"symbol": "BTCUSDT", "interval": "5m", "start_time": "2025-12-01", "price_bin_size": 25}
    refused = real.request(TIMESERIES, **query)
    assert refused.status == 422 and "2000000 levels" in refused.detail
    answer = real.request(TIMESERIES, format="matrix", **query)
    assert answer.status == 200
    head = json.loads(answer.body.split(b"\n", 1)[0])
    assert head["columns"] > 8900 and head["columns"] * head["rows"] > 2_000_000


def test_more_cells_than_a_matrix_may_have_are_422(real):
    answer = real.request(
        TIMESERIES, symbol="BTCUSDT", interval="5m", start_time="2025-12-01", price_bin_size="10",
        format="matrix",
    )  # fmt: skip
    assert answer.status == 422 and "16777216" in answer.detail


def test_answers_that_were_given_take_nothing_any_more(real):
    """512 MiB of answers may be in the making: more than that, one after the other."""
    query = {"symbol": "BTCUSDT", "interval": "5m", "start_time": "2025-12-25", "price_bin_size": 1}
    size = 0
    while size <= 512 << 20:
        answer = real.request(TIMESERIES, format="matrix", **query)
        assert answer.status == 200
        size += len(answer.body)


# --- columns_at ---


def test_some_columns_are_those_of_the_whole_answer(real):
    query = {
        "symbol": "BTCUSDT", "interval": "1h", "start_time": "2025-12-20T00:30:00Z",
        "end_time": "2025-12-24", "price_bin_size": "250", "warmup": "3d",
        "leverage_weights": "25:1,50:1",
    }  # fmt: skip
    whole = real.get(TIMESERIES, **query)["data"]
    for chosen in ([0], [len(whole) - 1], [40], [41, 40, 90], list(range(0, 96, 3))):
        times = ",".join(whole[i]["timestamp"] for i in chosen)
        answer = real.get(TIMESERIES, columns_at=times, **query)
        assert answer["data"] == [whole[i] for i in sorted(chosen)]
        assert answer["meta"]["total_snapshots"] == len(chosen)
        assert answer["meta"]["total_consumed"] == sum(
            x["positions_consumed"] for x in answer["data"]
        )


def test_a_moment_stands_for_the_column_that_it_is_in(real):
    query = {"symbol": "BTCUSDT", "interval": "1h", "start_time": "2025-12-20"}
    there = real.get(TIMESERIES, columns_at="2025-12-23T10:00:00Z", **query)
    assert [row["timestamp"] for row in there["data"]] == ["2025-12-23T10:00:00Z"]
    for same in ("2025-12-23T10:59:59.999Z", "2025-12-23T12:20:00+02:00", "2025-12-23T10:00:00Z," * 3):
        assert real.get(TIMESERIES, columns_at=same, **query) == there
    assert real.get(TIMESERIES, columns_at="", **query)["meta"]["total_snapshots"] > 200


def test_a_column_that_has_no_candle_is_left_out(gappy):
    times = [iso(START_MS + i * STEP_MS) for i in (49, 50, 51)]
    query = {"symbol": "GAPUSDT", "interval": "5m", "columns_at": ",".join(times)}
    answer = gappy.get(TIMESERIES, **query)
    assert [row["timestamp"] for row in answer["data"]] == [times[0], times[2]]


@pytest.mark.parametrize(
    "columns_at, status, word",
    [
        ("noon", 400, "ISO 8601"),
        ("2025-12-21,,2025-12-22", 400, "ISO 8601"),
        ("2025-12-19T23:59:59Z", 422, "outside"),
        ("2025-12-22T01:00:00Z", 422, "outside"),
        (",".join(["2025-12-21"] * 33), 422, "32"),
    ],
)
def test_columns_that_cannot_be_are_refused(real, columns_at, status, word):
    query = {"symbol": "BTCUSDT", "interval": "1h", "start_time": "2025-12-20", "end_time": "2025-12-22"}
    answer = real.request(TIMESERIES, columns_at=columns_at, **query)
    assert answer.status == status and "columns_at" in answer.detail and word in answer.detail


def test_a_matrix_has_all_its_columns(real):
    answer = real.request(
        TIMESERIES, symbol="BTCUSDT", format="matrix", columns_at="2025-12-31T00:00:00Z"
    )
    assert answer.status == 422 and "json" in answer.detail
