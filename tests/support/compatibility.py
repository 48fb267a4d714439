"""The page of the versions on which the demo's check passed, written by the tests."""

from __future__ import annotations

import datetime as dt
import platform
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
BEGIN = "<!-- The table is written by `pytest tests/cluster -k compatibility --record`. -->"
END = "<!-- End of the table. -->"
HEAD = ("Hadoop", "Cluster", "Java", "JupyterHub", "Python", "Result", "Seconds", "Date")


def row(hadoop: str, cluster: str, java: str, result: str, seconds: float) -> tuple[str, ...]:
    """Describe one check on this machine, today."""
    python = ".".join(platform.python_version_tuple()[:2])
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    return hadoop, cluster, java, version("jupyterhub"), python, result, f"{seconds:.0f}", today


def rows(page: str) -> list[tuple[str, ...]]:
    """Read the table of the page."""
    lines = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def with_row(page: str, new: tuple[str, ...]) -> str:
    """Return the page with a row, in place of an earlier one about the same versions."""
    kept = {found[:5]: found for found in rows(page)} | {new[:5]: new}
    order = sorted(kept.values(), key=lambda found: ([int(part) for part in found[0].split(".")], found[1:]))
    lines = [HEAD, tuple("---" for _ in HEAD), *order]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"
