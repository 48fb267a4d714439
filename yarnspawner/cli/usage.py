"""``yarnspawner usage``: sum the resources of ended servers from the audit log."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from yarnspawner.cli.hub import HubConfigError
from yarnspawner.common.text import one_line

# Names in the audit log of what `--by` sums.
_KEYS = {"user": "user", "queue": "queue", "profile": "profile", "group": "groups"}
_COLUMNS = ("servers", "memory_gib_hours", "vcore_hours")


def usage(options: argparse.Namespace) -> int:
    """Print the sums, the largest first."""
    since = datetime.now(timezone.utc) - options.since
    sums = sum_usage(_ends(_lines(options.files), since), options.by)
    rows = [(name, *figures) for name, figures in sorted(sums.items(), key=lambda item: -item[1][1])]
    if options.csv:
        writer = csv.writer(sys.stdout)
        writer.writerow((options.by, *_COLUMNS))
        writer.writerows(
            (_formula_free(name), count, f"{memory:.2f}", f"{cores:.2f}") for name, count, memory, cores in rows
        )
        return 0
    print(f"{options.by.upper():<30} {'SERVERS':>8} {'GiB HOURS':>12} {'VCORE HOURS':>12}")
    for name, count, memory, cores in rows:
        print(f"{name:<30} {count:>8} {memory:>12.1f} {cores:>12.1f}")
    return 0


def sum_usage(ends: Iterable[dict[str, Any]], by: str) -> dict[str, tuple[int, float, float]]:
    """Return servers, GiB hours and vcore hours by user, queue, profile or group.

    A server of a user with several groups counts for each of them.
    """
    sums: dict[str, tuple[int, float, float]] = {}
    for end in ends:
        value = end.get(_KEYS[by]) or "(none)"
        memory, cores = _hours(end.get("memory_mib_seconds")) / 1024, _hours(end.get("vcore_seconds"))
        for name in {one_line(str(one), 100) for one in (value if isinstance(value, list) else [value])}:
            count, total_memory, total_cores = sums.get(name, (0, 0.0, 0.0))
            sums[name] = (count + 1, total_memory + memory, total_cores + cores)
    return sums


def _lines(files: list[str]) -> Iterator[str]:
    for name in files:
        if name == "-":
            yield from sys.stdin
            continue
        try:
            with Path(name).open(encoding="utf-8", errors="replace") as file:
                yield from file
        except OSError as error:
            raise HubConfigError(f"{name} cannot be read: {error.strerror}") from None


def _ends(lines: Iterable[str], since: datetime) -> Iterator[dict[str, Any]]:
    """Yield each application's end once. In the hub's own log, other text comes before the JSON."""
    seen: set[str] = set()
    for line in lines:
        if '"event": "ended"' not in line:
            continue
        try:
            end = json.loads(line[line.index("{") :])
            late = datetime.fromisoformat(end["time"]) >= since
        except (ValueError, LookupError, TypeError):
            continue
        if late and end.get("event") == "ended" and end.get("application") not in seen:
            seen.add(end.get("application"))
            yield end


def _hours(seconds: Any) -> float:
    return seconds / 3600 if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else 0.0


def _formula_free(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name
