#!/usr/bin/env python3
"""Writes the hand-made part of fuzz/corpus: a few dozen small files for each target. What fuzzers
found stands beside it and is left alone."""

import struct
import zlib
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
MASK = b"\x37\xfa\x21\x3d"


def write(target, seeds):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (folder / name).write_bytes(data)
    print(f"{target}: {len(seeds)} seeds")


# --- heads: a byte that says request (0) or response (1), then the head ---


def request(*fields, line="GET / HTTP/1.1", host="Host: h"):
    lines = [line, *([host] if host else []), *fields]
    return b"\0" + "".join(f"{one}\r\n" for one in (*lines, "")).encode()


def response(*fields, line="HTTP/1.1 101 Switching Protocols"):
    return b"\1" + "".join(f"{one}\r\n" for one in (line, *fields, "")).encode()


UPGRADE = ["Upgrade: websocket", "Connection: keep-alive, Upgrade"]
HANDSHAKE = [*UPGRADE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def offering(text):
    return request(*HANDSHAKE, f"Sec-WebSocket-Extensions: {text}", line="GET /ws/heatmap HTTP/1.1")


def http_seeds():
    browser = [
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
        "Accept-Encoding: gzip, deflate, br;q=0.5, *;q=0",
        "Cookie: a=b; c=d",
        "If-None-Match: W/\"0123456789abcdef\"",
    ]
    return {
        "get": request(),
        "get-of-a-browser": request(*browser),
        "head": request(line="HEAD /index.html HTTP/1.1"),
        "options-of-all": request(line="OPTIONS * HTTP/1.1"),
        "post-with-a-length": request("Content-Length: 4", line="POST /publish/BTC HTTP/1.1") + b"body",
        "query": request(line="GET /prices/klines?symbol=BTC%55SDT&since=a%3A1&a=&=x&a HTTP/1.1"),
        "query-badly-encoded": request(line="GET /?symbol=%f&since=%00&a=%ff%fe HTTP/1.1"),
        "query-twice": request(line="GET /?symbol=1&symbol=2 HTTP/1.1"),
        "forwarded": request("X-Forwarded-For: 203.0.113.7, 10.0.0.1:80", "X-Forwarded-For: [fd00::1]:80"),
        "forwarded-unknown": request("X-Forwarded-For: [fd00::1, unknown,, 10.0.0.1:x, ::ffff:10.0.0.1"),
        "absolute-form": request(line="GET http://h:80/health?symbol=1 HTTP/1.1"),
        "absolute-form-without-a-path": request(line="GET https://[::1]?a HTTP/1.1"),
        "absolute-form-with-a-user": request(line="GET http://me@h/ HTTP/1.1"),
        "authority-form": request(line="CONNECT h:443 HTTP/1.1"),
        "empty-lines-first": b"\0\r\n\r\n" + request()[1:],
        "http-1.0": request(line="GET / HTTP/1.0", host=None),
        "http-1.0-kept-alive": request("Connection: keep-alive", line="GET / HTTP/1.0", host=None),
        "http-2": b"\0PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "tls": b"\0\x16\x03\x01\x02\x00\x01\x00",
        "no-host": request(host=None),
        "two-hosts": request("Host: g"),
        "host-with-a-port": request(host="Host: [2001:db8::1]:8000"),
        "smuggled": request("Content-Length: 3", "Transfer-Encoding: chunked"),
        "chunked": request("Transfer-Encoding: chunked", line="POST / HTTP/1.1"),
        "two-lengths": request("Content-Length: 3", "Content-Length: 3"),
        "length-beyond-64-bits": request("Content-Length: 99999999999999999999"),
        "a-field-without-a-name": request(": b"),
        "folded": request("A: b", " c"),
        "bare-lf": b"\0GET / HTTP/1.1\nHost: h\n\n",
        "bare-cr": b"\0GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n",
        "nul-in-a-value": request("A: b\0c"),
        "many-fields": request(*["A: b"] * 64),
        "pipelined": request() + request()[1:],
        "handshake": request(*HANDSHAKE),
        "handshake-with-an-offer": offering("permessage-deflate; client_max_window_bits"),
        "handshake-with-a-window": offering("permessage-deflate; server_max_window_bits=10"),
        "handshake-with-offers": offering('x; a="b", permessage-deflate; server_max_window_bits="8", permessage-deflate'),
        "handshake-ill-formed-offer": offering('permessage-deflate; a="'),
        "handshake-version-8": request(*UPGRADE, "Sec-WebSocket-Version: 8", HANDSHAKE[-1]),
        "handshake-short-key": request(*HANDSHAKE[:-1], "Sec-WebSocket-Key: eA=="),
        "response": response("Content-Length: 0", line="HTTP/1.1 200 OK"),
        "response-without-a-reason": response(line="HTTP/1.0 503"),
        "response-handshake": response(*UPGRADE, ACCEPT),
        "response-with-deflate": response(*UPGRADE, ACCEPT, f"Sec-WebSocket-Extensions: {AGREED}"),
        "response-to-no-offer": response(*UPGRADE, ACCEPT, "Sec-WebSocket-Extensions: x"),
        "response-with-a-protocol": response(*UPGRADE, ACCEPT, "Sec-WebSocket-Protocol: x"),
        "response-http-2": response(line="HTTP/2.0 200 OK"),
    }


# --- frames: a byte that sets the decoder up, one that says how to cut, then the frames ---

SERVER, CLIENT, DEFLATE, SMALL, NOTHING, LARGE = 0, 1, 2, 4, 8, 12
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, payload=b"", fin=True, rsv=0, mask=MASK, length=None):
    size = len(payload) if length is None else length
    bit = 0x80 if mask else 0
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if not mask:
        return head + payload
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def packed(data, **how):
    packer = zlib.compressobj(how.get("level", 9), zlib.DEFLATED, -15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def setup(bits, *frames, cut=7):
    return bytes([bits, cut]) + b"".join(frames)


def ws_seeds():
    euro = "€".encode()
    plain = {"mask": None}
    zeros = b"\0\0\0\0"
    return {
        "text": setup(SERVER, frame(TEXT, b"Hello")),
        "text-with-an-empty-mask": setup(SERVER, frame(TEXT, "Grüße €".encode(), mask=zeros)),
        "binary": setup(SERVER, frame(BINARY, bytes(range(256)))),
        "empty": setup(SERVER, frame(TEXT), frame(BINARY), frame(PING), frame(PONG)),
        "control-between-fragments": setup(
            SERVER, frame(TEXT, b"Hel", fin=False), frame(PING, b"p"), frame(0, b"lo, ", fin=False), frame(PONG), frame(0, b"you")
        ),
        "a-character-across-fragments": setup(SERVER, frame(TEXT, euro[:1], fin=False), frame(0, euro[1:])),
        "a-character-cut-off": setup(SERVER, frame(TEXT, euro[:2])),
        "surrogate": setup(SERVER, frame(TEXT, b"\xed\xa0\x80", mask=zeros)),
        "overlong": setup(SERVER, frame(TEXT, b"\xc0\xaf", mask=zeros)),
        "beyond-unicode": setup(SERVER, frame(TEXT, b"\xf4\x90\x80\x80", mask=zeros)),
        "length-of-16-bits": setup(SERVER, frame(BINARY, b"x" * 200)),
        "length-of-64-bits": setup(SERVER | LARGE, frame(BINARY, length=70000)[:14], b"x" * 100),
        "length-not-shortest": setup(SERVER, b"\x82\xfe\x00\x05" + MASK + b"abcde"),
        "length-with-its-top-bit": setup(SERVER, b"\x82\xff" + b"\xff" * 8),
        "too-big": setup(SERVER | SMALL, frame(BINARY, b"x" * 126)),
        "too-big-in-fragments": setup(SERVER | SMALL, frame(BINARY, b"x" * 100, fin=False), frame(0, b"x" * 26)),
        "nothing-allowed": setup(SERVER | NOTHING, frame(TEXT), frame(TEXT, b"a")),
        "unmasked": setup(SERVER, frame(TEXT, b"a", **plain)),
        "reserved-bit": setup(SERVER, frame(TEXT, b"a", rsv=1)),
        "reserved-opcode": setup(SERVER, frame(3)),
        "fragmented-ping": setup(SERVER, frame(PING, b"a", fin=False)),
        "long-ping": setup(SERVER, frame(PING, b"a" * 126)),
        "continuation-of-nothing": setup(SERVER, frame(0, b"a")),
        "message-within-a-message": setup(SERVER, frame(TEXT, b"a", fin=False), frame(BINARY, b"b")),
        "close": setup(SERVER, frame(CLOSE, b"\x03\xe8bye"), frame(TEXT, b"late")),
        "close-without-a-body": setup(SERVER, frame(CLOSE)),
        "close-with-half-a-code": setup(SERVER, frame(CLOSE, b"\x03")),
        "close-with-a-bad-code": setup(SERVER, frame(CLOSE, struct.pack(">H", 1005))),
        "close-with-a-bad-reason": setup(SERVER, frame(CLOSE, b"\x03\xe8\xff")),
        "deflated": setup(SERVER | DEFLATE, frame(TEXT, packed(b"Hello" * 9), rsv=4), frame(TEXT, b"plain")),
        "deflated-in-fragments": setup(
            SERVER | DEFLATE, frame(TEXT, packed(b"Hello")[:2], fin=False, rsv=4), frame(PING), frame(0, packed(b"Hello")[2:])
        ),
        "deflated-stored": setup(SERVER | DEFLATE, frame(BINARY, packed(b"Hello", level=0), rsv=4)),
        "deflated-final": setup(SERVER | DEFLATE, frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=4)),
        "deflated-empty": setup(SERVER | DEFLATE, frame(TEXT, b"\0", rsv=4)),
        "deflated-bomb": setup(SERVER | DEFLATE | SMALL, frame(BINARY, packed(bytes(9000)), rsv=4)),
        "deflated-nonsense": setup(SERVER | DEFLATE, frame(BINARY, b"\xff\xff", rsv=4)),
        "deflated-cut-off": setup(SERVER | DEFLATE, frame(TEXT, packed(b"Hello")[:3], rsv=4)),
        "deflated-not-utf8": setup(SERVER | DEFLATE, frame(TEXT, packed(b"\xff"), rsv=4)),
        "client": setup(CLIENT, frame(TEXT, b"Hello", **plain), frame(PING, b"p", **plain)),
        "client-masked": setup(CLIENT, frame(TEXT, b"Hello")),
        "client-deflated": setup(CLIENT | DEFLATE, frame(TEXT, packed(b"Hello" * 5), rsv=4, **plain)),
        "client-closed": setup(CLIENT, frame(TEXT, b"a", **plain), frame(CLOSE, b"\x03\xe9", **plain)),
    }


