"""Ten users start, compute and stop for four minutes, while the hub is killed eight times."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from localhadoop.fixtures import hadoop_version
from localhadoop.settings import operator
from tests.support.hub_user import START, unfinished, until
from tests.support.hubs import log_of, running
from tests.support.outcomes import Outcome
from tests.support.storm import PATIENCE, Storm, User

CONFIGURATION = Path(__file__).resolve().parents[2] / "support" / "jupyterhub_config_storm.py"
USERS = [f"user{number}" for number in range(10)]
KILLS = 8
# What is counted, and what must not happen.
WRONG = ("failed", "lost", "orphans")
KINDS = (
    "starts",
    "stops",
    "kernels checked",
    "kernels checked after a kill",
    "hub kills",
    "asked again",
    "swept",
    *WRONG,
)
# Seconds.
STORM = 240.0
GRACE, INTERVAL = 5, 10  # of the sweep


@pytest.fixture
def cluster() -> Iterator[LocalHadoop]:
    """A simple cluster where the hub may impersonate all the users, who may make their homes."""
    properties = {f"hadoop.proxyuser.{operator()}.users": ",".join(USERS)}
    with LocalHadoop(nodes=2, hadoop=hadoop_version(), properties=properties) as cluster:
        cluster.hdfs("-chmod", "1777", "/user")
        yield cluster


@pytest.fixture
def hub(cluster: LocalHadoop, tmp_path: Path) -> Iterator[Hub]:
    """A hub of these users that sweeps all the time."""
    settings = {"STORM_USERS": " ".join(USERS), "SWEEP_GRACE": str(GRACE), "SWEEP_INTERVAL": str(INTERVAL)}
    with running(cluster, tmp_path, configuration=CONFIGURATION, settings=settings) as hub:
        yield hub


@pytest.mark.full
@pytest.mark.timeout(900)
def test_storm_while_hub_is_killed(hub: Hub, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed eight times in four minutes while ten users start, compute and stop."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    storm = Storm(cluster, hub)
    users = [User(name, storm, seed) for name in USERS]
    threads = [threading.Thread(target=user.live, daemon=True) for user in users]
    for thread in threads:
        thread.start()
    try:
        batter(storm, random.Random(seed))  # noqa: S311 - no secret
    finally:
        storm.over.set()
    for thread in threads:
        thread.join(START + PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    settle(storm, users)
    fault.saw = "Every start leads to a server, and every server keeps its kernels"


def batter(storm: Storm, chance: random.Random) -> None:
    """Kill the hub at random moments, and start it again when it has been away for a while."""
    for number, away in enumerate(absences(chance)):
        moment = storm.began + STORM / KILLS * (number + chance.uniform(0.1, 0.9))
        time.sleep(max(1.0, moment - time.monotonic()))
        storm.kills += 1
        storm.hub.kill()
        storm.note("hub kills", f"away for {away:.1f} s")
        time.sleep(away)
        storm.hub.start(timeout=PATIENCE)  # in this thread, with which the hub ends
    time.sleep(max(0.0, storm.began + STORM - time.monotonic()))


def absences(chance: random.Random) -> list[float]:
    """How long the hub is away each time: once for long, and for at most 60 s in all."""
    found = [chance.uniform(18, 25), *(chance.uniform(2, 5) for _ in range(KILLS - 1))]
    chance.shuffle(found)
    return found


def settle(storm: Storm, users: list[User]) -> None:
    """Let the hub sweep, and see what is left of the storm."""
    until(lambda: "All servers were checked" in log_of(storm.hub).rpartition("Running JupyterHub")[2], START, "checked")
    time.sleep(GRACE + 2 * INTERVAL)
    for user in users:
        if user.application:
            user.check()
    for application in set(unfinished(storm.cluster)) - {user.application for user in users}:
        storm.note("orphans", application)
    for line in log_of(storm.hub).splitlines():
        if '"by": "sweep"' in line:
            storm.note("swept", line)
    counts = Counter(kind for kind, _ in storm.events)
    print(", ".join(f"{kind}: {counts[kind]}" for kind in KINDS))
    assert [event for event in storm.events if event[0] in WRONG] == []
    assert storm.kills == KILLS
    assert counts["kernels checked after a kill"] >= KILLS
    assert all(user.application for user in users)
