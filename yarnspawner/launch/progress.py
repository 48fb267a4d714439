"""What a start tells the user while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from html import escape
from typing import Any


class Progress:
    """The events of a start, and then of the next one.

    - every follower gets every event, also those from before it came: a user may open the page twice, or late
    - an event that says nothing new is not told again
    - followers end when the start has ended
    - who follows before a start begins, as a page that was open already does, sees it from its beginning
    """

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._ended = False
        self._changed = asyncio.Event()

    @property
    def last(self) -> str:
        """The last message; "" before the first."""
        return str(self._events[-1]["message"]) if self._events else ""

    def begin(self) -> None:
        """Another start: what was told of the last one is forgotten."""
        self._events = []
        self._ended = False
        self._wake()

    def tell(self, percent: int, message: str, link: str = "") -> None:
        """Add an event.

        Args:
            percent: 0 to 100; JupyterHub's own last event is 100.
            message: plain text.
            link: where the user can see more; the page shows the message as a link to it.
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
        """No further event will come."""
        self._ended = True
        self._wake()

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the events so far, then those to come, until the end."""
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
        # A new event object for the next wait, so that no follower can miss one by waiting on a set one.
        self._changed.set()
        self._changed = asyncio.Event()
