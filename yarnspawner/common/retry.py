"""Retries with back-off, for every background loop. Standard library only: servers and kernels import this as well."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

_JITTER = 0.1


class Retry:
    """Back-off and log messages of something that is tried again until it succeeds.

    - The pause doubles with each failure up to a limit, and never overflows.
    - Jitter shortens each pause by up to a tenth, so that many hubs or servers do not retry at the same moment.
    - The first failure is logged, and so is the recovery; the same kind of failure is not logged again meanwhile.

    Args:
        log: where failures and the recovery are logged; None for nowhere.
        what: the sentence that precedes the error, such as "The sweep failed".
        recovered: the sentence that precedes the duration of the outage.
        first: seconds of the pause after the first failure.
        longest: seconds of the longest pause.
        expected: exceptions that are an outage; the traceback of any other is logged.
        level: of the first failure's message.
    """

    def __init__(
        self,
        log: logging.Logger | None,
        what: str,
        *,
        recovered: str = "",
        first: float = 1.0,
        longest: float = 30.0,
        expected: type[Exception] | tuple[type[Exception], ...] = (),
        level: int = logging.WARNING,
    ) -> None:
        self._log = log
        self._what = what
        self._recovered = recovered or "It works again"
        self._first = first
        self._longest = longest
        self._expected = expected
        self._level = level
        self._next = first
        self._logged: set[type] = set()
        self.failures = 0
        """Failures since the last success."""
        self.pause = 0.0
        """Seconds to wait before the next attempt; 0 after a success."""
        self.since: float | None = None
        """When it failed first, in seconds of `time.monotonic`; None while it works."""

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Run one attempt in a ``with`` block: an exception in it is noted and suppressed, its end is a success.

        Cancellation and the end of the process pass.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever one attempt raises, the loop goes on
            self.failed(error)
        else:
            self.succeeded()

    def failed(self, error: Exception) -> float:
        """Note a failure, and return the seconds to wait before the next attempt."""
        self.failures += 1
        self.since = time.monotonic() if self.since is None else self.since
        self.pause = min(self._next, self._longest) * (1 - _JITTER * random.random())  # noqa: S311 - no secret
        self._next = min(self._next * 2, self._longest)
        if self._log is not None:
            new = type(error) not in self._logged
            self._logged.add(type(error))
            known = isinstance(error, self._expected)
            self._log.log(
                (self._level if known else logging.ERROR) if new else logging.DEBUG,
                "%s: %s",
                self._what,
                error if known else repr(error),
                exc_info=error if new and not known else None,
            )
        return self.pause

    def succeeded(self) -> None:
        """Note a success, which is logged if there was a failure before it."""
        if self.since is not None and self._log is not None:
            self._log.log(self._level, "%s, after %.0f s", self._recovered, time.monotonic() - self.since)
        self.failures, self.pause, self.since, self._next = 0, 0.0, None, self._first
        self._logged.clear()
