"""RFC 7692 against `heatcast echo`: every offer, every window, and compressed messages of all kinds,
with frames cut as the others. Python's zlib writes and reads them."""

import itertools
import json
import random
import zlib

import pytest

from conformance import BYE, SEED, converse, exchange, fails, fragments, sliced
from rude import BINARY, CLOSE, CONTINUATION, DEFLATE, PING, PONG, TEXT, Rude, RudeSocket, deflate, frame, upgrade

RSV1 = 4
MIB = 1 << 20


# What a message may be made of: text that repeats, JSON, a picture's rows, what cannot be compressed.
def samples():
    dice = random.Random(SEED)
    words = "der die Kräfte Faust und Geist Welt nicht mehr Zeit: ach, Hölle! so ein Wort ist".split()
    prose = " ".join(dice.choice(words) for _ in range(20000)).encode()
    table = json.dumps([{"price": i * 100, "long": dice.randrange(10**9)} for i in range(2000)]).encode()
    picture = b"".join(bytes((x * y >> 6) + dice.randrange(3) & 255 for x in range(256)) for y in range(256))
    return {
        "prose": (TEXT, prose),
        "json": (TEXT, table),
        "picture": (BINARY, picture),
        "noise": (BINARY, dice.randbytes(70000)),
        "zeros": (BINARY, bytes(200000)),
    }


SAMPLES = samples()


