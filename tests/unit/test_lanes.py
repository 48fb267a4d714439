"""Who has which driver's place: lanes on seats of this test, whose calls end when it says so."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from yarnspawner.cluster import ClusterUnavailable, lanes
from yarnspawner.cluster.calls import Request
from yarnspawner.cluster.lanes import Lane


class Seat:
    """A driver's place whose calls go on until :meth:`answer`."""

    def __init__(self) -> None:
        self.ready = True
        self.calls: dict[str, asyncio.Future[bytes]] = {}
        self.worn = 0

    async def driver(self) -> Any:
        return SimpleNamespace()

    async def call(self, driver: Any, request: Request, timeout: float) -> bytes:
        self.calls[request.method] = asyncio.get_running_loop().create_future()
        return await self.calls[request.method]

    def wear(self, driver: Any) -> None:
        self.worn += 1

    async def answer(self, method: str) -> None:
        self.calls.pop(method).set_result(b"")
        await settled()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def ask(lane: Lane, method: str, turn: float = 60) -> asyncio.Task[bytes]:
    return asyncio.create_task(lane.call(Request(method, b""), 60, turn=turn))


@pytest.fixture
def control() -> Seat:
    return Seat()


@pytest.fixture
def submitter() -> Seat:
    return Seat()


@pytest.fixture
def submissions(submitter: Seat) -> Lane:
    return Lane([submitter], 2, wears=True)  # type: ignore[list-item]


@pytest.fixture
def kills(control: Seat, submissions: Lane) -> Lane:
    return Lane([control], 1, wears=True, borrows_from=submissions)  # type: ignore[list-item]


async def test_kills_have_the_places_of_submissions_that_nobody_waits_for(
    kills: Lane, control: Seat, submitter: Seat
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
    kills: Lane, submissions: Lane, control: Seat, submitter: Seat
) -> None:
    for number in range(4):
        ask(kills, f"kill {number}")
    await settled()
    ask(submissions, "submit")
    await submitter.answer("kill 1")
    assert list(submitter.calls) == ["kill 2", "submit"]
    await control.answer("kill 0")
    assert list(control.calls) == ["kill 3"]


async def test_submissions_never_have_the_place_of_kills(submissions: Lane, control: Seat, submitter: Seat) -> None:
    for number in range(3):
        ask(submissions, f"submit {number}")
    await settled()
    assert (len(submitter.calls), len(control.calls)) == (2, 0)


async def test_no_kill_waits_for_a_driver_that_does_not_run(kills: Lane, control: Seat, submitter: Seat) -> None:
    submitter.ready = False
    ask(kills, "kill 0")
    ask(kills, "kill 1")
    await settled()
    assert (len(submitter.calls), len(control.calls)) == (0, 1)
    await control.answer("kill 0")
    assert list(control.calls) == ["kill 1"]


async def test_who_gave_up_waiting_takes_nobodys_place(kills: Lane, control: Seat, submitter: Seat) -> None:
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


async def test_a_cancelled_caller_leaves_its_call_to_the_driver(kills: Lane, control: Seat) -> None:
    """The driver goes on working on a call, so the call keeps its place until it has ended."""
    asked = ask(kills, "kill")
    await settled()
    asked.cancel()
    await settled()
    assert asked.cancelled()
    assert not control.calls["kill"].cancelled()
    assert not kills._free


async def test_a_cancelled_wait_is_cancelled_and_gives_its_turn_back(kills: Lane, control: Seat) -> None:
    """A caller that is cancelled in the moment in which its turn comes keeps no place."""
    control.ready = False
    lane = Lane([control], 1)  # type: ignore[list-item]
    ask(lane, "first")
    await settled()
    waiting = ask(lane, "second")
    await settled()
    assert lane._waiting
    lane._waiting[0].add_done_callback(lambda _: waiting.cancel())
    await control.answer("first")
    assert waiting.cancelled()
    assert list(lane._free) == [control]


async def test_a_place_is_not_lent_before_its_driver_runs(kills: Lane, submissions: Lane, submitter: Seat) -> None:
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


class Driver:
    """A driver that runs."""

    alive = True
    pid = 1
    calls_in_flight = 0
    on_exit = None

    async def close(self) -> None:
        self.alive = False


def real_seat(started: list[Driver], worn_out_after: int = 3) -> lanes.Seat:
    async def start() -> Any:
        started.append(Driver())
        return started[-1]

    return lanes.Seat(start, logging.getLogger("test"), worn_out_after=worn_out_after)


async def test_a_seat_is_ready_while_its_driver_runs() -> None:
    """A seat without a driver is not ready."""
    seat = real_seat([])
    assert seat.ready is False
    driver = await seat.driver()
    assert seat.ready is True
    await driver.close()
    assert seat.ready is False
    await seat.close()


async def test_a_driver_is_replaced_when_it_is_worn_out_and_not_before() -> None:
    """The next driver starts after the last of so many calls."""
    started: list[Driver] = []
    seat = real_seat(started)
    driver = await seat.driver()
    for count in (1, 1, 2):
        seat.wear(driver)
        await settled()
        assert len(started) == count
    await seat.close()


async def test_fruitless_starts_become_rarer_down_to_two_a_minute() -> None:
    """The first failure is retried at once; the pause then doubles up to 30 seconds."""
    seat = real_seat([])
    pauses = [seat._pause("YARN is away") for _ in range(8)]
    assert pauses[:5] == sorted(pauses[:5])
    assert pauses[0] == 0 and 0 < pauses[1] <= 2 and 15 <= pauses[-1] <= 45, pauses
    await seat.close()
