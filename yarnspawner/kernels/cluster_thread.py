"""A client of YARN for code that runs on any event loop, such as Jupyter's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from yarnspawner.hadoop.resourcemanager import ResourceManager
from yarnspawner.skein_driver import Cluster
from yarnspawner.yarn.container_waits import ContainerWaits

T = TypeVar("T")

# Seconds without a call after which the drivers stop; each takes about 150 MiB of the user's machine.
_IDLE_LIMIT = 60.0


class ClusterThread:
    """Own a client of YARN and an event loop in a thread.

    - Callers can be on any event loop. A cancelled call is cancelled on the loop of this thread.
    - The client's drivers start with the first call, and stop after a minute without one.

    Args:
        connect: creates the client.
    """

    _shared: ClusterThread | None = None
    _starting = threading.Lock()

    def __init__(self, connect: Callable[[], Cluster] = Cluster) -> None:
        self._connect = connect
        self.container_waits = ContainerWaits(ResourceManager.from_configuration)
        """Says why containers wait. Called on the loop of this thread only."""
        self._cluster: Cluster | None = None
        self._calls = 0
        self._idle: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="yarnspawner-cluster", daemon=True).start()

    @classmethod
    def shared(cls) -> ClusterThread:
        """Return the one that all kernels of this process use."""
        with cls._starting:
            cls._shared = cls._shared or cls()
            return cls._shared

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop of this thread."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def call(self, work: Callable[[Cluster], Coroutine[Any, Any, T]]) -> T:
        """Make a call to YARN. Called on the loop of this thread only.

        Raises:
            ClusterError: the call failed.
        """
        if self._cluster is None:
            self._cluster = self._connect()
        if self._idle is not None:
            self._idle.cancel()
        self._calls += 1
        try:
            return await work(self._cluster)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle = self._loop.call_later(_IDLE_LIMIT, self._close)

    def _close(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            task = self._loop.create_task(cluster.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
