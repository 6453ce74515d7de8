"""Servers of a cluster under test, and what is seen of them from outside."""

import http.client
import json
import os
import re
import subprocess
import time

from contenders import BUILD, ROOT, START_SECONDS, Child, Failed, free_port

SETTINGS = re.compile(r"^(HEATCAST_|WS_|REDIS_|CORS_)")


def await_that(condition, what, seconds=START_SECONDS):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def cpu_ns(pid):
    """Of all its threads so far, as the scheduler counts it; what /proc/PID/stat says is in 10 ms."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total


def redis_ask(server, *words):
    command = ["redis-cli", "-p", str(server.port), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def redis_info(server):
    """Its numbers."""
    return {key: int(value) for key, value in re.findall(r"^(\w+):(\d+)\r?$", redis_ask(server, "INFO"), re.MULTILINE)}


def redis_subscribers(server):
    return redis_ask(server, "CLIENT", "LIST", "TYPE", "pubsub").count("psub=1")


class Server(Child):
    """A node of a cluster, or its Redis."""

    def __init__(self, folder, name, cores, command):
        clean = {key: value for key, value in os.environ.items() if not SETTINGS.match(key)}
        super().__init__(folder, name, cores, command, {**clean, "WS_DRAIN_SECONDS": "0"})

    @classmethod
    def heatcast(cls, folder, name, cores, *words):
        server = cls(folder, name, cores, [
            BUILD / "heatcast", *words, "--listen", "127.0.0.1:0", "--threads", "1",
            "--ws-max-connections-per-address", "0", "--log-level", "error"])
        server.port = server.read_port()
        return server

    @classmethod
    def redis(cls, folder, cores):
        port = free_port()
        server = cls(folder, "redis", cores, [
            ROOT / ".deps/redis/redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        server.port, server.url = port, f"redis://127.0.0.1:{port}/0"
        await_that(lambda: subprocess.run(["redis-cli", "-p", str(port), "PING"], capture_output=True).stdout == b"PONG\n",
                   "redis-server")
        return server

    def latest(self, symbol):
        """(epoch, seq) of what it has; None while it knows nothing of it."""
        door = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        door.request("GET", f"/heatmap/latest?symbol={symbol}")
        answer = door.getresponse()
        text = answer.read()
        door.close()
        if answer.status != 200:
            return None
        snapshot = json.loads(text)
        return snapshot["epoch"], snapshot["seq"]
