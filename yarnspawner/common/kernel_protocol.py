"""What a Jupyter server and its kernels in other containers exchange, and the keys that both derive.

They exchange documents through the key-value store of their application. No document contains a secret in plain text. Both
sides read the same private file, and derive a kernel's keys from it and the kernel's id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from yarnspawner.common.protocol import Document, ProtocolError
from yarnspawner.common.text import printable

SECRET_FILE = "yarnspawner.kernels"  # noqa: S105 - a name
"""Name of the private file, in the folder of the server's container and of each kernel's container."""

KERNEL_ID_VARIABLE = "YARNSPAWNER_KERNEL_ID"
"""Environment variable of a kernel's container: the kernel's id."""

LAUNCH_VARIABLE = "YARNSPAWNER_KERNEL_LAUNCH"
"""Environment variable of a kernel's container: the encrypted :class:`KernelLaunch`."""

PORT_NAMES = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")

# Word that stands for a path in another container.
CONTAINER_FOLDER = "{yarnspawner_container}"
CONNECTION_FILE = "{connection_file}"


KERNELS_PREFIX = "jupyter.kernel."
"""Prefix of the keys of all kernels in the store."""


def key_prefix(kernel_id: str) -> str:
    """Return the prefix of a kernel's keys in the store."""
    return f"{KERNELS_PREFIX}{kernel_id}."


def address_key(kernel_id: str) -> str:
    """Return the key of the kernel's :class:`KernelAddress`; its container owns it."""
    return f"{key_prefix(kernel_id)}address"


def end_key(kernel_id: str) -> str:
    """Return the key of the :class:`KernelEnd` of a kernel's last process."""
    return f"{key_prefix(kernel_id)}end"


def command_key(kernel_id: str) -> str:
    """Return the key of the server's last :class:`KernelCommand`."""
    return f"{key_prefix(kernel_id)}command"


@dataclass(frozen=True)
class KernelAddress(Document):
    """Where a kernel listens, written by its container when it does."""

    run: int
    """Number of the process in this container: 1, and one more for each restart."""
    ip: str
    ports: dict[str, int]
    node: str
    """YARN's name of the node."""
    container: str
    """YARN's id of the container."""
    encrypted: bool

    def _check(self) -> None:
        self._expect("run", _is_count(self.run), "a number")
        try:
            ipaddress.ip_address(self.ip)
        except ValueError:
            raise ProtocolError("KernelAddress: ip is not an IP address") from None
        self._expect("ports", isinstance(self.ports, dict) and self.ports.keys() == set(PORT_NAMES), "five ports")
        self._expect("ports", all(type(port) is int and 0 < port < 65536 for port in self.ports.values()), "ports")
        self._expect("node", isinstance(self.node, str) and self.node.isprintable(), "a host name")
        self._expect("container", isinstance(self.container, str) and self.container.isprintable(), "a container id")
        self._expect("encrypted", isinstance(self.encrypted, bool), "true or false")


@dataclass(frozen=True)
class KernelEnd(Document):
    """How a kernel's process ended, written by its container."""

    run: int
    status: int
    """Exit status as in a shell: 128 plus the signal's number if a signal ended it."""
    message: str = ""
    """One sentence for the user; "" after an exit with status 0."""
    final: bool = False
    """The container ends as well, so the kernel cannot be restarted in it."""

    _max_message: ClassVar[int] = 500

    def to_bytes(self) -> bytes:
        """Return the document as UTF-8 JSON, with the message truncated to the size limit."""
        message = printable(self.message)[: self._max_message]
        return Document.to_bytes(KernelEnd(self.run, self.status, message, self.final))

    def _check(self) -> None:
        self._expect("run", _is_count(self.run), "a number")
        self._expect("status", type(self.status) is int, "a number")
        self._expect("message", isinstance(self.message, str) and self.message.isprintable(), "plain text")
        self._expect("final", isinstance(self.final, bool), "true or false")


@dataclass(frozen=True)
class KernelCommand(Document):
    """What a kernel's container is to do, written by the server."""

    serial: int
    """Number of the command. A container obeys each number once."""
    action: str
    """``signal``, ``restart`` or ``exit``."""
    signal: int = 0
    launch: str = ""
    """The encrypted :class:`KernelLaunch` of a restart."""

    max_size: ClassVar[int] = 256 * 1024

    def _check(self) -> None:
        self._expect("serial", _is_count(self.serial), "a number")
        self._expect("action", self.action in ("signal", "restart", "exit"), "signal, restart or exit")
        self._expect("signal", type(self.signal) is int and 0 <= self.signal <= 64, "a signal's number")
        self._expect("launch", isinstance(self.launch, str) and self.launch.isascii(), "encrypted text")


@dataclass(frozen=True)
class KernelLaunch(Document):
    """The command that runs a kernel. It can contain secrets, so it is encrypted with the kernel's own key."""

    argv: list[str]
    """Words, in which CONNECTION_FILE and CONTAINER_FOLDER stand for paths in the kernel's container."""
    env: dict[str, str]
    """Variables that the server sets in addition to its container's."""
    cwd: str
    """Folder of the notebook, if it exists on the kernel's node; or ""."""
    can_encrypt: bool
    """True if the kernel itself encrypts its connections, by its kernelspec."""

    max_size: ClassVar[int] = 128 * 1024

    def with_folder(self, folder: str, other: str) -> KernelLaunch:
        """Return the launch with paths in one folder replaced by paths in another."""
        return KernelLaunch(
            argv=[word.replace(folder, other) for word in self.argv],
            env={name: value.replace(folder, other) for name, value in self.env.items()},
            cwd=self.cwd.replace(folder, other),
            can_encrypt=self.can_encrypt,
        )

    def _check(self) -> None:
        self._expect("argv", bool(self.argv) and _are_texts(self.argv), "a list of words")
        self._expect("env", isinstance(self.env, dict) and _are_texts(list(self.env.values())), "variables")
        self._expect("cwd", isinstance(self.cwd, str), "a path")
        self._expect("can_encrypt", isinstance(self.can_encrypt, bool), "true or false")


