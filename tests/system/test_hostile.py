"""What an attack once found: the server holds out, and serves again when it is over."""

import os
import resource
import signal
import subprocess

import pytest

from rude import Rude
from server import PATIENCE, PROGRAM, Server, await_that, environment, run


def limit_files(count):
    def set_limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

    return set_limit


def start_with_few_files(tmp_path, count):
    """A server that may open so many files; returns (process, address)."""
    probe = Server("--feed", "none", db=tmp_path / "x.duckdb")
    address = probe.address  # a port that is free a moment later
    probe.stop()
    process = subprocess.Popen(
        [PROGRAM, "serve", "--listen", "%s:%d" % address, "--db", str(tmp_path / "x.duckdb"), "--threads", "2"],
        env=environment(),
        preexec_fn=limit_files(count),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return process, address


def answers(address):
    try:
        with Rude(address) as client:
            client.socket.settimeout(2)
            return client.ask("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    except (OSError, AssertionError):
        return False


def test_running_out_of_file_descriptors_is_survived(tmp_path):
    process, address = start_with_few_files(tmp_path, 80)
    try:
        await_that(lambda: answers(address), "it answers at first")
        for _ in range(5):
            storm = []
            for _ in range(200):
                try:
                    storm.append(Rude(address))
                    storm[-1].send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
                except OSError:
                    pass
            for client in storm:
                client.reset()
        await_that(lambda: answers(address), "it answers again when the storm is over")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 1, 2)], ids=str)
def test_closed_standard_descriptors_are_not_given_to_the_database(tmp_path, closed):
    db = tmp_path / "x.duckdb"

    def close_them():
        for number in closed:
            os.close(number)

    process = subprocess.Popen(
        [PROGRAM, "serve", "--feed", "sim", "--db", str(db), "--listen", "127.0.0.1:0"],
        env=environment(),
        preexec_fn=close_them,
    )
    try:
        await_that(lambda: db.exists(), "the database is made")
        links = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in closed]
        assert links == ["/dev/null"] * len(closed)
        await_that(lambda: has_signal_handler(process.pid, signal.SIGTERM), "it can be stopped")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def has_signal_handler(pid, number):
    with open(f"/proc/{pid}/status") as status:
        caught = next(line for line in status if line.startswith("SigCgt"))
    return int(caught.split()[1], 16) >> (number - 1) & 1


def test_the_end_of_the_terminal_is_a_clean_stop(tmp_path):
    server = Server("--feed", "sim", db=tmp_path / "x.duckdb")
    server.signal(signal.SIGHUP)
    assert server.await_end() == 0


def test_absurd_volumes_are_refused_when_they_come_in(tmp_path):
    start = 1735689600000
    rows = [
        f"{start + i * 300000},100,110,90,105,1.7e308,{start + (i + 1) * 300000 - 1},1,1,1,1,0" for i in range(12)
    ]
    file = tmp_path / "VOLUSDT-5m-2025-01-01.csv"
    file.write_text("\n".join(rows) + "\n")
    done = run("ingest", "--db", tmp_path / "x.duckdb", file)
    assert done.returncode == 1
    assert f"{file.name}:1: " in done.stdout + done.stderr and "volume" in done.stdout + done.stderr


def test_a_folder_as_settings_file_is_refused(tmp_path):
    done = run("serve", "--config", tmp_path, "--print-config")
    assert done.returncode == 2
    assert f"--config {tmp_path}: " in done.stderr


def test_a_byte_order_mark_before_settings_is_no_setting(tmp_path):
    file = tmp_path / "settings"
    file.write_bytes(b"\xef\xbb\xbflisten = 127.0.0.1:8123\n")
    done = run("serve", "--config", file, "--print-config")
    assert done.returncode == 0 and "listen = 127.0.0.1:8123" in done.stdout


@pytest.mark.parametrize("words, value", [(("--ws-enabled", "false"), "false"), (("--ws-enabled",), "true")])
def test_a_switch_takes_the_word_after_it(words, value):
    done = run("serve", *words, "--print-config")
    assert done.returncode == 0 and f"ws-enabled = {value}  # flag" in done.stdout
