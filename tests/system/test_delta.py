"""Differences, columns and resumption, read by an independent decoder (decoder.py)."""

import json
import random
import re
import select
import threading
import time
from decimal import Decimal

import pytest

from decoder import Heatmap, parse
from model import Model, taking
from rude import DEFLATE, PING, PONG, TEXT, RudeSocket, frame, inflate, text
from server import FAST, PATIENCE, ROOT, SLACK, await_that

PUBLISHED = ["MINE", "YOURS"]
SIMULATED = ["BTCUSDT", "ETHUSDT"]
DELTAS_IN_A_ROW = 59


@pytest.fixture
def publishing(serve):
    """publishing(FLAG…): a server that takes models for MINE and YOURS."""
    return lambda *flags: serve(*flags, **taking(*PUBLISHED))


def change(model, chance):
    """Some levels change, appear and vanish; sometimes nearly all do, sometimes only the price."""
    part = chance.choice([0, 0.02, 0.02, 0.05, 0.1, 0.1, 0.3, 0.9])
    for bucket in range(80, 180):
        if chance.random() < part:
            model.levels[bucket] = chance.choice([0, 5, 10**9]), chance.randrange(10**8)
            if chance.random() < 0.3:
                del model.levels[bucket]
    model.price = chance.randrange(900, 1100)


# --- one step at a time ---


def test_a_difference_names_what_changed_in_the_format_that_was_asked_for(publishing):
    server = publishing()
    model = Model(server, "MINE", {bucket: (bucket * 100, 5) for bucket in range(90, 120)})
    model.publish()
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", mode="delta", format="columns", update_interval=0)
        had = Heatmap(parse(client.take_text()))
        del model.levels[95]
        model.levels |= {97: (1, 2), 98: (9800, 5), 130: (0, 999)}
        model.publish()
        delta = parse(client.take_text())
    assert delta["data"]["levels"] == {
        "prices": [950, 2, 33],
        "long": [0, Decimal("0.01"), 0],
        "short": [0, Decimal("0.02"), Decimal("9.99")],
    }
    assert list(delta)[:6] == ["type", "symbol", "timestamp", "seq", "epoch", "prev"]
    assert had.apply(delta) == 3
    assert had.text() == server.request("/heatmap/latest", symbol="MINE").body.decode()


def test_the_examples_of_the_document_are_right():
    text = (ROOT / "docs" / "protocol.md").read_text()
    section = text[text.index("### Differences") : text.index("### Coming back")]
    before, delta, after, columns = re.findall(r"```json\n(.*)\n```", section)
    for difference, format in ((delta, "levels"), (columns, "columns")):
        had = Heatmap(parse(before))
        assert had.text() == before
        later = Heatmap(parse(after))
        assert had.difference(later, format) == difference
        had.apply(parse(difference))
        assert had.text() == after


@pytest.mark.parametrize("format", ["levels", "columns"])
@pytest.mark.parametrize("extension", [None, DEFLATE])
def test_every_sixtieth_version_is_a_whole(publishing, format, extension):
    server = publishing()
    model = Model(server, "MINE", {bucket: (bucket, 0) for bucket in range(50)})
    with RudeSocket(server.address, Sec_WebSocket_Extensions=extension) as client:
        client.subscribe("MINE", mode="delta", format=format, update_interval=0)
        model.publish()
        had = Heatmap(parse(client.take_text()))
        types = []
        for price in range(2000, 2130):
            model.price = price
            model.levels[price % 50] = price, price
            model.publish()
            message = parse(client.take_text())
            types.append(message["type"])
            if message["type"] == "delta":
                had.apply(message)
            else:
                had = Heatmap(message)
            assert had.text() == model.versions[model.epoch, model.seq]
    assert types == (["delta"] * DELTAS_IN_A_ROW + ["snapshot"]) * 2 + ["delta"] * 10


def whole_and_difference(server, client, model, change):
    """What the client is sent for a change and another price: the message's text, and the whole of its version."""
    change(model)
    model.price += 1
    model.publish()
    got = client.take_text()
    format = "levels" if isinstance(json.loads(got)["data"]["levels"], list) else "columns"
    whole = Heatmap(parse(model.versions[model.epoch, model.seq])).text(format)
    return got, whole


