"""One view of the applications for all spawners: running, ended, or unknown."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from yarnspawner.common.metrics import VIEW_UPDATED
from yarnspawner.common.retry import Retry
from yarnspawner.common.tasks import consume_exception
from yarnspawner.skein_driver import (
    AnswerTooLarge,
    ApplicationUnknown,
    Cluster,
    ClusterError,
    ClusterRefused,
    ClusterUnavailable,
    Report,
)
from yarnspawner.yarn.status import Status, TrackedApplication, forgotten, wait_for_event

# Each listed application costs 0.05 ms of the ResourceManager's CPU time and 0.2 ms of the driver's
# (`python -m benchmarks list`). This pause, per second of listing, limits lists to a fifth of the time.
_PAUSE_PER_LIST = 4.0

# The same while something starts, if that is between _SOON and `fast` seconds. On average, a start is delayed by half of it.
_SOON = 0.2
_SHORT_PAUSE_PER_LIST = 20.0


class ApplicationReflector:
    """Keep a view of YARN's applications. One list call refreshes it, whatever their number.

    - Spawners `watch` the application they own, and `unwatch` it when they no longer own it.
    - The view refreshes every ``fast`` seconds or sooner while an application is watched closely, and every ``slow``
      seconds while others are watched. Otherwise it does not refresh.
    - Each change wakes the callers of `wait_change`.
    - If an application disappears from the list, the view requests its own report. It has ended if YARN says so, or if
      YARN does not know it and two lists lacked it. While YARN does not respond, it is unknown, never ended.
    - The view logs each outage of YARN once, and each recovery once.
    """

    def __init__(
        self, cluster: Cluster, *, fast: float = 0.5, slow: float = 5.0, log: logging.Logger | None = None
    ) -> None:
        """Initialize the view without a request to YARN. ``fast`` and ``slow`` are in seconds."""
        self._cluster = cluster
        self._soon, self._fast, self._slow = min(_SOON, fast), fast, slow
        self._log: logging.Logger = log or logging.getLogger(__name__)
        self._watched: dict[str, TrackedApplication] = {}
        self._outage = Retry(
            self._log,
            "YARN does not answer; until it does, running applications count as running",
            recovered="YARN answers again",
            first=2 * fast,
            longest=slow,
            expected=ClusterUnavailable,
        )
        self._refreshes = Retry(self._log, "The view of YARN's applications could not be refreshed", longest=slow)
        self._reason = ""
        self._surprises: set[type[Exception]] = set()  # already logged with a traceback
        self._too_large = False
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[list[Report]] | None = None
        self._lists: set[asyncio.Task[list[Report]]] = set()
        self._wake = asyncio.Event()
        self._refreshing: asyncio.Task[None] | None = None

    def watch(self, application_id: str, *, on_end: Callable[[], None] | None = None) -> None:
        """Track an application until `unwatch`.

        Args:
            application_id: the application.
            on_end: called once, after the application has finished.
        """
        watched = self._entry(application_id)
        watched.owned = True
        watched.on_end = on_end
        self._ensure_refreshing(hurry=False)

    def unwatch(self, application_id: str) -> None:
        """Stop tracking an application for its owner. Do not call ``on_end`` any more."""
        if watched := self._watched.get(application_id):
            watched.owned = False
            watched.on_end = None  # the owner may no longer exist
            self._drop(application_id, watched)

    @contextmanager
    def watch_closely(self, application_id: str, *, closely: bool = True) -> Iterator[None]:
        """Watch an application inside the context, every ``fast`` seconds if ``closely``. Contexts may overlap."""
        watched = self._entry(application_id)
        watched.watchers += 1
        watched.close_watchers += closely
        self._ensure_refreshing(hurry=closely)
        try:
            yield
        finally:
            watched.watchers -= 1
            watched.close_watchers -= closely
            self._drop(application_id, watched)

    async def ended(self, application_id: str, timeout: float) -> bool:
        """Wait for an application to end. Return True once it has, and False after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        status = await self.status(application_id)
        while not status.ended and (left := deadline - time.monotonic()) > 0:
            status = await self.wait_change(application_id, status, left)
        return status.ended

    async def status(self, application_id: str) -> Status:
        """Return an application's current status. Ask YARN only if no list since `watch` has reported it."""
        watched = self._watched.get(application_id)
        if watched is None:
            return await self._ask_once(application_id)
        if not watched.listed and self._outage.since is None:
            try:
                await self._list()
            except ClusterUnavailable:
                return self._status(watched)
            if watched.missed_lists:
                await self._resolve_missing(application_id, watched)
        return self._status(watched)

    def has_report(self, application_id: str) -> bool:
        """Return True if `status` need not wait: a watched application has a report, or YARN does not respond."""
        watched = self._watched.get(application_id)
        return watched is not None and (watched.listed or not watched.active or self._outage.since is not None)

    async def wait_change(self, application_id: str, previous: Status | None, timeout: float) -> Status:
        """Wait until the status differs from ``previous``, at most ``timeout`` seconds, and return it."""
        deadline = time.monotonic() + timeout
        while True:
            watched = self._watched.get(application_id)
            status = self._status(watched) if watched else await self._ask_once(application_id)
            left = deadline - time.monotonic()
            if status != previous or left <= 0:
                return status
            if watched:
                watched.changed.clear()
                await wait_for_event(watched.changed, left)
            else:
                await asyncio.sleep(min(left, self._slow))

    async def refresh_one(self, application_id: str) -> None:
        """Request one application's report now, if it is watched. Call this after a change to the application."""
        watched = self._watched.get(application_id)
        if watched is not None and watched.active:
            await self._resolve_missing(application_id, watched)

    async def find(self, tag: str, user: str | None = None) -> Report | None:
        """List the applications, and return the latest unfinished one with a tag; None if there is none.

        Args:
            tag: the tag.
            user: the Hadoop user that must own the application; None for any. Users can copy tags, so pass it.

        Raises:
            ClusterUnavailable: YARN does not respond.
        """
        found = [report for report in await self.tagged(tag) if user in {None, report.user}]
        return max(found, key=lambda report: (report.started or _LONG_AGO, report.id), default=None)

    async def tagged(self, tag: str) -> list[Report]:
        """List the applications, and return all unfinished ones with a tag. Raises ClusterUnavailable."""
        tag = tag.lower()  # YARN stores tags in lower case
        return [report for report in await self._list() if tag in report.tags]

    async def close(self) -> None:
        """Stop refreshing, and stop tracking all applications."""
        self._watched.clear()
        tasks = {task for task in (self._refreshing, *self._lists) if task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _entry(self, application_id: str) -> TrackedApplication:
        return self._watched.setdefault(application_id, TrackedApplication(since=time.monotonic()))

    def _drop(self, application_id: str, watched: TrackedApplication) -> None:
        if not watched.owned and not watched.watchers and self._watched.get(application_id) is watched:
            del self._watched[application_id]

    def _ensure_refreshing(self, *, hurry: bool) -> None:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        elif hurry:
            self._wake.set()

    async def _refresh(self) -> None:
        """Refresh the view until all watched applications have ended."""
        before = 0.0
        while any(watched.active for watched in self._watched.values()):
            began = time.monotonic()
            with self._refreshes.attempt():
                await self._refresh_once()
            # A single slow list has only waited for a driver to start; two in a row are slow because of their length.
            took = time.monotonic() - began
            await self._pause(min(took, before))
            before = took

    async def _refresh_once(self) -> None:
        try:
            await self._list()
        except ClusterUnavailable:
            return  # already recorded where it was raised
        # A list of all items would make Python's garbage collector look at the whole hub, at each refresh.
        for application_id, watched in [item for item in self._watched.items() if item[1].missing]:
            await self._resolve_missing(application_id, watched)

    async def _pause(self, took: float) -> None:
        failing = max(self._outage.pause, self._refreshes.pause)
        # This minimum protects the ResourceManager from many concurrent waits and from long lists.
        least = max(self._soon, min(self._fast, took * _SHORT_PAUSE_PER_LIST), took * _PAUSE_PER_LIST)
        pause = failing or (least if any(watched.poll_fast for watched in self._watched.values()) else self._slow)
        if failing:
            least = min(least, self._slow)  # most of that time was spent waiting for a response
        await asyncio.sleep(least)
        if pause > least:
            await wait_for_event(self._wake, pause - least)
        self._wake.clear()

    async def _list(self) -> list[Report]:
        """Return a list that was requested after this call. Concurrent callers share it."""
        if self._next is None:
            self._next = asyncio.create_task(self._list_in_turn())
            self._lists.add(self._next)
            self._next.add_done_callback(self._lists.discard)
            self._next.add_done_callback(consume_exception)
        return await asyncio.shield(self._next)

    async def _list_in_turn(self) -> list[Report]:
        async with self._turn:
            self._next = None
            asked = time.monotonic()
            try:
                reports = await self._cluster.active()
            except AnswerTooLarge as error:
                await self._ask_one_by_one(error)
                raise
            except ClusterUnavailable as error:
                self._failed(error)
                raise
            except Exception as error:
                self._failed(error)
                raise ClusterUnavailable(f"YARN's list could not be read: {error!r}") from error
            self._too_large = False
            self._answered()
            listed = {report.id: report for report in reports}
            for application_id, watched in self._watched.items():
                watched.take(listed.get(application_id), asked)
            return reports

    async def _ask_one_by_one(self, error: AnswerTooLarge) -> None:
        """Request single reports if the list is too large, for instance because of huge application names.

        Applications that are not watched closely have their turn every ``slow`` seconds.
        """
        if not self._too_large:
            self._too_large = True
            self._log.warning("The list is too large, so each application is requested separately: %s", error)
        for application_id, watched in list(self._watched.items()):
            now = time.monotonic()
            due = watched.poll_fast or watched.alone is None or now - watched.alone >= self._slow
            if not watched.active or not due:
                continue
            watched.listed, watched.alone = True, now
            watched.missed_lists += 1
            problem = await self._resolve_missing(application_id, watched)
            if isinstance(problem, ClusterUnavailable) and not isinstance(problem, AnswerTooLarge):
                self._failed(problem)
                raise problem
            self._answered()
        self._answered()

    async def _resolve_missing(self, application_id: str, watched: TrackedApplication) -> Exception | None:
        """Request the report of an application that is missing from the list.

        Returns:
            The error that prevented it; None on success.
        """
        try:
            report: Report | None = await self._cluster.report(application_id)
        except ApplicationUnknown:
            report = forgotten(application_id, watched.report) if watched.missed_lists > 1 else None
        except Exception as error:  # noqa: BLE001 - what is wrong with one concerns no other, and says of no end
            new = not isinstance(error, ClusterError) and type(error) not in self._surprises
            self._surprises.add(type(error))
            level = logging.ERROR if new else logging.DEBUG
            self._log.log(level, "The state of %s is unknown: %r", application_id, error, exc_info=new)
            watched.settle(None)
            return error
        watched.settle(report)
        return None

    def _failed(self, error: Exception) -> None:
        self._reason = str(error)
        news = self._outage.since is None
        self._outage.failed(error)
        if news:
            for watched in self._watched.values():
                watched.changed.set()

    def _answered(self) -> None:
        self._outage.succeeded()
        VIEW_UPDATED.set_to_current_time()
        self._reason = ""

    def _status(self, watched: TrackedApplication) -> Status:
        return watched.status(self._outage.since, self._reason)

    async def _ask_once(self, application_id: str) -> Status:
        try:
            report = await self._cluster.report(application_id)
        except ApplicationUnknown:
            report = forgotten(application_id, None)
        except ClusterRefused as error:
            self._answered()
            return Status(None, known=False, reason=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known
            self._failed(error)
            return Status(None, known=False, unknown_since=self._outage.since, reason=str(error))
        self._answered()
        return Status(report, known=True)


_LONG_AGO = datetime.fromtimestamp(0, timezone.utc)
