"""What real ResourceManagers tell the hub: with simple authentication, with SPNEGO, and with one of two down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import skein

from localhadoop import LocalHadoop
from tests.support.applications import LONG, reach, specification, use
from tests.support.cluster_kinds import mostly_on_kerberos
from yarnspawner.hadoop import kerberos
from yarnspawner.hadoop.kerberos import TicketCache
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerRefused, ResourceManagerUnavailable
from yarnspawner.hadoop.scheduler import Resources
from yarnspawner.skein_driver import Cluster
from yarnspawner.yarn.pending import PendingApplications


@pytest.fixture(params=["simple_cluster", "kerberos_cluster"], ids=["simple", "kerberos"])
def hadoop(request: pytest.FixtureRequest) -> LocalHadoop:
    cluster: LocalHadoop = request.getfixturevalue(request.param)
    return cluster


@pytest.fixture
def login(hadoop: LocalHadoop, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return use(hadoop, monkeypatch)


@pytest.fixture(autouse=True)
def no_ticket_left() -> Iterator[None]:
    yield
    for cache in list(TicketCache._shared.values()):
        cache.close()


@pytest.fixture
async def rm(login: dict[str, Any]) -> AsyncIterator[ResourceManager]:
    rm = ResourceManager.from_configuration(timeout=10, **login)
    yield rm
    rm.close()


@pytest.fixture
async def cluster(login: dict[str, Any]) -> AsyncIterator[Cluster]:
    cluster = Cluster(**login)
    yield cluster
    for report in await cluster.active():
        await cluster.kill(report.id, report.user)
    await cluster.close()


async def test_it_says_where_a_container_runs(hadoop: LocalHadoop, rm: ResourceManager, cluster: Cluster) -> None:
    """The node that it names is the one that has the container."""
    application_id = await cluster.submit(specification("sleep 600"))
    await reach(cluster, application_id, lambda report: report.state == "RUNNING")
    node = await rm.master_node(application_id)
    assert node is not None
    assert node.host in {found["nodeHostName"] for found in hadoop.nodes()}
    application = await rm.application(application_id)
    assert application is not None
    manager, _, container_id = application["amContainerLogs"].rpartition("/")[0].partition("/node/containerlogs/")
    assert manager.partition("://")[2].startswith(f"{node.host}:")
    assert hadoop.get(f"{manager}/ws/v1/node/containers/{container_id}")["container"]["user"] == "alice"
    assert application["id"] == application_id
    assert application["masterNodeId"].startswith(f"{node.host}:")
    page = hadoop.get(f"{rm.application_url(application_id).replace('/cluster/app/', '/ws/v1/cluster/apps/')}")
    assert page["app"]["user"] == "alice"


async def test_queues_and_largest_container(rm: ResourceManager) -> None:
    """The client reads the queues, their states, and the largest container of a queue and of the cluster."""
    queues = await rm.queues()
    assert set(queues) == {"root.default", "root.small", "root.stopped"}
    assert queues["root.stopped"].state == "STOPPED"
    assert await rm.maximum_allocation("small") == Resources(1024, 8, gpus=0)
    assert await rm.maximum_allocation() == Resources(4096, 8, gpus=0)


@pytest.mark.full
async def test_pending_applications(rm: ResourceManager, cluster: Cluster) -> None:
    """Applications that wait in a full queue are listed by the queue's name and path, and counted in their order."""
    ids = [await cluster.submit(specification("sleep 600", queue="small", memory=1024)) for _ in range(3)]
    await reach(cluster, ids[0], lambda report: report.state == "RUNNING")
    for application_id in ids[1:]:
        await reach(cluster, application_id, lambda report: report.state == "ACCEPTED")
    for queue in ("small", "root.small"):
        assert sorted(await rm.pending_applications(queue)) == ids[1:]
    assert await rm.pending_applications("default") == []
    pending = PendingApplications(lambda: rm)
    pending.before("small", ids[2])
    await asyncio.sleep(3)
    assert [pending.before("small", application_id) for application_id in ids] == [0, 0, 1]


async def test_unknown_application(rm: ResourceManager) -> None:
    """An application that never existed has no report and no node."""
    assert await rm.application("application_1_0001") is None
    assert await rm.master_node("application_1_0001") is None


@pytest.mark.full
async def test_after_restart(hadoop: LocalHadoop, rm: ResourceManager) -> None:
    """The client gets answers after a restart of the ResourceManager, for which the old cookie is not valid."""
    await rm.application("application_1_0001")
    daemon = hadoop.daemons["resourcemanager"]
    daemon.kill()
    with pytest.raises(ResourceManagerUnavailable, match="does not answer"):
        await rm.application("application_1_0001")
    daemon.start()
    await asyncio.to_thread(daemon.wait_ready, LONG)
    assert await rm.application("application_1_0001") is None


async def test_hung_resource_manager(hadoop: LocalHadoop, login: dict[str, Any]) -> None:
    """A request to a ResourceManager that hangs fails after the timeout."""
    rm = ResourceManager.from_configuration(timeout=1, **login)
    daemon = hadoop.daemons["resourcemanager"]
    daemon.suspend()
    try:
        started = time.monotonic()
        with pytest.raises(ResourceManagerUnavailable, match="does not answer"):
            await rm.queues()
        assert time.monotonic() - started < 5
    finally:
        daemon.resume()
        rm.close()


