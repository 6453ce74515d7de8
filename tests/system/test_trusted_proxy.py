"""Whose address counts behind a proxy: X-Forwarded-For, and from whom it is believed."""

import pytest

from model import Model, taking
from rude import CLOSE, Rude, RudeSocket, frame, upgrade
from server import PATIENCE, await_that

PROXY, STRANGER = "127.0.0.11", "127.0.0.12"
CLIENT, OTHER = "203.0.113.7", "203.0.113.8"
ONE_EACH = ("--ws-max-connections-per-address", "1", "--trusted-proxy", f"{PROXY},10.0.0.0/8,fd00::/8")


def through(server, chain, source=PROXY, **fields):
    """A WebSocket that a proxy hands on; `chain` is its X-Forwarded-For."""
    return RudeSocket(server.address, source=source, X_Forwarded_For=chain, **fields)


def answer(server, chain, source=PROXY):
    """What an upgrade is answered, and the connection is closed again, properly."""
    with Rude(server.address, source=source) as client:
        client.send(upgrade(X_Forwarded_For=chain).encode())
        got = client.take_answer()
        if got.status == 101:
            client.send(frame(CLOSE, b"\x03\xe8"))
            client.take_rest()
        return got


def status(server, chain, source=PROXY):
    return answer(server, chain, source).status


def get(target, **fields):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *lines, "", ""])


def leave(client):
    client.send(frame(CLOSE, b"\x03\xe8"))
    client.take_rest()
    client.close()


# --- the limit on one address ---


def test_each_client_behind_the_proxy_has_a_limit_of_its_own(serve):
    server = serve("--ws-max-connections-per-address", "3", "--trusted-proxy", PROXY)
    inside = [through(server, CLIENT) for _ in range(3)]
    refused = answer(server, CLIENT)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert "too many connections" in refused.detail
    others = [through(server, OTHER) for _ in range(3)]
    assert status(server, OTHER) == 429
    stats = server.stats()
    assert (stats["connections_refused_address"], stats["connections_refused"]) == (2, 0)
    leave(inside.pop())
    server.await_stat("one is gone", websockets=5)
    assert status(server, CLIENT) == 101
    for client in inside + others:
        client.pong()
        client.close()


def test_a_proxy_itself_has_no_limit_while_it_asks_for_nobody(serve):
    server = serve(*ONE_EACH)
    silent = [Rude(server.address, source=PROXY) for _ in range(20)]
    server.await_stat("all are in", connections=21)
    with through(server, CLIENT) as client:
        client.pong()
    for one in silent:
        one.close()


def test_connections_that_a_proxy_keeps_open_carry_one_client_after_the_other(serve):
    # One thread: an answer can be read a moment before its place is free on another.
    server = serve(*ONE_EACH, "--threads", "1")
    with Rude(server.address, source=PROXY) as kept, Rude(server.address, source=PROXY) as also:
        for chain in [CLIENT, OTHER, CLIENT, "2001:db8::7", OTHER]:
            assert kept.ask(get("/health", X_Forwarded_For=chain)).status == 200
            assert also.ask(get("/health", X_Forwarded_For=chain)).status == 200
        with through(server, CLIENT):
            refused = kept.ask(get("/health", X_Forwarded_For=CLIENT))
            assert refused.status == 429 and "Connection" not in refused.headers
            assert kept.ask(get("/health", X_Forwarded_For=OTHER)).status == 200, "it goes on"
            assert kept.ask(get("/health")).status == 200, "nor does the last one's name stick"
        server.await_stat("gone", websockets=0)
        assert kept.ask(get("/health", X_Forwarded_For=CLIENT)).status == 200
        # Both at once on one connection: an answer gives the place back before the next begins.
        pair = get("/health", X_Forwarded_For=CLIENT) * 2
        kept.send(pair.encode())
        assert [kept.take_answer().status for _ in range(2)] == [200, 200]


def test_a_request_under_way_holds_its_clients_place_and_gives_it_back_however_it_ends(serve):
    server = serve(*ONE_EACH, "--threads", "1", **taking("MINE"))
    model = Model(server, "MINE")
    model.publish()
    poll = get(f"/heatmap/latest?symbol=MINE&wait=60&since={model.epoch}:{model.seq}", X_Forwarded_For=CLIENT)
    stream = get("/sse/heatmap?symbols=MINE", X_Forwarded_For=CLIENT)

    def is_free():
        return status(server, CLIENT) == 101

    for request in (poll, stream):
        for end in (Rude.close, Rude.reset):
            await_that(is_free, "room")
            server.await_stat("nobody else", connections=1)
            waiting = Rude(server.address, source=PROXY)
            waiting.send(request.encode())
            await_that(lambda: server.stats()["subscriptions"] == 1, "it waits")
            assert status(server, CLIENT) == 429
            end(waiting)
            await_that(is_free, "its place is free again")
    with Rude(server.address, source=PROXY) as waiting:
        waiting.send(poll.encode())
        await_that(lambda: server.stats()["subscriptions"] == 1, "it waits")
        model.price += 1
        model.publish()
        assert waiting.take_answer().status == 200
        assert status(server, CLIENT) == 101, "answered, and the connection is kept"


def test_who_leaves_without_a_word_gives_its_place_back(serve):
    server = serve(*ONE_EACH)
    for end in (RudeSocket.close, RudeSocket.reset) * 3:
        end(through(server, CLIENT))
        server.await_stat("gone", websockets=0)
        with through(server, CLIENT) as again:
            again.pong()
        server.await_stat("gone", websockets=0)


