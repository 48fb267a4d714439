"""The kernel provisioner, with containers that are local processes."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec

from tests.support.file_store import FileStore, file_store
from tests.support.local_kernel import run_cell
from yarnspawner.common.kernel_protocol import SECRET_FILE, KernelEnd, end_key
from yarnspawner.common.spare_protocol import ready_key
from yarnspawner.kernels import spares
from yarnspawner.kernels.containers import KernelRefused
from yarnspawner.kernels.remote_kernel import RemoteKernel
from yarnspawner.provisioner import YarnProvisioner
from yarnspawner.singleuser.store import StoreError

PYTHON = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
BASH = ["python", "-m", "bash_kernel", "-f", "{connection_file}"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    with file_store(tmp_path / "store", containers=1) as store:
        yield store


def manager(argv: list[str], size: str = "small", **config: Any) -> AsyncKernelManager:
    manager = AsyncKernelManager()
    encrypts = {"supported_encryption": ["curve"]} if argv is PYTHON else {}
    provisioner = {"provisioner_name": "yarn-provisioner", "config": {"size": size, **config}}
    manager._kernel_spec = KernelSpec(
        argv=argv,
        display_name="",
        language="",
        env={"PS1": "$"},
        metadata={**encrypts, "kernel_provisioner": provisioner},
    )
    return manager


@asynccontextmanager
async def running(argv: list[str]) -> AsyncIterator[tuple[AsyncKernelManager, Callable[[str], Awaitable[str]]]]:
    """A kernel, and what runs a cell in it and returns its output or the name of its error."""
    kernel = manager(argv)
    await kernel.start_kernel()

    async def run(code: str) -> str:
        return await run_cell(kernel, code)

    try:
        yield kernel, run
    finally:
        await kernel.shutdown_kernel(now=True)


@pytest.mark.full
@pytest.mark.parametrize(("argv", "pid"), [(PYTHON, "import os; print(os.getpid())"), (BASH, "echo $PPID")])
async def test_kernel_in_container(store: FileStore, argv: list[str], pid: str) -> None:
    """A kernel is interrupted, restarted and killed in one container, its keys are in no file, and nothing remains."""
    async with running(argv) as (kernel, run):
        first = await run(pid)
        address = kernel.get_connection_info()
        assert kernel.provisioner.has_process
        assert address["curve_secretkey"] not in _all_files(store)
        assert address["key"].decode() not in _all_files(store)

        sleeping = asyncio.ensure_future(run("import time; time.sleep(60)" if argv is PYTHON else "sleep 60"))
        await asyncio.sleep(2)
        await kernel.interrupt_kernel()
        await asyncio.wait_for(sleeping, 20)

        await kernel.restart_kernel()
        assert kernel.get_connection_info() == address
        second = await run(pid)
        assert second != first

        await kernel.signal_kernel(signal.SIGKILL)
        await asyncio.wait_for(kernel.provisioner.wait(), 2)
        assert await kernel.provisioner.poll() == 128 + signal.SIGKILL
        assert not await kernel.is_alive()
        await kernel.restart_kernel(now=True)
        assert await run(pid) not in (first, second)
        assert list(store.containers()) == ["kernel-small_0"]
    assert not store.containers()
    assert not store.get_prefix("")


@pytest.mark.full
async def test_kernel_is_found_again(store: FileStore) -> None:
    """Another process finds the kernel by its provisioner information, which is JSON without keys."""
    async with running(PYTHON) as (kernel, _):
        information = json.dumps(await kernel.provisioner.get_provisioner_info())
        assert kernel.get_connection_info()["key"].decode() not in information
        found = YarnProvisioner(kernel_id="", kernel_spec=kernel.kernel_spec)
        await found.load_provisioner_info(json.loads(information))
        assert found.has_process
        assert await found.poll() is None
        assert found.connection_info == kernel.provisioner.connection_info
        await found.kill()
        assert await found.wait() == 128 + signal.SIGKILL
        assert not await kernel.is_alive()


@pytest.mark.full
async def test_stopped_container(store: FileStore) -> None:
    """After YARN stops a kernel's container, only the user can restart the kernel, and the reason is shown."""
    async with running(PYTHON) as (kernel, run):
        container = store.processes["kernel-small_0"]
        container.kill()  # the shell that leads it
        container.wait()
        assert await asyncio.wait_for(kernel.provisioner.wait(), 5) is not None
        assert "YARN stopped the kernel's container. It was over its memory." in kernel.reason
        with pytest.raises(KernelRefused, match="not restarted automatically"):
            await kernel.restart_kernel(now=True)
        assert "It was over its memory." in RemoteKernel.lost[0].reason
        await kernel.restart_kernel()
        assert await run("print(6 * 7)") == "42"
        assert list(store.containers()) == ["kernel-small_1"]


