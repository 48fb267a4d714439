"""A node loses its NodeManager, itself, its disk; a container loses its application master."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from localhadoop.daemons import Daemon
from tests.support.containers import application_of, kill, node_of, processes
from tests.support.hub_user import START, HubUser, unfinished, until
from tests.support.hubs import log_of, log_size
from tests.support.outcomes import Outcome

# MiB on a disk of a node's own: room for what a server needs, and quickly filled.
SMALL_DISK = 64

NODE_GONE = "The node on which the server ran was lost or is unhealthy."


def start_and_remember(member: HubUser, cluster: LocalHadoop) -> str:
    """Start a server, and keep something in its kernel; the id of its application."""
    member.ask_to_start()
    member.wait_ready()
    member.run("answer = 42")
    return str(application_of(cluster, member.name)["id"])


def starts_elsewhere(member: HubUser, cluster: LocalHadoop, node: Daemon) -> None:
    """A new start works, on another node."""
    member.wait_gone(timeout=START)
    again = HubUser(member.address, member.name, member._password)
    again.ask_to_start()
    again.wait_ready()
    assert node_of(cluster, application_of(cluster, again.name)["id"]).name != node.name
    assert again.run("print(6 * 7)") == "42\n"


def test_node_manager_restarted(alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """NodeManager killed and restarted while a server runs."""
    application_id = start_and_remember(alice, cluster)
    node = node_of(cluster, application_id)
    node.kill()
    fault.begins()
    assert alice.run("print(answer)") == "42\n"
    node.start()
    node.wait_ready(START)
    cluster.wait_for_nodes(START)
    fault.recovered()
    assert alice.servers()[""]["ready"]
    assert alice.run("print(answer)") == "42\n"
    assert unfinished(cluster, "alice") == [application_id]
    alice.ask_to_stop()
    alice.wait_gone()
    until(lambda: not processes(application_id), START, "ended")
    fault.saw = "The server keeps running, with its kernels"


def test_node_lost(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Node lost permanently, with everything that runs on it."""
    application_id = start_and_remember(alice, cluster)
    node = node_of(cluster, application_id)
    since = log_size(hub)
    node.kill()
    kill(application_id)
    fault.begins()
    alice.wait_gone(timeout=START)
    assert NODE_GONE in alice.page("/hub/user/alice/")
    assert NODE_GONE in log_of(hub, since)
    starts_elsewhere(alice, cluster, node)
    fault.recovered()
    fault.saw = "The server stops, and the page says that its node was lost; a new one starts on another node"
    fault.lost = "the server"


def test_node_manager_gone_for_good(alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """NodeManager killed permanently, while its containers keep running."""
    application_id = start_and_remember(alice, cluster)
    node = node_of(cluster, application_id)
    node.kill()
    fault.begins()
    alice.wait_gone(timeout=START)
    assert NODE_GONE in alice.page("/hub/user/alice/")
    starts_elsewhere(alice, cluster, node)
    fault.recovered()
    until(lambda: not processes(application_id), START, "without processes of the lost server")
    fault.saw = "The server stops, and the page says that its node was lost; a new one starts on another node"
    fault.lost = "the server"


def test_application_master_killed(hub: Hub, alice: HubUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Application master killed."""
    application_id = start_and_remember(alice, cluster)
    since = log_size(hub)
    kill(application_id, "com.anaconda.skein.ApplicationMaster")
    fault.begins()
    alice.wait_gone(timeout=START)
    fault.recovered()
    assert "The server was killed, most likely because it used more memory than its limit of 384 MiB." in alice.page(
        "/hub/home"
    )
    assert f"{application_id} of alice has ended" in log_of(hub, since)
    until(lambda: not processes(application_id), START, "without processes of the lost server")
    fault.saw = "The server stops, and the page says that it was killed"
    fault.lost = "the server"


@pytest.fixture
def small_disk(cluster: LocalHadoop, alice: HubUser) -> Iterator[Callable[[Daemon], Path]]:
    """Gives a NodeManager's containers a small disk of their own, and at the end the large one back."""
    with ExitStack() as stack:

        def give(node: Daemon) -> Path:
            folder = cluster.directory / "nodes" / node.name / "local"
            node.stop()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}m", "tmpfs", folder], check=True)
            stack.callback(_take_back, node, folder)
            node.start()
            cluster.wait_ready(START)
            return folder

        yield give


def _take_back(node: Daemon, folder: Path) -> None:
    node.stop()
    subprocess.run(["umount", "--lazy", folder], check=True)
    node.start()


def fill(disk: Path) -> None:
    """Leave no byte free."""
    with (disk / "filler").open("ab", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(b"x" * (1 << 20))


def state_of(cluster: LocalHadoop, node: Daemon) -> str:
    host = cluster.settings.host(node.name)
    return next(str(found["state"]) for found in cluster.nodes() if found["nodeHostName"] == host)


def test_disk_full(
    hub: Hub, alice: HubUser, cluster: LocalHadoop, small_disk: Callable[[Daemon], Path], fault: Outcome
) -> None:
    """Disk of the node full."""
    first, second = cluster.node_managers
    disk = small_disk(first)
    second.stop()
    until(lambda: [node["state"] for node in cluster.nodes()].count("RUNNING") == 1, START, "on one node")
    start_and_remember(alice, cluster)
    second.start()
    cluster.wait_ready(START)
    fault.begins()
    fill(disk)
    alice.wait_gone(timeout=START)
    # What the server leaves behind is cleared away, and the disk would be good for another.
    until(lambda: fill(disk) or state_of(cluster, first) == "UNHEALTHY", START, "unhealthy")
    said = alice.page("/hub/user/alice/")
    assert NODE_GONE in said, said
    starts_elsewhere(alice, cluster, first)
    fault.recovered()
    fault.saw = "The server stops, and the page says why; a new one starts on another node"
    fault.lost = "the server"
