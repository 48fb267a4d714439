"""A block of ports of 127.0.0.1 for one cluster.

A daemon that is killed must come back on its own port, and two clusters must not collide. So the ports lie below those
that the kernel gives to outgoing connections, and the supervisor listens on the first port of its cluster's block for as
long as the cluster lives: a cluster that cannot bind that one takes another block.
"""

from __future__ import annotations

import random
import socket

from localhadoop.errors import LocalHadoopError

#: The daemons' ports, by their offset in the block. The first one is the claim.
NAMES = (
    "claim",
    "namenode",
    "namenode-web",
    "datanode",
    "datanode-ipc",
    "datanode-web",
    *(f"{daemon}{use}" for daemon in ("resourcemanager", "resourcemanager2")
      for use in ("", "-scheduler", "-tracker", "-admin", "-web")),
    "zookeeper",
    "kdc",
)  # fmt: skip
NODE_NAMES = ("", "-localizer", "-web", "-collector")
BLOCK = 64
MOST_NODES = (BLOCK - len(NAMES)) // len(NODE_NAMES)
LOWEST, HIGHEST = 20000, 32000  # Linux gives 32768 and above to outgoing connections


def names(nodes: int) -> list[str]:
    """The names of all ports of a cluster with ``nodes`` NodeManagers."""
    return [*NAMES, *(f"nodemanager{node}{use}" for node in range(1, nodes + 1) for use in NODE_NAMES)]


def choose(nodes: int, base: int | None = None) -> tuple[dict[str, int], socket.socket]:
    """Free ports by name, and the listening socket that claims them: those from ``base`` on, or of a free block.

    Raises :class:`LocalHadoopError` if one from ``base`` on is taken, or there is no free block.
    """
    if base is not None:
        return block(nodes, base)
    bases = list(range(LOWEST, HIGHEST, BLOCK))
    random.shuffle(bases)
    for candidate in bases:
        try:
            return block(nodes, candidate)
        except LocalHadoopError:
            continue
    raise LocalHadoopError(f"there are no {BLOCK} free ports in a row between {LOWEST} and {HIGHEST}")


def block(nodes: int, base: int) -> tuple[dict[str, int], socket.socket]:
    """Claim the ports from ``base`` on; raises :class:`LocalHadoopError` if one of them is taken or is none."""
    if not 1024 <= base <= 65535 - BLOCK:
        raise LocalHadoopError(f"{base} is no first port for a cluster: choose one from 1024 to {65535 - BLOCK}")
    ports = {name: base + offset for offset, name in enumerate(names(nodes))}
    claim = socket.socket()
    try:
        claim.bind(("127.0.0.1", ports["claim"]))
        claim.listen(1)
    except OSError:
        claim.close()
        raise taken("claim", base) from None
    for name, port in ports.items():
        if name != "claim" and not is_free(port):
            claim.close()
            raise taken(name, port)
    return ports, claim


def taken(name: str, port: int) -> LocalHadoopError:
    return LocalHadoopError(f"port {port} is taken ({name} wants it): choose another first port")


def is_free(port: int) -> bool:
    """Whether no program listens on ``port``, on any address of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError:
            return False
    return True
