"""Several servers under many faults at once: what they show is true, in order, and one in the end."""

import os
import random

import pytest

from chaos import Storm
from cluster import Cluster

SEED = int(os.environ.get("HEATCAST_TEST_SEED") or random.randrange(1 << 32))


@pytest.fixture
def storm(tmp_path):
    """storm(SEED): two full nodes, two edges and Redis, watched (chaos.py)."""
    cluster, started = Cluster(tmp_path, None), []

    def start(seed):
        print(f"HEATCAST_TEST_SEED={seed}")
        started.append(Storm(cluster, tmp_path, seed))
        return started[-1]

    yield start
    for storm in started:
        storm.end()
    cluster.end()


def weather(storm, seed, seconds):
    storm = storm(seed)
    try:
        storm.rage(seconds)
        storm.settle()
    except AssertionError:
        print(storm.tale())
        raise


@pytest.mark.servers
def test_a_short_storm_leaves_all_servers_one(storm):
    weather(storm, 1, 15)


@pytest.mark.cluster
def test_ten_minutes_of_storm_leave_all_servers_one(storm):
    weather(storm, SEED, 600)
