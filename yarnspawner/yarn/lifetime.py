"""The end of a server's time, which YARN enforces, or the hub where YARN cannot be told."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from yarnspawner.common.units import duration
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable
from yarnspawner.state.server_state import ServerState

# Seconds that YARN has to kill a server whose time is over before the hub does it. YARN looks every few seconds.
_GRACE = 60


async def set_lifetime(
    server: ServerState, seconds: int, resource_manager: ResourceManager, log: logging.Logger
) -> ServerState:
    """Limit the time of a submitted server, and return its new state.

    YARN is told, so that the limit holds while the hub is down. If it cannot be told, the hub kills the server when
    :func:`has_exceeded_lifetime` returns True.

    Args:
        server: with an application.
        seconds: that it may run; 0 for no limit.
        resource_manager: is told.
    """
    if not seconds:
        return server
    try:
        await resource_manager.set_lifetime(server.application_id, seconds)
    except ResourceManagerUnavailable as error:
        log.warning("YARN cannot be told when %s is to end, so the hub will end it: %s", server.application_id, error)
    return server.with_end_time(time.time() + seconds)


def has_exceeded_lifetime(server: ServerState) -> bool:
    """Return True if a server should have been killed by YARN, and some time has passed since."""
    return bool(server.ends) and time.time() > server.ends + _GRACE


def time_left(ends: float) -> str:
    """Return how long a server has, for people; "" if it has no limit.

    Args:
        ends: seconds since 1970; 0 for no limit.
    """
    if not ends:
        return ""
    return f"{duration(ends - time.time())} left, until {datetime.fromtimestamp(ends).astimezone():%Y-%m-%d %H:%M %Z}"
