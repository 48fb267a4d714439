"""A value that is read again only while somebody needs it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from yarnspawner.common import refreshed_value
from yarnspawner.common.refreshed_value import RefreshedValue


class Source:
    """Counts its reads, and fails with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.reads = 0
        self.error = error

    async def read(self) -> int:
        self.reads += 1
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        return self.reads


def value(source: Source, interval: float = 60) -> RefreshedValue[int]:
    log = logging.getLogger("test")
    return RefreshedValue(source.read, 0, expected=(OSError,), what="the number", log=log, interval=interval)


async def test_shared() -> None:
    """Callers at a time share a read, and its value is kept for the interval."""
    source = Source()
    shared = value(source)
    assert shared.last() == 0
    assert await asyncio.gather(*(shared.current() for _ in range(20))) == [1] * 20
    assert shared.last() == await shared.current() == source.reads == 1


async def test_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the interval it is read again, but a slow read pauses for longer."""
    source = Source()
    shared = value(source, interval=0)
    assert [await shared.current() for _ in range(3)] == [1, 1, 1]
    monkeypatch.setattr(refreshed_value, "_TIMES_DURATION", 0)
    shared = value(source, interval=0)
    assert [await shared.current() for _ in range(3)] == [2, 3, 4]


@pytest.mark.parametrize(("error", "level"), [(OSError("away"), logging.DEBUG), (KeyError("odd"), logging.ERROR)])
async def test_failure(error: Exception, level: int, caplog: pytest.LogCaptureFixture) -> None:
    """A failed read makes the value unknown for a while, whatever has failed."""
    caplog.set_level(logging.DEBUG, "test")
    source = Source(error)
    shared = value(source, interval=0)
    assert [await shared.current() for _ in range(3)] == [0, 0, 0]
    assert source.reads == 1
    (record,) = caplog.records
    assert record.levelno == level
    assert "the number" in record.getMessage()


async def test_caller_leaves() -> None:
    """The others still get the value."""
    source = Source()
    shared = value(source)
    first, second = (asyncio.create_task(shared.current()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 1