@pytest.mark.parametrize("format", ["levels", "columns"])
@pytest.mark.parametrize("start", [0, 1, 2, 3, 5, 10])
def test_a_difference_is_never_longer_than_the_whole(publishing, format, start):
    server = publishing()
    model = Model(server, "MINE", {bucket: (100, 0) for bucket in range(start)})
    model.publish()

    def nothing_else(model):
        pass

    def one_grows(model):
        model.levels[0] = 10**12 + 1, 10**12 + 1

    def all_but_one_grow(model):
        model.levels |= {bucket: (10**12 + 7, 7) for bucket in list(model.levels)[1:]}

    def all_vanish(model):
        model.levels.clear()

    with RudeSocket(server.address) as client:
        client.subscribe("MINE", mode="delta", format=format, update_interval=0)
        client.take_text()
        for change in (nothing_else, one_grows, all_but_one_grow, nothing_else, all_vanish, nothing_else):
            got, whole = whole_and_difference(server, client, model, change)
            if parse(got)["type"] == "snapshot":
                assert got == whole
            assert len(got) <= len(whole), change.__name__


# --- coming back ---


@pytest.fixture
def past(publishing):
    """A server that remembers five versions of a symbol that has had twelve."""
    server = publishing("--ws-resume-versions", "5")
    model = Model(server, "MINE", {bucket: (100, 100) for bucket in range(50)})
    other = Model(server, "YOURS", {bucket: (7, 7) for bucket in range(9)})
    for n in range(12):
        model.levels[n] = n, 5000
        model.publish()
    other.publish()
    return server, model, other


def come_back(server, seq, epoch, symbols=("MINE",), **fields):
    """The first answer to a subscribe that says what the client has."""
    since = seq if isinstance(seq, dict) else {symbol: seq for symbol in symbols}
    client = RudeSocket(server.address)
    client.subscribe(*symbols, since=since, epoch=epoch, update_interval=0, **fields)
    return client


@pytest.mark.parametrize("mode", ["snapshot", "delta"])
@pytest.mark.parametrize("format", ["levels", "columns"])
@pytest.mark.parametrize("seq", [0, 1, 6, 7, 10, 11])
def test_who_comes_back_gets_what_it_missed_or_is_told_that_it_cannot(past, mode, format, seq):
    server, model, _ = past
    with come_back(server, seq, model.epoch, mode=mode, format=format) as client:
        message = parse(client.take_text())
    if seq < 7:  # 12 - 5
        had = Heatmap(message)
        assert message["resumed"] is False and list(message)[5] == "resumed"
    elif mode == "snapshot":
        had = Heatmap(message)
        assert "resumed" not in message
    else:
        had = Heatmap(parse(model.versions[model.epoch, seq]))
        assert had.apply(message) == 12 - seq, "one difference, merged"
    assert had.text() == model.versions[model.epoch, 12]


@pytest.mark.parametrize("mode", ["snapshot", "delta"])
def test_who_is_up_to_date_gets_nothing_until_a_change(past, mode):
    server, model, _ = past
    with come_back(server, 12, model.epoch, mode=mode, id=1) as client:
        assert client.take_message()["type"] == "subscribed"
        assert client.is_silent(0.3)
        assert client.pong(), "and a pong is the next message"
        model.levels[3] = 1, 1
        model.publish()
        message = parse(client.take_text())
        assert message["seq"] == 13 and "resumed" not in message
        assert message["type"] == mode
        assert mode == "snapshot" or message["prev"] == 12
    assert server.stats()["resumes_current"] == 1


@pytest.mark.parametrize("seq", [12, 13])
def test_who_asks_and_then_says_that_it_has_the_newest_gets_nothing_either(past, seq):
    server, model, _ = past
    ask = {"action": "subscribe", "symbols": ["MINE"], "mode": "delta"}
    with RudeSocket(server.address) as client:  # both are heard before the first is answered
        client.send(text(ask) + text({**ask, "since": {"MINE": seq}, "epoch": model.epoch, "id": 2}))
        client.take_message("subscribed")
        client.say({"action": "ping"})
        assert client.take_message()["type"] == "pong"


