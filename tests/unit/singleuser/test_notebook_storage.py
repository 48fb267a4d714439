"""Where notebooks are, and how JupyterLab says it."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest

from tests.unit.singleuser.surroundings import ApplicationMaster
from tests.unit.singleuser.test_server_recipe import AS_ROOT, LONG, RECIPE, Start
from yarnspawner.common.notebook_storage import storage_notice
from yarnspawner.common.protocol import ADDRESS_KEY, NOTEBOOKS_KEY, Address, Notebooks
from yarnspawner.singleuser.notebook_storage import detect_storage

CONTAINER = "/hadoop/nm/usercache/alice/appcache/application_1_0001/container_1_0001_01_000001"
MOUNTS = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw - proc proc rw
30 21 0:40 / /home rw,relatime shared:9 - autofs systemd-1 rw,fd=31
31 30 0:41 / /home rw,relatime shared:10 master:3 - nfs4 filer:/home rw,vers=4.2
32 31 8:2 /scratch /home/alice/scratch rw - xfs /dev/sdb1 rw
33 21 0:43 / /mnt/my\040share rw - cifs //server/share rw
34 21 0:44 / /gpfs rw - gpfs gpfs0 rw
35 21 0:45 / /dev/shm rw - tmpfs tmpfs rw
36 21 0:46 / /hdfs rw - fuse.fuse_dfs fuse_dfs rw
37 21 0:47 / /homes rw - btrfs /dev/sdc rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "storage"),
    [
        ("/home/alice", "shared"),
        ("/home/alice/scratch/work", "node"),
        ("/homes/alice", "node"),
        ("/mnt/my share/alice", "shared"),
        ("/gpfs/alice", "shared"),
        ("/hdfs/user/alice", "shared"),
        ("/dev/shm/alice", "node"),
        ("/srv/alice", "node"),
        ("/", "node"),
        (CONTAINER, "container"),
        (CONTAINER + "/work", "container"),
        ("/hadoop/nm/usercache/alice/appcache/application_1_0001", "container"),
        ("/hadoop/nm2/usercache/alice/appcache/application_1_0001/tmp", "container"),
        ("/hadoop/nm/usercache/alice/appcache/application_1_00012", "node"),
    ],
)
def test_detect_storage(folder, storage):
    """The container's folders are deleted, local file systems are one node's, and others count as shared."""
    local = "/hadoop/nm/usercache/alice/appcache/application_1_0001"
    environ = {"LOCAL_DIRS": f"{local},{local.replace('nm', 'nm2')}"}
    assert detect_storage(folder, environ, CONTAINER, MOUNTS) == storage


def test_link(tmp_path):
    """A link to the container's folder is that folder."""
    container = tmp_path / "container"
    container.mkdir()
    (tmp_path / "home").symlink_to(container)
    assert detect_storage(str(tmp_path / "home" / "alice"), {}, str(container), MOUNTS) == "container"


@pytest.mark.parametrize(("runtime", "storage"), [("docker", "container"), ("default", "node")])
def test_docker(runtime, storage):
    """A container's own layers are gone with it; a node may be a container itself."""
    mounts = "500 1 0:50 / / rw - overlay overlay rw\n501 500 8:1 /data /data rw - ext4 /dev/sda1 rw"
    environ = {"YARN_CONTAINER_RUNTIME_TYPE": runtime}
    assert detect_storage("/home/alice", environ, "/container", mounts) == storage
    assert detect_storage("/data/alice", environ, "/container", mounts) == "node"


@pytest.mark.parametrize("storage", ["shared", "node", "container"])
def test_setting(storage):
    """What an admin has set counts."""
    assert detect_storage(CONTAINER, {"YARNSPAWNER_NOTEBOOK_STORAGE": storage}, CONTAINER, MOUNTS) == storage


def test_unknown():
    """Without a list of mounts, there is no notice."""
    assert detect_storage("/home/alice", {}, CONTAINER, "") == "shared"
    assert storage_notice("shared", "worker1") == storage_notice("", "worker1") == ""


@pytest.mark.parametrize("storage", ["node", "container"])
def test_notice_says_what_to_do(storage):
    """A user learns what happens and what to do; an admin, which setting helps."""
    notice = storage_notice(storage, "")
    assert "Download what you want to keep" in notice
    assert "notebook_dir" in notice


def read(port: int, path: str) -> str:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/user/alice{path}", headers={"Authorization": "token a-token-of-alice"}
    )
    with urllib.request.urlopen(asked, timeout=LONG) as response:  # noqa: S310
        return str(response.read().decode())


def test_server_in_the_container(master: ApplicationMaster, start: Start) -> None:
    """A server publishes where its notebooks are, and JupyterLab's page has the notice and the extension that shows it."""
    start(RECIPE, *AS_ROOT, f"--ServerApp.root_dir={master.folder}")
    port = Address.from_bytes(master.wait(ADDRESS_KEY)).port
    assert Notebooks.from_bytes(master.values[NOTEBOOKS_KEY]).storage == "container"
    page = read(port, "/lab")
    options = json.loads(
        page.partition('<script id="jupyter-config-data" type="application/json">')[2].partition("<")[0]
    )
    assert "YARN deletes them" in options["yarnspawnerNotice"]
    (extension,) = [found for found in options["federated_extensions"] if found["name"] == "yarnspawner"]
    assert "apputils:notify" in read(port, f"/lab/extensions/yarnspawner/{extension['load']}")


def test_other_contents_manager(master: ApplicationMaster, start: Start, tmp_path: Path) -> None:
    """A contents manager that does not use files keeps notebooks elsewhere."""
    (tmp_path / "elsewhere.py").write_text(
        "from jupyter_server.services.contents.manager import ContentsManager\n"
        "class Elsewhere(ContentsManager):\n    pass\n"
    )
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    start(RECIPE, *AS_ROOT, "--ServerApp.contents_manager_class=elsewhere.Elsewhere", PYTHONPATH=path)
    master.wait(ADDRESS_KEY)
    assert Notebooks.from_bytes(master.values[NOTEBOOKS_KEY]).storage == "shared"
