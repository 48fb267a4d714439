"""Where on this machine a secret can be found: processes and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def processes() -> Iterator[Path]:
    """All processes, as folders of /proc."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            yield process


def environment(process: Path) -> dict[str, str]:
    """What a process was started with; {} if it is gone."""
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    return dict(variable.decode(errors="replace").split("=", 1) for variable in variables if b"=" in variable)


def command(process: Path) -> str:
    """A process's command line; "" if it is gone."""
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


def containing(folder: Path, secret: bytes) -> list[Path]:
    """The files below a folder that hold a secret."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink() and secret in path.read_bytes():
                found.append(path)
        except OSError:
            continue  # it is gone
    return found