@pytest.mark.parametrize(
    "epoch", ["0", "a", "zzzzzzzzzzzzz", "ZZZ", "", "-1", "k3f9 ", "{}", "é", "0abc"]
)
def test_an_epoch_that_is_not_this_one_is_never_resumed(past, epoch):
    server, model, _ = past
    for seq in (11, 12):
        with come_back(server, seq, epoch, mode="delta") as client:
            assert parse(client.take_text())["resumed"] is False


def test_a_seq_to_come_is_not_resumed(past):
    server, model, _ = past
    for seq in (12 + 17, 2**53, 2**63 - 1):
        with come_back(server, seq, model.epoch, mode="delta") as client:
            message = parse(client.take_text())
            assert (message["resumed"], message["seq"]) == (False, 12)


def test_a_seq_a_little_ahead_is_waited_for(past):
    """One thread of the server may hear of a version a little later than another."""
    server, model, _ = past
    with come_back(server, 13, model.epoch, mode="delta", id=1) as client:
        client.take_message("subscribed")
        for price in (1001, 1002):
            client.pong()  # with nothing before it
            model.price = price
            model.publish()
        message = parse(client.take_text())
        assert (message["type"], message["prev"], message["seq"]) == ("delta", 13, 14)


def test_that_it_was_not_resumed_is_said_once(past):
    server, model, _ = past
    with come_back(server, 1, model.epoch) as client:
        assert parse(client.take_text())["resumed"] is False
        model.levels[3] = 1, 1
        model.publish()
        assert "resumed" not in parse(client.take_text())
        client.subscribe("MINE")  # again, saying nothing of what it has
        assert "resumed" not in parse(client.take_text())


def test_several_symbols_come_back_each_by_its_own_epoch(past):
    server, model, other = past
    since = {"MINE": 11, "YOURS": 1, "NOBODYS": 5}
    epochs = {"MINE": model.epoch, "YOURS": other.epoch}
    symbols = ["MINE", "YOURS"]
    with come_back(server, since, epochs, symbols, mode="delta", id=1) as client:
        assert client.take_message()["symbols"] == symbols
        delta = parse(client.take_text())
        assert (delta["symbol"], delta["type"], delta["prev"]) == ("MINE", "delta", 11)
        client.pong()  # YOURS is up to date
    # One epoch for all counts for the symbol that it is of.
    with come_back(server, since, model.epoch, symbols, mode="delta") as client:
        got = {m["symbol"]: m for m in map(parse, (client.take_text(), client.take_text()))}
        assert got["MINE"]["prev"] == 11 and got["YOURS"]["resumed"] is False
    # One that is not named has none, and is then told that it was not resumed.
    with come_back(server, since, {"MINE": model.epoch}, symbols, mode="delta") as client:
        got = {m["symbol"]: m for m in map(parse, (client.take_text(), client.take_text()))}
        assert got["MINE"]["prev"] == 11 and got["YOURS"]["resumed"] is False
    # Of a symbol that `since` does not name nothing is claimed: it is a new one.
    with come_back(server, {"MINE": 11}, epochs, symbols, mode="delta") as client:
        got = {m["symbol"]: m for m in map(parse, (client.take_text(), client.take_text()))}
        assert got["YOURS"]["type"] == "snapshot" and "resumed" not in got["YOURS"]


def test_who_remembers_no_versions_sends_wholes(publishing):
    server = publishing("--ws-resume-versions", "0")
    model = Model(server, "MINE", {bucket: (1, 1) for bucket in range(50)})
    model.publish()
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", mode="delta", update_interval=0)
        for n in range(3):
            message = parse(client.take_text())
            assert message["type"] == "snapshot" and "resumed" not in message
            model.levels[n] = 5, 5
            model.publish()
    with come_back(server, model.seq, model.epoch, mode="delta") as client:
        client.pong()  # up to date is up to date
    with come_back(server, model.seq - 1, model.epoch, mode="delta") as client:
        assert parse(client.take_text())["resumed"] is False


