"""What a client makes of the messages it gets: an independent reading of docs/protocol.md.

A version is immutable, so that clients which know the same one share it. Numbers are Decimals:
nothing is rounded on the way, and what is written again must be the server's own bytes."""

import json
from collections import namedtuple
from decimal import Decimal
from itertools import accumulate, pairwise

# levels: ((price, long, short), …), ascending
Version = namedtuple("Version", "symbol timestamp seq epoch levels current_price created consumed bin")


class Wrong(Exception):
    """A message that the contract does not allow."""


def demand(condition, what):
    if not condition:
        raise Wrong(what)


def parse(text):
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def number(value):
    """The shortest form, without an exponent."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def read_columns(columns, bin):
    demand(list(columns) == ["prices", "long", "short"], f"columns {list(columns)}")
    prices, longs, shorts = columns.values()
    demand(len(prices) == len(longs) == len(shorts), "columns of different lengths")
    demand(all(step > 0 for step in prices[1:]), "a step that is not positive")
    steps = [prices[0], *(step * bin for step in prices[1:])] if prices else []
    return tuple(zip(accumulate(steps), longs, shorts))


def read_levels(levels, bin):
    if isinstance(levels, dict):
        levels = read_columns(levels, bin)
    else:
        for level in levels:
            demand(list(level) == ["price", "long_density", "short_density"], f"level {list(level)}")
        levels = tuple(tuple(level.values()) for level in levels)
    demand(all(a[0] < b[0] for a, b in pairwise(levels)), "levels do not ascend")
    demand(all(long >= 0 and short >= 0 for _, long, short in levels), "a negative density")
    demand(all(price % bin == 0 for price, _, _ in levels), "a price off the buckets")
    return levels


def is_empty(level):
    return not level[1] and not level[2]


def apply_levels(before, changes):
    """The levels of `before` with the changed ones replaced and the vanished ones gone."""
    levels = {level[0]: level for level in before}
    levels.update((change[0], change) for change in changes)
    return tuple(level for _, level in sorted(levels.items()) if not is_empty(level))


def read_version(message, levels):
    data = message["data"]
    return Version(
        message["symbol"],
        message["timestamp"],
        int(message["seq"]),
        message["epoch"],
        levels,
        data["current_price"],
        data["positions_created"],
        data["positions_consumed"],
        data["price_bin_size"],
    )


def read_snapshot(message):
    levels = read_levels(message["data"]["levels"], message["data"]["price_bin_size"])
    demand(not any(map(is_empty, levels)), "an empty level in a snapshot")
    return read_version(message, levels)


def read_delta(message, before):
    """The version that a delta makes of the one it applies to."""
    demand(before, "a delta without a snapshot before it")
    demand(before.epoch == message["epoch"], f"a delta in epoch {message['epoch']} on {before.epoch}")
    demand(before.seq == message["prev"], f"a delta on seq {message['prev']}, the client has {before.seq}")
    bin = message["data"]["price_bin_size"]
    demand(before.bin == bin, "a delta with another bucket size")
    return read_version(message, apply_levels(before.levels, read_levels(message["data"]["levels"], bin)))


def write_level(level):
    price, long, short = map(number, level)
    return f'{{"price":{price},"long_density":{long},"short_density":{short}}}'


def write_data(version):
    return (
        f'{{"levels":[{",".join(map(write_level, version.levels))}],'
        f'"current_price":{number(version.current_price)},'
        f'"positions_created":{version.created},"positions_consumed":{version.consumed},'
        f'"price_bin_size":{number(version.bin)}}}'
    )


def write_version(version):
    """The snapshot message as everybody gets it who asks for nothing beyond."""
    return (
        f'{{"type":"snapshot","symbol":"{version.symbol}","timestamp":"{version.timestamp}",'
        f'"seq":{version.seq},"epoch":"{version.epoch}","data":{write_data(version)}}}'
    )
