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
    failed: set[int] = set()
    published = False
    while registration_pending() and container_runs():
        if published:
            if select.select([one.fileno() for one in sockets], [], [], _INTERVAL)[0]:
                return
            continue
        for port in _ports_of_master():
            if port in failed or published:
                continue
            try:
                store.put_at(f"127.0.0.1:{port}", values)
            except StoreError:
                failed.add(port)  # its web page, or what an administrator has added to all Java programs
            else:
                published = True
                os.environ[ADDRESS_VARIABLE] = f"{host}:{port}"
        time.sleep(_LOOK_INTERVAL)


def _ports_of_master() -> list[int]:
    """Return the ports on which the container's first process listens, which is the application master."""
    leader = os.getsid(0)
    if leader in (0, os.getpid()):
        return []
    try:
        import psutil  # ipykernel depends on it

        process = psutil.Process(leader)
        connections = getattr(process, "net_connections", None) or process.connections
        found = connections("tcp")
    except (ImportError, psutil.Error):
        return []
    return [one.laddr.port for one in found if one.status == psutil.CONN_LISTEN and one.laddr.ip in ("::", "0.0.0.0")]  # noqa: S104
