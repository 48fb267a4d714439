"""The status of one application: its last report from YARN, and if that can be out of date."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from yarnspawner.skein_driver import Report

_FORGOTTEN = "YARN no longer knows this application; it remembers only so many that have ended."


@dataclass(frozen=True)
class Status:
    """The status of an application.

    Attributes:
        report: the last report from YARN; None if there was none yet.
        known: False if the report can be out of date, because YARN does not respond or was not asked yet. An end is
            final and always known.
        unknown_since: when YARN stopped responding, in seconds of `time.monotonic`.
        reason: why YARN does not respond.
    """

    report: Report | None
    known: bool
    unknown_since: float | None = None
    reason: str = field(default="", compare=False)  # it can differ with each attempt, which is no change of status

    @property
    def ended(self) -> bool:
        return self.report is not None and self.report.ended


@dataclass(slots=True)
class TrackedApplication:
    """The reflector's record of a watched application."""

    since: float
    owned: bool = False
    watchers: int = 0
    close_watchers: int = 0
    report: Report | None = None
    listed: bool = False  # True once a list requested after `since` has arrived
    missed_lists: int = 0
    alone: float | None = None  # time of its last single report while lists are too large
    unconfirmed_since: float | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    on_end: Callable[[], None] | None = None

    @property
    def active(self) -> bool:
        """True if it has not ended, as far as the hub knows."""
        return self.report is None or not self.report.ended

    @property
    def poll_fast(self) -> bool:
        return self.active and self.close_watchers > 0

    @property
    def missing(self) -> bool:
        """True if it has not ended, and the last list lacks it."""
        return self.missed_lists > 0 and self.active

    def status(self, unknown_since: float | None, reason: str) -> Status:
        """Return the application's status.

        Args:
            unknown_since: when YARN stopped responding, in seconds of `time.monotonic`; None if it responds.
            reason: why it does not respond.
        """
        if not self.active:
            return Status(self.report, known=True)
        if unknown_since is not None:
            return Status(self.report, known=False, unknown_since=unknown_since, reason=reason)
        return Status(
            self.report, known=self.listed and self.unconfirmed_since is None, unknown_since=self.unconfirmed_since
        )

    def take(self, report: Report | None, asked: float) -> None:
        """Record the application's report from a list.

        This dominates the reflector's CPU time with thousands of servers, so an unchanged report costs little. A report
        that equals that of the last list is the same object.

        Args:
            report: the report; None if the list lacks the application.
            asked: when the list was requested, in seconds of `time.monotonic`.
        """
        if report is not None and report is self.report and self.listed and not self.missed_lists:
            if self.unconfirmed_since is not None:
                self.unconfirmed_since = None
                self.changed.set()
            return
        # A list requested before the application was submitted cannot contain it.
        if self.since > asked or not self.active:
            return
        self.listed = True
        if report is None:
            self.missed_lists += 1  # this proves nothing until YARN is asked for the application itself
        else:
            self.report, self.missed_lists, self.unconfirmed_since = report, 0, None
            self.changed.set()

    def settle(self, report: Report | None) -> None:
        """Record the application's own report; None if YARN gave none."""
        if report is None:
            self.unconfirmed_since = self.unconfirmed_since or time.monotonic()
        else:
            self.report, self.missed_lists, self.unconfirmed_since = report, 0, None
        self.changed.set()
        if not self.active and self.on_end is not None:
            tell, self.on_end = self.on_end, None
            tell()


def forgotten(application_id: str, last: Report | None) -> Report:
    """Return a final report for an application that YARN no longer knows, based on its last report."""
    last = last or Report(application_id, state="FINISHED")
    return replace(last, state="FINISHED", final_status="UNDEFINED", diagnostics=_FORGOTTEN)


async def wait_for_event(event: asyncio.Event, timeout: float) -> None:
    """Wait until an event is set, at most ``timeout`` seconds."""
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except asyncio.TimeoutError:
        return
