"""Starting, watching and ending real heatcast processes."""

import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("HEATCAST", str(ROOT / "build" / "heatcast"))
MODE = os.environ.get("MODE", "release")
# A sanitizer build is several times slower, on a machine that may be busy with other things.
SLACK = {"asan": 3, "tsan": 6}.get(MODE, 1)
PATIENCE = 20 * SLACK  # seconds that anything awaited may take before it counts as never

# A simulated market that moves ten times a second and is published four times.
FAST = ("--feed", "sim", "--sim-speed", "3000", "--ws-update-interval", "0.25")
# One of so many levels that few of them change, and a difference pays.
CROWDED = (
    "--feed", "sim", "--sim-speed", "6000", "--ws-update-interval", "0.05",
    "--bin", "BTCUSDT=1,ETHUSDT=0.05,SOLUSDT=0.002",
)  # fmt: skip

# Settings of whoever runs the tests must not reach the servers under test.
SETTINGS = re.compile(r"^(HEATCAST_|WS_|REDIS_|CORS_)")


def environment(**more):
    clean = {k: v for k, v in os.environ.items() if not SETTINGS.match(k)}
    return {**clean, **more}


def await_that(condition, what, seconds=PATIENCE):
    """The first true value of condition(); fails after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def free_port():
    """One that nobody listens on, for what must be told where it will be."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def run(*words, timeout=PATIENCE, **env):
    """A command that ends by itself; .returncode, .stdout and .stderr are text."""
    return subprocess.run(
        [PROGRAM, *map(str, words)],
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def ingest(db, *paths):
    done = run("ingest", "--db", db, *paths, timeout=PATIENCE * 3)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


class Answer:
    """An HTTP answer read whole."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        assert self.headers["Content-Type"] == "application/json", self.headers.items()
        return json.loads(self.body)

    @property
    def detail(self):
        """Errors are {"detail": "…"} and nothing else."""
        answer = self.json()
        assert list(answer) == ["detail"] and isinstance(answer["detail"], str), answer
        return answer["detail"]


class Server:
    """One `heatcast serve` on a free port of 127.0.0.1; `files` is how many it may open: the soft
    limit and the hard one."""

    before = ()  # words that run a program elsewhere
    listen = "127.0.0.1:0"

    def __init__(self, *flags, db, files=None, **env):
        self.db = Path(db)
        self._start("serve", "--db", db, *flags, env=env, files=files)

    def _start(self, command, *flags, env, files=None):
        words = [*self.before, PROGRAM, command, "--listen", self.listen, *map(str, flags)]
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            words,
            # Stopped, it ends at once, whoever is connected: tests of the drain say otherwise.
            env=environment(**{"WS_DRAIN_SECONDS": "0", **env}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            preexec_fn=files and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, files)),
        )
        self.lines = []
        self.has_begun = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            assert self.has_begun.wait(PATIENCE) and self.lines, self.log()
            found = re.search(r"at http://([0-9.]+|\[[0-9a-f:]+\]):(\d+)/$", self.lines[0])
            assert found, self.lines
        except AssertionError:
            self.kill()
            raise
        self.host, self.port = found[1].strip("[]"), int(found[2])

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.has_begun.set()
        self.has_begun.set()

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return self.host, self.port

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self):
        return f"ws://{self.host}:{self.port}/ws/heatmap"

    def log(self):
        self.errors.seek(0)
        return self.errors.read()

    def events(self, name):
        """The log's lines of one event, as objects."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def resident_bytes(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def request(self, target, method="GET", headers=None, body=None, **query):
        """One request on a connection of its own. `query` values are percent-encoded."""
        if query:
            target += "?" + urllib.parse.urlencode(query)
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, target, **query):
        """The JSON of an answer that must be 200."""
        answer = self.request(target, **query)
        assert answer.status == 200, (target, query, answer.status, answer.body[:500])
        return answer.json()

    def stats(self):
        return self.get("/ws/stats")

    def await_stat(self, what, **wanted):
        """Waits until the counters have these values; returns them all."""

        def reached():
            stats = self.stats()
            return stats if all(stats[k] == v for k, v in wanted.items()) else None

        return await_that(reached, f"{what}: {wanted}")

    # Ends -----------------------------------------------------------------------------------

    def signal(self, number):
        os.kill(self.pid, number)

    def await_end(self, seconds=PATIENCE):
        status = self.process.wait(seconds)
        self.reader.join(PATIENCE)
        return status

    def stop(self):
        """Asks it to end and looks how it did: a sanitizer's complaint is a status too."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            status = self.await_end()
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        log = self.log()
        summary = re.search("^SUMMARY: .*", log, re.M)  # of a sanitizer, to be the line that is seen
        assert status == 0, f"status {status} {summary and summary[0]}\n{log}"

    def kill(self):
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        return self.await_end()


class Echo(Server):
    """One `heatcast echo` on a free port of 127.0.0.1."""

    def __init__(self, *flags, **env):
        self._start("echo", *flags, env=env)
