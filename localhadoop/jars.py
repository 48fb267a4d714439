"""Hadoop's jars: which ones (a lock file), from where (Maven Central), and that they are the right ones (SHA-256)."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import http.client
import os
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localhadoop.errors import LocalHadoopError
from localhadoop.progress import Advance, Progress

LOCKS = Path(__file__).parent
DEFAULT_VERSION = "3.4"

#: Base URL of a Maven repository; ``LOCALHADOOP_MAVEN`` names another (a mirror).
MAVEN_CENTRAL = "https://repo1.maven.org/maven2"

ATTEMPTS = 4
TIMEOUT = 30  # seconds without a byte
CHUNK = 256 * 1024


@dataclass(frozen=True)
class Artifact:
    """One pinned file: SHA-256 in hexadecimal, size in bytes, path in a Maven repository.

    A native one is no part of the class path: Hadoop's native code, or what belongs to it, is taken out of it.
    """

    sha256: str
    size: int
    path: str
    is_native: bool = False


@dataclass(frozen=True)
class Lock:
    """The artifacts of one version of Hadoop."""

    version: str
    artifacts: tuple[Artifact, ...]

    @classmethod
    def parse(cls, text: str) -> Lock:
        """Read the text of a lock file; raises :class:`LocalHadoopError` for a line that is none of its own."""
        version, artifacts = "", []
        for number, line in enumerate(text.splitlines(), start=1):
            if found := re.fullmatch(r"# hadoop (\S+)", line):
                version = found[1]
            elif line.strip() and not line.startswith("#"):
                found = re.fullmatch(r"([0-9a-f]{64}) +(\d+) +([\w.+/-]+\.jar)( native)?", line.strip())
                if not found or ".." in found[3] or found[3].startswith("/"):
                    raise LocalHadoopError(f"the lock file of the jars is broken in line {number}: {line!r}")
                artifacts.append(Artifact(found[1], int(found[2]), found[3], bool(found[4])))
        if not version or not artifacts:
            raise LocalHadoopError("the lock file of the jars is broken: it names no version or no jars")
        return cls(version, tuple(artifacts))

    @classmethod
    def of(cls, version: str) -> Lock:
        """The lock of a version (``3.4.3``) or of a series (``3.4``).

        Raises :class:`LocalHadoopError` where there is none.
        """
        offered = {}
        for file in sorted(LOCKS.glob("hadoop-*.lock")):
            with file.open() as lines:
                offered[file.stem.removeprefix("hadoop-")] = next(lines).split()[-1]
        for series, exact in offered.items():
            if version in (series, exact):
                return cls.parse((LOCKS / f"hadoop-{series}.lock").read_text())
        choices = ", ".join(f"{series} ({exact})" for series, exact in offered.items())
        raise LocalHadoopError(f"there is no Hadoop {version!r} here; choose one of {choices}")


class JarCache:
    """A folder laid out as a Maven repository that holds checked jars.

    * What :meth:`ensure` returns is there, whole, and has the SHA-256 of the lock.
    * A download that broke off goes on where it stopped, also in a later process.
    * Two processes may use it at the same time.
    """

    def __init__(self, folder: Path, base_url: str | None = None) -> None:
        self.folder = folder
        self.repository = folder / "maven2"
        self.base_url = (base_url or os.environ.get("LOCALHADOOP_MAVEN") or MAVEN_CENTRAL).rstrip("/")
        self._failed = threading.Event()

    def ensure(self, artifacts: Iterable[Artifact], progress: Progress) -> list[Path]:
        """Download what is missing or broken; the paths of all, in their order.

        Raises :class:`LocalHadoopError`: no network, no such file, no room, or not the bytes that the lock pins.
        """
        wanted = list(artifacts)
        # A whole cache is only read: it may be another user's.
        if self._missing(wanted):
            with self._only_one_process():
                if missing := self._missing(wanted):
                    self._download_all(missing, progress)
        return [self.repository / artifact.path for artifact in wanted]

    def _missing(self, wanted: list[Artifact]) -> list[Artifact]:
        with ThreadPoolExecutor(4) as pool:
            whole = pool.map(self._is_whole, wanted)
            return [artifact for artifact, good in zip(wanted, whole, strict=True) if not good]

    def _is_whole(self, artifact: Artifact) -> bool:
        path = self.repository / artifact.path
        return path.is_file() and path.stat().st_size == artifact.size and sha256(path) == artifact.sha256

    def _download_all(self, artifacts: list[Artifact], progress: Progress) -> None:
        total = sum(artifact.size for artifact in artifacts)
        free = shutil.disk_usage(self.folder).free
        if free < total:
            raise LocalHadoopError(no_room(self.folder, total, free))
        self._failed.clear()
        label = f"Downloading {len(artifacts)} jars"
        with progress.downloading(label, total) as advance, ThreadPoolExecutor(8) as pool:
            try:
                list(pool.map(lambda artifact: self._download(artifact, advance), artifacts))
            except BaseException:
                self._failed.set()  # the first failure ends the others: 170 of them would say the same
                pool.shutdown(cancel_futures=True)
                raise

    def _download(self, artifact: Artifact, advance: Advance) -> None:
        target = self.repository / artifact.path
        part = target.with_name(target.name + ".part")
        url = f"{self.base_url}/{artifact.path}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            for attempt in range(1, ATTEMPTS + 1):
                if self._failed.is_set():
                    return
                try:
                    self._continue(url, part, artifact.size, advance)
                    break
                except urllib.error.HTTPError as error:
                    if error.code < 500 or attempt == ATTEMPTS:
                        raise LocalHadoopError(f"{url} answers {error.code} {error.reason}") from error
                except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
                    if attempt == ATTEMPTS:
                        reason = getattr(error, "reason", None) or error
                        raise LocalHadoopError(f"cannot download {url}: {reason}") from error
                time.sleep(0.5 * attempt)
            if part.stat().st_size != artifact.size or sha256(part) != artifact.sha256:
                part.unlink()
                raise LocalHadoopError(
                    f"{url} is not the file that the lock pins (SHA-256 {artifact.sha256[:12]}…):"
                    " the repository or the way to it changes files"
                )
            part.rename(target)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise LocalHadoopError(no_room(self.folder, artifact.size, 0)) from error
            raise LocalHadoopError(f"cannot write {error.filename or target}: {error.strerror or error}") from error

    def _continue(self, url: str, part: Path, size: int, advance: Advance) -> None:
        """Append to ``part`` what it lacks of ``size`` bytes."""
        have = part.stat().st_size if part.exists() else 0
        if have >= size:
            if have == size:
                advance(have)
                return
            part.unlink()
            have = 0
        request = urllib.request.Request(  # noqa: S310 - the base URL is the administrator's choice
            url, headers={"Range": f"bytes={have}-"} if have else {}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
            if have and response.status != 206:
                have = 0  # the server does not resume: it sends the whole again
            with part.open("ab" if have else "wb") as file:
                advance(have)
                got = have
                while chunk := response.read(CHUNK):
                    if self._failed.is_set():
                        return
                    file.write(chunk)
                    advance(len(chunk))
                    got += len(chunk)
        if got < size:
            advance(-got)  # counted again by the next attempt
            raise http.client.IncompleteRead(b"", size - got)

    @contextmanager
    def _only_one_process(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise LocalHadoopError(f"cannot write the cache {self.folder}: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    return digest.hexdigest()


def no_room(folder: Path, needed: int, free: int) -> str:
    return f"no room in {folder}: {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
