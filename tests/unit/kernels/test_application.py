"""A kernel with an application of its own, on a cluster that is a few variables."""

from __future__ import annotations

import asyncio
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.support.one_application import ID
from yarnspawner.common.kernel_protocol import (
    PORT_NAMES,
    SECRET_FILE,
    KernelAddress,
    KernelEnd,
    address_key,
    end_key,
)
from yarnspawner.kernels import application, cluster_thread
from yarnspawner.kernels.application import KernelApplication
from yarnspawner.kernels.application_waits import ApplicationWaits
from yarnspawner.kernels.cluster_thread import ClusterThread
from yarnspawner.kernels.containers import KernelRefused
from yarnspawner.kernels.remote_kernel import RemoteKernel
from yarnspawner.kernels.request import KernelRequest
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report

ADDRESS = KernelAddress(1, "10.0.0.7", dict.fromkeys(PORT_NAMES, 4711), "n1", "container_1", True)
REQUEST = KernelRequest(memory=512, queue="small", port_range="40000:40100")


class OneCluster:
    """A cluster with one application; its application master's store is here as well."""

    def __init__(self) -> None:
        self.report_now = Report(ID, state="RUNNING", host="n1", rpc_port=9, queue="small")
        self.keys: dict[str, bytes] = {address_key("1"): ADDRESS.to_bytes()}
        self.submitted: list[Any] = []
        self.killed = self.closed = 0
        self.refusal: Exception | None = None

    async def submit(self, spec: Any) -> str:
        if self.refusal:
            raise self.refusal
        self.submitted.append(spec)
        return ID

    async def report(self, application_id: str) -> Report:
        return self.report_now

    async def kill(self, application_id: str, user: str) -> None:
        self.killed += 1

    async def close(self) -> None:
        self.closed += 1

    async def get(self, key: str) -> bytes | None:
        if self.report_now.ended:
            raise ClusterUnavailable("gone")
        return self.keys.get(key)

    async def put(self, key: str, value: bytes) -> None:
        if self.report_now.ended:
            raise ClusterUnavailable("gone")

    async def end_application(self) -> None:
        self.end("FINISHED", "SUCCEEDED")

    def end(self, state: str, final_status: str, diagnostics: str = "") -> None:
        self.keys.clear()
        self.report_now = Report(ID, state=state, final_status=final_status, diagnostics=diagnostics)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OneCluster:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    cluster = OneCluster()
    monkeypatch.setattr(application, "Store", lambda *_: cluster)
    monkeypatch.setattr(application, "_FRESH", 0.01)
    return cluster


def remote(cluster: OneCluster) -> RemoteKernel:
    thread = ClusterThread(lambda: cluster)  # type: ignore[arg-type,return-value]
    return RemoteKernel(KernelApplication(REQUEST, "1", thread), "1", "", logging.getLogger())


async def start(kernel: RemoteKernel, timeout: float = 5) -> None:
    await kernel.start(kernel.launch(["python"], {}, "/home/alice", can_encrypt=True), timeout)


async def test_application_of_a_kernel(cluster: OneCluster, tmp_path: Path) -> None:
    """No secret is in the environment or in the specification; the private file is gone with the application."""
    kernel = remote(cluster)
    await start(kernel)
    (spec,) = cluster.submitted
    service = spec.services["kernel"]
    assert (spec.queue, service.resources.memory) == ("small", 512)
    assert "-m yarnspawner.singleuser.kernel_container" in service.script
    assert service.env["YARNSPAWNER_PORT_RANGE"] == "40000:40100"
    connection = kernel.connection
    assert connection["ip"] == "10.0.0.7"
    assert connection["key"].decode() not in str(spec.to_dict())
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    # Another process of the same account finds it.
    found = remote(cluster)
    found.load(kernel.to_dict())
    assert found.connection == connection

    assert await kernel.find_end() is None
    await kernel.release()
    assert cluster.report_now.final_status == "SUCCEEDED"
    assert not cluster.killed
    assert not list(tmp_path.iterdir())


async def test_kill_without_master(cluster: OneCluster) -> None:
    """An application that gets no application master within the timeout is killed."""
    cluster.report_now = Report(ID, state="ACCEPTED", queue="small")
    kernel = remote(cluster)
    with pytest.raises(KernelRefused, match=r"Waiting in queue small\. YARN gave none within .*\. Try again"):
        await start(kernel, 0.05)
    assert cluster.killed == 1


async def test_reason_of_a_waiting_container(cluster: OneCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a start whose container waits gives the reason."""

    async def reason(self: ApplicationWaits, report: Report | None) -> str:
        assert report == cluster.report_now
        return "because the queue is full"

    monkeypatch.setattr(ApplicationWaits, "reason", reason)
    monkeypatch.setattr("yarnspawner.kernels.wait_reasons._WORTH_ASKING", 0)
    cluster.keys.clear()
    with pytest.raises(KernelRefused, match=r"container, because the queue is full\. YARN gave none within"):
        await start(remote(cluster), 0.5)


async def test_application_end_ends_kernel(cluster: OneCluster) -> None:
    """A kernel ends with its application."""
    kernel = remote(cluster)
    await start(kernel)
    cluster.end("KILLED", "KILLED", "Application killed by user alice")
    await asyncio.sleep(0.02)  # a report is used again for a moment
    end = await kernel.find_end()
    assert end is not None
    assert end.final
    assert "YARN stopped the kernel's container" in end.message


async def test_a_kernel_reports_its_own_end(cluster: OneCluster) -> None:
    """A kernel that ends reports its exit status."""
    kernel = remote(cluster)
    await start(kernel)
    cluster.keys[end_key("1")] = KernelEnd(1, 137, "It was killed.").to_bytes()
    end = await kernel.find_end()
    assert end is not None
    assert end.status == 137


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            ClusterRefused("Application application_1_0001 submitted by user alice to unknown queue: small"),
            "queue small",
        ),
        (ClusterUnavailable("no ticket"), "cannot be submitted: no ticket"),
    ],
)
async def test_refusal_is_raised(cluster: OneCluster, refusal: Exception, said: str) -> None:
    """A refused submission raises an error with the reason."""
    cluster.refusal = refusal
    with pytest.raises(KernelRefused, match=said):
        await start(remote(cluster))


async def test_missing_private_file(cluster: OneCluster, tmp_path: Path) -> None:
    """Without the secrets of its private file, the kernel's connection cannot be used."""
    kernel = remote(cluster)
    await start(kernel)
    known = kernel.to_dict()
    (file,) = tmp_path.iterdir()
    file.write_text("{}")
    other = remote(cluster)
    other.load(known)
    with pytest.raises(KernelRefused, match="another account or on another host"):
        _ = other.connection


def test_idle_drivers_stop(cluster: OneCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle drivers stop and start again with the next call, also from another event loop."""
    monkeypatch.setattr(cluster_thread, "_IDLE_LIMIT", 0.05)
    thread = ClusterThread(lambda: cluster)  # type: ignore[arg-type,return-value]

    async def ask() -> Report:
        return await thread.run(thread.call(lambda cluster: cluster.report(ID)))

    assert asyncio.run(ask()) == asyncio.run(ask())
    asyncio.run(asyncio.sleep(0.2))
    assert cluster.closed == 1
    asyncio.run(ask())


def test_the_secret_is_a_private_file(cluster: OneCluster) -> None:
    """The container gets the secret as a file."""
    kernel = remote(cluster)
    asyncio.run(start(kernel))
    assert list(cluster.submitted[0].services["kernel"].files) == [SECRET_FILE]
