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
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from yarnspawner.diagnosis import plain
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache, client_environment
from yarnspawner.hadoop.subprocesses import CommandTimeout, run

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

# skein writes the output of a master's script, which the server is, into application.driver.log, that of a service into
# <service>.log, and its application master's own into application.master.log. prelaunch.err and stderr are YARN's.
_FILES = r".*\.log|prelaunch\.err|stderr"
_LEAST_TELLING = ("prelaunch.err", "stderr", "application.master.log")

_CONTENT = re.compile(
    r"^LogType:(?P<name>[^\n]*)\n(?:Log(?!Contents)[^\n]*\n)*LogContents:\n(?P<content>.*?)^End of LogType:(?P=name)",
    re.MULTILINE | re.DOTALL,
)
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
    if not re.fullmatch(r"application_\d+_\d+", application_id):
        raise ValueError(f"not an application's id: {application_id!r}")
    deadline = time.monotonic() + timeout
    while True:
        try:
            files = await asyncio.wait_for(_read(application_id, user, principal, keytab), deadline - time.monotonic())
            return _tail(files, lines)
        except LogsDenied:
            raise
        except LogsUnavailable as error:
            if time.monotonic() + _PAUSE + _LEAST > deadline:
                raise
            _log.debug("Not yet: %s", error)
        except asyncio.TimeoutError:
            raise LogsUnavailable(f"the logs of {application_id} could not be read within {timeout:g} s") from None
        await asyncio.sleep(_PAUSE)


async def _read(application_id: str, user: str, principal: str, keytab: str) -> list[_LogFile]:
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
            ended = await run(*command, env=environment, timeout=_MOST)
    except (KerberosError, CommandTimeout, OSError) as error:
        raise LogsUnavailable(f"the logs of {application_id} cannot be read: {error}") from None
    files = [_LogFile(**match.groupdict()) for match in _CONTENT.finditer(ended.output.decode(errors="replace"))]
    if not files:
        said = plain(ended.errors, _CHARACTERS).splitlines() or [f"exit status {ended.status}"]
        for line in said:
            if _DENIED.search(line):
                raise LogsDenied(f"{user or 'you'} may not read the logs of {application_id}: {line}")
        raise LogsUnavailable(f"YARN has no logs of {application_id} for {user or 'you'}: {said[-1]}")
    return files


def _tail(files: list[_LogFile], lines: int) -> str:
    """The last lines of the most telling file that says anything."""
    files = [file for file in files if file.content.strip()]
    chosen = max(files, key=_telling, default=_LogFile("", ""))
    return "\n".join(plain(chosen.content, _CHARACTERS).splitlines()[-lines:])


def _telling(file: _LogFile) -> int:
    return _LEAST_TELLING.index(file.name) if file.name in _LEAST_TELLING else len(_LEAST_TELLING)
