"""The start of a kernel in a container that an application master gives, or does not give."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from yarnspawner.common.kernel_protocol import PORT_NAMES, KernelAddress, KernelEnd, KernelLaunch, KernelSize
from yarnspawner.kernels.containers import KernelRefused, Published
from yarnspawner.kernels.remote_kernel import RemoteKernel
from yarnspawner.kernels.wait_reasons import HubQuestion, WaitReasons
from yarnspawner.singleuser.store import ServiceContainer

ADDRESS = KernelAddress(1, "127.0.0.1", dict.fromkeys(PORT_NAMES, 1), "node1", "container_1", encrypted=True)


class Containers:
    """An application master that loses the first requests."""

    folder = ""
    changes: int | None = None

    def __init__(self, lost: int, patience: float) -> None:
        self.patience = patience
        self.wait_reasons = WaitReasons(HubQuestion({}).ask)
        self.lost = lost
        self.added: list[str] = []
        self.killed: list[str] = []

    def size(self, slug: str) -> KernelSize:
        return KernelSize("large", "", "", 300, 1, 0, own_environment=False)

    async def add(self, size: KernelSize, kernel_id: str, launch: KernelLaunch, *, again: bool = False) -> str:
        assert again == bool(self.added)
        self.added.append(f"container_{len(self.added)}")
        return self.added[-1]

    async def kill(self, container_id: str) -> None:
        self.killed.append(container_id)

    async def forget(self, kernel_id: str) -> None:
        pass

    async def command(self, kernel_id: str, command: Any) -> None:
        pass

    async def published(self, kernel_id: str) -> Published:
        given = len(self.added) > self.lost
        return Published(None, KernelEnd(1, 0, "It listens no more.") if given else None)

    async def container(self, size: KernelSize, container_id: str) -> ServiceContainer:
        return ServiceContainer(size.service, "REQUESTED", "")


def kernel_of(containers: Any) -> RemoteKernel:
    return RemoteKernel(containers, "1", "large", logging.getLogger())


async def test_a_lost_request_is_repeated() -> None:
    """A request that YARN does not answer is replaced by a new one, until there is a container."""
    containers = Containers(lost=2, patience=0.05)
    with pytest.raises(KernelRefused, match="It listens no more"):
        await asyncio.wait_for(kernel_of(containers).start(KernelLaunch(["python"], {}, "", True), 5), 5)
    assert len(containers.added) == 3
    assert containers.killed == containers.added


async def test_request_is_not_repeated() -> None:
    """A start does not repeat its request at once, and ends after its time limit."""
    containers = Containers(lost=9, patience=60)
    with pytest.raises(KernelRefused, match=r"a container with .* YARN gave none within"):
        await kernel_of(containers).start(KernelLaunch(["python"], {}, "", True), 0.2)
    assert containers.added == containers.killed == ["container_0"]


class Followed(Containers):
    """A kernel that runs, and an event stream of its keys."""

    def __init__(self, changes: int | None) -> None:
        super().__init__(lost=0, patience=60)
        self.changes = changes
        self.end: KernelEnd | None = None
        self.asked = 0

    async def published(self, kernel_id: str) -> Published:
        self.asked += 1
        return Published(ADDRESS, self.end)


async def started(containers: Followed) -> RemoteKernel:
    kernel = kernel_of(containers)
    await kernel.start(KernelLaunch(["python"], {}, "", True), 5)
    assert await kernel.find_end() is None
    containers.asked = 0
    return kernel


async def test_end_is_read_after_a_change() -> None:
    """The store gets a request for a kernel's end after a change only, although Jupyter asks each second."""
    containers = Followed(changes=1)
    kernel = await started(containers)
    assert [await kernel.find_end() for _ in range(5)] == [None] * 5
    assert containers.asked == 0
    containers.changes = 2
    assert [await kernel.find_end() for _ in range(5)] == [None] * 5
    assert containers.asked == 1
    containers.end, containers.changes = KernelEnd(1, 3, "It ended."), 3
    end = await kernel.find_end()
    assert end is not None
    assert end.status == 3


@pytest.mark.parametrize(("changes", "limit"), [(None, 30.0), (1, 0.0)])
async def test_end_without_event_stream(changes: int | None, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an event stream, or after its time limit, each check sends a request to the store."""
    monkeypatch.setattr("yarnspawner.kernels.remote_kernel._UNCHANGED_LIMIT", limit)
    containers = Followed(changes)
    kernel = await started(containers)
    assert [await kernel.find_end() for _ in range(5)] == [None] * 5
    assert containers.asked == 5
