"""Retries with back-off, for every background loop. Standard library only: servers and kernels import this too."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

_JITTER = 0.1


class Retry:
    """Compute back-off and log failures of an action that is retried until it succeeds.

    - The pause doubles with each failure up to a limit, and never overflows.
    - Jitter shortens each pause by up to a tenth, so that many hubs or servers do not retry at the same moment.
    - The first failure of each exception type is logged, and so is the recovery. Repeated failures are logged at DEBUG.

    Args:
        log: logger for failures and the recovery; None for no messages.
        what: sentence before the error, such as "The sweep failed".
        recovered: sentence before the duration of the outage.
        first: seconds to pause after the first failure.
        longest: longest pause, in seconds.
        expected: exceptions that mean an outage. Any other exception is logged with its traceback.
        level: log level of the first failure and the recovery.
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
        """Time of the first failure, in seconds of `time.monotonic`; None after a success."""

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Run one attempt in a ``with`` block: count an exception as a failure and suppress it.

        Cancellation and the exit of the process are not suppressed.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the loop must survive any exception
            self.failed(error)
        else:
            self.succeeded()

    def failed(self, error: Exception) -> float:
        """Count a failure, log it, and return the seconds to wait before the next attempt."""
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
        """Reset the back-off. Log the recovery if a failure came before."""
        if self.since is not None and self._log is not None:
            self._log.log(self._level, "%s, after %.0f s", self._recovered, time.monotonic() - self.since)
        self.failures, self.pause, self.since, self._next = 0, 0.0, None, self._first
        self._logged.clear()
