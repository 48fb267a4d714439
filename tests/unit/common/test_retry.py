"""Background loops survive thousands of failures, log them once, and recover."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from yarnspawner.common.protocol import Address, StopRequest
from yarnspawner.common.retry import Retry
from yarnspawner.diagnosis.explain import explain_outage
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache
from yarnspawner.singleuser import stop_watcher as watch_closely
from yarnspawner.singleuser.stop_watcher import StopWatcher
from yarnspawner.singleuser.store import StoreError
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report
from yarnspawner.skein_driver import driver_slots as seats
from yarnspawner.skein_driver.driver_slots import DriverSlot
from yarnspawner.skein_driver.rpc import DriverEnded
from yarnspawner.yarn.orphan_reaper import ReaperLoop
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.terminator import ApplicationTerminator

MANY = 5000
ID = "application_1_0001"
LOG = logging.getLogger("test.retry")


class Yarn(SimpleNamespace):
    """A cluster that can be a key."""

    __hash__ = object.__hash__


class Failing:
    """Raises two kinds of errors in turn, so many times, and then works."""

    def __init__(self, *errors: Exception, result: Any = None) -> None:
        self.errors = errors
        self.result = result
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        if self.calls <= MANY:
            raise self.errors[self.calls % len(self.errors)]
        return self.result

    async def wait(self, *_: Any, **__: Any) -> Any:
        return self()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are noted, and last no time."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def short(seconds: float, *_: Any) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", short)
    return pauses


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_pauses_grow_to_their_limit_and_start_again() -> None:
    """Pauses double with jitter, stay below the limit, and are short again after a success."""
    retry = Retry(None, "", first=1, longest=30)
    pauses = [retry.failed(OSError()) for _ in range(MANY)]
    assert all(0.9 * 2**n <= pause <= 2**n for n, pause in enumerate(pauses[:5]))
    assert all(27 <= pause <= 30 for pause in pauses[5:])
    assert len(set(pauses)) > MANY / 2
    retry.succeeded()
    assert (retry.failures, retry.pause, retry.since) == (0, 0, None)
    assert retry.failed(OSError()) <= 1


def test_failures_and_recovery_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An outage is one message, a surprise one with its traceback, and the recovery one."""
    retry = Retry(LOG, "It failed", recovered="It works", expected=OSError)
    for error in [OSError("away"), KeyError("surprise")] * MANY:
        with retry.attempt():
            raise error
    with retry.attempt():
        pass
    *failures, recovery = warnings(caplog)
    assert failures == ["It failed: away", "It failed: KeyError('surprise')"]
    assert recovery.startswith("It works, after ")
    assert [bool(record.exc_info) for record in caplog.records if record.levelno >= logging.WARNING] == [0, 1, 0]


def test_cancellation_ends_a_loop() -> None:
    """An attempt suppresses no cancellation."""
    with pytest.raises(asyncio.CancelledError), Retry(LOG, "").attempt():
        raise asyncio.CancelledError


