"""A server's container takes too much memory, is killed by an admin, makes room for another queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import websocket

from demo.hub import Hub
from demo.visitor import VisitError
from localhadoop import LocalHadoop
from tests.support.containers import application_of, processes
from tests.support.hub_user import END, START, HubUser, until
from tests.support.hubs import log_of, log_size, running
from tests.support.outcomes import Outcome

PROPERTIES = {
    # Application masters are spared up to their queue's share, and a server is one.
    "yarn.scheduler.capacity.root.default.maximum-am-resource-percent": "0.01",
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
    reason = "[killed-by-user] The server's application was killed by yarn."
    assert f"{application_id} of alice has ended: {reason}" in log_of(hub, since)
    until(lambda: not processes(application_id), END, "without processes")
    fault.saw = "The server stops, and the page says who killed it"
    fault.lost = "the server"


# -- On a cluster that is strict


@pytest.fixture(scope="module")
def strict_hub(strict_of_module: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running(strict_of_module, tmp_path_factory.mktemp("hub")) as hub:
        yield hub


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
