"""The orphan reaper: kill this hub's orphans, and remove the HDFS folders of finished applications."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from yarnspawner.common.metrics import ORPHANS_STOPPED, SWEEPS
from yarnspawner.common.retry import Retry
from yarnspawner.hadoop.skein_staging import StagingUnavailable
from yarnspawner.skein_driver import ClusterError, ClusterRefused, ClusterUnavailable, Report
from yarnspawner.yarn.access import ClusterAccess
from yarnspawner.yarn.audit import audit, audit_end
from yarnspawner.yarn.orphans import OwnedServers, is_ours, orphans, too_many
from yarnspawner.yarn.tags import hub_tag

# Limit of applications that one sweep kills, and of folders that it removes. The next sweep continues.
MOST = 500
# Back-off in seconds after an application could not be killed. Each failure doubles it, up to 32 hours.
_COOL_DOWN = 3600.0
_MOST_DOUBLINGS = 5
# Seconds that YARN has to report a killed application as finished.
_END_TIMEOUT = 30.0


@dataclass(frozen=True)
class Found:
    """The result of a search: this hub's unfinished applications, and which of them are orphans.

    Attributes:
        ours: all unfinished applications of this hub.
        orphans: those of them that no server owns and that are not being killed already.
        owned: the applications that servers own.
    """

    ours: list[Report]
    orphans: list[Report]
    owned: OwnedServers


class Swept(NamedTuple):
    """The result of a sweep.

    Attributes:
        killed: number of applications that were killed.
        removed: number of HDFS folders that were removed.
        held: why nothing was killed until an admin confirms it; "" if the sweep was not held.
    """

    killed: int
    removed: int
    held: str = ""


class OrphanReaper:
    """Find and kill orphans.

    - It kills only applications that :func:`~yarnspawner.yarn.orphans.orphans` returns. It skips those that the
      terminator already kills.
    - It kills one application after another, each as the Hadoop user that owns it.
    - It takes the accounts in turn, and backs off after each failure, so that no account delays the others.
    - It kills nothing while another hub holds the id, or while :func:`~yarnspawner.yarn.orphans.too_many` gives a reason.

    Args:
        access: the hub's access to the cluster.
        hub_id: this hub's id.
        grace: seconds that an orphan must have existed, or that an application must have been finished.
        owned: returns what the hub's spawners own at the time of the call.
        log: the hub's logger.
        shared: accounts that several users share.
        refusal: returns why the id is not this hub's; "" if it is.
    """

    def __init__(
        self,
        access: ClusterAccess,
        hub_id: str,
        *,
        grace: float,
        owned: Callable[[], Awaitable[OwnedServers]],
        log: logging.Logger,
        shared: Collection[str] = (),
        refusal: Callable[[], str] = lambda: "",
    ) -> None:
        self._access = access
        self._shared = shared
        self._refusal = refusal
        self._hub_id = hub_id
        self._grace = grace
        self._owned = owned
        self._log = log
        # By application: the number of failures, and the time of the next attempt.
        self._failed: dict[str, tuple[int, float]] = {}
        self._said: set[tuple[str, str]] = set()
        self._held = ""
        self._clean: set[str] = set()
        self._no_staging = ""

    async def find(self) -> Found:
        """Find this hub's applications and the orphans among them.

        Raises:
            ClusterUnavailable: YARN does not respond.
        """
        # List first, then read the owners: a start is in the database before it is submitted.
        reports = await self._access.reflector.tagged(hub_tag(self._hub_id))
        owned = await self._owned()
        us = self._us
        now = datetime.now(timezone.utc)
        found = orphans(reports, owned, **us, now=now, grace=self._grace)
        there = {report.id for report in reports}
        self._failed = {name: failed for name, failed in self._failed.items() if name in there}
        self._said = {said for said in self._said if said[0] in {report.user for report in reports}}
        ours = sorted((report for report in reports if is_ours(report, **us)), key=lambda report: report.id)
        return Found(ours, [report for report in found if report.id not in self._access.terminator.pending], owned)

    async def run(self, *, confirmed: bool = False) -> Swept:
        """Sweep once.

        Args:
            confirmed: True if an admin confirmed that the orphans are orphans, however many there are.

        Raises:
            ClusterUnavailable: YARN does not respond.
        """
        try:
            swept = await self._sweep(confirmed)
        except Exception:
            SWEEPS.labels("failed").inc()
            raise
        SWEEPS.labels("held" if swept.held else "ok").inc()
        ORPHANS_STOPPED.inc(swept.killed)
        return swept

    async def _sweep(self, confirmed: bool) -> Swept:
        if refusal := self._refusal():
            return Swept(0, 0, self._hold(refusal))
        found = await self.find()
        held = "" if confirmed else self.held(found)
        self._hold(held)
        turn = [] if held else self.turn(found.orphans)
        killed = [orphan for orphan in turn if await self.kill(orphan, found.owned)]
        removed = await self.clean()
        if killed or removed:
            self._log.warning("Swept %d orphaned applications and %d folders in HDFS", len(killed), removed)
        return Swept(len(killed), removed, held)

    def held(self, found: Found) -> str:
        """Return why an admin must confirm that these are orphans; "" if no confirmation is needed."""
        return too_many(found.ours, found.orphans, found.owned, shared=self._shared)

    def _hold(self, reason: str) -> str:
        """Log once that the sweep kills nothing, and why. Return the reason."""
        if reason and reason != self._held:
            self._log.error(
                "The sweep kills nothing: %s. If these are orphans, list them with `yarnspawner sweep --dry-run` and confirm"
                " with `yarnspawner sweep --yes`",
                reason,
            )
        self._held = reason
        return reason

    def turn(self, orphans: Iterable[Report]) -> list[Report]:
        """Return the orphans that this sweep kills: the first of each account, then the second of each, and so on."""
        now = time.monotonic()
        places: Counter[str] = Counter()
        turns = []
        for orphan in orphans:
            if self._failed.get(orphan.id, (0, now))[1] <= now:
                turns.append((places[orphan.user], orphan.id, orphan))
                places[orphan.user] += 1
        return [orphan for _, _, orphan in sorted(turns, key=lambda turn: turn[:2])[:MOST]]

    def _postpone(self, orphan: Report) -> None:
        times = self._failed.get(orphan.id, (0, 0.0))[0]
        self._failed[orphan.id] = times + 1, time.monotonic() + _COOL_DOWN * 2 ** min(times, _MOST_DOUBLINGS)

    async def kill(self, orphan: Report, owned: OwnedServers) -> bool:
        """Kill an orphan. Return True once YARN reports it as finished, and False after a failure."""
        name = owned.name(orphan)
        whose = f" (of {name})" if name else ""
        try:
            await self._access.cluster.kill(orphan.id, orphan.user)
        except ClusterRefused as error:
            self._postpone(orphan)
            if (said := (orphan.user, str(error))) not in self._said:
                self._said.add(said)
                self._log.warning("The orphan %s%s cannot be killed as %s: %s", orphan.id, whose, orphan.user, error)
            return False
        except ClusterError as error:
            self._log.warning("The orphan %s%s is not killed yet: %s", orphan.id, whose, error)
            return False
        with self._access.reflector.watch_closely(orphan.id):
            if not await self._access.reflector.ended(orphan.id, _END_TIMEOUT):
                self._postpone(orphan)
                self._log.warning("YARN does not say that the orphan %s%s has ended", orphan.id, whose)
                return False
            status = await self._access.reflector.status(orphan.id)
        self._log.warning("Ended %s%s, which no server of this hub owned", orphan.id, whose)
        if status.report is not None:
            facts = {"user": name.user, "server": name.server} if name else {}
            audit_end(status.report, by="sweep", hadoop_user=orphan.user, queue=orphan.queue, **facts)
        return True

    async def left_behind(self) -> list[Report]:
        """Return this hub's finished applications whose staging folder still exists.

        Raises:
            ClusterUnavailable: YARN does not respond.
        """
        latest = datetime.now(timezone.utc) - timedelta(seconds=self._grace)
        ended = await self._access.cluster.finished()
        self._clean &= {report.id for report in ended}  # YARN remembers only the latest, so this cache cannot grow
        by_user: defaultdict[str, list[Report]] = defaultdict(list)
        for report in ended:
            old = report.finished is not None and report.finished <= latest
            if old and report.id not in self._clean and self._is_ours(report):
                by_user[report.user].append(report)
        left: list[Report] = []
        for user, reports in sorted(by_user.items()):
            try:
                there = await self._access.staging.applications(user)
            except StagingUnavailable as error:
                self._cannot(str(error))
                continue
            self._clean |= {report.id for report in reports if report.id not in there}
            left += [report for report in reports if report.id in there]
        return left

    async def clean(self) -> int:
        """Remove the staging folders of this hub's finished applications, and return their number.

        Raises:
            ClusterUnavailable: YARN does not respond.
        """
        removed = 0
        for report in (await self.left_behind())[:MOST]:
            try:
                if await self._access.staging.remove(report.id, report.user):
                    removed += 1
                    audit("removed", application=report.id, hadoop_user=report.user)
            except StagingUnavailable as error:
                self._cannot(str(error))
            else:
                self._clean.add(report.id)
        return removed

    def _is_ours(self, report: Report) -> bool:
        return is_ours(report, **self._us)

    @property
    def _us(self) -> dict[str, Any]:
        access = self._access
        return {"hub_id": self._hub_id, "hub_user": access.hub_user, "allowed": access.allowed_system_accounts}

    def _cannot(self, why: str) -> None:
        level = logging.DEBUG if why == self._no_staging else logging.WARNING
        self._no_staging = why
        self._log.log(level, "The HDFS folders of finished applications cannot be removed: %s", why)


class ReaperLoop:
    """Sweep for as long as the hub runs.

    - The first sweep runs ``grace`` seconds after :meth:`start`. By then the hub must have checked all servers.
    - The next ones run every ``interval`` seconds; 0 means one sweep only. After a failure it retries sooner.
    - JupyterHub cancels the loop when it stops. The next run of the hub continues.
    """

    _RETRY = 30.0

    def __init__(self, reaper: OrphanReaper, *, grace: float, interval: float, log: logging.Logger) -> None:
        self._reaper = reaper
        self._grace = grace
        self._interval = interval
        self._log = log
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the loop on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="sweep")

    async def stop(self) -> None:
        """Stop the loop, and cancel a sweep in progress."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        self._log.info(
            "All servers were checked; in %g s, the hub sweeps applications that belong to none of them", self._grace
        )
        await asyncio.sleep(self._grace)
        longest = min(self._RETRY, self._interval or self._RETRY)
        retry = Retry(
            self._log,
            "The sweep failed",
            first=longest,
            longest=longest,
            expected=ClusterUnavailable,
            level=logging.INFO,
        )
        while True:
            with retry.attempt():
                await self._reaper.run()
            if not retry.failures and not self._interval:
                return
            await asyncio.sleep(retry.pause or self._interval)
