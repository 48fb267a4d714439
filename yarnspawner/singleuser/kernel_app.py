"""ipykernel's application on the node's address, with an optional port range."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelspec import KERNEL_NAME

from yarnspawner.singleuser.environment import node_address
from yarnspawner.singleuser.failure import RecipeError
from yarnspawner.singleuser.listening import parse_port_range
from yarnspawner.singleuser.store import Store, StoreError

# Seconds for which the store may refuse the connection's information. Without it, no client can find the kernel.
_PUBLISH_LIMIT = 60.0
# Seconds for the heartbeat's thread to listen.
_HEARTBEAT_LIMIT = 5.0

_KEYS = ("key", "curve_publickey", "curve_secretkey")


@dataclass(frozen=True)
class KernelOptions:
    """Options of the recipe, in addition to ipykernel's."""

    kernel_info_key: str
    """Key under which the connection information is published."""
    port_range: str
    """``first:last``, or "" for any ports."""
    connection_key_file: str
    """Private file with the connection's keys; "" if the kernel creates and publishes a key."""


class KernelApp(IPKernelApp):
    """An IPython kernel that publishes its connection in the application's key-value store.

    It listens on the node's address, unless --ip says otherwise. Its five ports are taken one by one, as they are found
    free. It publishes them once all are bound and its startup files have run.
    """

    name = "python -m yarnspawner.singleuser.kernel"
    subcommands: dict[str, Any] = {}

    store: Store
    options: KernelOptions
    _free_ports: Iterator[int] | None = None

    def _ip_default(self) -> str:
        return node_address()

    def initialize(self, argv: list[str] | None = None) -> None:
        if self.options.port_range:
            self._free_ports = iter(parse_port_range(self.options.port_range, "--port-range"))
        super().initialize(argv)

    def init_connection_file(self) -> None:
        super().init_connection_file()
        if self.options.connection_key_file:
            keys: Any = _private_keys(Path(self.options.connection_key_file))
            self.load_connection_info(keys | {"ip": self.ip, "transport": self.transport})

    def _bind_socket(self, s: Any, port: int) -> int:
        if port > 0 or self._free_ports is None:
            bound: int = super()._bind_socket(s, port)
            return bound
        for candidate in self._free_ports:
            try:
                s.bind(f"tcp://{self.ip}:{candidate}")
                return candidate
            except zmq.ZMQError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise self._no_port()

    def init_heartbeat(self) -> None:
        # ipykernel binds it in its own thread, where a failure is not seen; so it is looked at from outside.
        if self.hb_port > 0 or self._free_ports is None:
            super().init_heartbeat()
            if not self._heart_beats():
                raise RecipeError(f"The kernel's heartbeat cannot listen on port {self.hb_port}.")
            return
        for candidate in self._free_ports:
            if _is_free(self.ip, candidate):
                self.hb_port = candidate
                super().init_heartbeat()
                if self._heart_beats():
                    return
        raise self._no_port()

    def _heart_beats(self) -> bool:
        thread: Any = self.heartbeat
        until = time.monotonic() + _HEARTBEAT_LIMIT
        while thread.is_alive() and time.monotonic() < until:
            if not _is_free(self.ip, thread.port):
                self.hb_port = thread.port
                return bool(thread.is_alive())
            time.sleep(0.01)
        return False

    def _no_port(self) -> RecipeError:
        return RecipeError(
            f"A kernel needs five ports, and of {self.options.port_range} not so many are free on this node."
        )

    def start(self) -> None:
        self._publish()
        super().start()

    def _publish(self) -> None:
        document = json.dumps(self._published(), indent=2).encode()
        until = time.monotonic() + _PUBLISH_LIMIT
        while True:
            try:
                return self.store.put(self.options.kernel_info_key, document)
            except StoreError as error:
                if time.monotonic() > until:
                    raise RecipeError(f"How to reach the kernel could not be published: {error}") from error
                time.sleep(0.5)

    def _published(self) -> dict[str, Any]:
        information = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in self.get_connection_info().items()
        }
        if self.ip in ("", "0.0.0.0"):  # noqa: S104
            information["ip"] = node_address()
        information["kernel_name"] = KERNEL_NAME
        if self.options.connection_key_file:
            information["encrypted"] = "curve_publickey" in information
            return {name: value for name, value in information.items() if name not in _KEYS}
        self._warn_of_open_store()
        return information

    def _warn_of_open_store(self) -> None:
        try:
            closed = self.store.specification().acls.enable
        except StoreError:
            return
        if not closed:
            self.log.warning(
                "The access control of this application is off, so that its web page shows the kernel's key to everyone"
                " who can open it. Anyone who has the key can run code as you. `acls: {enable: true}` in the"
                " specification keeps it to you."
            )


def _private_keys(file: Path) -> dict[str, Any]:
    """Return the keys that the client created.

    The file is JSON with ``key``, ``signature_scheme``, and if the client can encrypt, ``curve_publickey``,
    ``curve_secretkey`` and ``require_encryption``.

    Raises:
        RecipeError: it cannot be read, or it requires encryption, which this environment does not have.
    """
    try:
        keys: dict[str, Any] = json.loads(file.read_text())
        required = keys.pop("require_encryption", False)
    except (OSError, ValueError, AttributeError) as error:
        raise RecipeError(f"The connection key file {file} cannot be read: {error}") from error
    if not keys.get("key"):
        raise RecipeError(f"The connection key file {file} has no key.")
    if hasattr(IPKernelApp, "curve_secretkey") and zmq.has("curve"):
        if required and not keys.get("curve_secretkey"):
            raise RecipeError(f"Encryption is required, but the connection key file {file} has no keys for it.")
        return keys
    if required:
        raise RecipeError(
            "Encryption is required, which this environment cannot do: it takes ipykernel 7.3 or later and a pyzmq"
            " with CurveZMQ."
        )
    return {name: value for name, value in keys.items() if not name.startswith("curve_")}


def _is_free(address: str, port: int) -> bool:
    try:
        socket.create_server(("" if address == "*" else address, port)).close()
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True