class KernelKeys:
    """The keys of one kernel, as its server and its container derive them.

    Args:
        secret: content of the private file.
        kernel_id: the kernel's id.
    """

    def __init__(self, secret: bytes, kernel_id: str) -> None:
        if len(secret) < 32:
            raise ProtocolError("the private file of the kernels is too short")
        self._secret = secret
        self._kernel_id = kernel_id

    @property
    def connection(self) -> dict[str, str]:
        """The keys of a connection file: ``key``, ``signature_scheme``, ``curve_publickey``, ``curve_secretkey``.

        Raises:
            ProtocolError: pyzmq cannot encrypt.
        """
        # Deferred: only processes with kernels need it.
        import zmq
        from zmq.utils import z85

        if not zmq.has("curve"):
            raise ProtocolError("the connection cannot be encrypted, because this pyzmq has no CurveZMQ")
        secret = z85.encode(self._derive("curve"))
        return {
            "key": self._derive("hmac").hex(),
            "signature_scheme": "hmac-sha256",
            "curve_publickey": zmq.curve_public(secret).decode(),
            "curve_secretkey": secret.decode(),
        }

    def seal(self, launch: KernelLaunch) -> str:
        """Return an encrypted launch."""
        return str(self._cipher().encrypt(launch.to_bytes()).decode())

    def unseal(self, sealed: str) -> KernelLaunch:
        """Return a decrypted launch.

        Raises:
            ProtocolError: it was not encrypted with this kernel's key, or it is invalid.
        """
        from cryptography.fernet import InvalidToken

        try:
            raw = self._cipher().decrypt(sealed.encode())
        except InvalidToken:
            raise ProtocolError("the kernel's command is not encrypted with this kernel's key") from None
        return KernelLaunch.from_bytes(raw)

    def _cipher(self) -> Any:
        from cryptography.fernet import Fernet

        return Fernet(base64.urlsafe_b64encode(self._derive("launch")))

    def _derive(self, purpose: str) -> bytes:
        # One block of HKDF-Expand (RFC 5869) is as long as a key.
        information = f"yarnspawner {purpose} {self._kernel_id}".encode()
        return hmac.new(self._secret, information + b"\x01", hashlib.sha256).digest()


@dataclass(frozen=True)
class KernelSize:
    """A size of kernels that the hub offers to one user.

    Attributes:
        slug: identifier.
        kernelspec: name of the kernelspec that it runs.
        display_name: name that the user sees, without the size; "" for the kernelspec's own.
        memory: memory of the container in MiB.
        vcores: virtual cores.
        gpus: ``yarn.io/gpu`` resources.
        own_environment: True if the kernel runs in another environment than the server.
        warm: number of spare containers that the server keeps ready.
    """

    slug: str
    kernelspec: str
    display_name: str
    memory: int
    vcores: int
    gpus: int = 0
    own_environment: bool = False
    warm: int = 0

    @property
    def service(self) -> str:
        """The name of the service in the application."""
        return f"kernel-{self.slug}"

    @property
    def text(self) -> str:
        """The size for people: ``8 GB · 4 cores``."""
        # As in the launchers of others, GB stands for GiB.
        memory = f"{round(self.memory / 1024, 1):g} GB" if self.memory >= 1024 else f"{self.memory} MB"
        cores = f"{self.vcores} cores" if self.vcores != 1 else "1 core"
        return " · ".join([memory, cores, *([f"{self.gpus} GPU{'s' * (self.gpus > 1)}"] if self.gpus else [])])


@dataclass(frozen=True)
class KernelOffer:
    """The kernels that a server may start. The hub passes it in the server's environment.

    Attributes:
        sizes: the sizes.
        containers: most kernels at the same time; 0 for no limit.
        memory: most memory of all kernels together in MiB; 0 for no limit.
        queue: the queue in which their containers wait.
    """

    sizes: tuple[KernelSize, ...]
    containers: int = 0
    memory: int = 0
    queue: str = ""

    variable: ClassVar[str] = "YARNSPAWNER_KERNELS"

    def used(self, services: Iterable[str]) -> list[int]:
        """Return the memory of each container of a kernel in MiB, from the services of all containers."""
        memory = {size.service: size.memory for size in self.sizes}
        return [memory[service] for service in services if service in memory]

    def allows(self, used: Sequence[int], memory: int) -> bool:
        """Return True if a kernel is within the limits.

        Args:
            used: memory of each existing container in MiB.
            memory: the kernel's memory in MiB.
        """
        enough = not self.memory or sum(used) + memory <= self.memory
        return enough and not 0 < self.containers <= len(used)

    def to_json(self) -> str:
        return json.dumps({**vars(self), "sizes": [vars(size) for size in self.sizes]}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> KernelOffer:
        """Return an offer; an empty one for "".

        Raises:
            ProtocolError: it cannot be read.
        """
        if not text:
            return cls(())
        try:
            read = json.loads(text)
            sizes = tuple(KernelSize(**size) for size in read["sizes"])
            return cls(sizes, int(read["containers"]), int(read["memory"]), str(read.get("queue", "")))
        except (ValueError, TypeError, KeyError) as error:
            raise ProtocolError(f"{cls.variable} cannot be read ({error!r})") from None


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