# --- compressed messages: two bytes of bound, one of the way to compress, then bytes ---


def bounded(size_max, data, level=6, window_bits=15):
    return struct.pack("<HB", size_max, level + 10 * (window_bits - 9)) + data


def blocks(data, strategy=zlib.Z_DEFAULT_STRATEGY, level=9, flush=zlib.Z_SYNC_FLUSH):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    return packer.compress(data) + packer.flush(flush)


def inflate_seeds():
    prose = b"The quick brown fox jumps over the lazy dog. " * 20
    noise = bytes(i * i % 251 for i in range(600))
    return {
        "hello": bounded(100, bytes.fromhex("f248cdc9c90700")),
        "hello-stored": bounded(100, bytes.fromhex("000500faff48656c6c6f00")),
        "hello-final": bounded(100, bytes.fromhex("f348cdc9c9070000")),
        "hello-in-two-blocks": bounded(100, bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", ""))),
        "empty": bounded(100, b"\0"),
        "nothing": bounded(100, b""),
        "bound-of-0": bounded(0, bytes.fromhex("f248cdc9c90700")),
        "bound-that-just-fits": bounded(5, bytes.fromhex("f248cdc9c90700")),
        "bound-too-tight": bounded(4, bytes.fromhex("f248cdc9c90700")),
        "prose": bounded(1000, blocks(prose)[:-4]),
        "prose-with-its-tail": bounded(1000, blocks(prose)),
        "prose-cut-off": bounded(1000, blocks(prose)[:-9]),
        "prose-fixed-codes": bounded(1000, blocks(prose, zlib.Z_FIXED)[:-4]),
        "prose-no-matches": bounded(1000, blocks(prose, zlib.Z_HUFFMAN_ONLY)[:-4]),
        "noise": bounded(1000, blocks(noise)[:-4]),
        "noise-stored": bounded(1000, blocks(noise, level=0)[:-4]),
        "final-blocks": bounded(2000, blocks(prose, flush=zlib.Z_FINISH) * 2),
        "final-then-more": bounded(2000, blocks(prose, flush=zlib.Z_FINISH) + blocks(b"abc")[:-4]),
        "final-then-nonsense": bounded(2000, blocks(b"abc", flush=zlib.Z_FINISH) + b"\xff"),
        "bomb": bounded(4096, blocks(bytes(60000))[:-4]),
        "block-of-no-kind": bounded(100, b"\x06"),
        "reaching-back-too-far": bounded(100, bytes.fromhex("f200110000")),
        "plain-prose": bounded(65535, prose, level=9),
        "plain-prose-fast": bounded(65535, prose, level=1, window_bits=9),
        "plain-prose-stored": bounded(65535, prose, level=0),
        "plain-zeros-small-window": bounded(65535, bytes(3000), level=4, window_bits=9),
        "plain-noise": bounded(65535, noise, level=9, window_bits=12),
    }


# --- JSON ---


def client_seeds():
    return {
        name: text.encode() if isinstance(text, str) else text
        for name, text in {
            "ping": '{"action":"ping"}',
            "ping-with-an-id": '{"action":"ping","id":1}',
            "subscribe": '{"action":"subscribe","symbols":["BTCUSDT"]}',
            "subscribe-often": '{"action":"subscribe","symbols":["BTCUSDT","ETHUSDT"],"update_interval":5,"id":"a"}',
            "subscribe-to-all-versions": '{"action":"subscribe","symbols":["A"],"update_interval":0}',
            "subscribe-to-deltas": '{"action":"subscribe","symbols":["A"],"mode":"delta","format":"columns","id":7}',
            "resume": '{"action":"subscribe","symbols":["A"],"since":{"A":41},"epoch":"k3f9","mode":"delta"}',
            "resume-each": '{"action":"subscribe","symbols":["A","B"],"since":{"A":1,"B":2},"epoch":{"A":"k"},"id":"x"}',
            "resume-from-nothing": '{"action":"subscribe","symbols":["A"],"since":{"A":0},"epoch":""}',
            "unsubscribe": '{"action":"unsubscribe","symbols":["BTCUSDT"],"id":"ö\\u0041\\ud83d\\ude00"}',
            "unknown-action": '{"action":"order"}',
            "no-action": "{}",
            "action-of-a-wrong-type": '{"action":1}',
            "no-symbols": '{"action":"subscribe","symbols":[]}',
            "symbols-of-a-wrong-type": '{"action":"subscribe","symbols":"BTCUSDT"}',
            "symbols-with-a-number": '{"action":"subscribe","symbols":["A",1]}',
            "many-symbols": '{"action":"subscribe","symbols":[%s]}' % ",".join(['"A"'] * 101),
            "interval-of-a-wrong-type": '{"action":"subscribe","symbols":["A"],"update_interval":"5"}',
            "interval-beyond": '{"action":"subscribe","symbols":["A"],"update_interval":1e300}',
            "interval-below": '{"action":"subscribe","symbols":["A"],"update_interval":-3}',
            "interval-with-a-fraction": '{"action":"subscribe","symbols":["A"],"update_interval":1.5}',
            "since-below": '{"action":"subscribe","symbols":["A"],"since":{"A":-1},"epoch":"k"}',
            "id-of-a-wrong-type": '{"action":"ping","id":[]}',
            "odd-symbols": '{"action":"unsubscribe","symbols":["\\"\\\\\\n\\t\\u001f","é"],"id":"\\"\\\\"}',
            "nulls": '{"action":"subscribe","symbols":["A"],"update_interval":null,"id":null,"since":null}',
            "twice": '{"action":"ping","action":"ping"}',
            "unknown-fields": '{"action":"ping","x":{"y":[1,2,{"z":null}]}}',
            "an-array": "[]",
            "a-number": "17",
            "nothing": "",
            "cut-off": '{"action":"pi',
            "followed-by-more": '{"action":"ping"} x',
            "not-utf8": b'{"action":"\xff"}',
            "nul": '{"action":"a\\u0000b"}',
            "deep": "[" * 3000,
            "long-numbers": '{"action":"ping","id":99999999999999999999}',
        }.items()
    }


def publish_seeds():
    facts = '"current_price":98450,"price_bin_size":100'
    level = '{"price":98000,"long_density":1500000.25,"short_density":200000}'
    return {
        name: text.encode()
        for name, text in {
            "levels": '{"levels":[%s],%s}' % (level, facts),
            "all-fields": '{"levels":[%s],%s,"positions_created":5,"positions_consumed":2,"timestamp":"2025-12-29T10:00:00.123Z"}'
            % (level, facts),
            "no-levels": '{"levels":[],%s}' % facts,
            "columns": '{"levels":{"prices":[98000,1,3],"long":[1,0,0.01],"short":[0,2.5,0]},%s}' % facts,
            "columns-of-unlike-lengths": '{"levels":{"prices":[98000],"long":[1,2],"short":[0]},%s}' % facts,
            "columns-that-stand-still": '{"levels":{"prices":[98000,0],"long":[1,2],"short":[0,1]},%s}' % facts,
            "small-bins": '{"levels":[{"price":0.1002,"long_density":0.01,"short_density":0}],"current_price":0.1,"price_bin_size":0.0002}',
            "a-tiny-bin": '{"levels":[{"price":1e-8,"long_density":1,"short_density":1}],"current_price":1e-8,"price_bin_size":1e-8}',
            "half-cents": '{"levels":[{"price":100,"long_density":0.005,"short_density":1.005}],%s}' % facts,
            "no-volume": '{"levels":[{"price":100,"long_density":0,"short_density":0.004}],%s}' % facts,
            "not-a-multiple": '{"levels":[{"price":98050,"long_density":1,"short_density":0}],%s}' % facts,
            "not-ascending": '{"levels":[%s,%s],%s}' % (level, level, facts),
            "negative": '{"levels":[{"price":100,"long_density":-1,"short_density":0}],%s}' % facts,
            "huge": '{"levels":[{"price":100,"long_density":90071992547409.9,"short_density":1e308}],%s}' % facts,
            "large-but-fine": '{"levels":[{"price":100,"long_density":90071992547409.9,"short_density":9999999999999.99}],%s}' % facts,
            "the-highest-bucket": '{"levels":[{"price":3979315674000,"long_density":1,"short_density":0}],"current_price":1,"price_bin_size":0.003979315674}',
            "a-cent-below-doubles": '{"levels":{"prices":[100,2],"long":[35184372088831.99,0.29],"short":[70368744177664.01,1e-2]},%s}' % facts,
            "bins-of-18-digits": '{"levels":{"prices":[123456.123456789],"long":[1],"short":[1]},"current_price":123456789.123456,"price_bin_size":123456.123456789}',
            "a-field-not-to-be-shown": '{"levels":[],%s,"\\u001b[1m\\u009b\u20ac":1}' % facts,
            "counts": '{"levels":[],%s,"positions_created":9007199254740991,"positions_consumed":9007199254740992}' % facts,
            "no-bin": '{"levels":[],"current_price":1}',
            "a-bin-of-0": '{"levels":[],"current_price":1,"price_bin_size":0}',
            "a-bad-time": '{"levels":[],%s,"timestamp":"yesterday"}' % facts,
            "a-bad-count": '{"levels":[],%s,"positions_created":-1}' % facts,
            "an-unknown-field": '{"levels":[],%s,"x":1}' % facts,
            "twice": '{"levels":[],"levels":[],%s}' % facts,
            "an-array": "[1]",
            "nothing": "",
            "cut-off": '{"levels":[{"price":9',
        }.items()
    }


def peer_message_seeds():
    head = '"type":"snapshot","symbol":"BTCUSDT","timestamp":"2025-12-29T10:00:00.5Z"'
    version = '"seq":1841,"epoch":"k3f9"'
    facts = '"current_price":98450,"positions_created":5,"positions_consumed":2,"price_bin_size":100'
    data = '"data":{"levels":[{"price":98000,"long_density":1500000.25,"short_density":0}],%s}' % facts
    return {
        name: text.encode()
        for name, text in {
            "whole": "{%s,%s,%s}" % (head, version, data),
            "columns": '{%s,%s,"data":{"levels":{"prices":[98000,1],"long":[1,0],"short":[0,0.01]},%s}}' % (head, version, facts),
            "no-levels": '{%s,%s,"data":{"levels":[],%s}}' % (head, version, facts),
            "not-resumed": '{%s,%s,"resumed":false,%s}' % (head, version, data),
            "fields-of-a-later-version": '{%s,%s,"x":[{}],"data":{"x":1,"levels":[{"price":100,"long_density":1,"short_density":1,"x":2}],%s}}'
            % (head, version, facts),
            "a-time-in-data": '{%s,%s,"data":{"timestamp":"2026-01-01","levels":[],%s}}' % (head, version, facts),
            "a-delta": '{"type":"delta","symbol":"BTCUSDT","timestamp":"2025-12-29T10:00:00Z",%s,"prev":1840,%s}' % (version, data),
            "another-symbol": '{"type":"snapshot","symbol":"ETHUSDT","timestamp":"2025-12-29T10:00:00Z",%s,%s}' % (version, data),
            "a-time-before-1970": '{"type":"snapshot","symbol":"BTCUSDT","timestamp":"1970-01-01T00:00+23:59",%s,%s}' % (version, data),
            "a-time-after-9999": '{"type":"snapshot","symbol":"BTCUSDT","timestamp":"9999-12-31T23:59:59-23:59",%s,%s}' % (version, data),
            "an-epoch-of-0": '{%s,"seq":1,"epoch":"0",%s}' % (head, data),
            "the-latest-epoch": '{%s,"seq":1,"epoch":"htewbzrb40",%s}' % (head, data),
            "an-epoch-far-ahead": '{%s,"seq":1,"epoch":"zzzzzzzzzz",%s}' % (head, data),
            "an-epoch-beyond-64-bits": '{%s,"seq":1,"epoch":"3w5e11264sgsg",%s}' % (head, data),
            "the-last-seq": '{%s,"seq":9007199254740992,"epoch":"k3f9",%s}' % (head, data),
            "a-seq-of-0": '{%s,"seq":0,"epoch":"k3f9",%s}' % (head, data),
            "half-a-seq": '{%s,"seq":1.5,"epoch":"k3f9",%s}' % (head, data),
            "no-data": "{%s,%s}" % (head, version),
            "data-of-a-wrong-type": '{%s,%s,"data":[]}' % (head, version),
            "not-a-multiple": '{%s,%s,"data":{"levels":[{"price":98050,"long_density":1,"short_density":0}],%s}}' % (head, version, facts),
            "twice": '{%s,%s,"seq":1,%s}' % (head, version, data),
            "an-array": "[]",
            "nothing": "",
            "cut-off": '{"type":"snapshot","symbol":"BTC',
        }.items()
    }


def replay_body_seeds():
    return {
        name: text.encode() if isinstance(text, str) else text
        for name, text in {
            "speed": '{"speed":60}',
            "paused": '{"paused":true}',
            "goes-on": '{"paused":false}',
            "position": '{"position":"2025-12-29T10:00:00Z"}',
            "position-with-an-offset": '{"position":"2025-12-29T10:00:00.123+02:00"}',
            "position-of-a-day": '{"position":"2025-12-29"}',
            "all-fields": '{"speed":0.5,"paused":false,"position":"2025-12-29 10:00"}',
            "no-fields": "{}",
            "slowest": '{"speed":0.001}',
            "slower-than-that": '{"speed":0.00099999}',
            "fastest": '{"speed":1000000}',
            "faster-than-that": '{"speed":1000000.1}',
            "beyond-doubles": '{"speed":1e999}',
            "backwards": '{"speed":-1}',
            "no-speed": '{"speed":null}',
            "digits-that-a-double-has-not": '{"speed":0.1000000000000000055511151231257827}',
            "before-1970": '{"position":"1970-01-01T00:00:00+23:59"}',
            "after-9999": '{"position":"9999-12-31T23:59:59.999-23:59"}',
            "no-such-day": '{"position":"2025-02-29"}',
            "a-leap-second": '{"position":"2016-12-31T23:59:60Z"}',
            "half-a-time": '{"position":"2025-12-29T10:"}',
            "a-part": '{"position":"50%"}',
            "a-time-with-a-nul": '{"position":"2025-12-29\\u0000"}',
            "paused-by-a-number": '{"paused":0}',
            "twice": '{"speed":1,"speed":2}',
            "good-then-bad": '{"speed":1,"paused":"no"}',
            "an-unknown-field": '{"more":1}',
            "a-field-not-to-be-shown": '{"\\u001b[1m\\u009b\u20ac":1}',
            "a-long-name": '{"%s":1}' % ("\u20ac" * 300),
            "an-array": "[]",
            "nothing": "",
            "cut-off": '{"speed":6',
            "not-utf8": b'{"speed\xff":1}',
            "followed-by-more": '{"speed":1} x',
            "deep": '{"speed":' + "[" * 500,
        }.items()
    }


if __name__ == "__main__":
    write("http", http_seeds())
    write("ws", ws_seeds())
    write("inflate", inflate_seeds())
    write("client", client_seeds())
    write("publish", publish_seeds())
    write("peer_message", peer_message_seeds())
    write("replay_body", replay_body_seeds())
