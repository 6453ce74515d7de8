"""Somebody's own model, published to a server: versions come when a test wants them, and are known."""

import re
import time
from decimal import Decimal

from decoder import Heatmap

TOKEN = "tests-publish-their-own-model"


def taking(*symbols):
    """The settings of a server that takes models of these symbols."""
    return {"HEATCAST_PUBLISH_TOKEN": TOKEN, "HEATCAST_PUBLISH_SYMBOLS": ",".join(symbols)}


def content_of(text):
    """A canonical text without the version: another server may say the same as another one."""
    return re.sub(r'"seq":[0-9]+,"epoch":"[0-9a-z]*",', "", text, count=1)


class Model:
    """Of one symbol: what is published next, and every version it became."""

    def __init__(self, server, symbol, levels=(), price=1000):
        self.server, self.symbol = server, symbol
        self.levels = dict(levels)  # bucket: (long cents, short cents); the bucket is 10
        self.price = price
        self.time = 1767000000
        self.versions = {}  # (epoch, seq): the canonical text
        self.said = {}  # content_of() what was sent, whatever became of it: when, in order
        self.seq = 0

    def publish(self):
        """Returns what the server says of it."""
        self.time += 1
        state = self._state()
        data = state.text().split(',"data":{', 1)[1]
        self.said[content_of(state.text())] = self.time
        answer = self.server.request(
            f"/publish/{self.symbol}",
            "POST",
            {"Authorization": f"Bearer {TOKEN}"},
            body=f'{{"timestamp":"{state.timestamp}",{data[:-1]}',
        )
        assert answer.status == 200, answer.body
        told = answer.json()
        self.epoch, self.seq = state.epoch, state.seq = told["epoch"], told["seq"]
        if told["changed"]:
            self.versions[self.epoch, self.seq] = state.text()
        return told

    def _state(self):
        names = ("price", "long_density", "short_density")
        rows = [
            (bucket * 10, Decimal(long) / 100, Decimal(short) / 100)
            for bucket, (long, short) in sorted(self.levels.items())
            if long or short
        ]
        return Heatmap(
            {
                "type": "snapshot",
                "symbol": self.symbol,
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.time)),
                "seq": 0,
                "epoch": "",
                "data": {
                    "levels": [dict(zip(names, row)) for row in rows],
                    "current_price": self.price,
                    "positions_created": 0,
                    "positions_consumed": 0,
                    "price_bin_size": 10,
                },
            }
        )
