"""Replace the server's process by a new one in the same container, at the same address."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from yarnspawner.common.protocol import RestartRequest
from yarnspawner.singleuser.descendants import RESTART_VARIABLE, terminate_descendants
from yarnspawner.singleuser.failure import say

KEEPER = "yarnspawner_kernels"
"""Name of the :class:`KernelKeeper` in the settings of Jupyter Server's web application."""

_NAME = "yarnspawner.singleuser"

# Seconds at most for answers to requests that were accepted before.
_ANSWER_LIMIT = 3.0
# Seconds after which a connection without a request is idle.
_IDLE_TIME = 0.5


class KernelKeeper(Protocol):
    """Keeps kernels that run in other containers; see `yarnspawner/kernels/kept.py`."""

    restored: int

    async def save(self) -> Any:
        """Write down the kernels."""

    async def detach(self) -> None:
        """Write down the kernels, and let go of them, so that the server's end does not stop them."""

    async def restore(self) -> None:
        """Find the kernels again."""


def keeper_of(app: Any) -> KernelKeeper | None:
    """Return the keeper of a server's kernels; None if the server has no kernels in containers."""
    keeper: KernelKeeper | None = app.web_app.settings.get(KEEPER)
    return keeper


@dataclass(frozen=True)
class FormerProcess:
    """What the former process of this server has left.

    Attributes:
        request: id of the request to restart.
        descriptors: those of the sockets that listen.
    """

    request: str = ""
    descriptors: tuple[int, ...] = ()

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> FormerProcess | None:
        """Remove it from the environment; None if this is the server's first process."""
        if not (text := environ.pop(RESTART_VARIABLE, "")):
            return None
        left = json.loads(text)
        return cls(left["request"], tuple(left["descriptors"]))

    def sockets(self) -> list[socket.socket]:
        """Return the sockets."""
        found = [socket.socket(fileno=descriptor) for descriptor in self.descriptors]
        for one in found:
            one.set_inheritable(False)
            one.setblocking(False)
        return found


class Restart:
    """Ends a server, except for its kernels in other containers, and runs its command again in this process.

    - The process keeps its id, so nothing else in the container notices.
    - The sockets stay open. Requests wait in them until the new server accepts them.
    - A server that does not end in time is replaced anyway.

    To be made before anything changes the environment.
    """

    def __init__(self) -> None:
        self.former = FormerProcess.take(os.environ)
        self._environment = dict(os.environ)
        self._folder = Path.cwd()
        self._request: RestartRequest | None = None
        self._descriptors: list[int] = []
        self._detached = False

    @property
    def pending(self) -> bool:
        return self._request is not None

    def begin(self, app: Any, request: RestartRequest) -> None:
        """End the server, then replace the process. Called by the watcher's thread."""
        self._descriptors = [os.dup(one.fileno()) for one in app.sockets]
        self._request = request
        forced = threading.Timer(request.grace, self._force, [app])
        forced.daemon = True
        forced.start()
        app.io_loop.add_callback(self._end, app)

    def run(self) -> NoReturn:
        """Run the command again in this process."""
        terminate_descendants()
        for descriptor in self._descriptors:
            os.set_inheritable(descriptor, True)
        left = {"request": self._request.id if self._request else "", "descriptors": self._descriptors}
        with contextlib.suppress(OSError):
            os.chdir(self._folder)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        environment = {**self._environment, RESTART_VARIABLE: json.dumps(left)}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 - its own command

    async def _end(self, app: Any) -> None:
        try:
            # From here on, connections wait for the new server, since copies of the sockets stay open.
            app.http_server.stop()
            await _answered(app.http_server)
            self._detached = True
            if (keeper := keeper_of(app)) is not None:
                await keeper.detach()
        finally:
            app.stop()

    def _force(self, app: Any) -> None:
        say(_NAME, "some kernels or extensions did not end in time")
        if not self._detached and (keeper := keeper_of(app)) is not None:
            with contextlib.suppress(Exception):
                asyncio.run(keeper.save())
        self.run()


async def _answered(server: Any) -> None:
    """Wait until all requests have their answers, then close the connections. Those of WebSockets do not count."""
    # Node.js keeps connections for further requests, which must not come while the process is replaced.
    server.conn_params.no_keep_alive = True
    began = time.monotonic()
    while server._connections and (passed := time.monotonic() - began) < _ANSWER_LIMIT:  # noqa: SLF001 - there is no event
        # All wait for a request that does not come.
        if passed > _IDLE_TIME and all(one.stream.reading() for one in server._connections):  # noqa: SLF001
            break
        await asyncio.sleep(0.05)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(server.close_all_connections(), 1)
