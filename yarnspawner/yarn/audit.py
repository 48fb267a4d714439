"""Write the audit log: one line of JSON for each event of an application.

The lines go to the logger ``yarnspawner.audit``. They also reach the hub's log, unless an admin gave that logger its
own handlers. They contain no secrets. User input cannot start a new line, because JSON escapes it.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from datetime import datetime, timezone
from typing import Any

from yarnspawner.skein_driver import Report

LOGGER = logging.getLogger("yarnspawner.audit")

# Several callers can notice the same end, so the last ends are remembered and each is logged once.
_REMEMBERED = 10_000
_told: OrderedDict[str, None] = OrderedDict()


class _Forward(logging.Handler):
    """Pass lines to the handlers of another logger, unless an admin has since routed the audit elsewhere."""

    def __init__(self, log: logging.Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on."""
        if not _routed():
            self._log.handle(record)


def own_handlers() -> list[logging.Handler]:
    """Return the handlers that an admin gave the audit logger."""
    return [handler for handler in LOGGER.handlers if not isinstance(handler, _Forward)]


def _routed() -> bool:
    return bool(own_handlers()) or (LOGGER.propagate and LOGGER.parent is not None and LOGGER.parent.hasHandlers())


def route(log: logging.Logger) -> None:
    """Send the lines to the hub's log as well, unless an admin has routed them elsewhere."""
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.INFO)
    forwards = any(isinstance(handler, _Forward) for handler in LOGGER.handlers)
    if isinstance(log, logging.Logger) and not forwards and not _routed():
        LOGGER.addHandler(_Forward(log))


def audit(event: str, **facts: Any) -> None:
    """Write a line.

    Args:
        event: ``submitted``, ``arrived``, ``adopted``, ``failed``, ``restarted``, ``ended``, ``refused`` or ``removed``.
        facts: the details of the event. Empty ones (None or "") are left out.
    """
    known = {name: fact for name, fact in facts.items() if fact not in (None, "")}
    when = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    LOGGER.info("%s", json.dumps({"time": when, "event": event, **known}))


def audit_end(report: Report, *, by: str, **facts: Any) -> None:
    """Write that an application has ended. Idempotent.

    Args:
        report: YARN's final report.
        by: the cause. ``stop``: a user, an admin or a service asked the hub. ``hub``: a start failed or was cancelled.
            ``sweep``: the orphan reaper. ``lifetime``: the time limit. ``yarn``: the application itself, or
            someone who asked YARN.
        facts: see :func:`audit`.
    """
    if report.id in _told:
        return
    _told[report.id] = None
    while len(_told) > _REMEMBERED:
        _told.popitem(last=False)
    states = {"state": report.state, "final_status": report.final_status}
    usage = {"memory_mib_seconds": report.memory_seconds, "vcore_seconds": report.vcore_seconds}
    audit("ended", application=report.id, by=by, **states, **{"queue": report.queue, **usage, **facts})
