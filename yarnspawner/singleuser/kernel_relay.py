"""Encrypted connections for kernels that do not encrypt their own."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import zmq

# Types of the socket that clients connect to, and of the one that connects to the kernel.
_SOCKETS = {
    "shell_port": (zmq.ROUTER, zmq.DEALER),
    "iopub_port": (zmq.XPUB, zmq.XSUB),
    "stdin_port": (zmq.ROUTER, zmq.DEALER),
    "control_port": (zmq.ROUTER, zmq.DEALER),
    "hb_port": (zmq.ROUTER, zmq.DEALER),
}

# A kernel sends its requests for input to the identity that the request came from, on another socket.
_IDENTITY = b"yarnspawner"


class Relay:
    """Listens with CurveZMQ, and passes all messages to a kernel that listens on private UNIX sockets.

    - The kernel may end and start again; the relay's sockets connect again.
    - It checks no signatures: the kernel does.

    Args:
        address: IP address to listen on.
        ports: ports by name.
        folder: private folder of the UNIX sockets. Their paths must be shorter than 108 characters.
        secret_key: CurveZMQ secret key of the kernel, which its clients use as well.
    """

    def __init__(self, address: str, ports: Mapping[str, int], folder: Path, secret_key: str) -> None:
        self._base = folder / "kernel"
        context = zmq.Context()
        for number, (name, (outer_type, inner_type)) in enumerate(_SOCKETS.items(), start=1):
            outer, inner = context.socket(outer_type), context.socket(inner_type)
            outer.curve_server = True
            outer.curve_secretkey = secret_key.encode()
            if outer_type == zmq.XPUB:
                # Each client's subscription reaches the kernel, which may answer it (JEP 65).
                outer.setsockopt(zmq.XPUB_VERBOSE, 1)
            if inner_type == zmq.DEALER:
                inner.setsockopt(zmq.IDENTITY, _IDENTITY)
            outer.setsockopt(zmq.IPV6, ":" in address)
            outer.bind(f"tcp://[{address}]:{ports[name]}" if ":" in address else f"tcp://{address}:{ports[name]}")
            inner.connect(f"ipc://{self._base}-{number}")
            threading.Thread(target=zmq.proxy, args=(outer, inner), name=f"relay-{name}", daemon=True).start()

    @property
    def connection(self) -> dict[str, str | int]:
        """The kernel's own address in its connection file."""
        ports = {name: number for number, name in enumerate(_SOCKETS, start=1)}
        return {"transport": "ipc", "ip": str(self._base), **ports}

    def listening(self) -> bool:
        """Return True if the kernel has created all its sockets."""
        return all(path.exists() for path in self._paths())

    def clean(self) -> None:
        """Remove the sockets that an ended kernel has left."""
        for path in self._paths():
            with suppress(FileNotFoundError):
                path.unlink()

    def _paths(self) -> list[Path]:
        return [Path(f"{self._base}-{number}") for number in range(1, len(_SOCKETS) + 1)]
