"""The process that outlives a kernel's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Says the ids of the supervision, of its child, and of a sleeper in a session of its own.
PROGRAM = """
import os, subprocess, sys, time
from yarnspawner.singleuser.kernel_supervisor import KernelSupervisor
supervision = KernelSupervisor()
if supervision.fork():
    if sys.argv[1:]:
        for _ in range(5):
            subprocess.call(["sh", "-c", "sleep 0.01 & exit 0"])
        time.sleep(0.3)
    sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True).pid
    print(os.getppid(), os.getpid(), sleeper, flush=True)
    time.sleep(600)
ending = supervision.wait(lambda: None)
print(ending.status, flush=True)
os._exit(0)
"""


def start(*arguments: str) -> tuple[subprocess.Popen[str], int, int, int]:
    """The script, the supervision, its child, and the sleeper."""
    command = ["bash", "-c", '"$@"; exit $?', "script", sys.executable, "-c", PROGRAM, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    supervision, child, sleeper = map(int, process.stdout.readline().split())
    return process, supervision, child, sleeper


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def gone(*pids: int) -> bool:
    end = time.monotonic() + 15
    while time.monotonic() < end:
        if all(state(pid) in ("", "Z") for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("forced", [False, True])
def test_nothing_outlives_the_kernel(forced: bool) -> None:
    """Neither if the supervision is told to end, nor if YARN kills the container's process group."""
    process, supervision, child, sleeper = start()
    if forced:
        os.killpg(os.getpgid(child), signal.SIGKILL)
    else:
        os.kill(supervision, signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.read() == ("137\n" if forced else "143\n")
    assert gone(supervision, child, sleeper)
    process.wait(timeout=20)
    process.stdout.close()


def test_adopted_processes_are_buried() -> None:
    """What the kernel's programs leave behind does not stay as zombies."""
    process, supervision, _, _ = start("orphans")
    time.sleep(1)
    children = Path(f"/proc/{supervision}/task/{supervision}/children").read_text().split()
    assert len(children) == 1
    os.kill(supervision, signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.read() == "143\n"
    process.wait(timeout=20)
    process.stdout.close()
