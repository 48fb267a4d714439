"""A hub that offers kernels in containers, and the servers of its users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import END, unfinished, until
from tests.support.hubs import running
from tests.support.kernel_user import KernelUser

PYTHON = "yarn-python3-400-mb-1-core"
"""One of the kernelspecs in the launcher."""

_CONFIGURATION = Path(__file__).parent / "jupyterhub_config_kernels.py"


@contextmanager
def hub_with_kernels(cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory, **settings: str) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    kernels = tmp_path_factory.mktemp("jupyter")
    for path in (kernels, *kernels.parents[:2]):
        path.chmod(0o755)
    settings["TEST_JUPYTER_PATH"] = str(kernels)
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