def test_a_later_run_of_the_server_resumes_nobody(serve, tmp_path):
    first = serve(**taking("MINE"))
    had = Model(first, "MINE", {1: (1, 1)})
    had.publish()
    first.stop()
    second = serve(**taking("MINE"))
    model = Model(second, "MINE", {1: (1, 1)})
    with come_back(second, 1, had.epoch, mode="delta", id=1) as client:
        client.take_message("subscribed")
        client.pong()  # nothing is there to judge it by
        model.publish()
        message = parse(client.take_text())
        assert (message["resumed"], message["seq"]) == (False, 1)
        assert message["epoch"] != had.epoch


# --- what is wrong ---


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"mode": 1}, "mode"),
        ({"mode": "Delta"}, "mode"),
        ({"mode": ["delta"]}, "mode"),
        ({"mode": ""}, "mode"),
        ({"format": False}, "format"),
        ({"format": "rows"}, "format"),
        ({"format": {}}, "format"),
        ({"since": 5, "epoch": "a"}, "since"),
        ({"since": [5], "epoch": "a"}, "since"),
        ({"since": "MINE", "epoch": "a"}, "since"),
        ({"since": {"MINE": "5"}, "epoch": "a"}, "since"),
        ({"since": {"MINE": 5.5}, "epoch": "a"}, "since"),
        ({"since": {"MINE": -1}, "epoch": "a"}, "since"),
        ({"since": {"MINE": None}, "epoch": "a"}, "since"),
        ({"since": {"MINE": True}, "epoch": "a"}, "since"),
        ({"since": {"MINE": 5, "YOURS": []}, "epoch": "a"}, "since"),
        ({"since": {"MINE": 5}}, "epoch"),
        ({"since": {"MINE": 5}, "epoch": None}, "epoch"),
        ({"since": {"MINE": 5}, "epoch": 5}, "epoch"),
        ({"since": {"MINE": 5}, "epoch": ["a"]}, "epoch"),
        ({"since": {"MINE": 5}, "epoch": {"MINE": 5}}, "epoch"),
        ({"since": {"MINE": 5}, "epoch": {"MINE": None}}, "epoch"),
        ({"epoch": 5}, "epoch"),
    ],
    ids=str,
)
def test_an_ill_typed_field_is_named_and_nothing_takes_effect(past, fields, named):
    server, _, _ = past
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", id=1, **fields)
        error = client.take_message()
        assert (error["type"], error["code"]) == ("error", "INVALID_MESSAGE")
        assert f"'{named}'" in error["message"]
        client.pong()


@pytest.mark.parametrize(
    "fields, mode, format",
    [
        ({}, "snapshot", "levels"),
        ({"mode": None, "format": None, "since": None, "epoch": None}, "snapshot", "levels"),
        ({"mode": "snapshot", "format": "levels"}, "snapshot", "levels"),
        ({"mode": "delta"}, "delta", "levels"),
        ({"format": "columns"}, "snapshot", "columns"),
        ({"mode": "delta", "format": "columns", "since": {}, "epoch": "a"}, "delta", "columns"),
        ({"since": {}, "epoch": {}}, "snapshot", "levels"),
        ({"since": {}}, "snapshot", "levels"),
    ],
    ids=str,
)
def test_an_acknowledgement_tells_mode_and_format(past, fields, mode, format):
    server, _, _ = past
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", id="x", **fields)
        ack = client.take_message()
        assert (ack["type"], ack["mode"], ack["format"]) == ("subscribed", mode, format)
        assert isinstance(client.take_message()["data"]["levels"], list) == (format == "levels")


def test_fields_of_a_subscribe_are_passed_over_elsewhere(past):
    server, _, _ = past
    wrong = {"mode": 1, "format": 2, "since": 3, "epoch": 4}
    with RudeSocket(server.address) as client:
        client.say({"action": "ping", **wrong})
        assert client.take_message()["type"] == "pong"
        client.say({"action": "unsubscribe", "symbols": ["MINE"], "id": 1, **wrong})
        assert client.take_message()["type"] == "unsubscribed"


