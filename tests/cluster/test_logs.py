"""The end of a server's log, read back from a real cluster."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from localhadoop import LocalHadoop
from tests.support.applications import reach, specification, use
from tests.support.cluster_kinds import mostly_on_kerberos
from tests.support.hub_user import START, HubUser, unfinished, until
from tests.support.hubs import log_of, running
from yarnspawner.diagnosis.explain import explain
from yarnspawner.hadoop.kerberos import TicketCache
from yarnspawner.hadoop.logs import LogsDenied, LogsUnavailable, tail
from yarnspawner.skein_driver import Cluster

# Jupyter's own words.
SERVER_LOG = "Serving notebooks from local directory"


@pytest.fixture(params=["simple_cluster", "kerberos_cluster"], ids=["simple", "kerberos"])
def hadoop(request: pytest.FixtureRequest) -> LocalHadoop:
    cluster: LocalHadoop = request.getfixturevalue(request.param)
    return cluster


@pytest.fixture
def login(hadoop: LocalHadoop, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    yield use(hadoop, monkeypatch)
    for cache in list(TicketCache._shared.values()):
        cache.close()


@pytest.fixture
async def cluster(login: dict[str, Any]) -> AsyncIterator[Cluster]:
    cluster = Cluster(**login)
    yield cluster
    await cluster.close()


async def test_log_of_failed_server(cluster: Cluster, login: dict[str, Any]) -> None:
    """The last lines of a failed server's log give the cause of the failure."""
    script = "for i in $(seq 100); do echo line $i; done; jupyter-nonsense --flag"
    application_id = await cluster.submit(specification(script))
    report = await reach(cluster, application_id, lambda report: report.ended)
    end = await tail(application_id, "alice", **login, lines=5, timeout=60)
    assert end.splitlines()[:4] == ["line 97", "line 98", "line 99", "line 100"]
    assert len(end.splitlines()) == 5
    diagnosis = explain(report, log_tail=end)
    assert diagnosis.cause == "The command jupyter-nonsense was not found on the node."
    assert "line 100" in diagnosis.detail


@mostly_on_kerberos("hadoop")
async def test_log_is_read_as_its_user(cluster: Cluster, login: dict[str, Any]) -> None:
    """bob has none of alice's, and the hub may not read as carl at all."""
    application_id = await cluster.submit(specification("echo private"))
    await reach(cluster, application_id, lambda report: report.ended)
    assert await tail(application_id, "alice", **login, timeout=60) == "private"
    with pytest.raises(LogsUnavailable):
        await tail(application_id, "bob", **login, timeout=10)
    with pytest.raises(LogsDenied, match="is not allowed to impersonate carl"):
        await tail(application_id, "carl", **login, timeout=60)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_log_page(hadoop: LocalHadoop, tmp_path: Path) -> None:
    """The hub's page shows the log of a running server and then of the same one stopped, and only to its user."""
    with running(hadoop, tmp_path) as hub:
        alice, bob = (HubUser(hub.address, name, hub.password) for name in ("alice", "bob"))
        alice.ask_to_start()
        alice.wait_ready()
        (application_id,) = unfinished(hadoop, "alice")
        path = f"/hub/server-logs/alice/{application_id}"
        until(lambda: "read at" in alice.page(path), START, "the log on the page")
        page = alice.page(path)
        assert "Starting or running." in page and SERVER_LOG in page
        assert "404" in bob.page(path) and SERVER_LOG not in bob.page(path)
        alice.ask_to_stop()
        alice.wait_gone()
        assert "Stopped." in alice.page("/hub/server-logs")
        time.sleep(11)  # the page reads a log once in ten seconds
        until(lambda: "read at" in alice.page(path), START, "the log of the stopped server")
        assert SERVER_LOG in alice.page(path)
        assert "Traceback" not in log_of(hub)


async def test_missing_log_is_unavailable(login: dict[str, Any]) -> None:
    """A log that does not exist before the timeout is unavailable."""
    with pytest.raises(LogsUnavailable):
        await tail("application_1_0001", "alice", **login, timeout=6)
