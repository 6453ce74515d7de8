"""The servers that are compared: how each is started, asked to broadcast, and stopped."""

import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "release"
PROGRAMS = ROOT / "bench" / "contenders"
NGINX = ROOT / ".deps" / "nginx"
TOKEN = "bench-on-loopback"
START_SECONDS = 20

HEATCAST_CLIENT = [
    "--path", "/ws/heatmap", "--publish", "/publish/BENCH", "--token", TOKEN, "--subscribe",
    '{"action":"subscribe","symbols":["BENCH"],"update_interval":0}',
]


@dataclass
class Contender:
    name: str
    family: str  # what it is a kind of, for ONLY= and plots
    label: str
    command: object  # of (folder, port): a list
    deflate: bool = False
    payload: str = "message"  # or "data", or "deflated": what is posted to it
    client: list = field(default_factory=list)  # more arguments of bench/load
    cores: tuple = (0,)
    message_min: int = 1
    needs: object = None  # a file without which it cannot be had


def heatcast(threads):
    def command(folder, port):
        return [BUILD / "heatcast", "serve", "--db", folder / "heatcast.duckdb", "--feed", "none",
                "--listen", "127.0.0.1:0", "--threads", str(threads), "--publish-symbols", "BENCH",
                "--ws-max-connections-per-address", "0", "--log-level", "error"]
    return command


def program(*words):
    return lambda folder, port: [str(word) for word in words]


def nginx(deflate):
    def command(folder, port):
        fill = {
            "module": NGINX / "usr/lib/nginx/modules/ngx_nchan_module.so",
            "folder": folder,
            "port": port,
            "deflate": "nchan_deflate_message_for_websocket on;" if deflate else "",
        }
        text = (PROGRAMS / "nginx.conf").read_text()
        text = re.sub(r"\{(%s)\}" % "|".join(fill), lambda match: str(fill[match[1]]), text)
        (folder / "nginx.conf").write_text(text)
        return [NGINX / "usr/sbin/nginx", "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]
    return command


def contenders():
    ours = dict(payload="data", client=HEATCAST_CLIENT, message_min=512)
    node_ws = ROOT / "tests/node_modules/ws"
    uws = ROOT / ".deps/bench/uws.node"
    nchan = NGINX / "usr/sbin/nginx"
    bare, uring = BUILD / "bench/bare", BUILD / "bench/bare-uring"
    original = ["/usr/bin/python3", PROGRAMS / "fastapi_app.py"]
    return [
        Contender("bare", "bare", "bare `send()` loop", program(bare)),
        Contender("bare-uring", "bare", "the same by io_uring", program(uring), needs=uring),
        Contender("heatcast", "heatcast", "heatcast", heatcast(1), **ours),
        Contender("heatcast-2", "heatcast", "heatcast, two shards", heatcast(2), cores=(0, 1), **ours),
        Contender("uws", "uws", "uWebSockets", program("node", PROGRAMS / "uws.mjs"), needs=uws),
        Contender("nchan", "nchan", "nginx + nchan", nginx(False), needs=nchan),
        Contender("ws", "ws", "`ws`", program("node", PROGRAMS / "ws.mjs"), needs=node_ws),
        Contender("original", "original", "original design", program(*original)),
        Contender("original-uvloop", "original", "the same on uvloop", program(*original, "--uvloop")),
        Contender("bare-deflate", "bare", "bare loop, frame deflated beforehand",
                  program(bare, "--deflated"), deflate=True, payload="deflated"),
        Contender("heatcast-deflate", "heatcast", "heatcast", heatcast(1), deflate=True, **ours),
        Contender("nchan-deflate", "nchan", "nginx + nchan", nginx(True), deflate=True, needs=nchan),
        Contender("uws-deflate", "uws", "uWebSockets", program("node", PROGRAMS / "uws.mjs", "--deflate"),
                  deflate=True, needs=uws),
        Contender("ws-deflate", "ws", "`ws`", program("node", PROGRAMS / "ws.mjs", "--deflate"),
                  deflate=True, needs=node_ws),
        Contender("original-deflate", "original", "original design", program(*original, "--deflate"),
                  deflate=True),
    ]


class Failed(Exception):
    """A contender that cannot be had, did not start, or fell over: it says so in the table."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def prepare_child(cores):
    """Runs in the child: on its cores, and gone when the driver is."""
    os.sched_setaffinity(0, cores)
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    os.setpgid(0, 0)  # Ctrl-C is the driver's


class Child:
    """A server's process on cores of its own; stop() ends it."""

    def __init__(self, folder, name, cores, command, env):
        self.name = name
        self.errors = open(folder / f"{name}.errors", "w+b")
        try:
            self.process = subprocess.Popen(
                [str(word) for word in command], cwd=folder, stdout=subprocess.PIPE, stderr=self.errors,
                env={**env, "HEATCAST_PUBLISH_TOKEN": TOKEN}, preexec_fn=lambda: prepare_child(cores))
        except OSError as trouble:
            raise Failed(str(trouble)) from trouble
        self.pid = self.process.pid

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def fail(self, what):
        self.errors.seek(0)
        last = self.errors.read().decode(errors="replace").strip().splitlines()[-1:]
        self.stop()
        raise Failed(": ".join([f"{self.name} {what}", *last]))

    def read_port(self):
        ready, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline().decode() if ready else ""
        match = re.search(r"127\.0\.0\.1:(\d+)", line)
        if not match:
            self.fail("did not start")
        return int(match[1])


class Server(Child):
    """One started contender; `with` ends it."""

    def __init__(self, contender, folder):
        if contender.needs and not Path(contender.needs).exists():
            raise Failed("not installed")
        self.port = free_port()
        command = contender.command(folder, self.port)
        super().__init__(folder, contender.name, contender.cores, command, os.environ)
        if contender.family == "nchan":
            self.wait_port()
        else:
            self.port = self.read_port()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_port(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.fail("did not start")
