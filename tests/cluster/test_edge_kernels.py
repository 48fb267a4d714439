"""Kernels of a Jupyter server without a hub, such as JupyterLab on an edge node."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import edge_kernel
from tests.support.edge import Alice

COMMAND = [sys.executable, "-W", "ignore", "-m", "yarnspawner.cli.main", "kernelspec", "install", "--name", "big"]

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.fixture(params=["simple_cluster", "kerberos_cluster"])
def alice(request: pytest.FixtureRequest) -> Iterator[Alice]:
    home = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="alice-"))
    yield Alice(request.getfixturevalue(request.param), home)
    shutil.rmtree(home, ignore_errors=True)


def test_kernelspec_of_plain_server(alice: Alice) -> None:
    """A plain server runs, interrupts and restarts its user's encrypted kernels on the cluster, and leaves nothing."""
    alice.call([*COMMAND, "--memory", "512M", "--queue", "default", "--display-name", "Big"])
    spec = json.loads((alice.home / ".local/share/jupyter/kernels/big/kernel.json").read_text())
    assert spec["display_name"] == "Big"

    seen = json.loads(alice.call([sys.executable, "-W", "ignore", edge_kernel.__file__, "big"]).splitlines()[-1])
    print(seen)
    first, second = seen["first"], seen["second"]
    assert seen["encrypted"]
    assert first["memory"] == "512"
    assert first["uid"] == (pwd.getpwnam("alice").pw_uid if alice.cluster.kerberos else os.getuid())
    assert seen["interrupted"] == "KeyboardInterrupt"
    assert second["application"] == first["application"]
    assert second["pid"] != first["pid"]
    assert seen["alive"]
    assert not seen["alive_after"]

    # The application has succeeded, as its user, and its secrets are gone.
    ended = alice.application(first["application"])
    assert (ended["state"], ended["finalStatus"], ended["user"]) == ("FINISHED", "SUCCEEDED", "alice")
    assert not list((alice.home / ".local/share/jupyter/runtime").glob("yarn-*"))


def test_unknown_queue(alice: Alice) -> None:
    """A kernel in a queue that does not exist fails with a message that says so."""
    alice.call([*COMMAND, "--memory", "512M", "--queue", "nowhere"])
    with pytest.raises(subprocess.CalledProcessError) as failure:
        alice.call([sys.executable, "-W", "ignore", edge_kernel.__file__, "big"])
    assert "The queue nowhere does not exist." in failure.value.stderr
