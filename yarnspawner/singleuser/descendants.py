"""Kill all processes that a recipe's server or kernel has started, even those in other sessions.

YARN kills the process group of a container. Kernels, and what a terminal starts with ``setsid``, are in other groups.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

RESTART_VARIABLE = "YARNSPAWNER_RESTART"
"""Environment variable with what a process has left to the one that replaces it; see `restart.py`."""

# Numbers of prctl's options, from linux/prctl.h.
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36

# Seconds between SIGTERM and SIGKILL, and for SIGKILL to have its effect.
_GRACE = 1.0
_LIMIT = 5.0
_INTERVAL = 0.02

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def guard() -> None:
    """Fork and return in the child, which becomes the server. The parent kills the processes that the child leaves.

    - the parent adopts every descendant whose own parent ends (``PR_SET_CHILD_SUBREAPER``), however often it forked
    - the parent is in a process group of its own, so it outlives YARN's kill of the container's group, and it also sees
      the end of a child that was killed
    - it ends with the child's exit status, as a shell gives it, and passes on the signals that it gets
    - to be called before anything is imported that takes memory, which the parent would keep
    - a process that replaces the child has its parent already
    """
    if RESTART_VARIABLE in os.environ:
        # The signal is lost if the process was replaced by another thread than its first. See prctl(2).
        _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        return
    adopt_orphans()
    child = os.fork()
    if child == 0:
        # A server without the parent would leave its own descendants behind.
        _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        return
    outlive(child)
    _leave(_reap(child))


def outlive(child: int) -> None:
    """Leave the container's process group, which YARN kills, and forward this process's signals to the child."""
    leave_process_group()
    for number in _PASSED_ON:
        signal.signal(number, lambda received, _frame: _send([child], received))


def leave_process_group() -> None:
    """Leave the container's process group, which YARN kills."""
    # The same session: by it the child knows the processes that it runs for (`environment.parents`).
    with suppress(PermissionError):  # of a script that is nothing but `exec`, which leads its session
        os.setpgid(0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def terminate_descendants() -> None:
    """Send SIGTERM to all descendants of this process, and SIGKILL to those that still run a second later.

    Those of another account, which this one may not signal, are left.
    """
    start = time.monotonic()
    asked: set[int] = set()
    while time.monotonic() < start + _LIMIT:
        reap_children()
        found = set(_descendants())
        if not found:
            return
        if time.monotonic() < start + _GRACE:
            sent = _send(sorted(found - asked), signal.SIGTERM)
            asked |= found
        else:
            sent = _send(sorted(found), signal.SIGKILL)
        if not sent and not found & asked:
            return
        time.sleep(_INTERVAL)


def _reap(child: int) -> int:
    """Wait for the child, reap all other children until then, and return the child's exit status.

    A signal that comes just before a system call does not interrupt it, so Python would call its handler only after the call.
    So each signal writes a byte into a pipe (see ``signal.set_wakeup_fd``), and this waits for bytes.
    """
    signals, written = os.pipe()
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    while (status := reap_children(child)) is None:
        os.read(signals, 4096)
    return status


def _leave(status: int) -> NoReturn:
    # Nothing may end this process before its work is done.
    for number in _PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    terminate_descendants()
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def reap_children(child: int = 0) -> int | None:
    """Reap all children that have ended, including adopted ones. Return the status of this child; None if it still runs."""
    result = None
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if found[0] == child:
                result = found[1]
    return result


def _send(pids: list[int], number: int) -> int:
    """Send a signal to processes. Return the number of those that got it."""
    sent = 0
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
            sent += 1
    return sent


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                # The second field is the command in parentheses, which may have any character in it. See proc(5).
                state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(folder.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        born = children.get(waiting.pop(), [])
        found += born
        waiting += born
    return found


def _prctl(option: int, value: int) -> None:
    # Where it is not allowed, only what is in the container's process group ends: no reason not to start.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
