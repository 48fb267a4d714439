"""The catalogue of causes: all tables in the order of the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from yarnspawner.diagnosis.cause import Cause
from yarnspawner.diagnosis.exits import EXIT_CODES, YARN_DIAGNOSTICS
from yarnspawner.diagnosis.log_messages import LOG_MESSAGES
from yarnspawner.diagnosis.outages import DRIVER_FAILURES, PERMANENT, TEMPORARY
from yarnspawner.diagnosis.own_causes import OWN_CAUSES
from yarnspawner.diagnosis.queueing import WAITING
from yarnspawner.diagnosis.submission_errors import SUBMISSION_ERRORS

SECTIONS: Sequence[tuple[str, Sequence[Cause]]] = [
    ("The hub cannot connect to the cluster", [*PERMANENT, *TEMPORARY, *DRIVER_FAILURES]),
    ("YARN, HDFS or Kerberos rejects a start", SUBMISSION_ERRORS),
    ("A start waits in its queue, or for its container", WAITING),
    ("A container ends or does not start", [*YARN_DIAGNOSTICS, *EXIT_CODES]),
    ("The server's log has the reason", LOG_MESSAGES),
    ("The hub itself finds the reason", OWN_CAUSES),
]


def rows_by_code() -> Iterator[tuple[str, dict[str, list[Cause]]]]:
    """Yield each section's title and its rows by code. A code of an earlier section is not repeated."""
    told: set[str] = set()
    for title, causes in SECTIONS:
        found: dict[str, list[Cause]] = {}
        for cause in causes:
            if cause.code not in told:
                found.setdefault(cause.code, []).append(cause)
        told |= found.keys()
        yield title, found
