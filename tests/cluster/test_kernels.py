"""Kernels in containers of their own, on real clusters."""

from __future__ import annotations

import json
import pwd
import threading
import time
from collections.abc import Iterator

import pytest

from demo.hub import Hub
from demo.visitor import VisitError
from localhadoop import LocalHadoop
from tests.support.hub_user import until
from tests.support.kernel_hubs import PYTHON, WARM, containers, hub_with_kernels, server_of, spares
from tests.support.kernel_user import KernelUser

BASH = "yarn-bash-300-mb-1-core"

WHERE = """
import json, os
print(json.dumps({"uid": os.getuid(), "container": os.environ["CONTAINER_ID"], "memory": os.environ["SKEIN_RESOURCE_MEMORY"],
                  "pid": os.getpid()}))
"""

MASTER_LOG = """
import os
from pathlib import Path
print(next(Path(folder, "application.master.log").read_text() for folder in os.environ["LOG_DIRS"].split(",")
           if Path(folder, "application.master.log").exists()))
"""


@pytest.fixture(scope="module", params=["simple_cluster_of_session", "kerberos_cluster_of_session"])
def cluster(request: pytest.FixtureRequest) -> LocalHadoop:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def hub(cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with hub_with_kernels(cluster, tmp_path_factory) as hub:
        yield hub


@pytest.fixture(scope="module")
def alice(hub: Hub, cluster: LocalHadoop) -> Iterator[KernelUser]:
    with server_of("alice", hub, cluster) as alice:
        yield alice


def where(alice: KernelUser, kernel: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(alice.execute(kernel, WHERE))
    return found


pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


def test_launcher_offers_kernels(alice: KernelUser) -> None:
    """The launcher offers no kernel that is missing in the environment or too large for the cluster."""
    names = alice.kernelspecs()
    assert names.pop("python3")
    names.pop("bash")
    assert names == {
        PYTHON: "Python 3 · 400 MB · 1 core",
        BASH: "Bash · 300 MB · 1 core",
        WARM: "Python 3 · 350 MB · 1 core",
        "yarn-analysts": "Python 3 · 450 MB · 2 cores",
    }


def test_idle_master_polls(alice: KernelUser) -> None:
    """The idle master polls YARN each second, as new kernels wait for it. All else is from the node's files."""
    log = alice.execute(alice.start_kernel("python3"), MASTER_LOG)
    assert "Heartbeat intervals [idle: 1000 ms, pending: 1000 ms]" in log


def test_kernel_in_own_container(alice: KernelUser, cluster: LocalHadoop, hub: Hub) -> None:
    """A kernel runs in its own container, can be interrupted and restarted, and frees it soon after a shutdown."""
    before = containers(cluster)
    kernel = alice.start_kernel(PYTHON)
    found = where(alice, kernel)
    expected = pwd.getpwnam("alice").pw_uid if cluster.kerberos else 0
    assert found["uid"] == expected
    assert found["memory"] == "400"
    assert containers(cluster) == before + 1

    # Interrupt.
    timer = threading.Timer(2, alice.ask_kernel, [kernel, "interrupt"])
    timer.start()
    with pytest.raises(VisitError, match="KeyboardInterrupt"):
        alice.execute(kernel, "import time; time.sleep(60)")

    # Restart, in the same container.
    alice.execute(kernel, "kept = 1")
    start = time.monotonic()
    alice.ask_kernel(kernel, "restart")
    again = where(alice, kernel)
    print("restart", time.monotonic() - start)
    assert again["container"] == found["container"]
    assert again["pid"] != found["pid"]
    with pytest.raises(VisitError, match="NameError"):
        alice.execute(kernel, "kept")

    # A crash shows soon, and the kernel starts again in the same container.
    assert alice.crash(kernel, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "restarting") < 3
    assert where(alice, kernel)["container"] == found["container"]

    start = time.monotonic()
    alice.shut_down(kernel)
    assert alice.kernel(kernel) is None
    until(lambda: containers(cluster) == before, 15, "released")
    print("gone", time.monotonic() - start)
    assert time.monotonic() - start < 7


def test_kernels_page(alice: KernelUser, cluster: LocalHadoop) -> None:
    """A page shows the memory and cores that kernels hold, and stops a kernel."""
    before = containers(cluster)
    kernel = alice.start_kernel(PYTHON)
    where(alice, kernel)
    alice.wait_state(kernel, "idle")
    page = alice.kernels_page()
    assert f'data-kernel="{kernel}"' in page
    assert "400 MB · 1 core" in page
    assert "400 MiB for 0 min, idle for 0 min" in page
    assert alice.press_stop_elsewhere(kernel) == 403
    assert alice.kernel(kernel) is not None
    alice.press_stop(kernel)
    assert alice.kernel(kernel) is None
    assert kernel not in alice.kernels_page()
    until(lambda: containers(cluster) == before, 15, "released")


def test_another_language_is_encrypted(alice: KernelUser) -> None:
    """A Bash kernel, whose connections the recipe encrypts, runs code and restarts in its container."""
    kernel = alice.start_kernel(BASH)
    assert alice.execute(kernel, "echo $CONTAINER_ID $BASH_VERSION").startswith("container_")
    alice.ask_kernel(kernel, "restart")
    assert alice.execute(kernel, "echo $((6 * 7))").strip() == "42"
    alice.shut_down(kernel)


def test_kernel_limit(alice: KernelUser) -> None:
    """A start over the limit fails with a message that names the number of allowed kernels."""
    kernels = [alice.start_kernel(BASH) for _ in range(3)]
    with pytest.raises(VisitError, match="Your administrator allows 3 kernels in containers at the same time"):
        alice.start_kernel(BASH)
    for kernel in kernels:
        alice.shut_down(kernel)


def test_spare_container(alice: KernelUser, cluster: LocalHadoop) -> None:
    """The next kernel of a size gets its hidden spare container. A kernel of another size replaces the spare."""
    until(lambda: containers(cluster) == 1, 15, "rid of other tests' kernels")
    first = alice.start_kernel(WARM)
    until(lambda: spares(alice, first), 60, "a spare container")
    (spare,) = spares(alice, first)
    assert containers(cluster) == 3
    assert alice.kernels_page().count("data-kernel=") == 1

    start = time.monotonic()
    second = alice.start_kernel(WARM)
    found = where(alice, second)
    print("in a spare container", time.monotonic() - start)
    assert alice.execute(second, "print(os.environ['SKEIN_CONTAINER_ID'])").strip() == spare
    assert found["memory"] == "350"
    alice.ask_kernel(second, "restart")
    assert where(alice, second)["container"] == found["container"]

    # The limit is three containers.
    until(lambda: spares(alice, first), 60, "another spare container")
    third = alice.start_kernel(PYTHON)
    assert not spares(alice, first)
    for kernel in (first, second, third):
        alice.shut_down(kernel)


def test_kernel_over_memory(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A kernel over its memory is not restarted. The server goes on, and the user can start another kernel."""
    # By default, YARN leaves the limit to cgroups.
    properties = {
        "yarn.nodemanager.resource.memory.enforced": "false",
        "yarn.nodemanager.container-monitor.interval-ms": "1000",
    }
    with (
        LocalHadoop(properties=properties) as cluster,
        hub_with_kernels(cluster, tmp_path_factory) as hub,
        server_of("alice", hub, cluster) as alice,
    ):
        kernel = alice.start_kernel(PYTHON)
        alice.crash(kernel, "x = b'x' * (900 << 20)", "dead")
        # Jupyter Server forgets a kernel that is dead. The notebook gets another one, in a new container.
        assert alice.kernel(kernel) is None
        another = alice.start_kernel(PYTHON)
        assert where(alice, another)["uid"] is not None
        alice.shut_down(another)
