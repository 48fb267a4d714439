"""Kerberos tickets of the hub's own, made from its keytab, for programs that know no keytabs (curl, `yarn logs`)."""

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

# What a program needs of the hub's environment to find its libraries, its realm and its Java. The rest, which holds the
# hub's secrets (CONFIGPROXY_AUTH_TOKEN, JUPYTERHUB_CRYPT_KEY), stays here.
_KEPT = (
    "PATH LANG LC_ALL TZ TMPDIR LD_LIBRARY_PATH HOME USER LOGNAME KRB5_CONFIG KRB5CCNAME SSL_CERT_FILE "
    "JAVA_HOME HADOOP_HOME HADOOP_CONF_DIR HADOOP_COMMON_HOME HADOOP_HDFS_HOME HADOOP_YARN_HOME HADOOP_CLASSPATH "
    "HADOOP_OPTS HADOOP_CLIENT_OPTS HADOOP_USER_NAME HADOOP_LOG_DIR HADOOP_ROOT_LOGGER YARN_CONF_DIR YARN_OPTS"
).split()

_KINIT_SECONDS = 10
# Between attempts while the KDC does not answer, so that not every caller waits for it.
_RETRY_SECONDS = 60


class KerberosError(Exception):
    """No ticket could be had; the message says why in kinit's words."""


def client_environment() -> dict[str, str]:
    """What of this process's environment a client of Hadoop may see."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


class TicketCache:
    """A ticket cache in a private folder, kept fresh from a keytab.

    - nobody but the hub's user can read it, and the folder is gone when the cache is closed or the process ends
    - `environment` asks for a new ticket when the last one is older than `renew_after`
    - a program that is just reading the cache never sees half a ticket
    - while the KDC does not answer, the ticket at hand goes on being used

    Args:
        principal: of the keytab, such as ``jupyterhub@EXAMPLE.COM``.
        keytab: path of the keytab.
        renew_after: seconds. Far shorter than any site's tickets live, and a new one costs some 10 ms.
        log: where a renewal that failed is said.
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
            "The Kerberos ticket was not renewed, the last one is used on",
            recovered="The Kerberos ticket was renewed",
            first=_RETRY_SECONDS,
            longest=_RETRY_SECONDS,
            expected=KerberosError,
        )
        self._due = 0.0
        self._lock = asyncio.Lock()

    @classmethod
    def shared(cls, principal: str, keytab: str) -> TicketCache | None:
        """The cache of this process for a principal; None without a keytab, where a ticket from kinit may serve."""
        if not keytab:
            return None
        if (principal, keytab) not in cls._shared:
            cls._shared[principal, keytab] = cls(principal, keytab)
        return cls._shared[principal, keytab]

    @property
    def path(self) -> Path:
        """The cache's file. Java takes no ``FILE:`` before it, MIT's library does without."""
        return self._folder / "tickets"

    async def environment(self) -> Mapping[str, str]:
        """The variables by which a program finds the ticket, which is fresh.

        Raises:
            KerberosError: there is none, and none could be had.
        """
        async with self._lock:
            # systemd-tmpfiles and the like remove what has been in /tmp for some days.
            if not self._folder.is_dir():
                self._remove()
                self._make_folder()
            if time.monotonic() >= self._due or not self.path.exists():
                await self._renew()
        return {"KRB5CCNAME": str(self.path)}

    def close(self) -> None:
        """Remove the tickets. The cache cannot be used afterwards."""
        self._remove()
        for key in [key for key, cache in self._shared.items() if cache is self]:
            del self._shared[key]

    def _make_folder(self) -> None:
        # mkdtemp makes it 0700, under a name that nobody could take first; a finalizer also runs at the interpreter's end.
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
            ended = await run(*command, env=client_environment(), timeout=_KINIT_SECONDS)
        except CommandTimeout as error:
            raise KerberosError(str(error)) from None
        except OSError as error:
            raise KerberosError(f"kinit cannot be run: {error.strerror}") from None
        if ended.status != 0:
            raise KerberosError(ended.errors.strip() or f"kinit ended with exit status {ended.status}")
        try:
            fresh.replace(self.path)
        except OSError as error:
            raise KerberosError(f"the ticket cannot be kept: {error}") from None
