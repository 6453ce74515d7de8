"""RFC 6455 §8.1 against `heatcast echo`: text is UTF-8, in every fragment and across them, and what
is not fails the connection at the first byte that shows it. Python's decoder, which follows RFC 3629
as well, says what is right."""

import codecs

import pytest

from conformance import BYE, converse, exchange, fails, fragments, sliced
from rude import BINARY, CLOSE, PING, PONG, TEXT, frame


def first_wrong_byte(data):
    """Index of the first byte that no text could have here; None in valid or unfinished text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for index in range(len(data)):
        try:
            decoder.decode(data[index : index + 1])
        except UnicodeDecodeError:
            return index
    return None


def is_valid(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


GREEK = "κόσμε".encode()

# The edges of what RFC 3629 §4 allows and forbids.
EDGES = sorted(
    {
        # First and last characters of each length, around surrogates, the last of all.
        *(chr(c).encode() for c in (0, 0x24, 0x7F, 0x80, 0xA2, 0x7FF, 0x800, 0x20AC, 0xD7FF, 0xE000)),
        *(chr(c).encode() for c in (0xFEFF, 0xFFF9, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0x24B62, 0x10FFFF)),
        # Characters that stand for nothing are still characters.
        *(chr(plane << 16 | last).encode() for plane in range(17) for last in (0xFFFE, 0xFFFF)),
        GREEK,
        "hello\N{EURO SIGN}wörld\U0001f600".encode(),
        # Every prefix of a text, whole or cut within a character.
        *(GREEK[:size] for size in range(1, len(GREEK))),
        # Surrogates, alone and in pairs.
        *(b"\xed" + bytes([second, 0x80]) for second in (0xA0, 0xAD, 0xAE, 0xAF, 0xB0, 0xBE, 0xBF)),
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xed\xaf\xbf\xed\xbf\xbf",
        # More bytes than needed: for "/", for the last that needs fewer, for 0.
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xf0\x80\x80\x80",
        # Beyond the last character, and forms of five and six bytes.
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf7\xbf\xbf\xbf",
        b"\xf8\x88\x80\x80\x80",
        b"\xfb\xbf\xbf\xbf\xbf",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xfd\xbf\xbf\xbf\xbf\xbf",
        # Continuations of nothing, and beginnings that are not continued.
        *(b"\x80\xbf"[:size] for size in (1, 2)),
        bytes(range(0x80, 0xC0)),
        *(bytes([lead]) + b" " for lead in range(0xC0, 0x100, 5)),
        *(chr(c).encode()[:-1] for c in (0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF)),
        *(chr(c).encode()[:-1] + b"x" for c in (0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF)),
        b"\xfe",
        b"\xff",
        b"\xfe\xfe\xff\xff",
    }
)
VALID = [data for data in EDGES if is_valid(data)]
WRONG = [data for data in EDGES if not is_valid(data)]


def test_the_examples_are_of_both_kinds():
    assert len(VALID) > 40 and len(WRONG) > 40
    assert any(first_wrong_byte(data) is None for data in WRONG), "none is merely cut off"


def test_valid_text_comes_back(echo):
    converse(echo, b"".join(frame(TEXT, d) for d in VALID), *((TEXT, d) for d in VALID))
    around = [b"hello" + data + b"world" for data in VALID]
    converse(echo, b"".join(frame(TEXT, d) for d in around), *((TEXT, d) for d in around))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_characters_may_be_cut_between_fragments(echo, size):
    sent = b"".join(fragments(TEXT, sliced(data, size)) for data in VALID)
    converse(echo, sent, *((TEXT, data) for data in VALID))


def test_characters_may_be_cut_by_empty_fragments_and_pings(echo):
    data = b"".join(VALID)
    pieces = [piece for byte in sliced(data, 1) for piece in (byte, b"")]
    sent = fragments(TEXT, pieces, between=frame(PING))
    converse(echo, sent, *[(PONG, b"")] * (len(pieces) - 1), (TEXT, data))


def test_every_character_comes_back(echo):
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    data = "".join(characters).encode()
    converse(echo, frame(TEXT, data) + fragments(TEXT, sliced(data, 65521)), (TEXT, data), (TEXT, data))


@pytest.mark.parametrize("data", WRONG, ids=bytes.hex)
def test_text_that_is_not_utf8_fails_the_connection(echo, data):
    fails(echo, frame(TEXT, data), 1007)
    fails(echo, frame(TEXT, b"before") + fragments(TEXT, [b"hello", data, b"world"]), 1007, (TEXT, b"before"))
    fails(echo, fragments(TEXT, sliced(b"hello" + data, 1)), 1007)
    # Behind so much that it is looked at in words.
    fails(echo, frame(TEXT, b"a" * 1000 + data), 1007)


@pytest.mark.parametrize("data", [d for d in WRONG if first_wrong_byte(d) is not None], ids=bytes.hex)
def test_the_first_wrong_byte_fails_the_connection_without_waiting_for_the_rest(echo, data):
    """§8.1 and its note; of a frame that announces much more, in one or in many fragments."""
    before = data[: first_wrong_byte(data) + 1]
    fails(echo, frame(TEXT, before, length=1000), 1007)
    fails(echo, frame(TEXT, b"begun", fin=False) + frame(0, before, length=70000, fin=False), 1007)
    for split in range(1, len(before)):
        sent = frame(TEXT, before[:split], fin=False) + frame(0, before[split:], length=500, fin=False)
        fails(echo, sent, 1007)


@pytest.mark.parametrize("data", [d for d in WRONG if first_wrong_byte(d) is None], ids=bytes.hex)
def test_a_character_that_may_still_come_is_waited_for_until_the_message_ends(echo, data):
    ends = frame(TEXT, data, fin=False) + frame(PING, b"still here")
    fails(echo, ends + frame(0, b""), 1007, (PONG, b"still here"))
    fails(echo, ends + frame(0, b"a"), 1007, (PONG, b"still here"))


def test_binary_messages_may_hold_any_bytes(echo):
    converse(echo, b"".join(frame(BINARY, d) for d in WRONG), *((BINARY, d) for d in WRONG))


def test_one_message_ends_before_the_next_begins(echo):
    """Half a character at one message's end is not completed by the next one's beginning."""
    fails(echo, frame(TEXT, GREEK[:1]) + frame(TEXT, GREEK[1:]), 1007)
    fails(echo, frame(BINARY, GREEK[:1]) + frame(TEXT, GREEK[1:]), 1007, (BINARY, GREEK[:1]))


def test_pairs_of_bytes_are_judged_as_pythons_decoder_does(echo):
    leads = [0x7F, 0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF]
    leads += [0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF]
    seconds = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
    for data in (bytes([lead, second]) for lead in leads for second in seconds):
        expected = [(TEXT, data), (CLOSE, 1000)] if is_valid(data) else [(CLOSE, 1007)]
        assert exchange(echo, [frame(TEXT, data) + BYE]) == expected, data