def part(sample, at, size):
    """A message out of a sample; text is not cut within a character."""
    opcode, data = SAMPLES[sample]
    taken = (data * (1 + (at + size) // len(data)))[at : at + size]
    return opcode, taken.decode(errors="ignore").encode() if opcode == TEXT else taken


def packed(data, level=9, window_bits=15, strategy=zlib.Z_DEFAULT_STRATEGY, flushes=(), final=False):
    """A compressed message: as zlib is told to, flushed in some places, or ended with a final block,
    behind which RFC 7692 §7.2.3.4 puts a byte 0."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -window_bits, 8, strategy)
    out, done = b"", 0
    for at, how in flushes:
        out += packer.compress(data[done:at]) + packer.flush(how)
        done = at
    out += packer.compress(data[done:])
    if final:
        return out + packer.flush(zlib.Z_FINISH) + b"\0"
    out += packer.flush(zlib.Z_SYNC_FLUSH)
    assert out.endswith(b"\0\0\xff\xff")
    return out[:-4]


def message(opcode, data, **how):
    return frame(opcode, packed(data, **how), rsv=RSV1)


def agreed(echo, offer):
    """The answer to an offer: None, or the parameters by name."""
    with RudeSocket(echo.address, Sec_WebSocket_Extensions=offer) as client:
        answer = client.handshake.headers.get("Sec-WebSocket-Extensions")
    if answer is None:
        return None
    name, *parameters = answer.split("; ")
    assert name == DEFLATE
    pairs = [parameter.partition("=")[::2] for parameter in parameters]
    assert len(dict(pairs)) == len(pairs), answer
    return dict(pairs)


# 13: offers ---------------------------------------------------------------------------------

NO_TAKEOVER = {"server_no_context_takeover": "", "client_no_context_takeover": ""}
WINDOWS = [str(bits) for bits in range(8, 16)]


@pytest.mark.parametrize("server_window", [None, *WINDOWS])
def test_every_well_formed_offer_is_answered_as_the_rfc_says(echo, server_window):
    """§7.1: with or without each parameter, in each value. A window of 8 is declined."""
    takeovers = [(), ("server_no_context_takeover",), ("client_no_context_takeover",), tuple(NO_TAKEOVER)]
    clients = [None, "client_max_window_bits", *(f"client_max_window_bits={bits}" for bits in WINDOWS)]
    for takeover, client in itertools.product(takeovers, clients):
        server = server_window and f"server_max_window_bits={server_window}"
        offer = "; ".join([DEFLATE, *takeover, *filter(None, [server, client])])
        expected = {**NO_TAKEOVER, **({"server_max_window_bits": server_window} if server_window else {})}
        assert agreed(echo, offer) == (None if server_window == "8" else expected), offer
        data = (b"answered: " + offer.encode()) * 20
        sent = frame(TEXT, data) if server_window == "8" else message(TEXT, data)
        assert exchange(echo, [sent + BYE], offer) == [(TEXT, data), (CLOSE, 1000)], offer


@pytest.mark.parametrize(
    "parameters",
    [
        "server_max_window_bits",
        *(f"server_max_window_bits={value}" for value in ("7", "16", "0", "-9", "010", "9.5", "x", "100")),
        *(f"client_max_window_bits={value}" for value in ("7", "16", "0", "08", "1000")),
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_max_window_bits; client_max_window_bits",
        "server_max_window_bits=10; server_max_window_bits=10",
        "unknown",
        "unknown=1",
    ],
)
def test_an_offer_with_a_wrong_parameter_is_declined_and_the_next_taken(echo, parameters):
    """§7.1: an unknown parameter, one given twice, or one with a value it cannot have."""
    assert agreed(echo, f"{DEFLATE}; {parameters}") is None
    assert agreed(echo, f"{DEFLATE}; {parameters}, {DEFLATE}") == NO_TAKEOVER
    assert agreed(echo, f"{DEFLATE}; {parameters}, x-other, {DEFLATE}; server_max_window_bits=12") == {
        **NO_TAKEOVER,
        "server_max_window_bits": "12",
    }


def test_the_first_offer_that_can_be_kept_is_taken(echo):
    offers = f"{DEFLATE}; server_max_window_bits=8, {DEFLATE}; server_max_window_bits=10, {DEFLATE}"
    assert agreed(echo, offers)["server_max_window_bits"] == "10"


@pytest.mark.parametrize("offer", ["x-webkit-deflate-frame", "permessage-bzip2", "deflate", "Permessage-Deflate2"])
def test_other_extensions_are_passed_over(echo, offer):
    assert agreed(echo, offer) is None
    assert agreed(echo, f"{offer}; a=1; b, {DEFLATE}") == NO_TAKEOVER


@pytest.mark.parametrize("offer", [f"{DEFLATE};", f"{DEFLATE}; =1", f"{DEFLATE}; a=", f'{DEFLATE}; a="b', f"{DEFLATE} a"])
def test_an_ill_formed_offer_fails_the_handshake(echo, offer):
    """RFC 6455 §9.1"""
    with Rude(echo.address) as client:
        assert client.ask(upgrade(Sec_WebSocket_Extensions=offer)).status == 400


# 12: messages -------------------------------------------------------------------------------


@pytest.mark.parametrize("window_bits", range(9, 16))
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_clients_window_may_have_any_size(echo, sample, window_bits):
    opcode, data = part(sample, 0, 40000)
    offer = f"{DEFLATE}; client_max_window_bits={window_bits}"
    converse(echo, message(opcode, data, window_bits=window_bits), (opcode, data), offer=offer)


@pytest.mark.parametrize("window_bits", range(9, 16))
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_servers_window_is_kept_to(echo, sample, window_bits):
    """conformance.py inflates with the window agreed on: reaching back further is an error."""
    opcode, data = part(sample, 0, 40000)
    offer = f"{DEFLATE}; server_max_window_bits={window_bits}"
    converse(echo, message(opcode, data), (opcode, data), offer=offer)


@pytest.mark.parametrize("size", [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072])
@pytest.mark.parametrize("sample", SAMPLES)
def test_many_compressed_messages_in_a_row_come_back(echo, sample, size):
    parts = [part(sample, at * 977, size) for at in range(20)]
    sent = b"".join(message(opcode, data) for opcode, data in parts)
    assert exchange(echo, [sent + BYE], DEFLATE) == [*parts, (CLOSE, 1000)]


@pytest.mark.parametrize("size", [1, 256, 1024, 4096, 32768])
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_compressed_message_may_come_in_fragments(echo, sample, size):
    """RFC 7692 §6.1: RSV1 is set on the first only."""
    opcode, data = part(sample, 0, 60 * size)
    pieces = sliced(deflate(data), size)
    sent = fragments(opcode, pieces, rsv=RSV1, between=frame(PING, b"p"))
    converse(echo, sent, *[(PONG, b"p")] * (len(pieces) - 1), (opcode, data), offer=DEFLATE)


# How else a sender may write the same message, §7.2.3.
WAYS = {
    "stored": {"level": 0},
    "fast": {"level": 1},
    "fixed codes": {"strategy": zlib.Z_FIXED},
    "no matches": {"strategy": zlib.Z_HUFFMAN_ONLY},
    "runs": {"strategy": zlib.Z_RLE},
    "flushed twice": {"flushes": [(100, zlib.Z_SYNC_FLUSH), (3000, zlib.Z_SYNC_FLUSH)]},
    "flushed fully": {"flushes": [(1, zlib.Z_FULL_FLUSH), (2000, zlib.Z_FULL_FLUSH)]},
    "flushed at the end": {"flushes": [(4000, zlib.Z_SYNC_FLUSH)]},
    "with a final block": {"final": True},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_message_may_be_compressed_in_any_way(echo, sample, way):
    opcode, data = part(sample, 0, 4000)
    converse(echo, message(opcode, data, **WAYS[way]), (opcode, data), offer=DEFLATE)


@pytest.mark.parametrize(
    "payload, expected",
    [
        pytest.param("f2 48 cd c9 c9 07 00", b"Hello", id="7.2.3.1 one block"),
        pytest.param("00 05 00 fa ff 48 65 6c 6c 6f 00", b"Hello", id="7.2.3.3 stored"),
        pytest.param("f3 48 cd c9 c9 07 00 00", b"Hello", id="7.2.3.4 final"),
        pytest.param("f2 48 05 00 00 00 ff ff ca c9 c9 07 00", b"Hello", id="7.2.3.5 two blocks"),
        pytest.param("00", b"", id="7.2.3.6 empty"),
        pytest.param("02 00", b"", id="an empty fixed block"),
    ],
)
def test_the_examples_of_the_rfc_are_read(echo, payload, expected):
    data = bytes.fromhex(payload)
    converse(echo, frame(TEXT, data, rsv=RSV1), (TEXT, expected), offer=DEFLATE)
    in_two = fragments(TEXT, [data[:3], data[3:]], rsv=RSV1)
    converse(echo, in_two + in_two, (TEXT, expected), (TEXT, expected), offer=DEFLATE)


def test_nothing_is_taken_over_from_the_message_before(echo):
    """§7.2.3.2's second message leans on the first; we asked the client not to do that."""
    first, second = bytes.fromhex("f248cdc9c90700"), bytes.fromhex("f200110000")
    sent = frame(TEXT, first, rsv=RSV1) + frame(TEXT, second, rsv=RSV1)
    fails(echo, sent, 1007, (TEXT, b"Hello"), offer=DEFLATE)


def test_plain_messages_may_stand_between_compressed_ones(echo):
    """§6: RSV1 tells for each message."""
    sent = message(TEXT, b"packed") + frame(TEXT, b"plain") + fragments(BINARY, [b"pl", b"ain"]) + message(BINARY, b"\xff")
    expected = [(TEXT, b"packed"), (TEXT, b"plain"), (BINARY, b"plain"), (BINARY, b"\xff")]
    converse(echo, sent, *expected, offer=DEFLATE)


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE])
def test_only_rsv1_and_only_on_a_messages_first_frame_has_a_meaning(echo, opcode, rsv):
    if rsv == RSV1 and opcode in (TEXT, BINARY):
        converse(echo, message(opcode, b"meant"), (opcode, b"meant"), offer=DEFLATE)
        return
    before = b"" if opcode != CONTINUATION else frame(TEXT, deflate(b"x"), fin=False, rsv=RSV1)
    fails(echo, before + frame(opcode, b"", rsv=rsv), 1002, offer=DEFLATE)


