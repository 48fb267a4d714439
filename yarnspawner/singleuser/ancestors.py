"""The processes of the container that this one runs for, and their end."""

from __future__ import annotations

import asyncio
import os
import select
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Ancestors:
    """Notice that one of this process's ancestors within the container has ended.

    YARN starts each container in a session of its own. When an ancestor in it ends first, this process has lost what it
    runs for. When the NodeManager restarts, nothing of this changes.

    Linux tells of the end of a process through a descriptor (pidfd, since Linux 5.3), which costs nothing while all of them
    run. Elsewhere, each look reads ``/proc``.
    """

    def __init__(self) -> None:
        self._known = _ancestors()
        self._ends: list[int] = []
        with suppress(OSError, AttributeError):  # an old Linux, or a Python that was built for one
            for pid in self._known:
                self._ends.append(os.pidfd_open(pid))
        close = weakref.finalize(self, _close, self._ends)
        close.atexit = False  # a thread may still wait for them
        if len(self._ends) < len(self._known):
            close()
            self._ends = []
        self._poll = select.poll()
        for end in self._ends:
            self._poll.register(end, select.POLLIN)
        # One that ended before its descriptor was open may have another process's number.
        self._changed = _ancestors() != self._known

    @property
    def known(self) -> bool:
        """True if no look is necessary before :meth:`end` tells of it."""
        return bool(self._ends)

    @property
    def changed(self) -> bool:
        """True if one of them has ended."""
        if not self._changed:
            self._changed = bool(self._poll.poll(0)) if self._ends else _ancestors() != self._known
        return self._changed

    @contextmanager
    def end(self) -> Iterator[asyncio.Future[None]]:
        """A future that is done once one of them has ended; it never is if :attr:`known` is False."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            self._changed = True
            if not ended.done():
                ended.set_result(None)
            for end in self._ends:
                loop.remove_reader(end)

        for end in self._ends:
            loop.add_reader(end, tell)
        try:
            yield ended
        finally:
            for end in self._ends:
                loop.remove_reader(end)
            ended.cancel()


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _ancestors() -> tuple[int, ...]:
    """Return this process's ancestors within the container, nearest first."""
    session = os.getsid(0)
    found = []
    pid = os.getppid()
    while pid > 1:
        its_session, parent = _session_and_parent(pid)
        if its_session != session:
            break
        found.append(pid)
        pid = parent
    return tuple(found)


def _session_and_parent(pid: int) -> tuple[int, int]:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0, 0
    # The second field is the command in parentheses, which may have any character in it. See proc(5).
    parent, _group, session = status.rpartition(")")[2].split()[1:4]
    return int(session), int(parent)
