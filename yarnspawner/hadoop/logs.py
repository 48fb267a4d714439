"""Read the last lines of a server's log: of a finished application with ``yarn logs``, of a running one from its node.

The aggregated logs of a finished application are in HDFS. Only the user can read them, and their format depends on the
version and the site, so Hadoop's own command is used. It is a JVM with about 2.5 s of CPU time, so few run at a time. The
NodeManager's web service is no alternative for these: it deletes its copy once the log is in HDFS.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote
from weakref import WeakKeyDictionary

from yarnspawner.common.ids import checked_application_id
from yarnspawner.common.text import sanitize
from yarnspawner.hadoop.http_client import HadoopHttpClient, WebError
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache, client_environment
from yarnspawner.hadoop.processes import CommandTimeout, CompletedCommand, run
from yarnspawner.hadoop.resourcemanager import Node

_log = logging.getLogger(__name__)

# Processes at a time, for each event loop; other callers wait, up to their timeout. The hub's log page uses at most two.
_MAX_PROCESSES = 3
_semaphores: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
# In seconds: pause between attempts, shortest useful attempt, and timeout of an attempt.
_PAUSE = 1.0
_MIN_ATTEMPT = 3.0
_MAX_ATTEMPT = 60.0
_BYTES = 16 * 1024
_CHARACTERS = 16 * 1024

# Limits for all files together. A user may have any number of containers, and all their files with these names are logs.
_OUTPUT_BYTES = 1 << 20
_MAX_FILES = 64

# skein writes the output of a server in the master container to application.driver.log, that of a service to <service>.log,
# and that of its application master to application.master.log. YARN writes prelaunch.err and stderr.
_FILES = r"(application\.driver|application\.master|server|kernel)\.log|prelaunch\.err|stderr"
_LOW_PRIORITY = ("prelaunch.err", "stderr", "application.master.log")

_DENIED = re.compile("Permission denied|is not allowed to impersonate|does not have permission")


class LogsUnavailable(Exception):
    """The log cannot be read now; the message is the reason."""


class LogsDenied(LogsUnavailable):
    """The user has no permission to read the log. A retry does not help."""


@dataclass(frozen=True)
class _LogFile:
    name: str
    content: str


async def tail(
    application_id: str, user: str, *, principal: str = "", keytab: str = "", lines: int = 40, timeout: float = 20
) -> str:
    """Return the last lines of the log of a finished application.

    The hub reads the log as the user, so it cannot read another user's log. YARN needs a moment to aggregate the logs of a
    finished application, so failed attempts are repeated.

    Args:
        application_id: the application.
        user: its Hadoop user, whom the hub impersonates; "" if the caller is that user.
        principal, keytab: the hub's Kerberos identity. Without a keytab, the ticket cache or simple authentication is used.
        lines: number of lines.
        timeout: seconds for all attempts.

    Returns:
        Plain text without control characters; "" if the server wrote no output.

    Raises:
        LogsUnavailable: the log could not be read in time.
        LogsDenied: the user has no permission.
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
            if time.monotonic() + _PAUSE + _MIN_ATTEMPT > deadline:
                raise
            _log.debug("Will retry: %s", error)
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
        async with _semaphores.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_MAX_PROCESSES)):
            tickets = TicketCache.shared(principal, keytab)
            ticket = await tickets.environment() if tickets else {}
            environment = {**client_environment(), **ticket, **impersonation}
            completed = await run(*command, env=environment, timeout=_MAX_ATTEMPT, limit=_OUTPUT_BYTES)
            # The user controls the text, which may have a megabyte, so it is parsed outside of the event loop.
            return await asyncio.to_thread(_last_lines, completed, application_id, user or "you", lines)
    except (KerberosError, CommandTimeout, OSError) as error:
        raise LogsUnavailable(f"the logs of {application_id} cannot be read: {error}") from None


async def running_tail(node: Node, file: str, web: HadoopHttpClient, *, lines: int = 40) -> str:
    """Return the last lines of a log of a container that still runs, from the web service of its NodeManager.

    YARN checks the permission of the hub, which is in the application's list of viewers.

    Args:
        node: the container's node, as the ResourceManager reports it.
        file: name of the log file.
        web: HTTP client with the hub's identity.
        lines: number of lines.

    Returns:
        Plain text without control characters; "" if the file is empty.

    Raises:
        LogsUnavailable: the NodeManager did not return the file.
    """
    if not node.web or not node.container:
        raise LogsUnavailable(f"the NodeManager's web address of {node.host} is not known")
    url = f"{node.web}/ws/v1/node/containerlogs/{quote(node.container, safe='')}/{quote(file, safe='')}?size={-_BYTES}"
    try:
        # The NodeManager answers a request for another type with HTTP 503.
        response = await web.get(url, accept="text/plain")
    except WebError as error:
        raise LogsUnavailable(str(error)) from None
    if response.status != HTTPStatus.OK:
        raise LogsUnavailable(f"{url} answered with HTTP {response.status}")
    text = response.body[-_OUTPUT_BYTES:].decode(errors="replace")
    return await asyncio.to_thread(_end_of_file, text, lines)


def _end_of_file(text: str, lines: int) -> str:
    """Return the last lines of the first file in a NodeManager's answer. Runs in a thread."""
    files = _parse(text.split("\n"))
    return _tail_lines(files[0].content, lines) if files else ""


def _tail_lines(content: str, lines: int) -> str:
    return "\n".join(sanitize(content, _CHARACTERS).splitlines()[-lines:])


def _last_lines(completed: CompletedCommand, application_id: str, user: str, lines: int) -> str:
    """Return the last lines of the most relevant file that is not empty. Runs in a thread."""
    files = _parse(completed.output.decode(errors="replace").split("\n"))
    if not files:
        messages = sanitize(completed.errors, _CHARACTERS).splitlines() or [f"exit status {completed.status}"]
        for line in messages:
            if _DENIED.search(line):
                raise LogsDenied(f"{user} may not read the logs of {application_id}: {line}")
        raise LogsUnavailable(f"YARN has no logs of {application_id} for {user}: {messages[-1]}")
    chosen = max((file for file in files if file.content.strip()), key=_relevance, default=_LogFile("", ""))
    return _tail_lines(chosen.content, lines)


def _parse(output: Iterable[str]) -> list[_LogFile]:
    """Parse the output of ``yarn logs`` in linear time.

    A file begins with ``LogType:<name>``, further ``Log...:`` lines and ``LogContents:``. It ends with
    ``End of LogType:<name>``, or with the end of the output. Users control the content and can write such lines as well.
    Then the rest counts as further files, which are the user's own, too.
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
            if len(files) == _MAX_FILES:
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


def _relevance(file: _LogFile) -> int:
    return _LOW_PRIORITY.index(file.name) if file.name in _LOW_PRIORITY else len(_LOW_PRIORITY)
