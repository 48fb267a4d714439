"""What is known of one application: YARN's last word on it, and whether that may be out of date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from yarnspawner.cluster import Report


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
class Watched:
    """What the view keeps of an application that somebody watches."""

    since: float
    owned: bool = False
    fast: bool = False
    watchers: int = 0
    close_watchers: int = 0
    report: Report | None = None
    listed: bool = False  # whether a list that was asked for since then has come
    absences: int = 0
    doubt_since: float | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    on_end: Callable[[], None] | None = None

    @property
    def open(self) -> bool:
        return self.report is None or not self.report.ended

    @property
    def hurried(self) -> bool:
        return self.open and (self.fast or self.close_watchers > 0)

    def status(self, unknown_since: float | None, reason: str) -> Status:
        """What is known of it, while YARN cannot be asked since then for that reason."""
        if not self.open:
            return Status(self.report, known=True)
        if unknown_since is not None:
            return Status(self.report, known=False, unknown_since=unknown_since, reason=reason)
        return Status(self.report, known=self.listed and self.doubt_since is None, unknown_since=self.doubt_since)


async def wait_for_event(event: asyncio.Event, timeout: float) -> None:
    """Wait until an event is set, at most ``timeout`` seconds."""
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except asyncio.TimeoutError:
        return
