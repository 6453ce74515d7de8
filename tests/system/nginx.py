"""Real nginx, with the configuration in deploy/nginx, in front of servers of the test.

    python3 tests/system/nginx.py FOLDER URL…

does it for tests that are not Python's: prints its address, and ends when its input does."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

from server import PATIENCE, ROOT, Server, await_that, free_port

PROGRAM = ROOT / ".deps/nginx/usr/sbin/nginx"
CONFIGURATION = ROOT / "deploy/nginx"

# What nginx.conf has around what is ours.
MAIN = """
daemon off;
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log stderr {level};
events {{ worker_connections 1024; }}
http {{
    access_log off;
    gzip on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/conf.d/*.conf;
}}
"""


def with_nodes(text, addresses):
    """nodes.conf with other addresses, and all else of each server line as it is."""
    lines = re.findall(r"^ +server \S+(.*;)$", text, re.M)
    assert lines and len(set(lines)) == 1, text
    servers = "\n".join(f"    server {address}{lines[0]}" for address in addresses)
    return re.sub(r"^ +server .*;\n(?: +server .*;\n)*", servers + "\n", text, count=1, flags=re.M)


def with_listen(text, port):
    """heatcast.conf on a port of 127.0.0.1."""
    changed, count = re.subn(r"^    listen 80;\n    listen \[::\]:80;$", f"    listen 127.0.0.1:{port};", text, flags=re.M)
    assert count == 1
    return changed


class Nginx(Server):
    """nginx in front of `nodes`; a Server in how it is asked. `timeout` stands in place of the
    configuration's own on reading and sending, in seconds."""

    def __init__(self, nodes, folder, timeout=None):
        assert PROGRAM.exists(), "run scripts/setup test"
        self.host, self.port = "127.0.0.1", free_port()
        self._write(folder, nodes, timeout)
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [PROGRAM, "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors,
        )  # fmt: skip
        try:
            await_that(self._listens, "nginx listens")
        except AssertionError:
            self.kill()
            raise

    def _write(self, folder, nodes, timeout):
        site = with_listen((CONFIGURATION / "heatcast.conf").read_text(), self.port)
        if timeout:
            site, count = re.subn(r"(proxy_(?:read|send)_timeout) 75s;", rf"\1 {timeout}s;", site)
            assert count == 2
        addresses = [f"{node.host}:{node.port}" for node in nodes]
        (folder / "conf.d").mkdir(parents=True)
        (folder / "conf.d/heatcast.conf").write_text(site)
        (folder / "conf.d/nodes.conf").write_text(with_nodes((CONFIGURATION / "nodes.conf").read_text(), addresses))
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user, level="info"))

    def _listens(self):
        assert self.process.poll() is None, self.log()
        try:
            socket.create_connection(self.address, 1).close()
        except OSError:
            return False
        return True

    def await_end(self, seconds=PATIENCE):
        return self.process.wait(seconds)

    def stop(self):
        """Its workers end with it."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        assert self.await_end() == 0, self.log()


class Node:
    """Where a server is."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port


def main(folder, *urls):
    nginx = Nginx([Node(url) for url in urls], Path(folder))
    print(f"{nginx.url}/", flush=True)
    sys.stdin.read()
    nginx.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
