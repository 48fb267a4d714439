"""Any diagnostics and log lead to a plain, short explanation in short time."""

from __future__ import annotations

import re
import time
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import many
from yarnspawner.common.protocol import Failure
from yarnspawner.diagnosis.exits import EXIT_CODES, YARN_DIAGNOSTICS
from yarnspawner.diagnosis.explain import explain, explain_queueing, explain_submission_error
from yarnspawner.diagnosis.log_messages import LOG_MESSAGES
from yarnspawner.diagnosis.queueing import QUEUEING, STARTING
from yarnspawner.diagnosis.submission_errors import SUBMISSION_ERRORS
from yarnspawner.launch.errors import StartFailed
from yarnspawner.skein_driver import ClusterRefused, Report

PATTERNS = [
    pattern
    for table in (YARN_DIAGNOSTICS, EXIT_CODES, LOG_MESSAGES, SUBMISSION_ERRORS, QUEUEING, STARTING)
    for cause in table
    for pattern in cause.patterns
]
# Words of the catalogue, so that rows match, and text that is harmful in a page, a terminal or a template.
WORDS = sorted({word for pattern in PATTERNS for word in re.findall(r"[A-Za-z][A-Za-z ]{3,}", pattern.pattern)})
HARM = ["{user}", "{0.__class__}", "<script>alert(1)</script>", "\x1b[31m", "\u202e", "\x00", "\r\n", "token=abc", "%s"]
TEXTS = st.lists(st.sampled_from(WORDS + HARM) | st.text(max_size=20) | st.from_regex(r"\d{1,5}"), max_size=25).map(
    " ".join
)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)


def check(diagnosis):
    for text, limit in ((diagnosis.cause, 2000), (diagnosis.remedy, 2000), (diagnosis.detail, 4100)):
        assert len(text) <= limit
        assert not [char for char in text if char != "\n" and unicodedata.category(char).startswith("C")]
    assert diagnosis.cause and "\n" not in diagnosis.cause
    page = Tags()
    page.feed(StartFailed(diagnosis, link="http://rm/cluster/app/application_1_0001").jupyterhub_html_message)
    assert page.found <= {"div", "style", "p", "strong", "details", "summary", "pre", "button", "a"}


@given(
    diagnostics=TEXTS,
    log=TEXTS,
    user=st.text(max_size=300),
    status=st.sampled_from(["FAILED", "KILLED", "SUCCEEDED", "UNDEFINED"]),
    said=st.none() | st.builds(Failure, TEXTS, TEXTS),
)
@many(400)
def test_fuzz_end(diagnostics, log, user, status, said):
    """Any end has a plain and short explanation."""
    report = Report(
        "application_1_0001", user, queue=user, state="FAILED", final_status=status, diagnostics=diagnostics
    )
    check(explain(report, failure=said, log_tail=log))
    assert isinstance(explain_queueing(report), str)


@given(said=TEXTS | st.text(), user=st.text(max_size=300))
@many()
def test_fuzz_submission_error(said, user):
    """Any submission error has a plain and short explanation."""
    check(explain_submission_error(ClusterRefused(said), hub=user, user=user, queue=user))


@pytest.mark.parametrize(
    "words", [*WORDS[::6], "(", "application_1_0001 ", "\x1b[", "\tat a.b(c)\n", "token=", "   |- 1 "]
)
def test_fuzz_run_time(words):
    """No text takes long."""
    report = Report("application_1_0001", "alice", state="FAILED", diagnostics=(words + " ") * (200_000 // len(words)))
    # In seconds of this thread's own work: the machine may be busy with others.
    begun = time.thread_time()
    explain(report, log_tail=report.diagnostics)
    explain_queueing(report)
    assert time.thread_time() - begun < 2
