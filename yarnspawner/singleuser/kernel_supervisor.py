"""A process that outlives the kernel's process and reports how it ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from yarnspawner.common.protocol import Failure, ProtocolError
from yarnspawner.singleuser.ancestors import Ancestors
from yarnspawner.singleuser.descendants import adopt_orphans, outlive, reap_children, terminate_descendants

# Seconds between two looks at the child, and at the processes that this one runs for.
_INTERVAL = 0.25
# Seconds that a child has to end after SIGTERM.
_GRACE = 5.0


@dataclass(frozen=True)
class Ending:
    """How the child ended."""

    status: int
    """Exit status as in a shell: 128 plus the signal's number if a signal ended it."""
    failure: Failure | None
    """The reason, unless it exited with status 0."""


class KernelSupervisor:
    """Fork and supervise the child.

    - the fork comes before anything is imported or opened that would not survive it, or take memory twice
    - what the child can say of its own failure, it reports; of a crash, the parent knows the signal
    - what the child has started ends with it, also in a session of its own, and if YARN kills the container's group
    - the child does not outlive the parent: a kernel sees to that itself, from JPY_PARENT_PID
    """

    def __init__(self) -> None:
        self._reports, self._reporting = os.pipe()
        self._ancestors = Ancestors()
        self._child = 0

    def fork(self) -> bool:
        """Fork. Return True in the child."""
        adopt_orphans()
        self._child = os.fork()
        if self._child:
            os.close(self._reporting)
            outlive(self._child)
        else:
            os.close(self._reports)
            os.environ["JPY_PARENT_PID"] = str(os.getppid())
        return self._child == 0

    def report(self, failure: Failure) -> None:
        """Report the reason of the imminent exit. Called in the child."""
        # It is smaller than a pipe's buffer, so this does not block.
        os.write(self._reporting, failure.to_bytes())

    def wait(self, meanwhile: Callable[[], object]) -> Ending:
        """Wait until the child ends, and call ``meanwhile`` every quarter of a second. Called in the parent."""
        while True:
            with suppress(Exception):  # the kernel's end must be noticed whatever this raises
                meanwhile()
            status = reap_children(self._child)
            if status is not None:
                break
            if self._ancestors.changed:
                status = self._end_child()
                break
            time.sleep(_INTERVAL)
        terminate_descendants()
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return Ending(0, None)
        return Ending(code if code > 0 else 128 - code, self._reported() or failure_from_exit_code(code))

    def _end_child(self) -> int:
        os.kill(self._child, signal.SIGTERM)
        until = time.monotonic() + _GRACE
        while time.monotonic() < until:
            if (status := reap_children(self._child)) is not None:
                return status
            time.sleep(_INTERVAL)
        os.kill(self._child, signal.SIGKILL)
        return os.waitpid(self._child, 0)[1]

    def _reported(self) -> Failure | None:
        # Processes that the child started may hold the pipe open.
        os.set_blocking(self._reports, False)
        try:
            return Failure.from_bytes(os.read(self._reports, Failure.max_size))
        except (BlockingIOError, ProtocolError):
            return None


def failure_from_exit_code(code: int) -> Failure:
    """Return the reason of a kernel's end; a negative code is a signal's number."""
    if code > 0:
        return Failure(f"The kernel ended with exit status {code}.")
    if code == -signal.SIGKILL:
        return Failure("The kernel was killed (signal 9), which is also what happens when the node is out of memory.")
    return Failure(f"The kernel died of signal {-code} ({signal.strsignal(-code)}).")
