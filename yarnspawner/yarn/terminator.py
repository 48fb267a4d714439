"""Kill applications, and retry until YARN reports them as finished."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from yarnspawner.common.retry import Retry
from yarnspawner.skein_driver import Cluster, ClusterError, ClusterRefused
from yarnspawner.yarn.audit import audit_end
from yarnspawner.yarn.reflector import ApplicationReflector

# First and longest pause between two attempts, in seconds: while YARN does not respond, and after it refused a kill.
# A refused kill succeeds only after an administrator has changed the configuration.
_UNAVAILABLE = (0.5, 30.0)
_REFUSED = (2.0, 600.0)
# Seconds that YARN has to report an application as finished after it took the kill.
_TAKEN = 5.0


class ApplicationTerminator:
    """Kill applications and retry until YARN reports them as finished.

    - :meth:`terminate` is idempotent. It retries until the application has ended, even if no caller waits.
    - After a refusal it backs off, up to ten minutes. Another call of :meth:`terminate` retries immediately.
    - JupyterHub forgets a stop that failed or timed out. The terminator does not.
    """

    def __init__(self, cluster: Cluster, reflector: ApplicationReflector, *, log: logging.Logger) -> None:
        self._cluster = cluster
        self._reflector = reflector
        self._log = log
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._searches: set[asyncio.Task[None]] = set()
        self._again: dict[str, asyncio.Event] = {}

    @property
    def pending(self) -> frozenset[str]:
        """The ids of the applications that are being killed."""
        return frozenset(self._tasks)

    def terminate(
        self, application_id: str, user: str, *, by: str = "hub", facts: Mapping[str, str] | None = None
    ) -> asyncio.Future[None]:
        """Kill an application immediately, as its user.

        Args:
            application_id: the application.
            user: its Hadoop user.
            by: the cause, for :func:`~yarnspawner.yarn.audit.audit_end`.
            facts: further details for the audit log.

        Returns:
            A future that is done when YARN reports the application as finished. Cancelling it does not cancel the kill.
        """
        task = self._tasks.get(application_id)
        if task is None:
            self._again[application_id] = asyncio.Event()
            task = asyncio.create_task(
                self._terminate(application_id, user, by, dict(facts or {})), name=f"ending {application_id}"
            )
            self._tasks[application_id] = task
            task.add_done_callback(lambda _: self._forget(application_id))
        self._again[application_id].set()
        return asyncio.shield(task)

    def terminate_when_found(
        self, find: Callable[[], Awaitable[str]], user: str, *, by: str = "hub", facts: Mapping[str, str] | None = None
    ) -> None:
        """Kill an application whose submission got no response, as soon as its id is known.

        Args:
            find: waits for the id and returns it; "" if there is no application.
            user: its Hadoop user.
            by: see :meth:`terminate`.
            facts: see :meth:`terminate`.
        """

        async def search() -> None:
            if application_id := await find():
                await self.terminate(application_id, user, by=by, facts=facts)

        task = asyncio.create_task(search(), name="ending what was never answered")
        self._searches.add(task)
        task.add_done_callback(self._searches.discard)

    def _forget(self, application_id: str) -> None:
        self._tasks.pop(application_id, None)
        self._again.pop(application_id, None)

    async def _terminate(self, application_id: str, user: str, by: str, facts: dict[str, Any]) -> None:
        attempted = False
        away = self._retry(f"Cannot end {application_id} yet", *_UNAVAILABLE)
        refusals = self._retry(f"YARN refuses to end {application_id}", *_REFUSED)
        # Keep one entry in the view for all attempts, so that the report after a kill is not lost.
        with self._reflector.watch_closely(application_id, closely=False):
            while True:
                self._again[application_id].clear()
                with self._reflector.watch_closely(application_id):
                    status = await self._reflector.status(application_id)
                    if status.ended:
                        break
                    await self._kill(application_id, user, away, refusals)
                    if not refusals.pause:
                        await self._reflector.ended(application_id, timeout=away.pause or _TAKEN)
                if refusals.pause:
                    await self._cool_down(application_id, refusals.pause)
                attempted = True
        self._log.info("%s of %s has ended", application_id, user)
        if status.report is not None:
            # Most starts fail because the application ended by itself.
            by = "yarn" if by == "hub" and not attempted else by
            audit_end(status.report, by=by, hadoop_user=user, **facts)

    async def _kill(self, application_id: str, user: str, away: Retry, refusals: Retry) -> None:
        try:
            await self._cluster.kill(application_id, user)
            # YARN has just confirmed the kill, so do not wait for the next list.
            await self._reflector.refresh_one(application_id)
        except ClusterRefused as error:
            refusals.failed(error)
        except Exception as error:  # noqa: BLE001 - the application must end after any error
            refusals.pause = 0.0
            away.failed(error)
        else:
            away.succeeded()
            refusals.succeeded()

    async def _cool_down(self, application_id: str, seconds: float) -> None:
        """Wait until the application ends or :meth:`terminate` is called again, at most ``seconds``.

        This does not make the view refresh faster.
        """
        waits = {
            asyncio.ensure_future(self._reflector.ended(application_id, timeout=seconds)),
            asyncio.ensure_future(self._again[application_id].wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in waits:
                waiting.cancel()

    def _retry(self, what: str, first: float, longest: float) -> Retry:
        recovered = "YARN takes the kill again"
        return Retry(self._log, what, recovered=recovered, first=first, longest=longest, expected=ClusterError)
