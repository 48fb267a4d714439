"""Queues of calls to drivers, with stand-ins for the driver slots."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from yarnspawner.skein_driver import ClusterUnavailable
from yarnspawner.skein_driver.call_queue import CallQueue
from yarnspawner.skein_driver.rpc import Request


class DriverSlot:
    """A slot whose calls last until `answer`."""

    def __init__(self) -> None:
        self.ready = True
        self.calls: dict[str, asyncio.Future[bytes]] = {}
        self.counted = 0
        self.first_driver, self.healthy = SimpleNamespace(), SimpleNamespace()
        self.error: Exception | None = None
        self.called: list[tuple[Any, str, float]] = []
        self.late: list[tuple[Any, str, float]] = []

    async def driver(self) -> Any:
        if self.error:
            raise self.error
        return self.first_driver

    async def healthy_driver(self) -> Any:
        return self.healthy

    async def call(self, driver: Any, request: Request, timeout: float) -> bytes:
        self.called.append((driver, request.method, timeout))
        self.calls[request.method] = asyncio.get_running_loop().create_future()
        return await self.calls[request.method]

    def mark_unresponsive(self, driver: Any, request: Request, timeout: float) -> None:
        self.late.append((driver, request.method, timeout))

    def count_call(self, driver: Any) -> None:
        assert driver in (self.first_driver, self.healthy)
        self.counted += 1

    async def answer(self, method: str) -> None:
        self.calls.pop(method).set_result(b"")
        await settled()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def ask(queue: CallQueue, method: str, queue_timeout: float = 60) -> asyncio.Task[bytes]:
    return asyncio.create_task(queue.call(Request(method, b""), 60, queue_timeout=queue_timeout))


@pytest.fixture
def control() -> DriverSlot:
    return DriverSlot()


@pytest.fixture
def submitter() -> DriverSlot:
    return DriverSlot()


@pytest.fixture
def submissions(submitter: DriverSlot) -> CallQueue:
    return CallQueue([submitter], 2, counts_calls=True)  # type: ignore[list-item]


@pytest.fixture
def kills(control: DriverSlot, submissions: CallQueue) -> CallQueue:
    return CallQueue([control], 1, counts_calls=True, borrows_from=submissions)  # type: ignore[list-item]


async def test_kills_borrow_idle_leases(kills: CallQueue, control: DriverSlot, submitter: DriverSlot) -> None:
    """Kills use the submission driver while no submission waits."""
    asked = [ask(kills, f"kill {number}") for number in range(4)]
    await settled()
    assert list(control.calls) == ["kill 0"]
    assert list(submitter.calls) == ["kill 1", "kill 2"]
    await submitter.answer("kill 2")
    assert list(submitter.calls) == ["kill 1", "kill 3"]
    for slot, kill in ((control, 0), (submitter, 1), (submitter, 3)):
        await slot.answer(f"kill {kill}")
    await asyncio.gather(*asked)
    assert (control.counted, submitter.counted) == (1, 3)


async def test_submission_before_kills(
    kills: CallQueue, submissions: CallQueue, control: DriverSlot, submitter: DriverSlot
) -> None:
    """A waiting submission gets a released lease before a waiting kill."""
    for number in range(4):
        ask(kills, f"kill {number}")
    await settled()
    ask(submissions, "submit")
    await submitter.answer("kill 1")
    assert list(submitter.calls) == ["kill 2", "submit"]
    await control.answer("kill 0")
    assert list(control.calls) == ["kill 3"]


async def test_submissions_do_not_borrow(submissions: CallQueue, control: DriverSlot, submitter: DriverSlot) -> None:
    """Submissions never use the driver for kills."""
    for number in range(3):
        ask(submissions, f"submit {number}")
    await settled()
    assert (len(submitter.calls), len(control.calls)) == (2, 0)


async def test_no_lease_on_stopped_driver(kills: CallQueue, control: DriverSlot, submitter: DriverSlot) -> None:
    """A kill does not borrow a lease on a driver that does not run."""
    submitter.ready = False
    ask(kills, "kill 0")
    ask(kills, "kill 1")
    await settled()
    assert (len(submitter.calls), len(control.calls)) == (0, 1)
    await control.answer("kill 0")
    assert list(control.calls) == ["kill 1"]


async def test_abandoned_waits_keep_no_lease(kills: CallQueue, control: DriverSlot, submitter: DriverSlot) -> None:
    """Waits that timed out or were cancelled are skipped."""
    submitter.ready = False
    ask(kills, "kill 0")
    await settled()
    with pytest.raises(ClusterUnavailable, match="in the queue"):
        await ask(kills, "kill 1", queue_timeout=0.01)
    cancelled = ask(kills, "kill 2")
    await settled()
    cancelled.cancel()
    await settled()
    ask(kills, "kill 3")
    await control.answer("kill 0")
    assert list(control.calls) == ["kill 3"]


async def test_cancelled_call_keeps_lease(kills: CallQueue, control: DriverSlot) -> None:
    """The driver continues a cancelled call, so its lease is kept until then."""
    asked = ask(kills, "kill")
    await settled()
    asked.cancel()
    await settled()
    assert asked.cancelled()
    assert not control.calls["kill"].cancelled()
    assert not kills._idle


async def test_cancelled_wait_returns_lease(kills: CallQueue, control: DriverSlot) -> None:
    """A caller that is cancelled when it gets its lease returns the lease."""
    control.ready = False
    queue = CallQueue([control], 1)  # type: ignore[list-item]
    ask(queue, "first")
    await settled()
    waiting = ask(queue, "second")
    await settled()
    assert queue._waiting
    queue._waiting[0].add_done_callback(lambda _: waiting.cancel())
    await control.answer("first")
    assert waiting.cancelled()
    assert list(queue._idle) == [control]


async def test_released_lease_is_not_lent(kills: CallQueue, submissions: CallQueue, submitter: DriverSlot) -> None:
    """A released lease is not lent while its driver does not run."""
    ask(submissions, "submit 0")
    ask(submissions, "submit 1")
    ask(kills, "kill 0")
    ask(kills, "kill 1")
    await settled()
    submitter.ready = False
    await submitter.answer("submit 0")
    assert "kill 1" not in submitter.calls
    assert list(submissions._idle) == [submitter]


async def test_late_call_releases_lease(kills: CallQueue, control: DriverSlot, submitter: DriverSlot) -> None:
    """An unresponsive driver is replaced, but its call may still finish."""
    submitter.ready = False
    call = await kills.start(Request("kill 0", b""), 0.05, late_timeout=600)
    ask(kills, "kill 1")
    await settled()
    assert list(control.calls) == ["kill 0"]
    await asyncio.sleep(0.1)
    await settled()
    assert control.late == [(control.healthy, "kill 0", 0.05)]
    assert list(control.calls) == ["kill 0", "kill 1"]
    assert control.called == [(control.healthy, "kill 0", 600), (control.first_driver, "kill 1", 60)]
    await control.answer("kill 0")
    assert await call == b""
    assert control.counted == 0


async def test_failed_start_releases_lease(control: DriverSlot) -> None:
    """A driver that does not start does not block the queue."""
    control.error = ClusterUnavailable("no java")
    queue = CallQueue([control], 1)  # type: ignore[list-item]
    for number in range(2):
        with pytest.raises(ClusterUnavailable, match="no java"):
            await ask(queue, f"list {number}", queue_timeout=0.05)
    control.error = None
    ask(queue, "list 2")
    await settled()
    await control.answer("list 2")
    assert control.counted == 0


async def test_two_calls_go_to_two_drivers(control: DriverSlot, submitter: DriverSlot) -> None:
    """A driver gets a second call only after every other driver has one."""
    queue = CallQueue([control, submitter], 2)  # type: ignore[list-item]
    for number in range(3):
        ask(queue, f"list {number}")
    await settled()
    assert [list(slot.calls) for slot in (control, submitter)] == [["list 0", "list 2"], ["list 1"]]


async def test_queue_timeout(control: DriverSlot) -> None:
    """By default, the call's timeout also limits the wait in the queue."""
    queue = CallQueue([control], 1)  # type: ignore[list-item]
    ask(queue, "first")
    await settled()
    with pytest.raises(ClusterUnavailable, match=r"second waited 0\.05 s in the queue"):
        await asyncio.wait_for(queue.call(Request("second", b""), 0.05), 5)
    with pytest.raises(ClusterUnavailable, match=r"third waited 0\.1 s in the queue"):
        await asyncio.wait_for(queue.call(Request("third", b""), 60, queue_timeout=0.1), 5)
