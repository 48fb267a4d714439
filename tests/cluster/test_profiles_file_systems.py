"""More file systems than the default one, on the secure cluster: WebHDFS is another, which wants a token of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from localhadoop import LocalHadoop
from tests.support.hub_user import HubUser
from tests.support.hubs import running
from tests.support.profile_forms import choose, leave

CONFIGURATION = """
import os

c = get_config()
load_subconfig(os.environ["EXAMPLE_CONFIGURATION"])
c.JupyterHub.spawner_class = "yarnspawner.YarnSpawner"
c.YarnSpawner.profile_list = [
    {"display_name": "One"},
    {"display_name": "Both", "yarnspawner_override": {"file_systems": [os.environ["OTHER_FILE_SYSTEM"]]}},
]
"""
LIST = """
import subprocess
done = subprocess.run(["hdfs", "dfs", "-ls", "-d", "WHAT/user/alice"], capture_output=True, text=True)
print(done.returncode, done.stdout, done.stderr)
"""


@pytest.mark.full
@pytest.mark.timeout(600)
def test_token_of_other_file_system(kerberos_cluster: LocalHadoop, tmp_path: Path) -> None:
    """A profile with another file system gives its server the token for it, and a profile without does not."""
    other = f"webhdfs://{kerberos_cluster.settings.address('namenode-web')}"
    configuration = tmp_path / "jupyterhub_config.py"
    configuration.write_text(CONFIGURATION)
    folder = tmp_path / "hub"
    folder.mkdir(0o700)
    settings = {"OTHER_FILE_SYSTEM": other}
    with running(kerberos_cluster, folder, configuration=configuration, settings=settings) as hub:
        alice = HubUser(hub.address, "alice", hub.password)
        printed = {}
        for profile in ("one", "both"):
            choose(alice, profile=profile)
            assert alice.run(LIST.replace("WHAT", "")).startswith("0 ")
            printed[profile] = alice.run(LIST.replace("WHAT", other))
            leave(alice)
            alice = HubUser(hub.address, "alice", hub.password)
    assert "Authentication required" in printed["one"]
    assert printed["both"].startswith("0 "), printed["both"]
    assert f"{other}/user/alice" in printed["both"]
