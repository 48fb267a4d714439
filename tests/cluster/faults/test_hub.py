"""The hub is killed, at every moment of a server's life."""

from __future__ import annotations

import contextlib

import pytest
import requests

from demo.hub import Hub
from demo.visitor import VisitError
from localhadoop import LocalHadoop
from tests.support.fault_injection import arrange
from tests.support.hub_user import END, START, HubUser, applications, unfinished, until
from tests.support.hubs import log_of, log_size
from tests.support.outcomes import Outcome


def restart(hub: Hub, fault: Outcome) -> HubUser:
    """Wait until the hub has been killed, start it anew and come back to it as alice."""
    until(lambda: not hub.running, START, "killed")
    fault.begins()
    hub.start()
    return HubUser(hub.address, "alice", hub.password)


def test_killed_before_submission(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed before a server's application is submitted."""
    before = applications(cluster)
    arrange(hub, "kill-hub", "before submission")
    start(alice)
    again = restart(hub, fault)
    again.wait_gone()
    fault.recovered()
    assert applications(cluster) == before
    again.ask_to_start()
    again.wait_ready()
    assert len(unfinished(cluster)) == 1
    fault.saw, fault.lost = "No server; the user can start it again", "the start"


def test_killed_before_response(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed between a submission and YARN's response."""
    before = applications(cluster)
    arrange(hub, "kill-hub", "submitted")
    start(alice)
    goes_on(hub, cluster, fault, before)


def test_killed_while_accepted(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed while an application waits in its queue (ACCEPTED)."""
    before = applications(cluster)
    for node in cluster.node_managers:
        node.suspend()
    arrange(hub, "kill-hub", "accepted")
    start(alice)
    until(lambda: not hub.running, START, "killed")
    for node in cluster.node_managers:
        node.resume()
    goes_on(hub, cluster, fault, before)


def test_killed_without_address(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed while an application runs and its server does not listen yet."""
    before = applications(cluster)
    arrange(hub, "kill-hub", "running")
    start(alice)
    goes_on(hub, cluster, fault, before)


def test_killed_before_address_saved(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed after it reads a server's address and before it saves it."""
    before = applications(cluster)
    arrange(hub, "kill-hub", "address known")
    start(alice)
    goes_on(hub, cluster, fault, before)


def goes_on(hub: Hub, cluster: LocalHadoop, fault: Outcome, before: dict[str, str]) -> None:
    """The start goes on in the next run of the hub, in the same application."""
    again = restart(hub, fault)
    again.wait_ready()
    fault.recovered()
    assert again.run("print(6 * 7)") == "42\n"
    assert len(applications(cluster).keys() - before.keys()) == 1
    fault.saw = "The start continues, and the server becomes ready"


def test_killed_while_a_server_runs(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed while a server runs."""
    alice.ask_to_start()
    alice.wait_ready()
    alice.run("answer = 42")
    hub.kill()
    again = restart(hub, fault)
    again.wait_ready(timeout=END)
    fault.recovered()
    again.take_kernel_of(alice)
    assert again.run("print(answer)") == "42\n"
    assert len(unfinished(cluster, "alice")) == 1
    fault.saw = "The server keeps running, with its kernels"


@pytest.mark.parametrize(
    ("moment", "words"),
    [("stopping", "begins to stop a server"), ("asked to stop", "has asked a server to stop")],
)
def test_killed_while_stopping(
    hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome, moment: str, words: str
) -> None:
    """Hub killed when it {words}."""
    alice.ask_to_start()
    alice.wait_ready()
    arrange(hub, "kill-hub", moment)
    stop(alice)
    again = restart(hub, fault)
    again.wait_gone()
    fault.recovered()
    until(lambda: not unfinished(cluster), END, "ended")
    fault.saw = "The stop continues, and the server stops"


def test_killed_while_cancelling(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed when it begins to stop a cancelled start."""
    hold(hub, alice, cluster)
    arrange(hub, "kill-hub", "ending")
    stop(alice)
    until(lambda: not hub.running, START, "killed")
    for node in cluster.node_managers:
        node.resume()
    again = restart(hub, fault)
    again.wait_gone()
    fault.recovered()
    until(lambda: not unfinished(cluster), END, "ended")
    fault.saw = "No server; the user can start it again"


def test_restarted_while_starting(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub restarted normally while a server starts."""
    before = applications(cluster)
    hold(hub, alice, cluster)
    hub.stop()
    for node in cluster.node_managers:
        node.resume()
    goes_on(hub, cluster, fault, before)


def test_cancelled_after_a_restart(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub killed while a start waits in its queue, and the user cancels the start afterwards."""
    hold(hub, alice, cluster)
    proxy = (hub.folder / "jupyterhub-proxy.pid").read_text()
    hub.kill()
    again = restart(hub, fault)
    fault.recovered()
    assert again.servers()[""]["pending"] == "spawn"
    again.wait_told("Waiting in queue")
    again.ask_to_stop()
    again.wait_gone()
    until(lambda: not unfinished(cluster), END, "ended")
    assert (hub.folder / "jupyterhub-proxy.pid").read_text() == proxy
    fault.saw = "The start continues to wait, the page says so, and the user can cancel it"
    fault.lost = "the start"


def hold(hub: Hub, member: HubUser, cluster: LocalHadoop) -> None:
    """Ask for a start that waits in its queue, as the hub knows, until the nodes are awake again."""
    for node in cluster.node_managers:
        node.suspend()
    since = log_size(hub)
    member.ask_to_start()
    until(lambda: "Submitted application" in log_of(hub, since), START, "submitted")


def start(member: HubUser) -> None:
    """Ask for a start a hub that dies before it answers."""
    with contextlib.suppress(VisitError, requests.RequestException):
        member.ask_to_start()


def stop(member: HubUser) -> None:
    """Ask for a stop a hub that dies before it answers."""
    with contextlib.suppress(VisitError, requests.RequestException):
        member.ask_to_stop()