async def test_no_ticket(kerberos_cluster: LocalHadoop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The ResourceManager refuses a hub that has no Kerberos ticket."""
    use(kerberos_cluster, monkeypatch)
    monkeypatch.setenv("KRB5CCNAME", str(tmp_path / "none"))
    rm = ResourceManager.from_configuration()
    with pytest.raises(ResourceManagerRefused):
        await rm.queues()
    rm.close()


async def test_wrong_keytab(kerberos_cluster: LocalHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keytab of another principal gives an error that names the problem."""
    login = use(kerberos_cluster, monkeypatch)
    rm = ResourceManager.from_configuration(**{**login, "keytab": str(kerberos_cluster.keytab("alice"))})
    with pytest.raises(ResourceManagerRefused, match="Keytab contains no suitable keys for jupyterhub"):
        await rm.queues()
    rm.close()


async def test_ticket_of_kinit(kerberos_cluster: LocalHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client works with a ticket that kinit left in the ticket cache."""
    login = use(kerberos_cluster, monkeypatch)
    tickets = TicketCache(**login)
    for name, value in (await tickets.environment()).items():
        monkeypatch.setenv(name, value)
    rm = ResourceManager.from_configuration()
    assert "root.default" in await rm.queues()
    rm.close()
    tickets.close()


async def test_ticket_cache(kerberos_cluster: LocalHadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's ticket is private, is renewed in time, outlasts a failure of the KDC, and is deleted in the end."""
    login = use(kerberos_cluster, monkeypatch)
    tickets = TicketCache(**login, renew_after=0)
    path = Path((await tickets.environment())["KRB5CCNAME"])
    first = path.read_bytes()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    await asyncio.sleep(1)
    await tickets.environment()
    assert path.read_bytes() != first
    monkeypatch.setattr(kerberos, "_RETRY_SECONDS", 0)
    kerberos_cluster.daemons["kdc"].kill()
    await tickets.environment()
    kerberos_cluster.daemons["kdc"].start()
    tickets.close()
    assert not path.parent.exists()


@pytest.mark.full
async def test_the_other_one_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ResourceManagers; the active one dies, and questions are answered as soon as the other one is active."""
    with LocalHadoop(ha=True) as hadoop:
        use(hadoop, monkeypatch)
        rm = ResourceManager.from_configuration(timeout=3)
        assert await rm.queues()
        active = hadoop.active_resource_manager_url()
        name = next(
            name
            for name in hadoop.settings.resource_managers
            if active.endswith(hadoop.settings.address(f"{name}-web"))
        )
        hadoop.daemons[name].kill()
        deadline = time.monotonic() + LONG
        while True:
            try:
                assert await rm.application("application_1_0001") is None
                break
            except ResourceManagerUnavailable:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.5)
        assert not rm.application_url("application_1_0001").startswith(active)
        rm.close()


@pytest.mark.full
async def test_hidden_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A secure cluster with open web pages hides nodes from the hub, which gets an error and not an empty answer."""
    with LocalHadoop(kerberos=True, web="simple") as hadoop:
        login = use(hadoop, monkeypatch)
        rm, cluster = ResourceManager.from_configuration(**login), Cluster(**login)
        application_id = await cluster.submit(specification("sleep 600"))
        await reach(cluster, application_id, lambda report: report.state == "RUNNING")
        with pytest.raises(ResourceManagerRefused, match="does not show the hub the node"):
            await rm.master_node(application_id)
        await cluster.close()
        rm.close()


@mostly_on_kerberos("hadoop")
async def test_lifetime(rm: ResourceManager, cluster: Cluster) -> None:
    """YARN itself kills an application when its lifetime is over."""
    application_id = await cluster.submit(specification("sleep 600"))
    await rm.set_lifetime(application_id, 15)
    report = await reach(cluster, application_id, lambda report: report.ended)
    assert report.state == "KILLED"
    assert "lifetime" in report.diagnostics.lower()


async def test_lifetime_of_unknown(rm: ResourceManager) -> None:
    """An attempt to set the lifetime of an application that never existed fails."""
    with pytest.raises(ResourceManagerUnavailable):
        await rm.set_lifetime("application_1_0001", 15)


async def test_node_of_service_container(hadoop: LocalHadoop, rm: ResourceManager, cluster: Cluster) -> None:
    """The node of a server in a service container is known once it runs."""
    wanted = specification("true")
    wanted.master.script = ""
    wanted.services = {"server": skein.Service(skein.Resources(memory=128, vcores=1), script="sleep 600")}
    application_id = await cluster.submit(wanted)
    assert await rm.server_node(application_id) is None
    await reach(cluster, application_id, lambda report: report.state == "RUNNING")
    node = None
    while node is None:
        await asyncio.sleep(0.5)
        node = await rm.server_node(application_id)
    assert node.host in {found["nodeHostName"] for found in hadoop.nodes()}
