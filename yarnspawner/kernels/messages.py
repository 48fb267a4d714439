"""Messages for users of ``yarnspawner kernel``, who have no hub."""

from __future__ import annotations

from yarnspawner.diagnosis.explain import (
    COMMAND_USER,
    Diagnosis,
    describe_wait,
    explain,
    explain_outage,
    explain_submission_error,
)
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report

_UNKNOWN_CAUSE = "The kernel's application failed."


def progress_message(report: Report) -> str:
    """Return what an unfinished application of a kernel waits for."""
    if report.state == "RUNNING":
        return "The application runs; waiting for resources for the kernel's container"
    return describe_wait(report)


def failure_message(report: Report, log_tail: str | None = None) -> str | None:
    """Return why a kernel's application ended.

    Args:
        report: its last report.
        log_tail: the end of its log; None if it was not read yet.

    Returns:
        Several lines; None if only the log can have the reason.
    """
    diagnosis = explain(report, log_tail=log_tail or "", audience=COMMAND_USER)
    if diagnosis.cause != _UNKNOWN_CAUSE:
        return _lines(diagnosis)
    # YARN's diagnostics are the recipe's own message, unless they are skein's, which give no reason.
    if log_tail is None and (not report.diagnostics or "see logs for more information" in report.diagnostics):
        return None
    return f"The kernel has failed.\n{diagnosis.detail}"


def status_message(report: Report) -> str:
    """Return the final state of an application in YARN's terms."""
    return f"{report.id} has ended: {report.state} / {report.final_status}."


def end_message(report: Report) -> str:
    """Return the final state of an application and, unless it succeeded, the reason and where its log is; several lines."""
    if report.final_status == "SUCCEEDED":
        return status_message(report)
    return "\n".join(filter(None, (status_message(report), failure_message(report), log_hint(report.id))))


def log_hint(application_id: str) -> str:
    """Return the command that shows an application's log."""
    return f"Its log: yarnspawner kernel logs {application_id}"


def outage_message(error: ClusterUnavailable) -> str:
    """Return why YARN is not available, and what to do; several lines."""
    return _lines(explain_outage(error, COMMAND_USER)[0])


def submission_error_message(error: ClusterRefused, user: str, queue: str) -> str:
    """Return why YARN rejected a kernel's application; several lines."""
    return _lines(explain_submission_error(error, hub="", user=user, queue=queue, audience=COMMAND_USER))


def _lines(diagnosis: Diagnosis) -> str:
    return "\n".join(filter(None, (diagnosis.cause, diagnosis.remedy, diagnosis.detail)))
