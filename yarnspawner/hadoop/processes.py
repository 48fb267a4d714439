"""Short commands of Hadoop's and Kerberos's world (kinit, curl, yarn), run without blocking the event loop."""

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
    """The command had not ended in time and was killed."""


@dataclass(frozen=True)
class CompletedCommand:
    """How a command ended.

    Attributes:
        status: its exit status, negative for a signal.
        output: its standard output; the beginning of it, if it was longer than the limit.
        errors: its standard error, likewise.
        cut: whether the output was longer than the limit.
    """

    status: int
    output: bytes
    errors: str
    cut: bool


async def run(*command: str, env: Mapping[str, str], timeout: float, limit: int = 1 << 20) -> CompletedCommand:
    """Run a command to its end.

    Whatever it started ends with it: when the time is over, when the output is too long, or when the caller is cancelled.

    Args:
        command: the program and its arguments, which everybody on this machine can read.
        env: its whole environment.
        timeout: seconds.
        limit: bytes of output at which it is killed.

    Raises:
        CommandTimeout: it had not ended in time.
        OSError: it could not be started.
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
        raise CommandTimeout(f"{Path(command[0]).name} did not end within {timeout:g} s") from None
    except BaseException:
        await _kill(process)
        raise


async def _communicate(process: asyncio.subprocess.Process, limit: int) -> CompletedCommand:
    (output, cut), (errors, _), status = await asyncio.gather(
        _read(process, process.stdout, limit), _read(process, process.stderr, limit), process.wait()
    )
    return CompletedCommand(status, output, errors.decode(errors="replace"), cut)


async def _read(
    process: asyncio.subprocess.Process, stream: asyncio.StreamReader | None, limit: int
) -> tuple[bytes, bool]:
    chunks = bytearray()
    cut = False
    # To the end also of what is cut: asyncio sees a process end only when its pipes were read empty.
    while chunk := await cast("asyncio.StreamReader", stream).read(1 << 16):
        if cut:
            continue
        chunks += chunk
        if len(chunks) > limit:
            cut = True
            _signal(process)
    return bytes(chunks[:limit]), cut


async def _kill(process: asyncio.subprocess.Process) -> None:
    _signal(process)
    await process.wait()


def _signal(process: asyncio.subprocess.Process) -> None:
    # `yarn` is a shell script, whose JVM would live on: the whole group is killed.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
