"""Why containers are not there yet, with few requests."""

from __future__ import annotations

import asyncio
from typing import Any

from yarnspawner.hadoop.resourcemanager import ResourceManagerUnavailable
from yarnspawner.hadoop.scheduler import Resources
from yarnspawner.yarn.container_waits import ContainerWaits


class Manager:
    """A ResourceManager that counts its requests."""

    def __init__(self, constraint: str | Exception) -> None:
        self._constraint = constraint
        self.requests = 0

    async def headroom(self) -> Any:
        self.requests += 1
        await asyncio.sleep(0.01)
        if isinstance(self._constraint, Exception):
            raise self._constraint
        return self

    def constraint(self, wanted: Resources, queue: str, *, user: str, label: str) -> str:
        assert isinstance(self._constraint, str)
        return self._constraint


async def reasons(manager: Any, *, interval: float = 60) -> set[str]:
    waits = ContainerWaits(lambda: manager, interval=interval)
    ask = lambda: waits.reason(Resources(400, 1), "default", user="alice", label="gpu")  # noqa: E731
    found = await asyncio.gather(*(ask() for _ in range(20)))
    return {*found, await ask()}


async def test_reasons() -> None:
    """The clauses are those of an application's first container."""
    assert await reasons(Manager("queue-full")) == {"because the queue is full"}
    expected = "because no node has enough free resources for its container"
    assert await reasons(Manager("queue-no-room")) == {expected}
    assert await reasons(Manager("queue-no-label")) == {"because no node with the label gpu is up"}
    assert await reasons(Manager("queue-user-full")) == {"because alice has reached the queue's limit for one user"}
    assert await reasons(Manager("")) == {""}


async def test_requests() -> None:
    """All that ask at a time share a request, and a failed one is not repeated soon."""
    for found in ("queue-full", ResourceManagerUnavailable("no answer")):
        manager = Manager(found)
        await reasons(manager, interval=60)
        assert manager.requests == 1


async def test_a_caller_that_leaves() -> None:
    """The others still get their answer."""
    manager: Any = Manager("queue-full")
    waits = ContainerWaits(lambda: manager)
    first = asyncio.create_task(waits.reason(Resources(400, 1), "default", user="alice"))
    await asyncio.sleep(0)
    second = asyncio.create_task(waits.reason(Resources(400, 1), "default", user="alice"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "because the queue is full"
