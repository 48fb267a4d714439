"""Count the applications that have waited in a queue for longer than a server's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from yarnspawner.common.ids import is_application_id
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable

_log = logging.getLogger(__name__)

# Seconds until the next request after one that failed.
_PAUSE = 60.0
# The next request comes at least this many times the duration of the last one later.
_TIMES_DURATION = 20.0
# With more pending applications in a queue, they are not counted. For 1,000, the ResourceManager needs 0.6 s of processor time,
# and the hub's event loop 0.1 s (`benchmarks list --others 1000`).
_MOST = 200


@dataclass
class _Queue:
    numbers: tuple[tuple[int, int], ...] = ()
    next: float = 0.0
    refresh: asyncio.Task[None] | None = None


class PendingApplications:
    """Count the pending applications of queues.

    - Nobody waits for an answer: each call returns what the last one has brought.
    - A queue is requested at most once in ``interval`` seconds, however many servers wait in it, and less often if YARN is
      slow or does not answer.
    - Only the number is kept of others' applications. In a queue with hundreds of them, they are not counted.

    Args:
        resource_manager: returns the client of the ResourceManager; may raise ResourceManagerUnavailable.
        interval: seconds.
    """

    def __init__(self, resource_manager: Callable[[], ResourceManager], *, interval: float = 5.0) -> None:
        self._resource_manager = resource_manager
        self._interval = interval
        self._queues: dict[str, _Queue] = {}

    def before(self, queue: str, application_id: str) -> int:
        """Return how many pending applications of a queue are older than this one; 0 if it is not known.

        Args:
            queue: the queue, as YARN reports it.
            application_id: an application that waits there.
        """
        known = self._queues.setdefault(queue, _Queue())
        if (known.refresh is None or known.refresh.done()) and time.monotonic() >= known.next:
            known.refresh = asyncio.create_task(self._refresh(queue, known))
        own = _number(application_id)
        return sum(number < own for number in known.numbers)

    async def _refresh(self, queue: str, known: _Queue) -> None:
        began = time.monotonic()
        try:
            found = await self._pending(queue)
            known.numbers = tuple(_number(application_id) for application_id in found)
            pause = max(self._interval, _TIMES_DURATION * (time.monotonic() - began))
        except ResourceManagerUnavailable as error:
            _log.debug("The pending applications of queue %s are not known: %s", queue, error)
            known.numbers, pause = (), _PAUSE
        known.next = time.monotonic() + pause

    async def _pending(self, queue: str) -> list[str]:
        """Return the pending applications of a queue; none if there are too many to read."""
        resource_manager = self._resource_manager()
        # A cached document that all servers share.
        scheduled = await resource_manager.queue(queue)
        if scheduled is not None and scheduled.pending > _MOST:
            return []
        return await resource_manager.pending_applications(queue)


def _number(application_id: str) -> tuple[int, int]:
    """Return the ResourceManager's start time and the number of an application, by which applications are ordered."""
    if not is_application_id(application_id):
        return (0, 0)
    _, started, number = application_id.split("_")
    return int(started), int(number)
