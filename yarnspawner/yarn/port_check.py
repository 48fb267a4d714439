"""Servers of the hub's last run, until YARN has said its first word: those that listen count as running."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

# Seconds for a node to take a connection, and for a busy hub to see it. A driver takes as long to start.
_PATIENCE = 3.0
# At a time: a hub that finds thousands of servers may not open as many files.
_PLACES = 100


class PortChecker:
    """Asks at servers' addresses whether somebody is there.

    A driver takes seconds to start and to list, for which the users of a hub that restarts should not wait. Who listens
    at an address need not be the server that did: whoever goes by this has to ask YARN as soon as it answers.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_PLACES)

    async def is_listening(self, url: str) -> bool:
        """Whether somebody takes a connection at an address, ``http://host:port``. Within three seconds, and never raises."""
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
