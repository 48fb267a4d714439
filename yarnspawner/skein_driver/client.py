"""The hub's access to YARN: submissions, reports and kills, each in a lane of its own and each with a deadline.

The only module of the hub that speaks skein's protocol (with those it stands on: `calls`, `drivers`, `lanes`, `store`). It
sends skein's own messages over its own channels rather than through ``skein.Client``, whose public methods set no deadline
and block the thread that calls them.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import skein
from skein.proto import skein_pb2 as messages

from yarnspawner.common.ids import is_application_id
from yarnspawner.skein_driver.call_queue import CallQueue
from yarnspawner.skein_driver.driver_process import JAVA_OPTIONS, SKEIN_JAR, SKEIN_JAR_NAME, DriverSettings
from yarnspawner.skein_driver.driver_slots import DriverLost, DriverSlot
from yarnspawner.skein_driver.drivers import Driver, in_thread
from yarnspawner.skein_driver.key_value_store import Store
from yarnspawner.skein_driver.reports import ClusterNode, Queue, Report, ReportLists
from yarnspawner.skein_driver.rpc import (
    ApplicationUnknown,
    ClusterRefused,
    ClusterUnavailable,
    Request,
    RpcError,
    meaning,
)

LateSubmission = Callable[[str], Awaitable[None] | None]

_UNFINISHED = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
_FINISHED = ("FINISHED", "FAILED", "KILLED")

# A submission may upload large archives to a busy HDFS.
SUBMISSION_TIMEOUT = 120.0
# In bytes. What is larger than gRPC's 4 MiB takes down a driver that others use as well.
LARGEST_SPECIFICATION = 3 << 20
# How long after that an application may still come of it, and is then ended.
SUBMISSION_PATIENCE = 600.0
# A class that ends leaves hundreds of kills behind at once, each of which takes a tenth of a second or two.
KILL_TURN = 60.0
# Each submission and kill as another user leaves YARN's clients in a driver: 0.1 MB of its heap and some threads.
WORN_OUT_AFTER = 200


class Cluster:
    """A YARN cluster, seen from the hub.

    - No method blocks the event loop, and each ends within its deadline.
    - ClusterUnavailable means that nothing is known, ClusterRefused that YARN said no.
    - Reports, kills and submissions do not wait for each other. Reports and kills share one driver, whose two threads are
      theirs; each submission driver takes two submissions at a time, or kills where no submission waits.
    - Drivers start with the first call that needs them, or with `warm`.
    - To be used on one event loop, and closed there.
    """

    _instances: ClassVar[dict[tuple[tuple[str, Any], ...], Cluster]] = {}

    def __init__(
        self,
        *,
        principal: str = "",
        keytab: str = "",
        submission_drivers: int = 1,
        java_options: Sequence[str] = JAVA_OPTIONS,
        timeout: float = 10.0,
        submission_timeout: float = SUBMISSION_TIMEOUT,
        start_timeout: float = 60.0,
        log: logging.Logger | None = None,
    ) -> None:
        """Describe the access; nothing is started yet. Timeouts are in seconds, for a call and a driver's start."""
        self.timeout = timeout
        self._submission_timeout = submission_timeout
        self._log: logging.Logger = log or logging.getLogger(__name__)
        self._settings = DriverSettings(principal, keytab, tuple(java_options), start_timeout)
        control = self._seat()
        submitters = [self._seat() for _ in range(submission_drivers)]
        self._seats = [control, *submitters]
        self._reports = CallQueue([control], 1)
        self._submissions = CallQueue(submitters, 2, wears=True)
        self._kills = CallQueue([control], 1, wears=True, borrows_from=self._submissions)
        self._lists = ReportLists()
        self._background: set[asyncio.Task[None]] = set()
        self._warming: asyncio.Task[None] | None = None

    @classmethod
    def shared(cls, *, log: logging.Logger | None = None, **settings: Any) -> Cluster:
        """Return the one access of this process with these settings, which are those of the constructor."""
        named: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in settings.items()}
        key = tuple(sorted(named.items()))
        if key not in cls._instances:
            cls._instances[key] = cls(log=log, **named)
        return cls._instances[key]

    def warm(self) -> None:
        """Start the drivers now, so that the first user does not wait for them. Returns at once; failures are logged.

        The one for reports comes first and has the machine's cores to itself: a hub that restarts waits for it.
        """
        if self._warming is None or self._warming.done():
            self._warming = asyncio.create_task(self._warm())

    @property
    def connected(self) -> bool:
        """Return True if a driver runs that can submit: YARN is asked, not the hub's own driver waited for."""
        return any(seat.ready for seat in self._seats[1:])

    async def _warm(self) -> None:
        control, *submitters = self._seats
        control.warm()
        with contextlib.suppress(ClusterUnavailable):
            await control.driver()
        for seat in submitters:
            seat.warm()

    async def submit(self, spec: skein.ApplicationSpec, on_late: LateSubmission | None = None) -> str:
        """Submit an application and return its id.

        A submission cannot be taken back: when the caller is cancelled or its time is over (ClusterUnavailable), YARN may
        accept the application all the same. Its id then goes to ``on_late``, a function or coroutine function that is
        called on the event loop; without one the application is killed. An application whose id never arrives, since the
        driver died, can only be found by its tags.

        Raises ClusterRefused with YARN's reason or for a specification of more than 3 MiB, ClusterUnavailable, and
        ValueError for one without credentials of its own: skein would ship the driver's, with which its user could act as the hub.
        """
        if spec.master is None or spec.master.security is None:
            raise ValueError("an application needs credentials of its own (master.security)")
        message = _with_skein(spec).SerializeToString()
        if len(message) > LARGEST_SPECIFICATION:
            raise ClusterRefused(
                f"The application's description has {len(message) // 1024} KiB, and skein's driver takes no more than"
                f" {LARGEST_SPECIFICATION // 1024}: put what is large into files"
            )
        request = Request("submit", message, spec.user)
        call = await self._submissions.start(
            request, self._submission_timeout, patience=max(SUBMISSION_PATIENCE, self._submission_timeout)
        )
        try:
            await asyncio.wait({call}, timeout=self._submission_timeout)
        except asyncio.CancelledError:
            self._expect_late(call, spec.user, on_late)
            raise
        if not call.done():
            self._expect_late(call, spec.user, on_late)
            raise ClusterUnavailable(f"YARN did not accept the application within {self._submission_timeout:g} s")
        try:
            return str(messages.Application.FromString(call.result()).id)
        except RpcError as failure:
            raise meaning(failure) from failure

    async def report(self, application_id: str) -> Report:
        """Ask for one application. Raises ApplicationUnknown, ClusterRefused, ClusterUnavailable."""
        if not is_application_id(application_id):
            raise ApplicationUnknown(f"{application_id!r} is not the id of an application")
        request = Request("getStatus", messages.Application(id=application_id).SerializeToString())
        try:
            answer = await self._ask(self._reports, request)
        except ApplicationUnknown:
            # A driver says the same of an application that YARN does not know and of a ResourceManager that it does not
            # reach. Only between two answers of the ResourceManager it is the former.
            await self._prove_alive()
            try:
                answer = await self._ask(self._reports, request)
            except ApplicationUnknown:
                await self._prove_alive()
                raise
        return Report.read(messages.ApplicationReport.FromString(answer))

    async def active(self) -> list[Report]:
        """Return all unfinished applications that were submitted through skein, whoever's. Raises ClusterUnavailable."""
        answer = await self._list(_UNFINISHED)
        return await in_thread(lambda: self._lists.read(answer))

    async def finished(self) -> list[Report]:
        """Return all applications that have ended, as far as YARN remembers them; as `active` otherwise."""
        answer = await self._list(_FINISHED)
        return await in_thread(lambda: ReportLists().read(answer))

    async def kill(self, application_id: str, user: str) -> None:
        """End an application as ``user``. Returns once YARN has ended it, also when it had ended or is not known.

        Raises ClusterRefused, ClusterUnavailable.
        """
        message = messages.KillRequest(id=application_id, user=user)
        request = Request("kill", message.SerializeToString(), user)
        try:
            await self._ask(self._kills, request, turn=KILL_TURN)
        except ApplicationUnknown:
            try:
                await self.report(application_id)
            except ApplicationUnknown:
                return
            await self._ask(self._kills, request, turn=KILL_TURN)

    async def nodes(self) -> list[ClusterNode]:
        """Return all nodes, in whatever state. Raises ClusterUnavailable."""
        answer = await self._ask(self._reports, Request("getNodes", messages.NodesRequest().SerializeToString()))
        return [ClusterNode.read(node) for node in messages.NodesResponse.FromString(answer).reports]

    async def queue(self, name: str) -> Queue:
        """Return a queue. Raises ClusterRefused if there is none of that name, and ClusterUnavailable."""
        request = Request("getQueue", messages.QueueRequest(name=name).SerializeToString())
        answer = await self._ask(self._reports, request)
        return Queue.read(messages.Queue.FromString(answer))

    def store(self, application_id: str, host: str, port: int, certificate: bytes, key: bytes) -> Store:
        """Return the key-value store in an application's master, reached with that application's own credentials (PEM).

        Raises ClusterRefused if the host or port cannot be one.
        """
        return Store(application_id, host, port, certificate, key)

    async def close(self) -> None:
        """End all drivers. Calls in flight fail with ClusterUnavailable."""
        for known, instance in list(self._instances.items()):
            if instance is self:
                del self._instances[known]
        if self._warming is not None:
            self._warming.cancel()
        await asyncio.gather(*(seat.close() for seat in self._seats))
        if self._background:
            await asyncio.wait(self._background, timeout=self.timeout)

    def _seat(self) -> DriverSlot:
        return DriverSlot(self._start_driver, self._log, worn_out_after=WORN_OUT_AFTER)

    async def _start_driver(self) -> Driver:
        driver = Driver(self._settings, self._log)
        await driver.start()
        return driver

    async def _ask(self, lane: CallQueue, request: Request, *, turn: float | None = None) -> bytes:
        """Make a call that may be made twice; a driver that dies meanwhile is not the caller's business."""
        try:
            try:
                return await lane.call(request, self.timeout, turn=turn)
            except DriverLost:
                return await lane.call(request, self.timeout, turn=turn)
        except RpcError as failure:
            raise meaning(failure) from failure

    async def _list(self, states: Sequence[str]) -> bytes:
        request = Request("getApplications", messages.ApplicationsRequest(states=states).SerializeToString())
        try:
            return await self._ask(self._reports, request)
        except ClusterRefused as error:  # nobody is refused a list; something is wrong between driver and YARN
            raise ClusterUnavailable(str(error)) from error

    async def _prove_alive(self) -> None:
        """Return if the ResourceManager answers now. Raises ClusterUnavailable."""
        await self._list(["NEW"])  # the list that is nearly always empty

    def _expect_late(self, call: asyncio.Task[bytes], user: str, on_late: LateSubmission | None) -> None:
        def arrived(call: asyncio.Task[bytes]) -> None:
            if call.cancelled() or call.exception() is not None:
                return
            application_id = str(messages.Application.FromString(call.result()).id)
            self._log.info("YARN accepted %s when nobody waited for it any more", application_id)
            task = asyncio.create_task(self._dispose(application_id, user, on_late))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

        call.add_done_callback(arrived)

    async def _dispose(self, application_id: str, user: str, on_late: LateSubmission | None) -> None:
        try:
            if on_late is None:
                await self.kill(application_id, user)
            else:
                result = on_late(application_id)
                if inspect.isawaitable(result):
                    await result
        except Exception:  # noqa: BLE001  # nobody awaits this task; the log is all that is left
            self._log.exception("Application %s was submitted too late and may go on", application_id)


def _with_skein(spec: skein.ApplicationSpec) -> messages.ApplicationSpec:
    message = spec.to_protobuf()
    if SKEIN_JAR_NAME not in message.master.files:
        own = skein.File(str(SKEIN_JAR), type="file").to_protobuf()
        message.master.files[SKEIN_JAR_NAME].CopyFrom(own)
    return message
