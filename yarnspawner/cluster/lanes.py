"""Who waits for whom: lanes of calls to drivers, and the seats in which drivers are replaced.

A driver handles two calls at a time (its executor grows only when an unbounded queue is full), and two stuck ones block
even its ping. So each kind of call has a lane of its own with as many places as its drivers have threads for it, and a
driver with a call past its deadline is replaced.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from yarnspawner.cluster.calls import CallFailed, ClusterUnavailable, Request
from yarnspawner.cluster.drivers import Driver
from yarnspawner.retry import Retry

_LONGEST_PAUSE = 30.0
# Seconds for the ping of a driver that has a thread to spare.
_SIGN_OF_LIFE = 10.0
_NO_TICKET = (
    "The hub has no Kerberos ticket: set its principal and keytab, or run kinit as the hub's account and keep renewing"
)


class DriverLost(ClusterUnavailable):
    """The driver ended during the call. Whether it did what it was asked to is not known."""


class Seat:
    """The place of one driver, where another takes over when it dies, hangs or is worn out.

    - A driver is started when first needed, or by `warm`; all who need it wait for the same start.
    - One that hangs is replaced at once. It may finish what it is doing, but only one such driver is kept beside.
    - One that is worn out goes on until the next is ready, so nobody waits for that start.
    - Starts that do not help (YARN or the KDC is down) become rarer, down to one in 30 seconds.
    """

    def __init__(self, start: Callable[[], Awaitable[Driver]], log: logging.Logger, *, worn_out_after: int) -> None:
        """Take what starts a driver, and after how many wearing calls another one takes over."""
        self._start = start
        self._log = log
        self._worn_out_after = worn_out_after
        self._driver: Driver | None = None
        self._wear = 0
        self._starting: asyncio.Task[Driver] | None = None
        # A first failure is followed by another attempt at once.
        self._pace = Retry(None, "", longest=_LONGEST_PAUSE)
        self._starts = Retry(
            log,
            "No driver for YARN",
            recovered="A driver for YARN was started",
            expected=ClusterUnavailable,
            level=logging.ERROR,
        )
        self._not_before = 0.0
        self._reason = ""
        self._dismissed: Driver | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def driver(self) -> Driver:
        """Return a driver that runs. Raises ClusterUnavailable."""
        if self._driver is not None and self._driver.alive:
            return self._driver
        return await asyncio.shield(self._begin())

    @property
    def ready(self) -> bool:
        """Whether a driver runs."""
        return self._driver is not None and self._driver.alive

    async def sound_driver(self) -> Driver:
        """Return a driver that answers: one that hangs is replaced. Raises ClusterUnavailable.

        For calls that may take minutes, which would find that out only then. The driver must have a thread to spare.
        """
        driver = await self.driver()
        if not await driver.answers(_SIGN_OF_LIFE):
            self._replace(driver, f"it does not answer within {_SIGN_OF_LIFE:g} s")
            driver = await self.driver()
        return driver

    def warm(self) -> None:
        """Start a driver if there is none, without waiting for it. What fails is logged, as it always is."""
        if not self._closed and time.monotonic() >= self._not_before and not (self._driver and self._driver.alive):
            self._begin()

    async def call(self, driver: Driver, request: Request, timeout: float) -> bytes:
        """Call `driver`, and replace it if it does not answer. Raises ClusterUnavailable, CallFailed."""
        try:
            response = await driver.call(request, timeout)
        except CallFailed as failure:
            code = failure.code
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                self.overdue(driver, request, timeout)
                raise ClusterUnavailable(_no_answer(request, timeout)) from failure
            if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                lost = f"The YARN driver was lost during {request.method}"
                self._replace(driver, lost)
                raise DriverLost(lost) from failure
            if code is grpc.StatusCode.UNAUTHENTICATED:
                # It looks for a ticket only when it starts.
                self._replace(driver, _NO_TICKET)
                raise ClusterUnavailable(_NO_TICKET) from failure
            self._pace.succeeded()
            raise
        self._pace.succeeded()
        return response

    def overdue(self, driver: Driver, request: Request, timeout: float) -> None:
        """Let no more calls go to a driver that did not answer in time."""
        self._replace(driver, _no_answer(request, timeout))

    def wear(self, driver: Driver) -> None:
        """Count a call that left something behind in the driver (YARN's clients and file systems for that user)."""
        if driver is not self._driver:
            return
        self._wear += 1
        if self._wear >= self._worn_out_after and self._starting is None and time.monotonic() >= self._not_before:
            self._log.debug("YARN driver %d is worn out; another one follows", driver.pid)
            self._begin()

    async def close(self) -> None:
        """End this seat's drivers, and the one that is being started."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self._driver is not None:
            self._dismiss(self._driver)
        if self._closing:
            await asyncio.wait(self._closing)

    def _begin(self) -> asyncio.Task[Driver]:
        if self._starting is None:
            self._starting = asyncio.create_task(self._take_over())
            self._starting.add_done_callback(self._started)
        return self._starting

    async def _take_over(self) -> Driver:
        if self._closed:
            raise ClusterUnavailable("The hub is shutting down")
        if time.monotonic() < self._not_before:
            raise ClusterUnavailable(self._reason)
        try:
            driver = await self._start()
        except Exception as error:
            self._starts.failed(error)
            reason = (
                str(error) if isinstance(error, ClusterUnavailable) else f"The YARN driver did not start: {error!r}"
            )
            self._pause(reason)
            raise ClusterUnavailable(reason) from error
        self._starts.succeeded()
        driver.on_exit = lambda: self._replace(driver, "it left")
        if self._driver is not None:
            self._dismiss(self._driver)
        self._driver, self._wear, self._reason = driver, 0, ""
        return driver

    def _started(self, task: asyncio.Task[Driver]) -> None:
        self._starting = None
        _seen(task)

    def _replace(self, driver: Driver, reason: str) -> None:
        if driver is not self._driver:
            return
        self._driver = None
        self._log.info("YARN driver %d is replaced: %s", driver.pid, reason)
        self._dismiss(driver)
        if self._pause(reason) == 0:
            self.warm()  # or the next user would wait for a JVM

    def _pause(self, reason: str) -> float:
        """Set how long no driver is started, in seconds: not at all after a first failure, ever longer after more."""
        pause = self._pace.failed(ClusterUnavailable(reason))
        if self._pace.failures == 1:
            pause = 0.0
        self._not_before = time.monotonic() + pause
        self._reason = reason
        return pause

    def _dismiss(self, driver: Driver) -> None:
        self._dismissed = driver  # which closes the one dismissed before
        task = asyncio.create_task(self._close(driver))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, driver: Driver) -> None:
        while driver.calls_in_flight and driver.alive and driver is self._dismissed and not self._closed:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        await driver.close()


class Lane:
    """Calls of one kind: at most ``width`` at a time to each of its drivers, while the others wait in order.

    A lane may borrow from another one: where all of its own places are taken, a call has one of the other's that nobody
    there waits for.
    """

    def __init__(
        self, seats: Sequence[Seat], width: int, *, wears: bool = False, borrows_from: Lane | None = None
    ) -> None:
        """Take the seats of the drivers to call; with ``wears``, each call counts towards their replacement."""
        self._wears = wears
        self._held: set[asyncio.Task[None]] = set()
        # Seat by seat in turn, so that two calls go to two drivers.
        self._free = collections.deque(list(seats) * width)
        self._waiting: collections.deque[asyncio.Future[_Place]] = collections.deque()
        self._lender = borrows_from
        self._borrower: Lane | None = None
        if borrows_from is not None:
            borrows_from._borrower = self  # noqa: SLF001

    async def call(self, request: Request, timeout: float, *, turn: float | None = None) -> bytes:
        """Wait for a turn, at most ``turn`` or else ``timeout`` seconds; call, for at most ``timeout`` seconds.

        When the caller is cancelled the call goes on: the driver would not stop working on it. Raises ClusterUnavailable,
        CallFailed.
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
            driver = await (place.seat.sound_driver() if patience else place.seat.driver())
        except BaseException:
            place.give_back()
            raise
        call = asyncio.create_task(place.seat.call(driver, request, max(timeout, patience)))
        call.add_done_callback(_seen)
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
            place.seat.wear(driver)
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

    def take_back(self, seat: Seat) -> None:
        """Let a place go to the next call of this lane, then to one of the lane that borrows."""
        place = _Place(seat, self)
        if not self.take(place) and not (self._borrower and seat.ready and self._borrower.take(place)):
            self._free.append(seat)


@dataclass(frozen=True)
class _Place:
    """One of a driver's threads, for one call."""

    seat: Seat
    lane: Lane

    def give_back(self) -> None:
        self.lane.take_back(self.seat)


def _seen(task: asyncio.Task[Any]) -> None:
    """Take note of a failure that nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()


def _no_answer(request: Request, timeout: float) -> str:
    return f"No answer from YARN to {request.method} within {timeout:g} s"
