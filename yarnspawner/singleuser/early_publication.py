"""Publish a server's address while skein's application master still registers with YARN.

The master's store answers a second or so before that. Skein runs its script, which tells a server about the store, some time
after the registration. The hub can read the store as soon as the master has registered, so then the address is there.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from yarnspawner.singleuser.registration import ADDRESS_VARIABLE, container_runs, registration_pending
from yarnspawner.singleuser.store import Store, StoreError

# Seconds between two looks for the store, and between two looks for the registration.
_LOOK_INTERVAL = 0.05
_INTERVAL = 0.02


def publish_early(store: Store, values: Mapping[str, bytes], sockets: Iterable[socket.socket], host: str) -> None:
    """Set keys in the store before the application master has registered.

    Returns once it has registered, or somebody connects to this server, which only happens after that. Until then, the
    processor is the master's. Nothing else depends on the success: the keys are set again after the registration.

    Args:
        store: the store.
        values: of the keys.
        sockets: on which this server listens.
        host: the node's name, for the variable that skein sets in its scripts.
    """
    asked: set[int] = set()
    while registration_pending() and container_runs():
        for port in _ports_of_master() - asked:
            asked.add(port)
            # Another port is its web page, or what an administrator has added to all Java programs.
            with suppress(StoreError):
                store.put_at(f"127.0.0.1:{port}", values)
                os.environ[ADDRESS_VARIABLE] = f"{host}:{port}"
                _await_connection(sockets)
                return
        time.sleep(_LOOK_INTERVAL)


def _await_connection(sockets: Iterable[socket.socket]) -> None:
    """Wait until somebody connects, the master has registered or the container ends."""
    waiting = select.poll()
    for one in sockets:
        waiting.register(one, select.POLLIN)
    while registration_pending() and container_runs() and not waiting.poll(1000 * _INTERVAL):
        pass


def _ports_of_master() -> set[int]:
    """Return the ports on which the container's first process listens, which is the application master."""
    leader = os.getsid(0)
    if leader in (0, os.getpid()):
        return set()
    try:
        import psutil  # ipykernel depends on it

        process = psutil.Process(leader)
        connections = getattr(process, "net_connections", None) or process.connections
        found = connections("tcp")
    except Exception:  # noqa: BLE001 - whatever it is, the address is published later
        return set()
    listening = [one.laddr for one in found if one.status == psutil.CONN_LISTEN]
    return {address.port for address in listening if address.ip in ("::", "0.0.0.0")}  # noqa: S104
