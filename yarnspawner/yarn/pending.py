"""Count the applications that have waited in a queue for longer than a server's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from yarnspawner.common.ids import is_application_id
from yarnspawner.common.refreshed_value import INTERVAL, RefreshedValue
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable

_log = logging.getLogger(__name__)

# With more pending applications in a queue, they are not counted. For 1,000, the ResourceManager needs 0.6 s of processor time,
# and the hub's event loop 0.1 s (`benchmarks list --others 1000`).
_MOST = 200


class PendingApplications:
    """Count the pending applications of queues.

    - Calls never wait: each returns the last known value.
    - A queue is requested at most once in ``interval`` seconds, however many servers wait in it, and less often if YARN is
      slow or does not answer.
    - Only the number is kept of others' applications. In a queue with hundreds of them, they are not counted.

    Args:
        resource_manager: returns the client of the ResourceManager; may raise ResourceManagerUnavailable.
        interval: seconds.
    """

    def __init__(self, resource_manager: Callable[[], ResourceManager], *, interval: float = INTERVAL) -> None:
        self._resource_manager = resource_manager
        self._interval = interval
        self._queues: dict[str, RefreshedValue[tuple[tuple[int, int], ...]]] = {}

    def before(self, queue: str, application_id: str) -> int:
        """Return how many pending applications of a queue are older than this one; 0 if it is not known.

        Args:
            queue: the queue, as YARN reports it.
            application_id: an application that waits there.
        """
        if queue not in self._queues:
            self._queues[queue] = RefreshedValue(
                partial(self._pending, queue),
                (),
                expected=(ResourceManagerUnavailable,),
                what=f"the pending applications of queue {queue}",
                log=_log,
                interval=self._interval,
            )
        own = _number(application_id)
        return sum(number < own for number in self._queues[queue].last())

    async def _pending(self, queue: str) -> tuple[tuple[int, int], ...]:
        """Return the numbers of a queue's pending applications; none if there are too many to read."""
        resource_manager = self._resource_manager()
        # A cached document that all servers share.
        scheduled = await resource_manager.queue(queue)
        if scheduled is not None and scheduled.pending > _MOST:
            return ()
        return tuple(_number(application_id) for application_id in await resource_manager.pending_applications(queue))


def _number(application_id: str) -> tuple[int, int]:
    """Return the ResourceManager's start time and the number of an application, by which applications are ordered."""
    if not is_application_id(application_id):
        return (0, 0)
    _, started, number = application_id.split("_")
    return int(started), int(number)
