"""The same wire under `heatcast serve`: what the conformance tests prove of `heatcast echo` holds on
the real /ws/heatmap too, where a message is a request and the answer is ours."""

import json
import random

import pytest

from conformance import BYE, SEED, cuts, exchange, fails, fragments, sliced, talk
from rude import BINARY, CLOSE, DEFLATE, PING, PONG, TEXT, Rude, deflate, frame, upgrade


def request(number):
    """Answered with its id at once, whatever the market does. The euro sign has three bytes."""
    wish = {"action": "unsubscribe", "symbols": ["BTCUSDT"], "id": f"{number} €"}
    return json.dumps(wish, ensure_ascii=False).encode()


def told(events):
    """The ids of acknowledgements instead of their texts."""
    return [(kind, json.loads(what)["id"] if kind == TEXT else what) for kind, what in events]


def in_some_form(data, dice, with_deflate):
    """A text message in one frame or several, with pings between them, compressed or not."""
    rsv = 4 if with_deflate and dice.randrange(2) else 0
    payload = deflate(data) if rsv else data
    pieces = sliced(payload, dice.choice([1, 3, 50, 1000]))
    return fragments(TEXT, pieces, rsv=rsv, between=frame(PING, b"p")), len(pieces) - 1


@pytest.mark.parametrize("offer", [None, DEFLATE, f"{DEFLATE}; server_max_window_bits=9"])
@pytest.mark.parametrize("seed", range(SEED, SEED + 4))
def test_requests_in_any_form_and_cut_anywhere_are_all_answered_in_order(sim, offer, seed):
    dice = random.Random(seed)
    sent, expected = b"", []
    for number in range(6):
        form, pings = in_some_form(request(number), dice, offer is not None)
        sent += form
        expected += [(PONG, b"p")] * pings + [(TEXT, f"{number} €")]
    for how, pieces in cuts(sent + BYE):
        assert told(exchange(sim, pieces, offer)) == [*expected, (CLOSE, 1000)], f"cut {how}"


@pytest.mark.parametrize("target", ["/ws/heatmap", "http://localhost/ws/heatmap", "HTTPS://[::1]:8000/ws/heatmap"])
@pytest.mark.parametrize("before", ["", "\r\n", "\r\n\r\n\r\n"], ids=["", "a line", "lines"])
def test_a_handshake_may_name_the_whole_uri_and_come_behind_empty_lines(sim, target, before):
    """RFC 6455 §4.1 and RFC 9112 §3.2.2: an absolute URI; §2.2: empty lines are ignored."""
    with Rude(sim.address) as client:
        client.send_in_pieces((before + upgrade(target)).encode(), 7)
        assert client.take_answer().status == 101
        client.send(BYE)
        assert client.take_rest() == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize(
    "odd, code",
    [
        *((frame(opcode), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        *((frame(TEXT, rsv=rsv), 1002) for rsv in range(1, 8)),
        (frame(0, b"of nothing"), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(TEXT, b"{", mask=None), 1002),
        (frame(TEXT, b"\xed\xa0", length=100), 1007),
        (frame(BINARY), 1003),
        (frame(TEXT, length=4097)[:8], 1009),
    ],
    ids=lambda value: value[:8].hex() if isinstance(value, bytes) else value,
)
def test_who_breaks_the_protocol_between_pings_is_told_so(sim, odd, code):
    fails(sim, frame(PING, b"before") + odd, code, (PONG, b"before"))


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])
def test_close_codes_come_back(sim, code):
    talk(sim, frame(CLOSE, code.to_bytes(2, "big") + "vorbei €".encode()), (CLOSE, code))
