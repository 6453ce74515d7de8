"""A client that speaks HTTP and WebSocket by hand, and may be as rude as it likes.

Nothing here is polite by itself: no ping is answered, nothing is read unless asked for, masks and
lengths are what the test says."""

import base64
import itertools
import json
import os
import socket
import struct
import time
import zlib
from collections import namedtuple

from server import PATIENCE, Answer

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

Frame = namedtuple("Frame", "fin rsv opcode payload")
Close = namedtuple("Close", "code reason")


# Every client has a loopback address of its own, unless the test says otherwise: the server counts
# some faults by address.
SOURCES = (f"127.{100 + i // 62500}.{i // 250 % 250}.{1 + i % 250}" for i in itertools.count())


# Room for what comes while the machine is busy with others: for whom must miss nothing.
ROOMY = 4 << 20


class Rude:
    """A TCP connection. `segment` is the longest that it takes; loopback's own are 64 KiB."""

    def __init__(self, address, receive_buffer=None, source=None, segment=None):
        is_v6 = ":" in address[0]
        self.socket = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET)
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segment:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source or address[0].startswith("127."):  # IPv6 has one loopback address only
            self.socket.bind((source or next(SOURCES), 0))
        self.socket.connect(address)
        self.bytes = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_in_pieces(self, data, size=1):
        for at in range(0, len(data), size):
            self.socket.sendall(data[at : at + size])

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        """Goes without a word: the peer sees RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self):
        piece = self.socket.recv(65536)
        self.bytes += piece
        return piece

    def take(self, size):
        while len(self.bytes) < size:
            assert self._more(), f"closed after {self.bytes!r}"
        taken = bytes(self.bytes[:size])
        del self.bytes[:size]
        return taken

    def take_line_end(self, end):
        while end not in self.bytes:
            assert self._more(), f"closed after {self.bytes!r}"
        return self.take(self.bytes.index(end) + len(end))

    def take_rest(self):
        """Everything until the peer closes."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        return self.take(len(self.bytes))

    def is_closed(self):
        """Waits for the peer's end; True if nothing came before it."""
        return self.take_rest() == b""

    def is_silent(self, seconds):
        """True if nothing comes for so long."""
        if self.bytes:
            return False
        self.socket.settimeout(seconds)
        try:
            self.bytes += self.socket.recv(65536)
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def take_answer(self, method="GET"):
        """One HTTP answer, its body by Content-Length."""
        head = self.take_line_end(b"\r\n\r\n").decode()
        status_line, *lines = head.rstrip("\r\n").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1", status_line
        headers = Headers(line.split(": ", 1) for line in lines)
        has_body = method != "HEAD" and int(status) not in (101, 204, 304)
        size = int(headers["Content-Length"]) if has_body else 0
        return Answer(int(status), headers, self.take(size))

    def ask(self, text, method="GET"):
        self.send(text.encode() if isinstance(text, str) else text)
        return self.take_answer(method)


class Headers(dict):
    """Fields of a head in any case; a repeated one is joined by commas."""

    def __init__(self, pairs):
        super().__init__()
        for name, value in pairs:
            name = name.lower()
            self[name] = f"{super().get(name)}, {value}" if name in self else value

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def get(self, name, fallback=None):
        return super().get(name.lower(), fallback)

    def __contains__(self, name):
        return super().__contains__(name.lower())


def upgrade(path="/ws/heatmap", **fields):
    """An upgrade request; a field given as None is left out. Underscores stand for hyphens."""
    all_fields = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec_WebSocket_Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec_WebSocket_Version": "13",
        **fields,
    }
    lines = [f"{k.replace('_', '-')}: {v}" for k, v in all_fields.items() if v is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""])


DEFLATE = "permessage-deflate"


def deflate(data, window_bits=15):
    """A message as RFC 7692 §7.2.1 wants it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -window_bits)
    packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert packed.endswith(b"\0\0\xff\xff")
    return packed[:-4]


def inflate(data):
    """RFC 7692 §7.2.2, a message by itself: no context is taken over."""
    return zlib.decompressobj(-15).decompress(data + b"\0\0\xff\xff")


def masked(payload, mask):
    """RFC 6455 §5.3, the whole payload as one number: it may have megabytes."""
    pattern = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(pattern, "little")
    return number.to_bytes(len(payload), "little")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"\x1b\x2c\x3d\x4e", length=None):
    """One frame's bytes. `mask` None sends it unmasked; `length` lies about the payload's."""
    size = len(payload) if length is None else length
    mask_bit = 0x80 if mask is not None else 0
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65536:
        head += bytes([mask_bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", size)
    if mask is None:
        return head + payload
    return head + mask + masked(payload, mask)


def text(message, **how):
    """A text frame of a JSON message, or of a string as it is."""
    if not isinstance(message, (str, bytes)):
        message = json.dumps(message)
    if isinstance(message, str):
        message = message.encode()
    return frame(TEXT, message, **how)


class RudeSocket(Rude):
    """A WebSocket."""

    def __init__(
        self, address, receive_buffer=None, source=None, segment=None, first=b"", **fields
    ):
        """`first` goes out in the same segment as the upgrade request."""
        super().__init__(address, receive_buffer, source, segment)
        self.send(upgrade(**fields).encode() + first)
        self.handshake = self.take_answer()
        assert self.handshake.status == 101, (self.handshake.status, self.handshake.body)

    def say(self, message, **how):
        self.send(text(message, **how))

    def subscribe(self, *symbols, **fields):
        self.say({"action": "subscribe", "symbols": list(symbols), **fields})

    def take_frame(self):
        first, second = self.take(2)
        size = second & 0x7F
        assert not second & 0x80, "a server's frame is masked"
        if size == 126:
            (size,) = struct.unpack(">H", self.take(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.take(8))
        return Frame(first >> 7, first >> 4 & 7, first & 15, self.take(size))

    def take_text(self):
        """The next message's text; the server's pings are passed over."""
        while True:
            got = self.take_frame()
            if got.opcode == PING:
                continue
            assert got.opcode == TEXT and got.fin, got
            assert got.rsv in (0, 4), got
            return (inflate(got.payload) if got.rsv else got.payload).decode()

    @staticmethod
    def message_of(got):
        """The message in a text frame."""
        return json.loads(inflate(got.payload) if got.rsv else got.payload)

    def take_message(self, type=None):
        """The next message, or the next of a type."""
        while True:
            message = json.loads(self.take_text())
            if type in (None, message["type"]):
                return message

    def take_messages(self, count, type=None):
        return [self.take_message(type) for _ in range(count)]

    def take_messages_for(self, seconds):
        """What comes in so many seconds: pairs of arrival and message."""
        end = time.monotonic() + seconds
        got = []
        while (left := end - time.monotonic()) > 0:
            if self.is_silent(left):
                break
            message = self.take_message()
            got.append((time.monotonic(), message))
        return got

    def pong(self):
        """A message there and back: whatever was sent before has been looked at."""
        self.say({"action": "ping"})
        return self.take_message("pong")

    def take_close(self):
        """The server's close frame, after whatever comes before it; then the end of the stream."""
        while True:
            got = self.take_frame()
            if got.opcode == CLOSE:
                break
        code = struct.unpack(">H", got.payload[:2])[0] if got.payload else None
        return Close(code, got.payload[2:].decode())

    def take_end(self):
        """The close frame, and that nothing but the end of the stream follows."""
        close = self.take_close()
        assert self.is_closed()
        return close
