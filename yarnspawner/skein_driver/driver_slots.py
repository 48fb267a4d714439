"""The seats in which drivers are replaced when they die, hang or are worn out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from yarnspawner.common.retry import Retry
from yarnspawner.skein_driver.drivers import Driver
from yarnspawner.skein_driver.rpc import ClusterUnavailable, DriverEnded, Request, RpcError

_LONGEST_PAUSE = 30.0
# Drivers in a row that ended by themselves, after which that is no outage, but something for an administrator to repair.
_BROKEN_AFTER = 3
# Seconds for the ping of a driver that has a thread to spare.
_SIGN_OF_LIFE = 10.0
_NO_TICKET = (
    "The hub has no Kerberos ticket: set its principal and keytab, or run kinit as the hub's account and keep renewing"
)


class DriverLost(ClusterUnavailable):
    """The driver ended during the call. Whether it did what it was asked to is not known."""


class DriverSlot:
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
        self._ended = 0
        self._first_error = ""
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

    async def healthy_driver(self) -> Driver:
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
        except RpcError as failure:
            code = failure.code
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                self.overdue(driver, request, timeout)
                raise ClusterUnavailable(_no_answer(request, timeout)) from failure
            if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                lost = f"The YARN driver was lost during {request.method}"
                if await driver.has_ended():
                    self._left(driver)
                    raise DriverLost(f"{lost}: {driver.last_words()}") from failure
                self._replace(driver, lost)
                raise DriverLost(lost) from failure
            if code is grpc.StatusCode.UNAUTHENTICATED:
                # It looks for a ticket only when it starts.
                self._replace(driver, _NO_TICKET)
                raise ClusterUnavailable(_NO_TICKET) from failure
            self._served()
            raise
        self._served()
        return response

    def overdue(self, driver: Driver, request: Request, timeout: float) -> None:
        """Let no more calls go to a driver that did not answer in time."""
        self._replace(driver, _no_answer(request, timeout))

    def use_count(self, driver: Driver) -> None:
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
            if isinstance(error, DriverEnded) and not self._starts.failures:
                self._log.warning("The YARN driver's log before it ended:\n%s", error.log)
            self._starts.failed(error)
            reason = (
                str(error) if isinstance(error, ClusterUnavailable) else f"The YARN driver did not start: {error!r}"
            )
            if isinstance(error, DriverEnded):
                reason = self._count_end(reason)
            self._pause(reason)
            raise ClusterUnavailable(reason) from error
        self._starts.succeeded()
        driver.on_exit = lambda: self._left(driver)
        if self._driver is not None:
            self._dismiss(self._driver)
        self._driver, self._wear = driver, 0
        return driver

    def _started(self, task: asyncio.Task[Driver]) -> None:
        self._starting = None
        seen(task)

    def _served(self) -> None:
        self._pace.succeeded()
        self._ended, self._first_error = 0, ""

    def _left(self, driver: Driver) -> None:
        if driver is self._driver:
            self._replace(driver, self._count_end(f"The YARN driver left: {driver.last_words()}"))

    def _count_end(self, reason: str) -> str:
        """Note that a driver ended by itself; return the reason, with the first one's error if too many did in a row."""
        self._ended += 1
        self._first_error = self._first_error or reason
        if self._ended < _BROKEN_AFTER:
            return reason
        return f"{self._first_error} ({self._ended} drivers in a row ended by themselves)"

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


def seen(task: asyncio.Task[Any]) -> None:
    """Take note of a failure that nobody may be waiting for any more."""
    if not task.cancelled():
        task.exception()


def _no_answer(request: Request, timeout: float) -> str:
    return f"No answer from YARN to {request.method} within {timeout:g} s"
