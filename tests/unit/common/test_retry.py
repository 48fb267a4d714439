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
from yarnspawner.singleuser import stop_watcher
from yarnspawner.singleuser.stop_watcher import StopWatcher
from yarnspawner.singleuser.store import StoreError
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report, driver_slots
from yarnspawner.skein_driver.driver_slots import DriverSlot
from yarnspawner.skein_driver.rpc import DriverExited
from yarnspawner.yarn.orphan_reaper import ReaperLoop
from yarnspawner.yarn.reflector import ApplicationReflector
from yarnspawner.yarn.terminator import ApplicationTerminator

MANY = 5000
ID = "application_1_0001"
LOG = logging.getLogger("test.retry")


class Yarn(SimpleNamespace):
    """A hashable stand-in for the cluster client."""

    __hash__ = object.__hash__


class Failing:
    """Raise the given errors in turn, `MANY` times, then return the result."""

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
    """Record pauses instead of sleeping."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def short(seconds: float, *_: Any) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", short)
    return pauses


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_pauses() -> None:
    """Pauses double with jitter up to the limit, and start again after a success."""
    retry = Retry(None, "", first=1, longest=30)
    pauses = [retry.failed(OSError()) for _ in range(MANY)]
    assert all(0.9 * 2**n <= pause <= 2**n for n, pause in enumerate(pauses[:5]))
    assert all(27 <= pause <= 30 for pause in pauses[5:])
    assert len(set(pauses)) > MANY / 2
    retry.succeeded()
    assert (retry.failures, retry.pause, retry.since) == (0, 0, None)
    assert retry.failed(OSError()) <= 1


def test_failures_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each exception type is logged once, unexpected ones with traceback, and the recovery once."""
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


def test_cancellation_passes() -> None:
    """An attempt does not suppress cancellation."""
    with pytest.raises(asyncio.CancelledError), Retry(LOG, "").attempt():
        raise asyncio.CancelledError


