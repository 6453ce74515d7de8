"""RFC 6455 §7 against `heatcast echo`: closing, by both sides' rules, and what may stand in a close
frame. Every conversation here must also end with the server closing TCP first (§7.1.1)."""

import pytest

from conformance import BYE, close, converse, fails, fragments, talk
from rude import BINARY, CLOSE, PING, PONG, TEXT, RudeSocket, frame


def test_a_message_before_the_close_is_answered(echo):
    converse(echo, frame(TEXT, b"Hello World!"), (TEXT, b"Hello World!"))


@pytest.mark.parametrize(
    "behind",
    [BYE, close(), frame(PING, b"late"), frame(TEXT, b"late"), frame(BINARY, bytes(70000)), b"\xff" * 100],
    ids=["close", "empty close", "ping", "text", "a long message", "nonsense"],
)
def test_nothing_behind_a_close_frame_is_answered(echo, behind):
    """§5.5.1, §1.4: what comes behind it is discarded."""
    talk(echo, frame(TEXT, b"before") + BYE + behind, (TEXT, b"before"), (CLOSE, 1000))


def test_a_close_within_a_fragmented_message_ends_it_unheard(echo):
    talk(echo, frame(TEXT, b"never ", fin=False) + BYE, (CLOSE, 1000))
    pieces = fragments(TEXT, [b"a", b"b", b"c"], between=frame(PING, b"p") + BYE)
    talk(echo, pieces, (PONG, b"p"), (CLOSE, 1000))


def test_a_close_without_a_body_is_answered_without_one(echo):
    """§7.1.5: no code was received, so there is none to send back."""
    talk(echo, close(), (CLOSE, None))


def test_a_close_with_half_a_code_fails_the_connection(echo):
    """§5.5.1: a body begins with two bytes of code."""
    fails(echo, frame(CLOSE, b"a"), 1002)


@pytest.mark.parametrize("size", [0, 1, 17, 122, 123])
def test_a_close_may_have_a_reason(echo, size):
    talk(echo, close(1000, b"r" * size), (CLOSE, 1000))
    talk(echo, close(1001, ("ö" * size).encode()[: size // 2 * 2]), (CLOSE, 1001))


def test_a_reason_longer_than_123_bytes_fails_the_connection(echo):
    fails(echo, close(1000, b"r" * 124), 1002)


@pytest.mark.parametrize(
    "reason",
    [b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\xff", b"a\xc3", b"\xf4\x90\x80\x80"],
    ids=["a surrogate", "no lead byte", "cut off", "beyond the last"],
)
def test_a_reason_that_is_not_utf8_fails_the_connection(echo, reason):
    """§5.5.1, §8.1"""
    fails(echo, close(1000, reason), 1007)


REGISTERED = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]


@pytest.mark.parametrize("code", [*REGISTERED, 3000, 3001, 3999, 4000, 4999])
def test_a_code_that_may_stand_in_a_close_frame_comes_back(echo, code):
    talk(echo, close(code), (CLOSE, code))
    talk(echo, close(code, b"why"), (CLOSE, code))


UNUSED = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32768, 65535]


@pytest.mark.parametrize("code", UNUSED)
def test_a_code_that_may_not_fails_the_connection(echo, code):
    """§7.4.1, §7.4.2"""
    fails(echo, close(code), 1002)
    fails(echo, close(code, b"why"), 1002)


@pytest.mark.parametrize("rest", [b"", b"\x81", frame(TEXT, b"cut off")[:9], frame(TEXT, b"a", fin=False)])
def test_a_peer_that_goes_without_a_close_frame_is_let_go(echo, rest):
    with RudeSocket(echo.address) as client:
        client.send(rest)
        client.half_close()
        assert client.is_closed()
