"""POST /replay: pause, speed and position of a replay, who may change them, and what everybody sees."""

import json
import socket
import time

import pytest

from dumps import START_MS, STEP_MS, iso, ms, write_klines, write_metrics
from rude import Rude, RudeSocket
from server import PATIENCE, ingest

DAY_STEPS = 288
TIMESERIES = "/liquidations/heatmap-timeseries"
JSON = {"Content-Type": "application/json"}
REPLAY = ("--feed", "replay", "--ws-update-interval", "0.1", "--replay-speed")
FIRST = START_MS + STEP_MS  # when the first candle has closed
NOON = iso(START_MS + 144 * STEP_MS + STEP_MS // 2)


def write_day(folder, symbol, start_ms):
    closes = [1000 + k % 7 + k / 8 for k in range(DAY_STEPS)]
    write_klines(folder, symbol, closes, start_ms)
    write_metrics(folder, symbol, [1e6 + 1e4 * k * (k % 3) for k in range(DAY_STEPS)], start_ms)


@pytest.fixture(scope="module")
def dumps(tmp_path_factory):
    """One day of one symbol, and the day after it of another."""
    folder = tmp_path_factory.mktemp("days")
    write_day(folder / "one", "AAAUSDT", START_MS)
    write_day(folder / "other", "BBBUSDT", START_MS + DAY_STEPS * STEP_MS)
    return folder


@pytest.fixture
def day(dumps, tmp_path):
    ingest(tmp_path / "day.duckdb", dumps / "one")
    return tmp_path / "day.duckdb"


@pytest.fixture
def days(dumps, tmp_path):
    ingest(tmp_path / "days.duckdb", dumps / "one", dumps / "other")
    return tmp_path / "days.duckdb"


def told(server):
    return server.get("/health")["replay"]


def post(server, body, **headers):
    body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.request("/replay", "POST", {**JSON, **headers}, body)


def change(server, **fields):
    answer = post(server, fields)
    assert answer.status == 200, answer.body
    return answer.json()


def message_at(client, time_ms):
    """The next message whose newest candle is the last that has closed by then."""
    while True:
        message = client.take_message()
        if ms(message["timestamp"]) == time_ms // STEP_MS * STEP_MS - STEP_MS:
            return message


# --- what it says ---


def test_health_tells_how_the_replay_stands(serve, day):
    server = serve(*REPLAY, "0.001", db=day)
    replay = told(server)
    assert list(replay) == ["speed", "position", "start", "end", "paused", "control"]
    assert replay["start"] == iso(FIRST) and replay["end"] == iso(START_MS + DAY_STEPS * STEP_MS)
    middle = (FIRST + START_MS + DAY_STEPS * STEP_MS) // 2
    assert 0 <= ms(replay["position"]) - middle < 1000
    assert (replay["speed"], replay["paused"], replay["control"]) == (0.001, False, True)


def test_without_candles_there_is_nothing_to_move(serve):
    server = serve(*REPLAY, "60")
    replay = told(server)
    assert replay["position"] is replay["start"] is replay["end"] is None
    answer = post(server, {"position": NOON})
    assert answer.status == 422 and "no candles" in answer.detail
    assert change(server, speed=5, paused=True)["paused"] is True


# --- speed and pause ---


def test_another_speed_goes_on_from_where_the_clock_is(serve, day):
    server = serve(*REPLAY, "1", db=day)
    began = time.monotonic()  # before the server looks at its clock
    before = ms(told(server)["position"])

    def real_ms():
        return (time.monotonic() - began) * 1000 + 2  # the server counts whole ones

    answer = change(server, speed=600)
    assert answer["speed"] == 600
    now = ms(answer["position"])
    assert before <= now <= before + real_ms()
    time.sleep(0.2)
    later = ms(told(server)["position"])
    assert now + 190 * 600 <= later <= now + real_ms() * 600
    again = change(server, speed=0.001)
    assert later <= ms(again["position"]) <= now + real_ms() * 600
    assert told(server)["speed"] == 0.001


def test_a_paused_replay_stands_still_and_goes_on(serve, day):
    server = serve(*REPLAY, "6000", db=day)
    with RudeSocket(server.address) as client:
        client.subscribe("AAAUSDT", update_interval=0)
        client.take_messages(3)
        paused = change(server, paused=True)
        assert paused["paused"] is True
        client.take_messages_for(0.5)  # what was on its way
        assert client.is_silent(0.5)
        assert told(server) == paused
        assert change(server, speed=600000)["position"] == paused["position"]
        # Nothing of the time that it stood still is made up for.
        assert change(server, speed=3000)["position"] == paused["position"]
        began = time.monotonic()
        assert change(server, paused=False)["paused"] is False
        now = ms(told(server)["position"])
        assert now <= ms(paused["position"]) + ((time.monotonic() - began) * 1000 + 2) * 3000
        message = client.take_message()
    assert ms(message["timestamp"]) > ms(paused["position"]) - 2 * STEP_MS


def test_nothing_asked_changes_nothing(serve, day):
    server = serve(*REPLAY, "0.001", "--replay-from", "2026-01-01T12:00:00Z", db=day)
    before = told(server)
    with RudeSocket(server.address) as client:
        client.subscribe("AAAUSDT", update_interval=0)
        client.take_message()
        after = change(server)
        assert {**after, "position": before["position"]} == before
        assert client.is_silent(0.5)


# --- position ---


@pytest.mark.parametrize("is_paused", [False, True])
def test_a_new_position_is_a_new_epoch_for_all_who_listen(serve, day, is_paused):
    server = serve(*REPLAY, "0.001", db=day)
    change(server, paused=is_paused)
    modes = ({}, {"mode": "delta"}, {"mode": "delta", "format": "columns"})
    clients = [RudeSocket(server.address) for _ in modes]
    for client, fields in zip(clients, modes):
        client.subscribe("AAAUSDT", update_interval=0, **fields)
    epochs = [client.take_message()["epoch"] for client in clients]
    for hour in (20, 3, 4, 15):
        at = START_MS + hour * 12 * STEP_MS + 1234
        answer = change(server, position=iso(at).replace("Z", ".234Z"))
        assert ms(answer["position"]) - at < 1000 and answer["paused"] is is_paused
        messages = [message_at(client, at) for client in clients]
        for message, epoch in zip(messages, epochs):
            assert message["type"] == "snapshot" and message["seq"] == 1
            assert int(message["epoch"], 36) > int(epoch, 36)
            assert "resumed" not in message
        epochs = [message["epoch"] for message in messages]
        assert len(set(epochs)) == 1
        # The very state of a server that has run up to there.
        whole = server.get(
            TIMESERIES, symbol="AAAUSDT", interval="5m", start_time=iso(at - 2 * STEP_MS),
            warmup="stream", price_bin_size=messages[0]["data"]["price_bin_size"],
        )  # fmt: skip
        assert whole["data"][-1]["timestamp"] == messages[0]["timestamp"]
        assert whole["data"][-1]["levels"] == messages[0]["data"]["levels"] != []
    for client in clients:
        client.close()


def test_the_answer_tells_the_very_position_that_was_asked_for(serve, day):
    """A millisecond is a quarter of an hour here."""
    server = serve(*REPLAY, "1000000", db=day)
    for i in range(300):
        at = iso(START_MS + (2 + i * 37 % 280) * STEP_MS)
        assert change(server, position=at)["position"] == at


def test_after_a_new_position_all_doors_show_what_has_happened(serve, day):
    server = serve(*REPLAY, "0.001", "--replay-from", "90%", db=day)
    late = server.get("/heatmap/latest", symbol="AAAUSDT")
    at = START_MS + 60 * STEP_MS
    change(server, position=iso(at))
    symbol = server.get("/symbols")["symbols"][0]
    assert ms(symbol["end_time"]) == at - STEP_MS and "last_price" not in symbol
    rows = server.get("/prices/klines", symbol="AAAUSDT", interval="5m")["data"]
    assert ms(rows[-1]["timestamp"]) == at - STEP_MS
    latest = server.get("/heatmap/latest", symbol="AAAUSDT")
    assert ms(latest["timestamp"]) == at - STEP_MS
    assert int(latest["epoch"], 36) > int(late["epoch"], 36)
    assert server.get("/symbols")["symbols"][0]["last_price"] == rows[-1]["close"]


def test_who_comes_back_to_another_epoch_is_told(serve, day):
    server = serve(*REPLAY, "0.001", db=day)
    seen = server.get("/heatmap/latest", symbol="AAAUSDT")
    change(server, position=NOON)
    with RudeSocket(server.address) as client:
        client.subscribe("AAAUSDT", since={"AAAUSDT": seen["seq"]}, epoch=seen["epoch"])
        message = client.take_message()
        while message["epoch"] == seen["epoch"]:
            message = client.take_message()
    assert message["type"] == "snapshot"


def test_the_ends_of_the_data_are_positions(serve, day):
    server = serve(*REPLAY, "0.001", db=day)
    for end in ("start", "end"):
        wanted = told(server)[end]
        assert change(server, position=wanted)["position"] == wanted


def test_the_lap_after_a_new_position_begins_where_laps_begin(serve, day):
    server = serve(*REPLAY, "60", "--replay-from", "25%", db=day)
    change(server, position=told(server)["end"])
    end = time.monotonic() + PATIENCE
    while told(server)["position"] == told(server)["end"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    quarter = FIRST + (DAY_STEPS - 1) * STEP_MS // 4
    assert quarter <= ms(told(server)["position"]) < quarter + PATIENCE * 60_000


def test_symbols_of_other_times_are_moved_to_the_end_that_is_near(serve, days):
    server = serve(*REPLAY, "0.001", db=days)
    replay = told(server)
    middle = START_MS + DAY_STEPS * STEP_MS
    assert (replay["start"], replay["end"]) == (iso(FIRST), iso(middle + DAY_STEPS * STEP_MS))

    def ends():
        return [ms(symbol["end_time"]) for symbol in server.get("/symbols")["symbols"]]

    for at, shown in [
        (middle + 10 * STEP_MS, [middle - STEP_MS, middle + 9 * STEP_MS]),
        (middle - 10 * STEP_MS, [middle - 11 * STEP_MS, middle]),
        (FIRST, [START_MS, middle]),
    ]:
        assert change(server, position=iso(at))["position"] == iso(at)
        assert ends() == shown


def test_many_changes_at_once_end_in_the_last_one(serve, day):
    """A heatmap that is being built is overtaken by the next position."""
    server = serve(*REPLAY, "0.001", db=day)
    with RudeSocket(server.address) as client:
        client.subscribe("AAAUSDT", update_interval=0)
        client.take_message()
        for i in range(60):
            at = START_MS + (1 + i * 37 % 280) * STEP_MS
            change(server, position=iso(at), paused=bool(i % 2), speed=1 / (i + 1))
        message_at(client, at)
        client.take_messages_for(0.5)
        assert ms(server.get("/heatmap/latest", symbol="AAAUSDT")["timestamp"]) == at - STEP_MS


def test_positions_without_end_are_new_epochs_now_and_then(serve, day):
    """Each costs all who listen a whole snapshot: 4 a second at most, the last one among them. (The
    server looks for candles once an hour: nothing else would bring a position to anybody.)"""
    server = serve("--feed", "replay", "--ws-update-interval", "3600", "--replay-speed", "0.001", db=day)
    change(server, paused=True)
    with RudeSocket(server.address) as client, Rude(server.address) as mover:
        client.subscribe("AAAUSDT", update_interval=0)
        first = client.take_message()
        began = time.monotonic()
        for i in range(300):
            at = START_MS + (2 + i * 37 % 280) * STEP_MS
            body = json.dumps({"position": iso(at)})
            answer = mover.ask(
                "POST /replay HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            )
            assert answer.status == 200 and json.loads(answer.body)["position"] == iso(at)
        epochs = {first["epoch"]}
        message = client.take_message()
        while ms(message["timestamp"]) != at - STEP_MS:
            epochs.add(message["epoch"])
            message = client.take_message()
        epochs.add(message["epoch"])
        assert len(epochs) <= 2 + (time.monotonic() - began) / 0.25
        assert client.is_silent(0.5)


def test_who_asks_for_the_newest_waits_for_the_last_position(serve, day):
    server = serve("--feed", "replay", "--ws-update-interval", "3600", "--replay-speed", "0.001", db=day)
    epochs = []
    for hour in (3, 9, 5):
        at = START_MS + hour * 12 * STEP_MS
        change(server, position=iso(at))
        latest = server.get("/heatmap/latest", symbol="AAAUSDT")
        assert ms(latest["timestamp"]) == at - STEP_MS
        epochs.append(latest["epoch"])
    assert len(set(epochs)) == 3


def test_a_server_stops_while_somebody_waits_for_a_position(serve, day):
    server = serve("--feed", "replay", "--ws-update-interval", "3600", "--replay-speed", "0.001", db=day)
    server.get("/heatmap/latest", symbol="AAAUSDT")
    change(server, position=NOON)
    with Rude(server.address) as client:
        client.send(b"GET /heatmap/latest?symbol=AAAUSDT HTTP/1.1\r\nHost: x\r\n\r\n")
        server.get("/ready")
        server.stop()


# --- what of it costs nobody anything ---


def test_the_same_again_is_no_change(serve, day):
    server = serve(*REPLAY, "0.001", db=day)
    there = change(server, paused=True, position=NOON)
    with RudeSocket(server.address) as client:
        client.subscribe("AAAUSDT", update_interval=0)
        message_at(client, ms(NOON))
        for same in ({}, {"speed": 0.001}, {"paused": True}, {"position": NOON}, there):
            wish = {name: same[name] for name in ("speed", "paused", "position") if name in same}
            assert change(server, **wish) == there
        assert client.is_silent(0.5)
    assert len(server.events("replay changed")) == 1


def test_changes_are_logged_once_a_second(serve, day):
    server = serve(*REPLAY, "0.001", db=day)
    began = time.monotonic()
    for i in range(200):
        change(server, speed=1 + i)
    took = time.monotonic() - began
    lines = server.events("replay changed")
    assert (lines[0]["speed"], lines[0]["unlogged"]) == (1, 0)
    assert len(lines) <= 1 + took
    time.sleep(1.1)
    change(server, speed=5000)
    lines = server.events("replay changed")
    assert lines[-1]["speed"] == 5000 and lines[-1]["unlogged"] > 0
    assert sum(line["unlogged"] for line in lines) + len(lines) == 201


def test_positions_do_not_fill_the_log(serve, day):
    server = serve(*REPLAY, "0.001", db=day)
    for hour in (3, 9, 5):
        change(server, position=iso(START_MS + hour * 12 * STEP_MS))
        server.get("/heatmap/latest", symbol="AAAUSDT")
    assert len(server.events("heatmap built")) == 1


# --- what is refused ---


@pytest.fixture(scope="module")
def moved(dumps, tmp_path_factory):
    """A replay that no test here moves."""
    from server import Server

    db = tmp_path_factory.mktemp("moved") / "day.duckdb"
    ingest(db, dumps / "one")
    server = Server(*REPLAY, "0.001", "--cors-allowed-origins", "https://a.example, *", db=db)
    yield server
    server.stop()


@pytest.mark.parametrize(
    "body, word",
    [
        ("", "JSON"),
        ("speed=60", "JSON"),
        ("[]", "object"),
        ({"speed": 60, "spede": 1}, "unknown field 'spede'"),
        ('{"speed":1,"speed":2}', "speed"),
        ({"speed": 0}, "speed: not a number from 0.001 to 1000000"),
        ({"speed": 1000001}, "speed"),
        ({"speed": "60"}, "speed"),
        ({"paused": 1}, "paused"),
        ({"position": 0}, "position"),
        ({"position": "noon"}, "position"),
        ({"position": iso(FIRST - 1000)}, iso(FIRST)),
        ({"position": "2026-01-02T00:00:00.001Z", "speed": 5}, "2026-01-02T00:00:00Z"),
        (b"\xff", "JSON"),
    ],
)
def test_a_body_that_says_no_such_thing_is_422(moved, body, word):
    answer = post(moved, body)
    assert answer.status == 422 and word in answer.detail
    assert told(moved)["speed"] == 0.001


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/jsonp"}, 415),
        ({"Content-Type": "text/plain; application/json"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Origin": "https://b.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://a.example.b.example"}, 403),
        ({"Origin": "https://a.example", "Content-Type": "text/plain"}, 415),
        ({"Origin": "https://a.example"}, 200),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, 200),
    ],
)
def test_another_sites_page_cannot_move_it(moved, headers, status):
    answer = post(moved, {}, **headers)
    assert answer.status == status
    assert answer.headers["Cache-Control"] == "no-store"
    if status != 200:
        assert answer.detail


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "heat.localhost"])
def test_its_own_page_can_move_it(moved, host):
    own = f"{host}:{moved.port}"
    assert post(moved, {}, Origin=f"http://{own}", Host=own).status == 200
    assert post(moved, {}, Origin=f"https://{own}", Host=own).status == 403


