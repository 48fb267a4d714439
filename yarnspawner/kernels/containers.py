"""Containers of a server's kernels, in the server's own application."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from yarnspawner.common.kernel_protocol import (
    KERNEL_ID_VARIABLE,
    KERNELS_PREFIX,
    LAUNCH_VARIABLE,
    SECRET_FILE,
    KernelAddress,
    KernelCommand,
    KernelEnd,
    KernelKeys,
    KernelLaunch,
    KernelOffer,
    KernelSize,
    address_key,
    command_key,
    end_key,
    key_prefix,
)
from yarnspawner.common.protocol import ProtocolError
from yarnspawner.kernels.spares import Spare, SpareContainers
from yarnspawner.kernels.wait_reasons import HubQuestion, WaitReasons
from yarnspawner.singleuser.key_news import KeyNews
from yarnspawner.singleuser.store import NotInContainer, ServiceContainer, Store, StoreError

T = TypeVar("T")


class KernelRefused(Exception):
    """A kernel cannot be started; the message is for the user."""


@dataclass(frozen=True)
class Published:
    """What a kernel's container has published."""

    address: KernelAddress | None
    end: KernelEnd | None

    @classmethod
    def parse(cls, address: bytes | None, end: bytes | None) -> Published:
        """Return what two values of the key-value store say; None or b"" for a missing key.

        Raises:
            ProtocolError: a value is invalid.
        """
        return cls(KernelAddress.from_bytes(address) if address else None, KernelEnd.from_bytes(end) if end else None)


