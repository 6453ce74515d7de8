"""How long messages are: the simulated market's, for clients of each kind, the mean of all that they
get. In mode delta that is a snapshot where a difference would be longer, as after a fall of open
interest, which changes every level.

Time is pressed: at 20 times the market's ordinary speed, a twentieth of the interval covers the same
candles.
"""

import json
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from statistics import mean

from servers import Server, await_that

SPEED = 300  # simulated seconds a second: a 5 m candle
PRESSED = 20
INTERVALS = (1, 5)  # seconds
SYMBOL = "BTCUSDT"
KINDS = [(mode, form, packed) for mode in ("snapshot", "delta") for form in ("levels", "columns")
         for packed in ("plain", "deflate")]


class Watcher:
    """One client that counts what comes: messages, and their bytes with frames around them."""

    def __init__(self, server, mode, form, packed):
        offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if packed == "deflate" else ""
        subscribe = {"action": "subscribe", "symbols": [SYMBOL], "update_interval": 0, "mode": mode, "format": form}
        self.sizes = []
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.socket.sendall((
            "GET /ws/heatmap HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n").encode())
        self.stream = self.socket.makefile("rb")
        assert self.stream.readline().startswith(b"HTTP/1.1 101 ")
        while self.stream.readline() != b"\r\n":
            continue
        self.socket.sendall(text_frame(json.dumps(subscribe).encode()))
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        """RFC 6455 §5.2. Messages are one frame each."""
        while header := self.stream.read(2):
            size, length = len(header), header[1]
            if length >= 126:
                more = self.stream.read(2 if length == 126 else 8)
                size, length = size + len(more), int.from_bytes(more, "big")
            if len(self.stream.read(length)) < length:
                return
            if header[0] & 0x0F == 1:
                self.sizes.append(size + length)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


def text_frame(payload):
    """RFC 6455 §5.2, masked with zeros."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload


def measure_interval(folder, seconds, updates):
    server = Server.heatcast(
        folder, f"sim{seconds}", set(range(os.cpu_count())), "serve", "--db", folder / f"sim{seconds}.duckdb",
        "--feed", "sim", "--sim-speed", SPEED * PRESSED, "--ws-update-interval", seconds / PRESSED)
    watchers = []
    try:
        for kind in KINDS:
            watchers.append(Watcher(server, *kind))
        # What comes first is a snapshot to everybody: it does not count.
        await_that(lambda: all(len(watcher.sizes) > updates for watcher in watchers), "versions", 300)
    finally:
        for watcher in watchers:
            watcher.close()
        server.stop()
    return {" ".join(kind): round(mean(watcher.sizes[1 : updates + 1])) for kind, watcher in zip(KINDS, watchers)}


def measure(updates):
    folder = Path(tempfile.mkdtemp(prefix="heatcast-sizes-"))
    try:
        return {str(seconds): measure_interval(folder, seconds, updates) for seconds in INTERVALS}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
