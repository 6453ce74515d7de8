"""Large messages and many of them against `heatcast echo`, up to its 16 MiB."""

import random

import pytest

from conformance import BYE, SEED, converse, exchange, fails, fragments, sliced
from rude import BINARY, CLOSE, TEXT, frame
from server import SLACK

KIB, MIB = 1 << 10, 1 << 20
LARGEST = 16 * MIB


def payload(opcode, size):
    """Nothing that repeats at a power of two, so that pieces in a wrong place are found out."""
    if opcode == TEXT:
        return b"".join(b"%d," % i for i in range(size // 4))[:size].ljust(size, b"x")
    return random.Random(SEED).randbytes(size)


def once(server, pieces, *expected):
    """Cut as the caller did: large messages would take long byte by byte."""
    got = exchange(server, [*pieces, BYE])
    assert [kind for kind, _ in got] == [*(kind for kind, _ in expected), CLOSE]
    assert got[:-1] == list(expected), "bytes differ"


@pytest.mark.parametrize("size", [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, LARGEST])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_large_message_comes_back(echo, opcode, size):
    data = payload(opcode, size)
    once(echo, [frame(opcode, data)], (opcode, data))


@pytest.mark.parametrize("size", [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_large_message_in_fragments_comes_back(echo, opcode, size):
    data = payload(opcode, 4 * MIB)
    once(echo, [fragments(opcode, sliced(data, size))], (opcode, data))


@pytest.mark.parametrize("size", [64, 128, 256, 512, KIB, 2 * KIB, 100003])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_large_message_sent_in_chops_comes_back(echo, opcode, size):
    data = payload(opcode, MIB)
    once(echo, sliced(frame(opcode, data), size), (opcode, data))


def test_the_largest_message_may_come_in_fragments_and_be_cut_at_random(echo):
    data = payload(BINARY, LARGEST)
    converse(echo, fragments(BINARY, sliced(data, LARGEST // 7)), (BINARY, data))


def test_a_byte_more_than_the_largest_is_refused_also_in_fragments(echo):
    data = bytes(LARGEST // 4)
    fails(echo, fragments(BINARY, [data, data, data, data, b"x"])[:-1], 1009)


@pytest.mark.parametrize("size", [0, 16, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_thousand_messages_in_a_row_come_back(echo, opcode, size):
    data = payload(opcode, size)
    count = 1000 if SLACK == 1 else 200
    once(echo, [frame(opcode, data)] * count, *[(opcode, data)] * count)
