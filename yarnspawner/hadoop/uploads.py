"""Upload local files of the hub to HDFS once for each content, and reuse them for all starts."""

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

from yarnspawner.hadoop.contents import is_digest, sha256, stat_signature
from yarnspawner.hadoop.filesystem import DefaultFileSystem, FileSystem, FileSystemError
from yarnspawner.hadoop.permissions import check_world_readable

# Folder of private uploads in a user's HDFS home.
_PRIVATE_FOLDER = ".yarnspawner"
_USED = "used"
_DAY = 24 * 3600.0
# Seconds until a failed upload is retried.
_RETRY = 300.0
# Uploads in memory: some files for each user, more than a large site needs.
_MAX_KNOWN = 50_000

OldestStart = Callable[[], Awaitable[datetime | None]]


class UploadError(Exception):
    """A file cannot be shared; the message says why, and what an admin can do."""


@dataclass
class _Upload:
    """A complete upload, and when its usage was last marked, in seconds of `time.monotonic` (0 for never)."""

    url: str
    size: int
    marked: float = 0.0


class Uploads:
    """Uploads in HDFS, one for each content.

    - A public upload belongs to the hub. Only the hub can replace it, since it runs in all users' containers. This is
      checked for the file and all its parent folders, and a file that fails the check is not used.
    - A private upload belongs to its user, in that user's home, and only that user can read it.
    - A changed file is uploaded to another path, so running applications keep the old one.
    - An upload gets its final name only when it is complete. Concurrent uploads of the same content are safe.
    - An upload that no application has used for some days is removed.

    Args:
        folder: folder of public uploads, absolute or relative to the hub's home; "" for no public uploads.
        hub_user: the hub's Hadoop user.
        principal, keytab: the hub's Kerberos identity. Without a keytab, the ticket cache or simple authentication is used.
        keep: days after which an unused upload is removed; 0 for never.
        oldest_start: returns the start time of the oldest running application, or None if none runs. Raises if that is not
            known.
        log: logger of the hub.
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
        self._known: dict[tuple[str, str], _Upload] = {}  # by user ("" for public uploads) and path in HDFS
        # A lock exists while a task holds it or waits for it.
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._digests: dict[str, tuple[tuple[int, ...], str]] = {}
        self._failed: dict[tuple[str, str], tuple[float, str]] = {}
        self._cleaned: dict[str, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def public(self, local: Path) -> str:
        """Return the URL of a public upload. Upload the file if necessary. See :meth:`private`."""
        if not self._folder:
            raise UploadError("shared_folder is not set")
        return await self._share(local, "")

    async def private(self, local: Path, user: str) -> str:
        """Return the URL of a user's private upload. Upload the file if necessary.

        Raises:
            UploadError: the local file cannot be read, or the upload failed.
        """
        return await self._share(local, user)

    def url_if_ready(self, local: Path) -> str:
        """Return the URL of a public upload, or "" and start the upload in the background. Never waits."""
        if not self._folder:
            return ""
        cached = self._digests.get(str(local))
        if cached is not None:
            for (user, path), upload in self._known.items():
                if not user and path.endswith(f"/{cached[1]}/{local.name}"):
                    self._touch_usage(path, "", upload)
                    return upload.url
        if not any(task.get_name() == str(local) for task in self._background):
            self._in_background(self._prepare(local), name=str(local))
        return ""

    def invalidate(self, error: str) -> bool:
        """Check uploads again that YARN reports as missing. Return True if its error names any."""
        missing = [key for key in self._known if key[1] in error]
        for key in missing:
            del self._known[key]
        return bool(missing)

    async def close(self) -> None:
        """Cancel the background tasks."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _prepare(self, local: Path) -> None:
        try:
            url = await self.public(local)
            self._log.info("All servers share %s as %s", local.name, url)
        except UploadError as error:
            self._log.debug("%s: %s", local, error)  # already logged as a warning

    # Uploads

    async def _share(self, local: Path, user: str) -> str:
        digest = await self._digest(local)
        try:
            path = f"{self._base(user)}/{digest}/{local.name}"
        except FileSystemError as error:
            raise UploadError(str(error)) from None
        lock = self._locks.setdefault((user, path), asyncio.Lock())
        async with lock:
            self._check_failure(user, path)
            if (user, path) not in self._known:
                try:
                    self._known[user, path] = await self._find_or_upload(local, user, path)
                except FileSystemError as error:
                    raise self._record_failure(user, path, str(error)) from None
            # The dict is ordered by last use. A removed entry is checked again when it is needed.
            upload = self._known[user, path] = self._known.pop((user, path))
            while len(self._known) > _MAX_KNOWN:
                del self._known[next(iter(self._known))]
        self._touch_usage(path, user, upload)
        return upload.url

    async def _find_or_upload(self, local: Path, user: str, path: str) -> _Upload:
        size = stat_signature(local)[2]
        if not await self._exists(size, user, path):
            await self._upload(local, user, path)
            if not await self._exists(size, user, path):
                raise FileSystemError(f"{path} does not exist after its upload")
        return _Upload(DefaultFileSystem.from_configuration().url(path), size)

    async def _upload(self, local: Path, user: str, path: str) -> None:
        private, files = bool(user), self._files(user)
        before = stat_signature(local)
        folder = path.rpartition("/")[0]
        unfinished = f"{folder}/.{secrets.token_hex(8)}"
        began = time.monotonic()
        await files.make_folders(folder, private=private)
        try:
            await files.put(local, unfinished, private=private)
            changed = stat_signature(local) != before
            # Another hub may have uploaded the same content.
            renamed = not changed and await files.rename(unfinished, path)
        except (FileSystemError, asyncio.CancelledError):
            self._in_background(self._discard(unfinished, user))
            raise
        if not renamed:
            self._in_background(self._discard(unfinished, user))
        if changed:
            raise FileSystemError(f"{local} changed during its upload")
        self._log.info("Uploaded %s to %s in %.0f s", local, path, time.monotonic() - began)

    async def _discard(self, path: str, user: str) -> None:
        try:
            await self._files(user).remove(path)
        except FileSystemError as error:
            self._log.info("The incomplete upload %s was not removed: %s", path, error)

    async def _exists(self, size: int, user: str, path: str) -> bool:
        """Return True if an upload exists, is complete and may be used.

        Raises:
            FileSystemError: a file exists, but must not be used.
        """
        parts = path.split("/")[1:]
        paths = ["/", *("/" + "/".join(parts[: end + 1]) for end in range(len(parts)))]
        entries = await self._files(user).stat(paths)
        if not user:
            check_world_readable(list(zip(paths, entries, strict=False)), self._hub_user)
        if len(entries) < len(paths):
            return False
        if entries[-1].folder or entries[-1].size != size:
            raise FileSystemError(f"{path} is not the file that the hub has uploaded: remove it")
        if user and entries[-1].owner != user:
            raise FileSystemError(f"{path} belongs to {entries[-1].owner}")
        return True

    def _base(self, user: str) -> str:
        file_system = DefaultFileSystem.from_configuration()
        if user:
            return f"{file_system.homes}/{user}/{_PRIVATE_FOLDER}"
        folder = self._folder.rstrip("/")
        return folder if folder.startswith("/") else f"{file_system.homes}/{self._hub_user}/{folder}"

    def _files(self, user: str) -> FileSystem:
        return FileSystem(user=user, **self._access)

    def _check_failure(self, user: str, path: str) -> None:
        """Raise the error of a recent failure, so that not every start retries an upload that the site does not allow."""
        when, reason = self._failed.get((user, path), (0.0, ""))
        if reason and time.monotonic() < when + _RETRY:
            raise UploadError(reason)

    def _record_failure(self, user: str, path: str, reason: str) -> UploadError:
        now = time.monotonic()
        self._failed = {name: failed for name, failed in self._failed.items() if now < failed[0] + _RETRY}
        self._failed[user, path] = (now, reason)
        scope = f"for {user}" if user else "for all users"
        self._log.warning("%s cannot be shared %s, so each start uploads it: %s", path, scope, reason)
        return UploadError(reason)

    async def _digest(self, local: Path) -> str:
        """Return the SHA-256 of a file. It is cached until the file changes."""
        try:
            found = stat_signature(local)
            cached = self._digests.get(str(local))
            if cached is None or cached[0] != found:
                digest = await asyncio.to_thread(sha256, local)
                if stat_signature(local) != found:
                    raise UploadError(f"{local} changed while it was read")
                cached = self._digests[str(local)] = found, digest
        except OSError as error:
            raise UploadError(f"{local}: {error.strerror}") from None
        return cached[1]

    # Removal of old uploads

    def _touch_usage(self, path: str, user: str, upload: _Upload) -> None:
        """Mark an upload as used and remove old uploads, both once a day."""
        now = time.monotonic()
        if upload.marked and now < upload.marked + _DAY:
            return
        self._in_background(self._mark_and_clean(path, user, 0 if not upload.marked else upload.size))
        upload.marked = now

    async def _mark_and_clean(self, path: str, user: str, size: int) -> None:
        base = self._base(user)
        try:
            # The permissions may have changed since yesterday.
            if size and not await self._exists(size, user, path):
                self._known.pop((user, path), None)
                return
            await self._files(user).touch(f"{path.rpartition('/')[0]}/{_USED}", private=bool(user))
            if self._keep and time.monotonic() >= self._cleaned.get(base, 0.0):
                now = time.monotonic()
                self._cleaned = {base: when for base, when in self._cleaned.items() if when > now} | {base: now + _DAY}
                await self.clean(user)
        except Exception as error:  # noqa: BLE001 - a background task; the next start checks the upload again
            self._known.pop((user, path), None)
            self._log.warning("The usage of %s was not marked; the next start checks it again: %s", path, error)

    async def clean(self, user: str = "") -> list[str]:
        """Remove old unused uploads and return their folders.

        Every start renews a mark that is older than a day. So an application that was started more than a day after the last
        mark does not use the upload.

        Raises:
            FileSystemError: the folder cannot be read, or an upload not removed.
        """
        base = self._base(user)
        now = datetime.now()  # noqa: DTZ005 - Hadoop's commands print local time
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
            except Exception as error:  # noqa: BLE001 - after any error, assume that all uploads are in use
                self._log.info("Old uploads are not removed while YARN does not answer: %s", error)
                return []
            if oldest is not None:
                limit = min(limit, oldest.astimezone().replace(tzinfo=None) - timedelta(days=1, minutes=5))
        known = {path.rpartition("/")[0] for owner, path in self._known if owner == user}
        old = sorted(folder for folder, when in last_used.items() if when < limit and folder not in known)
        if old or unfinished:
            await self._files(user).remove(*old, *unfinished)
        if old:
            self._log.info("Removed uploads that were unused for %g days: %s", self._keep, ", ".join(old))
        return old

    def _in_background(self, work: Awaitable[None], name: str | None = None) -> None:
        task = asyncio.ensure_future(work)
        if name and isinstance(task, asyncio.Task):
            task.set_name(name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
