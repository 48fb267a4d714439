"""Thread that publishes the server's address and waits for a request to stop or restart."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable

from yarnspawner.common.protocol import (
    ADDRESS_KEY,
    NOTEBOOKS_KEY,
    RESTART_KEY,
    RESTARTED_KEY,
    STOP_KEY,
    Address,
    Notebooks,
    ProtocolError,
    Restarted,
    RestartRequest,
    StopRequest,
)
from yarnspawner.common.retry import Retry
from yarnspawner.singleuser.ancestors import Ancestors
from yarnspawner.singleuser.key_watch import KeyWatch
from yarnspawner.singleuser.store import Store, StoreError

# Seconds between two requests to the store without a watch. A request takes some milliseconds, and half of the interval
# is what a user who stops waits for it.
_INTERVAL = 0.25
# Seconds between two requests with a watch, for a watch that broke without a sign. A request takes some ten milliseconds of the
# processor: the application master's Java code is not compiled, and gRPC's threads look around for seconds after it.
_WATCHED_INTERVAL = 120.0
# Seconds between two looks at this process's ancestors where no event tells of them.
_ANCESTORS_INTERVAL = 1.0
# Seconds between two attempts to watch the store.
_WATCH_AGAIN = 20.0
# Seconds between two looks at most, while they fail.
_LONGEST_PAUSE = 2.0
# Seconds for which the store may refuse the address. Without it, the hub cannot find the server, so the server exits.
_PUBLISH_LIMIT = 60.0
# Seconds for a stop whose request cannot be read, or that has no request.
_DEFAULT_GRACE = 10.0


class StopWatcher(threading.Thread):
    """Publish an address, then wait for a reason to stop or restart.

    - the store's event stream tells of a request at once; without the stream, the store is asked several times a second
    - every request to the store has a deadline, and a store that does not answer is no reason to stop
    - a request to stop is one, and so is the end of the processes that this one runs for
    - after four fifths of a stop's grace the process ends by itself, so that it need not be killed
    """

    def __init__(
        self,
        store: Store,
        address: Address,
        stop: Callable[[], None],
        log: logging.Logger,
        notebooks: Notebooks | None = None,
        restart: Callable[[RestartRequest], None] | None = None,
        restarted: Restarted | None = None,
    ) -> None:
        """Args:
        stop: makes the server shut down its kernels and end; called once, from this thread.
        notebooks: published in addition to the address.
        restart: replaces the server's process; called once, from this thread. None to ignore such requests.
        restarted: the restart that made this process, published after the address.
        """
        super().__init__(name="yarnspawner-watcher", daemon=True)
        self._store = store
        self._address = address
        self._notebooks = notebooks
        self._stop_server = stop
        self._restart_server = restart
        self._restarted = restarted
        self._log = log
        self._ancestors = Ancestors()
        self._watch_again = 0.0
        self.unpublished: StoreError | None = None
        """Why the server was stopped because its address could not be published."""
        self.stopping = False

    def run(self) -> None:
        if not self._publish():
            self._shut_down(f"The address could not be published: {self.unpublished}", _DEFAULT_GRACE)
            return
        self._log.info("Listening on %s://%s:%d", self._address.scheme, self._address.host, self._address.port)
        request = asyncio.run(self._wait_for_reason())
        if isinstance(request, StopRequest):
            self._shut_down(request.reason, request.grace)
        elif self._restart_server is not None:
            self._log.warning("Restarting, as the hub has asked")
            self._restart_server(request)

    async def _wait_for_reason(self) -> StopRequest | RestartRequest:
        retry = Retry(self._log, "The watch over the server failed", first=_INTERVAL, longest=_LONGEST_PAUSE)
        watch = self._store.watch(RESTART_KEY, STOP_KEY)
        try:
            with self._ancestors.end() as end:
                while True:
                    await self._ensure_watched(watch)
                    with retry.attempt():
                        if (request := self._reason_to_stop() or self._restart_request()) is not None:
                            return request
                    if watch.active:
                        await self._wait_watched(watch, end)
                    else:
                        await asyncio.sleep(retry.pause or _INTERVAL)
        finally:
            await watch.close()

    async def _wait_watched(self, watch: KeyWatch, end: asyncio.Future[None]) -> None:
        """Wait until the key was set, an ancestor has ended, or it is time to ask again."""
        ask = time.monotonic() + _WATCHED_INTERVAL
        look = _WATCHED_INTERVAL if self._ancestors.known else _ANCESTORS_INTERVAL
        while watch.active and time.monotonic() < ask and not self._ancestors.changed:
            await watch.wait(look, end)

    async def _ensure_watched(self, watch: KeyWatch) -> None:
        """Open the watch if it is not active, and not more often than every twenty seconds."""
        if watch.active or time.monotonic() < self._watch_again:
            return
        self._watch_again = time.monotonic() + _WATCH_AGAIN
        try:
            await watch.open()
        except Exception as error:  # noqa: BLE001 - without the watch, the store is asked
            self._log.debug("The store cannot be watched: %r", error)

    def _reason_to_stop(self) -> StopRequest | None:
        # The application master, whose child this is, or the script between: YARN does not end what a crashed
        # application master leaves. That the store does not answer is a weaker sign, which a busy or paused one
        # gives as well, and YARN itself ends the containers of one that is dead.
        if self._ancestors.changed:
            return StopRequest("The application master has ended", _DEFAULT_GRACE)
        return self._request()

    def _publish(self) -> bool:
        until = time.monotonic() + _PUBLISH_LIMIT
        while True:
            try:
                if self._notebooks is not None:
                    self._store.put(NOTEBOOKS_KEY, self._notebooks.to_bytes())
                self._store.put(ADDRESS_KEY, self._address.to_bytes())
                if self._restarted is not None:
                    self._store.put(RESTARTED_KEY, self._restarted.to_bytes())
                return True
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
                if time.monotonic() > until:
                    self.unpublished = error if isinstance(error, StoreError) else StoreError(repr(error))
                    return False
                time.sleep(_INTERVAL)

    def _request(self) -> StopRequest | None:
        try:
            raw = self._store.get(STOP_KEY)
            return StopRequest.from_bytes(raw) if raw is not None else None
        except StoreError:
            return None
        except ProtocolError as error:
            return StopRequest(f"Asked to stop, in a way that cannot be read ({error})", _DEFAULT_GRACE)

    def _restart_request(self) -> RestartRequest | None:
        """Return a request to restart, except the one that made this process."""
        if self._restart_server is None:
            return None
        try:
            raw = self._store.get(RESTART_KEY)
            request = RestartRequest.from_bytes(raw) if raw is not None else None
        except StoreError:
            return None
        except ProtocolError as error:
            self._log.debug("A request to restart cannot be read: %s", error)
            return None
        return None if request is None or (self._restarted and request.id == self._restarted.id) else request

    def _shut_down(self, reason: str, grace: float) -> None:
        self.stopping = True
        self._log.warning("Stopping: %s", reason)
        forced = threading.Timer(0.8 * grace, self._force)
        forced.daemon = True
        forced.start()
        self._stop_server()

    def _force(self) -> None:
        self._log.warning("Some kernels or extensions did not end in time.")
        # Kernels end when this process does.
        os._exit(0 if self.unpublished is None else 1)
