"""What goes wrong with a kernel that has no hub, in the words of the catalogue that is written for servers that have one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from yarnspawner.diagnosis.explain import Diagnosis, Wording, explain, explain_outage, explain_refusal
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report

_LOG_IN = "run kinit, or give --principal and --keytab"
# Sentences of our own. They are changed before they are filled in: in YARN's and users' words, nothing is.
_SENTENCES = [
    (re.compile(r"set its principal and keytab, or run kinit as the hub's account and keep renewing"), _LOG_IN),
    (re.compile(r"check its keytab, or run kinit again as its account"), _LOG_IN),
    (
        re.compile("The hub cannot log in to Kerberos with its keytab"),
        "Kerberos does not let this principal in with this keytab",
    ),
    (re.compile("The hub has no (valid )?Kerberos ticket"), r"You have no \1Kerberos ticket"),
]
_WORDS = [
    *_SENTENCES,
    (re.compile(r"\bThe hub has\b"), "You have"),
    (re.compile(r"\bThe hub cannot\b"), "You cannot"),
    (re.compile(r"\b[Tt]he hub's\b"), "your"),
    (re.compile(r"\bthe hub\b"), "this command"),
]
# What an administrator of a hub would change.
_OF_HUBS = re.compile("localize_files|proxyuser|profile|prologue|the hub")
# Messages of our own, which are for people.
_SAYS_WHAT_TO_DO = re.compile("^(?:The hub has no |The keytab |Set both |No Java|No `yarn`)")
_KEYTAB = "Check --principal and --keytab; `klist -kt FILE` lists whose keys a keytab holds."
_NOT_KNOWN = "The kernel's application failed."


def of_kernel(text: str, words: Sequence[tuple[re.Pattern[str], str]] = _WORDS) -> str:
    """A sentence of our own about a hub, said of a kernel that has none."""
    for pattern, word in words:
        text = pattern.sub(word, text)
    return text


_WORDING = Wording("kernel", of_kernel)


def words_of_end(report: Report, log_tail: str | None = None) -> str | None:
    """Why a kernel's application ended.

    Args:
        report: its last report.
        log_tail: the end of its log; None if that was not asked for yet.

    Returns:
        Several lines; None if only the log could say it.
    """
    diagnosis = explain(report, log_tail=log_tail or "", wording=_WORDING)
    if diagnosis.cause != _NOT_KNOWN:
        return _told(diagnosis)
    # What the recipe said of its own end is what YARN has; skein's words for any other end say nothing.
    if log_tail is None and (not report.diagnostics or "see logs for more information" in report.diagnostics):
        return None
    return f"The kernel has failed.\n{diagnosis.detail}"


def how_ended(report: Report) -> str:
    """That it has, in YARN's words."""
    return f"{report.id} has ended: {report.state} / {report.final_status}."


def words_of_ended(report: Report) -> str:
    """The same, with why and where there is more, if it was not in order; several lines."""
    if report.final_status == "SUCCEEDED":
        return how_ended(report)
    return "\n".join(filter(None, (how_ended(report), words_of_end(report), log_of(report.id))))


def log_of(application_id: str) -> str:
    """Where its log is."""
    return f"Its log: yarnspawner kernel logs {application_id}"


def words_of_outage(error: ClusterUnavailable) -> str:
    """Why YARN cannot be asked, and what to do; several lines."""
    if _SAYS_WHAT_TO_DO.search(str(error)):
        return of_kernel(str(error))
    diagnosis, passing = explain_outage(error, _WORDING)
    remedy = "Try again when it does." if passing else _KEYTAB if "keytab" in diagnosis.cause else ""
    return "\n".join(filter(None, (diagnosis.cause, remedy, of_kernel(diagnosis.detail, _SENTENCES))))


def words_of_refusal(error: ClusterRefused, user: str, queue: str) -> str:
    """Why YARN did not take a kernel's application; several lines."""
    return _told(explain_refusal(error, hub="", user=user, queue=queue, wording=_WORDING))


def _told(diagnosis: Diagnosis) -> str:
    remedy = "" if _OF_HUBS.search(diagnosis.remedy) else diagnosis.remedy
    return "\n".join(filter(None, (diagnosis.cause, remedy, diagnosis.detail)))
