"""Local files of the hub that are put into HDFS once, by their content, and shared by all starts."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from weakref import WeakValueDictionary

from yarnspawner.hadoop.contents import identity, is_digest, sha256
from yarnspawner.hadoop.filesystem import FileSystem, FileSystemError, Place
from yarnspawner.hadoop.permissions import check_world_readable

# Where in a home of HDFS a user's own uploads are; the hub's own are where it is told.
_PRIVATE_FOLDER = ".yarnspawner"
_USED = "used"
_DAY = 24 * 3600.0
# Seconds until what could not be done is tried again.
_RETRY = 300.0
# Uploads that are known to be there: for a user each, and some files, more than a large site has.
_REMEMBERED = 50_000

OldestStart = Callable[[], Awaitable[datetime | None]]


class UploadError(Exception):
    """The file cannot be shared; the message says why, and what an admin could do about it."""


@dataclass
class _Shared:
    """An upload that was found complete, and when it was last said to be in use."""

    url: str
    size: int
    said: float = 0.0


class Uploads:
    """Local files in HDFS, each content once.

    - Public ones are the hub's own: nobody else can replace what runs in other users' containers. That is checked of
      the file and of every folder above it, and a file that fails the check is not used.
    - Private ones belong to the user that they are for, in that user's home, and nobody else can read them.
    - A changed file has another name, so what runs goes on with the old one.
    - A file has its name when it is complete and not before; two that upload the same at once do not disturb each other.
    - What was not used for some days, and not by a running application, is removed.

    Args:
        folder: of the public ones, absolute or in the hub's home; "" for none.
        hub_user: the hub's Hadoop user.
        principal, keytab: the hub's; without a keytab, a ticket from kinit or simple authentication serves.
        keep: days after which what was not used is removed; 0 for never.
        oldest_start: tells when the oldest running application was started, None if none runs. It raises if that is
            not known.
    """

    def __init__(
        self,
        folder: str,
        hub_user: str,
        *,
        principal: str = "",
        keytab: str = "",
        keep: float = 30,
        oldest_start: OldestStart | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        self._folder = folder
        self._hub_user = hub_user
        self._access = {"principal": principal, "keytab": keytab}
        self._keep = keep
        self._oldest_start = oldest_start
        self._log = log or logging.getLogger(__name__)
        self._shared: dict[tuple[str, str], _Shared] = {}  # by user ("" for public ones) and path in HDFS
        # Each is kept for as long as somebody holds it or waits for it.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._digests: dict[str, tuple[tuple[int, ...], str]] = {}
        self._failed: dict[tuple[str, str], tuple[float, str]] = {}
        self._cleaned: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def public(self, local: Path) -> str:
        """The URL of a copy that all users can read and only the hub can change. See :meth:`private`."""
        if not self._folder:
            raise UploadError("shared_folder is not set")
        return await self._share(local, "")

    async def private(self, local: Path, user: str) -> str:
        """The URL of a copy that belongs to a user; uploaded now if there is none.

        Raises:
            UploadError: there is no such local file, or HDFS does not allow it.
        """
        return await self._share(local, user)

    def url_if_ready(self, local: Path) -> str:
        """The URL of a public copy if there is one; else "", and it is being made for the next time. Never waits."""
        if not self._folder:
            return ""
        known = self._digests.get(str(local))
        if known is not None:
            for (user, path), shared in self._shared.items():
                if not user and path.endswith(f"/{known[1]}/{local.name}"):
                    self._in_use(path, "", shared)
                    return shared.url
        if not any(task.get_name() == str(local) for task in self._background):
            self._later(self._prepare(local), name=str(local))
        return ""

    def forget(self, words: str) -> bool:
        """Look again for those that are named in YARN's words, since YARN misses them; whether there are any."""
        missed = [known for known in self._shared if known[1] in words]
        for known in missed:
            del self._shared[known]
        return bool(missed)

    async def close(self) -> None:
        """Stop what goes on in the background."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _prepare(self, local: Path) -> None:
        try:
            url = await self.public(local)
            self._log.info("%s is shared by all servers as %s", local.name, url)
        except UploadError as error:
            self._log.debug("%s: %s", local, error)  # said where it was raised

    # -- One file

    async def _share(self, local: Path, user: str) -> str:
        digest = await self._digest(local)
        try:
            path = f"{self._base(user)}/{digest}/{local.name}"
        except FileSystemError as error:
            raise UploadError(str(error)) from None
        turn = self._turns.setdefault((user, path), asyncio.Lock())
        async with turn:
            self._check_failure(user, path)
            if (user, path) not in self._shared:
                try:
                    self._shared[user, path] = await self._find_or_upload(local, user, path)
                except FileSystemError as error:
                    raise self._failure(user, path, str(error)) from None
            # The last used is the last in order; the oldest is looked for again when it is needed.
            shared = self._shared[user, path] = self._shared.pop((user, path))
            while len(self._shared) > _REMEMBERED:
                del self._shared[next(iter(self._shared))]
        self._in_use(path, user, shared)
        return shared.url

    async def _find_or_upload(self, local: Path, user: str, path: str) -> _Shared:
        size = identity(local)[2]
        if not await self._is_there(size, user, path):
            await self._upload(local, user, path)
            if not await self._is_there(size, user, path):
                raise FileSystemError(f"{path} is not there after it was uploaded")
        return _Shared(Place.configured().url(path), size)

    async def _upload(self, local: Path, user: str, path: str) -> None:
        private, files = bool(user), self._files(user)
        before = identity(local)
        folder = path.rpartition("/")[0]
        unfinished = f"{folder}/.{secrets.token_hex(8)}"
        began = time.monotonic()
        await files.make_folders(folder, private=private)
        try:
            await files.put(local, unfinished, private=private)
            changed = identity(local) != before
            # Another hub may have been quicker with the same content.
            renamed = not changed and await files.rename(unfinished, path)
        except (FileSystemError, asyncio.CancelledError):
            self._later(self._discard(unfinished, user))
            raise
        if not renamed:
            self._later(self._discard(unfinished, user))
        if changed:
            raise FileSystemError(f"{local} was changed while it was uploaded")
        self._log.info("Uploaded %s to %s in %.0f s", local, path, time.monotonic() - began)

    async def _discard(self, path: str, user: str) -> None:
        try:
            await self._files(user).remove(path)
        except FileSystemError as error:
            self._log.info("%s is left over: %s", path, error)

    async def _is_there(self, size: int, user: str, path: str) -> bool:
        """Whether the file is there, complete, and fit to be used.

        Raises:
            FileSystemError: something is there that must not be used.
        """
        parts = path.split("/")[1:]
        paths = ["/", *("/" + "/".join(parts[: end + 1]) for end in range(len(parts)))]
        entries = await self._files(user).stat(paths)
        if not user:
            check_world_readable(list(zip(paths, entries, strict=False)), self._hub_user)
        if len(entries) < len(paths):
            return False
        if entries[-1].folder or entries[-1].size != size:
            raise FileSystemError(f"{path} is not what the hub has put there: remove it")
        if user and entries[-1].owner != user:
            raise FileSystemError(f"{path} belongs to {entries[-1].owner}")
        return True

    def _base(self, user: str) -> str:
        place = Place.configured()
        if user:
            return f"{place.homes}/{user}/{_PRIVATE_FOLDER}"
        folder = self._folder.rstrip("/")
        return folder if folder.startswith("/") else f"{place.homes}/{self._hub_user}/{folder}"

    def _files(self, user: str) -> FileSystem:
        return FileSystem(user=user, **self._access)

    def _check_failure(self, user: str, path: str) -> None:
        """A site that does not allow it is not asked at each start."""
        when, reason = self._failed.get((user, path), (0.0, ""))
        if reason and time.monotonic() < when + _RETRY:
            raise UploadError(reason)

    def _failure(self, user: str, path: str, reason: str) -> UploadError:
        now = time.monotonic()
        self._failed = {name: failed for name, failed in self._failed.items() if now < failed[0] + _RETRY}
        self._failed[user, path] = (now, reason)
        whose = f"of {user}" if user else "for all users"
        self._log.warning("%s cannot be shared %s and is uploaded at each start: %s", path, whose, reason)
        return UploadError(reason)

    async def _digest(self, local: Path) -> str:
        """The SHA-256 of a file's content, which is read only if the file has changed."""
        try:
            found = identity(local)
            known = self._digests.get(str(local))
            if known is None or known[0] != found:
                digest = await asyncio.to_thread(sha256, local)
                if identity(local) != found:
                    raise UploadError(f"{local} is being changed")
                known = self._digests[str(local)] = found, digest
        except OSError as error:
            raise UploadError(f"{local}: {error.strerror}") from None
        return known[1]

    # -- What is old

    def _in_use(self, path: str, user: str, shared: _Shared) -> None:
        """Leave a mark for whoever cleans up, once a day; and clean up."""
        now = time.monotonic()
        if shared.said and now < shared.said + _DAY:
            return
        self._later(self._mark_and_clean(path, user, 0 if not shared.said else shared.size))
        shared.said = now

    async def _mark_and_clean(self, path: str, user: str, size: int) -> None:
        base = self._base(user)
        try:
            # What was fit to be used yesterday may have been opened to others since.
            if size and not await self._is_there(size, user, path):
                self._shared.pop((user, path), None)
                return
            await self._files(user).touch(f"{path.rpartition('/')[0]}/{_USED}", private=bool(user))
            if self._keep and time.monotonic() >= self._cleaned.get(base, 0.0):
                now = time.monotonic()
                self._cleaned = {base: when for base, when in self._cleaned.items() if when > now} | {base: now + _DAY}
                await self.clean(user)
        except Exception as error:  # noqa: BLE001 - nobody waits for this, and the next start looks again
            self._shared.pop((user, path), None)
            self._log.warning("%s is looked for again at the next start: %s", path, error)

    async def clean(self, user: str = "") -> list[str]:
        """Remove the uploads that are old and not in use; return their folders.

        A mark is a day old at most while starts go on, so an application that was started more than a day after the last
        mark does not use the upload.

        Raises:
            FileSystemError: the folder cannot be read, or something in it not removed.
        """
        base = self._base(user)
        now = datetime.now()  # noqa: DTZ005 - Hadoop's shell shows local time
        last_used: dict[str, datetime] = {}
        unfinished = []
        for path, when in (await self._files(user).times(base)).items():
            digest, _, name = path[path.index(base) + len(base) :].strip("/").partition("/")
            if not is_digest(digest):
                continue
            folder = f"{base}/{digest}"
            last_used[folder] = max(when, last_used.get(folder, when))
            if name.startswith(".") and when < now - timedelta(days=1):
                unfinished.append(f"{folder}/{name}")
        limit = now - timedelta(days=self._keep)
        if self._oldest_start is not None:
            try:
                oldest = await self._oldest_start()
            except Exception as error:  # noqa: BLE001 - of whatever kind: not known means in use
                self._log.info("Uploads are not cleaned up while YARN cannot be asked: %s", error)
                return []
            if oldest is not None:
                limit = min(limit, oldest.astimezone().replace(tzinfo=None) - timedelta(days=1, minutes=5))
        own = {path.rpartition("/")[0] for whose, path in self._shared if whose == user}
        old = sorted(folder for folder, when in last_used.items() if when < limit and folder not in own)
        if old or unfinished:
            await self._files(user).remove(*old, *unfinished)
        if old:
            self._log.info("Removed uploads that were not used for %g days: %s", self._keep, ", ".join(old))
        return old

    def _later(self, work: Awaitable[None], name: str | None = None) -> None:
        task = asyncio.ensure_future(work)
        if name and isinstance(task, asyncio.Task):
            task.set_name(name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
