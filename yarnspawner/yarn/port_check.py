"""Check the ports of recovered servers. Until YARN's first report, a server that listens counts as running."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

# Seconds for a node to accept a connection and for a busy hub to notice. A driver takes as long to start.
_PATIENCE = 3.0
# Limit of concurrent checks: a hub with thousands of servers would otherwise exceed its limit of open files.
_PLACES = 100


class PortChecker:
    """Check whether something listens at a server's address.

    A driver takes seconds to start and to list applications. Users should not wait for that after a hub restart.
    The listener can be another process than the server, so callers must check with YARN as soon as it responds.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_PLACES)

    async def is_listening(self, url: str) -> bool:
        """Return True if an address accepts a connection within three seconds. It never raises.

        Args:
            url: the server's address, ``http://host:port``.
        """
        address = urlsplit(url)
        async with self._places:
            try:
                opened = asyncio.open_connection(address.hostname, address.port)
                _, writer = await asyncio.wait_for(opened, _PATIENCE)
            except (OSError, ValueError, asyncio.TimeoutError):
                return False
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return True
