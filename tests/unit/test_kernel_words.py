"""What goes wrong with a kernel without a hub, said in words that fit it."""

from __future__ import annotations

from yarnspawner.cluster import ClusterRefused, Report
from yarnspawner.kernels.words import of_kernel, words_of_end, words_of_refusal


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
