"""Spare containers of a server: YARN has given them, and they wait for the server's next kernels."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from traitlets.log import get_logger

from yarnspawner.common.kernel_protocol import KernelOffer, KernelSize
from yarnspawner.common.spare_protocol import (
    ASSIGNMENT,
    READY,
    SPARE_VARIABLE,
    SPARES_PREFIX,
    KernelAssignment,
    assignment_key,
    requested_key,
    spare_prefix,
)
from yarnspawner.singleuser.key_news import KeyNews
from yarnspawner.singleuser.store import ServiceContainer, Store, StoreError

# Seconds between two looks at the spare containers, while the server keeps any.
_INTERVAL = 2.0
# Seconds between the start of a kernel and the request for a spare container: the kernel itself comes first.
_DELAY = 3.0
# The same while none is missing and an event stream tells of changes, for a stream that broke without a sign.
_COMPLETE_INTERVAL = 30.0
# Seconds for which a server keeps spare containers of a size after the last start of such a kernel.
_KEEP = 1800.0
# Seconds for a ready container to accept a kernel. It takes some hundredths of a second.
_ACCEPTANCE = 2.0
# Seconds for YARN to give a spare container, and to fetch the files of a large environment and start it.
_GIVEN_LIMIT, _READY_LIMIT = 60.0, 600.0
# Seconds without a new request after a failure: the first time, and at most.
_PAUSE, _LONGEST_PAUSE = 60.0, 1800.0


@dataclass(frozen=True)
class Spare:
    """A spare container.

    Attributes:
        id: skein's id of the container.
        service: the service of its size.
        ready: it waits for a kernel. Else YARN has not given it, or it starts.
    """

    id: str
    service: str
    ready: bool


@dataclass
class _Demand:
    """A size of which spare containers are kept."""

    size: KernelSize
    used: float = 0.0
    again: float = 0.0
    failures: int = 0

    def fail(self, now: float) -> None:
        """Postpone the next request, for longer after each failure."""
        self.again = now + min(_PAUSE * 2**self.failures, _LONGEST_PAUSE)
        self.failures = min(self.failures + 1, 10)


@dataclass(frozen=True)
class _Request:
    """A request for a spare container that no kernel has taken."""

    slug: str
    time: float


class SpareContainers:
    """Keeps spare containers of the sizes that the user needs.

    - They are found in the store, so another process of the same server finds them again.
    - The first kernel of a size makes the server request spare containers of it. Without a further one, they are given back.
    - A container that is lost, or that YARN does not give, is requested again after a pause, which grows.

    Args:
        store: the application's key-value store.
        offer: the kernels that the hub offers.
        lock: held by the callers of all methods.
    """

    def __init__(self, store: Store, offer: KernelOffer, lock: threading.Lock) -> None:
        self._store = store
        self._offer = offer
        self._lock = lock
        self._enabled = any(size.warm for size in offer.sizes)
        self._demands: dict[str, _Demand] = {}
        self._requests: dict[str, _Request] = {}
        self._thread: threading.Thread | None = None
        self._news: KeyNews | None = None
        self._complete_at: int | None = None
        self._log = get_logger()

    def find(self, active: Mapping[str, ServiceContainer]) -> list[Spare]:
        """Return the spare containers among these; those that are ready come first.

        Raises:
            StoreError: the application master does not answer.
        """
        if not self._enabled:
            return []
        keys: dict[str, set[str]] = {}
        for key in self._store.get_prefix(SPARES_PREFIX):
            container_id, _, name = key.removeprefix(SPARES_PREFIX).rpartition(".")
            keys.setdefault(container_id, set()).add(name)
        found = [
            Spare(container_id, active[container_id].service, READY in names)
            for container_id, names in keys.items()
            if container_id in active and ASSIGNMENT not in names
        ]
        return sorted(found, key=lambda spare: not spare.ready)

    def take(self, size: KernelSize, kernel_id: str, launch: str, spares: list[Spare]) -> str:
        """Assign a kernel to a spare container of its size.

        Args:
            size: the kernel's size.
            kernel_id: its id.
            launch: its encrypted command.
            spares: the result of :meth:`find`. Containers that are no longer spare are removed from it.

        Returns:
            The container's id; "" if none accepts the kernel.

        Raises:
            StoreError: the application master does not answer.
        """
        assignment = KernelAssignment(kernel_id, launch).to_bytes()
        for spare in [one for one in spares if one.service == size.service]:
            spares.remove(spare)
            self._requests.pop(spare.id, None)
            self._store.put(assignment_key(spare.id), assignment, lasting=True)
            # A container that is not ready yet is as good as a new request.
            if not spare.ready or self._is_accepted(spare.id):
                self._log.info("Kernel %s gets the spare container %s", kernel_id, spare.id)
                if size.slug in self._demands:
                    self._demands[size.slug].failures = 0
                return spare.id
            self._log.warning("The spare container %s does not accept a kernel", spare.id)
            self.release(spare.id)
        return ""

    def release(self, container_id: str) -> None:
        """Give a spare container back; do nothing if it has ended.

        Raises:
            StoreError: the application master does not answer.
        """
        self._requests.pop(container_id, None)
        self._store.kill_container(container_id)
        self.forget(container_id)

    def forget(self, container_id: str) -> None:
        """Remove the keys of a container that is no longer spare.

        Raises:
            StoreError: the application master does not answer.
        """
        if self._enabled:
            self._store.discard_prefix(spare_prefix(container_id))

    def pause(self) -> None:
        """Request none for a while, because YARN does not even give the containers that kernels need."""
        for demand in self._demands.values():
            demand.fail(time.monotonic())

    def want(self, size: KernelSize) -> None:
        """Keep spare containers of a size from now on, since the user has started such a kernel."""
        if not size.warm:
            return
        demand = self._demands.setdefault(size.slug, _Demand(size))
        demand.used = time.monotonic()
        demand.again = max(demand.again, demand.used + _DELAY)
        self._complete_at = None
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep, name="yarnspawner-spares", daemon=True)
            self._thread.start()

    def _keep(self) -> None:
        if self._news is None:
            self._news = KeyNews.of_prefix(self._store, SPARES_PREFIX)
            self._news.start()
        again = 0.0
        while True:
            time.sleep(_INTERVAL)
            changes, now = self._news.changes, time.monotonic()
            if changes is not None and changes == self._complete_at and now < again:
                continue
            with self._lock:
                self._complete_at = None
                with contextlib.suppress(StoreError):  # the next look may succeed
                    if self.look(now):
                        self._complete_at, again = changes, now + _COMPLETE_INTERVAL
                if not self._demands:
                    self._thread = None
                    return

    def look(self, now: float) -> bool:
        """Notice lost containers, and request missing ones.

        Args:
            now: time of the monotonic clock.

        Returns:
            True if none is missing, and all are ready.

        Raises:
            StoreError: the application master does not answer.
        """
        containers = self._store.containers(ended=True)
        active = {container_id: one for container_id, one in containers.items() if one.active}
        spares = {spare.id: spare for spare in self.find(active)}
        for container_id, request in list(self._requests.items()):
            ready = container_id in spares and spares[container_id].ready
            given = container_id in active and active[container_id].state == "RUNNING"
            limit = _READY_LIMIT if given else _GIVEN_LIMIT
            if container_id in active and (ready or now < request.time + limit):
                continue
            self.release(container_id)
            active.pop(container_id, None)
            spares.pop(container_id, None)
            ended = containers.get(container_id)
            # Without a kernel, it ends by itself after half an hour.
            if (ended is None or ended.state != "SUCCEEDED") and request.slug in self._demands:
                self._log.warning("The spare container %s is lost, or YARN did not give it", container_id)
                self._demands[request.slug].fail(now)
        complete = all(spare.ready for spare in spares.values())
        for demand in list(self._demands.values()):
            missing = demand.size.warm - sum(spare.service == demand.size.service for spare in spares.values())
            complete = complete and missing <= 0
            if missing > 0 and now > demand.used + _KEEP:
                del self._demands[demand.size.slug]
            elif missing > 0 and now >= demand.again:
                self._request(demand.size, missing, list(active.values()), now)
        return complete

    def _request(self, size: KernelSize, missing: int, active: list[ServiceContainer], now: float) -> None:
        used = self._offer.used(container.service for container in active)
        for _ in range(missing):
            if not self._offer.allows(used, size.memory):
                return
            used.append(size.memory)
            container_id = self._store.add_container(size.service, {SPARE_VARIABLE: "1"})
            self._requests[container_id] = _Request(size.slug, now)
            self._store.put(requested_key(container_id), b"1", lasting=True)
            self._log.info("Requested the spare container %s", container_id)

    def _is_accepted(self, container_id: str) -> bool:
        until = time.monotonic() + _ACCEPTANCE
        while self._store.get(assignment_key(container_id)) is not None:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True
