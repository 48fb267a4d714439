"""What went wrong, in a person's words: what YARN, HDFS, Kerberos and the server's log say, put as cause and remedy.

Pure functions on text. Whatever they return is plain text without control characters, of limited length: YARN's
diagnostics and the log are partly the user's own words, and a page must still escape them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yarnspawner.common.text import one_line, sanitize, truncate
from yarnspawner.diagnosis.cause import Cause
from yarnspawner.diagnosis.exits import ENDS, EXITS, LOGS
from yarnspawner.diagnosis.outages import BROKEN, LASTING, PASSING
from yarnspawner.diagnosis.queueing import WAITING
from yarnspawner.diagnosis.submission_errors import REFUSALS

if TYPE_CHECKING:
    from yarnspawner.common.protocol import Failure
    from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report

# In the lines of an application master's log.
_OF_MASTER = "skein.ApplicationMaster"

_NAME_LIMIT = 200
_SENTENCE_LIMIT = 500
_DETAIL_LIMIT = 4000
# A container can say megabytes.
_SEARCH_LIMIT = 8000


@dataclass(frozen=True)
class Diagnosis:
    """What to tell a user.

    Attributes:
        cause: one plain sentence.
        remedy: what to do, and who can; may be "".
        detail: the words of YARN and the last lines of the log that the cause was read from; several lines, may be "".
    """

    cause: str
    remedy: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Wording:
    """How to speak of what was started.

    Attributes:
        what: what it is: "server" or "kernel".
        phrased: changes a sentence of the catalogue before it is filled in with the words of YARN and of users.
    """

    what: str = "server"
    phrased: Callable[[str], str] = str


_OF_SERVERS = Wording()


def explain(
    report: Report,
    *,
    failure: Failure | None = None,
    log_tail: str = "",
    memory: str = "",
    wording: Wording = _OF_SERVERS,
) -> Diagnosis:
    """Why an application ended.

    Args:
        report: its last report.
        failure: what the recipe in the container published, if it did.
        log_tail: the last lines of the server's log, if there are any.
        memory: what the server was given, for people, if that is known.
        wording: of the sentences.
    """
    fields = {
        "user": report.user,
        "queue": report.queue,
        "given": f"the {memory} that it was given" if memory else "it was given",
    }
    said = f"{failure.message}\n{failure.detail}" if failure else ""
    detail = sanitize("\n".join(filter(None, (said, _PROCESSES.sub("", report.diagnostics), log_tail))), _DETAIL_LIMIT)
    for text, causes in (
        (said, LOGS),
        (report.diagnostics, ENDS),
        ("" if failure else log_tail, LOGS),
        # A server in a container of its own: the application master logs what YARN says of that one.
        (log_tail if _OF_MASTER in log_tail else "", ENDS),
        ("" if failure else report.diagnostics, EXITS),
    ):
        if found := _find(text, causes, fields, wording):
            return Diagnosis(*found, detail)
    if failure and (told := one_line(failure.message, _SENTENCE_LIMIT)):
        return Diagnosis(told, "", detail)
    return Diagnosis(*_ended(report.final_status or report.state, wording.what), detail)


def explain_refusal(
    error: ClusterRefused, *, hub: str, user: str, queue: str, wording: Wording = _OF_SERVERS
) -> Diagnosis:
    """Why YARN, or HDFS on the way to it, did not take a submission.

    Args:
        error: what they said.
        hub: the hub's short name in Hadoop, as in ``hadoop.proxyuser.<hub>``.
        user: the Hadoop user that the server is for.
        queue: that was asked for.
        wording: of the sentences.
    """
    text = str(error)
    fields = {"hub": hub, "user": user, "queue": queue, "given": "it was given"}
    # Hadoop's client waits until an application is accepted; one that fails at once is refused to it.
    cause, remedy = (
        _find(text, REFUSALS, fields, wording)
        or _find(text, ENDS, fields, wording)
        or (
            f"YARN did not accept the {wording.what}'s application.",
            "The details have YARN's own words; your administrator may know more.",
        )
    )
    return Diagnosis(cause, remedy, sanitize(text, _DETAIL_LIMIT))


def explain_outage(error: ClusterUnavailable, wording: Wording = _OF_SERVERS) -> tuple[Diagnosis, bool]:
    """Why a submission got no answer.

    Returns:
        what to tell the user, and whether it makes sense to wait: not while somebody must mend the hub's own means.
    """
    text = str(error)
    detail = sanitize(text, _DETAIL_LIMIT)
    if found := _find(text, LASTING, {}, wording):
        return Diagnosis(*found, detail), False
    passing = _find(text, PASSING, {}, wording)
    if not passing and (found := _find(text, BROKEN, {}, wording)):
        return Diagnosis(*found, detail), False
    cause, remedy = passing or ("YARN does not answer.", "")
    return Diagnosis(cause, remedy or "The start goes on when it does.", detail), True


def explain_waiting(report: Report) -> str:
    """Why an application is still waiting for its container.

    Returns:
        A clause that follows "It waits in the queue, ", such as "because its queue is full"; "" if YARN does not say.
    """
    found = _find(report.diagnostics, WAITING, {"user": report.user, "queue": report.queue}, _OF_SERVERS)
    return found[0] if found else ""


def too_late(limit: float, last: str) -> Diagnosis:
    """Why a start was given up when its time was over.

    Args:
        limit: seconds that it may take.
        last: what the user was told last.
    """
    doing = f" The last that was known of it: {one_line(last, _SENTENCE_LIMIT)}" if last else ""
    # What it was waiting for may be a cause that is known, with a better remedy.
    found = _find(last, LOGS, {"user": "", "queue": "", "given": "it was given"}, _OF_SERVERS)
    remedy = found[1] if found else "Try again later, or with less."
    return Diagnosis(f"The server did not start within {limit:g} seconds.{doing}", remedy)


# YARN lists the command lines of all processes of a container that used too much memory.
_PROCESSES = re.compile(r"Dump of the process-tree for \S+ :\n(?:\s*\|-[^\n]*(?:\n|\Z))*")


def _find(text: str, causes: Sequence[Cause], fields: Mapping[str, str], wording: Wording) -> tuple[str, str] | None:
    """What the first row that fits says, and its remedy, filled in."""
    text = truncate(text, _SEARCH_LIMIT)
    for cause in causes:
        groups = cause.find(text)
        if groups is not None:
            known = {
                name: one_line(value, _NAME_LIMIT) for name, value in {**fields, **groups, "what": wording.what}.items()
            }
            return wording.phrased(cause.says).format_map(known), wording.phrased(cause.remedy).format_map(known)
    return None


def _ended(status: str, what: str) -> tuple[str, str]:
    if status == "SUCCEEDED":
        return f"The {what} has ended by itself.", "Start it again if you still need it."
    if status == "KILLED":
        return f"The {what}'s application was killed.", "If that was not you, ask your administrator why."
    return f"The {what}'s application failed.", "The details have YARN's own words; your administrator may know more."
