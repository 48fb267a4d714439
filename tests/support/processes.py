"""Processes that a test looks for while others begin and end."""

from collections.abc import Iterator
from contextlib import suppress

import psutil


def drivers_of(pid: int) -> list[psutil.Process]:
    """The driver JVMs that process ``pid`` has started."""
    return [child for child in psutil.Process(pid).children() if "com.anaconda.skein.Driver" in command_line(child)]


def command_line(process: psutil.Process) -> list[str]:
    """Empty for a process that has just ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:  # gone, or a zombie, which has no command line
        return []


def names_of(processes: list[psutil.Process]) -> set[str]:
    names = set()
    for process in processes:
        with suppress(psutil.Error):
            names.add(process.name())
    return names


def with_command_line(arguments: list[list[str]]) -> list[int]:
    """The processes whose arguments, after the program's name, are one of ``arguments``."""
    return [process.pid for process in psutil.process_iter() if command_line(process)[1:] in arguments]


def environments() -> Iterator[dict[str, str]]:
    """Those of all processes."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            yield process.environ()
