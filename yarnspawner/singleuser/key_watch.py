"""Notice at once that one of some keys of the application's store has changed, without asking again and again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds for the application master to confirm a watch.
_DEADLINE = 5.0


class KeyWatch:
    """An event stream of the keys in a range.

    While nothing happens, neither this process nor the application master has anything to do for it. gRPC's blocking
    interface would wake up ten times a second.

    Args:
        connect: opens a channel of ``grpc.aio`` to the application master.
        first, last: the first and the last key.
        removals: the removal of a key is reported as well, not only that it is set.
    """

    def __init__(self, connect: Callable[[], Any], first: str, last: str, *, removals: bool = False) -> None:
        self._connect = connect
        self._first = first
        self._last = last
        self._event_type = "ALL" if removals else "PUT"
        self._channel: Any = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """True if a change of a key would be noticed."""
        return self._reading is not None and not self._reading.done()

    async def open(self) -> None:
        """Open the stream. It reports changes from now on, so ask for the values afterwards.

        Raises:
            Exception: the application master does not confirm the watch in time.
        """
        await self.close()
        self._channel = self._connect()
        try:
            stream = await asyncio.wait_for(self._subscribe(), _DEADLINE)
        except BaseException:
            await self.close()
            raise
        self._reading = asyncio.create_task(self._read(stream))

    async def wait(self, timeout: float, *others: asyncio.Future[None]) -> None:
        """Return once a key has changed, the stream has ended or another future is done, at the latest after ``timeout`` seconds."""
        if self._reading is not None:
            await asyncio.wait({self._reading, *others}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Close the stream. Idempotent."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            self._reading = None
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def _subscribe(self) -> Any:
        from skein import proto

        stream = proto.AppMasterStub(self._channel).Watch()
        create = proto.WatchCreateRequest(start=self._first, end=f"{self._last}\0", event_type=self._event_type)
        await stream.write(proto.WatchRequest(create=create))
        if (confirmed := await stream.read()).type != proto.WatchResponse.CREATE:
            raise RuntimeError(f"the store answered {confirmed} to a watch")
        return stream

    async def _read(self, stream: Any) -> None:
        with suppress(Exception):  # a stream that breaks has ended, whatever the reason
            await stream.read()
