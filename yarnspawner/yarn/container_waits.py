"""Find out why running applications wait for more containers. YARN's reports say so for the first container only."""

from __future__ import annotations

import logging
from collections.abc import Callable

from yarnspawner.common.refreshed_value import INTERVAL, RefreshedValue
from yarnspawner.diagnosis.explain import explain_constraint
from yarnspawner.hadoop.headroom import Headroom
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable
from yarnspawner.hadoop.scheduler import Resources

_log = logging.getLogger(__name__)


class ContainerWaits:
    """Say why containers are not there yet, for all applications of a hub or of a Jupyter server.

    The ResourceManager is asked only while somebody wants to know, at most once in ``interval`` seconds, and less often if
    it is slow or does not answer. The document about the nodes has about a kilobyte for each.

    Args:
        resource_manager: returns the client of the ResourceManager; may raise ResourceManagerUnavailable.
        interval: seconds.
    """

    def __init__(self, resource_manager: Callable[[], ResourceManager], *, interval: float = INTERVAL) -> None:
        self._resource_manager = resource_manager
        self._headroom: RefreshedValue[Headroom | None] = RefreshedValue(
            self._read,
            None,
            expected=(ResourceManagerUnavailable,),
            what="the unused resources of the cluster",
            log=_log,
            interval=interval,
        )

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
        headroom = await self._headroom.current()
        if headroom is None:
            return ""
        return explain_constraint(headroom.constraint(wanted, queue, user=user, label=label), user=user, label=label)

    async def _read(self) -> Headroom | None:
        return await self._resource_manager().headroom()
