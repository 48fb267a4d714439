"""A value that is read again only while somebody needs it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

INTERVAL = 5.0
"""Seconds between two reads, by default."""

# Seconds until the next read after one that failed.
_PAUSE = 60.0
# The next read comes at least this many times the duration of the last one later.
_TIMES_DURATION = 20.0


class RefreshedValue(Generic[T]):
    """Keep a value for several callers, and read it again when one of them needs it and it is too old.

    Callers share a read. The next one comes after ``interval`` seconds, later if the last one was slow, and after a minute
    if it failed.

    Args:
        read: returns the value.
        unknown: the value before the first read, and after one that failed.
        expected: exceptions of a read that fails, logged at DEBUG. Others are logged with their traceback.
        what: names the value in the log, such as "the unused resources".
        log: the logger.
        interval: seconds.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        unknown: T,
        *,
        expected: tuple[type[Exception], ...],
        what: str,
        log: logging.Logger,
        interval: float = INTERVAL,
    ) -> None:
        self._read = read
        self._unknown = unknown
        self._expected = expected
        self._what = what
        self._log = log
        self._interval = interval
        self._value = unknown
        self._next = 0.0
        self._reading: asyncio.Task[None] | None = None

    def last(self) -> T:
        """Return the value of the last read, without waiting. Start a read if it is too old."""
        self._start()
        return self._value

    async def current(self) -> T:
        """Return the value, and wait for it if it is being read. Start a read if it is too old."""
        # A caller that leaves does not end it for the others.
        await asyncio.shield(self._start())
        return self._value

    def _start(self) -> asyncio.Task[None]:
        if self._reading is None or (self._reading.done() and time.monotonic() >= self._next):
            self._reading = asyncio.create_task(self._refresh())
        return self._reading

    async def _refresh(self) -> None:
        began, pause = time.monotonic(), _PAUSE
        try:
            self._value = await self._read()
            pause = max(self._interval, _TIMES_DURATION * (time.monotonic() - began))
        except Exception as error:  # noqa: BLE001 - whatever it is, the value is not known
            known = isinstance(error, self._expected)
            level = logging.DEBUG if known else logging.ERROR
            self._log.log(level, "Unknown for %.0f s: %s: %r", pause, self._what, error, exc_info=not known)
            self._value = self._unknown
        finally:
            self._next = time.monotonic() + pause
