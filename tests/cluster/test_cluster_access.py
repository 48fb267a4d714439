"""The hub's access to YARN on real clusters: drivers, lanes, refusals, the view, and what dies meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest
import skein

from localhadoop import LocalHadoop
from tests.support.processes import drivers_of
from tests.support.skein_client import MASTER_ENVIRONMENT
from yarnspawner.skein_driver import Cluster, ClusterRefused, ClusterUnavailable, Report
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.status import Status

SECURITY = skein.Security.new_credentials()
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[LocalHadoop], None]:
    def use(hadoop: LocalHadoop) -> None:
        for name, value in hadoop.environment().items():
            monkeypatch.setenv(name, value)

    return use


@pytest.fixture
def hadoop(simple_cluster: LocalHadoop, environment: Callable[[LocalHadoop], None]) -> LocalHadoop:
    environment(simple_cluster)
    return simple_cluster


@pytest.fixture
def no_jvm_left() -> Iterator[None]:
    before = drivers()
    yield
    assert drivers() <= before


@pytest.fixture
async def cluster(hadoop: LocalHadoop, no_jvm_left: None) -> AsyncIterator[Cluster]:
    cluster = Cluster()
    yield cluster
    hadoop.restore()
    with contextlib.suppress(ClusterUnavailable):
        for report in await cluster.active():
            if "access-test" in report.tags:
                await cluster.kill(report.id, report.user)
    await cluster.close()


@pytest.fixture
async def view(cluster: Cluster) -> AsyncIterator[ApplicationReflector]:
    view = ApplicationReflector(cluster, slow=1)
    yield view
    await view.close()


def specification(
    script: str = "sleep 600", user: str = "alice", queue: str = "default", memory: str = "256 MiB"
) -> skein.ApplicationSpec:
    resources = skein.Resources(memory=memory, vcores=1)
    hub = "jupyterhub"
    return skein.ApplicationSpec(
        name="access",
        user=user,
        queue=queue,
        tags={"access-test"},
        max_attempts=1,
        acls=skein.ACLs(enable=True, view_users=[hub], modify_users=[hub]),
        master=skein.Master(script=script, resources=resources, security=SECURITY, env=MASTER_ENVIRONMENT),
    )


def drivers() -> set[int]:
    """The driver JVMs that this process has started."""
    return {driver.pid for driver in drivers_of(os.getpid())}


async def until(
    view: ApplicationReflector, application_id: str, reached: Callable[[Status], bool], timeout: float = 60
) -> Status:
    """Wait for a status, as a spawner does."""
    deadline = time.monotonic() + timeout
    with view.watch_closely(application_id):
        status = await view.status(application_id)
        while not reached(status):
            assert time.monotonic() < deadline, status
            status = await view.wait_change(application_id, status, deadline - time.monotonic())
    return status


async def speaks(cluster: Cluster, report: Report) -> None:
    """Write into an application's store and read it back; its first answer can take a cold master seconds."""
    store = cluster.store(report.id, report.host, report.rpc_port, SECURITY.cert_bytes, SECURITY.key_bytes)
    for _ in range(10):
        with contextlib.suppress(ClusterUnavailable):
            assert await store.get("key") is None
            break
    await store.put("key", b"value")
    assert await store.get("key") == b"value"
    await store.close()


def running(status: Status) -> bool:
    return status.known and status.report is not None and status.report.state == "RUNNING"


def unknown(status: Status) -> bool:
    return not status.known and status.unknown_since is not None


async def test_application_lifecycle(cluster: Cluster, view: ApplicationReflector) -> None:
    """The view shows an application as running and as finished, and its key-value store answers."""
    application_id = await cluster.submit(specification("sleep 20"))
    status = await until(view, application_id, running)
    report = status.report
    assert report is not None
    # Hadoop 3.1 reports a queue's name, later versions its path.
    assert (report.user, report.queue.removeprefix("root."), report.tags) == ("alice", "default", {"access-test"})
    assert report.host in {node.host for node in await cluster.nodes()}
    assert [found.id for found in await view.tagged("Access-Test")] == [application_id]

    await speaks(cluster, report)

    status = await until(view, application_id, lambda status: status.ended)
    assert status.report is not None
    assert (status.report.state, status.report.final_status) == ("FINISHED", "SUCCEEDED")


