"""RFC 6455 §5 against `heatcast echo`: framing, pings, reserved bits, opcodes, fragmentation. Each
conversation goes out whole, byte by byte and cut at random, and is answered the same."""

import random
import struct

import pytest

from conformance import SEED, converse, fails, fragments, sliced
from rude import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

HELLO = "Hello-µ@ßöäüàá-UTF-8!!".encode()
ZERO = b"\0\0\0\0"


def letters(size):
    return (b"The quick brown fox jumps over the lazy dog. " * (size // 45 + 1))[:size]


# 1: framing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2, 124, 125, 126, 127, 128, 65535, 65536, 65537])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_messages_of_each_form_of_length_come_back(echo, opcode, size):
    payload = letters(size) if opcode == TEXT else random.Random(SEED).randbytes(size)
    converse(echo, frame(opcode, payload), (opcode, payload))


def test_messages_of_all_lengths_around_the_forms_come_back_in_order(echo):
    sizes = [*range(130), *range(65533, 65540)]
    sent = b"".join(frame(BINARY, bytes([size & 255]) * size) for size in sizes)
    converse(echo, sent, *((BINARY, bytes([size & 255]) * size) for size in sizes))


@pytest.mark.parametrize("mask", [ZERO, b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0", b"abcd"])
def test_every_mask_is_undone(echo, mask):
    data = bytes(range(256)) * 2
    sent = frame(BINARY, data, mask=mask) + frame(TEXT, HELLO, mask=mask) + frame(PING, b"x", mask=mask)
    converse(echo, sent, (BINARY, data), (TEXT, HELLO), (PONG, b"x"))


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
def test_an_unmasked_frame_fails_the_connection(echo, opcode):
    """§5.1"""
    fails(echo, frame(TEXT, b"before") + frame(opcode, b"", mask=None), 1002, (TEXT, b"before"))


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize(
    "length",
    [
        pytest.param(b"\xfe" + struct.pack(">H", 125), id="125 in 2 bytes"),
        pytest.param(b"\xfe" + struct.pack(">H", 0), id="0 in 2 bytes"),
        pytest.param(b"\xff" + struct.pack(">Q", 125), id="125 in 8 bytes"),
        pytest.param(b"\xff" + struct.pack(">Q", 65535), id="65535 in 8 bytes"),
        pytest.param(b"\xff" + struct.pack(">Q", 1 << 63), id="the top bit"),
        pytest.param(b"\xff" + struct.pack(">Q", (1 << 64) - 1), id="all bits"),
    ],
)
def test_a_length_not_in_its_shortest_form_fails_the_connection(echo, opcode, length):
    """§5.2; nothing behind the length is waited for."""
    fails(echo, bytes([0x80 | opcode]) + length, 1002)


@pytest.mark.parametrize("length", [(16 << 20) + 1, 1 << 32, (1 << 63) - 1])
def test_a_length_beyond_the_limit_fails_the_connection_at_the_header(echo, length):
    fails(echo, bytes([0x82, 0xFF]) + struct.pack(">Q", length), 1009)


# 2: pings and pongs -------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"Hello", b"\0\xff\xfe\xfd\xfc\xfb\0\xff", bytes(range(125))], ids=len)
def test_a_ping_comes_back_as_a_pong_with_its_payload(echo, payload):
    converse(echo, frame(PING, payload), (PONG, payload))


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_longer_than_125_bytes_fails_the_connection(echo, opcode):
    """§5.5; its second byte tells."""
    fails(echo, frame(opcode, bytes(126))[:2], 1002)
    fails(echo, frame(opcode, bytes(126)), 1002)


@pytest.mark.parametrize("payload", [b"", b"nobody asked"])
def test_a_pong_that_nobody_asked_for_is_passed_over(echo, payload):
    converse(echo, frame(PONG, payload))
    converse(echo, frame(PONG, payload) + frame(PING, b"but this"), (PONG, b"but this"))


def test_pings_in_a_row_are_answered_each_in_order(echo):
    pings = [b"ping %d" % i for i in range(50)]
    converse(echo, b"".join(frame(PING, p) for p in pings), *((PONG, p) for p in pings))


# 3: reserved bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_a_reserved_bit_fails_the_connection(echo, rsv, opcode):
    """§5.2; the first byte tells. What was said before is still answered."""
    fails(echo, frame(opcode, b"", rsv=rsv)[:1], 1002)
    sent = frame(TEXT, HELLO) + frame(opcode, HELLO, rsv=rsv) + frame(PING)
    fails(echo, sent, 1002, (TEXT, HELLO))


@pytest.mark.parametrize("rsv", range(1, 8))
def test_a_reserved_bit_on_a_continuation_fails_the_connection(echo, rsv):
    fails(echo, frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"lo", rsv=rsv), 1002)


# 4: opcodes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_a_reserved_opcode_fails_the_connection(echo, opcode):
    """§5.2; the first byte tells."""
    fails(echo, frame(opcode)[:1], 1002)
    fails(echo, frame(opcode, b"reserved", fin=False), 1002)
    sent = frame(TEXT, HELLO) + frame(opcode, b"reserved") + frame(PING)
    fails(echo, sent, 1002, (TEXT, HELLO))
    fails(echo, frame(TEXT, b"Hel", fin=False) + frame(opcode), 1002)


# 5: fragmentation ---------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_in_fragments_fails_the_connection(echo, opcode):
    """§5.5"""
    fails(echo, frame(opcode, b"", fin=False)[:1], 1002)
    fails(echo, fragments(opcode, [b"frag", b"ments"]), 1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize(
    "pieces",
    [
        [b"fragment1", b"fragment2"],
        [b"", b"all"],
        [b"all", b""],
        [b"", b"", b""],
        [b"a", b"", b"", b"b"],
        [letters(300), letters(70000), letters(5)],
    ],
    ids=lambda pieces: "+".join(str(len(piece)) for piece in pieces),
)
def test_fragments_are_put_together(echo, opcode, pieces):
    converse(echo, fragments(opcode, pieces), (opcode, b"".join(pieces)))


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_control_frames_between_fragments_are_answered_before_the_message(echo, opcode):
    """§5.4"""
    pieces = [b"fragment%d" % i for i in range(5)]
    between = frame(PING, b"between") + frame(PONG, b"not asked for")
    converse(
        echo,
        fragments(opcode, pieces, between=between) + frame(PING, b"behind"),
        *[(PONG, b"between")] * 4,
        (opcode, b"".join(pieces)),
        (PONG, b"behind"),
    )


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("payload", [b"", b"continues nothing"])
def test_a_continuation_of_nothing_fails_the_connection(echo, fin, payload):
    """§5.4: at the beginning, behind a whole message, and behind the last fragment of one."""
    odd = frame(CONTINUATION, payload, fin=fin)
    fails(echo, odd + frame(TEXT, HELLO), 1002)
    fails(echo, frame(TEXT, HELLO) + odd + frame(TEXT, HELLO), 1002, (TEXT, HELLO))
    fails(echo, fragments(TEXT, [b"a", b"b"]) + odd + frame(TEXT, HELLO), 1002, (TEXT, b"ab"))
    fails(echo, odd + fragments(TEXT, [b"a", b"b"]) + odd, 1002)


@pytest.mark.parametrize("first", [TEXT, BINARY])
@pytest.mark.parametrize("second", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_a_message_within_a_message_fails_the_connection(echo, first, second, fin):
    """§5.4"""
    fails(echo, frame(first, b"begun", fin=False) + frame(second, b"another", fin=fin), 1002)
    sent = frame(first, b"begun", fin=False) + frame(CONTINUATION, b"on", fin=False) + frame(PING)
    fails(echo, sent + frame(second, b"another", fin=fin), 1002, (PONG, b""))


def test_a_thousand_fragments_of_a_byte_are_one_message(echo):
    data = letters(1000)
    converse(echo, fragments(TEXT, sliced(data, 1)), (TEXT, data))


@pytest.mark.parametrize("number", range(6))
def test_a_random_conversation_is_answered_the_same_however_it_is_cut(echo, number):
    dice = random.Random(SEED + number)
    sent, expected = b"", []
    for _ in range(dice.randint(1, 12)):
        data = dice.randbytes(dice.choice([0, 1, 7, 125, 126, 900, 20000]))
        pieces = sliced(data, dice.choice([1 + len(data) // 20, 1 + len(data) // 3, 1 + len(data)]))
        ping = dice.randbytes(dice.choice([0, 3, 125]))
        sent += fragments(BINARY, pieces, between=frame(PING, ping, mask=dice.randbytes(4)))
        expected += [(PONG, ping)] * (len(pieces) - 1) + [(BINARY, data)]
    converse(echo, sent, *expected)


# 10: frames of a fixed size -----------------------------------------------------------------


@pytest.mark.parametrize("size", [1300, 255, 8192])
def test_a_message_in_frames_of_a_fixed_size_comes_back_whole(echo, size):
    data = letters(65536)
    converse(echo, fragments(TEXT, sliced(data, size)), (TEXT, data))
