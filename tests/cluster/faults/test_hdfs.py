"""HDFS takes no files, or does not answer, when a start is requested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from localhadoop import LocalHadoop
from tests.support.hub_user import HubUser, unfinished
from tests.support.outcomes import Outcome


@pytest.fixture
def safe_mode(cluster: LocalHadoop) -> Iterator[Callable[[str], None]]:
    """Has HDFS ``enter`` or ``leave`` its safe mode, which it does at the end anyway."""

    def switch(how: str) -> None:
        answer = cluster.run(["hdfs", "dfsadmin", "-safemode", how], user="hdfs")
        assert answer.returncode == 0, answer.stderr

    with ExitStack() as stack:
        stack.callback(switch, "leave")
        yield switch


def works(member: HubUser, cluster: LocalHadoop) -> None:
    """The start that went on has led to one server."""
    member.wait_ready()
    assert member.run("print(6 * 7)") == "42\n"
    assert len(unfinished(cluster, member.name)) == 1


def test_in_safe_mode(alice: HubUser, cluster: LocalHadoop, safe_mode: Callable[[str], None], fault: Outcome) -> None:
    """HDFS in safe mode when a start is requested."""
    safe_mode("enter")
    fault.begins()
    alice.ask_to_start()
    alice.wait_told(
        "Hadoop's file system (HDFS) is in safe mode and does not accept files yet. The start continues when"
    )
    safe_mode("leave")
    works(alice, cluster)
    fault.recovered()
    fault.saw = "The start waits, says that HDFS is in safe mode, and continues"


def test_down(alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """HDFS down (NameNode killed) when a start is requested."""
    name_node = cluster.daemons["namenode"]
    name_node.kill()
    fault.begins()
    alice.ask_to_start()
    alice.wait_told(f"Hadoop does not answer at {name_node.address}. The start continues when it does.")
    name_node.start()
    works(alice, cluster)
    fault.recovered()
    fault.saw = "The start waits, names the service that does not answer, and continues"


def test_killed_while_a_server_runs(alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """HDFS killed and restarted while a server runs."""
    alice.ask_to_start()
    alice.wait_ready()
    alice.run("answer = 42")
    name_node = cluster.daemons["namenode"]
    name_node.kill()
    fault.begins()
    assert alice.run("print(answer)") == "42\n"
    name_node.start()
    name_node.wait_ready()
    fault.recovered()
    assert alice.servers()[""]["ready"]
    assert alice.run("print(answer)") == "42\n"
    alice.ask_to_stop()
    alice.wait_gone()
    fault.saw = "The server keeps running, with its kernels"
