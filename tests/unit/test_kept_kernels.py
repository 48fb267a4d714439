"""Kernels in containers, and their sessions, outlive their Jupyter server. The containers are local processes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.services.sessions.sessionmanager import SessionManager

from tests.support.file_store import FileStore, file_store
from tests.support.local_kernel import run_cell
from yarnspawner.common.kernel_protocol import KERNEL_ID_VARIABLE, LAUNCH_VARIABLE
from yarnspawner.common.protocol import ADDRESS_KEY
from yarnspawner.kernels.containers import KernelContainers
from yarnspawner.kernels.kept import KeptKernels
from yarnspawner.kernels.remote_kernel import RemoteKernel

LOG = logging.getLogger(__name__)
NOTEBOOK = "/home/alice/a.ipynb"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    with file_store(tmp_path / "store") as store:
        store.put(ADDRESS_KEY, b"here")
        yield store


class Server:
    """What counts of a process of Jupyter Server: its kernels, its sessions and what keeps them."""

    def __init__(self, folder: Path) -> None:
        spec = folder / "kernels" / "small"
        spec.mkdir(parents=True, exist_ok=True)
        provisioner = {"provisioner_name": "yarn-provisioner", "config": {"size": "small"}}
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        metadata = {"supported_encryption": ["curve"], "kernel_provisioner": provisioner}
        document = {"argv": argv, "display_name": "Small", "language": "python", "metadata": metadata}
        (spec / "kernel.json").write_text(json.dumps(document))
        (folder / "runtime").mkdir(exist_ok=True)
        self.kernels = AsyncMappingKernelManager(
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(folder / "kernels")]),
            connection_dir=str(folder / "runtime"),
            root_dir=str(folder),
        )
        self.sessions = SessionManager(kernel_manager=self.kernels, database_filepath=str(folder / "sessions"), log=LOG)
        self.keeper = KeptKernels(self.kernels, KernelContainers.current(), LOG)

    async def run(self, kernel_id: str, code: str) -> str:
        return await run_cell(self.kernels.get_kernel(kernel_id), code)


async def until(holds: Any) -> None:
    for _ in range(600):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not in time")


@pytest.mark.full
async def test_kernels_outlive_their_server(store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their variables, ids and sessions are the same. They restart and stop as before, and ended ones are forgotten."""
    monkeypatch.setenv("A_TOKEN", "a-secret-of-alice")
    first = Server(tmp_path)
    environment = {**os.environ, "JPY_SESSION_NAME": NOTEBOOK}
    kept, ended, busy = [
        await first.kernels.start_kernel(kernel_name="small", cwd=str(tmp_path), env=environment) for _ in range(3)
    ]
    await first.run(kept, "x = 41")
    await first.sessions.save_session("s1", path="a.ipynb", name="", type="notebook", kernel_id=kept)
    await first.sessions.save_session("s2", path="b.ipynb", name="", type="notebook", kernel_id=ended)
    client = first.kernels.get_kernel(busy).client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    client.execute("import time; time.sleep(4)")
    await until(lambda: first.kernels.get_kernel(busy).execution_state == "busy")
    client.stop_channels()

    await first.keeper.detach()
    assert first.kernels.list_kernel_ids() == []
    file = tmp_path / "store" / "containers" / "server" / ".yarnspawner-kernels" / "kept.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert "a-secret-of-alice" not in text
    assert "curve" not in text
    assert NOTEBOOK in text
    store.kill_container(RemoteKernel.known[ended].container_id)
    unknown = store.add_container("kernel-small", {KERNEL_ID_VARIABLE: "unknown", LAUNCH_VARIABLE: "none"})
    first.sessions.close()

    second = Server(tmp_path)
    await second.keeper.restore()
    assert not file.exists()
    assert second.keeper.restored == 2
    assert set(second.kernels.list_kernel_ids()) == {kept, busy}
    assert unknown in store.killed
    assert second.kernels.kernel_model(busy)["execution_state"] == "busy"
    assert second.kernels.kernel_model(kept)["execution_state"] == "idle"
    sessions = await second.sessions.list_sessions()
    assert [(one["id"], one["path"], one["kernel"]["id"]) for one in sessions] == [("s1", "a.ipynb", kept)]
    assert await second.run(kept, "print(x + 1)") == "42"
    await until(lambda: second.kernels.kernel_model(busy)["execution_state"] == "idle")

    await second.kernels.restart_kernel(kept)
    assert await second.run(kept, "x") == "NameError"
    assert (
        await second.run(kept, "import os; print(os.environ['JPY_SESSION_NAME'], os.getcwd())")
        == f"{NOTEBOOK} {tmp_path}"
    )
    await second.kernels.shutdown_all()
    assert not store.containers()


async def test_nothing_kept(store: FileStore, tmp_path: Path) -> None:
    """Without a file, or with one that cannot be read, the server starts without kernels."""
    server = Server(tmp_path)
    await server.keeper.restore()
    assert await server.keeper.save() == []
    await server.keeper.restore()
    assert server.keeper.restored == 0
