"""What every system test stands on: the program, the market data, and a way to run it."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster import Cluster, Redis  # noqa: E402
from dumps import write_klines, write_metrics  # noqa: E402
from server import FAST, Echo, Server, await_that, ingest  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "servers: several servers; `make test-cluster` runs it too")
    config.addinivalue_line("markers", "cluster: long; only `make test-cluster` runs it")


def pytest_collection_modifyitems(items):
    if os.environ.get("HEATCAST_TEST_CLUSTER"):
        return
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.skip(reason="long: make test-cluster"))


@pytest.fixture(scope="session")
def heatcast():
    """The program under test; HEATCAST names another than build/heatcast."""
    path = Path(os.environ.get("HEATCAST", ROOT / "build" / "heatcast")).absolute()
    assert path.exists(), f"{path} is not built: run make"
    return str(path)


@pytest.fixture(scope="session")
def data():
    """The folder of real market data; tests that need it are skipped where it is missing."""
    folder = Path(os.environ.get("HEATCAST_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not (folder / "BTCUSDT" / "klines").is_dir():
        pytest.skip(f"NO MARKET DATA in {folder}: set HEATCAST_TEST_DATA")
    return folder


@pytest.fixture
def run(heatcast, tmp_path):
    """run("ingest", …) in tmp_path, to its end: .returncode, .stdout and .stderr as text."""

    def run_heatcast(*words, **options):
        options = {"cwd": tmp_path, "timeout": 300, "capture_output": True, "text": True, **options}
        return subprocess.run([heatcast, *map(str, words)], check=False, **options)

    return run_heatcast


@pytest.fixture
def serve(tmp_path):
    """Starts servers for one test: serve(FLAG…, db=…, SETTING=…)."""
    started = []

    def start(*flags, db=tmp_path / "test.duckdb", **env):
        started.append(Server(*flags, db=db, **env))
        return started[-1]

    yield start
    for server in started:
        if server.process.returncode is None:
            server.stop()


@pytest.fixture
def redis_url(tmp_path):
    """Of a real redis-server, which ends with the test."""
    path = tmp_path / "redis"
    words = [ROOT / ".deps/redis/redis-server", "--port", "0", "--unixsocket", path, "--save", ""]
    redis = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, cwd=tmp_path)
    try:
        await_that(path.exists, "Redis listens")
        yield f"unix://{path}"
    finally:
        redis.terminate()
        redis.wait()


@pytest.fixture
def redis(tmp_path):
    """A real redis-server on a port of its own, with what a test does to it (cluster.py)."""
    redis = Redis(tmp_path)
    yield redis
    redis.kill()


@pytest.fixture
def cluster(tmp_path, redis):
    """Several servers on that Redis: cluster.full(FLAG…), .edge(…), .watch(server, symbol…)."""
    cluster = Cluster(tmp_path, redis.url)
    yield cluster
    cluster.end()


SHARED = set()


def shared(server):
    """For the fixture of a server that many tests use."""
    SHARED.add(server)
    yield server
    SHARED.discard(server)
    server.stop()


@pytest.fixture(autouse=True)
def no_shared_server_ends():
    """Or it is told here, of the test that it ended in: those after it know only that it is gone."""
    yield
    for server in [one for one in SHARED if one.process.poll() is not None]:
        SHARED.discard(server)
        server.stop()


@pytest.fixture(scope="session")
def sim(tmp_path_factory):
    """A simulated market that moves ten times a second and is published four times; for tests that
    leave no trace in it."""
    yield from shared(Server(*FAST, db=tmp_path_factory.mktemp("sim") / "sim.duckdb"))


@pytest.fixture(scope="session")
def echo():
    """A server that sends every message back."""
    yield from shared(Echo())


@pytest.fixture(scope="session")
def still_db(tmp_path_factory):
    """A market that does not move, with a snapshot of some kilobytes; only to be read."""
    folder = tmp_path_factory.mktemp("still")
    prices = [100 + 10 * math.sin(i / 7) for i in range(600)]
    write_klines(folder / "dumps", "AAAUSDT", [round(price, 2) for price in prices])
    write_metrics(folder / "dumps", "AAAUSDT", [1e6 + 1e4 * i for i in range(600)])
    ingest(folder / "still.duckdb", folder / "dumps")
    return folder / "still.duckdb"


@pytest.fixture(scope="session")
def real_db(data, tmp_path_factory):
    """The real data in a DuckDB file; only to be read."""
    db = tmp_path_factory.mktemp("real") / "real.duckdb"
    ingest(db, *sorted(data.glob("*/klines")), *sorted(data.glob("*/metrics")))
    return db


@pytest.fixture(scope="session")
def real(real_db):
    """A server of the real data as it is."""
    yield from shared(Server(db=real_db))


@pytest.fixture(scope="session")
def oracle(data):
    """The folder of reference answers."""
    folder = data.parent / "oracle"
    if not folder.is_dir():
        pytest.skip(f"NO REFERENCE ANSWERS in {folder}: nothing was compared with them")
    return folder
