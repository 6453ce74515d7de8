"""`heatcast echo`: what the conformance suites talk to."""

import random
import threading

import pytest

from conformance import SEED
from rude import BINARY, PING, PONG, TEXT, Rude, RudeSocket, frame, upgrade
from server import Echo, run

MIB = 1 << 20
LARGEST = 16 * MIB


def in_background(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("method, path", [("GET", "/health"), ("GET", "/replay"), ("POST", "/replay")])
def test_it_answers_on_nothing_else(echo, method, path):
    with Rude(echo.address) as client:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n"
        answer = client.ask(head)
    assert (answer.status, answer.detail) == (404, "heatcast echo only answers on /ws/heatmap")


def test_text_comes_back_as_text_and_binary_as_binary(echo):
    with RudeSocket(echo.address) as client:
        client.send(frame(TEXT, "Grüße".encode()) + frame(BINARY, b"\0\xff") + frame(TEXT))
        assert [client.take_frame()[2:] for _ in range(3)] == [
            (TEXT, "Grüße".encode()),
            (BINARY, b"\0\xff"),
            (TEXT, b""),
        ]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_many_messages_of_16_mib_come_back_whole_to_who_reads_late(echo, opcode):
    letters = bytes(range(32, 127)) if opcode == TEXT else bytes(range(256))
    message = (letters * (LARGEST // len(letters) + 1))[:LARGEST]
    bytes_of_all = frame(opcode, message)
    with RudeSocket(echo.address) as client:
        sender = in_background(lambda: [client.send(bytes_of_all) for _ in range(4)])
        for _ in range(4):
            got = client.take_frame()
            assert (got.fin, got.rsv, got.opcode) == (1, 0, opcode) and got.payload == message
        sender.join()


def test_thousands_of_messages_sent_before_any_is_read_come_back_in_order(echo):
    count = 100000
    data = b"".join(frame(TEXT, b"%d" % i) for i in range(count))
    with RudeSocket(echo.address) as client:
        sender = in_background(lambda: client.send(data))
        for i in range(count):
            assert client.take_frame().payload == b"%d" % i
        sender.join()


def test_pings_and_messages_in_a_torrent_are_all_answered_in_order(echo):
    dice = random.Random(SEED)
    said = [(dice.choice([PING] * 31 + [TEXT]), b"%d" % i * dice.randint(1, 20)) for i in range(100000)]
    data = b"".join(frame(opcode, payload) for opcode, payload in said)
    with RudeSocket(echo.address, receive_buffer=4096) as client:
        sender = in_background(lambda: client.send_in_pieces(data, 700))
        for opcode, payload in said:
            assert client.take_frame()[2:] == (PONG if opcode == PING else TEXT, payload)
        sender.join()


def test_who_sends_without_reading_is_not_read_from_and_costs_no_memory(echo):
    message = frame(BINARY, bytes(MIB))
    with RudeSocket(echo.address) as client:
        before = echo.resident_bytes()
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(512):
                client.send(message)
        assert echo.resident_bytes() - before < 16 * MIB


def test_a_message_too_big_is_refused(echo):
    with RudeSocket(echo.address) as client:
        client.send(frame(BINARY, length=LARGEST + 1))
        assert client.take_end().code == 1009


def test_the_longest_message_is_a_setting():
    server = Echo("--ws-max-message-bytes", 1000)
    with RudeSocket(server.address) as client:
        client.send(frame(BINARY, bytes(1000)) + frame(BINARY, bytes(1001)))
        assert client.take_frame().payload == bytes(1000)
        assert client.take_end().code == 1009
    server.stop()


def test_other_paths_are_not_found(echo):
    with Rude(echo.address) as client:
        assert client.ask(upgrade("/other")).status == 404


def test_it_leaves_no_database_behind_and_stops_when_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server = Echo()
    assert server.lines == [f"heatcast echoes at {server.url}/"]
    with RudeSocket(server.address) as client:
        server.stop()
        assert client.take_end().code == 1001
    assert list(tmp_path.iterdir()) == []


def test_it_is_for_testers_only_but_explains_itself():
    assert "echo" not in run("help").stdout
    told = run("echo", "--help")
    assert told.returncode == 0 and "/ws/heatmap" in told.stdout and "--threads" in told.stdout


def test_a_word_or_a_wrong_address_is_refused():
    assert run("echo", "word").returncode == 2
    assert run("echo", "--listen", "nowhere").returncode == 2
    assert run("echo", "--db", "x").returncode == 2


def test_a_taken_port_is_told(echo):
    done = run("echo", "--listen", "%s:%d" % echo.address)
    assert done.returncode == 1 and "in use" in done.stderr
