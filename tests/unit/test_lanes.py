"""Who has which driver's place: lanes on seats of this test, whose calls end when it says so."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from yarnspawner.cluster import ClusterUnavailable
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
