"""Kerberos tickets from the hub's keytab, for programs that cannot use a keytab (curl, `yarn logs`)."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path

from yarnspawner.common.retry import Retry
from yarnspawner.hadoop.processes import CommandTimeout, run

# Variables that a program needs to find its libraries, its realm and Java. All others are removed, since they include the
# hub's secrets (CONFIGPROXY_AUTH_TOKEN, JUPYTERHUB_CRYPT_KEY).
_VARIABLES = (
    "PATH LANG LC_ALL TZ TMPDIR LD_LIBRARY_PATH HOME USER LOGNAME KRB5_CONFIG KRB5CCNAME SSL_CERT_FILE "
    "JAVA_HOME HADOOP_HOME HADOOP_CONF_DIR HADOOP_COMMON_HOME HADOOP_HDFS_HOME HADOOP_YARN_HOME HADOOP_CLASSPATH "
    "HADOOP_OPTS HADOOP_CLIENT_OPTS HADOOP_USER_NAME HADOOP_LOG_DIR HADOOP_ROOT_LOGGER YARN_CONF_DIR YARN_OPTS"
).split()

_KINIT_SECONDS = 10
# Between attempts while the KDC does not answer, so that only one caller at a time waits for it.
_RETRY_SECONDS = 60


class KerberosError(Exception):
    """There is no ticket; the message is kinit's reason."""


def client_environment() -> dict[str, str]:
    """Return the variables of this process that Hadoop's clients may have."""
    return {name: os.environ[name] for name in _VARIABLES if name in os.environ}


class TicketCache:
    """A ticket cache in a private folder, renewed from a keytab.

    - Only the hub's account can read it. The folder is removed when the cache is closed or the process exits.
    - `environment` renews a ticket that is older than ``renew_after``.
    - A renewal is atomic, so no program reads an incomplete ticket.
    - While the KDC does not answer, the last ticket is used.

    Args:
        principal: principal of the keytab, such as ``jupyterhub@EXAMPLE.COM``.
        keytab: path of the keytab.
        renew_after: seconds. Much less than the lifetime of a ticket; a renewal takes about 10 ms.
        log: logger for failed renewals.
    """

    _shared: dict[tuple[str, str], TicketCache] = {}

    def __init__(
        self, principal: str, keytab: str, *, renew_after: float = 300, log: logging.Logger | None = None
    ) -> None:
        self._principal = principal
        self._keytab = keytab
        self._renew_after = renew_after
        self._log = log or logging.getLogger(__name__)
        self._make_folder()
        self._renewals = Retry(
            self._log,
            "The Kerberos ticket was not renewed, so the last one is used",
            recovered="The Kerberos ticket was renewed",
            first=_RETRY_SECONDS,
            longest=_RETRY_SECONDS,
            expected=KerberosError,
        )
        self._due = 0.0
        self._lock = asyncio.Lock()

    @classmethod
    def shared(cls, principal: str, keytab: str) -> TicketCache | None:
        """Return the cache that this process shares for a principal, or None without a keytab."""
        if not keytab:
            return None
        if (principal, keytab) not in cls._shared:
            cls._shared[principal, keytab] = cls(principal, keytab)
        return cls._shared[principal, keytab]

    @property
    def path(self) -> Path:
        """Path of the cache. It has no ``FILE:`` prefix, which Java refuses and MIT's library does not need."""
        return self._folder / "tickets"

    async def environment(self) -> Mapping[str, str]:
        """Return the variables with which a program finds the ticket. Renew the ticket if necessary.

        Raises:
            KerberosError: there is no ticket, and kinit failed.
        """
        async with self._lock:
            # systemd-tmpfiles and similar programs remove old files from /tmp.
            if not self._folder.is_dir():
                self._remove()
                self._make_folder()
            if time.monotonic() >= self._due or not self.path.exists():
                await self._renew()
        return {"KRB5CCNAME": str(self.path)}

    def close(self) -> None:
        """Remove the tickets. Do not use the cache afterwards."""
        self._remove()
        for key in [key for key, cache in self._shared.items() if cache is self]:
            del self._shared[key]

    def _make_folder(self) -> None:
        # mkdtemp sets mode 0700 and chooses an unpredictable name. A finalizer also runs when the interpreter exits.
        self._folder = Path(tempfile.mkdtemp(prefix="yarnspawner-tickets-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    async def _renew(self) -> None:
        try:
            await self._kinit()
        except KerberosError as error:
            if not self.path.exists():
                raise
            self._due = time.monotonic() + self._renewals.failed(error)
        else:
            self._renewals.succeeded()
            self._due = time.monotonic() + self._renew_after

    async def _kinit(self) -> None:
        fresh = self.path.with_name("fresh")
        command = ("kinit", "-k", "-t", self._keytab, "-c", str(fresh), self._principal)
        try:
            completed = await run(*command, env=client_environment(), timeout=_KINIT_SECONDS)
        except CommandTimeout as error:
            raise KerberosError(str(error)) from None
        except OSError as error:
            raise KerberosError(f"kinit cannot be run: {error.strerror}") from None
        if completed.status != 0:
            raise KerberosError(completed.errors.strip() or f"kinit failed with exit status {completed.status}")
        try:
            fresh.replace(self.path)
        except OSError as error:
            raise KerberosError(f"the ticket cannot be stored: {error}") from None
