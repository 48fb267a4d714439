"""Starts that fail on a real cluster, and what their users are told after how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.hub import Hub
from demo.visitor import AnswerError
from localhadoop import LocalHadoop
from tests.support.hub_user import START, HubUser, unfinished, until
from tests.support.hubs import log_of, log_size, running

CONFIGURATION = Path(__file__).parent.parent / "support" / "jupyterhub_config_causes.py"
RECIPE = "python -m yarnspawner.singleuser"
BROKEN = "hdfs:///user/alice/in-hdfs.tar.gz"

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Told:
    """What a user was told of a start that failed, and after how many seconds."""

    message: str
    page: str
    seconds: float


@pytest.fixture(scope="module")
def hub(kerberos_cluster_of_session: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    put = ["hdfs", "dfs", "-put", "-f", "-", BROKEN]
    kerberos_cluster_of_session.run(put, user="alice", input="This is no archive, either.\n", check=True)
    settings = {"CAUSES_BROKEN_ARCHIVE": BROKEN}
    with running(kerberos_cluster_of_session, folder, configuration=CONFIGURATION, settings=settings) as hub:
        yield hub


def fail(hub: Hub, cluster: LocalHadoop, *profiles: str) -> dict[str, Told]:
    """Start a server of each profile at the same time, and return what their user is told."""

    def start(profile: str) -> Told:
        user = HubUser(hub.address, "alice", hub.password)
        begun = time.monotonic()
        try:
            user.ask_to_start(profile, {"profile": profile}, wait=60)
            message = user.refusal(profile, START)
        except AnswerError:  # it failed before JupyterHub answered the request, and the page says why
            message = user.page(f"/hub/spawn-pending/alice/{profile}")
        told = Told(message, user.page(f"/hub/spawn-pending/alice/{profile}"), time.monotonic() - begun)
        print(f"{profile} after {told.seconds:.1f} s: {told.message}\n{told.page}\n")
        return told

    with ThreadPoolExecutor(len(profiles)) as pool:
        found = dict(zip(profiles, pool.map(start, profiles), strict=True))
    until(lambda: not unfinished(cluster, "alice"), START, "ended")
    return found


def test_a_command_that_ends_or_is_not_there(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """A command that ended is no server that ended, and a program that was not found is named."""
    told = fail(hub, kerberos_cluster, "ends", "no-program", "no-command", "jupyterhubs-own")
    assert "exit status 0 before it listened" in told["ends"].message
    assert RECIPE in told["ends"].message
    assert "The program /no/such/program was not found" in told["no-program"].message
    assert RECIPE in told["jupyterhubs-own"].message
    assert "The command jupyter-nonsense was not found" in told["no-command"].message


def test_the_same_in_a_container_of_its_own(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """A server that has a container of its own fails with the same words."""
    told = fail(hub, kerberos_cluster, "ends-in-service", "no-program-in-service", "not-executable")
    assert "exit status 0 before it listened" in told["ends-in-service"].message
    assert "The program /no/such/program was not found" in told["no-program-in-service"].message
    assert "The node cannot execute" in told["not-executable"].message


def test_an_environment_that_is_no_archive(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """It is named: at once if it is on the hub's host, and without a search for a log that no container wrote."""
    since = log_size(hub)
    told = fail(hub, kerberos_cluster, "no-archive-here", "no-archive-in-hdfs")
    assert f"{hub.folder}/broken.tar.gz is no archive" in told["no-archive-here"].message
    assert told["no-archive-here"].seconds < 5
    assert "The archive in-hdfs.tar.gz" in told["no-archive-in-hdfs"].message
    assert "The log of" not in log_of(hub, since)


def test_a_command_that_never_listens(hub: Hub, kerberos_cluster: LocalHadoop) -> None:
    """The page shows the end of the running container's log, which comes from its node."""
    told = fail(hub, kerberos_cluster, "sleeps", "sleeps-in-service")
    for failed in told.values():
        assert "runs, but did not report an address within 100 seconds" in failed.message
        assert RECIPE in failed.message
        assert "said before it sleeps" in failed.page
        assert failed.seconds < 120
