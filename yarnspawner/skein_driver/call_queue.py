"""Queues of calls to drivers, and the leases that limit how many calls a driver handles at a time.

A driver handles two calls at a time: its executor grows only when an unbounded queue is full. Two stuck calls also block its
ping. Therefore each type of call has its own queue, with as many leases as its drivers have threads for it. A driver with a
call past its deadline is replaced.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Sequence
from dataclasses import dataclass

from yarnspawner.common.tasks import consume_exception
from yarnspawner.skein_driver.driver_slots import DriverSlot
from yarnspawner.skein_driver.drivers import Driver
from yarnspawner.skein_driver.rpc import ClusterUnavailable, Request


class CallQueue:
    """A first-in, first-out queue of calls of one type.

    - At most ``width`` calls at a time go to each driver.
    - A queue may borrow from another queue: if its own leases are all in use, a call gets an idle lease of the other queue.
    """

    def __init__(
        self,
        slots: Sequence[DriverSlot],
        width: int,
        *,
        counts_calls: bool = False,
        borrows_from: CallQueue | None = None,
    ) -> None:
        """Create the queue.

        Args:
            slots: slots of the drivers to call.
            width: calls at a time for each driver.
            counts_calls: True if each call counts towards the driver's `max_calls`.
            borrows_from: queue whose idle leases may be used.
        """
        self._counts_calls = counts_calls
        self._watchers: set[asyncio.Task[None]] = set()
        # Slots alternate, so that two calls go to two drivers.
        self._idle = collections.deque(list(slots) * width)
        self._waiting: collections.deque[asyncio.Future[Lease]] = collections.deque()
        self._lender = borrows_from
        self._borrower: CallQueue | None = None
        if borrows_from is not None:
            borrows_from._borrower = self  # noqa: SLF001

    async def call(self, request: Request, timeout: float, *, queue_timeout: float | None = None) -> bytes:
        """Wait in the queue, then make a call.

        If the caller is cancelled, the call continues: the driver would not stop working on it.

        Args:
            request: request to send.
            timeout: seconds for the call.
            queue_timeout: seconds to wait in the queue; default is ``timeout``.

        Raises:
            ClusterUnavailable: a timeout passed, or no driver runs.
            RpcError: the call failed.
        """
        return await asyncio.shield(await self.start(request, timeout, queue_timeout=queue_timeout or timeout))

    async def start(
        self, request: Request, timeout: float, *, queue_timeout: float | None = None, late_timeout: float = 0
    ) -> asyncio.Task[bytes]:
        """Wait in the queue, start the call in a task, and return the task.

        If the caller is cancelled before the task exists, nothing was sent.

        Args:
            request: request to send.
            timeout: seconds after which the driver counts as unresponsive and is replaced.
            queue_timeout: seconds to wait in the queue; None for no limit.
            late_timeout: seconds after which the call itself is cancelled, if longer than ``timeout``.

        Raises:
            ClusterUnavailable: ``queue_timeout`` passed, or no driver runs.
        """
        lease = await self._acquire(queue_timeout)
        if lease is None:
            raise ClusterUnavailable(
                f"{request.method} waited {queue_timeout:g} s in the queue; earlier calls to YARN are not finished"
            )
        try:
            # A short call finds out by itself that its driver is unresponsive.
            driver = await (lease.slot.healthy_driver() if late_timeout else lease.slot.driver())
        except BaseException:
            lease.release()
            raise
        call = asyncio.create_task(lease.slot.call(driver, request, max(timeout, late_timeout)))
        call.add_done_callback(consume_exception)
        watcher = asyncio.create_task(self._release_after(lease, driver, request, call, timeout))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return call

    async def _release_after(
        self, lease: Lease, driver: Driver, request: Request, call: asyncio.Task[bytes], timeout: float
    ) -> None:
        """Release the lease when the call has finished, or after ``timeout`` seconds."""
        await asyncio.wait({call}, timeout=timeout)
        if not call.done():
            lease.slot.mark_unresponsive(driver, request, timeout)
        elif self._counts_calls:
            lease.slot.count_call(driver)
        lease.release()

    async def _acquire(self, timeout: float | None) -> Lease | None:
        """Wait for a lease. Return None if there was none within ``timeout`` seconds."""
        if self._idle:
            return Lease(self._idle.popleft(), self)
        if self._lender is not None and (lease := self._lender.lend()):
            return lease
        waiter: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await asyncio.wait({waiter}, timeout=timeout)
        except asyncio.CancelledError:
            if waiter.done():
                waiter.result().release()
            raise
        finally:
            if not waiter.done():
                waiter.cancel()
        return None if waiter.cancelled() else waiter.result()

    def lend(self) -> Lease | None:
        """Return an idle lease on a driver that runs, or None."""
        for slot in self._idle:
            if slot.ready:
                self._idle.remove(slot)
                return Lease(slot, self)
        return None

    def hand_over(self, lease: Lease) -> bool:
        """Give a lease to the call that has waited longest. Return False if no call waits."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(lease)
                return True
        return False

    def release(self, slot: DriverSlot) -> None:
        """Give a released lease to the next call of this queue, then of the queue that borrows from it."""
        lease = Lease(slot, self)
        if not self.hand_over(lease) and not (self._borrower and slot.ready and self._borrower.hand_over(lease)):
            self._idle.append(slot)


@dataclass(frozen=True)
class Lease:
    """The right to make one call to a slot's driver."""

    slot: DriverSlot
    queue: CallQueue

    def release(self) -> None:
        """Return the lease to its queue."""
        self.queue.release(self.slot)
