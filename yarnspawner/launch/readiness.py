"""Wait for a submitted application until its server answers requests."""

from __future__ import annotations

import asyncio
import logging
import time

from yarnspawner.common.metrics import StageClock
from yarnspawner.common.notebook_storage import storage_notice
from yarnspawner.common.protocol import (
    ADDRESS_KEY,
    ERROR_KEY,
    NOTEBOOKS_KEY,
    SERVER_KEYS,
    STATUS_KEY,
    Address,
    Failure,
    Notebooks,
    ProtocolError,
    Waiting,
)
from yarnspawner.common.units import duration
from yarnspawner.diagnosis.explain import (
    Diagnosis,
    describe_wait,
    explain,
    explain_timeout,
    has_log,
    is_queued,
    own_cause,
)
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hadoop.logs import LogsUnavailable, tail
from yarnspawner.launch.errors import StartFailed
from yarnspawner.launch.progress import Progress
from yarnspawner.launch.server_probe import NO_ANSWER, ServerProbe, wait_until_ready
from yarnspawner.skein_driver import ClusterError, ClusterRefused, Report
from yarnspawner.state.server_state import ServerState
from yarnspawner.yarn.access import ClusterAccess
from yarnspawner.yarn.server_channel import ServerChannel
from yarnspawner.yarn.server_log import running_log
from yarnspawner.yarn.status import Status

# Seconds between two reads of the key-value store while the server starts.
_STORE_INTERVAL = 0.25

# Timeout in seconds for the log of a finished application. YARN needs time to collect it. The second is for one attempt,
# where Hadoop's configuration says that YARN collects no logs.
_LOG_TIMEOUT = 20.0
_ONE_ATTEMPT = 5.0

# Seconds without an answer of the key-value store until the page says so. An application master needs a few to start.
_SILENCE = 20.0

# Seconds between two checks while the status does not change.
_IDLE_INTERVAL = 5.0

# Seconds after which a waiting start asks YARN for the other applications in its queue. Most starts wait for less.
_COUNTED = 5.0

_NOT_COLLECTED = (
    "The log is only on the server's node, because YARN does not collect logs. To see it here, administrators can set"
    " yarn.log-aggregation-enable to true in yarn-site.xml."
)


