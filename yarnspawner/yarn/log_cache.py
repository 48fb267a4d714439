"""Read servers' logs for the hub's pages: seldom, few at a time, and not twice."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from yarnspawner.common.text import one_line
from yarnspawner.hadoop.logs import LogsUnavailable

_log = logging.getLogger(__name__)

# Logs that are kept, each with at most 16 KiB.
_KEPT = 200
# Logs that are read at a time. A failed start must not wait for the pages of others.
_PARALLEL = 2


@dataclass(frozen=True)
class LogReading:
    """The outcome of one attempt to read a log.

    Attributes:
        text: the end of the log.
        error: why it could not be read; "" if it could.
        when: time of the attempt.
    """

    text: str = ""
    error: str = ""
    when: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


@dataclass
class _Entry:
    reader: str
    reading: asyncio.Task[LogReading]
    done: float = 0.0


class LogCache:
    """Read logs with limits, and keep what was read.

    - An application's log is read at most once in ``interval`` seconds. Concurrent requests share one reading.
    - The log of an application that has ended is kept for ``keep`` seconds.
    - One log is read at a time for each user, and two for all users.
    """

    def __init__(self, *, interval: float = 10.0, keep: float = 600.0) -> None:
        self._interval = interval
        self._keep = keep
        self._entries: dict[str, _Entry] = {}
        self._places = asyncio.Semaphore(_PARALLEL)

    async def get(
        self,
        application_id: str,
        reader: str,
        read: Callable[[], Awaitable[str]],
        *,
        ended: bool = False,
        timeout: float = 20.0,
    ) -> LogReading | None:
        """Return a log, or None if it is not read yet. Then the caller asks again later.

        Args:
            application_id: the application.
            reader: name of the user who asks.
            read: reads the log, and raises LogsUnavailable.
            ended: True if the log does not change any more.
            timeout: seconds to wait. The reading continues after them.
        """
        entry = self._entries.get(application_id)
        if entry is None or self._is_old(entry, ended):
            if any(other.reader == reader and not other.reading.done() for other in self._entries.values()):
                return None
            entry = self._begin(application_id, reader, read)
        await asyncio.wait([entry.reading], timeout=timeout)
        return entry.reading.result() if entry.reading.done() else None

    def _is_old(self, entry: _Entry, ended: bool) -> bool:
        if not entry.reading.done():
            return False
        final = ended and not entry.reading.result().error
        return time.monotonic() - entry.done >= (self._keep if final else self._interval)

    def _begin(self, application_id: str, reader: str, read: Callable[[], Awaitable[str]]) -> _Entry:
        self._entries.pop(application_id, None)
        for old in [name for name, kept in self._entries.items() if kept.reading.done()][
            : len(self._entries) - _KEPT + 1
        ]:
            del self._entries[old]
        entry = _Entry(reader, asyncio.create_task(self._read(read)))
        entry.reading.add_done_callback(lambda _: setattr(entry, "done", time.monotonic()))
        self._entries[application_id] = entry
        return entry

    async def _read(self, read: Callable[[], Awaitable[str]]) -> LogReading:
        try:
            async with self._places:
                return LogReading(text=await read())
        except LogsUnavailable as error:
            return LogReading(error=one_line(str(error), 500))
        except Exception:  # noqa: BLE001 - a page must not fail because of a log
            _log.exception("A server's log could not be read")
            return LogReading(error="an error of the hub, which is in its log")
