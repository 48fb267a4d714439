"""Users of ``yarnspawner kernel`` get messages about their kernel, not about a hub."""

from __future__ import annotations

import re

import pytest

from yarnspawner.diagnosis.exits import EXIT_CODES, YARN_DIAGNOSTICS
from yarnspawner.diagnosis.log_messages import LOG_MESSAGES
from yarnspawner.diagnosis.outages import DRIVER_FAILURES, PERMANENT, TEMPORARY
from yarnspawner.diagnosis.queueing import QUEUEING, STARTING
from yarnspawner.diagnosis.submission_errors import SUBMISSION_ERRORS
from yarnspawner.kernels.messages import end_message, failure_message, outage_message, submission_error_message
from yarnspawner.skein_driver import ClusterRefused, ClusterUnavailable, Report

TABLES = (
    YARN_DIAGNOSTICS,
    LOG_MESSAGES,
    EXIT_CODES,
    SUBMISSION_ERRORS,
    PERMANENT,
    TEMPORARY,
    DRIVER_FAILURES,
    QUEUEING,
    STARTING,
)


def report(diagnostics: str) -> Report:
    return Report("application_1_0001", state="FAILED", final_status="FAILED", diagnostics=diagnostics)


def rejected(text: str, queue: str = "q") -> str:
    return submission_error_message(ClusterRefused(text), "alice", queue)


def test_kernel_wording() -> None:
    """A rejected submission speaks of the kernel."""
    message = rejected("Resource 'yarn.io/gpu' is not defined in your cluster's configuration")
    assert message.startswith("The cluster does not have a resource that the kernel requests: yarn.io/gpu.")


def test_no_hub_remedies() -> None:
    """A remedy that only a hub's administrator could apply is left out."""
    message = rejected("File does not exist: hdfs:/x.tar.gz")
    assert "localize_files" not in message and "administrator" not in message
    assert message.startswith("A file that the kernel needs is missing")


def test_log_needed() -> None:
    """If YARN has no reason, the log is read."""
    ended = report("Failure in service kernel, see logs for more information.")
    assert failure_message(ended) is None
    assert "python was not found" in (failure_message(ended, ".skein.sh: line 3: python: command not found") or "")


def test_recipe_reason() -> None:
    """The recipe's own message is shown unchanged."""
    message = failure_message(report("The kernel was ended by signal 9 (SIGKILL).")) or ""
    assert message.splitlines() == ["The kernel has failed.", "The kernel was ended by signal 9 (SIGKILL)."]


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        (
            "The YARN driver did not start: javax.security.auth.login.LoginException: Unable to obtain password from user",
            "Kerberos rejects this principal with this keytab.",
            "Check --principal and --keytab; `klist -kt FILE` lists the principals of a keytab.",
        ),
        (
            "Call From edge/10.0.0.1 to rm:8032 failed on connection exception: java.net.ConnectException: Connection refused",
            "Hadoop does not answer at rm:8032.",
            "Try again when it does.",
        ),
        (
            "The hub has no valid Kerberos ticket; check its keytab, or run kinit again as its account: reason",
            "You have no valid Kerberos ticket.",
            "Run kinit, or use --principal and --keytab.",
        ),
        (
            "No Java: JAVA_HOME is not set; set it in the hub's environment",
            "Java was not found.",
            "Set JAVA_HOME to the folder of a Java installation.",
        ),
        (
            "No Java: JAVA_HOME is /opt/server, which has no bin/java; set it in the hub's environment",
            "JAVA_HOME is /opt/server, where Java is not installed.",
            "Set JAVA_HOME to the folder of a Java installation.",
        ),
        ("The keytab /home/alice/k does not exist", "The keytab /home/alice/k does not exist.", ""),
    ],
)
def test_outages(text: str, cause: str, remedy: str) -> None:
    """An outage is explained with a remedy for the user."""
    lines = [*outage_message(ClusterUnavailable(text)).splitlines(), ""]
    assert lines[:2] == [cause, remedy]
    assert "hub" not in "".join(lines)


def test_end() -> None:
    """An unsuccessful end has a reason; a successful one needs none."""
    ended = Report("application_1_0001", state="FINISHED", final_status="SUCCEEDED")
    assert end_message(ended) == "application_1_0001 has ended: FINISHED / SUCCEEDED."
    assert end_message(report("The kernel was ended by signal 9 (SIGKILL).")).splitlines() == [
        "application_1_0001 has ended: FAILED / FAILED.",
        "The kernel has failed.",
        "The kernel was ended by signal 9 (SIGKILL).",
        "Its log: yarnspawner kernel logs application_1_0001",
    ]


@pytest.mark.parametrize("path", ["hdfs:///opt/jupyter-server/env.tar.gz", "/srv/the-hub's/server.tar.gz"])
def test_paths(path: str) -> None:
    """Paths are shown unchanged."""
    assert rejected(f"File {path} does not exist").splitlines()[0] == f"A file that the kernel needs is missing: {path}"


def test_queue_names() -> None:
    """Queue names are shown unchanged."""
    assert rejected("to unknown queue", "root.server").startswith("The queue root.server does not exist.")


def test_outage_details() -> None:
    """YARN's message is shown unchanged."""
    assert "/opt/server/x" in outage_message(ClusterUnavailable("Call From a to b:1 failed on /opt/server/x"))


def test_catalogue_wording() -> None:
    """No row speaks of a server or hub to a kernel's user, except rows about the connection to a hub."""
    for cause in (cause for table in TABLES for cause in table):
        text = f"{cause.direct_message} {cause.direct_remedy}".replace("Kerberos server", "")
        assert not re.search(r"\bserver\b", f"{cause.message} {cause.remedy}".replace("Kerberos server", ""))
        assert not re.search(r"\bhub\b", text) or "hub_connect_ip" in cause.remedy, text
