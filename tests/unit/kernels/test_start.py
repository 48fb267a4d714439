"""A failed start of a kernel leaves no application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.one_application import ID
from yarnspawner.kernels import start
from yarnspawner.kernels.application_waits import ApplicationWaits
from yarnspawner.kernels.request import KernelError, KernelRequest
from yarnspawner.skein_driver import ClusterRefused, Report


class Store:
    def __init__(self, published: Any) -> None:
        self._published = published

    async def get(self, key: str) -> Any:
        if isinstance(self._published, BaseException):
            raise self._published
        return self._published

    async def close(self) -> None:
        pass


class Cluster:
    """A cluster with one application that records kills."""

    def __init__(self, published: Any, refusal: str = "") -> None:
        self.killed: list[str] = []
        self._published = published
        self._refusal = refusal

    async def submit(self, spec: Any) -> str:
        if self._refusal:
            raise ClusterRefused(self._refusal)
        return ID

    async def report(self, application_id: str) -> Report:
        return Report(application_id, state="RUNNING", host="n1", rpc_port=9)

    def store(self, *arguments: Any) -> Store:
        return Store(self._published)

    async def kill(self, application_id: str, user: str) -> None:
        self.killed.append(application_id)

    async def close(self) -> None:
        pass


async def begin(cluster: Any) -> None:
    await start.start_kernel(cluster, KernelRequest(), {"key": "x"}, principal="", keytab="")


@pytest.mark.parametrize(
    "published", [ClusterRefused("The store sent more than 64 KiB"), b"no document", OSError("disk")]
)
async def test_failure_after_submission(published: Any) -> None:
    """After any failure, the application is killed once."""
    cluster = Cluster(published)
    with pytest.raises((KernelError, OSError)):
        await begin(cluster)
    assert cluster.killed == [ID]


async def test_cancelled() -> None:
    """After Ctrl-C, the application is killed."""
    cluster = Cluster(None)
    starting = asyncio.create_task(begin(cluster))
    await asyncio.sleep(0.1)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert cluster.killed == [ID]


async def test_waiting(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If YARN gives no container, the reason is told."""

    async def reason(self: ApplicationWaits, report: Report | None) -> str:
        assert report is not None
        return "because the queue is full"

    monkeypatch.setattr(ApplicationWaits, "reason", reason)
    monkeypatch.setattr("yarnspawner.kernels.wait_reasons._WORTH_ASKING", 0)
    monkeypatch.setattr(start, "_INTERVAL", 0.01)
    starting = asyncio.create_task(begin(Cluster(None)))
    message = "The application runs; waiting for resources for the kernel's container"
    told = ""
    while f"{message}, because the queue is full\n" not in told:
        await asyncio.sleep(0.01)
        told += capsys.readouterr().err
    starting.cancel()
    await asyncio.wait([starting])
    assert f"{message}\n" in told


async def test_rejected() -> None:
    """After a rejected submission, nothing is killed."""
    cluster = Cluster(None, refusal="to unknown queue")
    with pytest.raises(KernelError, match="does not exist"):
        await begin(cluster)
    assert cluster.killed == []
