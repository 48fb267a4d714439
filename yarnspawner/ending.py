"""What must end, ends: kills are repeated until YARN says that the application has ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from yarnspawner.applications import Applications
from yarnspawner.audit import audit_end
from yarnspawner.cluster import Cluster, ClusterError

# Seconds between two attempts: at first soon, since most failures are a hiccup, then seldom.
_PAUSES = (0.5, 1, 2, 5, 10, 30)


class Ending:
    """Ends applications, however often YARN has to be asked.

    - an application given to :meth:`end` is killed until it has ended, whether anyone waits for that or not
    - asking twice is asking once
    - JupyterHub forgets a stop that failed, or that took too long; this does not
    """

    def __init__(self, cluster: Cluster, applications: Applications, *, log: logging.Logger) -> None:
        self._cluster = cluster
        self._applications = applications
        self._log = log
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def pending(self) -> frozenset[str]:
        """The applications that are being ended."""
        return frozenset(self._tasks)

    def end(
        self, application_id: str, user: str, *, by: str = "hub", facts: Mapping[str, str] | None = None
    ) -> asyncio.Future[None]:
        """End an application at once, as its user.

        Args:
            application_id: which one.
            user: its Hadoop user.
            by: who wants it, and ``facts``: what else is known of it, for :func:`~yarnspawner.audit.audit_end`.

        Returns:
            a future that is done when YARN says that it has ended. Cancelling it does not cancel the ending.
        """
        task = self._tasks.get(application_id)
        if task is None:
            task = asyncio.create_task(
                self._end(application_id, user, by, dict(facts or {})), name=f"ending {application_id}"
            )
            self._tasks[application_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(application_id, None))
        return asyncio.shield(task)

    async def _end(self, application_id: str, user: str, by: str, facts: dict[str, str]) -> None:
        attempt = 0
        with self._applications.watching(application_id):
            while not (status := await self._applications.status(application_id)).ended:
                pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
                try:
                    await self._cluster.kill(application_id, user)
                    # YARN has just said that it is done; no need to wait for the next list.
                    await self._applications.look(application_id)
                except ClusterError as error:
                    self._log.warning("Cannot end %s yet, trying again in %s s: %s", application_id, pause, error)
                await self._applications.ended(application_id, timeout=pause)
                attempt += 1
        self._log.info("%s of %s has ended", application_id, user)
        if status.report is not None:
            # A start fails most often because its application has ended by itself.
            by = "yarn" if by == "hub" and not attempt else by
            audit_end(status.report, by=by, hadoop_user=user, **facts)
