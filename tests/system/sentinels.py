"""A Redis master, its replica, and three sentinels that watch over them."""

import subprocess
import threading
import time

from cluster import SENTINEL, Redis
from server import await_that

NAME = "market"


class Sentinels:
    """self.redises are the two; which of them is the master changes."""

    def __init__(self, folder):
        self.folder = folder
        # A replica is served at once, not with others that may come.
        at_once = "repl-diskless-sync-delay", "0"
        self.redises = [Redis(folder, *at_once)]
        master = f"127.0.0.1 {self.redises[0].port}"
        self.redises.append(Redis(folder, *at_once, "replicaof", master))
        self.sentinels = []
        for i in range(3):
            config = folder / f"sentinel{i}.conf"
            config.write_text(
                f"sentinel monitor {NAME} 127.0.0.1 {self.redises[0].port} 2\n"
                f"sentinel down-after-milliseconds {NAME} 1000\n"
                f"sentinel failover-timeout {NAME} 1000\n"
            )
            self.sentinels.append(Redis(folder, program=SENTINEL, config=config))
            # They look around more often than every 10 s: tests that follow wait for that.
            self.sentinels[-1].cli("SENTINEL", "DEBUG", "INFO-PERIOD", 500, "PUBLISH-PERIOD", 500)
        self.await_calm()

    def url(self, name=NAME, first=()):
        """Of these ports first, and then of the sentinels."""
        ports = [*first, *(sentinel.port for sentinel in self.sentinels)]
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/{name}"

    def master_port(self, sentinel):
        lines = sentinel.cli("SENTINEL", "get-master-addr-by-name", NAME).splitlines()
        return int(lines[1])

    @property
    def master(self):
        port = self.master_port(self._living[-1])
        return next(redis for redis in self.redises if redis.port == port)

    @property
    def replica(self):
        return next(redis for redis in self.redises if redis is not self.master)

    @property
    def _living(self):
        return [sentinel for sentinel in self.sentinels if sentinel.process.poll() is None]

    def await_calm(self):
        """Everybody knows everybody: whatever fails next is failed over."""
        await_that(self._is_calm, "the sentinels agree, and the replica is in step")

    def _is_calm(self):
        ports = {self.master_port(sentinel) for sentinel in self.sentinels}
        if len(ports) > 1 or "master_link_status:up" not in self.replica.cli("INFO", "replication"):
            return False
        return all(self._is_ready(sentinel) for sentinel in self.sentinels)

    @staticmethod
    def _is_ready(sentinel):
        words = sentinel.cli("SENTINEL", "master", NAME).splitlines()
        facts = dict(zip(words[::2], words[1::2]))
        replica = sentinel.cli("SENTINEL", "replicas", NAME).splitlines()
        replica = dict(zip(replica[::2], replica[1::2]))
        return (
            facts["flags"] == "master"
            and facts["num-slaves"] == "1"
            and facts["num-other-sentinels"] == "2"
            and replica["flags"] == "slave"
            and replica["master-link-status"] == "ok"
        )

    def end(self):
        for redis in self.sentinels + self.redises:
            redis.kill()


class Switch:
    """Notes when the last of the sentinels names another master than now."""

    def __init__(self, sentinels):
        self.sentinels = sentinels
        self.old = sentinels.master
        self.began = time.monotonic()
        self.at = None
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        try:
            await_that(self._has_happened, "the sentinels name another master")
            self.at = time.monotonic()
        except subprocess.TimeoutExpired:
            pass

    def _has_happened(self):
        living = self.sentinels._living
        return all(self.sentinels.master_port(sentinel) != self.old.port for sentinel in living)

    def await_it(self):
        """Returns when it happened."""
        self.thread.join()
        assert self.at, "the sentinels named no other master"
        return self.at
