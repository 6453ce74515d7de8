"""POST /publish/SYMBOL: somebody's own model on the same hub."""

import http.client
import itertools
import json
import re
import shutil
import subprocess
import threading

import pytest

from rude import Rude, RudeSocket
from server import FAST, PATIENCE, Answer, await_that, run

TOKEN = "tests-publish-with-this-1"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SYMBOLS = "MINE,YOURS"
BODY_MAX, LEVELS_MAX = 2097152, 20000


@pytest.fixture
def publishing(serve):
    """publishing(FLAG…, symbols=…): a server with the door open."""

    def start(*flags, symbols=SYMBOLS, **options):
        flags = ("--publish-symbols", symbols, *flags)
        return serve(*flags, HEATCAST_PUBLISH_TOKEN=TOKEN, **options)

    return start


def model(price=98450, levels=((98000, 1500000.25, 0),), bin=100, **more):
    """A body."""
    names = ("price", "long_density", "short_density")
    return {
        "levels": [dict(zip(names, level)) for level in levels],
        "current_price": price,
        "price_bin_size": bin,
        **more,
    }


def post(server, path, body, headers=BEARER, method="POST"):
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    connection = http.client.HTTPConnection(*server.address, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def publish(server, symbol, body):
    """What the server says to a body that it takes."""
    answer = post(server, f"/publish/{symbol}", body)
    assert answer.status == 200, (answer.status, answer.body)
    return answer.json()


def raw_request(body, symbol="MINE", token=TOKEN, **fields):
    """The bytes of a request; a field given as None is left out. Underscores stand for hyphens."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Authorization": f"Bearer {token}", "Content_Length": len(body), **fields}
    lines = [f"{k.replace('_', '-')}: {v}" for k, v in fields.items() if v is not None]
    head = [f"POST /publish/{symbol} HTTP/1.1", "Host: x", *lines, "", ""]
    return "\r\n".join(head).encode() + body


# --- what arrives ---


def test_subscribers_get_what_was_published_in_the_canonical_form(publishing):
    server = publishing()
    answered = publish(
        server,
        "MINE",
        '{ "price_bin_size": 1e2, "timestamp": "2025-12-29T11:00:00+01:00",\n "levels": ['
        '{"short_density": 0.005, "long_density": 1.5e6, "price": 98000},'
        '{"price": 98100.0, "long_density": 0, "short_density": 0.00},'
        '{"price": 98200, "long_density": 0.004, "short_density": 7.10}],'
        '"positions_created": 5, "current_price": 98450.50}',
    )
    wanted = (
        '{"type":"snapshot","symbol":"MINE","timestamp":"2025-12-29T10:00:00Z","seq":1,'
        f'"epoch":"{answered["epoch"]}","data":{{"levels":['
        '{"price":98000,"long_density":1500000,"short_density":0.01},'
        '{"price":98200,"long_density":0,"short_density":7.1}],'
        '"current_price":98450.5,"positions_created":5,"positions_consumed":0,'
        '"price_bin_size":100}}'
    )
    for extension in (None, "permessage-deflate"):
        with RudeSocket(server.address, Sec_WebSocket_Extensions=extension) as client:
            client.subscribe("MINE")
            assert client.take_text() == wanted
    assert server.request("/heatmap/latest", symbol="MINE").body.decode() == wanted


def test_what_was_skipped_soon_after_a_warning_is_told_when_the_next_is_due(publishing):
    server = publishing()
    prices = itertools.count(1)
    fill = [(100 * n, 1234567.89, 0) for n in range(LEVELS_MAX)]
    warnings = []

    def fall_behind():
        dropped = server.stats()["snapshots_dropped"]
        while server.stats()["snapshots_dropped"] == dropped:
            publish(server, "MINE", model(next(prices), fill))

    def catch_up():
        price = next(prices)
        publish(server, "MINE", model(price))
        while True:
            event = slow.take_line_end(b"\n\n").decode()
            if event.startswith("event: warning"):
                warnings.append(event)
            elif f'"current_price":{price},' in event:
                return

    # A stream of events: no ping or answer goes out that the warning could ride along with.
    with Rude(server.address, receive_buffer=65536) as slow:
        slow.send("GET /sse/heatmap?symbols=MINE HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        slow.take_line_end(b"\r\n\r\n")
        for _ in range(2):
            fall_behind()
            catch_up()
        await_that(lambda: catch_up() or len(warnings) > 1, "the second warning")
        told = [int(re.search(r'"dropped_messages":(\d+)', text)[1]) for text in warnings]
        assert sum(told) == server.stats()["snapshots_dropped"]


def test_data_that_was_received_can_be_sent_on(publishing):
    server = publishing()
    levels = [(n * 0.0002, n * 1.25, 100 / n) for n in range(1, 500)]
    levels = [(round(p, 4), round(a, 2), round(b, 2)) for p, a, b in levels]
    publish(server, "MINE", model(0.10103, levels, 0.0002, positions_consumed=3))
    with RudeSocket(server.address) as client:
        client.subscribe("MINE")
        data = client.take_message("snapshot")["data"]
        publish(server, "YOURS", data)
        client.subscribe("YOURS")
        assert client.take_message("snapshot")["data"] == data
    columns = {
        "prices": [levels[0][0]] + [1] * (len(levels) - 1),
        "long": [level[1] for level in levels],
        "short": [level[2] for level in levels],
    }
    assert publish(server, "YOURS", {**data, "levels": columns})["changed"] is False


def test_the_answer_says_which_version_it_became_and_for_how_many(publishing):
    server = publishing("--threads", "3")
    first = publish(server, "MINE", model())
    assert list(first) == ["symbol", "seq", "epoch", "changed", "subscribers"]
    assert (first["symbol"], first["seq"]) == ("MINE", 1)
    assert (first["changed"], first["subscribers"]) == (True, 0)
    clients = [RudeSocket(server.address) for _ in range(12)]
    for client in clients:
        client.subscribe("MINE", update_interval=0)
        assert client.take_message("snapshot")["seq"] == 1
    second = publish(server, "MINE", model(98451))
    assert second == {**first, "seq": 2, "subscribers": 12}
    for client in clients:
        got = client.take_message("snapshot")
        assert (got["seq"], got["epoch"]) == (2, first["epoch"])
        assert got["data"]["current_price"] == 98451
    clients[0].subscribe("MINE", update_interval=60)  # again: still one subscription
    for client in clients[6:]:
        client.say({"action": "unsubscribe", "symbols": ["MINE"], "id": 1})
        client.take_message("unsubscribed")
    clients[0].pong()
    assert publish(server, "MINE", model(98452))["subscribers"] == 6
    for client in clients:
        client.close()
    server.await_stat("all have gone", subscriptions=0)
    assert publish(server, "MINE", model(98453))["subscribers"] == 0
    assert publish(server, "YOURS", model())["seq"] == 1, "each symbol counts by itself"


def test_the_same_content_again_is_no_version(publishing):
    server = publishing()
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", update_interval=0)
        first = publish(server, "MINE", model(positions_created=3))
        assert client.take_message("snapshot")["data"]["positions_created"] == 3
        later = {"positions_created": 2, "timestamp": "2030-01-01T00:00:00Z"}
        again = publish(server, "MINE", model(**later))
        assert again == {**first, "changed": False, "subscribers": 1}
        client.pong()  # with nothing before it
        assert publish(server, "MINE", model(98451, positions_created=1))["seq"] == 2
        assert client.take_message()["data"]["positions_created"] == 3, "those of both"


@pytest.mark.parametrize(
    "other",
    [
        model(98450.01),
        model(levels=[(98000, 1500000.25, 0.01)]),
        model(levels=[(97900, 1500000.25, 0)]),
        model(levels=[]),
        model(levels=[(98000, 1500000.25, 0)], bin=50),
        model(levels=[(49000, 1500000.25, 0)], bin=50),  # the same buckets of another size
    ],
)
def test_any_other_content_is_a_version(publishing, other):
    server = publishing()
    publish(server, "MINE", model())
    assert publish(server, "MINE", other)["changed"] is True
    assert publish(server, "MINE", model())["seq"] == 3


def test_without_a_timestamp_it_is_the_time_of_publishing(publishing):
    server = publishing()
    publish(server, "MINE", model())
    with RudeSocket(server.address) as client:
        client.subscribe("MINE")
        published, now = client.take_message("snapshot")["timestamp"], client.pong()["timestamp"]
    assert "2025-01-01" < published <= now


def test_deltas_tell_what_the_publisher_changed(publishing):
    server = publishing()
    levels = {price: (price / 2, 0) for price in range(100, 3000, 100)}
    publish(server, "MINE", model(levels=[(p, *d) for p, d in levels.items()]))
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", mode="delta", update_interval=0)
        assert client.take_message("snapshot")["seq"] == 1
        del levels[300]
        levels |= {500: (1, 2), 50_000: (0, 9.99)}
        publish(server, "MINE", model(levels=[(p, *d) for p, d in levels.items()]))
        delta = client.take_message()
        assert (delta["type"], delta["prev"], delta["seq"]) == ("delta", 1, 2)
        assert [tuple(level.values()) for level in delta["data"]["levels"]] == [
            (300, 0, 0),
            (500, 1, 2),
            (50_000, 0, 9.99),
        ]
        halved = [(p, *d) for p, d in levels.items()]
        publish(server, "MINE", model(levels=halved, bin=50))
        whole = client.take_message()
        assert (whole["type"], whole["seq"]) == ("snapshot", 3), "no difference between two grids"
        assert [tuple(level.values()) for level in whole["data"]["levels"]] == halved


def test_who_comes_back_is_told_what_was_published_meanwhile(publishing):
    server = publishing()
    levels = [(price, price, price) for price in range(100, 3000, 100)]
    publish(server, "MINE", model(levels=levels))
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", mode="delta")
        had = client.take_message("snapshot")
    for n in (7, 8, 9):
        publish(server, "MINE", model(levels=[*levels[:-1], (2900, n, n)]))
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", mode="delta", since={"MINE": had["seq"]}, epoch=had["epoch"])
        delta = client.take_message()
    assert (delta["type"], delta["prev"], delta["seq"]) == ("delta", 1, 4)
    assert [level["long_density"] for level in delta["data"]["levels"]] == [9]


def test_who_subscribes_before_the_first_publication_gets_it_when_it_comes(publishing):
    server = publishing()
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", update_interval=60, id=1)
        assert client.take_message("subscribed")["symbols"] == ["MINE"]
        assert server.request("/heatmap/latest", symbol="MINE").status == 404
        client.pong()  # with nothing before it
        publish(server, "MINE", model())
        assert client.take_message()["seq"] == 1


def test_every_door_has_what_was_published(publishing):
    server = publishing()
    with Rude(server.address) as events, Rude(server.address) as poll:
        events.send(b"GET /sse/heatmap?symbols=MINE HTTP/1.1\r\nHost: x\r\n\r\n")
        events.take_line_end(b"\r\n\r\n")
        events.take_line_end(b"\n\n")  # retry:
        poll.send(b"GET /heatmap/latest?symbol=MINE&wait=60 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.await_stat("both have subscribed", subscriptions=2)
        answered = publish(server, "MINE", model())
        assert answered["subscribers"] == 2
        message = poll.take_answer().body
        assert events.take_line_end(b"\n") == f"id: {answered['epoch']}:1\n".encode()
        assert events.take_line_end(b"\n\n") == b"data: " + message + b"\n\n"
        assert server.request("/heatmap/latest", symbol="MINE").body == message


def test_two_publishers_of_one_symbol_make_one_sequence(publishing):
    server = publishing()
    count = 60
    answers = []

    def publish_all(side):
        for n in range(count):
            answers.append((publish(server, "MINE", model(1 + side + 2 * n)), 1 + side + 2 * n))

    threads = [threading.Thread(target=publish_all, args=(side,)) for side in (0, 1)]
    with RudeSocket(server.address) as client:
        client.subscribe("MINE", update_interval=0)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        prices = {answer["seq"]: price for answer, price in answers}
        assert sorted(prices) == list(range(1, 2 * count + 1))
        assert len({answer["epoch"] for answer, _ in answers}) == 1
        while (got := client.take_message("snapshot"))["seq"] < 2 * count:
            assert got["data"]["current_price"] == prices[got["seq"]]
        assert got["data"]["current_price"] == prices[2 * count]


def test_every_run_has_an_epoch_of_its_own(publishing):
    epochs = []
    for _ in range(2):
        server = publishing()
        epochs.append(publish(server, "MINE", model())["epoch"])
        assert publish(server, "YOURS", model())["epoch"] != epochs[-1]
        server.stop()
    assert int(epochs[0], 36) < int(epochs[1], 36)


def test_a_publisher_that_does_not_wait_for_the_answer_has_published(publishing):
    server = publishing()
    client = Rude(server.address)
    client.send(raw_request(model()))
    client.reset()
    await_that(lambda: server.request("/heatmap/latest", symbol="MINE").status == 200, "published")


# --- published symbols and those of the database ---


def test_a_model_from_outside_takes_the_place_of_ours_only_where_it_is_named(publishing):
    server = publishing(*FAST, symbols="BTCUSDT")
    unnamed = post(server, "/publish/ETHUSDT", model())
    assert unnamed.status == 400 and unnamed.detail.endswith("(publish-symbols): BTCUSDT")
    with RudeSocket(server.address) as client:
        client.subscribe("BTCUSDT", "ETHUSDT", update_interval=0)
        ours = client.take_messages(3)
        assert {message["symbol"] for message in ours} == {"ETHUSDT"}
        publish(server, "BTCUSDT", model(timestamp="2025-12-29T10:00:00Z"))
        later = client.take_messages(4)
    mine = [message for message in later if message["symbol"] == "BTCUSDT"]
    assert len(mine) == 1 and mine[0]["timestamp"] == "2025-12-29T10:00:00Z"
    btc, eth, _ = server.get("/symbols")["symbols"]
    assert (btc["feed"], btc["last_price"], btc["price_bin_size"]) == ("published", 98450, 100)
    assert (eth["feed"], btc["interval"]) == ("sim", "5m")
    assert server.get("/prices/klines", symbol="BTCUSDT")["count"] == 100, "its history stays"
    # Nobody is subscribed now: ours would be brought up to date, and it is not.
    assert server.get("/heatmap/latest", symbol="BTCUSDT")["timestamp"] == "2025-12-29T10:00:00Z"


def test_a_symbol_that_is_only_published_is_listed_and_has_no_history(publishing):
    server = publishing(*FAST, symbols=" ZED , AARDVARK")
    names = [symbol["symbol"] for symbol in server.get("/symbols")["symbols"]]
    assert names == ["AARDVARK", "BTCUSDT", "ETHUSDT", "SOLUSDT", "ZED"]
    assert server.get("/health")["symbols"] == 5
    nothing = {"open_interest_start": None, "open_interest_end": None}
    assert server.get("/symbols")["symbols"][4] == {"symbol": "ZED", "feed": "published", **nothing}
    publish(server, "ZED", model(0.125, [(0.1, 1, 1)], 0.0005))
    assert server.get("/symbols")["symbols"][4] == {
        "symbol": "ZED",
        "feed": "published",
        "price_bin_size": 0.0005,
        "last_price": 0.125,
        **nothing,
    }
    series = server.get("/liquidations/heatmap-timeseries", symbol="ZED")
    assert series["data"] == [] and series["meta"]["end_time"] > "2025-01-01"
    recent = {"symbol": "ZED", "start_time": "2025-01-01", "interval": "1d"}
    assert server.get("/liquidations/heatmap-timeseries", **recent)["data"] == []
    assert server.get("/prices/klines", symbol="ZED")["data"] == []
    assert server.request("/data/date-range", symbol="ZED").status == 404
    with RudeSocket(server.address) as client:  # the others are as they were
        client.subscribe("AARDVARK", "BTCUSDT", "ETHUSDT", "SOLUSDT", update_interval=0)
        assert {message["symbol"] for message in client.take_messages(12)} == {
            "BTCUSDT",
            "ETHUSDT",
            "SOLUSDT",
        }


def test_a_server_without_data_serves_what_is_published(publishing):
    server = publishing()
    assert len(server.lines) == 1, "no complaint that there is no data"
    with RudeSocket(server.address) as client:
        client.subscribe("NOPE")
        assert client.take_message()["message"].endswith("Valid symbols: MINE, YOURS")


# --- who may, and what is refused ---


def test_without_a_token_there_is_no_such_door(serve):
    server = serve(*FAST)
    for method in ("POST", "GET"):
        answer = post(server, "/publish/BTCUSDT", model(), method=method)
        assert (answer.status, answer.detail) == (404, "Not Found")
    assert server.request("/publish/BTCUSDT", "OPTIONS").headers["Allow"] == "GET, HEAD, OPTIONS"
    assert server.stats()["publishes_refused"] == 0


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN[:-1]}2",
        f"Bearer {TOKEN}1",
        f"Bearer {TOKEN.upper()}",
        f"Bearer  {TOKEN}",
    ],
)
def test_without_the_right_token_it_is_401(publishing, authorization):
    server = publishing()
    headers = {} if authorization is None else {"Authorization": authorization}
    for symbol in ("MINE", "NOPE"):
        answer = post(server, f"/publish/{symbol}", model(), headers)
        assert answer.status == 401 and "token" in answer.detail
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["Connection"] == "close", "the body was not read"
    assert server.request("/heatmap/latest", symbol="MINE").status == 404
    stats = server.stats()
    assert (stats["publishes_accepted"], stats["publishes_refused"]) == (0, 2)


def test_the_scheme_may_be_in_any_case(publishing):
    server = publishing()
    headers = {"Authorization": f"bEARER {TOKEN}"}
    assert post(server, "/publish/MINE", model(), headers).status == 200


def test_a_body_without_the_right_token_is_not_waited_for(publishing):
    server = publishing()
    with Rude(server.address) as client:
        client.send(raw_request(b"", token="x" * len(TOKEN), Content_Length=1000000))
        assert client.take_answer().status == 401
        assert client.is_closed()


def test_other_methods_are_405(publishing):
    server = publishing()
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        answer = server.request("/publish/MINE", method, BEARER)
        assert answer.status == 405, method
    for method in ("GET", "HEAD"):
        assert server.request("/publish/MINE", method).headers["Allow"] == "POST, OPTIONS"
    answer = server.request("/publish/MINE", "OPTIONS")
    assert (answer.status, answer.headers["Allow"]) == (204, "POST, OPTIONS")


@pytest.mark.parametrize("path", ["/publish", "/publish/", "/publish?MINE", "/PUBLISH/MINE"])
def test_a_path_without_a_symbol_is_404(publishing, path):
    assert post(publishing(), path, model()).status == 404


@pytest.mark.parametrize(
    "symbol", ["NOPE", "mine", "MINE/", "MINE,YOURS", "MIN", "M%49NE+", "%20MINE", "X" * 40]
)
def test_a_symbol_that_is_not_to_be_published_is_400_and_told_which_are(publishing, symbol):
    answer = post(publishing(), f"/publish/{symbol}", model())
    assert answer.status == 400
    says = "is not published here. Valid symbols (publish-symbols): MINE, YOURS"
    assert answer.detail.endswith(says)


@pytest.mark.parametrize("symbol", ["%", "MIN%4", "MIN%G5", "%ff", "MINE%00"])
def test_a_symbol_that_is_ill_encoded_is_400(publishing, symbol):
    answer = post(publishing(), f"/publish/{symbol}", model())
    assert answer.status == 400 and "percent-encoded" in answer.detail


def test_a_symbol_may_be_percent_encoded_and_a_query_is_ignored(publishing):
    assert publish(publishing(), "%4dIN%45?symbol=YOURS", model())["symbol"] == "MINE"


def test_a_token_alone_publishes_nothing(serve):
    server = serve(HEATCAST_PUBLISH_TOKEN=TOKEN)
    answer = post(server, "/publish/MINE", model())
    assert answer.status == 400 and answer.detail.endswith("(publish-symbols): none")


def test_many_symbols_are_listed_in_part(publishing):
    server = publishing(symbols=",".join(f"S{n}" for n in range(53)))
    answer = post(server, "/publish/NOPE", model())
    assert answer.detail.count("S") == 50 and " and 3 more (GET /symbols)" in answer.detail


@pytest.mark.parametrize(
    "body, says",
    [
        ("", "not JSON"),
        ("[]", "the body is not a JSON object"),
        ('{"levels":[]}', "price_bin_size: missing"),
        (model(price=0), "current_price: "),
        (model(levels=[(98050, 1, 1)]), "levels[0].price: 98050 is not a multiple"),
        (model(levels=[(98000, 1, 1), (98000, 1, 1)]), "levels[1].price: "),
        (model(levels=[(98000, -1, 1)]), "levels[0].long_density: -1 "),
        (model(colour="red"), "unknown field 'colour'"),
        (b'{"levels":"\xff"}', "not JSON"),
    ],
)
def test_a_body_that_is_no_snapshot_is_422_in_words(publishing, body, says):
    server = publishing()
    answer = post(server, "/publish/MINE", body)
    assert answer.status == 422 and answer.detail.startswith(says)
    assert server.request("/heatmap/latest", symbol="MINE").status == 404
    assert server.stats()["publishes_refused"] == 1


# --- limits and HTTP ---


def test_as_many_levels_as_may_be_and_no_more(publishing):
    server = publishing()
    levels = [(n, 90000000.25 + n, 90000000.75 + n) for n in range(LEVELS_MAX + 1)]
    with RudeSocket(server.address) as client:
        client.subscribe("MINE")
        publish(server, "MINE", model(levels=levels[:-1], bin=1))
        got = client.take_message("snapshot")["data"]["levels"]
    assert [tuple(level.values()) for level in got] == levels[:-1]
    answer = post(server, "/publish/MINE", model(levels=levels, bin=1))
    assert (answer.status, answer.detail) == (422, "levels: 20001 are more than 20000")


def test_a_body_as_long_as_may_be_and_no_longer(publishing):
    server = publishing()
    body = json.dumps(model()).ljust(BODY_MAX)
    assert publish(server, "MINE", body)["seq"] == 1
    with Rude(server.address) as client:
        # It is refused by its length alone, before any of it was sent.
        client.send(raw_request(b"", Content_Length=BODY_MAX + 1))
        answer = client.take_answer()
        assert (answer.status, answer.detail) == (413, f"the body is longer than {BODY_MAX} bytes")
        assert client.is_closed()
    stats = server.stats()
    assert (stats["publishes_accepted"], stats["publishes_refused"]) == (1, 1)


def test_a_chunked_body_is_411(publishing):
    server = publishing()
    with Rude(server.address) as client:
        client.send(raw_request(b"", Content_Length=None, Transfer_Encoding="chunked"))
        assert client.take_answer().status == 411
        assert client.is_closed()


def test_requests_follow_each_other_on_one_connection(publishing):
    server = publishing()
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with Rude(server.address) as client:
        for seq in (1, 2):
            answer = client.ask(raw_request(model(seq)))
            assert answer.json()["seq"] == seq and "Connection" not in answer.headers
        assert client.ask(raw_request({})).status == 422
        assert client.ask(raw_request(model(), symbol="NOPE")).status == 400
        client.send(health + raw_request(model(3)) + health + raw_request(model(4)))
        assert client.take_answer().json()["status"] == "ok"
        assert client.take_answer().json()["seq"] == 3
        assert client.take_answer().json()["status"] == "ok"
        assert client.take_answer().json()["seq"] == 4


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_request_may_come_in_pieces(publishing, size):
    server = publishing()
    with Rude(server.address) as client:
        client.send_in_pieces(raw_request(model(), Expect="nothing-special"), size)
        assert client.take_answer().json()["seq"] == 1


def test_who_asks_is_told_that_its_body_is_welcome_once(publishing):
    server = publishing("--threads", "1")
    with Rude(server.address) as client, RudeSocket(server.address) as other:
        for seq in (1, 2):
            head, body = raw_request(model(seq), Expect="100-continue").split(b"\r\n\r\n")
            client.send(head + b"\r\n\r\n")
            assert client.take_line_end(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(body[:50])
            other.pong()
            other.pong()  # the thread has read those 50, and still waits for the rest
            client.send(body[50:])
            assert client.take_answer().json()["seq"] == seq
        at_once = raw_request(model(3), Expect="100-continue")
        assert client.ask(at_once).json()["seq"] == 3, "with its body there: no 100"


@pytest.mark.parametrize(
    "status, how", [(401, {"token": "x" * 25}), (413, {"Content_Length": BODY_MAX + 1})]
)
def test_who_asks_is_told_that_its_body_is_not_welcome(publishing, status, how):
    server = publishing()
    head = raw_request(model(), Expect="100-continue", **how).split(b"\r\n\r\n")[0]
    with Rude(server.address) as client:
        client.send(head + b"\r\n\r\n")
        assert client.take_answer().status == status
        assert client.is_closed()


@pytest.mark.skipif(not shutil.which("curl"), reason="NO curl")
def test_curl_publishes_large_bodies(publishing, tmp_path):
    """Beyond 1 MiB it asks with Expect: 100-continue first."""
    server = publishing()
    (tmp_path / "body").write_text(json.dumps(model()).ljust(BODY_MAX))
    words = ["curl", "-sv", "--data-binary", "@body", "-H", f"Authorization: Bearer {TOKEN}"]
    done = subprocess.run(
        [*words, f"{server.url}/publish/MINE"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert "100 Continue" in done.stderr
    assert json.loads(done.stdout)["seq"] == 1


def test_publishing_is_counted(publishing):
    server = publishing()
    age = "heatcast_symbol_last_publication_age_seconds"
    assert age + "{" not in server.request("/metrics").body.decode()
    for price in (1, 1, 2):
        publish(server, "MINE", model(price))
    stats = server.stats()
    assert (stats["publishes_accepted"], stats["publishes_refused"]) == (3, 0)
    text = server.request("/metrics").body.decode()
    assert 'heatcast_publishes_total{result="accepted"} 3\n' in text
    ages = re.findall(age + r"\{(.*)\} ([0-9.]+)", text)
    assert [label for label, _ in ages] == ['symbol="MINE"'] and float(ages[0][1]) < PATIENCE


# --- settings ---


@pytest.mark.parametrize(
    "token", ["short", "x" * 15, "x" * 257, "with a space in it", "übergroße-zeichen"]
)
def test_a_bad_token_ends_with_2_and_is_not_shown(token):
    done = run("serve", "--publish-token", token)
    assert done.returncode == 2 and token not in done.stderr
    says = "heatcast: flag --publish-token: publish-token must be 16 to 256 "
    assert done.stderr.startswith(says)


def test_the_token_is_shown_nowhere(publishing):
    for words, env in ((["--publish-token", TOKEN], {}), ([], {"HEATCAST_PUBLISH_TOKEN": TOKEN})):
        done = run("serve", *words, "--print-config", **env)
        assert re.search(r"^publish-token = \*{8}  # ", done.stdout, re.M)
        assert TOKEN not in done.stdout + done.stderr
    server = publishing("--log-level", "debug")
    publish(server, "MINE", model())
    post(server, "/publish/MINE", model(), {"Authorization": f"Bearer {TOKEN}x"})
    server.stop()
    assert TOKEN not in server.log() + "".join(server.lines)


def test_what_print_config_shows_of_it_is_not_taken_for_a_token(tmp_path):
    file = tmp_path / "settings"
    file.write_text(run("serve", "--print-config", HEATCAST_PUBLISH_TOKEN=TOKEN).stdout)
    done = run("serve", "--config", file, "--print-config")
    assert done.returncode == 2 and f"{file}:" in done.stderr


def test_the_token_may_come_from_a_file(serve, tmp_path):
    file = tmp_path / "settings"
    file.write_text(f"publish-token = {TOKEN}\npublish-symbols = MINE # its own\n")
    server = serve("--config", file)
    assert publish(server, "MINE", model())["seq"] == 1


def test_symbols_without_a_token_end_with_2():
    done = run("serve", "--publish-symbols", "MINE")
    assert done.returncode == 2 and "publish-symbols is 'MINE', must be empty" in done.stderr


@pytest.mark.parametrize(
    "symbols, says",
    [
        ("mine", "'mine' is no symbol"),
        ("A,,B", "'' is no symbol"),
        ("A B", "'A B' is no symbol"),
        ("X" * 33, "is no symbol"),
        ("A,B,A", "'A' is there twice"),
    ],
)
def test_bad_symbols_are_told_at_start(tmp_path, symbols, says):
    words = ("--db", tmp_path / "x.duckdb", "--listen", "127.0.0.1:0", "--publish-symbols", symbols)
    done = run("serve", *words, HEATCAST_PUBLISH_TOKEN=TOKEN)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("heatcast: publish-symbols: ") and says in last
