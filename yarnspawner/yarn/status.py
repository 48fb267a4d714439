"""What is known of one application: YARN's last word on it, and whether that may be out of date."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from yarnspawner.skein_driver import Report

_FORGOTTEN = "YARN no longer knows this application; it remembers only so many that have ended."


@dataclass(frozen=True)
class Status:
    """What is known of an application.

    ``report`` is YARN's last word, None if there was none yet. ``known`` is False when that may be out of date, because
    YARN cannot be asked (since ``unknown_since``, in seconds of `time.monotonic`, for ``reason``) or has not been yet.
    An end is final and always known.
    """

    report: Report | None
    known: bool
    unknown_since: float | None = None
    reason: str = field(default="", compare=False)  # it may change with each attempt, which alone is no news

    @property
    def ended(self) -> bool:
        return self.report is not None and self.report.ended


@dataclass(slots=True)
class TrackedApplication:
    """What the view keeps of an application that somebody watches."""

    since: float
    owned: bool = False
    watchers: int = 0
    close_watchers: int = 0
    report: Report | None = None
    listed: bool = False  # whether a list that was asked for since then has come
    missed_lists: int = 0
    alone: float | None = None  # when it was last asked for because no list could be had
    unconfirmed_since: float | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    on_end: Callable[[], None] | None = None

    @property
    def open(self) -> bool:
        return self.report is None or not self.report.ended

    @property
    def poll_fast(self) -> bool:
        return self.open and self.close_watchers > 0

    def status(self, unknown_since: float | None, reason: str) -> Status:
        """What is known of it, while YARN cannot be asked since then for that reason."""
        if not self.open:
            return Status(self.report, known=True)
        if unknown_since is not None:
            return Status(self.report, known=False, unknown_since=unknown_since, reason=reason)
        return Status(
            self.report, known=self.listed and self.unconfirmed_since is None, unknown_since=self.unconfirmed_since
        )

    def take(self, report: Report | None, asked: float) -> None:
        """Note what a list that was asked for then says: None if it does not have the application.

        With thousands of servers this is the view's own work, so what has not changed costs little: a report that says
        the same as in the last list is the same object.
        """
        if report is not None and report is self.report and self.listed and not self.missed_lists:
            if self.unconfirmed_since is not None:
                self.unconfirmed_since = None
                self.changed.set()
            return
        # A list that was on its way when the application was submitted says nothing of it.
        if self.since > asked or not self.open:
            return
        self.listed = True
        if report is None:
            self.missed_lists += 1  # which says nothing before the application was asked for
        else:
            self.report, self.missed_lists, self.unconfirmed_since = report, 0, None
            self.changed.set()

    def settle(self, report: Report | None) -> None:
        """Note what YARN says of the application alone: None if that is not known."""
        if report is None:
            self.unconfirmed_since = self.unconfirmed_since or time.monotonic()
        else:
            self.report, self.missed_lists, self.unconfirmed_since = report, 0, None
        self.changed.set()
        if not self.open and self.on_end is not None:
            tell, self.on_end = self.on_end, None
            tell()


def forgotten(application_id: str, last: Report | None) -> Report:
    """What to say of an application that YARN no longer knows, after its last word on it."""
    last = last or Report(application_id, state="FINISHED")
    return replace(last, state="FINISHED", final_status="UNDEFINED", diagnostics=_FORGOTTEN)


async def wait_for_event(event: asyncio.Event, timeout: float) -> None:
    """Wait until an event is set, at most ``timeout`` seconds."""
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except asyncio.TimeoutError:
        return
