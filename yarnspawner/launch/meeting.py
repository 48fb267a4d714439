"""The wait for a server that should be there: until it answers, or YARN says that it has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yarnspawner.common.protocol import Address
    from yarnspawner.launch.server_probe import ServerProbe
    from yarnspawner.yarn.reflector import ApplicationReflector
    from yarnspawner.yarn.status import Status

# Seconds after which the wait looks around even though YARN had nothing new.
_IDLE_INTERVAL = 5.0


async def meet(
    applications: ApplicationReflector, application_id: str, welcome: ServerProbe, address: Address
) -> tuple[str, Status]:
    """Wait for a server at its address, for as long as its welcome says and its application has not ended.

    Returns:
        "" if it answered, else what was found there instead, as :meth:`ServerProbe.meet` says it; and what YARN says.
    """
    status = await applications.status(application_id)

    async def watch() -> None:
        nonlocal status
        while not status.ended:
            status = await applications.wait_change(application_id, status, timeout=_IDLE_INTERVAL)

    watch_closely = asyncio.ensure_future(watch())
    try:
        return await welcome.meet(address, lambda: status.ended), status
    finally:
        watch_closely.cancel()
