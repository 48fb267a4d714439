"""The hub's access to YARN: submissions, reports and kills, each with a queue and a deadline of its own.

Only this package uses skein's protocol in the hub. It sends skein's messages over its own channels and not through
``skein.Client``, whose public methods set no deadline and block the calling thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence

import skein
from skein.proto import skein_pb2 as messages

from yarnspawner.common.ids import is_application_id
from yarnspawner.skein_driver.call_queue import CallQueue
from yarnspawner.skein_driver.driver_process import JAVA_OPTIONS, SKEIN_JAR, SKEIN_JAR_NAME, DriverSettings
from yarnspawner.skein_driver.driver_slots import DriverLost, DriverSlot
from yarnspawner.skein_driver.drivers import Driver, in_thread
from yarnspawner.skein_driver.key_value_store import Store
from yarnspawner.skein_driver.rehearsal import rehearse
from yarnspawner.skein_driver.reports import ClusterNode, Report, ReportLists
from yarnspawner.skein_driver.rpc import (
    ApplicationUnknown,
    ClusterRefused,
    ClusterUnavailable,
    Request,
    RpcError,
    cluster_error_from,
)

LateSubmission = Callable[[str], Awaitable[None] | None]

_UNFINISHED = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
_FINISHED = ("FINISHED", "FAILED", "KILLED")

# In seconds. A submission may upload large archives to a busy HDFS.
SUBMISSION_TIMEOUT = 120.0
# In bytes. A message of more than gRPC's 4 MiB would crash the driver.
LARGEST_SPECIFICATION = 3 << 20
# In seconds. A submission may succeed after its timeout; until then, the hub waits for its application.
LATE_SUBMISSION_TIMEOUT = 600.0
# In seconds. At the end of a class, hundreds of kills come at once, and each takes 0.1 to 0.2 seconds.
KILL_QUEUE_TIMEOUT = 60.0
# Each submission and kill for another user leaves YARN clients in a driver: 0.1 MB of its heap and some threads.
MAX_CALLS = 200


class Cluster:
    """Client of a YARN cluster.

    - No method blocks the event loop, and each returns within its deadline.
    - ClusterUnavailable means that the outcome is unknown, ClusterRefused that YARN refused the request.
    - Reports, kills and submissions do not wait for each other. Reports and kills share one driver, with one thread each.
      Each submission driver handles two submissions at a time, or kills if no submission waits.
    - Drivers start with the first call that needs them, or with `warm`.
    - Use and close the client on one event loop.
    """

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
        """Create the client. No driver is started yet.

        Args:
            principal: Kerberos principal of the hub, "" for the ticket cache of its account.
            keytab: path of the principal's keytab.
            submission_drivers: number of drivers for submissions.
            java_options: options of the driver JVMs.
            timeout: seconds for a report or kill.
            submission_timeout: seconds for a submission.
            start_timeout: seconds for the start of a driver.
            log: logger of the hub.
        """
        self.timeout = timeout
        self._submission_timeout = submission_timeout
        self._log: logging.Logger = log or logging.getLogger(__name__)
        self._settings = DriverSettings(principal, keytab, tuple(java_options), start_timeout)
        control = self._new_slot()
        submitters = [self._new_slot() for _ in range(submission_drivers)]
        self._slots = [control, *submitters]
        self._reports = CallQueue([control], 1)
        self._submissions = CallQueue(submitters, 2, counts_calls=True)
        self._kills = CallQueue([control], 1, counts_calls=True, borrows_from=self._submissions)
        self._lists = ReportLists()
        self._background: set[asyncio.Task[None]] = set()
        self._warming: asyncio.Task[None] | None = None

    def connect(self) -> None:
        """Start the driver for reports in the background. A restarted hub waits for its first report."""
        self._slots[0].warm()

    def warm(self) -> None:
        """Start all drivers in the background, so that the first user does not wait for them. Failures are logged."""
        if self._warming is None or self._warming.done():
            self._warming = asyncio.create_task(self._warm())

    @property
    def connected(self) -> bool:
        """True if a submission driver runs, so that a submission does not wait for a driver's start."""
        return any(slot.ready for slot in self._slots[1:])

    async def _warm(self) -> None:
        control, *submitters = self._slots
        self.connect()
        with contextlib.suppress(ClusterUnavailable):
            await control.driver()  # until then, it has the CPU for itself
        for slot in submitters:
            slot.warm()
        for slot in submitters:
            with contextlib.suppress(RpcError, ClusterUnavailable):
                await rehearse(await slot.driver(), self._submission_timeout)

    async def submit(self, spec: skein.ApplicationSpec, on_late: LateSubmission | None = None) -> str:
        """Submit an application and return its id.

        A submission cannot be undone. After a timeout or a cancellation, YARN may still accept the application, and its id
        is passed to ``on_late``. If the driver exits before it returns the id, the application can only be found by its
        tags.

        Args:
            spec: specification with credentials of its own. Otherwise skein would ship the driver's credentials, and the
                user could act as the hub.
            on_late: function or coroutine function, called on the event loop. If None, a late application is killed.

        Raises:
            ClusterRefused: YARN refused the application, or the specification has more than 3 MiB.
            ClusterUnavailable: YARN did not answer in time.
            ValueError: the specification has no credentials.
        """
        if spec.master is None or spec.master.security is None:
            raise ValueError("the application needs credentials of its own (master.security)")
        message = _with_skein(spec).SerializeToString()
        if len(message) > LARGEST_SPECIFICATION:
            raise ClusterRefused(
                f"The application's specification has {len(message) // 1024} KiB, but skein's driver accepts at most"
                f" {LARGEST_SPECIFICATION // 1024}: move large content into files"
            )
        request = Request("submit", message, spec.user)
        call = await self._submissions.start(
            request, self._submission_timeout, late_timeout=max(LATE_SUBMISSION_TIMEOUT, self._submission_timeout)
        )
        try:
            await asyncio.wait({call}, timeout=self._submission_timeout)
        except asyncio.CancelledError:
            self._watch_late_submission(call, spec.user, on_late)
            raise
        if not call.done():
            self._watch_late_submission(call, spec.user, on_late)
            raise ClusterUnavailable(f"YARN did not accept the application within {self._submission_timeout:g} s")
        try:
            return str(messages.Application.FromString(call.result()).id)
        except RpcError as failure:
            raise cluster_error_from(failure) from failure

    async def report(self, application_id: str) -> Report:
        """Return the report of an application.

        Raises:
            ApplicationUnknown: YARN does not know the application.
            ClusterRefused: YARN refused the request.
            ClusterUnavailable: YARN did not answer.
        """
        if not is_application_id(application_id):
            raise ApplicationUnknown(f"{application_id!r} is not an application id")
        request = Request("getStatus", messages.Application(id=application_id).SerializeToString())
        try:
            answer = await self._call(self._reports, request)
        except ApplicationUnknown:
            # A driver returns this error for an unknown application, but also if it cannot reach the ResourceManager. The
            # application is unknown only if the ResourceManager answers before and after.
            await self._check_resourcemanager()
            try:
                answer = await self._call(self._reports, request)
            except ApplicationUnknown:
                await self._check_resourcemanager()
                raise
        return Report.read(messages.ApplicationReport.FromString(answer))

    async def active(self) -> list[Report]:
        """Return the unfinished applications of all users that were submitted through skein.

        Raises:
            ClusterUnavailable: YARN did not answer.
        """
        answer = await self._list(_UNFINISHED)
        return await in_thread(lambda: self._lists.read(answer))

    async def finished(self) -> list[Report]:
        """Return the finished applications of all users that YARN still knows and that were submitted through skein.

        Raises:
            ClusterUnavailable: YARN did not answer.
        """
        answer = await self._list(_FINISHED)
        return await in_thread(lambda: ReportLists().read(answer))

    async def kill(self, application_id: str, user: str) -> None:
        """Kill an application as ``user``. Return when it has finished, or if YARN does not know it. Idempotent.

        Raises:
            ClusterRefused: YARN refused the request.
            ClusterUnavailable: YARN did not answer.
        """
        message = messages.KillRequest(id=application_id, user=user)
        request = Request("kill", message.SerializeToString(), user)
        try:
            await self._call(self._kills, request, queue_timeout=KILL_QUEUE_TIMEOUT)
        except ApplicationUnknown:
            try:
                await self.report(application_id)
            except ApplicationUnknown:
                return
            await self._call(self._kills, request, queue_timeout=KILL_QUEUE_TIMEOUT)

    async def nodes(self) -> list[ClusterNode]:
        """Return all nodes, in any state.

        Raises:
            ClusterUnavailable: YARN did not answer.
        """
        answer = await self._call(self._reports, Request("getNodes", messages.NodesRequest().SerializeToString()))
        return [ClusterNode.read(node) for node in messages.NodesResponse.FromString(answer).reports]

    def store(self, application_id: str, host: str, port: int, certificate: bytes, key: bytes) -> Store:
        """Return a client of an application's key-value store.

        Args:
            application_id: the application.
            host: host name or IP address of the application master.
            port: port of the application master.
            certificate: PEM certificate of the application.
            key: PEM key of the certificate.

        Raises:
            ClusterRefused: host or port is invalid.
        """
        return Store(application_id, host, port, certificate, key)

    async def close(self) -> None:
        """Stop all drivers. Calls in progress fail with ClusterUnavailable."""
        if self._warming is not None:
            self._warming.cancel()
        await asyncio.gather(*(slot.close() for slot in self._slots))
        if self._background:
            await asyncio.wait(self._background, timeout=self.timeout)

    def _new_slot(self) -> DriverSlot:
        return DriverSlot(self._start_driver, self._log, max_calls=MAX_CALLS)

    async def _start_driver(self) -> Driver:
        driver = Driver(self._settings, self._log)
        await driver.start()
        return driver

    async def _call(self, queue: CallQueue, request: Request, *, queue_timeout: float | None = None) -> bytes:
        """Make an idempotent call. Repeat it once if the driver exits during the call."""
        try:
            try:
                return await queue.call(request, self.timeout, queue_timeout=queue_timeout)
            except DriverLost:
                return await queue.call(request, self.timeout, queue_timeout=queue_timeout)
        except RpcError as failure:
            raise cluster_error_from(failure) from failure

    async def _list(self, states: Sequence[str]) -> bytes:
        request = Request("getApplications", messages.ApplicationsRequest(states=states).SerializeToString())
        try:
            return await self._call(self._reports, request)
        except ClusterRefused as error:  # YARN refuses no list, so the driver has a problem with YARN
            raise ClusterUnavailable(str(error)) from error

    async def _check_resourcemanager(self) -> None:
        """Return if the ResourceManager answers.

        Raises:
            ClusterUnavailable: it does not answer.
        """
        await self._list(["NEW"])  # this list is nearly always empty

    def _watch_late_submission(self, call: asyncio.Task[bytes], user: str, on_late: LateSubmission | None) -> None:
        def on_done(call: asyncio.Task[bytes]) -> None:
            if call.cancelled() or call.exception() is not None:
                return
            application_id = str(messages.Application.FromString(call.result()).id)
            self._log.info("YARN accepted %s after its start was given up", application_id)
            task = asyncio.create_task(self._handle_late_submission(application_id, user, on_late))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

        call.add_done_callback(on_done)

    async def _handle_late_submission(self, application_id: str, user: str, on_late: LateSubmission | None) -> None:
        try:
            if on_late is None:
                await self.kill(application_id, user)
            else:
                result = on_late(application_id)
                if inspect.isawaitable(result):
                    await result
        except Exception:  # noqa: BLE001  # no caller awaits this task
            self._log.exception("%s was accepted too late and may still run", application_id)


def _with_skein(spec: skein.ApplicationSpec) -> messages.ApplicationSpec:
    message = spec.to_protobuf()
    if SKEIN_JAR_NAME not in message.master.files:
        jar = skein.File(str(SKEIN_JAR), type="file").to_protobuf()
        message.master.files[SKEIN_JAR_NAME].CopyFrom(jar)
    return message
