"""Limit the lifetime of servers. YARN enforces the limit, or the hub if it cannot set it in YARN."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from yarnspawner.common.units import duration
from yarnspawner.hadoop.configuration import ConfigurationError, HadoopConfiguration
from yarnspawner.hadoop.resourcemanager import ResourceManager, ResourceManagerUnavailable
from yarnspawner.state.server_state import ServerState

# Seconds that YARN has to kill an expired server before the hub kills it. YARN checks every few seconds.
_GRACE = 60

# Hadoop's default in milliseconds (hdfs-default.xml): seven days.
_SEVEN_DAYS = "604800000"


async def set_lifetime(
    server: ServerState, seconds: int, resource_manager: ResourceManager, log: logging.Logger
) -> ServerState:
    """Limit the lifetime of a submitted server, and return its new state.

    YARN enforces the limit, so it holds while the hub is down. If YARN refuses or does not respond, the hub kills
    the server when :func:`has_exceeded_lifetime` returns True.

    Args:
        server: a server that has an application.
        seconds: time that it may run; 0 for no limit.
        resource_manager: sets the limit in YARN.
        log: the hub's logger.

    Returns:
        The state with the server's end time.
    """
    if not seconds:
        return server
    try:
        await resource_manager.set_lifetime(server.application_id, seconds)
    except ResourceManagerUnavailable as error:
        log.warning(
            "YARN does not set the lifetime of %s, so the hub will kill it in time: %s", server.application_id, error
        )
    return server.with_end_time(time.time() + seconds)


def token_notice(ends: float) -> str:
    """Return a notice if a server with a Kerberos login can outlive its access to HDFS; "" if it cannot, or without one.

    Args:
        ends: time at which the server ends, in seconds since the epoch; 0 if it has no limit.
    """
    try:
        configuration = HadoopConfiguration.load()
        milliseconds = float(configuration.get("dfs.namenode.delegation.token.max-lifetime", _SEVEN_DAYS))
    except (ConfigurationError, ValueError):
        return ""
    lifetime = milliseconds / 1000
    secure = configuration.get("hadoop.security.authentication", "").strip().lower() == "kerberos"
    if not secure or (ends and ends <= time.time() + lifetime):
        return ""
    long = f"{lifetime / 86400:g} days" if lifetime >= 2 * 86400 else duration(lifetime)
    return f"Its access to HDFS ends after {long}. To get it again, restart the server."


def has_exceeded_lifetime(server: ServerState) -> bool:
    """Return True if a server outlived its limit by so long that YARN will not kill it."""
    return bool(server.ends) and time.time() > server.ends + _GRACE


def time_left(ends: float) -> str:
    """Return the time that a server has left, as text for users; "" if it has no limit.

    Args:
        ends: end time in seconds since 1970; 0 for no limit.
    """
    if not ends:
        return ""
    return f"{duration(ends - time.time())} left, until {datetime.fromtimestamp(ends).astimezone():%Y-%m-%d %H:%M %Z}"
