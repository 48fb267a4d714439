"""Claim a hub's id for one process and one database: a lock, and a record of the database.

Both prevent the same mistake: a second hub with the same id and another database would treat all servers of the first
hub as orphans.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import secrets
from pathlib import Path
from typing import Any

from jupyterhub import orm

FILE_NAME = "yarnspawner_hub_id"

# Number of users in the record, oldest first. The database is the same if it still has one of them.
_USERS = 100


class HubClaim:
    """Claim a hub's id for a process and its database.

    If the files cannot be written or locked, log one warning and treat the claim as valid. Then only the sweep's limit
    (``orphans.too_many``) protects the applications of another hub.

    Args:
        file: the file with the id in line 1 and the record of the database in line 2; see :func:`record_file`.
        hub_id: the id.
        db: JupyterHub's database session, only read; None to use only the lock.
        log: the hub's logger.
        hub: True if this process is the hub. A command neither locks nor writes.
    """

    def __init__(self, file: Path, hub_id: str, db: Any, log: logging.Logger, *, hub: bool) -> None:
        self._file = file
        self._hub_id = hub_id
        self._db = db
        self._log = log
        self._hub = hub
        self._lock: int | None = None
        self._warned = False
        self._users_known = False

    def refusal(self) -> str:
        """Return why the id is not this hub's, with the remedy; "" if it is."""
        try:
            if self._hub and not self._locked():
                return (
                    f"another hub runs with the same id ({self._lock_file} is locked): give each hub a folder of its own,"
                    " or set c.YarnSpawner.hub_id"
                )
        except OSError as error:
            self._warn(error)
        try:
            return self._bound()
        except OSError as error:
            self._warn(error)
            return ""

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            self._log.warning("The hub's id cannot be bound to its database: %s", error)

    def rebind(self) -> None:
        """Record this database as the owner of the id.

        Raises:
            OSError: the file cannot be written.
        """
        if (now := _fingerprint(self._db)) is not None:
            self._write(now)

    def close(self) -> None:
        """Release the lock. The end of the process also releases it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _lock_file(self) -> Path:
        return self._file.with_name(f"{self._file.name}.lock")

    def _locked(self) -> bool:
        if self._lock is None:
            lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BaseException as error:
                os.close(lock)
                if isinstance(error, BlockingIOError):
                    return False
                raise
            self._lock = lock
        return True

    def _bound(self) -> str:
        now, known = _fingerprint(self._db), self._read()
        if now is None:
            return ""
        step = "if that is on purpose, run `yarnspawner sweep --moved` once"
        if known is not None and known.get("place") != now["place"]:
            return f"its id belongs to the database {known.get('place')}, and this hub uses {now['place']}: {step}"
        # Check this once for each process: all users can disappear while a hub runs, for instance temporary ones.
        had = set(known.get("users") or ()) if known is not None and not self._users_known else set()
        if had and not had & set(now["users"]):
            return f"the database {now['place']} has none of the users that it had: {step}"
        self._users_known = True
        if self._hub and known != now:
            self._write(now)
        return ""

    def _read(self) -> dict[str, Any] | None:
        lines = self._file.read_text(errors="replace").splitlines() if self._file.exists() else []
        if len(lines) < 2:
            return None
        try:
            record = json.loads(lines[1])
        except ValueError:
            record = None
        return record if isinstance(record, dict) else {}

    def _write(self, record: dict[str, Any]) -> None:
        fresh = self._file.with_name(f"{self._file.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(f"{self._hub_id}\n{json.dumps(record)}\n")
            fresh.replace(self._file)
        finally:
            fresh.unlink(missing_ok=True)


def record_file(chosen: str, secret_file: Path | None) -> Path:
    """Return the path of an id's record.

    Args:
        chosen: the admin's ``hub_id``, which has a file of its own; "" for none.
        secret_file: the file of the cookie secret. The record is in the same folder. None for the working directory.
    """
    file = secret_file.with_name(FILE_NAME) if secret_file is not None else Path(FILE_NAME).absolute()
    return file.with_name(f"{FILE_NAME}.{hashlib.sha256(chosen.encode()).hexdigest()[:8]}") if chosen else file


def _fingerprint(db: Any) -> dict[str, Any] | None:
    """Describe a database without its password; None for a database in memory, which no other process can use."""
    if db is None:
        return None
    url = db.get_bind().url
    host = url.host or ""
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            return None
        path = Path(url.database).resolve()
        place = f"{path} on {_machine(path)}"
    else:
        local = host in ("", "localhost", "127.0.0.1", "::1")
        place = f"{url.get_backend_name()}://{host}:{url.port or ''}/{url.database or ''}"
        place += f" on {_machine(None)}" if local else ""
    users = db.query(orm.User.id, orm.User.created).order_by(orm.User.id).limit(_USERS).all()
    return {
        "place": place,
        "users": [hashlib.sha256(f"{number} {created}".encode()).hexdigest()[:16] for number, created in users],
    }


def _machine(path: Path | None) -> str:
    """Return a name for this machine. A recreated container keeps it; a copy of its volume gets another one."""
    try:
        name = Path("/etc/machine-id").read_text().strip()
    except OSError:
        name = ""
    if name:
        return f"machine {hashlib.sha256(name.encode()).hexdigest()[:12]}"
    try:
        return f"inode {path.stat().st_ino}" if path else "this machine"
    except OSError:
        return "this machine"
