"""A Jupyter server is replaced while its kernels in containers compute, and the hub fails during that time."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
import requests

from demo.visitor import VisitError
from localhadoop import LocalHadoop
from tests.support.hub_user import END, START, until
from tests.support.kernel_hubs import PYTHON, hub_with_kernels, server_of
from tests.support.kernel_user import KernelUser
from tests.support.outcomes import Outcome


def test_hub_killed(cluster: LocalHadoop, tmp_path_factory: pytest.TempPathFactory, fault: Outcome) -> None:
    """Hub killed while Jupyter restarts under its kernels in containers."""
    with (
        hub_with_kernels(cluster, tmp_path_factory) as hub,
        server_of("alice", hub, cluster) as alice,
    ):
        kernel = alice.start_kernel(PYTHON)
        alice.execute(kernel, "answer = 42")
        began = alice.server_began()
        pressing = threading.Thread(target=press, args=[alice], daemon=True)
        pressing.start()
        pressing.join(2)
        hub.kill()
        fault.begins()
        hub.start()
        until(lambda: restarted(alice, began), START, "restarted")
        assert alice.execute(kernel, "print(answer)") == "42\n"
        fault.recovered()
        alice.wait_ready(timeout=END)
        assert alice.restart_jupyter() == "Jupyter has restarted. 1 kernel in a container keeps running."
        fault.saw = "The server keeps running, with its kernels in containers"


def press(alice: KernelUser) -> None:
    with suppress(requests.RequestException, AssertionError):
        alice.restart_jupyter()


def restarted(alice: KernelUser, began: str) -> bool:
    with suppress(requests.RequestException, VisitError):
        return alice.server_began() != began
    return False
