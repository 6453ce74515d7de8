"""What the conformance tests are made of: bytes for a server, and the events it must answer with
however the bytes are cut on their way."""

import os
import random
import re
import struct
import threading
import zlib

from rude import BINARY, CLOSE, PING, PONG, TEXT, RudeSocket, frame
from server import SLACK

# Every random cut and payload comes from it; the tests' failures name it.
SEED = int(os.environ.get("HEATCAST_TEST_SEED", "6455"))

# Longer conversations are cut byte by byte at their edges only.
BYTES_CUT_SINGLY = 2048 if SLACK == 1 else 256
EDGE = 32

BYE = frame(CLOSE, struct.pack(">H", 1000))


def close(code=None, reason=b""):
    """A close frame from a client; without a code it has no body."""
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


def fragments(opcode, pieces, rsv=0, between=b""):
    """A message in as many frames as there are pieces, with `between` behind each but the last."""
    last = len(pieces) - 1
    return between.join(
        frame(opcode if i == 0 else 0, piece, fin=i == last, rsv=rsv if i == 0 else 0)
        for i, piece in enumerate(pieces)
    )


def sliced(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


def cut_at_random(data, dice):
    largest = 12 if len(data) <= 400 else len(data) // 10
    at = 0
    while at < len(data):
        size = dice.randint(1, largest)
        yield data[at : at + size]
        at += size


def cut_singly(data):
    if len(data) <= BYTES_CUT_SINGLY:
        return sliced(data, 1)
    return [*sliced(data[:EDGE], 1), data[EDGE:-EDGE], *sliced(data[-EDGE:], 1)]


def cuts(data):
    """Pairs: how the bytes were cut, and the pieces."""
    dice = random.Random(SEED)
    yield "whole", [data]
    yield "byte by byte", cut_singly(data)
    for number in range(3 if SLACK == 1 else 1):
        yield f"at random ({number} of seed {SEED})", list(cut_at_random(data, dice))


def inflated(payload, window_bits):
    """RFC 7692 §7.2.2, with the agreed window and nothing taken over from earlier messages."""
    reader = zlib.decompressobj(-window_bits)
    data = reader.decompress(payload + b"\0\0\xff\xff")
    assert not reader.unconsumed_tail and not reader.unused_data
    return data


def agreed_window(extensions):
    """The window that the server may use; None where nothing was agreed on."""
    if extensions is None:
        return None
    assert extensions.startswith("permessage-deflate"), extensions
    found = re.search(r"server_max_window_bits=(\d+)", extensions)
    return int(found[1]) if found else 15


class Transcript:
    """What a server sent, read as strictly as RFC 6455 §5 lets a client read."""

    def __init__(self, data, window_bits=None):
        self.data = data
        self.at = 0
        self.window_bits = window_bits
        self.events = []
        while self.at < len(data):
            assert not self.events or self.events[-1][0] != CLOSE, "bytes behind a close frame"
            self.events.append(self._event())

    def _take(self, size):
        taken = self.data[self.at : self.at + size]
        assert len(taken) == size, "the server's last frame is cut off"
        self.at += size
        return taken

    def _size(self, short):
        assert short < 128, "a server's frame is masked"
        if short < 126:
            return short
        (size,) = struct.unpack(*((">H", self._take(2)) if short == 126 else (">Q", self._take(8))))
        assert size > (125 if short == 126 else 65535), "a length not in its shortest form"
        return size

    def _event(self):
        first, short = self._take(2)
        opcode, rsv = first & 15, first >> 4 & 7
        assert first & 0x80, "our server does not fragment"
        payload = self._take(self._size(short))
        if opcode in (TEXT, BINARY):
            assert rsv in (0, 4) and (not rsv or self.window_bits), f"reserved bits {rsv}"
            return opcode, inflated(payload, self.window_bits) if rsv else payload
        assert opcode in (CLOSE, PING, PONG) and rsv == 0 and len(payload) <= 125
        return (CLOSE, self._close_code(payload)) if opcode == CLOSE else (opcode, payload)

    @staticmethod
    def _close_code(payload):
        assert len(payload) != 1
        payload[2:].decode()
        return struct.unpack(">H", payload[:2])[0] if payload else None


def send(client, pieces):
    try:
        for piece in pieces:
            client.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server had heard enough


def exchange(server, pieces, offer=None):
    """Sends everything, reads to the end of the stream, and returns the server's events."""
    fields = {} if offer is None else {"Sec_WebSocket_Extensions": offer}
    with RudeSocket(server.address, **fields) as client:
        sender = threading.Thread(target=send, args=(client, pieces))
        if sum(map(len, pieces)) > 65536:  # more than sockets hold: the answers must be read
            sender.start()
        else:
            send(client, pieces)
        window_bits = agreed_window(client.handshake.headers.get("Sec-WebSocket-Extensions"))
        data = client.take_rest()
        if sender.ident:
            sender.join()
    return Transcript(data, window_bits).events


def brief(events):
    """For messages about failures: nobody reads megabytes."""
    return [(kind, what[:80] if isinstance(what, bytes) else what) for kind, what in events]


def talk(server, sent, *expected, offer=None):
    """However the bytes are cut, the server's events are these, and it ends the connection."""
    for how, pieces in cuts(sent):
        got = exchange(server, pieces, offer)
        assert got == list(expected), f"cut {how}: {brief(got)} instead of {brief(expected)}"


def converse(server, sent, *expected, offer=None):
    """The same for a conversation that the client then ends properly."""
    talk(server, sent + BYE, *expected, (CLOSE, 1000), offer=offer)


def fails(server, sent, code, *before, offer=None):
    """The server fails the connection with this code, after these events."""
    talk(server, sent, *before, (CLOSE, code), offer=offer)