@pytest.mark.full
async def test_spare_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel in a spare container is like any other, and the server gets another spare container."""
    monkeypatch.setattr(spares, "_DELAY", 0.0)
    monkeypatch.setattr(spares, "_INTERVAL", 0.1)
    with file_store(tmp_path / "store", warm=1) as store:
        async with running(PYTHON) as (_, run):
            await _ready(store, "kernel-small_1")
            async with running(PYTHON) as (kernel, run_too):
                variables = "import os; print(sorted(name for name in os.environ if 'YARNSPAWNER' in name))"
                assert await run_too(variables) == await run(variables)
                assert kernel.get_connection_info()["curve_secretkey"] not in _all_files(store)
                await kernel.restart_kernel()
                assert await run_too("import os; print(os.environ['TEST_CONTAINER'])") == "kernel-small_1"
                await _ready(store, "kernel-small_2")
        assert list(store.containers()) == ["kernel-small_2"]
        assert all("spare" in key for key in store.get_prefix(""))


async def _ready(store: FileStore, container_id: str) -> None:
    until = asyncio.get_running_loop().time() + 60
    while store.get(ready_key(container_id)) is None:
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.1)


async def test_refused_size(store: FileStore) -> None:
    """A start with a kernel size that is not offered fails, and the message lists the sizes."""
    with pytest.raises(KernelRefused, match=r"The kernel size 'vast' is not offered to you; choose from small, large"):
        await manager(PYTHON, "vast").start_kernel()


async def test_kernel_limit(store: FileStore) -> None:
    """A start above the limit of concurrent kernels fails, and the message names the limit."""
    store.add_container = store.processes.setdefault  # type: ignore[assignment]
    store.containers = lambda *_, **__: {"kernel-small_0": type("", (), {"service": "kernel-small"})}  # type: ignore[assignment,return-value]
    with pytest.raises(
        KernelRefused, match=r"allows 1 kernel in containers at the same time. Shut down a kernel first"
    ):
        await manager(PYTHON).start_kernel()


async def test_failed_start(store: FileStore) -> None:
    """The message of a failed kernel start has the exit status and the last output."""
    with pytest.raises(KernelRefused, match=r"ended with exit status 1. .*No module named nothing"):
        await manager(["python", "-m", "nothing"]).start_kernel()
    assert not store.containers()


async def test_outside_of_a_server() -> None:
    """A start outside of a YarnSpawner server fails with a message that says so."""
    with pytest.raises(KernelRefused, match="needs a server that YarnSpawner has started"):
        await manager(PYTHON).start_kernel()


async def test_application_master_outage(store: FileStore) -> None:
    """A kernel has not ended while its ApplicationMaster does not answer."""
    provisioner = YarnProvisioner(kernel_id="1", kernel_spec=manager(PYTHON).kernel_spec)
    known = {"container": "kernel-small_0", "serial": 0, "address": None}
    await provisioner.load_provisioner_info({"kernel_id": "1", "connection_info": {}, "size": "small", "kernel": known})

    def fail(prefix: str) -> dict[str, bytes]:
        raise StoreError("away")

    store.get_prefix, answer = fail, store.get_prefix  # type: ignore[method-assign]
    assert await provisioner.poll() is None
    await provisioner.send_signal(signal.SIGINT)
    store.get_prefix = answer  # type: ignore[method-assign]
    store.put(end_key("1"), KernelEnd(1, 3, "It failed.").to_bytes())
    assert await provisioner.poll() == 3
    assert await provisioner.wait() == 3
    assert not provisioner.has_process
    assert provisioner.get_shutdown_wait_time(5) == 7


def _all_files(store: FileStore) -> str:
    """All that the store and the containers' logs have."""
    return "".join(
        path.read_text(errors="replace")
        for path in store.folder.rglob("*")
        if path.is_file() and path.name not in (SECRET_FILE, "connection.json")
    )
