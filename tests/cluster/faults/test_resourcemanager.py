"""The ResourceManager dies, hangs, stays away, and is taken over by another one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from localhadoop.daemons import Daemon
from localhadoop.fixtures import hadoop_version, why_no_kerberos
from tests.support.hub_user import END, START, HubUser, unfinished, until
from tests.support.hubs import log_of, log_size, running
from tests.support.kernel_hubs import PYTHON, computing, goes_on
from tests.support.kernel_user import KernelUser
from tests.support.outcomes import Outcome

# Seconds. Nodes that were not heard of for 30 s are lost to a ResourceManager that wakes up, in these tests' clusters.
AWAY = 60
HUNG = 20

GOES_ON = "The server keeps running, with its kernels"
WAITS = "The start waits, says that YARN does not answer, and continues"


@pytest.fixture
def resource_manager(cluster: LocalHadoop) -> Daemon:
    return cluster.daemons["resourcemanager"]


def ask_and_be_submitted(member: HubUser, cluster: LocalHadoop) -> None:
    """Ask for a start; it is YARN's turn when this returns, and a node knows of the container.

    A ResourceManager that dies in the milliseconds between giving a container and telling the node takes it for launched
    when it is back, and waits for yarn.am.liveness-monitor.expiry-interval-ms (ten minutes) before it says otherwise.
    """
    member.ask_to_start()
    until(lambda: unfinished(cluster, member.name) and on_a_node(cluster), START, "on a node")


def on_a_node(cluster: LocalHadoop) -> bool:
    """Whether any node has been told of any container."""
    addresses = [cluster.settings.address(f"{node.name}-web") for node in cluster.node_managers]
    return any(cluster.get(f"http://{address}/ws/v1/node/containers")["containers"] for address in addresses)


def start_and_remember(member: HubUser) -> None:
    """Start a server, and keep something in its kernel."""
    member.ask_to_start()
    member.wait_ready()
    member.run("answer = 42")


def remembers(member: HubUser, cluster: LocalHadoop) -> None:
    """The one server of a member is the same as before."""
    assert member.servers()[""]["ready"]
    assert member.run("print(answer)") == "42\n"
    assert len(unfinished(cluster, member.name)) == 1


def works(member: HubUser, cluster: LocalHadoop) -> None:
    """The start that went on has led to one server."""
    member.wait_ready()
    assert member.run("print(6 * 7)") == "42\n"
    assert len(unfinished(cluster, member.name)) == 1


def wait_answers_again(hub: Hub, since: int) -> None:
    """The hub noticed that YARN was gone, and that it is back."""
    until(lambda: "YARN answers again" in log_of(hub, since), START, "seen to be back")


# -- One ResourceManager


def test_killed_while_a_server_starts(
    alice: HubUser, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
) -> None:
    """ResourceManager killed and restarted while a server starts."""
    ask_and_be_submitted(alice, cluster)
    resource_manager.kill()
    fault.begins()
    alice.wait_told("YARN does not answer. The start continues when it does.")
    resource_manager.start()
    works(alice, cluster)
    fault.recovered()
    fault.saw = WAITS


def test_killed_while_a_server_runs(
    hub: Hub, alice: HubUser, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
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
    alice: HubUser, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
) -> None:
    """ResourceManager down for 60 s when a start is requested."""
    resource_manager.kill()
    fault.begins()
    alice.ask_to_start()
    alice.wait_told("The start continues when it does.")
    time.sleep(AWAY)
    resource_manager.start()
    works(alice, cluster)
    fault.recovered()
    fault.saw = WAITS


def test_away_while_a_server_runs(
    hub: Hub, alice: HubUser, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
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


def test_late_stop(hub: Hub, alice: HubUser, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome) -> None:
    """ResourceManager down while a server is stopped, and back when the next one is started."""
    alice.ask_to_start()
    alice.wait_ready()
    old = unfinished(cluster, alice.name)[0]
    since = log_size(hub)
    resource_manager.kill()
    fault.begins()
    alice.ask_to_stop()
    # The hub gives up waiting for YARN after a minute, and goes on in the background.
    alice.wait_gone(timeout=2 * AWAY)
    alice.ask_to_start()
    resource_manager.start()
    alice.wait_ready()
    alice.run("answer = 42")
    fault.recovered()
    until(lambda: f"{old} of {alice.name} has ended" in log_of(hub, since), END, "ended")
    time.sleep(5)  # when the stop was confirmed late, the new server was stopped as well
    remembers(alice, cluster)
    fault.saw = "The server stops after a minute; the next one starts and keeps running"


def test_hung_while_a_server_starts(
    alice: HubUser, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
) -> None:
    """ResourceManager hung for 20 s while a server starts."""
    ask_and_be_submitted(alice, cluster)
    resource_manager.suspend()
    fault.begins()
    # In the middle of the submission, or after it.
    alice.wait_told("The start continues when it does.", timeout=HUNG)
    resource_manager.resume()
    works(alice, cluster)
    fault.recovered()
    fault.saw = WAITS


def test_hung_while_a_server_runs(
    hub: Hub, alice: HubUser, cluster: LocalHadoop, resource_manager: Daemon, fault: Outcome
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


# -- Two of them


@pytest.fixture(scope="module")
def pair_of_module() -> Iterator[LocalHadoop]:
    if reason := why_no_kerberos():
        pytest.skip(reason)
    with LocalHadoop(kerberos=True, ha=True, nodes=1, hadoop=hadoop_version()) as pair:
        yield pair


@pytest.fixture(scope="module")
def hub_of_pair(pair_of_module: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    settings = {"YARNSPAWNER_KERNEL_SIZES": "400M"}
    with running(pair_of_module, tmp_path_factory.mktemp("hub"), settings=settings) as hub:
        yield hub


@pytest.fixture
def pair(pair_of_module: LocalHadoop, fault: Outcome) -> Iterator[LocalHadoop]:
    """A secure cluster with two ResourceManagers, which no test leaves anything on."""
    pair_of_module.restore()
    with ExitStack() as stack:
        stack.callback(lambda: until(lambda: not unfinished(pair_of_module), END, "without applications"))
        stack.callback(pair_of_module.restore)
        yield pair_of_module


@pytest.fixture
def alice_of_pair(hub_of_pair: Hub, pair: LocalHadoop) -> Iterator[KernelUser]:
    alice = KernelUser(hub_of_pair.address, "alice", hub_of_pair.password)
    yield alice
    pair.restore()
    for name in alice.servers():
        alice.ask_to_stop(name)
    alice.wait_gone(*alice.servers())


def active(pair: LocalHadoop) -> Daemon:
    """The ResourceManager that is active."""
    url = pair.active_resource_manager_url()
    names = pair.settings.resource_managers
    return next(pair.daemons[name] for name in names if url.endswith(pair.settings.address(f"{name}-web")))


def test_failover_while_a_server_starts(alice_of_pair: HubUser, pair: LocalHadoop, fault: Outcome) -> None:
    """Failover to the second ResourceManager while a server starts."""
    ask_and_be_submitted(alice_of_pair, pair)
    first = active(pair)
    first.kill()
    fault.begins()
    works(alice_of_pair, pair)
    fault.recovered()
    assert active(pair).name != first.name
    fault.saw = "The start continues"


def test_failover_while_a_server_runs(
    hub_of_pair: Hub, alice_of_pair: HubUser, pair: LocalHadoop, fault: Outcome
) -> None:
    """Failover to the second ResourceManager while a server runs."""
    start_and_remember(alice_of_pair)
    first = active(pair)
    first.kill()
    fault.begins()
    assert alice_of_pair.run("print(answer)") == "42\n"
    # Another server shows that the hub has found the one that is active now.
    alice_of_pair.ask_to_start("second")
    alice_of_pair.wait_ready("second")
    fault.recovered()
    assert active(pair).name != first.name
    alice_of_pair.ask_to_stop("second")
    alice_of_pair.wait_gone("second")
    until(lambda: len(unfinished(pair)) == 1, END, "with one application")
    remembers(alice_of_pair, pair)
    fault.saw = GOES_ON


def test_failover_while_kernel_computes(
    hub_of_pair: Hub, alice_of_pair: KernelUser, pair: LocalHadoop, fault: Outcome
) -> None:
    """Failover to the second ResourceManager while a kernel in a container computes."""
    start_and_remember(alice_of_pair)
    alice_of_pair.open_lab()
    kernel = computing(alice_of_pair)
    first = active(pair)
    first.kill()
    fault.begins()
    goes_on(hub_of_pair, kernel)
    fault.recovered()
    assert active(pair).name != first.name
    another = alice_of_pair.start_kernel(PYTHON)
    assert alice_of_pair.execute(another, "print(6 * 7)") == "42\n"
    fault.saw = "The server keeps running, the cell runs to its end, and another kernel starts"
