"""What goes wrong with a kernel without a hub, said in words that fit it."""

from __future__ import annotations

import re

import pytest

from yarnspawner.diagnosis.exits import ENDS, EXITS, LOGS
from yarnspawner.diagnosis.outages import LASTING, PASSING
from yarnspawner.diagnosis.queueing import WAITING
from yarnspawner.diagnosis.submission_errors import REFUSALS
from yarnspawner.kernels.messages import of_kernel, words_of_end, words_of_ended, words_of_outage, words_of_refusal
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report


def report(diagnostics: str) -> Report:
    return Report("application_1_0001", state="FAILED", final_status="FAILED", diagnostics=diagnostics)


def test_a_refusal_speaks_of_the_kernel() -> None:
    words = words_of_refusal(
        ClusterRefused("Resource 'yarn.io/gpu' is not defined in your cluster's configuration"), "alice", "q"
    )
    assert words.startswith("The cluster does not have a kind of resource that the kernel asks for: yarn.io/gpu.")


def test_what_a_hubs_administrator_would_do_is_left_out() -> None:
    words = words_of_refusal(ClusterRefused("File does not exist: hdfs:/x.tar.gz"), "alice", "q")
    assert "localize_files" not in words and "administrator" not in words
    assert words.startswith("A file that the kernel needs is missing")


def test_nobody_without_a_hub_is_told_of_the_hubs_ticket() -> None:
    said = of_kernel(
        "The hub has no valid Kerberos ticket; check its keytab, or run kinit again as its account: reason"
    )
    assert said == "You have no valid Kerberos ticket; run kinit, or give --principal and --keytab: reason"


def test_where_yarn_has_no_reason_the_log_is_asked() -> None:
    ended = report("Failure in service kernel, see logs for more information.")
    assert words_of_end(ended) is None
    assert "python was not found" in (words_of_end(ended, ".skein.sh: line 3: python: command not found") or "")


def test_the_recipes_own_reason_is_told_as_it_is() -> None:
    words = words_of_end(report("The kernel was ended by signal 9 (SIGKILL).")) or ""
    assert words.splitlines() == ["The kernel has failed.", "The kernel was ended by signal 9 (SIGKILL)."]


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        (
            "The YARN driver did not start: javax.security.auth.login.LoginException: Unable to obtain password from user",
            "Kerberos does not let this principal in with this keytab.",
            "Check --principal and --keytab; `klist -kt FILE` lists whose keys a keytab holds.",
        ),
        (
            "Call From edge/10.0.0.1 to rm:8032 failed on connection exception: java.net.ConnectException: Connection refused",
            "Hadoop does not answer at rm:8032.",
            "Try again when it does.",
        ),
        (
            "No Java: JAVA_HOME is not set; set it in the hub's environment",
            "No Java: JAVA_HOME is not set; set it in your",
            "",
        ),
        ("The keytab /home/alice/k does not exist", "The keytab /home/alice/k does not exist", ""),
    ],
)
def test_an_outage_is_told_with_what_to_do(text: str, first: str, second: str) -> None:
    lines = [*words_of_outage(ClusterUnavailable(text)).splitlines(), ""]
    assert lines[0].startswith(first)
    assert lines[1] == second
    assert "hub" not in "".join(lines)


def test_an_end_in_order_needs_no_reason_and_any_other_has_one() -> None:
    ended = Report("application_1_0001", state="FINISHED", final_status="SUCCEEDED")
    assert words_of_ended(ended) == "application_1_0001 has ended: FINISHED / SUCCEEDED."
    assert words_of_ended(report("The kernel was ended by signal 9 (SIGKILL).")).splitlines() == [
        "application_1_0001 has ended: FAILED / FAILED.",
        "The kernel has failed.",
        "The kernel was ended by signal 9 (SIGKILL).",
        "Its log: yarnspawner kernel logs application_1_0001",
    ]


@pytest.mark.parametrize("path", ["hdfs:///opt/jupyter-server/env.tar.gz", "/srv/the-hub's/server.tar.gz"])
def test_paths_are_told_as_they_are(path: str) -> None:
    """Only our own words are changed, never those of users."""
    words = words_of_refusal(ClusterRefused(f"File {path} does not exist"), "alice", "default")
    assert words.splitlines()[0] == f"A file that the kernel needs is missing: {path}"


def test_queues_are_told_as_they_are() -> None:
    """A queue may be called like a server."""
    words = words_of_refusal(ClusterRefused("to unknown queue"), "alice", "root.server")
    assert words.startswith("The queue root.server does not exist.")


def test_an_outages_details_are_yarns_own() -> None:
    """Names of hosts and files in them are not changed."""
    assert "/opt/server/x" in words_of_outage(ClusterUnavailable("Call From a to b:1 failed on /opt/server/x"))
    assert "/opt/server" in words_of_outage(
        ClusterUnavailable("No Java: JAVA_HOME is /opt/server, where there is none")
    )


def test_no_sentence_of_the_catalogue_speaks_of_a_server_to_a_kernel() -> None:
    """Each of them has the field for it."""
    for table in (ENDS, LOGS, EXITS, REFUSALS, LASTING, PASSING, WAITING):
        assert not [cause.says for cause in table if re.search(r"\bserver\b", cause.says + cause.remedy)]
