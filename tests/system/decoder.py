"""An independent reader of heatmap messages: keeps a state by wholes and differences, exactly.

Written from docs/protocol.md alone. Numbers are decimals and whole cents, never floats, and a state
is written again in the canonical form, so that bytes can be compared with bytes."""

import copy
import json
from decimal import Decimal

FACTS = ("current_price", "positions_created", "positions_consumed", "price_bin_size")


def parse(text):
    return json.loads(text, parse_float=Decimal)


def written(number):
    """The shortest form: no exponent, no zeros at the end."""
    text = format(Decimal(number), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def whole(number):
    assert number == int(number), f"{number} is not whole"
    return int(number)


def cents(density):
    return whole(Decimal(density) * 100)


def rows_of(data):
    """(bucket, long cents, short cents) of the levels or columns of a message."""
    levels, bin_size = data["levels"], Decimal(data["price_bin_size"])
    if isinstance(levels, list):
        for level in levels:
            assert list(level) == ["price", "long_density", "short_density"], level
        prices = [whole(Decimal(level["price"]) / bin_size) for level in levels]
        sides = [(level["long_density"], level["short_density"]) for level in levels]
    else:
        assert list(levels) == ["prices", "long", "short"]
        assert len(levels["prices"]) == len(levels["long"]) == len(levels["short"])
        prices = [whole(Decimal(price) / bin_size) for price in levels["prices"][:1]]
        for step in levels["prices"][1:]:
            prices.append(prices[-1] + whole(step))
        sides = list(zip(levels["long"], levels["short"]))
    assert prices == sorted(set(prices)), "levels ascend, each once"
    return [(price, cents(long), cents(short)) for price, (long, short) in zip(prices, sides)]


class Heatmap:
    """The state of one symbol, as far as messages have told it."""

    def __init__(self, message):
        """`message` is a whole."""
        assert message["type"] == "snapshot" and "prev" not in message
        self.levels = {}
        self._take_facts(message)
        for bucket, long, short in rows_of(message["data"]):
            assert long or short, "a whole has no empty levels"
            self.levels[bucket] = long, short

    def apply(self, message):
        """`message` is a difference to this state. Returns how many levels it named."""
        assert message["type"] == "delta" and "resumed" not in message
        assert message["symbol"] == self.symbol
        assert (message["epoch"], message["prev"]) == (self.epoch, self.seq)
        assert message["seq"] > self.seq
        assert message["data"]["price_bin_size"] == self.facts["price_bin_size"]
        rows = rows_of(message["data"])
        for bucket, long, short in rows:
            if long or short:
                self.levels[bucket] = long, short
            else:
                self.levels.pop(bucket, None)
        self._take_facts(message)
        return len(rows)

    def _take_facts(self, message):
        self.symbol, self.timestamp = message["symbol"], message["timestamp"]
        self.epoch, self.seq = message["epoch"], message["seq"]
        self.facts = {name: message["data"][name] for name in FACTS}
        assert list(message["data"]) == ["levels", *FACTS]

    def copy(self):
        other = copy.copy(self)
        other.levels = dict(self.levels)
        return other

    @property
    def version(self):
        return self.symbol, self.epoch, self.seq

    def _rows(self, levels):
        """(price, long, short) as they are written."""
        for bucket, (long, short) in sorted(levels.items()):
            price = bucket * Decimal(self.facts["price_bin_size"])
            yield tuple(map(written, (price, Decimal(long) / 100, Decimal(short) / 100)))

    def _levels(self, levels):
        names = ("price", "long_density", "short_density")
        rows = (
            ",".join(f'"{name}":{value}' for name, value in zip(names, row))
            for row in self._rows(levels)
        )
        return "[" + ",".join(f"{{{row}}}" for row in rows) + "]"

    def _columns(self, levels):
        rows, buckets = list(self._rows(levels)), sorted(levels)
        prices = [row[0] for row in rows[:1]] + [str(b - a) for a, b in zip(buckets, buckets[1:])]
        columns = prices, [row[1] for row in rows], [row[2] for row in rows]
        names = ("prices", "long", "short")
        return "{" + ",".join(f'"{n}":[{",".join(c)}]' for n, c in zip(names, columns)) + "}"

    def _text(self, type, levels, format, prev=""):
        levels = self._levels(levels) if format == "levels" else self._columns(levels)
        facts = ",".join(f'"{name}":{written(self.facts[name])}' for name in FACTS)
        return (
            f'{{"type":"{type}","symbol":"{self.symbol}","timestamp":"{self.timestamp}",'
            f'"seq":{self.seq},"epoch":"{self.epoch}"{prev},"data":{{"levels":{levels},{facts}}}}}'
        )

    def text(self, format="levels"):
        """The canonical snapshot message."""
        return self._text("snapshot", self.levels, format)

    def changes(self, later):
        """{bucket: (long, short)} of what is not the same in the next state."""
        gone = {bucket: (0, 0) for bucket in self.levels if bucket not in later.levels}
        new = {b: level for b, level in later.levels.items() if self.levels.get(b) != level}
        return {**gone, **new}

    def difference(self, later, format="levels"):
        """The delta message that leads from this state to the next."""
        return later._text("delta", self.changes(later), format, f',"prev":{self.seq}')
