"""Nothing that a recipe's process has started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# Starts sleepers of all sorts, says their ids and its own, and waits.
PROGRAM = """
import os, signal, subprocess, sys, time
from yarnspawner.singleuser.descendants import guard
guard()
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
found = [subprocess.Popen(["sleep", "600"], start_new_session=True).pid]
found.append(int(subprocess.check_output(["sh", "-c", "setsid nohup sleep 600 >/dev/null 2>&1 & echo $!"])))
ignoring = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True, stdout=subprocess.PIPE)
ignoring.stdout.readline()
found.append(ignoring.pid)
signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
print(os.getppid(), os.getpid(), *found, flush=True)
while len(sys.argv) == 1:
    time.sleep(0.1)  # a signal just before a longer sleep would not end it
os._exit(int(sys.argv[1]))
"""


def start(*arguments: str) -> tuple[subprocess.Popen[str], int, int, list[int]]:
    """The script, the guarding process, the guarded one, and what that one has started."""
    # As in a container, a shell leads the session. It ends with the status of what it ran.
    command = ["bash", "-c", '"$@"; exit $?', "script", sys.executable, "-c", PROGRAM, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    guard, server, *others = map(int, process.stdout.readline().split())
    return process, guard, server, others


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


ENDS: dict[str, Callable[[int, int], None]] = {
    "in order": lambda guard, server: os.kill(guard, signal.SIGTERM),
    "killed": lambda guard, server: os.kill(server, signal.SIGKILL),
    # What YARN does to a container: it signals the group of the container's first process.
    "killed as a group": lambda guard, server: os.killpg(os.getpgid(server), signal.SIGKILL),
}


@pytest.mark.parametrize(("end", "status"), [("in order", 3), ("killed", 137), ("killed as a group", -9)])
def test_nothing_outlives_the_server(end: str, status: int) -> None:
    """However the server ends, its descendants end, and its status is the script's."""
    process, guard, server, others = start()
    assert len(others) == 3 and all(alive(pid) for pid in others)
    ENDS[end](guard, server)
    assert process.wait(timeout=20) == status
    until = time.monotonic() + 10
    while alive(guard) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in (server, *others) if alive(pid)]
    process.stdout.close()  # type: ignore[union-attr]


def test_exit_ends_descendants() -> None:
    """A server that ends by itself leaves nothing behind."""
    process, _, _, others = start("7")
    assert process.wait(timeout=20) == 7
    assert not [pid for pid in others if alive(pid)]
    process.stdout.close()  # type: ignore[union-attr]


def test_server_ends_with_its_guard() -> None:
    """A server ends with its guard, as otherwise its descendants could outlive it."""
    process, guard, server, others = start()
    os.kill(guard, signal.SIGKILL)
    process.wait(timeout=20)
    end = time.monotonic() + 10
    while alive(server) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(server)
    for pid in others:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    process.stdout.close()  # type: ignore[union-attr]
