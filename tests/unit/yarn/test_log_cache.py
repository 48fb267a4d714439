"""Logs for the hub's pages: limits, and what is kept."""

from __future__ import annotations

import asyncio

from yarnspawner.hadoop.logs import LogsUnavailable
from yarnspawner.yarn import log_cache
from yarnspawner.yarn.log_cache import LogCache


class Log:
    """A log that counts its readings. Each waits for ``free``."""

    def __init__(self, error: Exception | None = None, *, free: bool = True) -> None:
        self.readings = 0
        self.free = asyncio.Event()
        if free:
            self.free.set()
        self._error = error

    async def read(self) -> str:
        self.readings += 1
        await self.free.wait()
        if self._error:
            raise self._error
        return f"reading {self.readings}"


async def test_hammered() -> None:
    """A page that is loaded again and again reads a log once in an interval."""
    cache, log = LogCache(interval=60), Log()
    found = await asyncio.gather(*(cache.get("a", "alice", log.read) for _ in range(50)))
    found += [await cache.get("a", "alice", log.read) for _ in range(50)]
    assert {reading.text for reading in found if reading} == {"reading 1"}
    assert log.readings == 1


async def test_interval() -> None:
    """After the interval, a running server's log is read again, and that of an ended one is kept."""
    cache, running, ended = LogCache(interval=0, keep=60), Log(), Log()
    for _ in range(2):
        await cache.get("running", "alice", running.read)
        await cache.get("ended", "alice", ended.read, ended=True)
    assert (running.readings, ended.readings) == (2, 1)


async def test_error() -> None:
    """An error is kept for the interval only, also for a server that has ended, and is one line."""
    cache, log = LogCache(interval=0, keep=60), Log(LogsUnavailable("YARN has\nno logs"))
    first = await cache.get("a", "alice", log.read, ended=True)
    await cache.get("a", "alice", log.read, ended=True)
    assert first and (first.text, first.error) == ("", "YARN has no logs")
    assert log.readings == 2


async def test_unexpected_error() -> None:
    """An error of our own does not break the page."""
    cache, log = LogCache(interval=0), Log(KeyError("x"))
    for _ in range(2):
        reading = await cache.get("a", "alice", log.read)
        assert reading and "an error of the hub" in reading.error


async def test_slow() -> None:
    """A page does not wait for long, and the reading continues for the next one."""
    cache, log = LogCache(interval=60), Log(free=False)
    assert await cache.get("a", "alice", log.read, timeout=0) is None
    log.free.set()
    reading = await cache.get("a", "alice", log.read)
    assert reading and reading.text == "reading 1"


async def test_one_at_a_time_for_a_user() -> None:
    """A user who opens many pages holds no place of others."""
    cache, slow, other, bobs = LogCache(), Log(free=False), Log(), Log()
    await cache.get("a", "alice", slow.read, timeout=0)
    assert await cache.get("b", "alice", other.read) is None
    assert other.readings == 0
    assert await cache.get("c", "bob", bobs.read) is not None
    slow.free.set()
    await cache.get("a", "alice", slow.read)
    assert await cache.get("b", "alice", other.read) is not None


async def test_bounded(monkeypatch) -> None:
    """Old logs are dropped."""
    monkeypatch.setattr(log_cache, "_KEPT", 3)
    cache = LogCache()
    for number in range(10):
        await cache.get(str(number), "alice", Log().read)
    assert list(cache._entries) == ["7", "8", "9"]
