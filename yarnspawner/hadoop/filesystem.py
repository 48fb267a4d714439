"""The cluster's default file system, accessed with ``hadoop fs`` as the hub or as an impersonated user.

Hadoop's own client supports every file system and authentication of a site. Each command is a JVM with 1 to 2 s of CPU
time, so use it for one-time operations only, not for each start of a server.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from weakref import WeakKeyDictionary

from yarnspawner.common.text import one_line
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hadoop.kerberos import KerberosError, TicketCache, client_environment
from yarnspawner.hadoop.processes import CommandTimeout, CompletedCommand, run

# Processes at a time, for each event loop; other callers wait.
_MAX_PROCESSES = 2
_semaphores: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
# In seconds; the second is for copies, whose size has no limit.
_TIMEOUT = 120.0
_COPY_TIMEOUT = 1800.0

_JAVA_OPTIONS = "-Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"

# permissions, replication, owner, group, size, date, time, path
_LISTED = re.compile(
    r"^[d-]\S{9}\S? +\S+ +\S[^\n]{0,500}? \d+ (\d{4}-\d\d-\d\d \d\d:\d\d) (/.*|\w+://.*)$", re.MULTILINE
)


class FileSystemError(Exception):
    """A file system operation failed; the message is the reason, in one line."""


@dataclass(frozen=True)
class Entry:
    """Metadata of a file or folder.

    Attributes:
        owner, group: names of the owner and the group.
        mode: permission bits.
        size: in bytes.
        folder: True for a folder.
    """

    owner: str
    group: str
    mode: int
    size: int
    folder: bool


class FileSystem:
    """The cluster's default file system.

    Args:
        principal, keytab: the hub's Kerberos identity. Without a keytab, the ticket cache or simple authentication is used.
        user: user that the hub impersonates, "" for the hub itself.
    """

    def __init__(self, *, principal: str = "", keytab: str = "", user: str = "") -> None:
        self._principal = principal
        self._keytab = keytab
        self._user = user

    async def stat(self, paths: Sequence[str]) -> list[Entry]:
        """Return the metadata of a path and its descendants, from the root down.

        The list ends before the first path that does not exist or is not accessible.

        Raises:
            FileSystemError: the command failed.
        """
        completed = await self._run("-stat", "%a %b %F/%u/%g", *paths)
        lines = completed.output.decode(errors="replace").splitlines()
        if (
            len(lines) < len(paths)
            and "No such file" not in completed.errors
            and "Permission denied" not in completed.errors
        ):
            raise FileSystemError(_reason(completed))
        return [_entry(line) for line in lines]

    async def make_folders(self, *paths: str, private: bool = False) -> None:
        """Create folders and their parents if necessary, readable by all users or only by the owner."""
        await self._run_checked(*_umask(private), "-mkdir", "-p", *paths)

    async def put(self, local: Path, path: str, *, private: bool = False) -> None:
        """Upload a local file to a path that does not exist, readable by all users or only by the owner."""
        await self._run_checked(*_umask(private), "-put", str(local), path, timeout=_COPY_TIMEOUT)

    async def rename(self, path: str, target: str) -> bool:
        """Rename a file atomically. Return False if the target exists."""
        completed = await self._run("-mv", path, target)
        if completed.status and "File exists" not in completed.errors:
            raise FileSystemError(_reason(completed))
        return not completed.status

    async def touch(self, path: str, *, private: bool = False) -> None:
        """Create an empty file, or update its modification time."""
        await self._run_checked(*_umask(private), "-touchz", path)

    async def times(self, folder: str) -> dict[str, datetime]:
        """Return the modification time of each path below a folder, in minutes and in the hub's local time."""
        completed = await self._run_checked("-ls", "-R", folder)
        text = completed.output.decode(errors="replace")
        return {path: datetime.strptime(when, "%Y-%m-%d %H:%M") for when, path in _LISTED.findall(text)}  # noqa: DTZ007

    async def names(self, folder: str) -> list[str]:
        """Return the names in a folder. Empty if the folder does not exist."""
        completed = await self._run("-ls", "-C", folder)
        if completed.status and "No such file" not in completed.errors:
            raise FileSystemError(_reason(completed))
        return [line.rpartition("/")[2] for line in completed.output.decode(errors="replace").splitlines()]

    async def remove(self, *paths: str) -> None:
        """Delete files and folders without the trash. Idempotent."""
        await self._run_checked("-rm", "-r", "-f", "-skipTrash", *paths)

    async def _run_checked(self, *arguments: str, timeout: float = _TIMEOUT) -> CompletedCommand:
        completed = await self._run(*arguments, timeout=timeout)
        if completed.status:
            raise FileSystemError(_reason(completed))
        return completed

    async def _run(self, *arguments: str, timeout: float = _TIMEOUT) -> CompletedCommand:
        try:
            async with _semaphores.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_MAX_PROCESSES)):
                tickets = TicketCache.shared(self._principal, self._keytab)
                ticket = await tickets.environment() if tickets else {}
                environment = {**client_environment(), **ticket}
                environment["HADOOP_CLIENT_OPTS"] = (
                    f"{_JAVA_OPTIONS} {environment.get('HADOOP_CLIENT_OPTS', '')}".strip()
                )
                if self._user:
                    environment["HADOOP_PROXY_USER"] = self._user
                return await run("hadoop", "fs", *arguments, env=environment, timeout=timeout)
        except (KerberosError, CommandTimeout, OSError) as error:
            raise FileSystemError(f"`hadoop fs` cannot be run: {error}") from None


@dataclass(frozen=True)
class DefaultFileSystem:
    """Location of home folders in the default file system.

    Attributes:
        scheme: scheme of its URLs, such as ``hdfs``.
        homes: parent folder of the users' home folders.
    """

    scheme: str
    homes: str

    @classmethod
    def from_configuration(cls) -> DefaultFileSystem:
        """Read Hadoop's configuration.

        Raises:
            FileSystemError: the configuration cannot be read, or its file system is not shared by the cluster.
        """
        try:
            configuration = HadoopConfiguration.load()
        except ConfigurationError as error:
            raise FileSystemError(str(error)) from None
        scheme = configuration.get("fs.defaultFS", "file:///").partition(":")[0]
        if scheme == "file":
            raise FileSystemError("fs.defaultFS in core-site.xml is not a file system that the cluster shares")
        return cls(scheme, configuration.get("dfs.user.home.dir.prefix", "/user").rstrip("/"))

    def url(self, path: str) -> str:
        """Return the URL of a path, without a host. Every client then uses its own default file system."""
        return f"{self.scheme}://{path}"


def _umask(private: bool) -> list[str]:
    # The site's umask may be too strict for public files, or too permissive for private ones.
    return ["-D", f"fs.permissions.umask-mode={'077' if private else '022'}"]


def _entry(line: str) -> Entry:
    try:
        # Account names may contain spaces ("domain users"), but no slashes.
        attributes, owner, group = line.split("/")
        mode, size, file_type = attributes.split(" ", 2)
        return Entry(owner, group, int(mode, 8), int(size), file_type == "directory")
    except ValueError:
        raise FileSystemError(f"`hadoop fs -stat` printed {line[:200]!r}") from None


def _reason(completed: CompletedCommand) -> str:
    """Return Hadoop's error message: the first line that is not a log message."""
    lines = [line.strip() for line in completed.errors.splitlines() if line.strip()]
    messages = [line for line in lines if re.match(r"\w{1,100}: ", line) and not re.match(r"(WARN|INFO|Picked)", line)]
    text = (messages or lines[-1:] or [f"exit status {completed.status}"])[0]
    return one_line(text, 500)
