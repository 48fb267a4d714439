"""Ports for a demo, of which there may be several on one machine."""

from __future__ import annotations

import socket


class Ports:
    """Claims free ports of this machine for as long as this process lives.

    A port is claimed by a name in Linux's abstract socket namespace: no program listens on the port itself yet, and two
    demos that start at the same moment must not take the same one. It lies below those that the kernel gives to
    outgoing connections.
    """

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def claim(self, first: int) -> int:
        """The first free port from ``first`` on, on 127.0.0.1.

        Raises:
            OSError: none of a hundred is free.
        """
        for port in range(first, min(first + 100, 65536)):
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0yarnspawner-port-{port}")
            except OSError:
                claim.close()
                continue
            self._claims.append(claim)
            if is_free(port):
                return port
        raise OSError(f"no port is free from {first} on")

    def close(self) -> None:
        for claim in self._claims:
            claim.close()


def is_free(port: int) -> bool:
    """Whether no program listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
