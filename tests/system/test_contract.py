"""Real traffic against the contract documents: docs/asyncapi.yaml, docs/openapi.yaml, docs/protocol.md
and docs/operating.md. What is sent and not written down fails, and what is written down and not so."""

import base64
import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
import yaml

from server import await_that

ROOT = Path(__file__).resolve().parents[2]
HEATCAST = str(Path(os.environ.get("HEATCAST", ROOT / "build" / "heatcast")).absolute())
PATIENCE = 60  # seconds that anything awaited may take; sanitizer builds are slow
SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]

ASYNCAPI = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
OPENAPI = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
OPERATING = (ROOT / "docs" / "operating.md").read_text()


# --- schemas ---


def resolve(document, node):
    """The node with every $ref replaced by what it names, which is never recursive here."""
    if isinstance(node, list):
        return [resolve(document, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        return resolve(document, target)
    return {key: resolve(document, value) for key, value in node.items()}


def close(schema):
    """The schema with no room for fields that are not in it; a condition stays as it is."""
    if isinstance(schema, list):
        return [close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {k: v if k in ("if", "then", "else", "not") else close(v) for k, v in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def async_validator(name, closed=True):
    schema = resolve(ASYNCAPI, ASYNCAPI["components"]["schemas"][name])
    return jsonschema.Draft7Validator(close(schema) if closed else schema)


def open_validator(schema):
    return jsonschema.Draft202012Validator(close(resolve(OPENAPI, schema)))


SENT = {
    ASYNCAPI["components"]["messages"][name]["name"]: async_validator(
        ASYNCAPI["components"]["messages"][name]["payload"]["$ref"].rsplit("/", 1)[1]
    )
    for name in (
        message["$ref"].rsplit("/", 1)[1]
        for message in ASYNCAPI["channels"]["/ws/heatmap"]["subscribe"]["message"]["oneOf"]
    )
}
PLAIN = async_validator("Snapshot")  # for who asks for nothing else
REQUESTS = {
    "subscribe": async_validator("Subscribe", closed=False),
    "unsubscribe": async_validator("Unsubscribe", closed=False),
    "ping": async_validator("Ping", closed=False),
}


def no_constant(text):
    raise AssertionError(f"{text} is no JSON")


def unique(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), f"a key twice in {pairs}"
    return dict(pairs)


def parse(text):
    """Strict JSON: UTF-8, no NaN, no key twice."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(text, parse_constant=no_constant, object_pairs_hook=unique)


def check(validator, instance):
    jsonschema.validate(instance, validator.schema, cls=type(validator))


def check_message(text):
    """A message from the server, held against the schema of its type; the parsed message."""
    message = parse(text)
    assert message.get("type") in SENT, f"undocumented type: {text[:200]}"
    check(SENT[message["type"]], message)
    return message


def check_levels(levels, bin_size=None):
    prices = [level["price"] for level in levels]
    assert prices == sorted(set(prices)), "levels must ascend, each price once"
    for level in levels:
        assert level["long_density"] or level["short_density"], f"a level of nothing: {level}"
        for side in ("long_density", "short_density"):
            assert round(level[side] * 100) / 100 == level[side], f"not whole cents: {level}"
        if bin_size:
            assert Decimal(str(level["price"])) % Decimal(str(bin_size)) == 0, level


def in_order(value, schema):
    """Fields come in the order of the document."""
    if isinstance(value, dict) and "properties" in schema:
        order = [key for key in schema["properties"] if key in value]
        assert list(value) == order, f"{list(value)} instead of {order}"
        for key in value:
            in_order(value[key], schema["properties"][key])
    elif isinstance(value, list) and value and "items" in schema:
        in_order(value[0], schema["items"])


# --- a server ---


def clean_environment():
    ours = re.compile(r"^(HEATCAST_|WS_|REDIS_|CORS_)")
    return {key: value for key, value in os.environ.items() if not ours.match(key)}


def run(*words):
    return subprocess.run(
        [HEATCAST, *map(str, words)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


class Server:
    def __init__(self, db, *flags, feed="sim"):
        if feed == "sim":
            flags = ("--sim-speed", "3000", "--ws-update-interval", "0.25", *flags)
        self.log = open(f"{db}.log", "ab")
        self.process = subprocess.Popen(
            [HEATCAST, "serve", "--listen", "127.0.0.1:0", "--db", str(db), "--feed", feed]
            + [str(flag) for flag in flags],
            env={"WS_DRAIN_SECONDS": "0", **clean_environment()},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        line = self.process.stdout.readline()
        found = re.fullmatch(r"heatcast serves .+ at http://127\.0\.0\.1:(\d+)/\n", line)
        assert found, f"said {line!r}; {Path(f'{db}.log').read_text()[-500:]}"
        self.port = int(found[1])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.log.close()
        assert status == 0, f"ended with {status}"

    def ask(self, path, method="GET", headers=None, source=None, body=None):
        """(status, headers in lower case, body)"""
        client = http.client.HTTPConnection(
            "127.0.0.1", self.port, PATIENCE, source_address=source and (source, 0)
        )
        try:
            client.request(method, path, body, headers or {})
            answer = client.getresponse()
            return (
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                answer.read(),
            )
        finally:
            client.close()

    def get(self, path):
        status, _, body = self.ask(path)
        assert status == 200, body
        return parse(body)

    def raw(self, data, seconds=PATIENCE):
        """What the server says to these bytes until it closes: (status, body)."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as sock:
            sock.sendall(data)
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            return answer.status, answer.read()

    def socket(self, **options):
        return WebSocket(self.port, **options)


class WebSocket:
    """Frames on a plain socket, able to be rude."""

    HEAD = (
        "GET /ws/heatmap HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )

    def __init__(self, port, receive_buffer=None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self.sock.sendall(self.HEAD.encode())
        self.stream = self.sock.makefile("rb")
        assert b" 101 " in self.stream.readline()
        while self.stream.readline() != b"\r\n":
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Ends politely, and waits for the server's end: a connection that is cut is counted."""
        try:
            self.frame(8)
            while self.stream.read(65536):
                pass
        except OSError:
            pass
        self.drop()

    def drop(self):
        self.stream.close()
        self.sock.close()

    def cut(self):
        """Ends as a broken network does, with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.drop()

    def frame(self, opcode, payload=b"", fin=True):
        size = len(payload)
        head = bytes([opcode | (0x80 if fin else 0)])
        head += bytes([0x80 | size]) if size < 126 else struct.pack(">BH", 0xFE, size)
        self.sock.sendall(head + bytes(4) + payload)

    def send(self, message):
        self.frame(1, (message if isinstance(message, str) else json.dumps(message)).encode())

    def read_frame(self):
        first, second = self.stream.read(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self.stream.read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.stream.read(8))
        return first & 0x0F, self.stream.read(size)

    def text(self):
        """The next text message; pings are answered on the way."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == 1:
                return payload
            assert opcode == 9, f"opcode {opcode}: {payload}"
            self.frame(10, payload)

    def message(self, *types):
        """The next message of one of these types, any without; every one is checked."""
        while True:
            message = check_message(self.text())
            if not types or message["type"] in types:
                return message

    def close_code(self):
        """(code or None, reason) of the close frame that comes."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == 8:
                return (struct.unpack(">H", payload[:2])[0] if payload else None), payload[2:]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A simulated market."""
    server = Server(tmp_path_factory.mktemp("contract") / "sim.duckdb")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def still_db(tmp_path_factory):
    """AAAUSDT has candles alone, BBBUSDT open interest alone."""
    folder = tmp_path_factory.mktemp("still")
    klines = [
        f"{1765238400000 + i * 300000},100,101,99,100.5,10,"
        f"{1765238699999 + i * 300000},1005,10,5,500,0\n"
        for i in range(12)
    ]
    (folder / "AAAUSDT-5m-2025-12-09.csv").write_text("".join(klines))
    (folder / "BBBUSDT-metrics-2025-12-09.csv").write_text(
        "create_time,symbol,sum_open_interest,sum_open_interest_value,"
        "count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,"
        "count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
        + "".join(f"2025-12-09 00:{i * 5:02}:00,BBBUSDT,10,1000,1,1,1,1\n" for i in range(12))
    )
    done = run("ingest", "--db", folder / "still.duckdb", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "still.duckdb"


@pytest.fixture(scope="module")
def still(still_db):
    """A market that does not move."""
    server = Server(still_db, feed="none")
    yield server
    server.stop()


@pytest.fixture
def start(tmp_path):
    """start(FLAG…, feed=…): a server for one test."""
    started = []

    def start_server(*flags, db=tmp_path / "own.duckdb", **options):
        started.append(Server(db, *flags, **options))
        return started[-1]

    yield start_server
    for server in started:
        if server.process.returncode is None:
            server.stop()


# --- the documents by themselves ---


def test_every_schema_is_one_and_every_reference_leads_somewhere():
    for document, draft in (
        (ASYNCAPI, jsonschema.Draft7Validator),
        (OPENAPI, jsonschema.Draft202012Validator),
    ):
        resolve(document, document)
        for schema in document["components"]["schemas"].values():
            draft.check_schema(schema)


def test_every_example_in_asyncapi_keeps_to_its_schema():
    for name, message in ASYNCAPI["components"]["messages"].items():
        schema = resolve(ASYNCAPI, message["payload"])
        assert message["examples"], name
        for example in message["examples"]:
            jsonschema.validate(example["payload"], close(schema), cls=jsonschema.Draft7Validator)


def test_a_snapshot_is_the_same_in_both_documents():
    def bare(node):
        if isinstance(node, dict):
            return {
                k: bare(v)
                for k, v in node.items()
                if k not in ("description", "examples") or isinstance(v, dict)
            }
        return [bare(item) for item in node] if isinstance(node, list) else node

    one, other = (
        bare(resolve(document, document["components"]["schemas"]["Snapshot"]))
        for document in (ASYNCAPI, OPENAPI)
    )
    assert one == other


def test_the_built_in_limits_are_those_of_the_source():
    source = (ROOT / "src" / "base" / "limits.h").read_text()
    limits = dict(re.findall(r"^#define LIMIT_(\w+)\s+(\d+)$", source, re.M))
    for name, value in ASYNCAPI["x-limits"].items():
        assert limits.get(name.upper()) == str(value), name


def test_every_json_example_in_the_text_keeps_to_a_schema():
    decoder = json.JSONDecoder()
    by_keys = {
        "data meta": "Timeseries",
        "symbol interval start_time step_seconds columns rows price_min price_bin_size scale gaps "
        "coding clipped meta": "MatrixHead",
        "symbol interval count data": "Klines",
        "symbol interval count columns": "KlineColumns",
        "symbol start_date end_date": "DateRange",
        "symbols": "Symbols",
        "levels current_price price_bin_size": "PublishBody",
        "symbol seq epoch changed subscribers": "Published",
        "speed position start end paused control": "Replay",
    }
    count = 0
    for block in re.findall(r"```json\n(.*?)```", PROTOCOL, re.S):
        while block.strip():
            value, end = decoder.raw_decode(block.strip())
            block = block.strip()[end:]
            count += 1
            if "type" in value:
                check_message(json.dumps(value))
            elif "action" in value:
                check(REQUESTS[value["action"]], value)
            else:
                name = by_keys[" ".join(value)]
                check(open_validator(OPENAPI["components"]["schemas"][name]), value)
    assert count >= 12


# --- WebSocket ---


def test_snapshots_keep_to_their_schema_and_count_up(server):
    last = {}
    with server.socket() as ws:
        ws.send({"action": "subscribe", "symbols": SYMBOLS, "update_interval": 0})
        for _ in range(15):
            text = ws.text()
            snapshot = check_message(text)
            symbol, data = snapshot["symbol"], snapshot["data"]
            in_order(snapshot, SENT["snapshot"].schema)
            check(PLAIN, snapshot)
            check_levels(data["levels"], data["price_bin_size"])
            assert not re.search(rb'[:,]-?\d+\.\d*0[,}]|[:,]-?[\d.]+[eE]|": |, "', text), "not the shortest"
            if symbol in last:
                assert (snapshot["epoch"], snapshot["seq"]) == (last[symbol][0], last[symbol][1] + 1)
            last[symbol] = snapshot["epoch"], snapshot["seq"]
    assert sorted(last) == SYMBOLS


@pytest.mark.parametrize("format, kind", [("levels", list), ("columns", dict)])
def test_differences_keep_to_their_schema_and_follow_each_other(start, format, kind):
    server = start("--bin", "BTCUSDT=0.01")  # so that many levels stay as they are
    count, last = 0, None
    with server.socket() as ws:
        ws.send({"action": "subscribe", "symbols": ["BTCUSDT"], "mode": "delta", "format": format})
        end = time.monotonic() + PATIENCE
        while count < 3:
            assert time.monotonic() < end, "never a difference"
            message = check_message(ws.text())
            in_order(message, SENT[message["type"]].schema)
            assert isinstance(message["data"]["levels"], kind)
            if message["type"] == "delta":
                assert (message["epoch"], message["prev"]) == last
                count += 1
            last = message["epoch"], message["seq"]


def test_who_comes_back_is_answered_as_documented(still):
    newest = still.get("/heatmap/latest?symbol=AAAUSDT")
    ask = {"action": "subscribe", "symbols": ["AAAUSDT"], "id": 1, "mode": "delta"}
    with still.socket() as ws:
        ws.send({**ask, "since": {"AAAUSDT": newest["seq"]}, "epoch": newest["epoch"]})
        ack = ws.message()
        assert (ack["mode"], ack["format"]) == ("delta", "levels")
        ws.send({"action": "ping"})
        assert ws.message()["type"] == "pong", "it is up to date"
        ws.send({**ask, "since": {"AAAUSDT": newest["seq"]}, "epoch": {"AAAUSDT": "zz"}})
        ws.message("subscribed")
        message = ws.message()
        assert (message["type"], message["resumed"]) == ("snapshot", False)
        in_order(message, SENT["snapshot"].schema)


def test_one_version_has_the_same_bytes_for_everyone(still):
    texts = set()
    for _ in range(2):
        with still.socket() as ws:
            ws.send({"action": "subscribe", "symbols": ["AAAUSDT"]})
            texts.add(ws.text())
    texts.add(still.ask("/heatmap/latest?symbol=AAAUSDT")[2])
    assert len(texts) == 1


def test_the_bucket_is_the_one_that_symbols_tells(server):
    told = {symbol["symbol"]: symbol["price_bin_size"] for symbol in server.get("/symbols")["symbols"]}
    for symbol in SYMBOLS:
        assert server.get(f"/heatmap/latest?symbol={symbol}")["data"]["price_bin_size"] == told[symbol]
        mantissa = f"{told[symbol]:e}".split("e")[0].rstrip("0").rstrip(".")
        assert mantissa in ("1", "2", "5")


@pytest.mark.parametrize(
    "wish, kept", [(None, 0.25), (0, 0), (-5, 1), (1, 1), (3.0, 3), (60, 60), (1e9, 60)]
)
def test_a_subscription_with_an_id_is_acknowledged_first(server, wish, kept):
    with server.socket() as ws:
        ws.send(
            {"action": "subscribe", "symbols": ["BTCUSDT", "NOPE"], "update_interval": wish, "id": "é"}
        )
        ack = ws.message()
        assert ack == {
            "type": "subscribed",
            "id": "é",
            "symbols": ["BTCUSDT"],
            "update_interval": kept,
            "mode": "snapshot",
            "format": "levels",
        }
        assert {ws.message()["type"], ws.message()["type"]} == {"error", "snapshot"}
        ws.send({"action": "unsubscribe", "symbols": ["NOPE", "BTCUSDT"], "id": -7})
        left = ws.message("unsubscribed")
        assert left == {"type": "unsubscribed", "id": -7, "symbols": ["BTCUSDT"]}


def test_a_ping_is_answered(server):
    with server.socket() as ws:
        ws.send({"action": "ping"})
        assert ws.message()["type"] == "pong"


MANY = [f"X{i}" for i in range(101)]
# A request, and the code it is answered with; None: it is a good one.
ANSWERED = [
    ({"action": "subscribe", "symbols": ["NOPE"]}, "INVALID_SYMBOL"),
    ({"action": "subscribe", "symbols": ["btcusdt"]}, "INVALID_SYMBOL"),
    ({"action": "subscribe", "symbols": ["", "é" * 40]}, "INVALID_SYMBOL"),
    ({"action": "SUBSCRIBE", "symbols": ["BTCUSDT"]}, "INVALID_ACTION"),
    ({"action": ""}, "INVALID_ACTION"),
    ({"action": 5}, "INVALID_MESSAGE"),
    ({}, "INVALID_MESSAGE"),
    ([], "INVALID_MESSAGE"),
    ("text", "INVALID_MESSAGE"),
    ({"action": "subscribe"}, "INVALID_MESSAGE"),
    ({"action": "unsubscribe"}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": "BTCUSDT"}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": []}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": [1]}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": ["BTCUSDT", None]}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": MANY}, "INVALID_MESSAGE"),
    ({"action": "unsubscribe", "symbols": MANY}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": ["BTCUSDT"], "update_interval": 1.5}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": ["BTCUSDT"], "update_interval": "5"}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": ["BTCUSDT"], "update_interval": True}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": ["BTCUSDT"], "id": 1.5}, "INVALID_MESSAGE"),
    ({"action": "subscribe", "symbols": ["BTCUSDT"], "id": 2**63}, "INVALID_MESSAGE"),
    ({"action": "ping", "id": {}}, "INVALID_MESSAGE"),
    ({"action": "ping", "id": 4, "more": [1, {"a": None}]}, None),
    ({"action": "unsubscribe", "symbols": ["NOPE"] * 100, "id": None}, None),
    ({"action": "subscribe", "symbols": ["BTCUSDT", "BTCUSDT"], "update_interval": None}, None),
    ({"action": "subscribe", "symbols": ["BTCUSDT"], "more": "delta", "other": {}, "id": 0}, None),
    *[
        ({"action": "subscribe", "symbols": ["BTCUSDT"], **fields}, None)
        for fields in (
            {"mode": "delta", "format": "columns"},
            {"mode": None, "format": None, "since": None, "epoch": None},
            {"since": {}},
            {"since": {"BTCUSDT": 1}, "epoch": "zz"},
            {"since": {"BTCUSDT": 2**63 - 1, "NOPE": 0}, "epoch": {"BTCUSDT": "é", "X": ""}},
            {"epoch": "unused"},
        )
    ],
    *[
        ({"action": "subscribe", "symbols": ["BTCUSDT"], **fields}, "INVALID_MESSAGE")
        for fields in (
            {"mode": "deltas"},
            {"mode": 1},
            {"format": "csv"},
            {"format": []},
            {"since": 5, "epoch": "zz"},
            {"since": {"BTCUSDT": -1}, "epoch": "zz"},
            {"since": {"BTCUSDT": 1.5}, "epoch": "zz"},
            {"since": {"BTCUSDT": "1"}, "epoch": "zz"},
            {"since": {"BTCUSDT": 2**63}, "epoch": "zz"},
            {"since": {"BTCUSDT": 1}},
            {"since": {"BTCUSDT": 1}, "epoch": None},
            {"since": {"BTCUSDT": 1}, "epoch": 1},
            {"since": {"BTCUSDT": 1}, "epoch": {"BTCUSDT": 1}},
            {"epoch": []},
        )
    ],
]


@pytest.mark.parametrize("request_, code", ANSWERED, ids=lambda value: str(value)[:50])
def test_a_request_is_answered_as_its_schema_says(server, request_, code):
    action = request_.get("action") if isinstance(request_, dict) else None
    is_good = action in list(REQUESTS) and REQUESTS[action].is_valid(request_)
    assert is_good == (code in (None, "INVALID_SYMBOL")), "the schema says otherwise"
    with server.socket() as ws:
        ws.send(json.dumps(request_, ensure_ascii=False))
        ws.send({"action": "unsubscribe", "symbols": ["BTCUSDT"], "id": "last"})
        codes = []
        while (message := ws.message("error", "unsubscribed")).get("id") != "last":
            codes += [message["code"]] if message["type"] == "error" else []
        assert codes == ([code] if code else [])


@pytest.mark.parametrize(
    "text", ["{", "", "{'action':'ping'}", '{"action":"ping"}x', '{"action":"ping","action":"ping"}']
)
def test_what_is_no_json_is_told_and_closes_nothing(server, text):
    with server.socket() as ws:
        ws.send(text)
        assert ws.message()["code"] == "INVALID_MESSAGE"
        ws.send({"action": "ping"})
        assert ws.message()["type"] == "pong"


def test_too_many_messages_are_ignored_and_told(server):
    burst = ASYNCAPI["x-limits"]["messages_burst"]
    with server.socket() as ws:
        for _ in range(burst + 15):
            ws.send({"action": "ping"})
        types = [ws.message()["type"] for _ in range(burst + 15)]
        assert types[:burst] == ["pong"] * burst and types.count("error") > 0
        time.sleep(0.5)
        ws.send({"action": "nothing"})
        assert ws.message()["code"] == "INVALID_ACTION", "half a second later it is heard again"


def test_every_error_code_was_provoked_but_the_reserved_one():
    codes = set(SENT["error"].schema["properties"]["code"]["enum"])
    provoked = {code for _, code in ANSWERED if code} | {"RATE_LIMITED"}
    assert codes - provoked == {"SERVER_ERROR"} and provoked <= codes


def test_a_slow_reader_is_warned_and_then_gets_the_newest(start):
    server = start("--bin", "BTCUSDT=0.01,ETHUSDT=0.01,SOLUSDT=0.001", "--ws-update-interval", "0.05")
    with server.socket(receive_buffer=4096) as ws:
        ws.send({"action": "subscribe", "symbols": SYMBOLS, "update_interval": 0})
        end = time.monotonic() + PATIENCE
        while server.get("/ws/stats")["snapshots_dropped"] < 5:
            assert time.monotonic() < end, "nothing was dropped"
            time.sleep(0.05)
        warning = ws.message("warning")
        assert warning["code"] == "SLOW_CONSUMER" and warning["dropped_messages"] >= 5
        assert ws.message()["type"] == "snapshot"
    assert server.get("/ws/stats")["slow_warnings"] >= 1


def test_who_takes_nothing_is_closed_with_1013(start):
    server = start(
        "--bin", "BTCUSDT=0.01,ETHUSDT=0.01,SOLUSDT=0.001",
        "--ws-update-interval", "0.05", "--ws-slow-consumer-disconnect", "1",
    )  # fmt: skip
    with server.socket(receive_buffer=4096) as ws:
        ws.send({"action": "subscribe", "symbols": SYMBOLS, "update_interval": 0})
        end = time.monotonic() + PATIENCE
        while not server.get("/ws/stats")["slow_closes"]:
            assert time.monotonic() < end, "it is still there"
            time.sleep(0.1)
        assert ws.close_code()[0] == 1013
    assert "| 1013 |" in PROTOCOL


def test_an_address_whose_connections_are_cut_is_warned(start):
    server = start()
    for cuts in range(30):
        ws = server.socket()
        ws.send({"action": "ping"})
        message = ws.message()
        ws.cut()
        if message["type"] == "warning":
            break
        time.sleep(0.05)
    assert message["code"] == "CONNECTION_UNSTABLE" and "dropped_messages" not in message
    assert cuts >= ASYNCAPI["x-limits"]["short_lives"]


@pytest.mark.parametrize(
    "code, frame",
    [
        (1000, (8, struct.pack(">H", 1000))),
        (3000, (8, struct.pack(">H", 3000) + b"bye")),
        (None, (8, b"")),
        (1002, (9, b"", False)),
        (1002, (0xB, b"")),
        (1003, (2, b"binary")),
        (1007, (1, b"\xff")),
        (1009, (1, b" " * 4097)),
    ],
    ids=str,
)
def test_close_codes(server, code, frame):
    assert f"| {code} |" in PROTOCOL or code in (1000, 3000, None)
    with server.socket() as ws:
        ws.frame(*frame)
        assert ws.close_code()[0] == code


def test_the_longest_message_is_taken(server):
    with server.socket() as ws:
        ws.send('{"action":"ping"}'.ljust(4096))
        assert ws.message()["type"] == "pong"


def test_a_stopping_server_says_when_to_come_back(start):
    server = start()
    with server.socket() as ws:
        ws.send({"action": "ping"})
        ws.message("pong")
        server.process.send_signal(signal.SIGTERM)
        code, reason = ws.close_code()
    assert code == 1001
    assert server.process.wait(PATIENCE) == 0
    found = re.fullmatch(rb"server is stopping; reconnect in (\d+) ms", reason)
    assert found and 500 <= int(found[1]) <= 9999


def handshake(**changes):
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return {name: value for name, value in headers.items() if value is not None}


HANDSHAKES = [
    (400, "GET", (), handshake(Sec_WebSocket_Key="short")),
    (400, "GET", (), handshake(Connection="close")),
    (403, "GET", ("--cors-allowed-origins", "https://a.example"), handshake(Origin="https://b.example")),
    (404, "GET", ("--ws-enabled=false",), handshake()),
    (405, "POST", (), handshake()),
    (426, "GET", (), {}),
    (426, "GET", (), handshake(Sec_WebSocket_Version="12")),
]


@pytest.mark.parametrize("status, method, flags, headers", HANDSHAKES, ids=str)
def test_a_handshake_that_is_refused(server, start, status, method, flags, headers):
    where = start(*flags) if flags else server
    answer = where.ask("/ws/heatmap", method, headers)
    assert answer[0] == status
    document = documented("/ws/heatmap", status)
    if "content" in document:
        check_answer("/ws/heatmap", *answer)
    else:
        assert answer[2] == b""
    if status == 426:
        assert answer[1]["upgrade"] == "websocket"
        assert answer[1]["sec-websocket-version"] == "13"


def test_an_origin_of_the_list_and_none_are_let_in(start):
    server = start("--cors-allowed-origins", "https://a.example,https://c.example")
    for headers in (handshake(Origin="https://c.example"), handshake()):
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
            lines = [f"{name}: {value}" for name, value in headers.items()]
            head = "\r\n".join(["GET /ws/heatmap HTTP/1.1", "Host: x", *lines, "", ""])
            sock.sendall(head.encode())
            assert sock.recv(1000).startswith(b"HTTP/1.1 101 ")


# --- HTTP ---


PUBLISH, REPLAY = "/publish/{symbol}", "/replay"
WRITTEN = (PUBLISH, REPLAY)
READ = [path for path in OPENAPI["paths"] if path not in WRITTEN]


def documented(path, status):
    """What openapi.yaml says of this answer, itself or under `default`."""
    responses = OPENAPI["paths"][path]["post" if path in WRITTEN else "get"]["responses"]
    assert str(status) in responses, f"{path} answers {status}, which is not in openapi.yaml"
    return resolve(OPENAPI, responses[str(status)])


def check_headers(document, headers):
    for name, header in document.get("headers", {}).items():
        assert name.lower() in headers, f"no {name}"
        jsonschema.validate(
            headers[name.lower()], header["schema"], cls=jsonschema.Draft202012Validator
        )


def check_matrix(body):
    """The head of a matrix, which says how many bytes there are."""
    line, cells = body.split(b"\n", 1)
    head = parse(line)
    validator = open_validator(OPENAPI["components"]["schemas"]["MatrixHead"])
    check(validator, head)
    in_order(head, validator.schema)
    assert len(cells) == head["columns"] * head["rows"]
    return head


def check_answer(path, status, headers, body):
    """Holds an answer against openapi.yaml; the parsed body."""
    document = documented(path, status)
    check_headers(document, headers)
    assert headers["x-content-type-options"] == "nosniff"
    is_kept = status == 200 and path not in WRITTEN
    assert headers["cache-control"] == ("no-cache" if is_kept else "no-store")
    if "content" not in document:
        assert not body
        return None
    kind = headers["content-type"]
    content = document["content"][kind]
    assert int(headers["content-length"]) == len(body)
    if kind == "application/octet-stream":
        return check_matrix(body)
    if kind != "application/json":
        return body.decode()
    value = parse(body)
    validator = open_validator(content["schema"])
    check(validator, value)
    if status == 200 and path != "/ws/stats":
        in_order(value, validator.schema)
    return value


SERIES, KLINES = "/liquidations/heatmap-timeseries", "/prices/klines"
LATEST, EVENTS = "/heatmap/latest", "/sse/heatmap"
WINDOWS = {"48h": "30m", "3d": "1h", "7d": "1h", "14d": "2h", "30d": "4h", "60d": "8h", "90d": "12h"}
WINDOWS.update({"180d": "1d", "1y": "1d"})
ALWAYS_200 = ["/health", "/ready", "/symbols", "/metrics", "/ws/stats", "/"]
# Path, query, status; all of one simulated market.
ASKED = [
    *[(path, "", 200) for path in ALWAYS_200],
    *[(path, "unknown=ignored", 200) for path in ALWAYS_200],
    ("/data/date-range", "symbol=ETHUSDT", 200),
    ("/heatmap/latest", "symbol=SOLUSDT", 200),
    *[(path, "", 422) for path in ("/data/date-range", "/heatmap/latest", SERIES, KLINES)],
    *[(path, "symbol=", 422) for path in ("/data/date-range", "/heatmap/latest", SERIES, KLINES)],
    *[(path, "symbol=NOPE", 400) for path in ("/data/date-range", "/heatmap/latest", SERIES, KLINES)],
    *[(path, "symbol=A&symbol=B", 422) for path in ("/data/date-range", SERIES, KLINES)],
    *[(path, "symbol=%ff", 422) for path in ("/heatmap/latest", SERIES, KLINES)],
    (LATEST, "symbol=BTCUSDT&wait=20", 200),
    (LATEST, "symbol=BTCUSDT&since=zz:1", 200),
    (LATEST, "symbol=BTCUSDT&format=columns", 200),
    (LATEST, "symbol=BTCUSDT&mode=delta&since=&wait=", 200),
    (LATEST, "symbol=NOPE&wait=1", 400),
    (LATEST, "wait=1", 422),
    (LATEST, "symbol=BTCUSDT&wait=61", 422),
    (LATEST, "symbol=BTCUSDT&wait=-1", 422),
    (LATEST, "symbol=BTCUSDT&wait=long", 422),
    (LATEST, "symbol=BTCUSDT&since=1841", 422),
    (LATEST, "symbol=BTCUSDT&mode=full", 422),
    (LATEST, "symbol=BTCUSDT&format=csv", 422),
    (EVENTS, "", 422),
    (EVENTS, "symbols=", 422),
    (EVENTS, "symbol=BTCUSDT", 422),
    (EVENTS, "symbols=" + ",".join(["BTCUSDT"] * 101), 422),
    (EVENTS, "symbols=BTCUSDT&update_interval=1.5", 422),
    (EVENTS, "symbols=BTCUSDT&mode=full", 422),
    (EVENTS, "symbols=BTCUSDT&format=csv", 422),
    (EVENTS, "symbols=BTCUSDT,NOPE", 400),
    (KLINES, "symbol=BTCUSDT", 200),
    (KLINES, "symbol=BTCUSDT&interval=5m&limit=10", 200),
    (KLINES, "symbol=BTCUSDT&interval=5m&limit=10&format=columns", 200),
    (KLINES, "symbol=BTCUSDT&format=matrix", 422),
    (KLINES, "symbol=BTCUSDT&interval=1d&limit=2000", 200),
    (KLINES, "symbol=BTCUSDT&start_time=2025-01-02&end_time=2025-01-03T00:00:00Z", 200),
    (KLINES, "symbol=BTCUSDT&start_time=2025-01-02T01:00%2B01:00&end_time=2025-01-03%2000:00", 200),
    (KLINES, "symbol=BTCUSDT&start_time=1999-01-01&end_time=1999-01-02", 200),
    (KLINES, "symbol=BTCUSDT&interval=1m", 422),
    (KLINES, "symbol=BTCUSDT&limit=9", 422),
    (KLINES, "symbol=BTCUSDT&limit=2001", 422),
    (KLINES, "symbol=BTCUSDT&limit=ten", 422),
    (KLINES, "symbol=BTCUSDT&start_time=2025-01-02", 422),
    (KLINES, "symbol=BTCUSDT&end_time=2025-01-02", 422),
    (KLINES, "symbol=BTCUSDT&interval=5m&start_time=1980-01-01&end_time=2025-01-02", 422),
    (KLINES, "symbol=BTCUSDT&start_time=2025-01-03&end_time=2025-01-02", 400),
    (KLINES, "symbol=BTCUSDT&start_time=yesterday&end_time=2025-01-02", 400),
    (SERIES, "symbol=BTCUSDT", 200),
    *[(SERIES, f"symbol=BTCUSDT&time_window={window}", 200) for window in WINDOWS],
    (SERIES, "symbol=SOLUSDT&interval=4h&price_bin_size=2.5&warmup=12h", 200),
    (SERIES, "symbol=ETHUSDT&interval=1h&leverage_weights=25:1&start_time=2025-01-02", 200),
    (SERIES, "symbol=BTCUSDT&end_time=1999-01-01", 200),
    (SERIES, "symbol=BTCUSDT&format=json&columns_at=", 200),
    (SERIES, "symbol=BTCUSDT&format=matrix", 200),
    (SERIES, "symbol=BTCUSDT&format=matrix&end_time=1999-01-01", 200),
    (SERIES, "symbol=BTCUSDT&start_time=2025-01-02&columns_at=2025-01-03,2025-01-04T10:00Z", 200),
    (SERIES, "symbol=BTCUSDT&format=csv", 422),
    (SERIES, "symbol=BTCUSDT&start_time=2025-01-02&columns_at=2025-01-01", 422),
    (SERIES, "symbol=BTCUSDT&format=matrix&columns_at=2025-01-03", 422),
    (SERIES, "symbol=BTCUSDT&columns_at=now", 400),
    (SERIES, "symbol=BTCUSDT&time_window=5d", 422),
    (SERIES, "symbol=BTCUSDT&interval=7m", 422),
    (SERIES, "symbol=BTCUSDT&interval=5m&start_time=1980-01-01", 422),
    (SERIES, "symbol=BTCUSDT&price_bin_size=0", 422),
    (SERIES, "symbol=BTCUSDT&price_bin_size=-1", 422),
    (SERIES, "symbol=BTCUSDT&price_bin_size=1000001", 422),
    (SERIES, "symbol=BTCUSDT&price_bin_size=much", 422),
    (SERIES, "symbol=BTCUSDT&warmup=long", 422),
    (SERIES, "symbol=BTCUSDT&start_time=2025-13-01", 400),
    (SERIES, "symbol=BTCUSDT&start_time=2025-01-03&end_time=2025-01-02", 400),
    (SERIES, "symbol=BTCUSDT&leverage_weights=7:1", 400),
    (SERIES, "symbol=BTCUSDT&leverage_weights=5:0", 400),
]


@pytest.mark.parametrize("path, query, status", ASKED, ids=str)
def test_an_answer_keeps_to_its_schema(server, path, query, status):
    answer = server.ask(path + ("?" + query if query else ""))
    assert answer[0] == status, answer[2][:300]
    body = check_answer(path, *answer)
    if status == 200 and path == SERIES and "matrix" not in query:
        for row in body["data"]:
            check_levels(row["levels"], body["meta"]["price_bin_size"])
        assert body["meta"]["total_snapshots"] == len(body["data"])
        if "time_window=" in query:
            assert body["meta"]["interval"] == WINDOWS[query.rsplit("=", 1)[1]]
    if status == 200 and path == KLINES and "columns" in query:
        assert {len(column) for column in body["columns"].values()} == {body["count"]}
    elif status == 200 and path == KLINES:
        times = [kline["timestamp"] for kline in body["data"]]
        assert times == sorted(set(times)) and body["count"] == len(times)
    if path == LATEST and status == 200 and query in ("symbol=SOLUSDT", "symbol=BTCUSDT&wait=20"):
        check_message(answer[2])


def news_after(server, query):
    """The newest update of BTCUSDT beyond one that is asked for now."""
    first = server.get(f"{LATEST}?symbol=BTCUSDT&wait=60{query}")
    answer = server.ask(f"{LATEST}?symbol=BTCUSDT&since={first['epoch']}:{first['seq']}{query}")
    assert answer[0] == 200
    return first, check_answer(LATEST, *answer)


def test_a_long_poll_is_answered_by_news(server):
    for query in ("", "&format=columns"):
        first, news = news_after(server, query)
        assert (news["type"], news["epoch"]) == ("snapshot", first["epoch"])
        assert news["seq"] > first["seq"] and "resumed" not in news


@pytest.mark.parametrize("query", ["&mode=delta", "&mode=delta&format=columns"])
def test_a_long_poll_may_ask_for_differences(start, query):
    server = start("--bin", "BTCUSDT=0.01")
    end = time.monotonic() + PATIENCE
    while (pair := news_after(server, query))[1]["type"] != "delta":
        assert time.monotonic() < end, "never a difference"
    assert pair[1]["prev"] == pair[0]["seq"]


def test_a_long_poll_that_hears_nothing_is_204(still):
    first = still.get(f"{LATEST}?symbol=AAAUSDT")
    since = f"{first['epoch']}:{first['seq']}"
    for query in (f"since={since}&wait=0", f"since={since}&wait=.3"):
        answer = still.ask(f"{LATEST}?symbol=AAAUSDT&{query}")
        assert answer[0] == 204
        check_answer(LATEST, *answer)
    assert still.ask(f"{LATEST}?symbol=BBBUSDT&wait=0.1")[0] == 204, "it has no candles"


def test_events_keep_to_the_schema(server):
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
        sock.sendall(f"GET {EVENTS}?symbols=BTCUSDT HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        document = documented(EVENTS, answer.status)
        check_headers(document, headers)
        assert [headers["content-type"]] == list(document["content"])
        assert "content-length" not in headers and "etag" not in headers
        lines = [answer.fp.readline().decode() for _ in range(8)]
    assert re.fullmatch(r"retry: [1-4]\d{3}\n", lines[0]) and lines[1] == "\n"
    for first in (2, 5):
        name, text = lines[first : first + 2]
        message = check_message(text.removeprefix("data: "))
        assert name == f"id: {message['epoch']}:{message['seq']}\n" and lines[first + 2] == "\n"


def test_no_data_is_404_or_empty(still):
    for path in ("/data/date-range?symbol=AAAUSDT", "/heatmap/latest?symbol=BBBUSDT"):
        answer = still.ask(path)
        assert answer[0] == 404
        check_answer(path.split("?")[0], *answer)
    for path in (KLINES, SERIES):
        answer = still.ask(f"{path}?symbol=BBBUSDT")
        assert answer[0] == 200 and check_answer(path, *answer)["data"] == []
    answer = still.ask("/symbols")
    bare, quiet = sorted(check_answer("/symbols", *answer)["symbols"], key=lambda s: len(s))
    assert quiet["symbol"] == "AAAUSDT" and quiet["open_interest_start"] is None
    assert bare["symbol"] == "BBBUSDT" and "interval" not in bare


GOOD_QUERY = {
    "/data/date-range": "symbol=AAAUSDT",
    "/heatmap/latest": "symbol=AAAUSDT",
    KLINES: "symbol=AAAUSDT",
    SERIES: "symbol=AAAUSDT",
}


def unchanged(server, target):
    """The 304 of what is asked for twice; None where it changed between: /health counts seconds."""
    etag = server.ask(target)[1]["etag"]
    again = server.ask(target, headers={"If-None-Match": etag})
    assert again[0] == 200 or again[2] == b"" and again[1]["etag"] == etag
    return again if again[0] == 304 else None


@pytest.mark.parametrize(
    "path", [path for path in READ if path not in ("/ws/heatmap", EVENTS)]
)
def test_every_path_answers_head_options_304_and_405(still, path):
    target = f"{path}?{GOOD_QUERY[path]}" if path in GOOD_QUERY else path
    status, headers, body = still.ask(target)
    etag = headers.get("etag")
    assert etag is not None or status == 404
    head = still.ask(target, "HEAD")
    assert (head[0], head[2]) == (status, b"")
    assert head[1]["content-type"] == headers["content-type"]
    options = still.ask(target, "OPTIONS")
    assert (options[0], options[1]["allow"]) == (204, "GET, HEAD, OPTIONS")
    if path not in ("/ws/stats", "/metrics", "/data/date-range"):  # those change as we look
        again = await_that(lambda: unchanged(still, target), f"{target} is unchanged")
        check_headers(documented(path, 304), again[1])
    for method in ("POST", "PUT", "DELETE"):
        answer = still.ask(target, method)
        assert answer[0] == 405
        check_answer(path, *answer)


def test_events_answer_head_options_and_405(still):
    path = f"{EVENTS}?symbols=AAAUSDT"
    status, headers, body = still.ask(path, "HEAD")
    assert (status, headers["content-type"], body) == (200, "text/event-stream", b"")
    check_headers(documented(EVENTS, 200), headers)
    assert still.ask(f"{EVENTS}?symbols=NOPE", "HEAD")[0] == 400
    assert still.ask(path, "OPTIONS")[1]["allow"] == "GET, HEAD, OPTIONS"
    for method in ("POST", "PUT", "DELETE"):
        answer = still.ask(path, method)
        assert answer[0] == 405
        check_answer(EVENTS, *answer)


def test_every_documented_status_is_provoked_here():
    """500 alone cannot be: the database would have to break under a running server."""
    provoked = {(path, str(status)) for path, _, status in ASKED}
    provoked |= {("/ws/heatmap", str(status)) for status, *_ in HANDSHAKES} | {("/ws/heatmap", "101")}
    provoked |= {("/data/date-range", "404"), ("/heatmap/latest", "404"), (KLINES, "429")}
    provoked |= {(SERIES, "429"), (SERIES, "500"), (KLINES, "500")}
    provoked |= {(LATEST, "204"), (EVENTS, "200")}
    provoked |= {(PUBLISH, str(case[-1])) for case in PUBLISHED} | {(PUBLISH, "404")}
    provoked |= {(REPLAY, str(case[-1])) for case in REPLAYED} | {(REPLAY, "404")}
    # Those of edges: test_edge_rest.py.
    provoked |= {(path, "429") for path in ("/data/date-range", "/symbols")} | {("/symbols", "508")}
    fetched = (SERIES, KLINES, "/data/date-range")
    provoked |= {(path, status) for path in fetched for status in ("502", "504", "508")}
    everywhere = {"304", "405", "503", "default"}
    for path, item in OPENAPI["paths"].items():
        (method,) = item
        assert method == ("post" if path in WRITTEN else "get")
        for status in item[method]["responses"]:
            assert status in everywhere or (path, status) in provoked, f"{status} of {path}"


def rude_request(name):
    good = b"GET /ready HTTP/1.1\r\nHost: x\r\n"
    return {
        "a bare line feed": (400, b"GET /ready HTTP/1.1\n\n"),
        "no host": (400, b"GET /ready HTTP/1.1\r\n\r\n"),
        "half a head": (408, good),
        "a chunked body": (411, good + b"Transfer-Encoding: chunked\r\n\r\n"),
        "a length beyond 64 bits": (413, good + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n"),
        "a long line": (414, b"GET /" + b"a" * 8200),
        "a long head": (431, good + b"A: " + b"a" * 8200),
        "65 fields": (431, good + b"A: b\r\n" * 65 + b"\r\n"),
        "an unregistered method": (501, b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n"),
        "a transfer coding": (501, good + b"Transfer-Encoding: gzip\r\n\r\n"),
        "another version": (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "a bare line feed",
        "no host",
        "half a head",
        "a chunked body",
        "a length beyond 64 bits",
        "a long line",
        "a long head",
        "65 fields",
        "an unregistered method",
        "a transfer coding",
        "another version",
    ],
)
def test_what_http_itself_brings(server, name):
    status, data = rude_request(name)
    answer, body = server.raw(data)
    assert answer == status
    check(open_validator(OPENAPI["components"]["schemas"]["Error"]), parse(body))
    described = OPENAPI["components"]["responses"]["Error"]["description"]
    assert str(status) in described and str(status) in PROTOCOL


def test_a_path_that_is_not_here_is_404(server):
    for path in ("/nothing", "/health/", "/sse/heatmap/", "/%68ealth"):
        status, headers, body = server.ask(path)
        assert status == 404 and headers["cache-control"] == "no-store"
        check(open_validator(OPENAPI["components"]["schemas"]["Error"]), parse(body))


# Body, token, symbol, method, status.
GOOD_BODY = {
    "levels": [{"price": 98000, "long_density": 1.5, "short_density": 0}],
    "current_price": 98450,
    "positions_created": 1,
    "positions_consumed": 0,
    "price_bin_size": 100,
    "timestamp": "2025-12-29T10:00:00Z",
}
COLUMNS = {"prices": [98000, 2], "long": [1.5, 2], "short": [0, 3]}
TOKEN = "for-the-contract-alone"
PUBLISHED = [
    (GOOD_BODY, TOKEN, "MINE", "POST", 200),
    (GOOD_BODY, TOKEN, "MINE", "POST", 200),  # once more: unchanged
    ({**GOOD_BODY, "levels": COLUMNS}, TOKEN, "MINE", "POST", 200),
    ({**GOOD_BODY, "levels": []}, TOKEN, "MINE", "POST", 200),
    (GOOD_BODY, TOKEN, "BTCUSDT", "POST", 400),
    (GOOD_BODY, "", "MINE", "POST", 401),
    (None, TOKEN, "MINE", "GET", 405),
    ([b"{}"], TOKEN, "MINE", "POST", 411),  # in chunks
    (" " * 2097153, TOKEN, "MINE", "POST", 413),
    *[
        ({**GOOD_BODY, **bad}, TOKEN, "MINE", "POST", 422)
        for bad in (
            {"levels": None},
            {"levels": [{"price": 98000, "long_density": -1, "short_density": 0}]},
            {"levels": [{"price": 98000, "long_density": 1}]},
            {"levels": GOOD_BODY["levels"] * 20001},
            {"levels": {**COLUMNS, "long": ["1", 2]}},
            {"current_price": 0},
            {"current_price": 1e9 + 1},
            {"positions_created": 1.5},
            {"price_bin_size": 1000001},
            {"timestamp": 5},
            {"more": 1},
        )
    ],
]


@pytest.fixture(scope="module")
def publishing(tmp_path_factory):
    """A server with the door for publishing."""
    flags = ("--publish-symbols", "MINE", "--publish-token", TOKEN)
    server = Server(tmp_path_factory.mktemp("publish") / "own.duckdb", *flags)
    yield server
    server.stop()


@pytest.mark.parametrize(
    "body, token, symbol, method, status", PUBLISHED, ids=[str(case[-1]) for case in PUBLISHED]
)
def test_publishing_keeps_to_its_schemas(publishing, body, token, symbol, method, status):
    """What the schema of bodies refuses is refused, and what is taken keeps to it."""
    schema = OPENAPI["paths"][PUBLISH]["post"]["requestBody"]["content"]["application/json"]
    if isinstance(body, dict):
        validator = jsonschema.Draft202012Validator(resolve(OPENAPI, schema["schema"]))
        assert validator.is_valid(body) == (status != 422)
        body = json.dumps(body)
    answer = publishing.ask(
        f"/publish/{symbol}", method, {"Authorization": f"Bearer {token}"}, body=body
    )
    assert answer[0] == status, answer[2]
    check_answer(PUBLISH, *answer)
    if status == 200:
        check_message(publishing.ask(f"{LATEST}?symbol=MINE")[2])
    assert "/publish/SYMBOL" in PROTOCOL


def test_without_a_token_publishing_is_404(server):
    answer = server.ask("/publish/BTCUSDT", "POST")
    assert answer[0] == 404
    check_answer(PUBLISH, *answer)


# Body, what of the head is not as it should be, method, status.
REPLAYED = [
    ({}, {}, "POST", 200),
    ({"speed": 60, "paused": True, "position": "2025-12-09T00:30:00Z"}, {}, "POST", 200),
    ({"position": "2025-12-09"}, {}, "POST", 422),
    ({"position": None}, {}, "POST", 422),
    ({"speed": 0}, {}, "POST", 422),
    ({"speed": 1000001}, {}, "POST", 422),
    ({"paused": "no"}, {}, "POST", 422),
    ({"more": 1}, {}, "POST", 422),
    ({}, {"Origin": "https://a.example"}, "POST", 403),
    ({}, {"Content-Type": "text/plain"}, "POST", 415),
    ([b"{}"], {}, "POST", 411),  # in chunks
    (" " * 1025, {}, "POST", 413),
    (None, {}, "GET", 405),
]


@pytest.fixture(scope="module")
def replaying(still_db, tmp_path_factory):
    """The same market as a replay that may be moved."""
    db = tmp_path_factory.mktemp("replay") / "still.duckdb"
    shutil.copy(still_db, db)
    server = Server(db, feed="replay")
    yield server
    server.stop()


@pytest.mark.parametrize(
    "body, headers, method, status", REPLAYED, ids=[str(case[-1]) for case in REPLAYED]
)
def test_moving_a_replay_keeps_to_its_schemas(replaying, body, headers, method, status):
    schema = OPENAPI["paths"][REPLAY]["post"]["requestBody"]["content"]["application/json"]
    if isinstance(body, dict):
        validator = jsonschema.Draft202012Validator(resolve(OPENAPI, schema["schema"]))
        # Which positions there are, no schema can tell.
        assert validator.is_valid(body) == (status != 422 or body == {"position": "2025-12-09"})
        body = json.dumps(body)
    answer = replaying.ask(REPLAY, method, {"Content-Type": "application/json", **headers}, body=body)
    assert answer[0] == status, answer[2]
    told = check_answer(REPLAY, *answer)
    health = check_answer("/health", *replaying.ask("/health"))
    if status == 200:
        assert list(told) == list(health["replay"])


def test_what_does_not_replay_is_404(server):
    answer = server.ask(REPLAY, "POST")
    assert answer[0] == 404
    check_answer(REPLAY, *answer)


@contextlib.contextmanager
def busy_store(server, count):
    """The only store thread computes so many answers for an address that is nobody else's."""
    request = f"GET {SERIES}?symbol=BTCUSDT&interval=5m&price_bin_size=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", server.port), PATIENCE, ("127.0.0.2", 0))
            stack.enter_context(sock).sendall(request.encode())
        time.sleep(0.1)
        yield


def ask_at_once(server, path, count, address):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        jobs = [pool.submit(server.ask, path, source=address(i)) for i in range(count)]
        return [job.result() for job in jobs]


def ask_until_refused(server, busy, status, path, count, address):
    """The answers of which some are refused. Again, where a busy machine asked too slowly."""

    def answers():
        with busy_store(server, busy):
            answers = ask_at_once(server, path, count, address)
        return answers if {answer[0] for answer in answers} == {200, status} else None

    return await_that(answers, f"some are {status}, and others 200")


@pytest.mark.parametrize("path", [SERIES, KLINES])
def test_too_many_requests_of_one_address_are_429(start, path):
    server = start("--store-threads", "1", "--sim-speed", "1")
    question = f"{path}?symbol=ETHUSDT&interval=1d"
    for answer in ask_until_refused(server, 3, 429, question, 40, lambda i: "127.0.0.1"):
        check_answer(path, *answer)


def test_a_full_queue_is_503(start):
    server = start("--store-threads", "1", "--sim-speed", "1")
    question = f"{KLINES}?symbol=ETHUSDT&limit=10"
    address = "127.0.1.{}".format
    for answer in ask_until_refused(server, 10, 503, question, 300, lambda i: address(1 + i % 30)):
        check_answer(KLINES, *answer)


def test_too_many_connections_are_503(start):
    server = start("--ws-max-connections", "2")
    with server.socket(), server.socket():
        for path in [*ALWAYS_200, KLINES, SERIES, LATEST, EVENTS, "/data/date-range", "/ws/heatmap"]:
            for _ in range(100):  # it speaks first, and closes: a request may meet a reset
                try:
                    answer = server.ask(path)
                    break
                except (ConnectionError, http.client.HTTPException):
                    time.sleep(0.05)
            assert answer[0] == 503
            check_answer(path, *answer)


def test_gzip_when_asked_and_cors_when_configured(start):
    server = start("--cors-allowed-origins", "https://a.example")
    headers = {"Accept-Encoding": "gzip", "Origin": "https://a.example"}
    _, plain, _ = server.ask("/heatmap/latest?symbol=BTCUSDT", headers={"Origin": "https://b.example"})
    _, packed, _ = server.ask("/heatmap/latest?symbol=BTCUSDT", headers=headers)
    assert "content-encoding" not in plain and "access-control-allow-origin" not in plain
    assert packed["content-encoding"] == "gzip"
    assert packed["access-control-allow-origin"] == "https://a.example"


# --- the documents and the source, both ways ---


def paths_in_source():
    text = "".join(path.read_text() for path in sorted((ROOT / "src").glob("**/*.c")))
    return {path for path in re.findall(r'"(/[a-z][\w./-]*)"', text) if "%" not in path}


def test_every_route_is_in_openapi_and_every_path_there_is_answered(server):
    page = {"/" + str(path.relative_to(ROOT / "web")) for path in (ROOT / "web").glob("*")}
    documented_paths = {*READ, REPLAY}
    for path in (paths_in_source() | documented_paths) - page:
        status, _, body = server.ask(path)
        is_answered = not (status == 404 and parse(body)["detail"] == "Not Found")
        assert is_answered == (path in documented_paths), path
        assert not is_answered or path in PROTOCOL, path


def test_every_parameter_is_in_openapi_and_every_one_there_is_read():
    source = "".join(path.read_text() for path in (ROOT / "src").glob("rest*.c"))
    read = set(re.findall(r'params_(?:text|time|int)\(\w+, "(\w+)"', source))
    doors = (ROOT / "src" / "serve" / "demand.c").read_text()
    read |= set(re.findall(r'read_(?:text|number|choice)\(reader, "(\w+)"', doors))
    listed = {
        parameter["name"]
        for item in map(OPENAPI["paths"].get, READ)
        for parameter in resolve(OPENAPI, item["get"].get("parameters", []))
        if parameter["in"] == "query"
    }
    assert read == listed
    for name in listed:
        assert f"`{name}`" in PROTOCOL, name


def test_every_counter_of_the_stats_is_in_openapi(server):
    stats = set(server.get("/ws/stats"))
    schema = OPENAPI["components"]["schemas"]["Stats"]
    matched = {p: {k for k in stats if re.search(p, k)} for p in schema["patternProperties"]}
    assert [len(keys) for keys in matched.values()] == [13, 48, 7, 21]
    assert stats == set(schema["properties"]).union(*matched.values())


# --- operating.md ---


@pytest.mark.parametrize("name", ["settings-table", "stats-table"])
def test_a_table_of_operating_md_is_up_to_date(name):
    done = subprocess.run(
        [ROOT / "scripts" / name], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout in OPERATING, f"run scripts/{name} --write"


def test_every_option_of_help_is_in_the_table_and_the_other_way_round():
    table = {}
    for flag, environment, default, commands in re.findall(
        r"^\| `--([\w-]+) [^`]*` \| `(\w+)` \| (?:`([^`]*)`|empty) \| [^|]* \| ([\w, ]+) \|",
        OPERATING,
        re.M,
    ):
        for command in commands.split(", "):
            table.setdefault(command, {})[flag] = (environment, default or "empty")
    assert {"serve", "ingest"} <= set(table)
    commands = [*re.findall(r"^  (\w+)  ", run("--help").stdout, re.M), "echo"]  # a hidden one
    assert set(table) == set(commands), "the table knows other commands than the program"
    for command in commands:
        told = run(command, "--help").stdout
        options = {
            flag: (environment, default)
            for flag, default, environment in re.findall(
                r"^  --([\w-]+) [^\n]*\n[^\n]*\n +default (.*); environment (\w+)$", told, re.M
            )
        }
        assert options == table[command]
        for flag in re.findall(r"^  --([\w-]+)", told, re.M):
            assert f"--{flag}" in OPERATING, flag


def test_a_setting_out_of_range_ends_with_2_and_a_database_in_use_with_1(start, tmp_path):
    assert run("serve", "--ws-max-connections", "-1").returncode == 2
    assert run("serve", "--redis-enabled", "--redis-url", "rediss://host").returncode == 2
    assert run("serve", "--nothing").returncode == 2
    assert run("ingest", "--db", tmp_path / "none.duckdb", tmp_path / "nothing").returncode == 1
    start()
    assert run("serve", "--listen", "127.0.0.1:0", "--db", tmp_path / "own.duckdb").returncode == 1
    (tmp_path / "AAAUSDT-5m-2025-12-09.csv").write_text("1765238400000,1,1,1,1,1,0,0,0,0,0,0\n")
    assert run("ingest", "--db", tmp_path / "own.duckdb", tmp_path).returncode == 2


def test_after_a_stop_the_file_is_the_whole_database(start, tmp_path):
    start().stop()
    assert (tmp_path / "own.duckdb").exists() and not (tmp_path / "own.duckdb.wal").exists()


# --- the examples ---


def example(language, server, heading="## Clients that work"):
    (section,) = re.findall(rf"^{heading}$(.*?)(?:^#+ |\Z)", PROTOCOL, re.S | re.M)
    (block,) = re.findall(rf"```{language}\n(.*?)```", section, re.S)
    assert "127.0.0.1:8000" in block
    return block.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")


def run_example(*command, **options):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False, **options
    )


def test_the_python_client_works(server):
    done = run_example(sys.executable, "-c", example("python", server))
    assert done.returncode == 0 and done.stdout.count(" levels, biggest ") == 3, done.stderr


KEEPING_UP = "### A client that keeps up"


def test_the_client_that_keeps_up_works_and_comes_back(server):
    done = run_example(sys.executable, "-c", example("python", server, KEEPING_UP))
    assert done.returncode == 0 and done.stdout.count(" levels\n") == 6, done.stderr
    assert "begun anew" not in done.stdout


def test_the_client_that_keeps_up_makes_of_a_delta_the_state_that_was_published(publishing):
    client = {"__name__": "example"}
    exec(example("python", publishing, KEEPING_UP), client)

    def publish(levels):
        names = ("price", "long_density", "short_density")
        body = {"levels": [dict(zip(names, level)) for level in levels]}
        body |= {"current_price": 0.1, "price_bin_size": 0.0002}
        token = {"Authorization": f"Bearer {TOKEN}"}
        assert publishing.ask("/publish/MINE", "POST", token, body=json.dumps(body))[0] == 200

    def latest(more=""):
        path = f"/heatmap/latest?symbol=MINE&format=columns{more}"
        return json.loads(publishing.ask(path)[2], parse_float=Decimal)

    levels = [(round(0.1 + 0.0002 * i, 4), i + 0.25, 3) for i in range(40)]
    publish(levels)
    state = client["applied"](None, latest())
    publish([*levels[:7], (levels[7][0], 0, 5.5), *levels[8:20], *levels[21:], (0.2, 0, 1)])
    delta = latest(f"&mode=delta&since={state['epoch']}:{state['seq']}")
    assert delta["type"] == "delta"
    assert client["applied"](state, delta) == client["applied"](None, latest())


def test_the_node_client_works(server):
    node, modules = shutil.which("node"), ROOT / "tests" / "node_modules"
    assert node and (modules / "ws").exists(), "run scripts/setup test"
    environment = {**os.environ, "NODE_PATH": str(modules)}
    done = run_example(node, "-e", example("js", server), env=environment)
    # Where the machine is busy, another one may be on its way when it closes.
    assert done.stdout.count(" levels\n") in (3, 4), done.stdout + done.stderr
    assert "closed 1005" in done.stdout, done.stdout + done.stderr


def test_the_curl_lines_work(server):
    for line in example("sh", server).splitlines():
        done = run_example("bash", "-c", line.replace("curl ", "curl --fail "))
        assert done.returncode == 0, line
        parse(done.stdout)


def test_the_publishing_line_works(publishing):
    block = example("sh", publishing, "### POST /publish/SYMBOL")
    done = run_example("bash", "-c", f"openssl() {{ echo {TOKEN}; }}\n{block}")
    assert parse(done.stdout)["symbol"] == "MINE", done.stderr


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def test_the_settings_in_the_readme_have_the_defaults_of_the_full_table():
    row = r"^\| `--([a-z-]+)[^`]*` \| `(\w+)` \| ([^|]+) \|"
    few = re.findall(row, (ROOT / "README.md").read_text(), re.M)
    assert few and set(few) <= set(re.findall(row, OPERATING, re.M))


def test_the_publishing_lines_of_the_readme_work_as_written(tmp_path):
    readme = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"^  ```sh\n(  export HEATCAST_PUBLISH_TOKEN.*?)^  ```$", readme, re.S | re.M)
    address = f"127.0.0.1:{free_port()}"
    assert "--listen 127.0.0.1:8001" in block, "make run may be at 8000"
    words = block.replace("127.0.0.1:8001", address).replace("build/heatcast", HEATCAST)
    done = run_example(
        "bash", "-c", words + "kill %1; wait", cwd=tmp_path, env=clean_environment()
    )
    answer = done.stdout[done.stdout.index('{"symbol"') :]
    assert parse(answer)["changed"] is True, done.stderr
