"""Ports of a kernel that gets them as arguments."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from yarnspawner.common.kernel_protocol import PORT_NAMES
from yarnspawner.singleuser.failure import RecipeError
from yarnspawner.singleuser.listening import ANY_PORT


class ReservedPorts:
    """Five ports that no other process of the node gets, while a kernel listens on them.

    - The sockets are bound and do not listen. With SO_REUSEADDR, which ZeroMQ sets as well, Linux lets another socket bind the
      same port and listen on it. It never chooses such a port for anyone else.
    - They stay reserved between two processes of a kernel, so a restarted kernel has the same ports.

    Args:
        address: IP address to listen on.
        candidates: ports to try.

    Raises:
        RecipeError: fewer than five are free.
    """

    def __init__(self, address: str, candidates: Iterable[int]) -> None:
        self.address = address
        self._sockets: list[socket.socket] = []
        tries = list(candidates)
        for port in tries * len(PORT_NAMES) if tries == list(ANY_PORT) else tries:
            if bound := _bind(address, port):
                self._sockets.append(bound)
            if len(self._sockets) == len(PORT_NAMES):
                break
        else:
            raise RecipeError("A kernel needs five ports, and not so many are free on this node.")
        self.by_name = {name: bound.getsockname()[1] for name, bound in zip(PORT_NAMES, self._sockets, strict=True)}

    def listening(self) -> bool:
        """Return True if a process listens on all of them."""
        return all(_listens(self.address, port) for port in self.by_name.values())


def _bind(address: str, port: int) -> socket.socket | None:
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        # Without SO_REUSEADDR first: with it, a port that another such socket has reserved would seem free.
        bound.bind((address, port))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError as error:
        bound.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise RecipeError(f"The kernel cannot listen on {address}: {error.strerror}.") from error
        return None
    return bound


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
