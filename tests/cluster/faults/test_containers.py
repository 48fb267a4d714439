"""A server's container takes too much memory, is killed by an admin, makes room for another queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import websocket

from demo.hub import Hub
from demo.visitor import VisitError
from localhadoop import LocalHadoop
from localhadoop.fixtures import hadoop_version, why_no_kerberos
from tests.support.containers import application_of, processes
from tests.support.hub_user import END, START, HubUser, unfinished, until
from tests.support.hubs import log_of, log_size, running
from tests.support.outcomes import Outcome

QUEUE = "yarn.scheduler.capacity.root"
PREEMPTION = "yarn.resourcemanager.monitor.capacity.preemption"
STRICT = {
    # Without cgroups, YARN's own look at a container's processes is what ends one that is too large.
    "yarn.nodemanager.resource.memory.enforced": "false",
    "yarn.nodemanager.container-monitor.interval-ms": "1000",
    # A queue takes back what it was promised.
    "yarn.resourcemanager.scheduler.monitor.enable": "true",
    f"{PREEMPTION}.monitoring_interval": "1000",
    f"{PREEMPTION}.max_wait_before_kill": "2000",
    f"{PREEMPTION}.total_preemption_per_round": "1.0",
    f"{PREEMPTION}.natural_termination_factor": "1.0",
    f"{PREEMPTION}.max_ignored_over_capacity": "0.0",
    # Application masters are spared up to their queue's share, and a server is one.
    f"{QUEUE}.default.maximum-am-resource-percent": "0.01",
}


def gone(member: HubUser) -> str:
    """Wait until a member's server is gone; what the page says then."""
    member.wait_gone(timeout=START)
    return member.page(f"/hub/user/{member.name}/")


def test_killed_by_an_admin(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Application of a running server killed by an admin (`yarn application -kill`)."""
    alice.ask_to_start()
    alice.wait_ready()
    application_id = application_of(cluster, "alice")["id"]
    since = log_size(hub)
    cluster.run(["yarn", "application", "-kill", application_id], user="yarn")
    fault.begins()
    said = gone(alice)
    fault.recovered()
    assert "The server's application was killed by yarn. If that was not you, ask your administrator why." in said
    assert f"{application_id} of alice has ended: The server's application was killed by yarn." in log_of(hub, since)
    until(lambda: not processes(application_id), END, "without processes")
    fault.saw = "The server stops, and the page says who killed it"
    fault.lost = "the server"


# -- On a cluster that is strict


@pytest.fixture(scope="module")
def strict_of_module() -> Iterator[LocalHadoop]:
    if reason := why_no_kerberos():
        pytest.skip(reason)
    with LocalHadoop(kerberos=True, nodes=1, hadoop=hadoop_version(), properties=STRICT) as strict:
        yield strict


@pytest.fixture(scope="module")
def strict_hub(strict_of_module: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running(strict_of_module, tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def strict(strict_of_module: LocalHadoop, fault: Outcome) -> Iterator[LocalHadoop]:
    """A cluster that ends containers which take more than they were given, and on which queues get what they are due."""
    yield strict_of_module
    until(lambda: not unfinished(strict_of_module), END, "without applications")


def stop_all(*members: HubUser) -> None:
    for member in members:
        for name in member.servers():
            member.ask_to_stop(name)
        member.wait_gone(*member.servers())


def test_over_its_memory(strict_hub: Hub, strict: LocalHadoop, fault: Outcome) -> None:
    """Container of a running server exceeds its memory."""
    alice = HubUser(strict_hub.address, "alice", strict_hub.password)
    alice.ask_to_start()
    alice.wait_ready()
    application_id = application_of(strict, "alice")["id"]
    fault.begins()
    with suppress(VisitError, OSError, websocket.WebSocketException):
        alice.run("hog = b'x' * 2_000_000_000", timeout=START)
    said = gone(alice)
    fault.recovered()
    assert "it used more memory than its limit of 1 GiB. Start it with more memory, or use less" in said, said
    until(lambda: not processes(application_id), END, "without processes")
    fault.saw = "The server stops, and the page says that it most likely exceeded its memory, and how much it had"
    fault.lost = "the server"


def test_preempted(strict_hub: Hub, strict: LocalHadoop, fault: Outcome) -> None:
    """Container of a running server preempted."""
    alice = HubUser(strict_hub.address, "alice", strict_hub.password)
    bob = HubUser(strict_hub.address, "bob", strict_hub.password)
    # Nearly all of the node, and so more than alice's queue is promised.
    alice.ask_to_start(options={"profile": "custom", "mem_limit": "3328 M", "cpu_limit": 1, "queue": "default"})
    alice.wait_ready()
    application_id = application_of(strict, "alice")["id"]
    bob.ask_to_start(options={"profile": "custom", "mem_limit": "512 M", "cpu_limit": 1, "queue": "small"})
    fault.begins()
    said = gone(alice)
    fault.recovered()
    assert "YARN preempted the server to give its resources to another queue" in said, said
    bob.wait_ready()
    until(lambda: not processes(application_id), END, "without processes")
    stop_all(alice, bob)
    fault.saw = "The server stops, and the page says that YARN preempted it; the other queue's server starts"
    fault.lost = "the server"
