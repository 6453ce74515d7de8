"""bench/storm.py, which plays reconnect storms for docs/scaling.md, and bench/scaling.py, which reckons it."""

import random
import re
import subprocess
import sys
from collections import Counter

import pytest

from server import ROOT

sys.path.append(str(ROOT / "bench"))

import storm  # noqa: E402
from storm import Costs, Machine, Scene, Storm, binomial, fill_up, split  # noqa: E402

CLIENT = (ROOT / "web/heatmap-client.js").read_text()
MACHINE = Machine(cores=4, bytes_per_s=1e8, clients_max=15_000, backlog=2000)
COSTS = Costs(connect_us=500, resume_us=20, snapshot_us=30, message_us=20, connect_bytes=4000, resume_bytes=1000,
              snapshot_bytes=9000, message_bytes=1000)  # fmt: skip
SCENES = [
    Scene("one ends", lost=1),
    Scene("one ends unseen", lost=1, notice_s=5),
    Scene("one falls silent", lost=1, is_silent=True, notice_s=5),
    Scene("all are cut", lost=-1, outage_s=0),
    Scene("all are away", lost=-1, outage_s=20),
    Scene("all start anew", lost=-1, outage_s=5, forgets=True),
    Scene("the leader ends", leader_dies=True),
    Scene("rolling", lost=2, drain_s=10, notice_s=5),
    Scene("rolling by chance", lost=2, drain_s=10, notice_s=5, is_by_chance=True),
]


def named(scene):
    return scene.name


def make(scene, clients=100_000, machine=MACHINE, seed=1, versions_kept=300):
    return Storm(scene, clients, 10, machine, COSTS, 1, versions_kept, seed)


@pytest.mark.parametrize("scene", SCENES, ids=named)
def test_no_client_is_lost_or_made_and_all_come_back(scene):
    played = make(scene)
    while not played.is_over() or played.now < 3 * storm.STEPS:
        played.step()
        assert sum(played.count_clients()) == 100_000
        assert all(count > 0 for cohorts in played.due.values() for count in cohorts.values())
        assert played.now < 1800 * storm.STEPS
    answer = played.answer
    assert played.count_clients() == (100_000, 0, 0)
    assert sum(answer.away.values()) == answer.displaced == answer.snapshots + answer.deltas


@pytest.mark.parametrize("scene", SCENES, ids=named)
def test_a_machine_never_holds_queues_works_or_sends_more_than_it_can(scene):
    machine = Machine(cores=2, bytes_per_s=2e7, clients_max=11_500, backlog=500)
    played = make(scene, machine=machine)
    while not played.is_over() and played.now < 300 * storm.STEPS:
        played.step()
        assert all(0 <= node.connected <= 11_500 and 0 <= node.queued <= 500 for node in played.nodes)
        assert all(node.queued == sum(count for count, _ in node.queue) for node in played.nodes)
    assert 0 < played.answer.peak_cpu <= 1 + 1e-9
    assert 0 < played.answer.peak_bytes_per_s <= 2e7 * (1 + 1e-9)
    assert played.answer.most_on_one <= 11_500


def test_the_same_seed_gives_the_same_answer_and_another_one_another():
    scene = Scene("all are away", lost=-1, outage_s=20)
    assert make(scene).run() == make(scene).run()
    assert make(scene).run() != make(scene, seed=2).run()


def test_full_machines_refuse_and_the_refused_come_back_when_there_is_room():
    tight = Machine(cores=4, bytes_per_s=1e8, clients_max=11_000, backlog=2000)
    scene = Scene("one ends for a while", lost=1, outage_s=30)
    answer = make(scene, machine=tight).run()
    assert answer.refused > 0 and answer.most_on_one == 11_000
    assert sum(answer.away.values()) == answer.displaced == 10_000


def test_who_is_told_of_a_restart_is_back_sooner_than_who_is_cut_off():
    told = make(Scene("rolling", lost=1, drain_s=10)).run()
    cut = make(Scene("one ends", lost=1)).run()
    assert told.away_s(0.99) < cut.away_s(0.5)
    assert told.failed_attempts == 0


