"""``yarnspawner usage``: sums of an audit log."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from yarnspawner.cli.main import main

NOW = datetime.now(timezone.utc)


def line(number: int, *, days: int = 1, event: str = "ended", **facts: Any) -> str:
    when = (NOW - timedelta(days=days)).isoformat(timespec="milliseconds")
    document = {"time": when, "event": event, "application": f"application_1_{number}", **facts}
    return json.dumps(document) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A hub's log with audit lines among others."""
    hour = {"memory_mib_seconds": 2048 * 3600, "vcore_seconds": 3600}
    file = tmp_path / "hub.log"
    file.write_text(
        "[I 2026-11-27 JupyterHub] something\n"
        "[I 2026-11-27 yarnspawner.audit] "
        + line(1, user="alice", queue="default", groups=["red", "blue"], **hour)
        + line(1, user="alice", queue="default", groups=["red", "blue"], **hour)
        + line(2, user="alice", queue="small", **hour)
        + line(3, user="=bob", queue="small", groups=["red"], memory_mib_seconds="?", vcore_seconds=7200)
        + line(4, user="carl", days=40, **hour)
        + line(5, user="dave", event="submitted", **hour)
        + '{"event": "ended"\n{"event": "ended", "time": 5}\n'
    )
    return str(file)


def test_by_user(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each application counts once, if it ended within the period."""
    assert main(["usage", log, "--since", "30d"]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    assert rows[1:] == [["alice", "2", "4.0", "2.0"], ["=bob", "1", "0.0", "2.0"]]


def test_csv(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    """CSV has no formulas."""
    assert main(["usage", log, "--csv"]) == 0
    assert capsys.readouterr().out.split() == [
        "user,servers,memory_gib_hours,vcore_hours",
        "alice,2,4.00,2.00",
        "'=bob,1,0.00,2.00",
    ]


def test_by_group(log: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A server counts for each of its user's groups."""
    assert main(["usage", log, "--by", "group"]) == 0
    rows = {row.split()[0]: row.split()[1:] for row in capsys.readouterr().out.splitlines()[1:]}
    assert rows == {"red": ["2", "2.0", "3.0"], "blue": ["1", "2.0", "1.0"], "(none)": ["1", "2.0", "1.0"]}


def test_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file is named; a wrong period is refused."""
    assert main(["usage", str(tmp_path / "none.log")]) == 1
    assert "none.log cannot be read" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["usage", "-", "--since", "soon"])
