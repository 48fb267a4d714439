"""What a benchmark found: tables of medians beside their baseline, goals, and the machine it ran on."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

# Who starts servers, and what takes turns.
USER = "alice"
OURS, FLOOR = "yarnspawner", "bare skein script"

CHECKOUT = Path(__file__).resolve().parent.parent


class Results:
    """The tables of one run of a benchmark.

    Args:
        benchmark: its name.
        kind: of the cluster, ``simple`` or ``kerberos``.
    """

    def __init__(self, benchmark: str, kind: str) -> None:
        self.benchmark = benchmark
        self.kind = kind
        self.machine = machine()
        self.tables: list[Table] = []
        self.facts: dict[str, Any] = {}

    def table(self, title: str, *, unit: str = "s", baseline: str = "", digits: int = 2) -> Table:
        """A new table, in whose order it is shown.

        Args:
            title: what is measured.
            unit: of all its values.
            baseline: name of the row that the others are compared to; "" for none.
            digits: behind the decimal point.
        """
        self.tables.append(Table(title, unit, baseline, digits))
        return self.tables[-1]

    @property
    def missed(self) -> list[str]:
        """The goals that were not reached, each as a sentence."""
        return [goal.sentence for table in self.tables for goal in table.goals if not goal.met]

    def progress(self, turn: int, values: Mapping[str, float]) -> None:
        """Say on standard error what the last turn gave, for who waits."""
        said = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
        print(f"turn {turn}: {said}", file=sys.stderr, flush=True)

    def show(self) -> None:
        """Print all tables so far that were not printed yet."""
        for table in self.tables:
            if not table.shown:
                table.shown = True
                print(f"\n{table.markdown()}", flush=True)

    def write(self, file: Path) -> None:
        """Print what is left, and write all values."""
        self.show()
        content = {
            "benchmark": self.benchmark,
            "kind": self.kind,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": self.machine,
            "facts": self.facts,
            "tables": [table.to_dict() for table in self.tables],
        }
        file.write_text(json.dumps(content, indent=1) + "\n")


@dataclass
class Goal:
    """That a ratio or a value stays below a limit."""

    name: str
    value: float
    limit: float

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    @property
    def sentence(self) -> str:
        return f"{self.name}: {self.value:.3g}, at most {self.limit:g} wanted{'' if self.met else ': MISSED'}"


@dataclass
class Table:
    """Rows of values of the same unit."""

    title: str
    unit: str
    baseline: str
    digits: int
    rows: dict[str, list[float]] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    shown: bool = False

    def add(self, name: str, *values: float) -> None:
        """Add values to a row, which is made where there is none of that name."""
        self.rows.setdefault(name, []).extend(float(value) for value in values)

    def extend(self, name: str, values: Iterable[float]) -> None:
        """Add several values to a row."""
        self.add(name, *values)

    def median(self, name: str) -> float:
        return statistics.median(self.rows[name])

    def ratio(self, name: str, to: str = "") -> float:
        """A row's median, in terms of that of another; of the baseline, where none is named."""
        below = self.median(to or self.baseline)
        return self.median(name) / below if below else float("nan")

    def worst_ratio(self, name: str, to: str = "") -> float:
        """A row's largest value, in terms of the median of another row."""
        return max(self.rows[name]) / self.median(to or self.baseline)

    def goal(self, name: str, value: float, limit: float) -> None:
        """State that ``value`` should be at most ``limit``; ``name`` says what it is."""
        self.goals.append(Goal(f"{self.title}: {name}", value, limit))

    def markdown(self) -> str:
        """The table as it stands in the documentation."""
        head = [f"{self.title} ({self.unit})", "median", "min", "max"]
        if self.baseline:
            head.append("ratio")
        lines: list[Sequence[str]] = [head, ["---", *["---:"] * (len(head) - 1)]]
        for name, values in self.rows.items():
            row = [name, *(f"{x:.{self.digits}f}" for x in (statistics.median(values), min(values), max(values)))]
            if self.baseline:
                row.append(f"{self.ratio(name):.2f}" if self.baseline in self.rows else "")
            lines.append(row)
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return text + "".join(f"\n\n{goal.sentence}" for goal in self.goals)

    def to_dict(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "unit": self.unit,
            "baseline": self.baseline,
            "rows": [
                {
                    "name": name,
                    "median": statistics.median(values),
                    "min": min(values),
                    "max": max(values),
                    "ratio": self.ratio(name) if self.baseline in self.rows else None,
                    "values": values,
                }
                for name, values in self.rows.items()
            ],
            "goals": [{"name": g.name, "value": g.value, "limit": g.limit, "met": g.met} for g in self.goals],
        }


def machine() -> dict[str, Any]:
    """What a reader needs to know of this machine to judge the values."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_mib": int(_field("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "load": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"


def _commit() -> str:
    """The checkout's commit, with a + where files differ from it; "" outside of a clone."""
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout.strip()
    except OSError:
        return ""
