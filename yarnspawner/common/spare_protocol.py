"""What a Jupyter server and its spare containers exchange through the key-value store.

A spare container has no kernel yet. The server assigns one to it; then it is a kernel's container like any other. skein's id of
the container names its keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from yarnspawner.common.protocol import Document

SPARE_VARIABLE = "YARNSPAWNER_SPARE_KERNEL"
"""Environment variable of a spare container. Its value is ``1``."""

SPARES_PREFIX = "jupyter.spare."
"""Prefix of the keys of all spare containers."""

REQUESTED, READY, ASSIGNMENT = "requested", "ready", "assignment"


def spare_prefix(container_id: str) -> str:
    """Return the prefix of a spare container's keys."""
    return f"{SPARES_PREFIX}{container_id}."


def requested_key(container_id: str) -> str:
    """Return the key that the server sets when it has requested the container."""
    return f"{spare_prefix(container_id)}{REQUESTED}"


def ready_key(container_id: str) -> str:
    """Return the key that the container sets when it waits for a kernel; the container owns it."""
    return f"{spare_prefix(container_id)}{READY}"


def assignment_key(container_id: str) -> str:
    """Return the key of the container's :class:`KernelAssignment`. The container removes it to accept."""
    return f"{spare_prefix(container_id)}{ASSIGNMENT}"


@dataclass(frozen=True)
class KernelAssignment(Document):
    """The kernel that a spare container is to run, written by the server."""

    kernel_id: str
    launch: str
    """The encrypted :class:`~yarnspawner.common.kernel_protocol.KernelLaunch`. Only this kernel's key decrypts it."""

    max_size: ClassVar[int] = 256 * 1024

    def _check(self) -> None:
        printable = isinstance(self.kernel_id, str) and self.kernel_id.isprintable()
        self._expect("kernel_id", printable and bool(self.kernel_id), "a kernel's id")
        self._expect("launch", isinstance(self.launch, str) and self.launch.isascii(), "encrypted text")
