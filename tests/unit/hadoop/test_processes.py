"""Commands end in time, and leave nothing behind."""

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


async def test_a_command_tells_its_output_errors_and_status() -> None:
    ended = await run("sh", "-c", "echo out; echo err >&2; exit 3", env=ENV, timeout=10)
    assert (ended.status, ended.output, ended.errors, ended.cut) == (3, b"out\n", "err\n", False)


async def test_it_sees_only_the_environment_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    assert b"s3cret" not in (await run("env", env=ENV, timeout=10)).output


async def test_what_takes_too_long_ends_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    started = time.monotonic()
    with pytest.raises(CommandTimeout, match="sh did not end within"):
        await run("sh", "-c", f"sleep 60 & echo $! > {pid}; wait", env=ENV, timeout=0.5)
    assert time.monotonic() - started < 5
    await asyncio.sleep(0.2)
    assert not alive(pid)


async def test_a_cancelled_one_ends_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    task = asyncio.create_task(run("sh", "-c", f"sleep 60 & echo $! > {pid}; wait", env=ENV, timeout=60))
    while not pid.exists() or not pid.read_text():
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.2)
    assert not alive(pid)


async def test_output_without_end_is_cut() -> None:
    ended = await run("yes", env=ENV, timeout=10, limit=1000)
    assert ended.cut
    assert ended.output == b"y\n" * 500


async def test_what_is_not_installed_is_an_error() -> None:
    with pytest.raises(OSError, match="no-such-command"):
        await run("no-such-command", env=ENV, timeout=10)
