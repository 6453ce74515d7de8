"""What is broadcast: snapshots, each as a whole message, as heatcast's POST body, and deflated.

A payload file is what bench/load reads: for each payload its size, a line feed, its bytes.
"""

import json
import os
import random
import re
import subprocess
import zlib
from decimal import Decimal
from pathlib import Path

MESSAGE_BYTES = 8192
COUNT = 450
REAL_COUNT = 16

ENVELOPE = (
    '{"type":"snapshot","symbol":"BENCH","timestamp":"2025-12-29T10:00:00Z",'
    '"seq":%d,"epoch":"mwsqhchb","data":%s}'
)


def density(chance):
    """A number of constant length in its shortest form."""
    return "%d.%d%d" % (chance.randrange(100000, 1000000), chance.randrange(10), chance.randrange(1, 10))


def made_data(index, level_count, padding):
    """A snapshot's data in which every density differs from the last one's, as it does when open
    interest falls. Its price tells which one it is."""
    chance = random.Random(index)
    levels = ",".join(
        '{"price":%d,"long_density":%s,"short_density":%s}' % (60000 + 100 * i, density(chance), density(chance))
        for i in range(level_count)
    )
    return (
        '{"levels":[%s],"current_price":%d,"positions_created":%d,"positions_consumed":5,"price_bin_size":100}'
        % (levels, 90000 + index, 10 ** padding)
    )


def made(count=COUNT):
    """Payloads whose whole message has MESSAGE_BYTES, but for the digits of heatcast's own seq."""
    level_count = 1
    while len(ENVELOPE % (1000, made_data(0, level_count + 1, 0))) <= MESSAGE_BYTES:
        level_count += 1
    padding = min(8, MESSAGE_BYTES - len(ENVELOPE % (1000, made_data(0, level_count, 0))))
    return [made_data(i, level_count, padding) for i in range(count)]


def real(heatcast, folder, market_data):
    """Data of consecutive snapshots of real market data, where it is there; else of the simulated
    market. Returns where they are from, and the list."""
    database = folder / "payload.duckdb"
    if market_data.is_dir():
        origin, feed = "a replay of BTCUSDT, December 2025", "replay"
        run_quietly([heatcast, "ingest", "--db", database, market_data])
    else:
        origin, feed = "the simulated market", "sim"
    server = subprocess.Popen(
        [heatcast, "serve", "--db", database, "--feed", feed, "--listen", "127.0.0.1:0",
         "--replay-speed", "3000", "--sim-speed", "3000", "--ws-update-interval", "0.05", "--log-level", "error"],
        stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"127\.0\.0\.1:\d+", server.stdout.readline()).group()
        lines = subprocess.run(
            [heatcast, "tail", "--count", str(REAL_COUNT), "--timeout", "30", address, "BTCUSDT"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout.splitlines()
    finally:
        server.terminate()
        server.wait()
    return origin, [line[line.index('"data":') + 7:-1] for line in lines if '"data":' in line]


def run_quietly(command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def deflated(message):
    """As permessage-deflate has it, with the settings of heatcast's own."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15, 8)
    return (deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


def in_columns(data):
    """The same for POST /publish, in the form that is the shortest to read: heatcast's clients get
    levels all the same."""
    parsed = json.loads(data, parse_float=Decimal)
    levels, size = parsed["levels"], parsed["price_bin_size"]
    prices = [level["price"] for level in levels]
    steps = prices[:1] + [int((b - a) / size) for a, b in zip(prices, prices[1:])]
    columns = (
        steps,
        [level["long_density"] for level in levels],
        [level["short_density"] for level in levels],
    )
    texts = ",".join(
        '"%s":[%s]' % (name, ",".join(map(str, column)))
        for name, column in zip(("prices", "long", "short"), columns)
    )
    return '{"levels":{%s}%s' % (texts, data[data.index("]") + 1 :])


def write(path, payloads):
    with open(path, "wb") as file:
        for payload in payloads:
            file.write(b"%d\n" % len(payload))
            file.write(payload)


def write_all(folder, name, datas):
    """The three files; returns the size of a message and of a deflated one."""
    messages = [(ENVELOPE % (1000 + i, data)).encode() for i, data in enumerate(datas)]
    small = [deflated(message) for message in messages]
    write(folder / f"{name}.message", messages)
    write(folder / f"{name}.data", [in_columns(data).encode() for data in datas])
    write(folder / f"{name}.deflated", small)
    for data in datas:
        json.loads(data)
    return len(messages[0]), len(small[0])


def market_data_folder(root):
    return Path(os.environ.get("HEATCAST_TEST_DATA", root / ".." / "shared" / "data")).resolve() / "BTCUSDT"
