"""What a hub and its drivers take, as the kernel says (see proc(5))."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from demo.hub import Hub
from tests.support.fault_injection import drivers


@dataclass(frozen=True)
class Figures:
    """Of a hub: its threads, open files, connections among them and memory (MiB resident); of its drivers together
    their threads, open files and memory.
    """

    threads: int
    files: int
    connections: int
    memory: float
    driver_threads: int
    driver_files: int
    driver_memory: float

    def __str__(self) -> str:
        return (
            f"hub {self.threads} threads, {self.files} files, {self.connections} connections, {self.memory:.1f} MiB;"
            f" drivers {self.driver_threads} threads, {self.driver_files} files, {self.driver_memory:.1f} MiB"
        )


def measure(hub: Hub) -> Figures:
    """The figures of now."""
    those = drivers(hub)
    return Figures(
        _status(hub.pid, "Threads"),
        len(_files(hub.pid)),
        sum(file.startswith("socket:") for file in _files(hub.pid)),
        _status(hub.pid, "VmRSS") / 1024,
        sum(_status(pid, "Threads") for pid in those),
        sum(len(_files(pid)) for pid in those),
        sum(_status(pid, "VmRSS") for pid in those) / 1024,
    )


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _files(pid: int) -> list[str]:
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:  # closed meanwhile
            continue
    return found