# --- any interleaving ---


class Recorder(threading.Thread):
    """Notes every version of the simulated symbols, as a client of wholes is sent them."""

    def __init__(self, server, versions):
        super().__init__(daemon=True)
        self.client = RudeSocket(server.address)
        self.client.subscribe(*SIMULATED, update_interval=0)
        self.versions = versions  # (symbol, epoch, seq): text
        self.newest = {}
        self.is_ending = False
        self.start()

    def run(self):
        while not self.is_ending:
            text = self.client.take_text()
            message = parse(text)
            self.versions[message["symbol"], message["epoch"], message["seq"]] = text
            self.newest[message["symbol"]] = message["seq"]
            if len(self.versions) % 20 == 0:
                self.client.send(frame(PONG))  # a sign of life that nobody asked for

    def end(self):
        self.is_ending = True
        self.join(PATIENCE)
        self.client.close()


class Claim:
    """What a subscribe said of a symbol: `seq` of `epoch`, with what we know of the server then."""

    def __init__(self, had=None, epoch=None, seq=None, is_true=False, newest=0):
        self.had, self.epoch, self.seq = had, epoch, seq
        self.is_true, self.newest = is_true, newest


class Follower:
    """A client that keeps the state of its symbols, whatever happens to its connection."""

    def __init__(self, world, number):
        self.world, self.chance, self.number = world, world.chance, number
        self.socket = None
        self.past = {symbol: [] for symbol in world.symbols}  # states it had, the newest last
        self.stalled_until = self.silent_until = 0
        self.requests = 0

    def had(self, symbol):
        return self.past[symbol][-1] if self.past[symbol] else None

    # Doing

    def connect(self):
        extension = self.chance.choice([None, DEFLATE])
        buffer = self.chance.choice([None, 4096])
        self.socket = RudeSocket(
            self.world.server.address, buffer, Sec_WebSocket_Extensions=extension
        )
        self.socket.socket.setblocking(False)
        self.wishes, self.claims, self.rows = {}, {}, {}  # by symbol
        self.asked = {}  # by id: what takes effect with the acknowledgement
        self.seen = {}  # the newest seq of each symbol that this connection has brought
        self.subscribe(self.world.symbols)

    def drop(self):
        self.chance.choice([self.socket.close, self.socket.reset])()
        self.socket = None

    def claim(self, symbol):
        kind = self.chance.choice(["none", "newest", "newest", "newest", "older", "epoch", "future"])
        had = self.had(symbol)
        newest = self.world.newest(symbol)
        if kind == "none" or not had:
            return Claim()
        if kind == "older":
            had = self.chance.choice(self.past[symbol])
        if kind == "epoch":
            return Claim(None, had.epoch[:-1] + "?", had.seq)
        if kind == "future":
            return Claim(None, had.epoch, had.seq + 10**6)
        return Claim(had, had.epoch, had.seq, True, newest)

    def send(self, data):
        self.socket.socket.setblocking(True)
        self.socket.send(data)
        self.socket.socket.setblocking(False)

    def ask(self, action, symbols, effect, **fields):
        self.requests += 1
        self.asked[self.requests] = effect
        message = {"action": action, "symbols": symbols, "id": self.requests, **fields}
        self.send(text({k: v for k, v in message.items() if v is not None}))
        self.silent_until = time.monotonic() + 0.1  # within the rate that a client is allowed

    def subscribe(self, symbols):
        wish = {
            "mode": self.chance.choice(["snapshot", "delta", "delta", "delta"]),
            "format": self.chance.choice(["levels", "columns"]),
            "update_interval": self.chance.choice([None, 0, 0, 1]),
        }
        claims = {symbol: self.claim(symbol) for symbol in symbols}
        made = {symbol: claim for symbol, claim in claims.items() if claim.epoch}
        epochs = {symbol: claim.epoch for symbol, claim in made.items()}
        fields = {}
        if made:
            fields["since"] = {symbol: claim.seq for symbol, claim in made.items()}
            fields["epoch"] = epochs
            if len(set(epochs.values())) == 1 and self.chance.random() < 0.5:
                (fields["epoch"],) = set(epochs.values())

        def effect():
            for symbol in symbols:
                self.wishes[symbol], self.claims[symbol] = wish, claims[symbol]
                self.rows[symbol] = 0

        self.ask("subscribe", symbols, effect, **wish, **fields)

    def unsubscribe(self, symbols):
        def effect():
            for symbol in symbols:
                self.wishes.pop(symbol, None)
                self.claims.pop(symbol, None)
                self.seen.pop(symbol, None)

        self.ask("unsubscribe", symbols, effect)

    def act(self):
        """One thing that a client may do, by chance."""
        now = time.monotonic()
        if not self.socket:
            if self.chance.random() < 0.3:
                self.connect()
            return
        some = self.chance.sample(self.world.symbols, self.chance.randint(1, len(self.world.symbols)))
        what = self.chance.random()
        if what < 0.06:
            self.drop()
        elif what < 0.12:
            self.stalled_until = now + self.chance.uniform(0, 1.5)
        elif what < 0.4 and now > self.silent_until:
            (self.unsubscribe if what < 0.2 else self.subscribe)(some)

    # Hearing

    def receive(self):
        try:
            while piece := self.socket.socket.recv(65536):
                self.socket.bytes += piece
            raise AssertionError("the server closed a client that did nothing wrong")
        except BlockingIOError:
            pass
        while (size := frame_size(self.socket.bytes)) and len(self.socket.bytes) >= size:
            got = self.socket.take_frame()
            if got.opcode == PING:
                self.send(frame(PONG, got.payload))
                continue
            assert got.opcode == TEXT, got
            self.hear((inflate(got.payload) if got.rsv else got.payload).decode())

    def hear(self, text):
        message = parse(text)
        if message["type"] in ("snapshot", "delta"):
            self.hear_version(message, text)
        elif message["type"] in ("subscribed", "unsubscribed"):
            self.asked.pop(message["id"])()
        else:
            assert message["type"] == "warning", message

    def hear_version(self, message, text):
        symbol, seq = message["symbol"], message["seq"]
        wish, claim = self.wishes[symbol], self.claims.pop(symbol, None)
        assert isinstance(message["data"]["levels"], list) == (wish["format"] == "levels")
        assert seq >= self.seen.get(symbol, 0), "a connection's seq never falls"
        assert claim or seq > self.seen[symbol], "nothing comes twice"
        self.seen[symbol] = seq
        state = self.apply(message, text, wish, claim)
        self.world.check(state)
        self.past[symbol] = [*self.past[symbol][-80:], state]

    def apply(self, message, text, wish, claim):
        symbol = message["symbol"]
        before = claim.had if claim else self.had(symbol)
        if message["type"] == "snapshot":
            state = Heatmap(message)
            assert text.replace(',"resumed":false', "") == state.text(wish["format"])
            self.check_whole(message, claim)
            self.check_reason(state, before, wish)
            self.rows[symbol] = 0
            return state
        assert wish["mode"] == "delta"
        assert before, "a difference to nothing that it has"
        state = before.copy()
        state.apply(message)
        assert len(text) <= len(state.text(wish["format"]))
        if state.seq == before.seq + 1:
            assert text == before.difference(state, wish["format"])
        self.rows[symbol] += 1
        assert self.rows[symbol] <= DELTAS_IN_A_ROW
        self.world.deltas += 1
        return state

    def check_whole(self, message, claim):
        """Is `resumed` there exactly when it has to be?"""
        is_told = message.get("resumed", True) is False
        if not claim or not claim.epoch:
            assert not is_told
        elif not claim.is_true:
            assert is_told
        else:
            assert message["seq"] > claim.seq or is_told, "it had that already"
            if claim.seq >= message["seq"] - self.world.versions:
                assert not is_told
            if claim.seq < claim.newest - 1 - self.world.versions:  # another shard may lag by one
                assert is_told
        self.world.not_resumed += is_told

    def check_reason(self, state, before, wish):
        """A whole to who wants differences, of the very next version: it would not have paid."""
        is_next = before and (before.epoch, before.seq + 1) == (state.epoch, state.seq)
        if not is_next or wish["mode"] == "snapshot" or self.rows[state.symbol] == DELTAS_IN_A_ROW:
            return
        if before.facts["price_bin_size"] == state.facts["price_bin_size"]:
            difference = before.difference(state, wish["format"])
            assert len(before.changes(state)) >= len(state.levels) or len(difference) > len(
                state.text(wish["format"])
            )


