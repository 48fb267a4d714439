"""Kernels in containers of their own compute while something else fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from demo.hub import Hub
from demo.visitor import VisitError
from localhadoop import LocalHadoop
from localhadoop.daemons import Daemon
from tests.support.containers import application_of, processes
from tests.support.hub_user import END, START, unfinished, until
from tests.support.kernel_hubs import COMPUTE, PYTHON, computing, goes_on, hub_with_kernels
from tests.support.kernel_user import KernelUser
from tests.support.outcomes import Outcome

NODE = "import os; print(os.environ['NM_HOST'], os.environ['NM_PORT'], os.environ['CONTAINER_ID'])"


@pytest.fixture
def hub(cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub_with_kernels(cluster, tmp_path_factory) as hub:
        yield hub


@pytest.fixture
def alice(hub: Hub, cluster: LocalHadoop) -> Iterator[KernelUser]:
    alice = KernelUser(hub.address, "alice", hub.password)
    alice.ask_to_start()
    alice.wait_ready()
    alice.open_lab()
    yield alice
    cluster.restore()
    if not hub.running:
        hub.start()
    if alice.servers():
        alice.ask_to_stop()
    alice.wait_gone()
    until(lambda: not unfinished(cluster), END, "without applications")


def test_hub_killed(hub: Hub, alice: KernelUser, fault: Outcome) -> None:
    """Hub killed and started again while a kernel in a container computes."""
    kernel = computing(alice)
    hub.kill()
    fault.begins()
    hub.start()
    goes_on(hub, kernel)
    fault.recovered()
    fault.saw = "The server keeps running, and the cell runs to its end"


def test_resource_manager_killed(hub: Hub, alice: KernelUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """ResourceManager killed and restarted while a kernel in a container computes."""
    kernel = computing(alice)
    (daemon,) = [one for one in cluster.daemons.values() if one.name.startswith("resourcemanager")]
    daemon.kill()
    fault.begins()
    daemon.start()
    cluster.wait_ready(START)
    goes_on(hub, kernel)
    fault.recovered()
    another = alice.start_kernel(PYTHON)
    assert alice.execute(another, "print(6 * 7)") == "42\n"
    fault.saw = "The server keeps running, the cell runs to its end, and another kernel starts"


@pytest.mark.parametrize(
    ("what", "end"),
    [("Jupyter server", "yarnspawner.singleuser"), ("Application master", "com.anaconda.skein.ApplicationMaster")],
    ids=["server", "master"],
)
def test_server_killed(what: str, end: str, alice: KernelUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """{what} killed while a kernel in a container computes."""
    computing(alice)
    application_id = str(application_of(cluster, "alice")["id"])
    kill_module(application_id, end)
    fault.begins()
    alice.wait_gone(timeout=START)
    until(lambda: not processes(application_id), START, "without processes")
    fault.recovered()
    fault.saw = "The server stops, the page says why, and all its kernels stop"
    fault.lost = "the server and its kernels"


def test_node_lost(alice: KernelUser, cluster: LocalHadoop, fault: Outcome) -> None:
    """Node lost permanently on which a kernel in a container computes, and not its server."""
    # An ordinary kernel runs where its server does.
    server = alice.run(NODE).split()[:2]
    kernel, node, container = kernel_elsewhere(alice, cluster, server)
    alice.begin(kernel, COMPUTE)
    node.kill()
    kill_container(application_of(cluster, "alice")["id"], container)
    fault.begins()
    # Jupyter Server tells the notebook that the kernel is dead, and then forgets it.
    until(lambda: alice.kernel(kernel) is None, START, "dead")
    fault.recovered()
    assert alice.servers()[""]["ready"]
    another = alice.start_kernel(PYTHON)
    assert alice.execute(another, NODE).split()[:2] == server
    fault.saw = (
        "The notebook shows the kernel as dead; the server keeps running, and a new kernel starts on another node"
    )
    fault.lost = "the kernel"


def kernel_elsewhere(alice: KernelUser, cluster: LocalHadoop, server: list[str]) -> tuple[str, Daemon, str]:
    """A kernel on another node than its server's, that node, and the kernel's container."""
    for _ in range(12):
        kernel = alice.start_kernel(PYTHON)
        *address, container = alice.execute(kernel, NODE).split()
        if address != server:
            node = next(one for one in cluster.node_managers if one.address == ":".join(address))
            return kernel, node, container
        alice.shut_down(kernel)
    raise VisitError("all kernels run on the node of their server")


def kill_module(application_id: str, name: str) -> None:
    """End the processes that run a Python module or a Java class, and none of a submodule."""
    found = [pid for pid, command in processes(application_id).items() if name in command.split()]
    assert found, f"{application_id} has no process of {name}"
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_container(application_id: str, container: str) -> None:
    """End all processes of a container."""
    mark = f"CONTAINER_ID={container}\0".encode()
    for pid in processes(application_id):
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                os.kill(pid, signal.SIGKILL)
