"""Commands are limited in time and output, and leave no processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest

from yarnspawner.hadoop.processes import CommandTimeout, run

ENV = {"PATH": os.environ["PATH"]}


def alive(pid_file: Path) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
        return Path(f"/proc/{pid_file.read_text().strip()}/stat").read_text().split()[2] != "Z"
    return False


async def test_result() -> None:
    """The result has output, errors and exit status."""
    completed = await run("sh", "-c", "echo out; echo err >&2; exit 3", env=ENV, timeout=10)
    assert (completed.status, completed.output, completed.errors, completed.truncated) == (3, b"out\n", "err\n", False)


async def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command gets only the given environment."""
    monkeypatch.setenv("SECRET", "s3cret")
    assert b"s3cret" not in (await run("env", env=ENV, timeout=10)).output


async def test_timeout_kills_process_group(tmp_path: Path) -> None:
    """After the timeout, the command and its children are killed."""
    pid = tmp_path / "pid"
    started = time.monotonic()
    with pytest.raises(CommandTimeout, match="sh did not exit within"):
        await run("sh", "-c", f"sleep 60 & echo $! > {pid}; wait", env=ENV, timeout=0.5)
    assert time.monotonic() - started < 5
    await asyncio.sleep(0.2)
    assert not alive(pid)


async def test_cancellation_kills_group(tmp_path: Path) -> None:
    """A cancelled command and its children are killed."""
    pid = tmp_path / "pid"
    task = asyncio.create_task(run("sh", "-c", f"sleep 60 & echo $! > {pid}; wait", env=ENV, timeout=60))
    while not pid.exists() or not pid.read_text():
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.2)
    assert not alive(pid)


async def test_output_limit() -> None:
    """A command with too much output is killed, and its output truncated."""
    completed = await run("yes", env=ENV, timeout=10, limit=1000)
    assert completed.truncated
    assert completed.output == b"y\n" * 500


async def test_missing_command() -> None:
    """A missing command raises OSError."""
    with pytest.raises(OSError, match="no-such-command"):
        await run("no-such-command", env=ENV, timeout=10)
