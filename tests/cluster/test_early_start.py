"""A server that starts with its container, before skein's application master has registered, on real clusters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from demo.hub import Hub
from demo.visitor import VisitError
from localhadoop import LocalHadoop
from tests.support.cluster_kinds import mostly_on_simple
from tests.support.hub_user import END, HubUser, unfinished, until
from tests.support.hubs import running

# Prints skein's variables, whether they are those of the registration, and variables that belong to the launch alone.
# It fails in a server that did not start early.
LOOK = """
import os, pathlib

folder = pathlib.Path(os.environ["YARNSPAWNER_REGISTRATION"]).parent
print(sorted(name for name in os.environ if name.startswith("SKEIN")))
print(os.environ["SKEIN_APPMASTER_ADDRESS"] in (folder / ".yarnspawner.registration").read_text())
print([name for name in ("BASH_ENV", "CLASSPATH", "JAVA_TOOL_OPTIONS") if name in os.environ])
"""

LOGS = """
import os
print(sorted({name for folder in os.environ["LOG_DIRS"].split(",") if os.path.isdir(folder)
              for name in os.listdir(folder) if "start" in name or "driver" in name}))
"""

# The shell between the container's first process and the script.
KILL = """
import os, pathlib, signal
folder = pathlib.Path(os.environ["YARNSPAWNER_REGISTRATION"]).parent
shell, script = map(int, (folder / ".yarnspawner.pids").read_text().split())
os.kill(shell, signal.SIGKILL)
"""


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[LocalHadoop]:
    cluster: LocalHadoop = request.getfixturevalue(request.param)
    yield cluster
    until(lambda: not unfinished(cluster), END, "without applications")


@pytest.fixture
def hub(cluster: LocalHadoop, tmp_path: Path) -> Iterator[Hub]:
    with running(cluster, tmp_path) as hub:
        yield hub


@mostly_on_simple("cluster")
def test_early_start(hub: Hub, cluster: LocalHadoop) -> None:
    """The server knows what skein tells its scripts, has skein's log, and ends with its shell."""
    alice = HubUser(hub.address, "alice", hub.password)
    alice.ask_to_start()
    alice.wait_ready()
    names, known, others = alice.run(LOOK).splitlines()
    assert "SKEIN_APPMASTER_ADDRESS" in names
    assert "SKEIN_RESOURCE_MEMORY" in names
    assert known == "True"
    assert others == "[]"
    assert alice.run(LOGS) == "['application.driver.log']\n"
    with suppress(VisitError):  # the kernel is ended, perhaps before its answer
        alice.run(KILL)
    alice.wait_gone(timeout=2 * END)
    until(lambda: not unfinished(cluster), END, "without applications")
