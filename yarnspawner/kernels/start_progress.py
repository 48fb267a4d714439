"""What a kernel that starts waits for, as a sentence for its user."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from yarnspawner.common.kernel_protocol import KernelSize
from yarnspawner.kernels.wait_reasons import WaitReasons
from yarnspawner.singleuser.store import ServiceContainer

_REQUESTED = "The kernel's container is requested."
_STARTING = "The container runs, and the kernel starts in it."


class StartProgress:
    """Says what a kernel waits for.

    Args:
        kernel_id: the kernel's id.
        size: its size.
        reasons: why kernels wait.
    """

    listeners: ClassVar[list[Callable[[str, str], None]]] = []
    """Called with a kernel's id and its new sentence."""

    def __init__(self, kernel_id: str, size: KernelSize, reasons: WaitReasons) -> None:
        self._kernel_id = kernel_id
        self._size = size
        self._reasons = reasons
        self.sentence = ""
        """What the kernel waits for; "" if it does not start."""
        self.requested = 0.0
        """When the container was requested, in seconds since the epoch."""

    def begin(self) -> None:
        """A container has been requested."""
        self.requested = time.time()
        self._tell(_REQUESTED)

    def look(self, container: ServiceContainer) -> None:
        """The application master has told about the container."""
        self._tell(self._wait(container) or (_STARTING if container.state == "RUNNING" else _REQUESTED))

    def end(self) -> None:
        """The kernel listens, or its start has failed."""
        self._tell("")

    def timeout_message(self, container: ServiceContainer, timeout: float) -> str:
        """Return what to say of a start that has taken too long.

        Args:
            container: the kernel's.
            timeout: the limit in seconds.
        """
        limit = f"within {timeout:g} seconds"
        if container.state == "RUNNING":
            return f"The kernel did not listen {limit}, although its container runs."
        waiting = self._wait(container) or f"The kernel needs a container with {self._size.text}."
        return f"{waiting} YARN gave none {limit}. Try again later, or choose a smaller kernel."

    def _wait(self, container: ServiceContainer) -> str:
        if not container.waiting:
            return ""
        why = self._reasons.clause(self._size.slug, time.time() - self.requested)
        return f"{container.waiting}{why}."

    def _tell(self, sentence: str) -> None:
        if sentence != self.sentence:
            self.sentence = sentence
            for listener in self.listeners:
                listener(self._kernel_id, sentence)
