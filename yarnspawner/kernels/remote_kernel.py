"""One kernel in a container of its own, as its server sees it."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from weakref import WeakValueDictionary

from yarnspawner.common.kernel_protocol import (
    CONTAINER_FOLDER,
    KernelAddress,
    KernelCommand,
    KernelEnd,
    KernelLaunch,
    KernelSize,
)
from yarnspawner.kernels.containers import KernelContainers, KernelRefused
from yarnspawner.kernels.start_progress import StartProgress
from yarnspawner.singleuser.store import ServiceContainer, StoreError

if TYPE_CHECKING:
    from yarnspawner.kernels.application import KernelApplication

# Seconds between two looks at the store while somebody waits.
INTERVAL = 0.1
OBEDIENCE = 2.0
"""Seconds for a container to obey a command before it is killed."""
# Seconds between two requests for a kernel's end while no event stream tells of one, for a stream that broke without a sign.
_UNCHANGED_LIMIT = 30.0
# Seconds for YARN to report why it stopped a container; an application master asks every five seconds at the latest.
_REASON_LIMIT = 7.0
# Exit status of a kernel whose container YARN stopped.
_KILLED = 128 + signal.SIGKILL


class LostKernel(NamedTuple):
    """A kernel that YARN has stopped: its notebook's path or its id, its size, YARN's reason, and when the server noticed."""

    name: str
    size: str
    reason: str
    ended: float  # in seconds since the epoch


class RemoteKernel:
    """A kernel's container, its address and its end.

    - The kernel's own report tells of its end. YARN's word comes later.
    - A start that fails or is cancelled leaves no container behind.

    Args:
        containers: the containers of its server's application, or its own application.
        kernel_id: the kernel's id.
        size: slug of its size.
        log: the server's logger.

    Raises:
        KernelRefused: the size is not offered.
    """

    known: ClassVar[WeakValueDictionary[str, RemoteKernel]] = WeakValueDictionary()
    """All kernels of this process by id, with those whose start is still in progress."""

    lost: ClassVar[deque[LostKernel]] = deque(maxlen=10)
    """The last ones that YARN has stopped. Jupyter forgets them."""

    def __init__(
        self, containers: KernelContainers | KernelApplication, kernel_id: str, size: str, log: logging.Logger
    ) -> None:
        self._containers = containers
        self._id = kernel_id
        self._size = containers.size(size)
        self._log = log
        self._container = ""
        self._serial = 0
        self.address: KernelAddress | None = None
        self.end: KernelEnd | None = None
        self._running_at: int | None = None
        self._ask = 0.0
        self.progress = StartProgress(kernel_id, self._size, containers.wait_reasons)
        self.known[kernel_id] = self

    @property
    def size(self) -> KernelSize:
        return self._size

    @property
    def containers(self) -> KernelContainers | KernelApplication:
        return self._containers

    @property
    def container_id(self) -> str:
        """Return skein's id of the container; "" if it has none."""
        return self._container

    @property
    def present(self) -> bool:
        """True from the request for a container until it is released."""
        return bool(self._container)

    @property
    def connection(self) -> dict[str, Any]:
        """The connection information with the kernel's keys; empty if it does not listen."""
        if self.address is None:
            return {}
        keys = self._containers.keys(self._id).connection
        return {"transport": "tcp", "ip": self.address.ip, **self.address.ports, **keys, "key": keys["key"].encode()}

    def launch(self, argv: list[str], env: dict[str, str], cwd: str, *, can_encrypt: bool) -> KernelLaunch:
        """Return a launch in which paths of the server's container are those of the kernel's.

        Args:
            argv: the kernel's command.
            env: variables in addition to the container's.
            cwd: folder of the notebook.
            can_encrypt: the kernel itself can encrypt its connections.
        """
        if self._size.own_environment and argv[0].rpartition("/")[2].startswith("python"):
            argv = ["python", *argv[1:]]
        launch = KernelLaunch(argv, env, cwd, can_encrypt)
        folder = self._containers.folder
        return launch.with_folder(folder, CONTAINER_FOLDER) if folder else launch

    async def start(self, launch: KernelLaunch, timeout: float) -> None:
        """Start the kernel in a new container, and wait until it listens.

        Raises:
            KernelRefused: with a message for the user.
            StoreError: the application master does not answer.
        """
        await self.release()
        self.address, self.end, self._serial, self._running_at = None, None, 0, None
        self._container = await self._containers.add(self._size, self._id, launch)
        self.progress.begin()
        self._log.info("Kernel %s: its container is %s, with %s", self._id, self._container, self._size.text)
        try:
            await self._wait_listening(timeout, run=1, launch=launch)
        except BaseException:
            self.progress.end()
            await asyncio.shield(self.release())
            raise

    async def restart(self, launch: KernelLaunch, timeout: float) -> bool:
        """Start an ended kernel again in its container, at the same address.

        Returns:
            False if the container has ended as well.

        Raises:
            KernelRefused, StoreError: see :meth:`start`.
        """
        end = self.end
        if not self._container or end is None or end.final or self.address is None:
            return False
        container = await self._containers.container(self._size, self._container)
        if container is None or not container.active:
            return False
        self.end = None
        await self.command("restart", launch=self._containers.keys(self._id).seal(launch))
        try:
            await self._wait_listening(timeout, run=end.run + 1)
        except KernelRefused as error:
            self._log.warning("Kernel %s is started in a new container: %s", self._id, error)
            return False
        return True

    async def _wait_listening(self, timeout: float, *, run: int, launch: KernelLaunch | None = None) -> None:
        """Wait until the kernel listens. With ``launch``, repeat the request for a container that YARN does not give."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        again = loop.time() + self._containers.patience
        while True:
            try:
                container = await self._look(run)
                if container is None:
                    return
                if loop.time() > until:
                    raise KernelRefused(self.progress.timeout_message(container, timeout))
                if launch is not None and container.state != "RUNNING" and loop.time() > again:
                    again = loop.time() + self._containers.patience
                    await self._containers.kill(self._container)
                    self._container = await self._containers.add(self._size, self._id, launch, again=True)
            except StoreError as error:
                # YARN or the application master may answer again.
                if loop.time() > until:
                    raise
                self._log.debug("Kernel %s: its state is unknown: %s", self._id, error)
            await asyncio.sleep(INTERVAL)

    async def _look(self, run: int) -> ServiceContainer | None:
        """Return the container in which the kernel does not listen yet; None if it listens."""
        published = await self._containers.published(self._id)
        if published.address is not None and published.address.run == run:
            self.address = published.address
            self.progress.end()
            return None
        if published.end is not None and published.end.run == run:
            raise KernelRefused(published.end.message)
        if not self._container:
            raise KernelRefused("The start of this kernel was cancelled.")
        container = await self._containers.container(self._size, self._container)
        if container is None or not container.active:
            raise KernelRefused(_with_reason("The kernel's container ended before the kernel listened.", container))
        self.progress.look(container)
        return container

    async def find_end(self) -> KernelEnd | None:
        """Return how the kernel ended; None while it runs.

        Raises:
            StoreError: its state is unknown.
        """
        if self.end is None:
            self.end = await self._find_end()
        return self.end

    async def _find_end(self) -> KernelEnd | None:
        # Jupyter calls this each second for each kernel. A request takes some ten milliseconds of the processor.
        changes, now = self._containers.changes, time.monotonic()
        if changes is not None and changes == self._running_at and now < self._ask:
            return None
        self._running_at = None
        run = self.address.run if self.address else 1
        published = await self._containers.published(self._id)
        if published.end is not None and published.end.run >= run:
            end = published.end
            return KernelEnd(end.run, end.status, await self._reason(end), final=True) if end.final else end
        if published.address is not None:
            self._running_at, self._ask = changes, now + _UNCHANGED_LIMIT
            return None
        container = await self._containers.container(self._size, self._container)
        if container is not None and container.active:
            return None
        return KernelEnd(run, _KILLED, _with_reason("YARN stopped the kernel's container.", container), final=True)

    async def _reason(self, end: KernelEnd) -> str:
        """Return YARN's reason for a container's end if YARN reports it soon; else the container's own."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _REASON_LIMIT
        while loop.time() < until:
            container = await self._containers.container(self._size, self._container)
            if container is None or not container.active:
                return _with_reason(end.message, container)
            await asyncio.sleep(INTERVAL)
        return end.message

    async def command(self, action: str, *, number: int = 0, launch: str = "") -> None:
        """Give the container a command.

        Raises:
            StoreError: the application master does not answer.
        """
        self._serial += 1
        await self._containers.command(self._id, KernelCommand(self._serial, action, number, launch))

    async def kill(self) -> None:
        """Kill the kernel. If its container does not obey, kill the container.

        Raises:
            StoreError: the application master does not answer.
        """
        await self.command("signal", number=signal.SIGKILL)
        loop = asyncio.get_running_loop()
        until = loop.time() + OBEDIENCE
        while await self.find_end() is None:
            if loop.time() > until:
                await self._containers.kill(self._container)
                self.end = KernelEnd(self.address.run if self.address else 1, _KILLED)
                return
            await asyncio.sleep(INTERVAL)

    async def release(self) -> None:
        """End the container, and remove its keys from the store.

        Raises:
            StoreError: the application master does not answer.
        """
        if not self._container:
            return
        container, self._container = self._container, ""
        await self.command("exit")
        loop = asyncio.get_running_loop()
        until = loop.time() + OBEDIENCE
        while self.address is not None and loop.time() < until:
            # It removes its address as its last act.
            if (await self._containers.published(self._id)).address is None:
                break
            await asyncio.sleep(INTERVAL)
        await self._containers.kill(container)
        await self._containers.forget(self._id)

    # -- For a restart of the Jupyter server

    def to_dict(self) -> dict[str, Any]:
        """Return what another server process needs to find the kernel again; it contains no keys."""
        address = json.loads(self.address.to_bytes()) if self.address else None
        return {
            "container": self._container,
            "serial": self._serial,
            "address": address,
            "requested": self.progress.requested,
        }

    def load(self, known: dict[str, Any]) -> None:
        """Find the kernel again.

        Raises:
            ProtocolError: this is not the result of :meth:`to_dict`.
        """
        self._container, self._serial = known["container"], known["serial"]
        self.progress.requested = known.get("requested", 0.0)
        self.address = KernelAddress.from_bytes(json.dumps(known["address"]).encode()) if known["address"] else None


def _with_reason(message: str, container: ServiceContainer | None) -> str:
    """Return a message with YARN's reason for the container's end, and the remedy if it is known."""
    reason = container.exit_message if container else ""
    remedy = "Choose a larger kernel." if "memory" in reason else ""
    return " ".join(filter(None, (message, reason, remedy)))
