"""What is kept of a server's end, or of a start that failed after a restart of the hub."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from yarnspawner.common.metrics import FAILURES
from yarnspawner.diagnosis.explain import Diagnosis, explain
from yarnspawner.yarn.audit import audit_end

if TYPE_CHECKING:
    from yarnspawner.hub.context import HubContext
    from yarnspawner.skein_driver import Report
    from yarnspawner.state.record import ServerRecord
    from yarnspawner.state.server_state import ServerState


def record_failure(
    record: ServerRecord,
    context: HubContext,
    application_id: str,
    diagnosis: Diagnosis,
    finished: datetime | None = None,
) -> None:
    """Keep and log why a server ended or a start failed, for the user's next visit."""
    record.last_exit.record(application_id, diagnosis.message, finished, code=diagnosis.code)
    FAILURES.labels("exit", diagnosis.code).inc()
    record.history.end(application_id, code=diagnosis.code, message=diagnosis.message)
    context.log.warning(
        "%s of %s has ended: [%s] %s\n%s",
        application_id,
        context.server_name,
        diagnosis.code,
        diagnosis.message,
        diagnosis.detail,
    )


def record_exit(record: ServerRecord, context: HubContext, report: Report, memory: str) -> None:
    """Keep why an application ended, unless it ended as it wanted to (SUCCEEDED). Idempotent.

    Args:
        record: of the server.
        context: what the spawner shares with its hub.
        report: YARN's last report.
        memory: of the server, for people.
    """
    if report.final_status != "SUCCEEDED" and not record.last_exit.is_of(report.id):
        record_failure(record, context, report.id, explain(report, memory=memory), report.finished)


def exit_status(
    record: ServerRecord, context: HubContext, server: ServerState, report: Report | None, memory: str
) -> int:
    """Record the end of a server, and return its exit status: 0 if it ended in order or was stopped, 1 if not.

    Args:
        record: of the server.
        context: what the spawner shares with its hub.
        server: its state.
        report: YARN's last report; None if YARN has forgotten the application.
        memory: of the server, for people.
    """
    if report is None:
        return 0
    if server.url and not server.stopping:
        record_exit(record, context, report, memory)
    by = "stop" if server.stopping else "lifetime" if server.ends and time.time() >= server.ends else "yarn"
    code = record.last_exit.code if record.last_exit.is_of(report.id) else ""
    audit_end(report, by=by, code=code, hadoop_user=server.hadoop_user, **context.usage_facts)
    return 1 if report.final_status == "FAILED" or (report.final_status == "KILLED" and not server.stopping) else 0
