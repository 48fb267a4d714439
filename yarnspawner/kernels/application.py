"""A kernel's container in an application of its own, for Jupyter servers that do not run in YARN."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import math
from dataclasses import dataclass

import skein

from yarnspawner.common.kernel_protocol import (
    KERNEL_ID_VARIABLE,
    LAUNCH_VARIABLE,
    SECRET_FILE,
    KernelCommand,
    KernelKeys,
    KernelLaunch,
    KernelSize,
    address_key,
    command_key,
    end_key,
)
from yarnspawner.common.private_files import private_files
from yarnspawner.common.protocol import ProtocolError
from yarnspawner.common.text import one_line
from yarnspawner.kernels.application_secrets import ApplicationSecrets, SecretsFile
from yarnspawner.kernels.application_waits import ApplicationWaits
from yarnspawner.kernels.cluster_thread import ClusterThread
from yarnspawner.kernels.containers import KernelRefused, Published
from yarnspawner.kernels.messages import failure_message, log_hint, progress_message, submission_error_message
from yarnspawner.kernels.request import KernelError, KernelRequest, container_specification
from yarnspawner.kernels.wait_reasons import WaitReasons
from yarnspawner.singleuser.store import ServiceContainer, StoreError
from yarnspawner.skein_driver import (
    ApplicationUnknown,
    Cluster,
    ClusterError,
    ClusterRefused,
    ClusterUnavailable,
    Report,
    Store,
)

# Seconds for which a report is used again.
_FRESH = 0.5
# Seconds for an application to end by itself before it is killed.
_SHUTDOWN_LIMIT = 5.0


@dataclass(frozen=True)
class _Known:
    """The last report of an application, and when it came."""

    report: Report
    time: float


class KernelApplication:
    """The application of one kernel. It runs as the account of this process, with the ticket of that account.

    - A :class:`~yarnspawner.kernels.remote_kernel.RemoteKernel` uses it like the containers of a server.
    - Its only container runs the kernel, and the container's id is the application's.
    - The kernel's keys are derived from a private file that only the account can read.

    Args:
        request: what to start.
        kernel_id: the kernel's id.
        thread: access to YARN.
    """

    patience = math.inf
    """An application is submitted once. YARN itself keeps it in its queue."""

    changes = None
    """YARN is asked for the application's end, which no event stream tells of."""

    folder = ""
    """A notebook's folder has the same path on the nodes, or it does not exist there."""

    def __init__(self, request: KernelRequest, kernel_id: str, thread: ClusterThread) -> None:
        self._request = request
        self._thread = thread
        self._file = SecretsFile(kernel_id)
        self._secrets: ApplicationSecrets | None = None
        self._id = ""
        self._known: _Known | None = None
        self._store: Store | None = None
        self.wait_reasons = WaitReasons(self._wait_reason)
        self._application_waits = ApplicationWaits(request, thread.container_waits)

    def size(self, slug: str) -> KernelSize:
        """Return the application's size."""
        wanted = self._request
        return KernelSize(
            slug, "", "", wanted.memory, wanted.vcores, wanted.gpus, own_environment=bool(wanted.environment)
        )

    def keys(self, kernel_id: str) -> KernelKeys:
        """Return the kernel's keys.

        Raises:
            KernelRefused: another account or host has started the kernel.
        """
        return KernelKeys(self._known_secrets().secret, kernel_id)

    async def add(self, size: KernelSize, kernel_id: str, launch: KernelLaunch, *, again: bool = False) -> str:
        """Submit the application, and return its id.

        Raises:
            KernelRefused: YARN rejected it, or YARN does not answer.
        """
        self._secrets = ApplicationSecrets.new()
        self._known, self._store = None, None
        environment = {KERNEL_ID_VARIABLE: kernel_id, LAUNCH_VARIABLE: self.keys(kernel_id).seal(launch)}
        try:
            self._file.write(self._secrets)
            self._id = await self._thread.run(self._submit(self._secrets, environment))
        except ClusterRefused as error:
            self._file.remove()
            message = submission_error_message(error, getpass.getuser(), self._request.queue)
            raise KernelRefused(one_line(message, 1000)) from None
        except (KernelError, ClusterError, OSError) as error:
            self._file.remove()
            raise KernelRefused(f"The kernel's application cannot be submitted: {error}") from None
        return self._id

    async def published(self, kernel_id: str) -> Published:
        """Return what the kernel's container has published; nothing before its application runs and after its end.

        Raises:
            StoreError: the application master or YARN does not answer.
        """
        return await self._thread.run(self._published(kernel_id))

    async def container(self, size: KernelSize, container_id: str) -> ServiceContainer | None:
        """Return the kernel's container by YARN's report of the application; None if YARN does not know it.

        Raises:
            StoreError: YARN does not answer.
        """
        self._id = container_id
        try:
            report = await self._thread.run(self._report())
        except ApplicationUnknown:
            return None
        except ClusterError as error:
            raise StoreError(str(error)) from error
        if report.ended:
            reason = failure_message(report) or log_hint(report.id)
            state = report.final_status if report.final_status in ("SUCCEEDED", "FAILED") else "KILLED"
            return ServiceContainer(size.service, state, one_line(reason, 500))
        return ServiceContainer(size.service, "REQUESTED", "", waiting=progress_message(report))

    async def command(self, kernel_id: str, command: KernelCommand) -> None:
        """Give a command to the kernel's container.

        Raises:
            StoreError: the application master does not answer.
        """
        await self._thread.run(self._command(kernel_id, command))

    async def kill(self, container_id: str) -> None:
        """End the application; do nothing if it has ended.

        Raises:
            StoreError: YARN does not answer.
        """
        self._id = container_id
        try:
            await self._thread.run(self._kill(container_id))
        except ClusterError as error:
            raise StoreError(f"{container_id} may still run: {error}") from error

    async def forget(self, kernel_id: str) -> None:
        """Remove the application's secrets."""
        self._file.remove()

    async def _wait_reason(self, slug: str) -> str:
        report = self._known.report if self._known else None
        return await self._thread.run(self._application_waits.reason(report))

    # -- On the thread's event loop

    async def _submit(self, secrets: ApplicationSecrets, environment: dict[str, str]) -> str:
        security = skein.Security(cert_bytes=secrets.certificate, key_bytes=secrets.key)
        with private_files({SECRET_FILE: secrets.secret}) as files:
            described = container_specification(self._request, files[SECRET_FILE], environment, security)
            return await self._thread.call(lambda cluster: cluster.submit(described))

    async def _published(self, kernel_id: str) -> Published:
        try:
            store = await self._connected()
            if store is None:
                return Published(None, None)
            address, end = await store.get(address_key(kernel_id)), await store.get(end_key(kernel_id))
            return Published.parse(address, end)
        except (ClusterError, ProtocolError) as error:
            # An application master does not answer after its end.
            with contextlib.suppress(ClusterError):
                if (await self._report()).ended:
                    return Published(None, None)
            raise StoreError(str(error)) from error

    async def _command(self, kernel_id: str, command: KernelCommand) -> None:
        try:
            store = await self._connected()
            if store is not None:
                await store.put(command_key(kernel_id), command.to_bytes())
        except ClusterError as error:
            if await self._ended():
                return
            raise StoreError(str(error)) from error

    async def _kill(self, application_id: str) -> None:
        with contextlib.suppress(ClusterError):
            if (store := await self._connected()) is not None:
                # YARN then shows it as succeeded, not as killed.
                await store.end_application()
                await self._wait_ended()
        if not await self._ended():
            await self._thread.call(lambda cluster: cluster.kill(application_id, ""))
        if self._store is not None:
            await self._store.close()
            self._store = None

    async def _connected(self) -> Store | None:
        """Return a client of the application's store; None if its application master does not run."""
        if self._store is None:
            report = await self._report()
            if report.state != "RUNNING" or not report.host:
                return None
            secrets = self._known_secrets()
            self._store = Store(report.id, report.host, report.rpc_port, secrets.certificate, secrets.key)
        return self._store

    async def _wait_ended(self) -> None:
        for _ in range(round(_SHUTDOWN_LIMIT / _FRESH)):
            if await self._ended():
                return
            await asyncio.sleep(_FRESH)

    async def _ended(self) -> bool:
        """Return True if YARN says that the application has ended."""
        try:
            return (await self._report()).ended
        except ApplicationUnknown:
            return True
        except ClusterUnavailable:
            return False

    async def _report(self) -> Report:
        loop = asyncio.get_running_loop()
        known = self._known
        if known is None or loop.time() - known.time > _FRESH or known.report.id != self._id:
            known = _Known(await self._thread.call(self._ask), loop.time())
            self._known = known
        return known.report

    async def _ask(self, cluster: Cluster) -> Report:
        return await cluster.report(self._id)

    def _known_secrets(self) -> ApplicationSecrets:
        self._secrets = self._secrets or self._file.read()
        if self._secrets is None:
            raise KernelRefused("This kernel was started by another account or on another host.")
        return self._secrets