async def test_killed_application(cluster: Cluster, view: ApplicationReflector) -> None:
    """A killed application shows as ended, and a second kill has no effect."""
    application_id = await cluster.submit(specification())
    await cluster.kill(application_id, "alice")
    status = await until(view, application_id, lambda status: status.ended, timeout=10)
    assert status.report is not None
    assert status.report.state == "KILLED"
    assert "killed by user alice" in status.report.diagnostics
    await cluster.kill(application_id, "alice")
    await cluster.kill("application_1_0001", "alice")


REFUSALS = [
    ({"user": "carl"}, "is not allowed to impersonate carl"),
    ({"queue": "nowhere"}, "submitted by user alice to unknown queue: nowhere"),
    ({"queue": "stopped"}, "Queue root.stopped is STOPPED"),
    ({"memory": "900 GiB"}, "greater than maximum allowed allocation"),
]


async def test_refusal_in_yarns_words(cluster: Cluster) -> None:
    """A refused submission raises an error with one line in YARN's own words."""
    for asked, reason in REFUSALS:
        with pytest.raises(ClusterRefused, match=reason) as refused:
            await cluster.submit(specification(**asked))
        assert "Exception" not in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1


async def test_submissions_delay_no_report(cluster: Cluster) -> None:
    """Ten submissions at the same time do not delay a report."""
    first = await cluster.submit(specification())
    await cluster.report(first)
    burst = [asyncio.create_task(cluster.submit(specification())) for _ in range(10)]
    waits = []
    while not all(task.done() for task in burst):
        asked = time.monotonic()
        await cluster.report(first)
        waits.append(time.monotonic() - asked)
        await asyncio.sleep(0.1)
    assert max(waits) < 2  # it is as long as the burst, eight seconds and more, with skein's own client
    submitted = {task.result() for task in burst}
    assert submitted <= {report.id for report in await cluster.active()}
    await asyncio.gather(*(cluster.kill(application_id, "alice") for application_id in submitted))
    assert not submitted & {report.id for report in await cluster.active()}


async def test_cancelled_start(cluster: Cluster) -> None:
    """A cancelled start leaves no application in YARN."""
    await cluster.submit(specification())
    before = {report.id for report in await cluster.active()}
    start = asyncio.create_task(cluster.submit(specification()))
    await asyncio.sleep(0.05)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    deadline = time.monotonic() + 60
    while True:
        await asyncio.sleep(1)
        left = {report.id for report in await cluster.active()} - before
        if not left and not cluster._submissions._watchers and not cluster._background:
            break
        assert time.monotonic() < deadline


@pytest.mark.full
async def test_resource_manager_killed(
    hadoop: LocalHadoop, cluster: Cluster, view: ApplicationReflector, caplog: pytest.LogCaptureFixture
) -> None:
    """A killed ResourceManager ends no application, and the same driver connects to it after its restart."""
    application_id = await cluster.submit(specification())
    view.watch(application_id)
    status = await until(view, application_id, running)
    jvms = drivers()
    hadoop.daemons["resourcemanager"].kill()
    status = await until(view, application_id, unknown, timeout=15)
    assert running(Status(status.report, known=True))
    assert "Connection refused" in status.reason
    with pytest.raises(ClusterUnavailable):
        await cluster.report(application_id)
    with pytest.raises(ClusterUnavailable):
        await cluster.kill(application_id, "alice")
    with pytest.raises(ClusterUnavailable):
        await cluster.submit(specification())
    assert not (await view.status(application_id)).ended
    hadoop.daemons["resourcemanager"].start()
    status = await until(view, application_id, running, timeout=60)
    assert drivers() == jvms
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([message for message in messages if "YARN does not answer" in message]) == 1
    assert len([message for message in messages if "YARN answers again" in message]) == 1


@pytest.mark.full
async def test_resource_manager_hangs(hadoop: LocalHadoop, cluster: Cluster, view: ApplicationReflector) -> None:
    """When the ResourceManager hangs, the status becomes unknown within seconds."""
    application_id = await cluster.submit(specification())
    view.watch(application_id)
    await until(view, application_id, running)
    hadoop.daemons["resourcemanager"].suspend()
    await until(view, application_id, unknown, timeout=15)
    # Not longer: after 30 s without a heartbeat from a node, a ResourceManager that runs again can take it for lost.
    await asyncio.sleep(12)
    assert len(drivers()) <= 4  # two in use, and at most one each that is on its way out
    hadoop.daemons["resourcemanager"].resume()
    assert not (await until(view, application_id, running, timeout=60)).ended


