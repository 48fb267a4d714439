"""The end of a server's log, as YARN keeps it.

Of an application that has ended, through Hadoop's own ``yarn logs``: the logs are in HDFS then, readable for the user alone
and in formats that differ between versions and sites. It is a JVM each time (some 2.5 s of CPU), so few run at once. Of a
container that is still running, the node's REST API has them at once; once a container has ended, the node deletes its copy
as soon as it is in HDFS, so there is no relying on that for a server that failed to start.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from yarnspawner.common.ids import checked_application_id
from yarnspawner.common.text import sanitize
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache, client_environment
from yarnspawner.hadoop.processes import CommandTimeout, CompletedCommand, run

_log = logging.getLogger(__name__)

# Processes at once, for each event loop; further callers wait, within their time.
_PLACES = 2
_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
# Seconds: between attempts, and that an attempt takes at least and at most.
_PAUSE = 1.0
_LEAST = 3.0
_MOST = 60.0
_BYTES = 16 * 1024
_CHARACTERS = 16 * 1024

# Of all files together. A user may have any number of containers, and YARN takes all files with these names for logs.
_OUTPUT_BYTES = 1 << 20
_FILES_AT_MOST = 64

# skein writes the output of a master's script, which the server is, into application.driver.log, that of a service into
# <service>.log, and its application master's own into application.master.log. prelaunch.err and stderr are YARN's.
_FILES = r"(application\.driver|application\.master|server|kernel)\.log|prelaunch\.err|stderr"
_LEAST_TELLING = ("prelaunch.err", "stderr", "application.master.log")

_DENIED = re.compile("Permission denied|is not allowed to impersonate|does not have permission")


class LogsUnavailable(Exception):
    """The log cannot be read now; the message says why."""


class LogsDenied(LogsUnavailable):
    """It cannot be read as that user, now or later."""


@dataclass(frozen=True)
class _LogFile:
    name: str
    content: str


async def tail(
    application_id: str, user: str, *, principal: str = "", keytab: str = "", lines: int = 40, timeout: float = 20
) -> str:
    """The last lines of the server's log of an application that has ended.

    Read as the user, whom the hub impersonates, so it can be no other user's. YARN takes a moment to collect the logs
    when an application ends; that is waited for.

    Args:
        application_id: the application.
        user: its Hadoop user; "" if that is who asks.
        principal, keytab: the hub's; without a keytab, a ticket from kinit or simple authentication serves.
        lines: how many.
        timeout: seconds for all.

    Returns:
        Plain text without control characters; "" if the server wrote none.

    Raises:
        LogsUnavailable: not in time.
        LogsDenied: not as that user.
    """
    checked_application_id(application_id)
    deadline = time.monotonic() + timeout
    while True:
        try:
            reading = _read(application_id, user, principal, keytab, lines)
            return await asyncio.wait_for(reading, deadline - time.monotonic())
        except LogsDenied:
            raise
        except LogsUnavailable as error:
            if time.monotonic() + _PAUSE + _LEAST > deadline:
                raise
            _log.debug("Not yet: %s", error)
        except asyncio.TimeoutError:
            raise LogsUnavailable(f"the logs of {application_id} could not be read within {timeout:g} s") from None
        await asyncio.sleep(_PAUSE)


async def _read(application_id: str, user: str, principal: str, keytab: str, lines: int) -> str:
    command = ["yarn", "logs", "-applicationId", application_id]
    impersonation = {}
    if user:
        command += ["-appOwner", user]
        impersonation = {"HADOOP_PROXY_USER": user}
    command += ["-log_files_pattern", _FILES, "-size", str(-_BYTES)]
    try:
        async with _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_PLACES)):
            tickets = TicketCache.shared(principal, keytab)
            ticket = await tickets.environment() if tickets else {}
            environment = {**client_environment(), **ticket, **impersonation}
            ended = await run(*command, env=environment, timeout=_MOST, limit=_OUTPUT_BYTES)
            # The text is the user's, up to a megabyte of it: the event loop does not wait for that.
            return await asyncio.to_thread(_last_lines, ended, application_id, user or "you", lines)
    except (KerberosError, CommandTimeout, OSError) as error:
        raise LogsUnavailable(f"the logs of {application_id} cannot be read: {error}") from None


def _last_lines(ended: CompletedCommand, application_id: str, user: str, lines: int) -> str:
    """Return the last lines of the most telling file that says anything. Runs in a thread."""
    files = _parse(ended.output.decode(errors="replace").split("\n"))
    if not files:
        said = sanitize(ended.errors, _CHARACTERS).splitlines() or [f"exit status {ended.status}"]
        for line in said:
            if _DENIED.search(line):
                raise LogsDenied(f"{user} may not read the logs of {application_id}: {line}")
        raise LogsUnavailable(f"YARN has no logs of {application_id} for {user}: {said[-1]}")
    chosen = max((file for file in files if file.content.strip()), key=_telling, default=_LogFile("", ""))
    return "\n".join(sanitize(chosen.content, _CHARACTERS).splitlines()[-lines:])


def _parse(output: Iterable[str]) -> list[_LogFile]:
    """Return the files in the output of ``yarn logs``, given line by line; each line is looked at once.

    A file begins with ``LogType:<name>``, more lines ``Log...:`` and ``LogContents:``; it ends with ``End of LogType:<name>``,
    or where the output was cut. Its content is the user's, who may write such lines there as well: then what follows may
    count as other files, all of them the user's own.
    """
    files: list[_LogFile] = []
    name: str | None = None
    content: list[str] | None = None
    for line in output:
        if content is not None and name is not None:
            if not line.startswith(f"End of LogType:{name}"):
                content.append(line)
                continue
            files.append(_LogFile(name, "\n".join(content)))
            name = content = None
            if len(files) == _FILES_AT_MOST:
                break
        elif line.startswith("LogType:"):
            name = line[len("LogType:") :]
        elif name is not None and line == "LogContents:":
            content = []
        elif not line.startswith("Log"):
            name = None
    if content is not None and name is not None:
        files.append(_LogFile(name, "\n".join(content)))
    return files


def _telling(file: _LogFile) -> int:
    return _LEAST_TELLING.index(file.name) if file.name in _LEAST_TELLING else len(_LEAST_TELLING)
