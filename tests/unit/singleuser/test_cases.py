"""Cases 2 to 4 of public reports, in a container: what a site or a user sets for Jupyter counts."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.unit.singleuser.surroundings import ApplicationMaster
from tests.unit.singleuser.test_server_recipe import AS_ROOT, LONG, RECIPE, Start
from yarnspawner.common.protocol import ADDRESS_KEY, ERROR_KEY, STOP_KEY, Address, Failure, StopRequest
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


def test_case_3_jupyter_configuration(
    master: ApplicationMaster, start: Start, environment: dict[str, str], site: Path
) -> None:
    """A root_dir in the environment's own Jupyter configuration counts."""
    folder = Path(environment["HOME"]) / ".jupyter"
    folder.mkdir()
    (folder / "jupyter_server_config.py").write_text(f"c.ServerApp.root_dir = {str(site)!r}")
    start(RECIPE, *AS_ROOT)
    assert files(master) == {"here.txt"}


def test_case_2_former_argument(master: ApplicationMaster, start: Start, site: Path) -> None:
    """An option of NotebookApp, as in 0.4.0's documentation, is valid for today's server."""
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
    monkeypatch.setenv("JUPYTERHUB_ROOT_DIR", "$HOME/work")
    assert root_dir(None) == "/data/alice/work"


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


def test_case_22_module_names(master: ApplicationMaster, start: Start, tmp_path: Path) -> None:
    """A user's file with a module's name, in the prologue's working folder, does not break the server."""
    for name in ("tornado", "random", "jupyter_server", "asyncio", "skein"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')\n")
    (tmp_path / "contents_of_a_site.py").write_text(
        "from jupyter_server.services.contents.manager import ContentsManager\n"
        "class Contents(ContentsManager):\n    pass\n"
    )
    start(RECIPE, *AS_ROOT, "--ServerApp.contents_manager_class=contents_of_a_site.Contents")
    assert api(master, "/status")["kernels"] == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [("jupyter_server_config.json", "{"), ("jupyter_server_config.py", "c.ServerApp.root_dir = /oops")],
)
def test_case_22_home_configuration(
    master: ApplicationMaster, start: Start, environment: dict[str, str], name: str, content: str
) -> None:
    """A broken configuration in the user's home does not stop the server's start, or the error names its file."""
    folder = Path(environment["HOME"]) / ".jupyter"
    folder.mkdir()
    (folder / name).write_text(content)
    server = start(RECIPE, *AS_ROOT)
    end = time.monotonic() + LONG
    while ADDRESS_KEY not in master.values and ERROR_KEY not in master.values and time.monotonic() < end:
        time.sleep(0.2)
    if ERROR_KEY in master.values:
        assert name in Failure.from_bytes(master.values[ERROR_KEY]).message
        master.values[STOP_KEY] = StopRequest("Asked by a test", 20).to_bytes()
    server.terminate()
