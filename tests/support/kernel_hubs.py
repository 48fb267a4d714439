"""A hub that offers kernels in containers, and the servers of its users."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from demo.hub import Hub
from demo.visitor import VisitError
from localhadoop import LocalHadoop
from tests.support.hub_user import END, START, unfinished, until
from tests.support.hubs import running
from tests.support.kernel_user import KernelUser

PYTHON = "yarn-python3-400-mb-1-core"
"""One of the kernelspecs in the launcher."""

WARM = "yarn-warm"
"""The one with a spare container."""

COMPUTE = "import time; answer = 0\nfor _ in range(20):\n    time.sleep(1); answer += 1"
"""Twenty seconds of work."""

# Ids of the spare containers that are ready.
_SPARES = """
import json
from yarnspawner.common.spare_protocol import READY, SPARES_PREFIX
from yarnspawner.singleuser.store import Store
keys = [key.removeprefix(SPARES_PREFIX).rpartition(".") for key in Store().get_prefix(SPARES_PREFIX)]
print(json.dumps([container for container, _, name in keys if name == READY]))
"""

_CONFIGURATION = Path(__file__).parent / "jupyterhub_config_kernels.py"


@contextmanager
def hub_with_kernels(cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory, **settings: str) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    # Not below pytest's own folder, which is private.
    with tempfile.TemporaryDirectory(prefix="kernelspecs-") as kernels:
        Path(kernels).chmod(0o755)
        settings["TEST_JUPYTER_PATH"] = kernels
        with running(cluster, folder, configuration=_CONFIGURATION, settings=settings) as hub:
            yield hub


@contextmanager
def server_of(name: str, hub: Hub, cluster: LocalHadoop) -> Iterator[KernelUser]:
    """A user whose server runs; it is stopped in the end, and no application of the user is left."""
    user = KernelUser(hub.address, name, hub.password)
    user.ask_to_start()
    user.wait_ready()
    user.open_lab()
    yield user
    user.ask_to_stop()
    user.wait_gone()
    until(lambda: not unfinished(cluster, name), END, "without applications")


def containers(cluster: LocalHadoop) -> int:
    """The number of all running containers."""
    return sum(app["runningContainers"] for app in cluster.applications() if app["runningContainers"] > 0)


def spares(alice: KernelUser, kernel: str) -> list[str]:
    """The ids of the ready spare containers, as a kernel sees them in the store."""
    found: list[str] = json.loads(alice.execute(kernel, _SPARES))
    return found


def computing(alice: KernelUser) -> str:
    """A kernel in a container that computes."""
    kernel = alice.start_kernel(PYTHON)
    alice.begin(kernel, COMPUTE)
    return kernel


def goes_on(hub: Hub, kernel: str) -> None:
    """The kernel is there, and its cell runs to its end."""

    def done() -> bool:
        with suppress(requests.RequestException, VisitError):
            again = KernelUser(hub.address, "alice", hub.password)
            again.wait_ready(timeout=START)
            again.open_lab()
            return again.execute(kernel, "print(answer)") == "20\n"
        return False

    until(done, START, "done with its cell")
