"""Prometheus metrics of the spawner. JupyterHub serves them with its own, at ``/hub/metrics``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram
else:
    try:
        from prometheus_client import Counter, Gauge, Histogram
    except ImportError:
        # `yarnspawner kernel` runs in an environment without a hub, where no one asks for metrics.
        class _Unread:
            def __init__(self, *_: Any, **__: Any) -> None: ...

            def labels(self, *_: str) -> _Unread:
                return self

            def inc(self, *_: Any) -> None: ...

            observe = set_function = set_to_current_time = inc

        Counter = Gauge = Histogram = _Unread

_SECONDS = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600)
_CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)

START_STAGE_SECONDS = Histogram(
    "yarnspawner_start_stage_seconds",
    "Duration of a stage of a server's start: submit (until YARN accepts it), queue (until its container runs),"
    " listen (until it publishes its address) and answer (until it answers the hub)",
    ["stage"],
    buckets=_SECONDS,
)
FAILURES = Counter(
    "yarnspawner_failures",
    "Starts that failed (event=start) and servers that ended on their own (event=exit), by the code of the cause",
    ["event", "code"],
)
CALL_SECONDS = Histogram(
    "yarnspawner_call_seconds",
    "Duration of a call to a YARN driver or to a server's key-value store, by method and outcome (ok, failed)",
    ["method", "outcome"],
    buckets=_CALL_SECONDS,
)
VIEW_UPDATED = Gauge(
    "yarnspawner_view_updated_timestamp_seconds", "Time of YARN's last answer about applications, in Unix seconds"
)
DRIVERS = Gauge("yarnspawner_drivers", "Running YARN drivers (JVMs)")
SWEEPS = Counter("yarnspawner_sweeps", "Sweeps for orphans, by outcome (ok, held, failed)", ["outcome"])
ORPHANS_STOPPED = Counter("yarnspawner_orphans_stopped", "Orphaned applications that sweeps have stopped")
RECOVERED = Counter("yarnspawner_recovered_servers", "Servers that the hub has found again after its restart")

# Prometheus sees no increase in the first sample of a series, so those with known labels begin at 0.
for _stage in ("submit", "queue", "listen", "answer"):
    START_STAGE_SECONDS.labels(_stage)
for _outcome in ("ok", "held", "failed"):
    SWEEPS.labels(_outcome)


@contextmanager
def timed_call(method: str) -> Iterator[None]:
    """Measure a call. A cancelled call has failed.

    Args:
        method: full name of the method, such as ``/skein.Driver/ping``.
    """
    began, outcome = time.perf_counter(), "failed"
    try:
        yield
        outcome = "ok"
    finally:
        CALL_SECONDS.labels(method.rpartition("/")[2], outcome).observe(time.perf_counter() - began)


class StageClock:
    """Measure the stages of one start. A stage ends when the next begins, and counts only once."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._began = time.perf_counter()

    def next(self, stage: str) -> None:
        """End the current stage and begin another one; "" for none. Idempotent."""
        if stage == self._stage:
            return
        now = time.perf_counter()
        if self._stage:
            START_STAGE_SECONDS.labels(self._stage).observe(now - self._began)
        self._stage, self._began = stage, now
