"""Progress events of a server's start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from html import escape
from typing import Any


class Progress:
    """The events of a start, and then of the next one.

    - Each follower gets all events, including earlier ones: a user may open the page twice, or late.
    - An event that repeats the previous one is dropped.
    - A follower ends when the start ends.
    - A follower that exists before a start, such as a page that is already open, gets all its events.
    """

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._ended = False
        self._changed = asyncio.Event()

    @property
    def last(self) -> str:
        """Return the last message; "" before the first."""
        return str(self._events[-1]["message"]) if self._events else ""

    def begin(self) -> None:
        """Begin a new start: discard the events of the last one."""
        self._events = []
        self._ended = False
        self._wake()

    def tell(self, percent: int, message: str, link: str = "") -> None:
        """Add an event for the progress page.

        Args:
            percent: 0 to 99; JupyterHub's own last event is 100.
            message: plain text.
            link: URL of the application in YARN; "" for none.
        """
        event: dict[str, Any] = {"progress": percent, "message": message}
        if link:
            event["html_message"] = (
                f'{escape(message)} (<a href="{escape(link)}" target="_blank" rel="noopener">YARN\'s page</a>)'
            )
        if not self._events or self._events[-1] != event:
            self._events.append(event)
            self._wake()

    def end(self) -> None:
        """End the start, and with it all followers."""
        self._ended = True
        self._wake()

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Yield all events until the start ends. Called by JupyterHub for each open progress page."""
        events, told = self._events, 0
        while True:
            if events is not self._events:
                events, told = self._events, 0
            changed = self._changed
            while told < len(events):
                yield events[told]
                told += 1
            if self._ended and events is self._events:
                return
            await changed.wait()

    def _wake(self) -> None:
        # A new object for the next wait: a follower that waits on a set event would spin.
        self._changed.set()
        self._changed = asyncio.Event()
