"""Starts that are cancelled, late, many, and what is left of them; states of other versions; a log without end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.fault_injection import CONFIGURATION, arrange, drivers, has_happened, send, store_state, stored_state
from tests.support.hub_user import END, START, HubUser, applications, unfinished, until
from tests.support.hubs import log_of
from tests.support.hubs import log_size as end_of_log
from tests.support.measures import Figures, measure
from tests.support.outcomes import Outcome

MEBIBYTE = 1 << 20


# Cancelled


def test_cancelled_before_response(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Start cancelled before YARN responds to its submission."""
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
    fault.saw = "No server; the user can start it again"


def test_cancelled_while_accepted(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
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
    fault.saw = "No server; the user can start it again"


def test_cancelled_without_address(hub_with: Callable[..., Hub], cluster: LocalHadoop, fault: Outcome) -> None:
    """Start cancelled while its application runs and its server does not listen yet."""
    hub = hub_with(configuration=CONFIGURATION, settings={"FAULTS_PROLOGUE": "sleep 300"})
    alice = HubUser(hub.address, "alice", hub.password)
    alice.ask_to_start()
    until(lambda: "RUNNING" in applications(cluster).values(), START, "running")
    alice.ask_to_stop()
    fault.begins()
    alice.wait_gone()
    until(lambda: not unfinished(cluster), END, "ended")
    fault.recovered()
    fault.saw = "No server; the user can start it again"


def starts_again(member: HubUser) -> None:
    member.ask_to_start()
    member.wait_ready()


# Late


def test_timeout_in_full_queue(hub_with: Callable[..., Hub], cluster: LocalHadoop, fault: Outcome) -> None:
    """Start exceeds `start_timeout` because the queue is full."""
    other = hub_with(configuration=CONFIGURATION, settings={"YARNSPAWNER_QUEUE": "small"})
    bob = HubUser(other.address, "bob", other.password)
    starts_again(bob)
    hub = hub_with(configuration=CONFIGURATION, settings={"YARNSPAWNER_QUEUE": "small", "FAULTS_START_TIMEOUT": "30"})
    alice = HubUser(hub.address, "alice", hub.password)
    told = alice.failure()
    assert "did not start within 30 seconds" in told
    assert "Waiting in queue" in told
    alice.wait_gone()
    until(lambda: not unfinished(cluster, "alice"), END, "ended")
    assert len(unfinished(cluster, "bob")) == 1
    bob.ask_to_stop()
    bob.wait_gone()
    fault.saw = "A message that the server did not start in time, and that it was waiting in the queue"
    fault.lost = "the start"


def test_timeout_in_container(hub_with: Callable[..., Hub], cluster: LocalHadoop, fault: Outcome) -> None:
    """Start exceeds `start_timeout` because its container takes too long."""
    settings = {"FAULTS_PROLOGUE": "sleep 300", "FAULTS_START_TIMEOUT": "100"}
    hub = hub_with(configuration=CONFIGURATION, settings=settings)
    alice = HubUser(hub.address, "alice", hub.password)
    told = alice.failure()
    assert "The server's container runs, but did not report an address within 100 seconds." in told
    assert "if the prologue hangs, correct it." in told
    alice.wait_gone()
    until(lambda: not unfinished(cluster), END, "ended")
    fault.saw = "A message that the server's container runs, but reported no address in time"
    fault.lost = "the start"


# Several


def test_two_named_servers(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Two named servers started at the same time and stopped in the opposite order."""
    # A session for each, as in two windows.
    second = HubUser(hub.address, "alice", hub.password)
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
    fault.saw = "Each server starts and stops independently"


def at_once(*actions: Callable[[], Any]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.timeout(2400)
def test_thirty_starts_and_stops(hub_with: Callable[..., Hub], cluster: LocalHadoop, fault: Outcome) -> None:
    """30 starts and stops of one user in a row."""
    hub = hub_with(configuration=CONFIGURATION)
    figures = {}
    # The first start brings along what is kept from then on: libraries, drivers, connections.
    windows = {f"s{number}": HubUser(hub.address, "alice", hub.password) for number in range(5)}
    start_and_stop(hub, windows, cluster)
    processes = len(drivers(hub))
    for count in (0, 10, 20, 30):
        if count:
            start_and_stop(hub, windows, cluster)
            start_and_stop(hub, windows, cluster)
        figures[count] = settled(hub)
        print(f"after {count:2d} starts and stops: {figures[count]}")
    first, last = figures[0], figures[30]
    assert last.threads <= first.threads + 4  # the event loop has a pool of a few
    assert last.files <= first.files + 4
    assert last.connections <= first.connections + 2
    assert last.memory <= first.memory + 15
    # Those of YARN's clients in the drivers, which are replaced after 200 submissions.
    assert last.driver_memory <= first.driver_memory + 100
    assert len(drivers(hub)) == processes
    fault.saw = "30 servers, all alike"


def start_and_stop(hub: Hub, windows: dict[str, HubUser], cluster: LocalHadoop) -> None:
    """Start several servers at a time, and stop them when the first is ready; the others are on their way."""
    since = end_of_log(hub)
    at_once(*(partial(window.ask_to_start, name) for name, window in windows.items()))
    until(lambda: log_of(hub, since).count("Submitted application") == len(windows), START, "submitted")
    first, window = next(iter(windows.items()))
    window.wait_ready(first)
    at_once(*(partial(window.ask_to_stop, name) for name, window in windows.items()))
    window.wait_gone(*windows, timeout=START)
    until(lambda: not unfinished(cluster), START, "ended")


def settled(hub: Hub) -> Figures:
    """The hub's figures once it has closed what it closes later."""
    time.sleep(8)
    return measure(hub)


# States


def test_upgrade_from_earlier_version(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Hub upgraded, with state written by earlier versions of the spawner."""
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
    fault.saw = "The server keeps running, with its kernels"


def test_state_that_is_broken(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """State in the hub's database written by a later version, or corrupt."""
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
    fault.saw = "The server keeps running, with its kernels"


def test_state_with_other_secret(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """State in the hub's database sealed with another cookie secret."""
    secret = hub.folder / "jupyterhub_cookie_secret"

    def replace_secret(state: Any) -> Any:
        secret.write_text(secret.read_text().translate(str.maketrans("0123456789abcdef", "123456789abcdef0")))
        return state

    goes_on_from(hub, alice, fault, {"another secret": replace_secret})
    assert len(unfinished(cluster)) == 1
    fault.saw = "The server keeps running, with its kernels"
    fault.lost = "the login at the hub"


def goes_on_from(hub: Hub, alice: HubUser, fault: Outcome, changes: dict[str, Callable[[Any], Any]]) -> None:
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
        again = HubUser(hub.address, "alice", hub.password)
        again.wait_ready(timeout=END)
        fault.recovered()
        again.take_kernel_of(alice)
        assert again.run("print(answer)") == "42\n", words
        if words != list(changes)[-1]:
            hub.stop()


# The log


def test_gigabyte_of_log(hub_with: Callable[..., Hub], cluster: LocalHadoop, fault: Outcome) -> None:
    """Server that writes 1 GB of log."""
    writes = 'yes "a line of forty characters, more or less" | head -c 1000000000; echo the last of them'
    # It inherits the container's output as kernels do, and waits for the test.
    settings = {"FAULTS_PROLOGUE": f"(until [ -e begin ]; do sleep 1; done; {writes}; touch done) &"}
    hub = hub_with(configuration=CONFIGURATION, settings=settings)
    alice = HubUser(hub.address, "alice", hub.password)
    alice.ask_to_start()
    alice.wait_ready()
    (application,) = unfinished(cluster)
    alice.run("import os; folder = os.path.dirname(os.environ['JUPYTER_RUNTIME_DIR']); open(f'{folder}/begin', 'w')")
    fault.begins()
    sizes: list[int] = []
    end = time.monotonic() + START
    while "done" not in alice.run("print(*os.listdir(folder))"):
        assert time.monotonic() < end
        sizes.append(log_size(cluster, application))
    time.sleep(2)
    fault.recovered()
    print(f"the log had at most {max(sizes) // MEBIBYTE} MiB, and has {log_size(cluster, application) // MEBIBYTE} MiB")
    assert log_size(cluster, application) <= 100 * MEBIBYTE
    alice.ask_to_stop()
    alice.wait_gone()
    until(lambda: not unfinished(cluster), END, "ended")
    logs = ["yarn", "logs", "-applicationId", application, "-log_files_pattern", "application.driver.log"]
    until(lambda: "End of LogType" in cluster.run([*logs, "-size", "100"], user="alice").stdout, START, "collected")
    beginning = cluster.run([*logs, "-size", "4000"], user="alice").stdout
    assert "a line of forty characters" in beginning or "ServerApp" in beginning
    end_of_it = cluster.run([*logs, "-size", "-8000"], user="alice").stdout
    assert "the last of them" in end_of_it
    whole = cluster.run([*logs, "-size", str(60 * MEBIBYTE)], user="alice").stdout
    assert "MiB of the log were left out here" in whole
    fault.saw = "The server keeps running; the beginning and the end of its log are kept"


def log_size(cluster: LocalHadoop, application: str) -> int:
    """What the application's logs take on the nodes' disks, in bytes."""
    files = Path(cluster.directory).glob(f"nodes/*/logs/{application}/*/*")
    return sum(file.stat().st_blocks * 512 for file in files)
