"""Market data dumps: reading the real ones, and writing small ones."""

import csv
from datetime import datetime, timezone
from decimal import Decimal

KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore"
)
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
STEP_MS = 300_000
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def iso(time_ms):
    text = datetime.fromtimestamp(time_ms / 1000, timezone.utc).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def ms(text):
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def write_klines(folder, symbol, closes, start_ms=START_MS):
    """5m candles that close at these prices, each opening at the one before."""
    lines = [KLINES]
    for i, close in enumerate(closes):
        at, before = start_ms + i * STEP_MS, closes[max(i - 1, 0)]
        high, low = max(before, close), min(before, close)
        lines.append(f"{at},{before},{high},{low},{close},1,{at + STEP_MS - 1},,,,,0")
    folder.mkdir(exist_ok=True)
    (folder / f"{symbol}-5m-2026-01.csv").write_text("\n".join(lines) + "\n")


def write_metrics(folder, symbol, values, start_ms=START_MS):
    """Open interest of these values in USDT, every five minutes."""
    lines = [METRICS]
    for i, value in enumerate(values):
        at = iso(start_ms + i * STEP_MS).replace("T", " ").rstrip("Z")
        lines.append(f"{at},{symbol},{value / 100},{value},,,,")
    folder.mkdir(exist_ok=True)
    (folder / f"{symbol}-metrics-2026-01.csv").write_text("\n".join(lines) + "\n")


def read_klines(files):
    """{open time: (open, high, low, close, volume)} of dump files, in exact decimals."""
    rows = {}
    for file in files:
        with open(file) as lines:
            for row in csv.DictReader(lines):
                rows[int(row["open_time"])] = tuple(
                    Decimal(row[k]) for k in ("open", "high", "low", "close", "volume")
                )
    return dict(sorted(rows.items()))


def aggregate(rows, interval_ms):
    """Candles of a wider interval, aligned to the epoch."""
    wide = {}
    for at, (first, high, low, last, volume) in rows.items():
        bucket = at - at % interval_ms
        if bucket in wide:
            before = wide[bucket]
            wide[bucket] = (
                before[0],
                max(before[1], high),
                min(before[2], low),
                last,
                before[4] + volume,
            )
        else:
            wide[bucket] = (first, high, low, last, volume)
    return wide
