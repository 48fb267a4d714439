"""Run short commands (kinit, curl, yarn) without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast


class CommandTimeout(Exception):
    """A command did not exit in time and was killed."""


@dataclass(frozen=True)
class CompletedCommand:
    """Result of a command.

    Attributes:
        status: exit status, negative for a signal.
        output: beginning of its standard output, up to the limit.
        errors: beginning of its standard error, up to the limit.
        truncated: True if the output exceeded the limit.
    """

    status: int
    output: bytes
    errors: str
    truncated: bool


async def run(*command: str, env: Mapping[str, str], timeout: float, limit: int = 1 << 20) -> CompletedCommand:
    """Run a command and wait for its exit.

    Its process group is killed after the timeout, after too much output, or if the caller is cancelled.

    Args:
        command: program and arguments. All users of this machine can read them.
        env: complete environment.
        timeout: seconds.
        limit: bytes of output after which it is killed.

    Raises:
        CommandTimeout: the command did not exit in time.
        OSError: the command could not be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        return await asyncio.wait_for(_communicate(process, limit), timeout)
    except asyncio.TimeoutError:
        await _kill(process)
        raise CommandTimeout(f"{Path(command[0]).name} did not exit within {timeout:g} s") from None
    except BaseException:
        await _kill(process)
        raise


async def _communicate(process: asyncio.subprocess.Process, limit: int) -> CompletedCommand:
    (output, truncated), (errors, _), status = await asyncio.gather(
        _read(process, process.stdout, limit), _read(process, process.stderr, limit), process.wait()
    )
    return CompletedCommand(status, output, errors.decode(errors="replace"), truncated)


async def _read(
    process: asyncio.subprocess.Process, stream: asyncio.StreamReader | None, limit: int
) -> tuple[bytes, bool]:
    chunks = bytearray()
    truncated = False
    # Read truncated output to its end as well: asyncio detects the exit only after the pipes are empty.
    while chunk := await cast("asyncio.StreamReader", stream).read(1 << 16):
        if truncated:
            continue
        chunks += chunk
        if len(chunks) > limit:
            truncated = True
            _signal(process)
    return bytes(chunks[:limit]), truncated


async def _kill(process: asyncio.subprocess.Process) -> None:
    _signal(process)
    await process.wait()


def _signal(process: asyncio.subprocess.Process) -> None:
    # `yarn` is a shell script, and its JVM would keep running. Therefore kill the whole process group.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