class KernelContainers:
    """The containers of this server's kernels.

    - Only the sizes that the hub offers to the user exist as services of the application.
    - The limits count the containers that the application master knows, so they hold after a restart of the server.
    - Every call has a deadline, and none blocks the event loop.

    Args:
        store: the application's key-value store.
        offer: the kernels that the hub offers.
        secret: content of the private file from which keys are derived.
    """

    patience = 10.0
    """Seconds after which a request for a container is repeated. skein's application master loses some requests that follow the
    end of a container at once (seen in tests/cluster/test_kernels.py). A repeated one costs nothing in YARN's queue."""

    _current: KernelContainers | None = None

    def __init__(self, store: Store, offer: KernelOffer, secret: bytes) -> None:
        self.wait_reasons = WaitReasons(HubQuestion(os.environ).ask)
        self._store = store
        self._offer = offer
        self._secret = secret
        # Two kernels that start at the same time must not both get the last free place, or the same spare container.
        self._starting = threading.Lock()
        self._spares = SpareContainers(store, offer, self._starting)
        self._news: KeyNews | None = None

    @classmethod
    def current(cls) -> KernelContainers:
        """Return the containers of the server that this process is.

        Raises:
            KernelRefused: this is no such server, or its hub offers no kernels in containers.
        """
        if cls._current is None:
            try:
                store = Store()
                offer = KernelOffer.from_json(os.environ.get(KernelOffer.variable, ""))
                secret = Path(store.container_folder, SECRET_FILE).read_bytes() if offer.sizes else b""
            except (NotInContainer, ImportError, OSError, ProtocolError) as error:
                raise KernelRefused(
                    f"A kernel in a container needs a server that YarnSpawner has started: {error}."
                ) from None
            if not offer.sizes:
                raise KernelRefused("Your administrator offers no kernels in containers (kernel_profiles).")
            cls._current = cls(store, offer, secret)
        return cls._current

    @property
    def folder(self) -> str:
        """The folder of the server's own container."""
        return self._store.container_folder

    def size(self, slug: str) -> KernelSize:
        """Return an offered size; the first for "".

        Raises:
            KernelRefused: it is not offered.
        """
        for size in self._offer.sizes:
            if slug in ("", size.slug):
                return size
        offered = ", ".join(size.slug for size in self._offer.sizes)
        raise KernelRefused(f"The kernel size {slug!r} is not offered to you; choose from {offered}.")

    def keys(self, kernel_id: str) -> KernelKeys:
        """Return the keys of a kernel."""
        return KernelKeys(self._secret, kernel_id)

    async def add(self, size: KernelSize, kernel_id: str, launch: KernelLaunch, *, again: bool = False) -> str:
        """Return skein's id of a container for a kernel: of a spare one, or of one that is now requested.

        Args:
            size: the kernel's size.
            kernel_id: its id.
            launch: its command.
            again: YARN has not given the container of an earlier request. Then all spare ones are given back.

        Raises:
            KernelRefused: a limit is reached.
            StoreError: the application master does not answer.
        """
        sealed = self.keys(kernel_id).seal(launch)

        def add() -> str:
            with self._starting:
                self._store.discard_prefix(key_prefix(kernel_id))
                active = self._store.containers()
                spares = self._spares.find(active)
                container_id = self._spares.take(size, kernel_id, sealed, spares)
                if again:
                    self._spares.pause()
                    self._give_back(spares, active)
                    spares = []
                if not container_id:
                    self._make_room(size, active, spares)
                    environment = {KERNEL_ID_VARIABLE: kernel_id, LAUNCH_VARIABLE: sealed}
                    container_id = self._store.add_container(size.service, environment)
                self._spares.want(size)
                return container_id

        return await self._call(add)

    @property
    def changes(self) -> int | None:
        """How often what kernels publish may have changed so far; None if that is not known.

        Read it before :meth:`published`. A container's end removes the kernel's address, which is a change. The first call opens the
        event stream.
        """
        if self._news is None:
            self._news = KeyNews.of_prefix(self._store, KERNELS_PREFIX)
            self._news.start()
        return self._news.changes

    async def published(self, kernel_id: str) -> Published:
        """Return what a kernel's container has published.

        Raises:
            StoreError: the application master does not answer.
        """
        found = await self._call(lambda: self._store.get_prefix(key_prefix(kernel_id)))
        address, end = found.get(address_key(kernel_id)), found.get(end_key(kernel_id))
        try:
            return Published.parse(address, end)
        except ProtocolError as error:
            raise StoreError(str(error)) from None

    async def container(self, size: KernelSize, container_id: str) -> ServiceContainer | None:
        """Return a container as the application master knows it; None if it does not.

        Raises:
            StoreError: the application master does not answer.
        """
        found = await self._call(lambda: self._store.containers(size.service, ended=True))
        container = found.get(container_id)
        if container is None or container.state not in ("WAITING", "REQUESTED"):
            return container
        queue = f" in queue {self._offer.queue}" if self._offer.queue else ""
        return replace(container, waiting=f"Waiting{queue} for a container with {size.text}")

    async def active(self) -> dict[str, ServiceContainer]:
        """Return all containers of kernels that YARN runs or will run, by skein's id, without spare ones.

        Raises:
            StoreError: the application master does not answer.
        """
        services = {size.service for size in self._offer.sizes}

        def find() -> dict[str, ServiceContainer]:
            with self._starting:
                found = self._store.containers()
                spare = {one.id for one in self._spares.find(found)}
            return {
                name: container
                for name, container in found.items()
                if container.service in services and name not in spare
            }

        return await self._call(find)

    async def command(self, kernel_id: str, command: KernelCommand) -> None:
        """Give a command to a kernel's container.

        Raises:
            StoreError: the application master does not answer.
        """
        await self._call(lambda: self._store.put(command_key(kernel_id), command.to_bytes(), lasting=True))

    async def kill(self, container_id: str) -> None:
        """Kill a container; do nothing if it has ended.

        Raises:
            StoreError: the application master does not answer.
        """

        def kill() -> None:
            self._store.kill_container(container_id)
            self._spares.forget(container_id)

        await self._call(kill)

    async def forget(self, kernel_id: str) -> None:
        """Remove all keys of a kernel.

        Raises:
            StoreError: the application master does not answer.
        """
        await self._call(lambda: self._store.discard_prefix(key_prefix(kernel_id)))

    def _make_room(self, size: KernelSize, active: dict[str, ServiceContainer], spares: list[Spare]) -> None:
        """Give back as many spare containers as a kernel needs to be within the limits.

        Raises:
            KernelRefused: it is not within the limits, even without spare containers.
        """
        self._check_limit(size, self._used(active, without=spares))
        # First those that are not ready yet, and then the largest.
        memory = {one.service: one.memory for one in self._offer.sizes}
        for spare in sorted(spares, key=lambda one: (one.ready, -memory[one.service])):
            if self._offer.allows(self._used(active), size.memory):
                return
            self._give_back([spare], active)

    def _give_back(self, spares: list[Spare], active: dict[str, ServiceContainer]) -> None:
        for spare in spares:
            self._spares.release(spare.id)
            del active[spare.id]

    def _used(self, active: dict[str, ServiceContainer], without: Sequence[Spare] = ()) -> list[int]:
        """Return the memory of each of these containers, in MiB."""
        left_out = {spare.id for spare in without}
        return self._offer.used(one.service for container_id, one in active.items() if container_id not in left_out)

    def _check_limit(self, size: KernelSize, used: list[int]) -> None:
        if self._offer.allows(used, size.memory):
            return
        remedy = "Shut down a kernel first."
        if self._offer.containers and len(used) >= self._offer.containers:
            allowed = f"{self._offer.containers} kernel{'s' * (self._offer.containers > 1)} in containers"
            raise KernelRefused(f"Your administrator allows {allowed} at the same time. {remedy}")
        raise KernelRefused(
            f"This kernel needs {_gigabytes(size.memory)}. Your kernels in containers use {_gigabytes(sum(used))} of the"
            f" {_gigabytes(self._offer.memory)} that your administrator allows. {remedy}"
        )

    @staticmethod
    async def _call(function: Callable[[], T]) -> T:
        return await asyncio.to_thread(function)


def _gigabytes(mebibytes: int) -> str:
    return f"{round(mebibytes / 1024, 1):g} GB"
