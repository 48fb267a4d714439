"""Find out why YARN refused a call as an impersonated user.

skein's answer has the reason only for the hub's own user. The driver's log has it for others, with the user's name, but it does
not say which call it belongs to.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Iterator

from yarnspawner.skein_driver.rpc import RpcError

# skein's message: the exception is wrapped in one without a message.
_NO_REASON = "exception:\nnull"
_REFUSED = re.compile(r"PrivilegedActionException as: ?(?P<user>\S+) \(auth:PROXY\)")
# Hadoop 3.1 writes the reason on the same line, after this word; later versions write it on the following lines.
_CAUSE = " cause:"
_REFUSALS_KEPT = 20
_REASON_LINES = 10
# How often a call is made, and the seconds before it is repeated, in which the log of earlier calls arrives.
_ATTEMPTS = 4
_SETTLING = 0.2


class _UserCall:
    """One call in progress as a user."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.overlapped = False


class Refusals:
    """Adds the reasons of one driver's log to the errors of its calls."""

    def __init__(self) -> None:
        self._known: collections.deque[tuple[float, str, str]] = collections.deque(maxlen=_REFUSALS_KEPT)
        self._unfinished: tuple[str, list[str]] | None = None
        self._calls: dict[str, set[_UserCall]] = {}
        self._repeating = asyncio.Lock()

    def collect(self, line: str) -> None:
        """Take a line of the driver's log. Called in the thread that reads the log."""
        if refused := _REFUSED.search(line):
            reason_here = line[refused.end() :].partition(_CAUSE)[2]
            if reason_here:
                self._known.append((time.monotonic(), refused["user"], reason_here))
            self._unfinished = None if reason_here else (refused["user"], [])
        elif self._unfinished is not None:
            user, reason = self._unfinished
            if line.startswith("at ") or len(reason) == _REASON_LINES:
                self._known.append((time.monotonic(), user, "\n".join(reason)))
                self._unfinished = None
            else:
                reason.append(line)

    async def explained(self, user: str, call: Callable[[], Awaitable[bytes]]) -> bytes:
        """Make a call. If YARN refuses it without a reason, add the one of the log.

        If the user had another call at the same time, the reason could be the other one's. Then the call is repeated, one at
        a time. This changes nothing else, because YARN has refused it. It may be accepted now.

        Args:
            user: the impersonated user; "" for the hub's own.
            call: makes the call.

        Raises:
            RpcError: the call failed. Without a reason if the user always had other calls at the same time.
        """
        if not user:
            return await call()
        async with contextlib.AsyncExitStack() as stack:
            attempt = 1
            while True:
                try:
                    with self._noted(user) as noted:
                        return await call()
                except RpcError as failure:
                    if not failure.details.endswith(_NO_REASON):
                        raise
                    if not noted.overlapped:
                        reason = await self._find(user, noted.began)
                        raise RpcError(failure.code, reason or failure.details) from None
                    if attempt == _ATTEMPTS:
                        raise
                if attempt == 1:
                    await stack.enter_async_context(self._repeating)
                attempt += 1
                await asyncio.sleep(_SETTLING)

    @contextlib.contextmanager
    def _noted(self, user: str) -> Iterator[_UserCall]:
        """Note a call while it is in progress, and whether another one of the user is."""
        noted, others = _UserCall(), self._calls.setdefault(user, set())
        for other in others:
            other.overlapped = noted.overlapped = True
        others.add(noted)
        try:
            yield noted
        finally:
            others.discard(noted)
            if not others:
                self._calls.pop(user, None)

    async def _find(self, user: str, since: float) -> str:
        """Return the last reason of a user; "" if there is none."""
        for _ in range(20):
            for when, refused_user, reason in reversed(self._known):
                if refused_user == user and when >= since:
                    return reason
            await asyncio.sleep(0.05)  # the log line may arrive after the answer
        return ""