def test_a_name_that_is_pointed_here_is_not_its_own(moved):
    """DNS rebinding: the name is another's, the address ours, and Origin and Host agree."""
    for host in (f"b.example:{moved.port}", "b.example", f"127.0.0.1.b.example:{moved.port}"):
        answer = post(moved, {"speed": 5}, Origin=f"http://{host}", Host=host)
        assert answer.status == 403 and "CORS_ALLOWED_ORIGINS" in answer.detail
    assert told(moved)["speed"] == 0.001
    # Behind a proxy: the name is the operator's, who says so.
    assert post(moved, {}, Origin="https://a.example", Host="a.example").status == 200


def test_the_name_that_is_listened_on_is_its_own(serve, day):
    name = socket.gethostname().lower()
    try:
        socket.getaddrinfo(name, 0)
    except OSError:
        pytest.skip("this machine does not know its own name")
    server = serve(*REPLAY, "0.001", "--listen", f"{name}:0", db=day)
    own = f"{name}:{server.port}"
    assert post(server, {}, Origin=f"http://{own}", Host=own).status == 200


def test_preflights_let_nobody_post(moved):
    asking = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    answer = moved.request("/replay", "OPTIONS", asking)
    assert (answer.status, answer.headers["Allow"]) == (204, "POST, OPTIONS")
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"


