"""What is in deploy/: that it fits the program, and itself. Images cannot be built here."""

import json
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from server import MODE, PROGRAM, ROOT, free_port, run

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def limit(name):
    """Of limits.h."""
    text = (ROOT / "src/base/limits.h").read_text()
    return int(re.search(rf"^#define {name} +(\d+)$", text, re.M)[1])


def settings_of(command):
    """Environment names that a command knows, by what it prints."""
    done = run(command, "--help")
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"\b(?:HEATCAST|WS|REDIS|CORS)_[A-Z_]+\b", done.stdout))


def instructions(text):
    """A Dockerfile's, each with its words, lines that go on joined."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.M)).splitlines()
    return [line.split(None, 1) for line in lines if line.strip()]


def only(name):
    (found,) = [rest for word, rest in instructions(DOCKERFILE) if word == name]
    return found


# --- the image ---


def installed_packages():
    """What the last stage installs."""
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    (words,) = re.findall(r"apt-get install -y --no-install-recommends ((?:[^&]|\\\n)*)&&", last)
    return words.replace("\\\n", " ").split()


def test_what_the_image_copies_is_there():
    copied = [rest.split()[:-1] for word, rest in instructions(DOCKERFILE) if word == "COPY"]
    sources = [name for names in copied for name in names if not names[0].startswith("--from")]
    assert len(sources) >= 3
    assert all((ROOT / name).exists() for name in sources)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not {name.split("/")[0] for name in sources} & set(ignored)


def test_the_image_has_every_library_that_the_program_needs():
    """As Debian knows them: by the packages that have the files, and what those depend on."""
    if not shutil.which("dpkg-query") or MODE != "release":
        pytest.skip("not Debian, or a sanitizer's build, which has libraries of its own")
    have, todo = set(), [*installed_packages(), "libc6"]
    while todo:
        name = todo.pop()
        if name in have:
            continue
        have.add(name)
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Depends}, ${Pre-Depends}", name], capture_output=True, text=True
        )
        assert done.returncode == 0, f"{name} is not installed here, and so was not built with"
        todo += [re.split(r"[ :(]", one.strip())[0] for one in done.stdout.split(",") if one.strip()]
    libraries = re.findall(r"=> (/\S+)", subprocess.run(["ldd", PROGRAM], capture_output=True, text=True).stdout)
    assert len(libraries) > 5
    for path in libraries:
        if str(ROOT) in path or "/.deps/" in path:
            continue  # DuckDB's, which is installed beside the program
        found = ""
        for known in (path, path.removeprefix("/usr"), "/usr" + path):
            found = found or subprocess.run(["dpkg-query", "-S", known], capture_output=True, text=True).stdout
        if found:  # else it is of somebody's own
            assert found.split(":")[0] in have, (path, found)


def test_the_packages_of_the_image_are_debians():
    if not shutil.which("apt-cache") or "Candidate: (none)" in policy("make") or not policy("make"):
        pytest.skip("no package lists here")
    for name in installed_packages():
        assert re.search(r"Candidate: \d", policy(name)), name


def policy(name):
    return subprocess.run(["apt-cache", "policy", name], capture_output=True, text=True).stdout


def test_the_images_settings_are_the_programs():
    names = re.findall(r"\b([A-Z_]+)=", only("ENV"))
    assert set(names) - {"PATH"} <= settings_of("serve")
    assert only("USER") == "heatcast" and json.loads(only("CMD")) == ["serve"]


def test_the_images_health_check_tells_ready_from_not(sim):
    check = json.loads(only("HEALTHCHECK").split("CMD", 1)[1])
    assert "/8000 " in check[-1]

    def passes(port):
        words = [*check[:-1], check[-1].replace("/8000 ", f"/{port} ")]
        return subprocess.run(words, capture_output=True, timeout=30).returncode == 0

    assert passes(sim.port)
    assert not passes(free_port())


# --- docker-compose.yml ---


def services():
    return yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]


def test_compose_has_two_full_nodes_two_edges_and_what_they_need():
    compose = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
    assert set(compose["services"]) == {"redis", "node1", "node2", "edge1", "edge2", "nginx"}
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", {})) <= set(compose["services"]), name
        assert set(service.get("networks", [])) <= {"default", *compose["networks"]}, name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).is_file(), volume
        if "build" in service:
            context = (DEPLOY / service["build"]["context"]).resolve()
            assert (context / service["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("command", ["serve", "edge"])
def test_compose_says_nothing_that_the_program_does_not_know(command):
    ours = [service for service in services().values() if service.get("command") == [command]]
    assert len(ours) == 2
    for service in ours:
        assert set(service["environment"]) <= settings_of(command)
        done = run(command, "--print-config", **service["environment"])
        assert done.returncode == 0, done.stderr


def test_compose_asks_for_a_port_that_nginx_has_and_nodes_that_are_there():
    nodes = (DEPLOY / "nginx/nodes-compose.conf").read_text()
    assert set(re.findall(r"server (\w+):8000 ", nodes)) == {"edge1", "edge2"}
    assert services()["nginx"]["ports"] == ["8080:80"]
    assert "listen 80;" in (DEPLOY / "nginx/heatcast.conf").read_text()
    assert "HEATCAST_LISTEN=0.0.0.0:8000" in only("ENV")


# --- nginx ---


def seconds_of(directive):
    files = (DEPLOY / "nginx").glob("*.conf")
    found = {int(s) for file in files for s in re.findall(rf"\b{directive} (\d+)s;", file.read_text())}
    assert found, directive
    return found


def test_nginx_waits_longer_than_we_are_silent():
    pings_s = (limit("LIMIT_PING_MS") + limit("LIMIT_PING_JITTER_MS")) / 1000
    for directive in ("proxy_read_timeout", "proxy_send_timeout"):
        assert min(seconds_of(directive)) > max(pings_s, limit("LIMIT_POLL_WAIT_S"))
    assert max(seconds_of("keepalive_timeout")) < limit("LIMIT_KEEP_ALIVE_MS") / 1000


def test_both_lists_of_nodes_say_the_same_of_each():
    def rest(name):
        text = re.sub(r"#.*", "", (DEPLOY / "nginx" / name).read_text())
        return re.sub(r"(server) \S+", r"\1", text).split()

    assert rest("nodes.conf") == rest("nodes-compose.conf")


# --- systemd ---


def directives(unit):
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.M))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/usr/local/bin/heatcast", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=120)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]
    assert done.returncode == 0 and not complaints, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_the_program_as_it_wants_to_be_started(unit, tmp_path):
    program, command, *words = shlex.split(directives(unit)["ExecStart"])
    assert program == "/usr/local/bin/heatcast"
    (tmp_path / "settings").write_text("listen = 127.0.0.1:8123\n")
    words[words.index("--config") + 1] = str(tmp_path / "settings")
    done = run(command, *words, "--print-config")
    assert done.returncode == 0 and "127.0.0.1:8123" in done.stdout, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_gives_the_program_time_to_let_its_clients_go(unit):
    printed = run("serve", "--print-config").stdout
    drain = re.search(r"^ws-drain-seconds = (\S+)", printed, re.M)
    assert int(directives(unit)["TimeoutStopSec"]) >= float(drain[1] if drain else 10) + 20
    assert directives(unit)["KillSignal"] == "SIGTERM"
    assert int(directives(unit)["LimitNOFILE"]) >= 65536
