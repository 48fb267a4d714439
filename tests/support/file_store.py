"""A key-value store in a folder, with containers that are local processes: the application master of tests without YARN."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from yarnspawner.common.kernel_protocol import SECRET_FILE, KernelOffer, KernelSize
from yarnspawner.kernels.containers import KernelContainers
from yarnspawner.singleuser.store import ServiceContainer

FOLDER = "TEST_FILE_STORE"
CONTAINER = "TEST_CONTAINER"


class FileStore:
    """Has the methods of :class:`yarnspawner.singleuser.store.Store`; a folder is one application."""

    def __init__(self, *, lazy: bool = False) -> None:
        self.folder = Path(os.environ[FOLDER])
        self.container_id = os.environ.get(CONTAINER)
        self.container_folder = str(self.folder / "containers" / (self.container_id or "server"))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.killed: set[str] = set()
        Path(self.container_folder).mkdir(parents=True, exist_ok=True)
        (self.folder / "keys").mkdir(exist_ok=True)

    def put(self, key: str, value: bytes, *, lasting: bool = False) -> None:
        new = self.folder / f"new-{os.getpid()}-{threading.get_ident()}"
        new.write_bytes(value)
        new.rename(self._file(key))

    def get(self, key: str) -> bytes | None:
        try:
            return self._file(key).read_bytes()
        except FileNotFoundError:
            return None

    def discard(self, key: str) -> None:
        self._file(key).unlink(missing_ok=True)

    def get_prefix(self, prefix: str) -> dict[str, bytes]:
        keys = [urllib.parse.unquote(file.name) for file in (self.folder / "keys").iterdir()]
        found = {key: self.get(key) for key in keys if key.startswith(prefix)}
        return {key: value for key, value in found.items() if value is not None}

    def discard_prefix(self, prefix: str) -> None:
        for key in self.get_prefix(prefix):
            self.discard(key)

    def add_container(self, service: str, env: dict[str, str]) -> str:
        name = f"{service}_{len(self.processes)}"
        folder = self.folder / "containers" / name
        folder.mkdir()
        shutil.copyfile(Path(self.container_folder) / SECRET_FILE, folder / SECRET_FILE)
        # A shell leads the container's session and process group, as in a container.
        self.processes[name] = subprocess.Popen(
            ["bash", "-c", f"{sys.executable} -W ignore -m {__spec__.name}; exit $?"],
            env={**os.environ, **env, CONTAINER: name, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("wb"),
            start_new_session=True,
        )
        return name

    def kill_container(self, container_id: str) -> None:
        process = self.processes[container_id]
        if process.poll() is None:
            self.killed.add(container_id)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def containers(self, service: str | None = None, *, ended: bool = False) -> dict[str, ServiceContainer]:
        found = {}
        for name, process in list(self.processes.items()):
            state = "RUNNING"
            if process.poll() is not None:
                state = "KILLED" if name in self.killed else "SUCCEEDED" if process.returncode == 0 else "FAILED"
            own = name.rpartition("_")[0]
            if service in (None, own) and (ended or state == "RUNNING"):
                found[name] = ServiceContainer(own, state, "It was over its memory." if state == "FAILED" else "")
        return found

    def watch(self, first: str, last: str, *, removals: bool = False) -> NoWatch:
        return NoWatch()

    def _file(self, key: str) -> Path:
        return self.folder / "keys" / urllib.parse.quote(key, safe="")


class NoWatch:
    """An event stream that does not work, so that the store is asked."""

    active = False

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass


@contextmanager
def file_store(folder: Path, *, containers: int = 0, memory: int = 0, warm: int = 0) -> Iterator[FileStore]:
    """A server's store, from which its provisioners get containers of two sizes; all of them end with the context.

    Args:
        folder: new folder of the store.
        containers: limit of ``kernel_limit``.
        memory: limit of ``kernel_limit`` in MiB.
        warm: number of spare containers of the size ``small``.
    """
    folder.mkdir(parents=True)
    os.environ[FOLDER] = str(folder)
    store = FileStore()
    secret = os.urandom(32)
    Path(store.container_folder, SECRET_FILE).write_bytes(secret)
    sizes = KernelSize("small", "python3", "", 400, 1, warm=warm), KernelSize("large", "python3", "", 8192, 4)
    offer = KernelOffer(sizes, containers, memory, "analysts")
    KernelContainers._current = KernelContainers(store, offer, secret)  # type: ignore[arg-type]
    try:
        yield store
    finally:
        KernelContainers._current = None
        for name in store.processes:
            store.kill_container(name)
        del os.environ[FOLDER]


def main() -> int:
    """Run the recipe of a kernel's container with this store."""
    from yarnspawner.singleuser import kernel_container

    kernel_container.Store = FileStore  # type: ignore[assignment,misc]
    return kernel_container.main()


if __name__ == "__main__":
    sys.exit(main())
