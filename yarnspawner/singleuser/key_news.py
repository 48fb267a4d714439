"""Ask for a key of the store only when it may have been set, in a process without an event loop."""

from __future__ import annotations

import asyncio
import threading
import time

from yarnspawner.singleuser.store import Store

# Seconds between two requests with an event stream, for one that broke without a sign. As in `stop_watcher`.
_WATCHED_INTERVAL = 120.0
# Seconds until the next attempt after the stream could not be opened, and after it has reported or broken.
_AGAIN = 20.0
_SOON = 0.1
# Seconds: there is no limit.
_FOREVER = 1e6


class KeyNews(threading.Thread):
    """Follow a key's event stream. Without the stream, each request is due.

    Args:
        store: the application's key-value store.
        key: the key.
    """

    def __init__(self, store: Store, key: str) -> None:
        super().__init__(name="yarnspawner-key-news", daemon=True)
        self._store = store
        self._key = key
        self._set = threading.Event()
        self._active = False
        self._ask = 0.0

    def due(self) -> bool:
        """Return True if the key may have been set since the last time that this returned True."""
        if self._active and not self._set.is_set() and time.monotonic() < self._ask:
            return False
        self._set.clear()
        self._ask = time.monotonic() + _WATCHED_INTERVAL
        return True

    def repeat(self) -> None:
        """Make the next request due, because the last one failed."""
        self._ask = 0.0

    def wait(self, timeout: float) -> None:
        """Return once the key was set, at the latest after ``timeout`` seconds."""
        self._set.wait(timeout)

    def run(self) -> None:
        """Follow the stream. Called in the thread."""
        asyncio.run(self._follow())

    async def _follow(self) -> None:
        while True:
            watch = self._store.watch(self._key, self._key)
            pause = _AGAIN
            try:
                await watch.open()
                if watch.active:
                    pause, self._active = _SOON, True
                    self._set.set()  # what was set before the stream was open
                    await watch.wait(_FOREVER)
            except Exception:  # noqa: BLE001, S110 - without the stream, the store is asked
                pass
            finally:
                self._active = False
                self._set.set()
                await watch.close()
            await asyncio.sleep(pause)