async def test_submission_without_hdfs(hadoop: LocalHadoop, cluster: Cluster) -> None:
    """Without HDFS, a submission fails and says that the connection was refused."""
    await cluster.active()
    hadoop.daemons["namenode"].kill()
    with pytest.raises(ClusterUnavailable, match="Connection refused"):
        await cluster.submit(specification())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_driver_is_replaced(hadoop: LocalHadoop, no_jvm_left: None, how: signal.Signals) -> None:
    """A new driver replaces a driver that dies or hangs."""
    cluster = Cluster(timeout=3)
    await cluster.active()
    (victim,) = drivers()
    os.kill(victim, how)
    if how is signal.SIGSTOP:
        with pytest.raises(ClusterUnavailable, match="No answer from YARN"):
            await cluster.active()
    assert await cluster.active() == []
    await cluster.close()


HUB = """
import asyncio, os, signal
from yarnspawner.skein_driver import Cluster

async def main():
    cluster = Cluster()
    cluster.warm()
    await cluster.active()
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "how",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.full),
        pytest.param(signal.SIGINT, marks=pytest.mark.full),
    ],
)
async def test_no_jvm_outlives_the_hub(hadoop: LocalHadoop, how: signal.Signals) -> None:
    """The driver JVMs end with the hub, whichever signal stops it."""
    hub = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HUB, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=CHECKOUT
    )
    assert hub.stdout is not None
    assert await asyncio.wait_for(hub.stdout.readline(), 60) == b"up\n"
    children = psutil.Process(hub.pid).children()
    assert len(children) == 2
    hub.send_signal(how)
    await asyncio.wait_for(hub.wait(), 20)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


# With Kerberos


@pytest.fixture
async def secure(
    kerberos_cluster: LocalHadoop, environment: Callable[[LocalHadoop], None], no_jvm_left: None
) -> AsyncIterator[Cluster]:
    environment(kerberos_cluster)
    cluster = Cluster(
        principal=kerberos_cluster.principal("jupyterhub") or "", keytab=str(kerberos_cluster.keytab("jupyterhub"))
    )
    yield cluster
    await cluster.close()


async def test_hub_impersonates_with_keytab(secure: Cluster) -> None:
    """With its keytab, the hub submits and kills for alice, and YARN refuses the same for carl."""
    view = ApplicationReflector(secure)
    application_id = await secure.submit(specification())
    report = (await until(view, application_id, running)).report
    assert report is not None
    await speaks(secure, report)
    with pytest.raises(ClusterRefused, match=r"^User: jupyterhub@\S+ is not allowed to impersonate carl$"):
        await secure.submit(specification(user="carl"))
    with pytest.raises(ClusterRefused, match=r"Queue root\.stopped is STOPPED"):
        await secure.submit(specification(queue="stopped"))
    with pytest.raises(ClusterRefused, match="not allowed to impersonate carl"):
        await secure.kill(application_id, "carl")
    with pytest.raises(ClusterRefused, match=r"(?i)bob"):
        await secure.kill(application_id, "bob")
    await secure.kill(application_id, "alice")
    assert (await until(view, application_id, lambda status: status.ended, timeout=10)).ended
    await view.close()


@pytest.mark.full
async def test_principal_as_user(secure: Cluster) -> None:
    """Hadoop's rules map a principal to a user, so the hub accepts none, see yarnspawner.hadoop.accounts."""
    application_id = await secure.submit(specification(user="alice@EXAMPLE.COM"))
    assert (await secure.report(application_id)).user == "alice"
    await secure.kill(application_id, "alice")
    with pytest.raises(ClusterRefused, match=r"Illegal principal name alice@other\.example"):
        await secure.submit(specification(user="alice@other.example"))


async def test_wrong_keytab(secure: Cluster, kerberos_cluster: LocalHadoop) -> None:
    """With another user's keytab, the driver does not start, and the error names the login."""
    cluster = Cluster(
        principal=kerberos_cluster.principal("jupyterhub") or "", keytab=str(kerberos_cluster.keytab("alice"))
    )
    with pytest.raises(ClusterUnavailable, match=r"The YARN driver did not start: .*(Login|Kerberos)"):
        await cluster.active()
    await cluster.close()


async def test_no_keytab_no_ticket(secure: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a keytab and a ticket, the error says which settings the admin must set."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    cluster = Cluster()
    with pytest.raises(ClusterUnavailable, match="The hub has no Kerberos ticket: set its principal and keytab"):
        await cluster.active()
    await cluster.close()
