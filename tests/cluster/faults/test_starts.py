"""Starts that are cancelled, late or crosswise, and hubs that find states of other versions, or broken ones."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.member import END, START, Member, applications, unfinished, until
from tests.support.mishaps import CONFIGURATION, arrange, drivers, has_happened, send, store_state, stored_state
from tests.support.outcomes import Outcome

# Cancelled


def test_cancelled_before_the_submission_is_answered(
    hub: Hub, alice: Member, cluster: LocalHadoop, fault: Outcome
) -> None:
    """Start cancelled before its submission is answered."""
    arrange(hub, "hang-driver", "submission")
    alice.ask_to_start()
    until(lambda: has_happened(hub), START, "hung")
    alice.ask_to_stop()
    fault.begins()
    alice.wait_gone()
    send(drivers(hub), signal.SIGCONT)
    # If the driver brings it to YARN now, nobody waits for it any more.
    time.sleep(10)
    until(lambda: not unfinished(cluster), END, "ended")
    fault.recovered()
    starts_again(alice)
    fault.saw = "No server, and can start it again"


def test_cancelled_while_accepted(hub: Hub, alice: Member, cluster: LocalHadoop, fault: Outcome) -> None:
    """Start cancelled while its application waits in its queue (ACCEPTED)."""
    for node in cluster.node_managers:
        node.suspend()
    alice.ask_to_start()
    until(lambda: "ACCEPTED" in applications(cluster).values(), START, "accepted")
    alice.ask_to_stop()
    fault.begins()
    alice.wait_gone()
    until(lambda: not unfinished(cluster), END, "ended")
    fault.recovered()
    for node in cluster.node_managers:
        node.resume()
    starts_again(alice)
    fault.saw = "No server, and can start it again"


def test_cancelled_while_running_without_an_address(
    hub_with: Callable[..., Hub], cluster: LocalHadoop, fault: Outcome
) -> None:
    """Start cancelled while its application runs and its server does not listen yet."""
    hub = hub_with(configuration=CONFIGURATION, settings={"FAULTS_PROLOGUE": "sleep 300"})
    alice = Member(hub.address, "alice", hub.password)
    alice.ask_to_start()
    until(lambda: "RUNNING" in applications(cluster).values(), START, "running")
    alice.ask_to_stop()
    fault.begins()
    alice.wait_gone()
    until(lambda: not unfinished(cluster), END, "ended")
    fault.recovered()
    fault.saw = "No server, and can start it again"


def starts_again(member: Member) -> None:
    member.ask_to_start()
    member.wait_ready()


# Late


def test_the_start_timeout_is_reached_in_a_full_queue(
    hub_with: Callable[..., Hub], cluster: LocalHadoop, fault: Outcome
) -> None:
    """Start not done in its time (`start_timeout`), since the queue is full."""
    other = hub_with(configuration=CONFIGURATION, settings={"YARNSPAWNER_QUEUE": "small"})
    bob = Member(other.address, "bob", other.password)
    starts_again(bob)
    hub = hub_with(configuration=CONFIGURATION, settings={"YARNSPAWNER_QUEUE": "small", "FAULTS_START_TIMEOUT": "30"})
    alice = Member(hub.address, "alice", hub.password)
    told = alice.failure()
    assert "did not start within 30 seconds" in told
    assert "Waiting in queue" in told
    alice.wait_gone()
    until(lambda: not unfinished(cluster, "alice"), END, "ended")
    assert len(unfinished(cluster, "bob")) == 1
    bob.ask_to_stop()
    bob.wait_gone()
    fault.saw = "That it did not start in time, and was waiting in the queue"
    fault.lost = "the start"


# Several


def test_two_named_servers_start_and_stop_crosswise(
    hub: Hub, alice: Member, cluster: LocalHadoop, fault: Outcome
) -> None:
    """Two named servers started at the same moment, and stopped crosswise."""
    # A session for each, as in two windows.
    second = Member(hub.address, "alice", hub.password)
    at_once(lambda: alice.ask_to_start("one"), lambda: second.ask_to_start("two"))
    alice.wait_ready("one", "two")
    assert len(unfinished(cluster)) == 2
    addresses = {name: server["url"] for name, server in alice.servers().items()}
    assert len(set(addresses.values())) == 2
    at_once(lambda: alice.ask_to_stop("two"), lambda: second.ask_to_start("three"))
    alice.wait_gone("two")
    alice.wait_ready("one", "three")
    assert len(unfinished(cluster)) == 2
    at_once(lambda: alice.ask_to_stop("three"), lambda: second.ask_to_stop("one"))
    alice.wait_gone("one", "three")
    until(lambda: not unfinished(cluster), END, "ended")
    fault.saw = "Each server starts and ends by itself"


def at_once(*actions: Callable[[], Any]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# States


def test_upgraded_from_an_earlier_version(hub: Hub, alice: Member, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub upgraded from state that earlier versions of the spawner have written."""
    goes_on_from(
        hub,
        alice,
        fault,
        {
            "0.4.0": lambda state: {"app_id": state["application_id"]},
            "1, at its first": lambda state: {
                name: state[name]
                for name in ("version", "start_id", "hadoop_user", "queue", "application_id", "url", "sealed")
            },
        },
    )
    assert len(unfinished(cluster)) == 1
    fault.saw = "The server goes on, with its kernels"


def test_state_that_is_broken(hub: Hub, alice: Member, cluster: LocalHadoop, fault: Outcome) -> None:
    """State in the hub's database that is of a later version, or broken."""
    goes_on_from(
        hub,
        alice,
        fault,
        {
            "a later version": lambda state: {**state, "version": 99},
            "wrong types": lambda state: {**state, "application_id": [1, 2], "hadoop_user": {"a": None}},
            "no mapping": list,
            "nothing": lambda _: "gone",
        },
    )
    assert len(unfinished(cluster)) == 1
    fault.saw = "The server goes on, with its kernels"


def goes_on_from(hub: Hub, alice: Member, fault: Outcome, changes: dict[str, Callable[[Any], Any]]) -> None:
    """A server goes on in runs of the hub that each find another state of it, and it can be stopped in the last."""
    alice.ask_to_start()
    alice.wait_ready()
    alice.run("answer = 42")
    hub.stop()
    original = stored_state(hub, "alice")
    for words, change in changes.items():
        store_state(hub, change(original), "alice")
        fault.begins()
        hub.start()
        again = Member(hub.address, "alice", hub.password)
        again.wait_ready(timeout=END)
        fault.recovered()
        again.take_kernel_of(alice)
        assert again.run("print(answer)") == "42\n", words
        if words != list(changes)[-1]:
            hub.stop()