def frame_size(data):
    """Of the frame that these bytes begin with; None while that is not known."""
    if len(data) < 2:
        return None
    extra = {126: 2, 127: 8}.get(data[1] & 0x7F, 0)
    if len(data) < 2 + extra:
        return None
    return 2 + extra + (int.from_bytes(data[2 : 2 + extra], "big") if extra else data[1] & 0x7F)


class World:
    """A server whose market moves, models that are published to it, clients, and the truth."""

    def __init__(self, server, versions, seed):
        self.server, self.versions = server, versions
        self.chance = random.Random(seed)
        self.symbols = PUBLISHED + SIMULATED
        self.recorded = {}
        self.recorder = Recorder(server, self.recorded)
        self.models = {symbol: Model(server, symbol) for symbol in PUBLISHED}
        self.publish()
        self.deltas = self.not_resumed = self.checked = 0
        self.clients = [Follower(self, number) for number in range(10)]

    def publish(self):
        for model in self.models.values():
            change(model, self.chance)
            model.publish()

    def newest(self, symbol):
        return self.models[symbol].seq if symbol in self.models else self.recorder.newest.get(symbol, 0)

    def truth(self, state):
        if state.symbol in self.models:
            return self.models[state.symbol].versions[state.epoch, state.seq]
        return self.recorded.get(state.version)

    def check(self, state):
        """The recorder may hear of a version a little later, and misses one where two met."""
        truth = self.truth(state)
        assert truth in (None, state.text())
        self.checked += truth is not None

    def listen(self, seconds):
        """Everybody who is not stalled reads what has come."""
        now = time.monotonic()
        ready = [c for c in self.clients if c.socket and now >= c.stalled_until]
        sockets = {c.socket.socket: c for c in ready}
        for socket in select.select(list(sockets), [], [], seconds)[0]:
            sockets[socket].receive()

    def step(self):
        if self.chance.random() < 0.3:
            self.publish()
        self.chance.choice(self.clients).act()
        self.listen(0.01)

    def settle(self):
        """Everybody comes back, with what it has, and stays."""
        for client in self.clients:
            client.stalled_until = 0
            if not client.socket:
                client.connect()
            while time.monotonic() < client.silent_until:
                self.listen(0.01)
            client.subscribe(self.symbols)

    def is_settled(self):
        """All have the newest of what does not change any more."""
        self.listen(0.02)
        return all(
            not client.asked
            and all(client.had(s) and client.had(s).seq == m.seq for s, m in self.models.items())
            for client in self.clients
        )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_everybody_has_the_exact_state_all_the_time(publishing, seed):
    """Drops, returns with what is true and what is not, wishes that change, stalls."""
    versions = 20
    server = publishing(
        *FAST, "--ws-update-interval", "0.1", "--threads", "2", "--ws-resume-versions", versions
    )
    world = World(server, versions, seed)
    end = time.monotonic() + 10 * SLACK
    while time.monotonic() < end:
        world.step()
    world.settle()
    await_that(world.is_settled, "everybody has the newest")
    for client in world.clients:
        for symbol in PUBLISHED:
            latest = server.request("/heatmap/latest", symbol=symbol).body.decode()
            assert client.had(symbol).text() == latest
    world.recorder.end()
    stats = server.stats()
    for what in ("current", "delta", "snapshot"):
        assert stats[f"resumes_{what}"] > 0, what
    assert stats["snapshots_dropped"] > 0, "somebody was slow"
    assert world.deltas > 100 and world.not_resumed > 10 and world.checked > 1000
