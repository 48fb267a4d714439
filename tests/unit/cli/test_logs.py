"""``yarnspawner logs``, without a cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from yarnspawner.cli import logs as command
from yarnspawner.cli.main import main
from yarnspawner.hadoop.logs import LogsUnavailable

FIRST = {
    "application_id": "application_1_0001",
    "hadoop_user": "alice",
    "container": "master",
    "began": "2026-11-27T12:00:00+00:00",
    "ended": "2026-11-27T12:01:00+00:00",
    "code": "memory-exceeded",
    "said": "The server used more memory than its limit.\x1b[31m",
}
LAST = {"application_id": "application_1_0002", "hadoop_user": "alice", "container": "service", "began": "2026-11-27"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A hub's database with one user, and what was read from a cluster."""
    spawners = {"": SimpleNamespace(state={"starts": [FIRST, LAST, "broken"]}), "new": SimpleNamespace(state=None)}
    users = {"alice": SimpleNamespace(orm_spawners=spawners)}
    monkeypatch.setattr(command.orm.User, "find", lambda db, name: users.get(name))
    monkeypatch.setattr(command, "load_hub", lambda file: SimpleNamespace(db=None))
    context = SimpleNamespace(hub_context=SimpleNamespace(access="access"))
    monkeypatch.setattr(command, "spawner_settings", lambda hub, options: context)
    asked: list[Any] = []

    async def start_log(access: Any, start: dict[str, str], *, lines: int) -> str:
        asked.append((access, start, lines))
        if start["application_id"] == "application_1_0001":
            raise LogsUnavailable("YARN has no logs")
        return "the end"

    monkeypatch.setattr(command, "start_log", start_log)
    return asked


def test_last_start(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The log of the last start is printed, and its application on standard error."""
    assert main(["logs", "alice", "--lines", "7"]) == 0
    assert asked == [("access", LAST, 7)]
    printed = capsys.readouterr()
    assert printed.out == "the end\n"
    assert "application_1_0002 as alice, since 2026-11-27: runs or starts" in printed.err


def test_list(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The list has the causes, without control characters."""
    assert main(["logs", "alice", "--list"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "[memory-exceeded] The server used more memory" in first and "\x1b" not in first
    assert second.startswith("application_1_0002")
    assert not asked


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "The hub has no user nobody."),
        (["alice", "other"], "alice has no server other. Servers: (default), new."),
        (["alice", "new"], "no start of this server"),
        (["alice", "--application", "application_1_0003"], "not one of the last starts"),
        (["alice", "--application", "application_1_0001"], "The log cannot be read: YARN has no logs"),
    ],
)
def test_errors(asked: list[Any], capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    """Each error is one line that says what to do."""
    assert main(["logs", *arguments]) == 1
    assert words in capsys.readouterr().err
