"""Ask for keys of the store only when they may have changed, in a process without an event loop."""

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
    """Follow the event stream of a key, or of all keys with a prefix. Without the stream, each request is due.

    Args:
        store: the application's key-value store.
        first: the key, or the first one.
        last: the last one; "" for only one key, whose removal is no news.
    """

    def __init__(self, store: Store, first: str, last: str = "") -> None:
        super().__init__(name="yarnspawner-key-news", daemon=True)
        self._store = store
        self._first = first
        self._last = last
        self._set = threading.Event()
        self._active = False
        self._changes = 0
        self._ask = 0.0

    @classmethod
    def of_prefix(cls, store: Store, prefix: str) -> KeyNews:
        """Return the news of all keys with a prefix; the removal of a key is news as well."""
        return cls(store, prefix, f"{prefix}\x7f")

    @property
    def changes(self) -> int | None:
        """How often the keys may have changed so far; None if that is not known, because there is no stream.

        For several callers. Read it before the keys: as long as it stays the same, so do they.
        """
        return self._changes if self._active else None

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
            watch = self._store.watch(self._first, self._last or self._first, removals=bool(self._last))
            pause = _AGAIN
            try:
                await watch.open()
                if watch.active:
                    self._changes += 1
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
