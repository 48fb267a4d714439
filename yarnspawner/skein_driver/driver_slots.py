"""Slots, each of which keeps one driver running: it replaces a driver that exits, hangs or has reached its call limit."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import grpc

from yarnspawner.common.retry import Retry
from yarnspawner.common.tasks import consume_exception
from yarnspawner.skein_driver.drivers import Driver
from yarnspawner.skein_driver.rpc import ClusterUnavailable, DriverExited, Request, RpcError

# Seconds.
_LONGEST_PAUSE = 30.0
# After so many exits in a row, the problem is no outage. An admin must solve it.
_MAX_EXITS = 3
# Seconds for the ping of a driver that has an idle thread.
_PING_TIMEOUT = 10.0
_NO_TICKET = (
    "The hub has no Kerberos ticket: set its principal and keytab, or run kinit as the hub's account and keep renewing"
)


class DriverLost(ClusterUnavailable):
    """The driver exited during a call. The call may have had its effect or not."""


class DriverSlot:
    """A slot for one driver.

    - A driver is started when first needed, or by `warm`. All callers wait for the same start.
    - An unresponsive driver is replaced at once. It may finish its calls, but only one such driver is kept per slot.
    - A driver that has reached its call limit keeps serving until its replacement is ready.
    - Repeated replacements and failed starts (YARN or the KDC is down) have a back-off of up to 30 seconds.
    """

    def __init__(self, start: Callable[[], Awaitable[Driver]], log: logging.Logger, *, max_calls: int) -> None:
        """Create an empty slot.

        Args:
            start: starts a driver.
            log: logger of the hub.
            max_calls: counted calls after which a driver is replaced.
        """
        self._start = start
        self._log = log
        self._max_calls = max_calls
        self._driver: Driver | None = None
        self._use_count = 0
        self._starting: asyncio.Task[Driver] | None = None
        self._back_off = Retry(None, "", longest=_LONGEST_PAUSE)
        self._failed_starts = Retry(
            log,
            "No driver for YARN",
            recovered="A driver for YARN was started",
            expected=ClusterUnavailable,
            level=logging.ERROR,
        )
        self._exits = 0
        self._first_error = ""
        self._not_before = 0.0
        self._reason = ""
        self._retired: Driver | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def driver(self) -> Driver:
        """Return a running driver. Start one if necessary.

        Raises:
            ClusterUnavailable: no driver could be started, or the back-off is not over.
        """
        if self._driver is not None and self._driver.alive:
            return self._driver
        return await asyncio.shield(self._start_task())

    @property
    def ready(self) -> bool:
        """True if a driver runs."""
        return self._driver is not None and self._driver.alive

    async def healthy_driver(self) -> Driver:
        """Return a driver that responds to a ping. Replace one that does not.

        For calls that may take minutes, which would detect an unresponsive driver only then. The driver must have an idle
        thread.

        Raises:
            ClusterUnavailable: no driver could be started, or the back-off is not over.
        """
        driver = await self.driver()
        if not await driver.is_responsive(_PING_TIMEOUT):
            self._replace(driver, f"it does not respond within {_PING_TIMEOUT:g} s")
            driver = await self.driver()
        return driver

    def warm(self) -> None:
        """Start a driver in the background if none runs. Failures are logged."""
        if not self._closed and time.monotonic() >= self._not_before and not (self._driver and self._driver.alive):
            self._start_task()

    async def call(self, driver: Driver, request: Request, timeout: float) -> bytes:
        """Make a call within ``timeout`` seconds. Replace the driver if it does not respond.

        Raises:
            ClusterUnavailable: the driver did not respond, exited, or has no Kerberos ticket.
            RpcError: the driver responded with an error.
        """
        try:
            response = await driver.call(request, timeout)
        except RpcError as failure:
            code = failure.code
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                self.mark_unresponsive(driver, request, timeout)
                raise ClusterUnavailable(_no_answer(request, timeout)) from failure
            if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                lost = f"The YARN driver was lost during {request.method}"
                if await driver.has_exited():
                    self._on_exit(driver)
                    raise DriverLost(f"{lost}: {driver.last_error()}") from failure
                self._replace(driver, lost)
                raise DriverLost(lost) from failure
            if code is grpc.StatusCode.UNAUTHENTICATED:
                # A driver reads the ticket cache only when it starts.
                self._replace(driver, _NO_TICKET)
                raise ClusterUnavailable(_NO_TICKET) from failure
            self._reset_back_off()
            raise
        self._reset_back_off()
        return response

    def mark_unresponsive(self, driver: Driver, request: Request, timeout: float) -> None:
        """Replace a driver that did not respond to a request within ``timeout`` seconds."""
        self._replace(driver, _no_answer(request, timeout))

    def count_call(self, driver: Driver) -> None:
        """Count a call that leaves objects in the driver's heap: YARN and file system clients of the user."""
        if driver is not self._driver:
            return
        self._use_count += 1
        if self._use_count >= self._max_calls and self._starting is None and time.monotonic() >= self._not_before:
            self._log.debug("YARN driver %d has reached its limit of calls; starting its replacement", driver.pid)
            self._start_task()

    async def close(self) -> None:
        """Stop the slot's drivers, including one that is being started."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self._driver is not None:
            self._retire(self._driver)
        if self._closing:
            await asyncio.wait(self._closing)

    def _start_task(self) -> asyncio.Task[Driver]:
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_driver())
            self._starting.add_done_callback(self._on_started)
        return self._starting

    async def _start_driver(self) -> Driver:
        if self._closed:
            raise ClusterUnavailable("The hub is shutting down")
        if time.monotonic() < self._not_before:
            raise ClusterUnavailable(self._reason)
        try:
            driver = await self._start()
        except Exception as error:
            if isinstance(error, DriverExited) and not self._failed_starts.failures:
                self._log.warning("The YARN driver's log before it exited:\n%s", error.log)
            self._failed_starts.failed(error)
            reason = (
                str(error) if isinstance(error, ClusterUnavailable) else f"The YARN driver did not start: {error!r}"
            )
            if isinstance(error, DriverExited):
                reason = self._count_exit(reason)
            self._pause(reason)
            raise ClusterUnavailable(reason) from error
        self._failed_starts.succeeded()
        driver.on_exit = lambda: self._on_exit(driver)
        if self._driver is not None:
            self._retire(self._driver)
        self._driver, self._use_count = driver, 0
        return driver

    def _on_started(self, task: asyncio.Task[Driver]) -> None:
        self._starting = None
        consume_exception(task)

    def _reset_back_off(self) -> None:
        self._back_off.succeeded()
        self._exits, self._first_error = 0, ""

    def _on_exit(self, driver: Driver) -> None:
        if driver is self._driver:
            self._replace(driver, self._count_exit(f"The YARN driver exited: {driver.last_error()}"))

    def _count_exit(self, reason: str) -> str:
        """Count a driver's exit and return its reason.

        After too many exits in a row, return the first reason and the number of exits.
        """
        self._exits += 1
        self._first_error = self._first_error or reason
        if self._exits < _MAX_EXITS:
            return reason
        return f"{self._first_error} ({self._exits} drivers in a row exited)"

    def _replace(self, driver: Driver, reason: str) -> None:
        if driver is not self._driver:
            return
        self._driver = None
        self._log.info("Replacing YARN driver %d: %s", driver.pid, reason)
        self._retire(driver)
        if self._pause(reason) == 0:
            self.warm()  # otherwise the next user waits for a JVM

    def _pause(self, reason: str) -> float:
        """Set and return the seconds until the next start: 0 after a first failure, then a growing back-off."""
        pause = self._back_off.failed(ClusterUnavailable(reason))
        if self._back_off.failures == 1:
            pause = 0.0
        self._not_before = time.monotonic() + pause
        self._reason = reason
        return pause

    def _retire(self, driver: Driver) -> None:
        self._retired = driver  # this closes the driver that was retired before
        task = asyncio.create_task(self._close(driver))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, driver: Driver) -> None:
        while driver.calls_in_flight and driver.alive and driver is self._retired and not self._closed:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        await driver.close()


def _no_answer(request: Request, timeout: float) -> str:
    return f"No answer from YARN to {request.method} within {timeout:g} s"
