"""The cluster's file system, as the hub or as a user that it impersonates, through Hadoop's own ``hadoop fs``.

Hadoop's client knows every file system and every way of securing it that a site may have. It is a JVM each time (one to two
seconds of CPU), so it is for what is done once, never for each start.
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

# Processes at once, for each event loop; further callers wait.
_PLACES = 2
_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
# Seconds for a command, and for one that copies a file of any size.
_TIMEOUT = 120.0
_COPY_TIMEOUT = 1800.0

_JAVA_OPTIONS = "-Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"

# permissions, replication, owner, group, size, date, time, path
_LISTED = re.compile(
    r"^[d-]\S{9}\S? +\S+ +\S[^\n]{0,500}? \d+ (\d{4}-\d\d-\d\d \d\d:\d\d) (/.*|\w+://.*)$", re.MULTILINE
)


class FileSystemError(Exception):
    """The file system did not do what was asked; the message is its reason, in one line."""


@dataclass(frozen=True)
class Entry:
    """A file or folder, as the file system describes it.

    Attributes:
        owner, group: Hadoop's names.
        mode: its permission bits.
        size: in bytes.
        folder: whether it is one.
    """

    owner: str
    group: str
    mode: int
    size: int
    folder: bool


class FileSystem:
    """The cluster's default file system.

    Args:
        principal, keytab: the hub's; without a keytab, a ticket from kinit or simple authentication serves.
        user: whom the hub acts for; "" for itself.
    """

    def __init__(self, *, principal: str = "", keytab: str = "", user: str = "") -> None:
        self._principal = principal
        self._keytab = keytab
        self._user = user

    async def stat(self, paths: Sequence[str]) -> list[Entry]:
        """Describe a path and those below it, from the top down, as far as they are there and may be seen.

        Raises:
            FileSystemError: it cannot be asked.
        """
        ended = await self._command("-stat", "%a %b %F/%u/%g", *paths)
        lines = ended.output.decode(errors="replace").splitlines()
        if len(lines) < len(paths) and "No such file" not in ended.errors and "Permission denied" not in ended.errors:
            raise FileSystemError(_reason(ended))
        return [_entry(line) for line in lines]

    async def make_folders(self, *paths: str, private: bool = False) -> None:
        """Make folders and those above them where they are missing, for all to read or for the owner alone."""
        await self._done(*_umask(private), "-mkdir", "-p", *paths)

    async def put(self, local: Path, path: str, *, private: bool = False) -> None:
        """Copy a local file to where none is, for all to read or for the owner alone."""
        await self._done(*_umask(private), "-put", str(local), path, timeout=_COPY_TIMEOUT)

    async def rename(self, path: str, target: str) -> bool:
        """Give a file another name, in one step; False if there is one of that name."""
        ended = await self._command("-mv", path, target)
        if ended.status and "File exists" not in ended.errors:
            raise FileSystemError(_reason(ended))
        return not ended.status

    async def touch(self, path: str, *, private: bool = False) -> None:
        """Make an empty file, or make it new."""
        await self._done(*_umask(private), "-touchz", path)

    async def times(self, folder: str) -> dict[str, datetime]:
        """When what is in a folder and below was last changed, by path; of minutes, in this machine's time."""
        ended = await self._done("-ls", "-R", folder)
        text = ended.output.decode(errors="replace")
        return {path: datetime.strptime(when, "%Y-%m-%d %H:%M") for when, path in _LISTED.findall(text)}  # noqa: DTZ007

    async def names(self, folder: str) -> list[str]:
        """The names of what is in a folder; none if it is not there."""
        ended = await self._command("-ls", "-C", folder)
        if ended.status and "No such file" not in ended.errors:
            raise FileSystemError(_reason(ended))
        return [line.rpartition("/")[2] for line in ended.output.decode(errors="replace").splitlines()]

    async def remove(self, *paths: str) -> None:
        """Remove files and folders for good, and not into the trash; what is not there counts as removed."""
        await self._done("-rm", "-r", "-f", "-skipTrash", *paths)

    async def _done(self, *arguments: str, timeout: float = _TIMEOUT) -> CompletedCommand:
        ended = await self._command(*arguments, timeout=timeout)
        if ended.status:
            raise FileSystemError(_reason(ended))
        return ended

    async def _command(self, *arguments: str, timeout: float = _TIMEOUT) -> CompletedCommand:
        try:
            async with _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_PLACES)):
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
class Place:
    """Where things are in the default file system.

    Attributes:
        scheme: of its URLs, such as ``hdfs``.
        homes: the folder that has the users' homes.
    """

    scheme: str
    homes: str

    @classmethod
    def configured(cls) -> Place:
        """What Hadoop's configuration says.

        Raises:
            FileSystemError: there is none, or its file system is not shared by the cluster.
        """
        try:
            configuration = HadoopConfiguration.load()
        except ConfigurationError as error:
            raise FileSystemError(str(error)) from None
        scheme = configuration.get("fs.defaultFS", "file:///").partition(":")[0]
        if scheme == "file":
            raise FileSystemError("fs.defaultFS of core-site.xml names no file system that the cluster shares")
        return cls(scheme, configuration.get("dfs.user.home.dir.prefix", "/user").rstrip("/"))

    def url(self, path: str) -> str:
        """A path's URL, without a host: each client asks its own default file system."""
        return f"{self.scheme}://{path}"


def _umask(private: bool) -> list[str]:
    # Whatever the site's own is: public files are useless if not all can read them, and private ones must not be read.
    return ["-D", f"fs.permissions.umask-mode={'077' if private else '022'}"]


def _entry(line: str) -> Entry:
    try:
        # Names of accounts may have spaces ("domain users"), but no slashes.
        described, owner, group = line.split("/")
        mode, size, kind = described.split(" ", 2)
        return Entry(owner, group, int(mode, 8), int(size), kind == "directory")
    except ValueError:
        raise FileSystemError(f"`hadoop fs -stat` answered {line[:200]!r}") from None


def _reason(ended: CompletedCommand) -> str:
    """Hadoop's own words: the first line that is not a log's."""
    lines = [line.strip() for line in ended.errors.splitlines() if line.strip()]
    said = [line for line in lines if re.match(r"\w{1,100}: ", line) and not re.match(r"(WARN|INFO|Picked)", line)]
    text = (said or lines[-1:] or [f"exit status {ended.status}"])[0]
    return one_line(text, 500)