async def test_reflector_failed_lists(no_pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """The reflector reports an application's end after 5,000 failed lists."""
    lists = Failing(ClusterUnavailable("away"), KeyError("surprise"), result=[])

    async def report(_: str) -> Report:
        return Report(ID, state="KILLED", final_status="KILLED")

    reflector = ApplicationReflector(Yarn(active=lists.wait, report=report), fast=1e-5, slow=1e-5, log=LOG)  # type: ignore[arg-type]
    ended = asyncio.Event()
    reflector.watch(ID, on_end=ended.set)
    await asyncio.wait_for(ended.wait(), 60)
    assert len(warnings(caplog)) == 3
    await reflector.close()


async def test_reflector_failed_report(no_pauses: list[float]) -> None:
    """One application's failed report does not delay another application's end."""

    async def active() -> list[Report]:
        return []

    async def report(application_id: str) -> Report:
        if application_id == ID:
            raise KeyError("surprise")
        return Report(application_id, state="KILLED", final_status="KILLED")

    reflector = ApplicationReflector(Yarn(active=active, report=report), fast=1e-5, slow=1e-5, log=LOG)  # type: ignore[arg-type]
    ended = asyncio.Event()
    reflector.watch(ID)
    reflector.watch("application_1_0002", on_end=ended.set)
    await asyncio.wait_for(ended.wait(), 10)
    await reflector.close()


async def test_driver_slot_survives(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """After 5,000 failed starts, which raise ClusterUnavailable, callers get a driver."""
    monkeypatch.setattr(driver_slots, "_LONGEST_PAUSE", 0.0)
    driver = SimpleNamespace(alive=True, pid=1)
    start = Failing(ClusterUnavailable("The YARN driver did not start: no KDC"), OSError("no memory"), result=driver)
    slot = DriverSlot(start.wait, LOG, max_calls=200)
    for _ in range(MANY):
        with pytest.raises(ClusterUnavailable):
            await slot.driver()
    assert await slot.driver() is driver  # type: ignore[comparison-overlap]
    assert len(warnings(caplog)) == 3


async def test_driver_slot_pause_limit() -> None:
    """The pause between driver starts is at most 30 seconds."""
    slot = DriverSlot(Failing(ClusterUnavailable("away")).wait, LOG, max_calls=200)
    assert slot._pause("away") == 0
    pauses = [slot._pause("away") for _ in range(MANY)]
    assert 1.8 <= pauses[0] <= 2
    assert 27 <= pauses[-1] <= 30


@pytest.mark.parametrize("error", [ClusterUnavailable("away"), ClusterRefused("no"), KeyError("surprise")])
async def test_kill_is_retried(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """An application is killed after 5,000 failed kills."""
    kill = Failing(error)
    yarn: Any = SimpleNamespace(kill=kill.wait)

    async def status(_: str) -> Any:
        return SimpleNamespace(ended=kill.calls > MANY, report=None)

    async def ended(_: str, timeout: float) -> bool:
        await asyncio.sleep(0)
        return False

    async def refresh_one(_: str) -> None:
        pass

    @contextlib.contextmanager
    def watch_closely(_: str, *, closely: bool = True) -> Iterator[None]:
        yield

    yarn.status, yarn.ended, yarn.refresh_one, yarn.watch_closely = status, ended, refresh_one, watch_closely
    await asyncio.wait_for(ApplicationTerminator(yarn, yarn, log=LOG).terminate(ID, "alice"), 60)
    assert kill.calls == MANY + 1
    assert len(warnings(caplog)) == 2


async def test_reaper_loop_survives(no_pauses: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """A sweep succeeds after 5,000 failed ones."""
    sweep = Failing(ClusterUnavailable("away"), KeyError("surprise"))
    loop = ReaperLoop(SimpleNamespace(run=sweep.wait), grace=0, interval=0, log=LOG)  # type: ignore[arg-type]
    loop.start()
    assert loop._task is not None
    await asyncio.wait_for(loop._task, 60)
    assert sweep.calls == MANY + 1
    assert max(no_pauses) <= 30
    assert len(warnings(caplog)) == 1


async def test_ticket_cache_survives(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ticket is used during 5,000 failed renewals, and one failure is logged."""
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


def test_stop_watcher_survives(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A server stops on request after 5,000 failed reads."""
    put = Failing(StoreError("away"), KeyError("surprise"))
    request = StopRequest("The hub stops the server.", 10.0).to_bytes()
    get = Failing(KeyError("surprise"), result=request)
    monkeypatch.setattr(stop_watcher, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 0.0))
    monkeypatch.setattr(stop_watcher.threading, "Timer", lambda *_: SimpleNamespace(start=lambda: None))

    async def at_once(*_: object) -> None:
        pass

    monkeypatch.setattr(stop_watcher, "asyncio", SimpleNamespace(run=asyncio.run, sleep=at_once))
    stopped: list[float] = []
    watch = SimpleNamespace(active=False, open=Failing(StoreError("away")).wait, close=at_once)
    store: Any = SimpleNamespace(put=lambda *_: put(), get=lambda _: get(), watch=lambda *_: watch)
    watcher = StopWatcher(store, Address("http", "worker", 8888), lambda: stopped.append(time.monotonic()), LOG)
    watcher.run()
    assert stopped
    assert (put.calls, get.calls) == (MANY + 1, MANY + 1)
    assert len([line for line in warnings(caplog) if "watch over" in line]) == 1


async def test_crashing_driver_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    """After three crashes in a row, callers get the driver's own error. A call that succeeds clears it."""
    ends = DriverExited("The YARN driver did not start: java.lang.IllegalAccessException: no access", "the whole trace")
    slot = DriverSlot(Failing(ends).wait, LOG, max_calls=200)
    for number in range(1, 6):
        slot._not_before = 0.0
        with pytest.raises(ClusterUnavailable) as raised:
            await slot.driver()
        diagnosis, passes = explain_outage(raised.value)
        assert passes is (number < 3)
        assert ("IllegalAccessException: no access" in diagnosis.cause) is (number >= 3)
    assert caplog.text.count("the whole trace") == 1
    slot._reset_back_off()
    slot._not_before = 0.0
    with pytest.raises(ClusterUnavailable) as raised:
        await slot.driver()
    assert explain_outage(raised.value)[1]