def test_rsv1_means_nothing_where_it_was_not_agreed_on(echo):
    fails(echo, message(TEXT, b"unasked"), 1002)
    fails(echo, message(TEXT, b"declined"), 1002, offer=f"{DEFLATE}; server_max_window_bits=8")


@pytest.mark.parametrize(
    "payload",
    ["ff", "06", "07 00", "f2 48 cd", "00 05 00 00 00", "f2 48 cd c9 c9 07", "", "05", "62 00 00 00 ff ff 62"],
    ids=lambda text: text or "nothing",
)
def test_what_is_not_deflate_fails_the_connection(echo, payload):
    """Blocks of no kind, cut off, reaching back before the beginning, and no block at all."""
    fails(echo, frame(BINARY, bytes.fromhex(payload), rsv=RSV1), 1007, offer=DEFLATE)


@pytest.mark.parametrize("text", [b"\xff", b"caf\xc3", b"\xed\xa0\x80", b"a" * 5000 + b"\xc0\x80"])
def test_compressed_text_must_be_utf8_too(echo, text):
    fails(echo, message(TEXT, text), 1007, offer=DEFLATE)
    fails(echo, fragments(TEXT, sliced(deflate(text), 1), rsv=RSV1), 1007, offer=DEFLATE)
    converse(echo, message(BINARY, text), (BINARY, text), offer=DEFLATE)


@pytest.mark.parametrize("size", [MIB, 16 * MIB])
def test_large_messages_may_come_compressed(echo, size):
    _, unit = SAMPLES["prose"]
    data = (unit * (size // len(unit) + 1))[:size]
    got = exchange(echo, [message(BINARY, data, level=1) + BYE], DEFLATE)
    assert got[-1] == (CLOSE, 1000) and len(got) == 2 and got[0] == (BINARY, data)


def test_a_small_message_that_inflates_beyond_the_limit_is_refused(echo):
    fails(echo, message(BINARY, bytes(16 * MIB + 1)), 1009, offer=DEFLATE)
    nested = message(BINARY, bytes(200 * MIB))
    assert len(nested) < MIB
    fails(echo, nested, 1009, offer=DEFLATE)
