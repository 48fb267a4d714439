"""The Jupyter server is replaced under its kernels, on real clusters."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from demo.hub import Hub
from localhadoop import LocalHadoop
from tests.support.hub_user import unfinished
from tests.support.kernel_hubs import PYTHON, hub_with_kernels, server_of
from tests.support.kernel_user import KernelUser

BASH = "yarn-bash-300-mb-1-core"
WHERE = "import os; print(os.environ['CONTAINER_ID'], os.getpid())"

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


@pytest.fixture(params=[("simple_cluster_of_session", "master"), ("kerberos_cluster_of_session", "service")])
def cluster_and_hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalHadoop, Hub]]:
    name, server_container = request.param
    cluster = request.getfixturevalue(name)
    with hub_with_kernels(cluster, tmp_path_factory, TEST_SERVER_CONTAINER=server_container) as hub:
        yield cluster, hub


class Asking(threading.Thread):
    """Somebody who uses the server all the time."""

    def __init__(self, alice: KernelUser) -> None:
        super().__init__(daemon=True)
        self._alice = alice
        self._stopped = threading.Event()
        self.longest = 0.0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._stopped.wait(0.1):
            began = time.monotonic()
            try:
                self._alice.server_began()
            except Exception as error:  # noqa: BLE001 - reported
                self.failures.append(repr(error))
            self.longest = max(self.longest, time.monotonic() - began)

    def finish(self) -> None:
        self._stopped.set()
        self.join()


def test_kernels_outlive_their_server(cluster_and_hub: tuple[LocalHadoop, Hub]) -> None:
    """A kernel keeps its id, variables, notebook and cell; an ordinary one stops. Nobody's request is refused."""
    cluster, hub = cluster_and_hub
    with server_of("alice", hub, cluster) as alice:
        kept, busy, ordinary = alice.start_kernel(PYTHON), alice.start_kernel(BASH), alice.start_kernel("python3")
        alice.execute(kept, "x = 41")
        place = alice.execute(kept, WHERE)
        sessions = alice.sessions()
        alice.begin(busy, "sleep 25; marker=finished")
        began, applications = alice.server_began(), unfinished(cluster)

        start = time.monotonic()
        asking = Asking(alice)
        asking.start()
        said = alice.restart_jupyter()
        asking.finish()
        print(f"restart {time.monotonic() - start:.1f} s, longest request {asking.longest:.1f} s")
        assert said == "Jupyter has restarted. 2 kernels in containers keep running."
        assert asking.failures == []
        assert alice.server_began() != began
        assert (alice.kernel(busy) or {})["execution_state"] == "busy"
        assert alice.kernel(ordinary) is None
        assert alice.sessions() == {kernel: sessions[kernel] for kernel in (kept, busy)}
        assert alice.execute(kept, "print(x + 1)").strip() == "42"
        assert alice.execute(kept, WHERE) == place
        alice.wait_state(busy, "idle")
        assert alice.execute(busy, "echo $marker").strip() == "finished"
        assert unfinished(cluster) == applications

        # Once more. The kernel is still the server's: it restarts and stops as before.
        assert alice.restart_jupyter() == "Jupyter has restarted. 2 kernels in containers keep running."
        assert alice.execute(kept, "print(x + 1)").strip() == "42"
        alice.ask_kernel(kept, "restart")
        assert alice.execute(kept, WHERE).split()[0] == place.split()[0]
        alice.shut_down(kept)
        alice.shut_down(busy)
        assert alice.sessions() == {}
