"""Cases 2 to 4 of public reports, in a container: what a site or a user sets for Jupyter counts."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.unit.singleuser.surroundings import ApplicationMaster
from tests.unit.singleuser.test_server_recipe import AS_ROOT, LONG, RECIPE, Start
from yarnspawner.common.protocol import ADDRESS_KEY, Address
from yarnspawner.singleuser.server import _root_folder


def api(master: ApplicationMaster, path: str, data: bytes | None = None) -> Any:
    port = Address.from_bytes(master.wait(ADDRESS_KEY)).port
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/user/alice/api{path}", data, {"Authorization": "token a-token-of-alice"}
    )
    with urllib.request.urlopen(asked, timeout=LONG) as response:  # noqa: S310
        return json.load(response)


def files(master: ApplicationMaster) -> set[str]:
    return {entry["name"] for entry in api(master, "/contents/")["content"]}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "here.txt").write_text("")
    return folder


def test_case_3_configuration_of_the_environment(
    master: ApplicationMaster, start: Start, environment: dict[str, str], site: Path
) -> None:
    """A root_dir in the environment's own Jupyter configuration counts."""
    folder = Path(environment["HOME"]) / ".jupyter"
    folder.mkdir()
    (folder / "jupyter_server_config.py").write_text(f"c.ServerApp.root_dir = {str(site)!r}")
    start(RECIPE, *AS_ROOT)
    assert files(master) == {"here.txt"}


def test_case_2_argument_of_the_former_server(master: ApplicationMaster, start: Start, site: Path) -> None:
    """An option of NotebookApp, as in 0.4.0's documentation, is one of today's server."""
    start(RECIPE, *AS_ROOT, f"--NotebookApp.root_dir={site}")
    assert files(master) == {"here.txt"}


def test_case_3_folder_of_a_cd(master: ApplicationMaster, start: Start) -> None:
    """A folder other than the container's, as after a `cd` in the prologue, is where the server starts."""
    start(RECIPE, *AS_ROOT)
    assert "home" in files(master)


def test_case_3_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anything else, the server starts in the user's home; JupyterHub's notebook_dir comes first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/data/alice")
    monkeypatch.delenv("JUPYTERHUB_ROOT_DIR", raising=False)
    root_dir = _root_folder(str(tmp_path)).func
    assert root_dir(None) == "/data/alice"
    monkeypatch.setenv("JUPYTERHUB_ROOT_DIR", "~/notebooks")
    assert root_dir(None) == "/data/alice/notebooks"


def test_case_4_kernels_with_sockets(
    master: ApplicationMaster, start: Start, environment: dict[str, str], tmp_path: Path
) -> None:
    """Kernels start with transport=ipc although the container's folder is deep; the folder is removed at the end."""
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    temporary = Path(f"/tmp/case-4-{os.getpid()}")
    temporary.mkdir(mode=0o700)
    variables = {"JUPYTER_RUNTIME_DIR": str(deep), "TMPDIR": str(temporary)}
    server = start(RECIPE, *AS_ROOT, "--KernelManager.transport=ipc", **variables)
    kernel = api(master, "/kernels", b"{}")["id"]
    (short,) = temporary.glob("jupyter-*")
    assert short.stat().st_mode & 0o777 == 0o700
    assert json.loads((short / f"kernel-{kernel}.json").read_text())["transport"] == "ipc"
    server.terminate()
    server.communicate(timeout=LONG)
    assert not short.exists()
    temporary.rmdir()