async def test_the_view_survives(no_pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """The view of the applications sees an end after 5,000 lists that failed in two ways."""
    lists = Failing(ClusterUnavailable("away"), KeyError("surprise"), result=[])

    async def report(_: str) -> Report:
        return Report(ID, state="KILLED", final_status="KILLED")

    view = ApplicationReflector(Yarn(active=lists.wait, report=report), fast=1e-5, slow=1e-5, log=LOG)  # type: ignore[arg-type]
    ended = asyncio.Event()
    view.watch(ID, on_end=ended.set)
    await asyncio.wait_for(ended.wait(), 60)
    assert len(warnings(caplog)) == 3
    await view.close()


async def test_the_view_survives_a_report_that_raises(no_pauses: list[float]) -> None:
    """What goes wrong with one application's report delays no other's end."""

    async def active() -> list[Report]:
        return []

    async def report(application_id: str) -> Report:
        if application_id == ID:
            raise KeyError("surprise")
        return Report(application_id, state="KILLED", final_status="KILLED")

    view = ApplicationReflector(Yarn(active=active, report=report), fast=1e-5, slow=1e-5, log=LOG)  # type: ignore[arg-type]
    ended = asyncio.Event()
    view.watch(ID)
    view.watch("application_1_0002", on_end=ended.set)
    await asyncio.wait_for(ended.wait(), 10)
    await view.close()


async def test_a_seat_survives(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Callers get ClusterUnavailable at each of 5,000 driver starts that fail, and then a driver."""
    monkeypatch.setattr(seats, "_LONGEST_PAUSE", 0.0)
    driver = SimpleNamespace(alive=True, pid=1)
    start = Failing(ClusterUnavailable("The YARN driver did not start: no KDC"), OSError("no memory"), result=driver)
    seat = DriverSlot(start.wait, LOG, worn_out_after=200)
    for _ in range(MANY):
        with pytest.raises(ClusterUnavailable):
            await seat.driver()
    assert await seat.driver() is driver  # type: ignore[comparison-overlap]
    assert len(warnings(caplog)) == 3


async def test_a_seat_waits_no_longer_than_its_limit() -> None:
    """The pause between driver starts never exceeds 30 seconds."""
    seat = DriverSlot(Failing(ClusterUnavailable("away")).wait, LOG, worn_out_after=200)
    assert seat._pause("away") == 0
    pauses = [seat._pause("away") for _ in range(MANY)]
    assert 1.8 <= pauses[0] <= 2
    assert 27 <= pauses[-1] <= 30


@pytest.mark.parametrize("error", [ClusterUnavailable("away"), ClusterRefused("no"), KeyError("surprise")])
async def test_kills_survive(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """An application is killed in the end, whatever 5,000 kills raised."""
    kill = Failing(error)
    yarn: Any = SimpleNamespace(kill=kill.wait)

    async def status(_: str) -> Any:
        return SimpleNamespace(ended=kill.calls > MANY, report=None)

    async def ended(_: str, timeout: float) -> bool:
        await asyncio.sleep(0)
        return False

    async def look(_: str) -> None:
        pass

    @contextlib.contextmanager
    def watch_closely(_: str, *, closely: bool = True) -> Iterator[None]:
        yield

    yarn.status, yarn.ended, yarn.look, yarn.watch_closely = status, ended, look, watch_closely
    await asyncio.wait_for(ApplicationTerminator(yarn, yarn, log=LOG).end(ID, "alice"), 60)
    assert kill.calls == MANY + 1
    assert len(warnings(caplog)) == 2


async def test_the_sweeper_survives(no_pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """A sweep succeeds after 5,000 that failed in two ways."""
    sweep = Failing(ClusterUnavailable("away"), KeyError("surprise"))
    sweeper = ReaperLoop(SimpleNamespace(run=sweep.wait), grace=0, interval=0, log=LOG)  # type: ignore[arg-type]
    sweeper.start()
    assert sweeper._task is not None
    await asyncio.wait_for(sweeper._task, 60)
    assert sweep.calls == MANY + 1
    assert max(no_pauses) <= 30
    assert len(warnings(caplog)) == 1


async def test_a_ticket_cache_survives(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ticket is used through 5,000 failed renewals, of which one is logged."""
    cache = TicketCache("hub", "hub.keytab", log=LOG)
    cache.path.touch()
    kinit = Failing(KerberosError("no KDC"))
    monkeypatch.setattr(cache, "_kinit", kinit.wait)
    for _ in range(MANY + 1):
        cache._due = 0.0
        assert (await cache.environment())["KRB5CCNAME"] == str(cache.path)
    assert kinit.calls == MANY + 1
    assert len(warnings(caplog)) == 2
    cache.close()


def test_the_servers_watcher_survives(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A server is stopped by a request that comes after 5,000 looks that raised."""
    put = Failing(StoreError("away"), KeyError("surprise"))
    request = StopRequest("The hub stops the server.", 10.0).to_bytes()
    get = Failing(KeyError("surprise"), result=request)
    monkeypatch.setattr(watch_closely, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 0.0))
    monkeypatch.setattr(watch_closely.threading, "Timer", lambda *_: SimpleNamespace(start=lambda: None))
    stopped: list[float] = []
    store: Any = SimpleNamespace(put=lambda *_: put(), get=lambda _: get())
    watcher = StopWatcher(store, Address("http", "worker", 8888), lambda: stopped.append(time.monotonic()), LOG)
    watcher.run()
    assert stopped
    assert (put.calls, get.calls) == (MANY + 1, MANY + 1)
    assert len([line for line in warnings(caplog) if "watch over" in line]) == 1


async def test_drivers_that_always_end_are_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    """After three in a row, callers and the log get the first one's error; a driver that serves clears it."""
    ends = DriverEnded("The YARN driver did not start: java.lang.IllegalAccessException: no access", "the whole trace")
    seat = DriverSlot(Failing(ends).wait, LOG, worn_out_after=200)
    for number in range(1, 6):
        seat._not_before = 0.0
        with pytest.raises(ClusterUnavailable) as raised:
            await seat.driver()
        diagnosis, passes = explain_outage(raised.value)
        assert passes is (number < 3)
        assert ("IllegalAccessException: no access" in diagnosis.cause) is (number >= 3)
    assert caplog.text.count("the whole trace") == 1
    seat._served()
    seat._not_before = 0.0
    with pytest.raises(ClusterUnavailable) as raised:
        await seat.driver()
    assert explain_outage(raised.value)[1]