class ReadinessWaiter:
    """Wait until a server publishes its address and responds there, or until its start fails.

    Args:
        server: the server, whose application was submitted.
        channel: access to the key-value store of that application.
        access: the hub's access to the cluster.
        probe: checks the server's address.
        progress: shows messages to the user.
        log: the hub's logger.
        log_page: path of the hub's page with the server's log; "" for none.
    """

    def __init__(
        self,
        server: ServerState,
        channel: ServerChannel,
        access: ClusterAccess,
        probe: ServerProbe,
        progress: Progress,
        log: logging.Logger,
        log_page: str = "",
    ) -> None:
        self._application_id = server.application_id
        self._channel = channel
        self._access = access
        self._probe = probe
        self._progress = progress
        self._log = log
        self._log_page = log_page
        # True if the server has a container separate from the application master's.
        self._in_service = server.container == "service"
        self._silent_since = 0.0
        self._unreachable = ""
        self._link = access.link_to(server.application_id)
        self._facts = {"Application": server.application_id, "User": server.hadoop_user, "Queue": server.queue}
        self._node = ""
        # Time at which the application began to wait in its queue.
        self._waiting_since: float | None = None
        # The last report while it waits there.
        self._waiting: Report | None = None
        self._clock = StageClock("queue")
        # True while the application runs and has published nothing.
        self._silent = False
        self.notebook_storage = ""
        """Where the server's notebooks are, once the server has published it."""

    async def wait(self) -> Address:
        """Wait for the server without a timeout. The caller sets one.

        Returns:
            The server's address. The server publishes scheme and port. The host comes from YARN, because a user's
            container could publish any host.

        Raises:
            StartFailed: the application ended, it reported that it cannot start the server, or it published data that
                the hub does not accept.
        """
        reflector = self._access.reflector
        status = await reflector.status(self._application_id)
        while True:
            if status.report is not None and status.report.ended:
                raise self._failed(await self._explain_end(status.report))
            self._tell(status)
            interval = _IDLE_INTERVAL
            if status.report is not None and status.report.state == "RUNNING":
                self._clock.next("listen")
                if (address := await self._read_address(status.report)) is not None:
                    return await self._probed(address)
                interval = _STORE_INTERVAL
            status = await reflector.wait_change(self._application_id, status, timeout=interval)

    def _tell(self, status: Status) -> None:
        report = status.report
        self._waiting = report if status.known and report is not None and report.state == "ACCEPTED" else None
        if not status.known:
            self._progress.tell(20, "YARN does not answer. The start continues when it does.")
        elif report is None or report.state in ("NEW", "NEW_SAVING", "SUBMITTED"):
            self._progress.tell(20, f"Application {self._application_id} is submitted.", self._link)
        elif report.state == "ACCEPTED":
            self._waiting_since = self._waiting_since or time.monotonic()
            waited = time.monotonic() - self._waiting_since
            message = f"{describe_wait(report, waited)}{_so_far(waited)}."
            if waited >= _COUNTED and is_queued(report):
                message += _ahead(self._access.pending_applications.before(report.queue, self._application_id))
            self._progress.tell(30, message, self._link)

    async def _read_address(self, report: Report) -> Address | None:
        """Return the server's address; None if it has not published one yet."""
        node = None
        try:
            node = await self._channel.node(report)
            if node is None:
                return None
            self._node = node.host
            if not self._silent_since:
                what = "application master" if self._in_service else "container"
                self._progress.tell(60, f"The {what} runs on {node.host}; the server is starting.", self._link)
            published = await self._channel.get_prefix(report, SERVER_KEYS)
            if ERROR_KEY in published:
                raise self._failed(explain(report, failure=Failure.from_bytes(published[ERROR_KEY])))
            self._silent_since = 0.0
            if ADDRESS_KEY not in published:
                self._silent = STATUS_KEY not in published
                if not self._silent:
                    self._progress.tell(70, Waiting.from_bytes(published[STATUS_KEY]).message, self._link)
                return None
            said = Address.from_bytes(published[ADDRESS_KEY])
            if NOTEBOOKS_KEY in published:
                self.notebook_storage = Notebooks.from_bytes(published[NOTEBOOKS_KEY]).storage
            self._probe.check_address(said)
            if self._in_service and (node := await self._channel.server_node(said.host)) is None:
                return None
        except (ProtocolError, ClusterRefused) as error:
            raise self._failed(own_cause("data-not-accepted", str(error))) from None
        except ClusterError as error:
            self._log.debug("The key-value store of %s does not answer: %s", self._application_id, error)
            if node is not None:
                await self._tell_unreachable(node.host, report.rpc_port)
            return None
        self._progress.tell(90, f"The server listens on {node.host}, port {said.port}.", self._link)
        if notice := storage_notice(self.notebook_storage, node.host):
            self._progress.tell(91, notice)
        return Address(said.scheme, node.host, said.port)

    async def _tell_unreachable(self, host: str, port: int) -> None:
        """Name the port that the hub cannot reach, once the application master has had time to answer."""
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        if now - self._silent_since < _SILENCE:
            return
        try:
            await asyncio.get_running_loop().getaddrinfo(host, port)
            reason = (
                "the firewall between hub and nodes must allow the application master's port, which is any free port"
            )
        except OSError:
            reason = f"the hub's machine cannot resolve the name {host}"
        where = f"{host}, port {port}"
        self._progress.tell(
            60, f"The hub cannot reach the application master at {where}. Please tell your administrator: {reason}."
        )
        self._log_unreachable(where, reason)

    def _log_unreachable(self, where: str, reason: str) -> None:
        if self._unreachable != where:
            self._unreachable = where
            self._log.warning("%s: the hub cannot reach %s: %s", self._application_id, where, reason)

    async def _probed(self, address: Address) -> Address:
        """Return the address once the server itself responds there.

        Raises:
            StartFailed: the server does not respond, or its application ended.
        """
        self._clock.next("answer")
        found, status = await wait_until_ready(self._probe, address, self._application_id, self._access.reflector)
        if not found:
            self._clock.next("")
            return address
        if status.report is not None and status.ended:
            raise self._failed(await self._explain_end(status.report))
        code = "server-unreachable" if found.startswith(NO_ANSWER) else "wrong-server"
        raise self._failed(own_cause(code, host=address.host, port=str(address.port), found=found))

    async def _explain_end(self, report: Report) -> Diagnosis:
        log = ""
        if has_log(report):
            self._progress.tell(95, "The application has ended; reading its log.", self._link)
            log = await self._log_tail(report)
        return explain(report, log_tail=log, listened=False)

    async def running_log(self) -> str:
        """Return the last lines of the log of a server that runs and has published nothing; "" if there are none."""
        return (await self._node_log() or "") if self._silent else ""

    async def _node_log(self) -> str | None:
        """Return the last lines of the log on the server's node; "" if there are none, None if it cannot be read."""
        container = "service" if self._in_service else "master"
        try:
            return await running_log(self._access, self._application_id, container)
        except LogsUnavailable as error:
            self._log.info("The node's log of %s cannot be read: %s", self._application_id, error)
            return None

    def timed_out(self, limit: float, log_tail: str) -> StartFailed:
        """Return the error of a start that reached its timeout.

        Args:
            limit: the timeout in seconds.
            log_tail: what :meth:`running_log` returned before the timeout.
        """
        last = self._progress.last
        return self._failed(explain_timeout(limit, last, log_tail=log_tail, silent=self._silent, waiting=self._waiting))

    async def _log_tail(self, report: Report) -> str:
        if not report.user:
            return ""  # YARN has forgotten the application
        access = self._access
        # The node has the log until it is collected. Asking it takes no JVM, and no wait for the collection.
        log = await self._node_log()
        # A command without output has no other log. Only a service container that failed has the application master's log.
        if log or (log is not None and (report.final_status == "SUCCEEDED" or not self._in_service)):
            return log
        collected = _are_logs_collected()
        timeout = _LOG_TIMEOUT if collected else _ONE_ATTEMPT
        try:
            return await tail(report.id, report.user, principal=access.principal, keytab=access.keytab, timeout=timeout)
        except LogsUnavailable as error:
            self._log.info("The log of %s cannot be read: %s", report.id, error)
            return "" if collected else _NOT_COLLECTED

    def _failed(self, diagnosis: Diagnosis) -> StartFailed:
        facts = {**self._facts, "Node": self._node}
        return StartFailed(diagnosis, link=self._link, facts=facts, log_page=self._log_page)


def _so_far(seconds: float) -> str:
    """Return how long an application has waited, for its message; "" for the first minute."""
    return f" ({duration(seconds // 60 * 60)} so far)" if seconds >= 60 else ""


def _ahead(applications: int) -> str:
    """Return how many applications have waited for longer, as a sentence; "" for none."""
    if not applications:
        return ""
    return f" {applications} {'applications have' if applications > 1 else 'application has'} waited longer."


def _are_logs_collected() -> bool:
    try:
        return HadoopConfiguration.load().flag("yarn.log-aggregation-enable")
    except ConfigurationError:
        return True
