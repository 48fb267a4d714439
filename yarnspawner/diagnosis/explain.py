"""Explain an error: turn texts of YARN, HDFS, Kerberos and the server's log into a cause and a remedy.

All functions are pure. Their results are plain text of limited length without control characters. Users control parts
of YARN's diagnostics and of the log, so a page must still escape the results.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from yarnspawner.common.text import one_line, sanitize, truncate
from yarnspawner.diagnosis.cause import Cause
from yarnspawner.diagnosis.exits import EXIT_CODES, YARN_DIAGNOSTICS
from yarnspawner.diagnosis.log_messages import LOG_MESSAGES
from yarnspawner.diagnosis.outages import DRIVER_FAILURES, PERMANENT, TEMPORARY
from yarnspawner.diagnosis.own_causes import OWN_CAUSES
from yarnspawner.diagnosis.queueing import QUEUEING, STARTING, WAITING
from yarnspawner.diagnosis.submission_errors import SUBMISSION_ERRORS

if TYPE_CHECKING:
    from yarnspawner.common.protocol import Failure
    from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report

# Part of each line that an application master logs.
_MASTER_LOGGER = "skein.ApplicationMaster"

_NAME_LIMIT = 200
_SENTENCE_LIMIT = 500
_DETAIL_LIMIT = 4000
# A container can write megabytes.
_SEARCH_LIMIT = 8000

_OWN = {cause.code: cause for cause in OWN_CAUSES}

# The exit codes of Hadoop's ContainerExitStatus for a container that was never launched: its files could not be
# downloaded (INVALID), or its node has no usable disk (DISKS_FAILED).
_NO_CONTAINER = re.compile(r"exited with +exitCode: -(?:1000|101)\b")

# YARN lists the command lines of all processes of a container that exceeds its memory limit.
_PROCESSES = re.compile(r"Dump of the process-tree for \S+ :\n(?:\s*\|-[^\n]*(?:\n|\Z))*")


@dataclass(frozen=True)
class Diagnosis:
    """What to tell a user.

    Attributes:
        cause: one plain sentence.
        remedy: what to do, and who can do it; "" if unknown.
        detail: YARN's message and the last lines of the log; several lines, may be "".
        code: the cause's stable name.
        admin: what the administrator can do; "" if unknown.
    """

    cause: str
    remedy: str = ""
    detail: str = ""
    code: str = "unknown"
    admin: str = ""

    @property
    def message(self) -> str:
        """The cause and the remedy, in one line."""
        return " ".join(filter(None, (self.cause, self.remedy)))


@dataclass(frozen=True)
class Audience:
    """Whom a diagnosis addresses.

    Attributes:
        what: what was started, "server" or "kernel".
        direct: True for a user of ``yarnspawner kernel``, who logs in to the cluster without a hub.
        when_back: what happens when an outage is over.
    """

    what: str
    direct: bool
    when_back: str


HUB_USER = Audience("server", direct=False, when_back="The start continues when it does.")
COMMAND_USER = Audience("kernel", direct=True, when_back="Try again when it does.")


def explain(
    report: Report,
    *,
    failure: Failure | None = None,
    log_tail: str = "",
    memory: str = "",
    audience: Audience = HUB_USER,
    listened: bool = True,
) -> Diagnosis:
    """Return why an application ended.

    Args:
        report: its last report.
        failure: what the recipe in the container published, if it did.
        log_tail: the last lines of the server's log, if available.
        memory: the server's memory limit as text, if known.
        audience: whom to address.
        listened: False if its server never published an address.
    """
    fields = {"user": report.user, "queue": report.queue, **_limit(memory)}
    published = f"{failure.message}\n{failure.detail}" if failure else ""
    texts = (published, _PROCESSES.sub("", report.diagnostics), log_tail)
    detail = sanitize("\n".join(filter(None, texts)), _DETAIL_LIMIT)
    for text, causes in (
        (published, LOG_MESSAGES),
        (report.diagnostics, YARN_DIAGNOSTICS),
        ("" if failure else log_tail, LOG_MESSAGES),
        # For a server in a service container, the application master logs YARN's diagnostics of that container.
        (log_tail if _MASTER_LOGGER in log_tail else "", YARN_DIAGNOSTICS),
        ("" if failure else report.diagnostics, EXIT_CODES),
    ):
        if found := _find(text, causes, fields, audience, detail):
            return found
    if failure and (message := one_line(failure.message, _SENTENCE_LIMIT)):
        return own_cause("server-reported", detail, audience, words=message)
    status = report.final_status or report.state
    if status == "SUCCEEDED" and not listened:
        return own_cause("ended-before-listening", detail, audience)
    return own_cause({"SUCCEEDED": "exited", "KILLED": "killed"}.get(status, "failed"), detail, audience)


def has_log(report: Report) -> bool:
    """Return False if an application has ended before YARN ran a container of it."""
    return _NO_CONTAINER.search(report.diagnostics) is None


def explain_submission_error(
    error: ClusterRefused, *, hub: str, user: str, queue: str, audience: Audience = HUB_USER
) -> Diagnosis:
    """Return why YARN, HDFS or Kerberos rejected a submission.

    Args:
        error: their error.
        hub: the hub's short name in Hadoop, as in ``hadoop.proxyuser.<hub>``.
        user: the Hadoop user of the server.
        queue: the requested queue.
        audience: whom to address.
    """
    text = str(error)
    detail = sanitize(text, _DETAIL_LIMIT)
    fields = {"hub": hub, "user": user, "queue": queue, **_limit("")}
    # Hadoop's client waits until an application is accepted. It reports one that fails at once as rejected.
    return (
        _find(text, SUBMISSION_ERRORS, fields, audience, detail)
        or _find(text, YARN_DIAGNOSTICS, fields, audience, detail)
        or own_cause("submission-rejected", detail, audience)
    )


def explain_outage(error: ClusterUnavailable, audience: Audience = HUB_USER) -> tuple[Diagnosis, bool]:
    """Return why a submission got no answer.

    Returns:
        what to tell the user, and True if the outage can end by itself, so that it makes sense to wait.
    """
    text = str(error)
    detail = sanitize(text, _DETAIL_LIMIT)
    if found := _find(text, PERMANENT, {}, audience, detail):
        return found, False
    fields = {"when_back": audience.when_back}
    temporary = _find(text, TEMPORARY, fields, audience, detail)
    if not temporary and (found := _find(text, DRIVER_FAILURES, {}, audience, detail)):
        return found, False
    return temporary or own_cause("yarn-unavailable", detail, audience, **fields), True


def explain_queueing(report: Report, waited: float = math.inf) -> str:
    """Return why an application waits for its container.

    Args:
        report: its last report.
        waited: for how many seconds it has waited. YARN gives some reasons for a moment in every start.

    Returns:
        A clause that follows "Waiting in queue <name>, ", such as "because the queue is full"; "" if YARN gives no reason.
    """
    causes = [cause for cause in QUEUEING if cause.lasting <= waited]
    found = _find(report.diagnostics, causes, _names(report), HUB_USER, "")
    return found.cause if found else ""


def describe_wait(report: Report, waited: float = math.inf) -> str:
    """Return what an application waits for, its queue or its container, as words that begin a sentence.

    Args:
        report: its last report.
        waited: for how many seconds it has waited.
    """
    if starting := _explain_starting(report):
        return starting.cause
    reason = explain_queueing(report, waited)
    return f"Waiting in queue {report.queue}{', ' * bool(reason)}{reason}"


def is_queued(report: Report) -> bool:
    """Return whether an application that YARN has accepted still waits for its first container."""
    return _explain_starting(report) is None


def _explain_starting(report: Report) -> Diagnosis | None:
    return _find(report.diagnostics, STARTING, {}, HUB_USER, "")


def explain_constraint(code: str, *, user: str = "", label: str = "") -> str:
    """Return why a running application waits for another container.

    Args:
        code: result of :meth:`~yarnspawner.hadoop.headroom.Headroom.constraint`; "" if it is not known.
        user: its Hadoop user.
        label: label of the nodes that it wants.

    Returns:
        A clause as of :func:`explain_queueing`; "" if the reason is not known.
    """
    cause = next((cause for cause in QUEUEING if cause.code == code), None)
    fields = {"user": one_line(user, _NAME_LIMIT), "label": one_line(label, _NAME_LIMIT)}
    return cause.message.format_map(fields) if cause else ""


def explain_timeout(
    limit: float, last: str, *, log_tail: str = "", silent: bool = False, waiting: Report | None = None
) -> Diagnosis:
    """Return why a start was aborted at its timeout.

    Args:
        limit: the timeout in seconds.
        last: the last progress message.
        log_tail: the last lines of the running server's log, if available.
        silent: True if the server's container ran and has published nothing.
        waiting: the last report of an application that waits in its queue.
    """
    detail = sanitize(log_tail, _DETAIL_LIMIT)
    if silent:
        return own_cause("never-listened", detail, seconds=f"{limit:g}")
    outage = _outage_of(last)
    if outage:
        last = f"{last.removesuffix(HUB_USER.when_back)}{COMMAND_USER.when_back}"
    status = f" Its last status: {one_line(last, _SENTENCE_LIMIT)}" if last else ""
    # It may have waited for something with a known remedy.
    late = own_cause("start-timeout", detail, seconds=f"{limit:g}", status=status)
    if outage:
        return replace(late, remedy="", code=outage.code, admin=outage.admin)
    found = _find(last, LOG_MESSAGES, {"user": "", "queue": "", **_limit("")}, HUB_USER, "")
    found = found or (_find(waiting.diagnostics, WAITING, _names(waiting), HUB_USER, "") if waiting else None)
    if not found:
        return late
    remedy = found.remedy if waiting is None else late.remedy
    return replace(late, remedy=remedy, code=found.code, admin=found.admin)


def _outage_of(message: str) -> Cause | None:
    """Return the outage that a progress message names; None if it names none."""
    outages = (*TEMPORARY, _OWN["yarn-unavailable"])
    return next((cause for cause in outages if message.startswith(cause.message.partition("{")[0])), None)


def _limit(memory: str) -> dict[str, str]:
    return {"limit": f"its limit of {memory}" if memory else "its limit"}


def _find(
    text: str, causes: Sequence[Cause], fields: Mapping[str, str], audience: Audience, detail: str
) -> Diagnosis | None:
    """Return the diagnosis of the first row that matches."""
    text = truncate(text, _SEARCH_LIMIT)
    for cause in causes:
        groups = cause.find(text)
        if groups is not None:
            all_fields = {**fields, **groups, "what": audience.what}
            known = {name: one_line(value, _NAME_LIMIT) for name, value in all_fields.items()}
            return _diagnosis(cause, known, audience, detail)
    return None


def own_cause(code: str, detail: str = "", audience: Audience = HUB_USER, **fields: str) -> Diagnosis:
    """Return the diagnosis of a cause that the hub has found itself.

    Args:
        code: of a row of :mod:`~yarnspawner.diagnosis.own_causes`.
        detail: several lines, may be "".
        audience: whom to address.
        fields: those of the row's message and remedies, as one line each.
    """
    return _diagnosis(_OWN[code], {"what": audience.what, **fields}, audience, detail)


def _diagnosis(cause: Cause, fields: Mapping[str, str], audience: Audience, detail: str) -> Diagnosis:
    admin = cause.admin.format_map(fields)
    if not audience.direct:
        return Diagnosis(cause.message.format_map(fields), cause.remedy.format_map(fields), detail, cause.code, admin)
    # Our own texts address the hub's administrator.
    detail = "" if cause.ours else detail
    message, remedy = cause.direct_message.format_map(fields), cause.direct_remedy.format_map(fields)
    return Diagnosis(message, remedy, detail, cause.code, admin)


def _names(report: Report) -> dict[str, str]:
    return {"user": report.user, "queue": report.queue}
