"""The registration of the application master, for a script that started before it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from yarnspawner.common.early_start import REGISTRATION_VARIABLE

# Seconds between two looks for the file. A look takes microseconds, and the application master registers within seconds.
_INTERVAL = 0.02
# Seconds that an application master may take. YARN gives one up after ten minutes by default
# (yarn.am.liveness-monitor.expiry-interval-ms), and ends its container.
_LIMIT = 3600.0


ADDRESS_VARIABLE = "SKEIN_APPMASTER_ADDRESS"
"""Environment variable in which skein tells its scripts the address of the application master."""


class NotRegistered(Exception):
    """The application master ended before it registered with YARN."""


def registration_pending() -> bool:
    """Return whether the application master may still be on its way to register."""
    told = os.environ.get(REGISTRATION_VARIABLE)
    return bool(told) and not Path(told or "").exists()


def await_registration() -> None:
    """Wait until the application master has registered, then set skein's variables in the environment.

    Does nothing in a script that skein has started.

    Raises:
        NotRegistered: the application master has ended.
    """
    if not (told := os.environ.get(REGISTRATION_VARIABLE)):
        return
    until = time.monotonic() + _LIMIT
    while not (file := Path(told)).exists():
        if not container_runs() or time.monotonic() > until:
            raise NotRegistered("the application master has ended before it registered with YARN")
        time.sleep(_INTERVAL)
    for line in file.read_text().splitlines():
        name, _, value = line.partition("=")
        os.environ[name] = value


def container_runs() -> bool:
    """Return whether the first process of this container, which leads its session, still runs."""
    leader = os.getsid(0)
    return leader == 0 or Path(f"/proc/{leader}/fd/0").is_symlink()
