"""Who waits for whom: lanes of calls to drivers.

A driver handles two calls at a time (its executor grows only when an unbounded queue is full), and two stuck ones block
even its ping. So each kind of call has a lane of its own with as many places as its drivers have threads for it, and a
driver with a call past its deadline is replaced.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Sequence
from dataclasses import dataclass

from yarnspawner.skein_driver.driver_slots import DriverSlot, seen
from yarnspawner.skein_driver.drivers import Driver
from yarnspawner.skein_driver.rpc import ClusterUnavailable, Request


class CallQueue:
    """Calls of one kind: at most ``width`` at a time to each of its drivers, while the others wait in order.

    A lane may borrow from another one: where all of its own places are taken, a call has one of the other's that nobody
    there waits for.
    """

    def __init__(
        self, seats: Sequence[DriverSlot], width: int, *, wears: bool = False, borrows_from: CallQueue | None = None
    ) -> None:
        """Take the seats of the drivers to call; with ``wears``, each call counts towards their replacement."""
        self._wears = wears
        self._held: set[asyncio.Task[None]] = set()
        # Slot by slot in turn, so that two calls go to two drivers.
        self._free = collections.deque(list(seats) * width)
        self._waiting: collections.deque[asyncio.Future[_Place]] = collections.deque()
        self._lender = borrows_from
        self._borrower: CallQueue | None = None
        if borrows_from is not None:
            borrows_from._borrower = self  # noqa: SLF001

    async def call(self, request: Request, timeout: float, *, turn: float | None = None) -> bytes:
        """Wait for a turn, at most ``turn`` or else ``timeout`` seconds; call, for at most ``timeout`` seconds.

        When the caller is cancelled the call goes on: the driver would not stop working on it. Raises ClusterUnavailable,
        RpcError.
        """
        return await asyncio.shield(await self.start(request, timeout, turn=turn or timeout))

    async def start(
        self, request: Request, timeout: float, *, turn: float | None = None, patience: float = 0
    ) -> asyncio.Task[bytes]:
        """Wait for a turn, at most ``turn`` seconds, and start the call in a task of its own, which is returned.

        After ``timeout`` seconds the driver counts as stuck and another one takes its place, but the call may go on until
        ``patience`` seconds have passed. Cancelled before that task exists, nothing was sent. Raises ClusterUnavailable.
        """
        place = await self._turn(turn)
        if place is None:
            raise ClusterUnavailable(
                f"{request.method} had no turn within {turn:g} s; earlier calls to YARN still wait"
            )
        try:
            # That of the others is soon known from the call itself.
            driver = await (place.seat.healthy_driver() if patience else place.seat.driver())
        except BaseException:
            place.give_back()
            raise
        call = asyncio.create_task(place.seat.call(driver, request, max(timeout, patience)))
        call.add_done_callback(seen)
        holding = asyncio.create_task(self._hold(place, driver, request, call, timeout))
        self._held.add(holding)
        holding.add_done_callback(self._held.discard)
        return call

    async def _hold(
        self, place: _Place, driver: Driver, request: Request, call: asyncio.Task[bytes], timeout: float
    ) -> None:
        """Keep the place until the call has ended or its time is over."""
        await asyncio.wait({call}, timeout=timeout)
        if not call.done():
            place.seat.overdue(driver, request, timeout)
        elif self._wears:
            place.seat.use_count(driver)
        place.give_back()

    async def _turn(self, seconds: float | None) -> _Place | None:
        """A place for a call, None if none was free for so long."""
        if self._free:
            return _Place(self._free.popleft(), self)
        if self._lender is not None and (place := self._lender.lend()):
            return place
        turn: asyncio.Future[_Place] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait({turn}, timeout=seconds)
        except asyncio.CancelledError:
            if turn.done():
                turn.result().give_back()
            raise
        finally:
            if not turn.done():
                turn.cancel()
        return None if turn.cancelled() else turn.result()

    def lend(self) -> _Place | None:
        """A place that is free now and has a driver that runs."""
        for seat in self._free:
            if seat.ready:
                self._free.remove(seat)
                return _Place(seat, self)
        return None

    def take(self, place: _Place) -> bool:
        """Give a place to who waits longest; whether anybody waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(place)
                return True
        return False

    def take_back(self, seat: DriverSlot) -> None:
        """Let a place go to the next call of this lane, then to one of the lane that borrows."""
        place = _Place(seat, self)
        if not self.take(place) and not (self._borrower and seat.ready and self._borrower.take(place)):
            self._free.append(seat)


@dataclass(frozen=True)
class _Place:
    """One of a driver's threads, for one call."""

    seat: DriverSlot
    lane: CallQueue

    def give_back(self) -> None:
        self.lane.take_back(self.seat)
