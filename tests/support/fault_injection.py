"""Faults of a hub and its drivers, for hubs with the configuration beside this file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

from demo.hub import Hub

CONFIGURATION = Path(__file__).with_name("jupyterhub_config_faults.py")


def arrange(hub: Hub, action: str, moment: str) -> None:
    """Let a hub meet with ``kill-hub``, ``kill-driver`` or ``hang-driver`` at a moment that its configuration names."""
    (hub.folder / "fault").write_text(f"{action} {moment}")


def has_happened(hub: Hub) -> bool:
    """Whether what was arranged has happened."""
    return not (hub.folder / "fault").exists()


def drivers(hub: Hub) -> list[int]:
    """The processes of a hub's drivers."""
    return [pid for pid in children(hub.pid) if b"com.anaconda.skein.Driver" in _command(pid)]


def children(parent: int) -> list[int]:
    """The processes that another one has started."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            # See proc(5): the command is in parentheses, then come the state and the parent.
            if folder.name.isdigit() and int(_stat(folder).split()[1]) == parent:
                found.append(int(folder.name))
        except (OSError, IndexError):
            continue
    return found


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may have ended."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def stored_state(hub: Hub, user: str, server: str = "") -> Any:
    """What a hub's database keeps of a server; the hub must not run."""
    with _database(hub) as database:
        ((state,),) = database.execute(_FIND.format("SELECT state FROM spawners"), (user, server))
    return json.loads(state)


def store_state(hub: Hub, state: Any, user: str, server: str = "") -> None:
    """Write something else there; the hub must not run."""
    with _database(hub) as database:
        database.execute(_FIND.format("UPDATE spawners SET state = ?"), (json.dumps(state), user, server))
        database.commit()


_FIND = "{} WHERE user_id = (SELECT id FROM users WHERE name = ?) AND name = ?"


def _database(hub: Hub) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(hub.folder / "jupyterhub.sqlite"))


def _stat(folder: Path) -> str:
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
