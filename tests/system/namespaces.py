"""Servers in network namespaces, each with a line of its own to Redis that can be cut or made bad.

Redis and the tests stay outside, at one end of a bridge. A server hangs on the bridge by one pair of
veths, and by another on the tests alone, so that they see it when its line is gone."""

import os
import subprocess

from server import Server

# Two runs of the tests at a time do not meet; the addresses are of RFC 2544, for tests of networks.
PLACE = os.getpid() % 250
BRIDGE = f"hc{os.getpid()}"
REDIS_HOST = f"198.18.{PLACE}.254"


def ip(*words, check=True):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"ip {words}: {done.stderr}"
    return done


def why_not():
    """Why there can be no namespaces here; None where they can be."""
    if os.geteuid():
        return "only root may make network namespaces"
    try:
        made = ip("netns", "add", f"{BRIDGE}-try", check=False)
        made = made if made.returncode else ip("link", "add", BRIDGE, "type", "bridge", check=False)
    except OSError as error:
        return str(error)
    ip("netns", "del", f"{BRIDGE}-try", check=False)
    ip("link", "del", BRIDGE, check=False)
    return made.stderr.strip() if made.returncode else None


class Bridge:
    def __init__(self):
        self.homes = []
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("address", "add", f"{REDIS_HOST}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")

    def home(self):
        self.homes.append(Home(len(self.homes)))
        self.homes[-1].furnish()
        return self.homes[-1]

    def end(self):
        for home in self.homes:
            home.end()
        ip("link", "del", BRIDGE)


class Home:
    """A namespace with two lines: to the bridge, and to the tests."""

    def __init__(self, number):
        self.name = f"{BRIDGE}-{number}"
        self.line, self.view = f"{BRIDGE}l{number}", f"{BRIDGE}v{number}"  # the ends outside
        self.number = number
        net = f"198.19.{PLACE}"
        self.address, self.outside = f"{net}.{4 * number + 2}", f"{net}.{4 * number + 1}"

    def furnish(self):
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        self._lay(self.line, "line", f"198.18.{PLACE}.{self.number + 1}/24")
        ip("link", "set", self.line, "master", BRIDGE)
        self._lay(self.view, "view", f"{self.address}/30")
        ip("address", "add", f"{self.outside}/30", "dev", self.view)

    def _lay(self, outside, inside, address):
        ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", self.name)
        ip("link", "set", outside, "up")
        ip("-n", self.name, "address", "add", address, "dev", inside)
        ip("-n", self.name, "link", "set", inside, "up")

    def cut(self):
        """Nothing passes any more, and nobody is told: no FIN, no RST."""
        ip("link", "set", self.line, "down")

    def mend(self):
        ip("link", "set", self.line, "up")

    def lose_packets(self):
        """Some of them, both ways: at random where the kernel can, else what a thin line drops."""
        for words in [["-n", self.name], []]:
            device = ["dev", "line" if words else self.line, "root"]
            if not tc(*words, "qdisc", "add", *device, "netem", "loss", "5%", "delay", "5ms"):
                thin = "tbf", "rate", "1mbit", "burst", "2000", "limit", "4000"
                assert tc(*words, "qdisc", "add", *device, *thin), "no line can be made bad"

    def drops(self):
        """How many packets were dropped on the way in."""
        told = subprocess.run(
            ["tc", "-s", "qdisc", "show", "dev", self.line], capture_output=True, text=True
        )
        return int(told.stdout.split("dropped ")[1].split(",")[0])

    def end(self):
        ip("link", "del", self.line)
        ip("link", "del", self.view)
        ip("netns", "del", self.name)


def tc(*words):
    return subprocess.run(["tc", *words], capture_output=True, check=False).returncode == 0


class Resident(Server):
    """A heatcast in a home."""

    def __init__(self, home, command, *flags, **env):
        self.before = ("ip", "netns", "exec", home.name)
        self.listen = f"{home.address}:0"
        self.home = home
        self._start(command, *flags, env=env)
