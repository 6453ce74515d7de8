"""What nginx with TLS costs in front of a server, with the configuration in deploy/nginx: clients do not
come to heatcast without it. One worker on one core, a certificate of P-256, whole handshakes of TLS 1.3."""

import json
import re
import resource
import socket
import ssl
import tempfile
import time
from pathlib import Path
from statistics import median

from contenders import NGINX, ROOT, Failed, free_port
from payloads import run_quietly
from servers import Server, await_that, cpu_ns
from sizes import text_frame

REST_SECONDS = 0.3  # for a broadcast to be through
WARMUPS = 2
MAIN = """
daemon off;
master_process off;
{user}
pid {folder}/nginx.pid;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream heatcast {{ server 127.0.0.1:{node}; }}
    include {folder}/heatcast.conf;
}}
"""


def start_nginx(folder, cores, node_port):
    port = free_port()
    run_quietly(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                 "/CN=localhost", "-days", "2", "-keyout", folder / "key", "-out", folder / "certificate"])
    listen = f"listen 127.0.0.1:{port} ssl;\n ssl_certificate {folder}/certificate;\n ssl_certificate_key {folder}/key;"
    site, count = re.subn(r"^    listen 80;\n    listen \[::\]:80;$", listen,
                          (ROOT / "deploy/nginx/heatcast.conf").read_text(), flags=re.M)
    if count != 1:
        raise Failed("deploy/nginx/heatcast.conf has no place to listen")
    (folder / "heatcast.conf").write_text(site)
    user = "user root;" if Path("/proc/self").stat().st_uid == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, node=node_port, user=user))
    nginx = Server(folder, "nginx", cores, [NGINX / "usr/sbin/nginx", "-e", "stderr", "-p", folder, "-c",
                                            folder / "nginx.conf"])
    nginx.port = port
    await_that(lambda: is_open(port), "nginx")
    return nginx


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def own_bytes(pid):
    """Its own memory; files that it maps are left out."""
    text = Path(f"/proc/{pid}/status").read_text()
    return sum(int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M)[1]) for name in ("RssAnon", "RssShmem")) * 1024


class Crowd:
    """WebSockets over TLS of one thread, which read what comes when they are told to."""

    def __init__(self, port, deflates):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.port, self.sockets = port, []
        offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflates else ""
        self.head = ("GET /ws/heatmap HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n").encode()

    def open(self, count):
        for _ in range(count):
            one = self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.port)))
            one.sendall(self.head)
            if not one.recv(4096).startswith(b"HTTP/1.1 101 "):
                raise Failed("nginx did not hand on a handshake")
            self.sockets.append(one)

    def subscribe(self, subscribe):
        for one in self.sockets:
            one.sendall(text_frame(json.dumps(subscribe).encode()))

    def drain(self):
        """What is there; returns the bytes of all."""
        total = 0
        for one in self.sockets:
            one.setblocking(False)
            try:
                while part := one.recv(1 << 16):
                    total += len(part)
            except ssl.SSLWantReadError:
                pass
            one.setblocking(True)
        return total

    def close(self):
        for one in self.sockets:
            one.close()


def measure_form(nginx, publisher, count, broadcasts, deflates, subscribe):
    """With so many clients; of connecting, the second half tells."""
    crowd = Crowd(nginx.port, deflates)
    try:
        before = own_bytes(nginx.pid)
        crowd.open(count // 2)
        cpu = cpu_ns(nginx.pid)
        crowd.open(count - count // 2)
        connect_us = (cpu_ns(nginx.pid) - cpu) / 1e3 / (count - count // 2)
        crowd.subscribe(subscribe)
        costs = [measure_message(nginx, crowd, publisher) / count for _ in range(broadcasts + WARMUPS)]
        size = crowd.drain() / count
        return {"connect_cpu_us": connect_us, "message_cpu_us": median(costs[WARMUPS:]), "message_bytes": size,
                "client_bytes": (own_bytes(nginx.pid) - before) / count}
    finally:
        crowd.close()


def measure_message(nginx, crowd, publisher):
    """CPU time of one broadcast, in microseconds. What came before is read first, and this is left to lie."""
    time.sleep(REST_SECONDS)
    crowd.drain()
    cpu = cpu_ns(nginx.pid)
    publisher.post()
    time.sleep(REST_SECONDS)
    return (cpu_ns(nginx.pid) - cpu) / 1e3


def measure(node, publisher, cores, count, broadcasts, subscribe):
    """Of plain and of deflated messages, in front of `node`; each has an nginx of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results = {"clients": count}
    try:
        for name in ("plain", "deflated"):
            with tempfile.TemporaryDirectory(prefix="heatcast-proxied-") as folder:
                nginx = start_nginx(Path(folder), cores, node.port)
                try:
                    results[name] = measure_form(nginx, publisher, count, broadcasts, name == "deflated", subscribe)
                finally:
                    nginx.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return results