def test_other_methods_are_405(moved):
    for method in ("GET", "HEAD"):
        answer = moved.request("/replay", method)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST, OPTIONS")


def test_a_body_has_1024_bytes_at_most(moved):
    assert post(moved, "{}" + " " * 1022).status == 200
    with Rude(moved.address) as client:
        head = "POST /replay HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        answer = client.ask(head + "Content-Length: 1025\r\n\r\n")
        assert answer.status == 413 and "1024" in answer.detail
        assert client.is_closed()


def test_the_connection_goes_on_after_a_change(moved):
    head = "POST /replay HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    with Rude(moved.address) as client:
        client.send_in_pieces((head + "{}" + head + "[]").encode(), 7)
        assert client.take_answer().status == 200
        assert client.take_answer().status == 422
        assert client.ask(head + "{}").status == 200


def test_control_can_be_switched_off(serve, day):
    server = serve(*REPLAY, "60", "--replay-control=false", db=day)
    replay = told(server)
    assert replay["control"] is False and replay["speed"] == 60
    for method in ("POST", "GET"):
        answer = server.request("/replay", method, JSON, "{}" if method == "POST" else None)
        assert answer.status == 404 and "replay-control" in answer.detail
    assert server.request("/replay", "OPTIONS").headers["Allow"] == "GET, HEAD, OPTIONS"


def test_what_does_not_replay_cannot_be_moved(sim):
    answer = post(sim, {"speed": 1})
    assert answer.status == 404 and "does not replay" in answer.detail
    assert "replay" not in sim.get("/health")
