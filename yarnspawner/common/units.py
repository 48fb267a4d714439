"""Sizes, times and settings as people read them."""

from __future__ import annotations

from typing import Any

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

# The settings that users may be allowed to choose, and their labels.
LABELS = {
    "mem_limit": "Memory",
    "cpu_limit": "Cores",
    "gpus": "GPUs",
    "queue": "Queue",
    "node_label": "Nodes",
}


def text(name: str, value: int | str) -> str:
    """Return a setting's value for people: ``2 GiB``, ``1 core``, ``gpu``."""
    if name == "mem_limit" and isinstance(value, int):
        return _size(value)
    if name == "cpu_limit":
        return "1 core" if value == 1 else f"{value} cores"
    if name == "gpus":
        return "1 GPU" if value == 1 else f"{value} GPUs"
    return shown(value)


def duration(seconds: float) -> str:
    """Return a time for people, to the minute: ``12 h``, ``1 h 05 min``, ``5 min``."""
    hours, minutes = divmod(max(0, round(seconds / 60)), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes:02} min" if minutes else f"{hours} h"


def title(name: str) -> str:
    """Return what messages call a setting: its label, and its name for programs that use the REST API."""
    return f"{LABELS[name]} ({name})"


def shown(value: Any) -> str:
    """Return a value that came from outside, for a message: printable, and not too long."""
    written = value if isinstance(value, str) and value.isprintable() and value else repr(value)
    return f"{written[:60]}..." if len(written) > 63 else written


def _size(size: int) -> str:
    for unit in "TGMK":
        if size >= UNITS[unit]:
            return f"{round(size / UNITS[unit], 2):g} {unit}iB"
    return f"{size} bytes"
