"""Stopping while requests and subscriptions are on their way between the threads."""

import json
import signal
import time

import pytest

from rude import Rude, RudeSocket, frame
from server import FAST, Server

ROUNDS = 15

REQUESTS = [
    "/heatmap/latest?symbol=BTCUSDT",
    "/liquidations/heatmap-timeseries?symbol=ETHUSDT&time_window=48h",
    "/prices/klines?symbol=SOLUSDT",
    "/ws/stats",
]


def stop_with_bytes_in_flight(server, sockets, message_for):
    """While the server is frozen, every socket says something; then it wakes and must end."""
    server.signal(signal.SIGSTOP)
    for number, connection in enumerate(sockets):
        connection.send(message_for(number))
    server.signal(signal.SIGTERM)
    server.signal(signal.SIGCONT)
    status = server.await_end()
    assert status == 0, f"status {status}\n{server.log()}"


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_requests_on_their_way_do_not_disturb_the_end(tmp_path, round_number):
    server = Server(*FAST, "--threads", 4, db=tmp_path / "x.duckdb")
    sockets = [Rude(server.address) for _ in range(40)]
    time.sleep(0.01 * round_number)  # another moment of the server's rhythm each time
    stop_with_bytes_in_flight(
        server,
        sockets,
        lambda n: f"GET {REQUESTS[n % len(REQUESTS)]} HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
    )


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_subscriptions_on_their_way_do_not_disturb_the_end(tmp_path, round_number):
    server = Server(*FAST, "--threads", 4, db=tmp_path / "x.duckdb")
    sockets = [RudeSocket(server.address) for _ in range(12)]
    wish = json.dumps({"action": "subscribe", "symbols": ["BTCUSDT", "ETHUSDT", "SOLUSDT"]}).encode()
    stop_with_bytes_in_flight(server, sockets, lambda _: frame(1, wish))
