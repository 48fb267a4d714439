"""The ResourceManager dies, hangs, stays away, and is taken over by another one."""

from __future__ import annotations

import re
import time

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from localhadoop.daemons import Daemon
from tests.support.hubs import log_of, log_size
from tests.support.member import START, Member, unfinished, until
from tests.support.outcomes import Outcome

# Seconds. Nodes that were not heard of for 30 s are lost to a ResourceManager that wakes up, in these tests' clusters.
AWAY = 60
HUNG = 20

GOES_ON = "The server goes on, with its kernels"
WAITS = "The start waits, says that YARN does not answer, and goes on"


@pytest.fixture
def resource_manager(cluster: LocalHadoop) -> Daemon:
    return cluster.daemons["resourcemanager"]


def ask_and_be_submitted(member: Member, cluster: LocalHadoop) -> None:
    """Ask for a start; it is YARN's turn when this returns."""
    member.ask_to_start()
    until(lambda: unfinished(cluster, member.name), START, "submitted")


def start_and_remember(member: Member) -> None:
    """Start a server, and keep something in its kernel."""
    member.ask_to_start()
    member.wait_ready()
    member.run("answer = 42")


def remembers(member: Member, cluster: LocalHadoop) -> None:
    """The one server of a member is the same as before."""
    assert member.servers()[""]["ready"]
    assert member.run("print(answer)") == "42\n"
    assert len(unfinished(cluster, member.name)) == 1


def works(member: Member, cluster: LocalHadoop) -> None:
    """The start that went on has led to one server."""
    member.wait_ready()
    assert member.run("print(6 * 7)") == "42\n"
    assert len(unfinished(cluster, member.name)) == 1


def wait_answers_again(hub: Hub, since: int) -> None:
    """The hub noticed that YARN was gone, and that it is back."""
    until(lambda: "YARN answers again" in log_of(hub, since), START, "seen to be back")


def test_killed_while_a_server_starts(
    alice: Member, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
) -> None:
    """ResourceManager killed and restarted while a server starts."""
    ask_and_be_submitted(alice, cluster)
    resource_manager.kill()
    fault.begins()
    alice.wait_told("YARN does not answer. The start goes on when it does.")
    resource_manager.start()
    works(alice, cluster)
    fault.recovered()
    fault.saw = WAITS


def test_killed_while_a_server_runs(
    hub: Hub, alice: Member, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
) -> None:
    """ResourceManager killed and restarted while a server runs."""
    start_and_remember(alice)
    since = log_size(hub)
    resource_manager.kill()
    fault.begins()
    assert alice.run("print(answer)") == "42\n"
    until(lambda: "YARN does not answer" in log_of(hub, since), START, "noticed")
    resource_manager.start()
    wait_answers_again(hub, since)
    fault.recovered()
    resource_manager.wait_ready(START)
    remembers(alice, cluster)
    fault.saw = GOES_ON


def test_away_when_a_start_is_asked_for(
    alice: Member, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
) -> None:
    """ResourceManager down for 60 s when a start is asked for."""
    resource_manager.kill()
    fault.begins()
    alice.ask_to_start()
    alice.wait_told("The start goes on when it does.")
    time.sleep(AWAY)
    resource_manager.start()
    works(alice, cluster)
    fault.recovered()
    fault.saw = WAITS


def test_away_while_a_server_runs(
    hub: Hub, alice: Member, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
) -> None:
    """ResourceManager down for 60 s while a server runs."""
    start_and_remember(alice)
    since = log_size(hub)
    resource_manager.kill()
    fault.begins()
    time.sleep(AWAY)
    assert alice.servers()[""]["ready"]
    assert alice.run("print(answer)") == "42\n"
    resource_manager.start()
    wait_answers_again(hub, since)
    fault.recovered()
    resource_manager.wait_ready(START)
    remembers(alice, cluster)
    assert len(re.findall("YARN does not answer", log_of(hub, since))) == 1
    fault.saw = GOES_ON


def test_hung_while_a_server_starts(
    alice: Member, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
) -> None:
    """ResourceManager hung for 20 s while a server starts."""
    ask_and_be_submitted(alice, cluster)
    resource_manager.suspend()
    fault.begins()
    # In the middle of the submission, or after it.
    alice.wait_told("The start goes on when it does.", timeout=HUNG)
    resource_manager.resume()
    works(alice, cluster)
    fault.recovered()
    fault.saw = WAITS


def test_hung_while_a_server_runs(
    hub: Hub, alice: Member, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
) -> None:
    """ResourceManager hung for 20 s while a server runs."""
    start_and_remember(alice)
    since = log_size(hub)
    resource_manager.suspend()
    fault.begins()
    assert alice.run("print(answer)") == "42\n"
    until(lambda: "YARN does not answer" in log_of(hub, since), HUNG, "noticed")
    resource_manager.resume()
    wait_answers_again(hub, since)
    fault.recovered()
    remembers(alice, cluster)
    fault.saw = GOES_ON
