"""How many applications have waited longer, with few requests."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from yarnspawner.hadoop.resourcemanager import ResourceManagerUnavailable
from yarnspawner.yarn.pending import PendingApplications


class Manager:
    """A ResourceManager that counts its requests."""

    def __init__(self, found: list[str] | Exception, pending: int | None = None) -> None:
        self.found = found
        self.pending = pending
        self.requests: list[str] = []

    async def queue(self, name: str) -> Any:
        return None if self.pending is None else SimpleNamespace(pending=self.pending)

    async def pending_applications(self, queue: str) -> list[str]:
        self.requests.append(queue)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


async def count(manager: Any, application_id: str, *, interval: float = 60, calls: int = 20) -> int:
    pending = PendingApplications(lambda: manager, interval=interval)
    number = 0
    for _ in range(calls):
        number = pending.before("default", application_id)
        await asyncio.sleep(0)
    return number


async def test_order() -> None:
    """Applications of an earlier ResourceManager come first, and numbers are no text."""
    ids = ["application_2_9", "application_2_10", "application_2_11", "application_1_99"]
    assert await count(Manager(ids), "application_2_10") == 2


async def test_requests() -> None:
    """Many starts share one request in an interval, and a failed one is not repeated soon."""
    for found in (["application_1_1"], ResourceManagerUnavailable("no answer")):
        manager = Manager(found)
        assert await count(manager, "application_1_2") == (0 if isinstance(found, Exception) else 1)
        assert manager.requests == ["default"]


async def test_many() -> None:
    """A queue in which hundreds of applications wait is not read."""
    for pending, requests in ((200, ["default"]), (201, [])):
        manager = Manager(["application_1_1"], pending)
        assert await count(manager, "application_1_2") == len(requests)
        assert manager.requests == requests


async def test_no_configuration() -> None:
    """Without an address of the ResourceManager, the number is not known."""

    def unknown() -> Any:
        raise ResourceManagerUnavailable("no configuration")

    pending = PendingApplications(unknown)
    assert pending.before("default", "application_1_2") == 0
    await asyncio.sleep(0)
    assert pending.before("default", "application_1_2") == 0