def test_clients_of_a_silent_machine_come_only_after_they_noticed():
    answer = make(Scene("one falls silent", lost=1, is_silent=True, notice_s=5)).run()
    noticed = storm.KEEPALIVE + storm.PONG_TIMEOUT
    assert noticed <= min(answer.away) / storm.STEPS <= noticed + storm.RECONNECT_DELAY


def test_who_comes_back_gets_a_delta_unless_the_version_is_forgotten_or_of_another_epoch():
    one = Scene("one ends", lost=1)
    silent = Scene("one falls silent", lost=1, is_silent=True)
    anew = Scene("all start anew", lost=-1, outage_s=5, forgets=True)
    assert (make(one).run().snapshots, make(one).run().deltas) == (0, 10_000)
    assert (make(silent, versions_kept=5).run().snapshots, make(anew).run().snapshots) == (10_000, 100_000)


def test_a_leader_that_ends_costs_every_client_one_snapshot_and_no_connection():
    answer = make(Scene("the leader ends", leader_dies=True)).run()
    assert (answer.displaced, answer.broadcast_snapshots, answer.peak_connects_per_s) == (0, 100_000, 0)


def test_more_processors_bring_everybody_back_sooner():
    scene = Scene("all are cut", lost=-1, outage_s=0)
    few, many = [make(scene, machine=Machine(cores, 1e8, 15_000, 20_000)).run() for cores in (1, 8)]
    assert many.away_s(0.99) < few.away_s(0.99)
    assert few.peak_cpu > 0.99


def test_the_simulated_client_waits_as_the_real_one_does():
    def option(name):
        return int(re.search(rf"this\.{name} = options\.{name} \?\? ([\d_]+);", CLIENT)[1])

    assert option("reconnectDelay") == storm.RECONNECT_DELAY * 1000
    assert option("reconnectDelayMax") == storm.RECONNECT_DELAY_MAX * 1000
    assert option("maxReconnectAttempts") == storm.ATTEMPTS_MAX
    assert option("retryWhenFailed") == storm.RETRY_WHEN_FAILED * 1000
    assert option("openTimeout") == storm.OPEN_TIMEOUT * 1000
    assert option("pongTimeout") == storm.PONG_TIMEOUT * 1000
    assert int(re.search(r"startKeepalive\(ms = ([\d_]+)\)", CLIENT)[1]) == storm.KEEPALIVE * 1000
    assert int(re.search(r"const RESTART_PAUSE = (\d+);", CLIENT)[1]) == storm.RESTART_PAUSE * 1000


@pytest.mark.parametrize("n, p", [(40, 0.1), (40, 0.9), (400, 0.02), (100_000, 0.3)])
def test_binomials_have_their_mean_and_variance(n, p):
    rng, rounds = random.Random(7), 4000
    drawn = [binomial(rng, n, p) for _ in range(rounds)]
    mean = sum(drawn) / rounds
    variance = sum((one - mean) ** 2 for one in drawn) / rounds
    assert 0 <= min(drawn) and max(drawn) <= n
    assert abs(mean - n * p) < 5 * (n * p * (1 - p) / rounds) ** 0.5
    assert 0.85 < variance / (n * p * (1 - p)) < 1.15


@pytest.mark.parametrize("count", [0, 5, 29, 30, 100_000])
def test_a_split_loses_nobody(count):
    shares = list(split(random.Random(3), count, 10))
    assert sum(some for _, some in shares) == count
    assert all(0 <= part < 10 and some > 0 for part, some in shares)


def test_a_balancer_fills_up_who_has_the_least():
    loads = {"a": 10, "b": 4, "c": 0}
    assert dict(fill_up(3, "abc", loads.get)) == {"c": 3}
    assert dict(fill_up(7, "abc", loads.get)) in ({"c": 6, "b": 1}, {"c": 5, "b": 2})
    assert Counter(loads) + Counter(dict(fill_up(16, "abc", loads.get))) == Counter(a=10, b=10, c=10)


def test_docs_scaling_says_what_make_scaling_reckons():
    done = subprocess.run([sys.executable, ROOT / "bench/scaling.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