def test_a_proxy_is_told_that_all_places_are_taken_when_it_has_asked_and_not_before(serve):
    """nginx would put what it is told before it asks in front of the next server's answer."""
    server = serve("--ws-max-connections", "1", "--trusted-proxy", PROXY)
    with Rude(server.address, source=STRANGER) as inside:
        assert inside.ask(get("/health")).status == 200
        for _ in range(40):  # more than may linger at once
            with Rude(server.address, source=PROXY) as outside:
                assert outside.is_silent(0.02)
                refused = outside.ask(upgrade(X_Forwarded_For=CLIENT))
                assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
                assert refused.headers["Connection"] == "close" and outside.is_closed()
        assert inside.ask(get("/health")).status == 200
    await_that(lambda: status(server, CLIENT) == 101, "room")


# --- whom to believe ---


def test_from_anybody_else_the_field_is_ignored(serve):
    server = serve(*ONE_EACH)
    with through(server, CLIENT, source=STRANGER):
        with Rude(server.address, source=STRANGER) as again:
            again.send(upgrade(X_Forwarded_For=OTHER).encode())
            assert again.take_answer().status == 503, "its own address is what counts"
        assert status(server, CLIENT) == 101, "and nobody else was counted"


def test_without_trusted_proxies_nobody_is_believed(serve):
    server = serve("--ws-max-connections-per-address", "1")
    with through(server, CLIENT, source=PROXY), Rude(server.address, source=PROXY) as again:
        again.send(upgrade(X_Forwarded_For=OTHER).encode())
        assert again.take_answer().status == 503


@pytest.mark.parametrize(
    "chain, counted",
    [
        (f"{OTHER}, {CLIENT}", CLIENT),
        (f"{OTHER}, {CLIENT}, 10.1.2.3, fd00::9, {PROXY}", CLIENT),
        (f"{CLIENT}, unknown, 10.1.2.3", "10.1.2.3"),
        (f"rubbish, {CLIENT}:8080", CLIENT),
        (f"{CLIENT}, [fd00::1]:80", CLIENT),
        (f"{OTHER}, 2001:db8::7, 10.0.0.1", "2001:db8::7"),
        (f"::ffff:{CLIENT}", CLIENT),
        (f"{CLIENT}\r\nX-Forwarded-For: 10.9.9.9", CLIENT),
        ("10.3.3.3, 10.4.4.4", "10.3.3.3"),
        ("\xff\xfe, 10.4.4.4", "10.4.4.4"),
        ("," * 4000 + CLIENT, CLIENT),
    ],
)
def test_the_nearest_address_that_is_no_proxy_of_ours_is_the_client(serve, chain, counted):
    server = serve(*ONE_EACH)
    with Rude(server.address, source=PROXY) as first:
        first.send(upgrade(X_Forwarded_For=chain).encode("latin-1"))
        assert first.take_answer().status == 101
        assert status(server, counted) == 429
        assert status(server, "198.51.100.1") == 101


@pytest.mark.parametrize("chain", [None, "", "unknown", ", ,", CLIENT + ", x"])
def test_without_a_good_field_the_proxy_itself_is_the_client(serve, chain):
    server = serve(*ONE_EACH)
    with through(server, chain):
        assert status(server, chain) == 429
        assert status(server, CLIENT) == 101


def test_a_proxy_on_this_machine_is_believed_too_and_has_no_limit_of_its_own(serve):
    server = serve("--ws-max-connections-per-address", "1", "--trusted-proxy", "127.0.0.1,::1")
    own = [through(server, None, source="127.0.0.1") for _ in range(5)]
    with through(server, CLIENT, source="127.0.0.1"):
        assert status(server, CLIENT, source="127.0.0.1") == 429
        assert status(server, OTHER, source="127.0.0.1") == 101
    for client in own:
        client.pong()
        client.close()


def test_a_proxy_that_comes_over_ipv6_is_believed(serve):
    server = serve(*("--listen", "[::1]:0"), "--ws-max-connections-per-address", "1", "--trusted-proxy", "::1")
    assert server.host == "::1"
    with through(server, "2001:db8::7", source=None):
        assert status(server, "2001:db8:0::7", source=None) == 429, "however it is written"
        assert status(server, "2001:db8::8", source=None) == 101
        assert status(server, "203.0.113.1", source=None) == 101


# --- what else is counted by address ---


def test_an_unstable_client_is_told_and_those_behind_the_same_proxy_are_not(serve):
    server = serve("--trusted-proxy", PROXY)

    def is_warned(chain):
        with through(server, chain) as client:
            client.say({"action": "ping"})
            first = client.take_message()
            leave(client)
            return first["type"] == "warning" and first["code"] == "CONNECTION_UNSTABLE"

    for _ in range(9):  # 5 within a minute of the clock, wherever its next one begins
        through(server, CLIENT).reset()
    server.await_stat("cut", websockets=0)
    assert is_warned(CLIENT)
    assert not is_warned(OTHER)


def test_the_log_names_the_client(serve):
    server = serve("--ws-slow-consumer-disconnect", "1", "--trusted-proxy", PROXY, **taking("MINE"))
    model = Model(server, "MINE", {bucket: (10**9 + bucket, 10**8) for bucket in range(100, 1100)})
    asleep = RudeSocket(server.address, receive_buffer=4096, source=PROXY, X_Forwarded_For=CLIENT)
    asleep.subscribe("MINE", update_interval=0)

    def is_cut():
        model.price += 1
        model.publish()
        return server.events("client cut: it takes too little of what waits for it")

    (line,) = await_that(is_cut, "it is cut", PATIENCE)
    assert line["address"] == CLIENT
    asleep.close()
