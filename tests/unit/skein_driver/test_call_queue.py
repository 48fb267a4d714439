"""Who has which driver's place: lanes on seats of this test, whose calls end when it says so."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from yarnspawner.skein_driver import ClusterUnavailable
from yarnspawner.skein_driver.call_queue import CallQueue
from yarnspawner.skein_driver.rpc import Request


class DriverSlot:
    """A driver's place whose calls go on until :meth:`answer`."""

    def __init__(self) -> None:
        self.ready = True
        self.calls: dict[str, asyncio.Future[bytes]] = {}
        self.worn = 0
        self.any_driver, self.sound = SimpleNamespace(), SimpleNamespace()
        self.error: Exception | None = None
        self.called: list[tuple[Any, str, float]] = []
        self.late: list[tuple[Any, str, float]] = []

    async def driver(self) -> Any:
        if self.error:
            raise self.error
        return self.any_driver

    async def healthy_driver(self) -> Any:
        return self.sound

    async def call(self, driver: Any, request: Request, timeout: float) -> bytes:
        self.called.append((driver, request.method, timeout))
        self.calls[request.method] = asyncio.get_running_loop().create_future()
        return await self.calls[request.method]

    def overdue(self, driver: Any, request: Request, timeout: float) -> None:
        self.late.append((driver, request.method, timeout))

    def use_count(self, driver: Any) -> None:
        assert driver in (self.any_driver, self.sound)
        self.worn += 1

    async def answer(self, method: str) -> None:
        self.calls.pop(method).set_result(b"")
        await settled()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def ask(lane: CallQueue, method: str, turn: float = 60) -> asyncio.Task[bytes]:
    return asyncio.create_task(lane.call(Request(method, b""), 60, turn=turn))


@pytest.fixture
def control() -> DriverSlot:
    return DriverSlot()


@pytest.fixture
def submitter() -> DriverSlot:
    return DriverSlot()


@pytest.fixture
def submissions(submitter: DriverSlot) -> CallQueue:
    return CallQueue([submitter], 2, wears=True)  # type: ignore[list-item]


@pytest.fixture
def kills(control: DriverSlot, submissions: CallQueue) -> CallQueue:
    return CallQueue([control], 1, wears=True, borrows_from=submissions)  # type: ignore[list-item]


async def test_kills_have_the_places_of_submissions_that_nobody_waits_for(
    kills: CallQueue, control: DriverSlot, submitter: DriverSlot
) -> None:
    asked = [ask(kills, f"kill {number}") for number in range(4)]
    await settled()
    assert list(control.calls) == ["kill 0"]
    assert list(submitter.calls) == ["kill 1", "kill 2"]
    await submitter.answer("kill 2")
    assert list(submitter.calls) == ["kill 1", "kill 3"]
    for seat, kill in ((control, 0), (submitter, 1), (submitter, 3)):
        await seat.answer(f"kill {kill}")
    await asyncio.gather(*asked)
    assert (control.worn, submitter.worn) == (1, 3)


async def test_a_submission_comes_before_the_kills_that_borrow(
    kills: CallQueue, submissions: CallQueue, control: DriverSlot, submitter: DriverSlot
) -> None:
    for number in range(4):
        ask(kills, f"kill {number}")
    await settled()
    ask(submissions, "submit")
    await submitter.answer("kill 1")
    assert list(submitter.calls) == ["kill 2", "submit"]
    await control.answer("kill 0")
    assert list(control.calls) == ["kill 3"]


async def test_submissions_never_have_the_place_of_kills(
    submissions: CallQueue, control: DriverSlot, submitter: DriverSlot
) -> None:
    for number in range(3):
        ask(submissions, f"submit {number}")
    await settled()
    assert (len(submitter.calls), len(control.calls)) == (2, 0)


async def test_no_kill_waits_for_a_driver_that_does_not_run(
    kills: CallQueue, control: DriverSlot, submitter: DriverSlot
) -> None:
    submitter.ready = False
    ask(kills, "kill 0")
    ask(kills, "kill 1")
    await settled()
    assert (len(submitter.calls), len(control.calls)) == (0, 1)
    await control.answer("kill 0")
    assert list(control.calls) == ["kill 1"]


