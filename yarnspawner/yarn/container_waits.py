"""Find out why running applications wait for more containers. YARN's reports say so for the first container only."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from yarnspawner.diagnosis.explain import explain_constraint
from yarnspawner.hadoop.headroom import Headroom
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable
from yarnspawner.hadoop.scheduler import Resources

_log = logging.getLogger(__name__)

# Seconds until the next request after one that failed.
_PAUSE = 60.0
# The next request comes at least this many times the duration of the last one later. The document about the nodes has about
# a kilobyte for each.
_TIMES_DURATION = 20.0


class ContainerWaits:
    """Say why containers are not there yet, for all applications of a hub or of a Jupyter server.

    The ResourceManager is asked only while somebody wants to know, at most once in ``interval`` seconds, and less often if
    it is slow or does not answer.

    Args:
        resource_manager: returns the client of the ResourceManager; may raise ResourceManagerUnavailable.
        interval: seconds.
    """

    def __init__(self, resource_manager: Callable[[], ResourceManager], *, interval: float = 5.0) -> None:
        self._resource_manager = resource_manager
        self._interval = interval
        self._headroom: asyncio.Task[Headroom | None] | None = None
        self._next = 0.0

    async def reason(self, wanted: Resources, queue: str, *, user: str, label: str = "") -> str:
        """Return why a container is not there yet.

        Args:
            wanted: the container's size.
            queue: path or name of the queue.
            user: Hadoop user of the application.
            label: label of the nodes; "" for the queue's default.

        Returns:
            A clause such as "because the queue is full"; "" if it is not known.
        """
        if self._headroom is None or (self._headroom.done() and time.monotonic() >= self._next):
            self._headroom = asyncio.create_task(self._read())
        # Others wait for the same answer.
        headroom = await asyncio.shield(self._headroom)
        if headroom is None:
            return ""
        return explain_constraint(headroom.constraint(wanted, queue, user=user, label=label), user=user, label=label)

    async def _read(self) -> Headroom | None:
        began = time.monotonic()
        pause = _PAUSE
        try:
            headroom = await self._resource_manager().headroom()
            pause = max(self._interval, _TIMES_DURATION * (time.monotonic() - began))
            return headroom
        except ResourceManagerUnavailable as error:
            _log.debug("The unused resources of the cluster are not known: %s", error)
            return None
        finally:
            self._next = time.monotonic() + pause
