"""Read what Hadoop's daemons and commands answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yarnspawner.common.text import one_line
from yarnspawner.hadoop.processes import CompletedCommand
from yarnspawner.hadoop.scheduler import as_list


def as_properties(document: Mapping[str, Any]) -> dict[str, str]:
    """Parse a daemon's page ``/conf?format=json``."""
    entries = as_list(dict(document), "properties")
    return {str(entry["key"]): str(entry.get("value", "")) for entry in entries if "key" in entry}


def is_true(configuration: Mapping[str, str], name: str, default: str = "false") -> bool:
    """Return True if a property is ``true``."""
    return configuration.get(name, default).strip().lower() == "true"


def error_line(completed: CompletedCommand) -> str:
    """Return the line of a Hadoop command's errors that says why it failed."""
    lines = [line.strip() for line in completed.errors.splitlines() if line.strip()]
    told = [line for line in lines if "xception" in line or "denied" in line or "not allowed" in line]
    told = [line for line in told if not line.startswith("at ")]
    return one_line((told or lines[-1:] or [f"exit status {completed.status}"])[0], 400)