async def test_who_gave_up_waiting_takes_nobodys_place(
    kills: CallQueue, control: DriverSlot, submitter: DriverSlot
) -> None:
    submitter.ready = False
    ask(kills, "kill 0")
    await settled()
    with pytest.raises(ClusterUnavailable, match="no turn"):
        await ask(kills, "kill 1", turn=0.01)
    cancelled = ask(kills, "kill 2")
    await settled()
    cancelled.cancel()
    await settled()
    ask(kills, "kill 3")
    await control.answer("kill 0")
    assert list(control.calls) == ["kill 3"]


async def test_a_cancelled_caller_leaves_its_call_to_the_driver(kills: CallQueue, control: DriverSlot) -> None:
    """The driver goes on working on a call, so the call keeps its place until it has ended."""
    asked = ask(kills, "kill")
    await settled()
    asked.cancel()
    await settled()
    assert asked.cancelled()
    assert not control.calls["kill"].cancelled()
    assert not kills._free


async def test_a_cancelled_wait_is_cancelled_and_gives_its_turn_back(kills: CallQueue, control: DriverSlot) -> None:
    """A caller that is cancelled in the moment in which its turn comes keeps no place."""
    control.ready = False
    lane = CallQueue([control], 1)  # type: ignore[list-item]
    ask(lane, "first")
    await settled()
    waiting = ask(lane, "second")
    await settled()
    assert lane._waiting
    lane._waiting[0].add_done_callback(lambda _: waiting.cancel())
    await control.answer("first")
    assert waiting.cancelled()
    assert list(lane._free) == [control]


async def test_a_place_is_not_lent_before_its_driver_runs(
    kills: CallQueue, submissions: CallQueue, submitter: DriverSlot
) -> None:
    """A kill does not wait for a driver of submissions to start."""
    ask(submissions, "submit 0")
    ask(submissions, "submit 1")
    ask(kills, "kill 0")
    ask(kills, "kill 1")
    await settled()
    submitter.ready = False
    await submitter.answer("submit 0")
    assert "kill 1" not in submitter.calls
    assert list(submissions._free) == [submitter]


async def test_a_call_past_its_deadline_gives_its_place_to_the_next(
    kills: CallQueue, control: DriverSlot, submitter: DriverSlot
) -> None:
    """A stuck driver is replaced, and a patient caller may still get the answer."""
    submitter.ready = False
    call = await kills.start(Request("kill 0", b""), 0.05, patience=600)
    ask(kills, "kill 1")
    await settled()
    assert list(control.calls) == ["kill 0"]
    await asyncio.sleep(0.1)
    await settled()
    assert control.late == [(control.sound, "kill 0", 0.05)]
    assert list(control.calls) == ["kill 0", "kill 1"]
    assert control.called == [(control.sound, "kill 0", 600), (control.any_driver, "kill 1", 60)]
    await control.answer("kill 0")
    assert await call == b""
    assert control.worn == 0


async def test_a_driver_that_cannot_be_started_costs_no_place(control: DriverSlot) -> None:
    """The next caller does not wait for one whose driver did not start."""
    control.error = ClusterUnavailable("no java")
    lane = CallQueue([control], 1)  # type: ignore[list-item]
    for number in range(2):
        with pytest.raises(ClusterUnavailable, match="no java"):
            await ask(lane, f"list {number}", turn=0.05)
    control.error = None
    ask(lane, "list 2")
    await settled()
    await control.answer("list 2")
    assert control.worn == 0


async def test_two_calls_go_to_two_drivers(control: DriverSlot, submitter: DriverSlot) -> None:
    """A driver has a second call only if every other one has a first."""
    lane = CallQueue([control, submitter], 2)  # type: ignore[list-item]
    for number in range(3):
        ask(lane, f"list {number}")
    await settled()
    assert [list(seat.calls) for seat in (control, submitter)] == [["list 0", "list 2"], ["list 1"]]


async def test_a_caller_waits_for_its_turn_no_longer_than_for_the_answer(control: DriverSlot) -> None:
    """The time for the call limits the wait as well if a caller sets no other limit."""
    lane = CallQueue([control], 1)  # type: ignore[list-item]
    ask(lane, "first")
    await settled()
    with pytest.raises(ClusterUnavailable, match=r"second had no turn within 0\.05 s"):
        await asyncio.wait_for(lane.call(Request("second", b""), 0.05), 5)
    with pytest.raises(ClusterUnavailable, match=r"third had no turn within 0\.1 s"):
        await asyncio.wait_for(lane.call(Request("third", b""), 60, turn=0.1), 5)
