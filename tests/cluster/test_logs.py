"""The end of a server's log, read back from a real cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from localhadoop import LocalHadoop
from tests.support.applications import reach, specification, use
from tests.support.cluster_kinds import mostly_on_kerberos
from yarnspawner.diagnosis.explain import explain
from yarnspawner.hadoop.kerberos import TicketCache
from yarnspawner.hadoop.logs import LogsDenied, LogsUnavailable, tail
from yarnspawner.skein_driver import Cluster


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


async def test_the_log_of_a_server_that_failed_says_why(cluster: Cluster, login: dict[str, Any]) -> None:
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
async def test_a_log_is_read_as_its_user_alone(cluster: Cluster, login: dict[str, Any]) -> None:
    """bob has none of alice's, and the hub may not read as carl at all."""
    application_id = await cluster.submit(specification("echo private"))
    await reach(cluster, application_id, lambda report: report.ended)
    assert await tail(application_id, "alice", **login, timeout=60) == "private"
    with pytest.raises(LogsUnavailable):
        await tail(application_id, "bob", **login, timeout=10)
    with pytest.raises(LogsDenied, match="is not allowed to impersonate carl"):
        await tail(application_id, "carl", **login, timeout=60)


async def test_what_is_not_there_in_time_is_unavailable(login: dict[str, Any]) -> None:
    with pytest.raises(LogsUnavailable):
        await tail("application_1_0001", "alice", **login, timeout=6)
