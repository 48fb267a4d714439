"""Keep the kernels in containers while a new process replaces their Jupyter server.

An extension of Jupyter Server, which the recipe enables in servers whose hub offers such kernels.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from yarnspawner.kernels.containers import KernelContainers, KernelRefused
from yarnspawner.kernels.remote_kernel import RemoteKernel
from yarnspawner.singleuser.kernel_specs import own_folder
from yarnspawner.singleuser.restart import KEEPER
from yarnspawner.singleuser.store import ServiceContainer, StoreError

_FILE = "kept.json"
# The variable that Jupyter Server sets for each kernel, with the path of its notebook. Others can be secrets.
_NOTEBOOK = "JPY_SESSION_NAME"

_known: dict[str, dict[str, Any]] = {}


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: Any) -> None:
    try:
        containers = KernelContainers.current()
    except KernelRefused as error:
        app.log.warning("Kernels are not kept when the server restarts: %s", error)
        return
    app.web_app.settings[KEEPER] = KeptKernels(app.kernel_manager, containers, app.log)


def take_known(kernel_id: str) -> dict[str, Any] | None:
    """Return what `get_provisioner_info` of the former process has returned for a kernel, once; None if nothing is known."""
    return _known.pop(kernel_id, None)


class KeptKernels:
    """Writes down a server's kernels in containers, and finds them again in a new process.

    - Jupyter Server's own `start_kernel` registers a kernel again. Its provisioner then finds the kernel that runs.
    - The file is private, and it contains no keys and no variables.
    - A container that no kernel in the file has is stopped.

    Args:
        manager: Jupyter Server's manager of kernels.
        containers: the containers of this server's kernels.
        log: the server's logger.
    """

    def __init__(self, manager: Any, containers: KernelContainers, log: Any) -> None:
        self._manager = manager
        self._containers = containers
        self._log = log
        self._file = own_folder(containers.folder) / _FILE
        self.restored = 0
        """How many kernels this process has found again."""

    async def save(self) -> list[str]:
        """Write the file, and return the kernels' ids."""
        kept = {
            kernel_id: await self._describe(kernel_id)
            for kernel_id in self._manager.list_kernel_ids()
            if self._keeps(kernel_id)
        }
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            json.dump(kept, stream)
        new.replace(self._file)
        return list(kept)

    async def detach(self) -> None:
        """Write the file and let go of its kernels, so that the server's end does not stop them."""
        for kernel_id in await self.save():
            kernel = self._manager.get_kernel(kernel_id)
            kernel.stop_restarter()
            self._manager.stop_watching_activity(kernel_id)
            self._manager.stop_buffering(kernel_id)
            self._manager.remove_kernel(kernel_id)
            kernel.cleanup_connection_file()

    async def restore(self) -> None:
        """Register the kernels of the file whose containers run. Called before the server answers requests."""
        kept = self._read()
        try:
            active = await self._containers.active()
        except StoreError as error:
            self._log.warning("It is not known which kernels still run: %s", error)
            active = None
        for kernel_id, known in kept.items():
            if active is None or known["provisioner"]["kernel"]["container"] in active:
                await self._register(kernel_id, known)
        self._log.info("%d of %d kernels in containers found again", self.restored, len(kept))
        await self._stop_unknown(active or {})

    def _keeps(self, kernel_id: str) -> bool:
        remote = RemoteKernel.known.get(kernel_id)
        # A kernel with an application of its own has credentials in this process.
        return remote is not None and remote.containers is self._containers and remote.present and remote.end is None

    async def _describe(self, kernel_id: str) -> dict[str, Any]:
        kernel = self._manager.get_kernel(kernel_id)
        launch = kernel._launch_args or {}  # noqa: SLF001 - a restart of the kernel needs them
        return {
            "name": kernel.kernel_name,
            "cwd": str(launch.get("cwd") or ""),
            "notebook": (launch.get("env") or {}).get(_NOTEBOOK, ""),
            "state": kernel.execution_state,
            "last_activity": kernel.last_activity.isoformat(),
            "provisioner": await kernel.provisioner.get_provisioner_info(),
        }

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            kept: dict[str, dict[str, Any]] = json.loads(self._file.read_text())
        except (OSError, ValueError) as error:
            self._log.warning("The former server's kernels are not known: %s", error)
            return {}
        self._file.unlink()
        return kept

    async def _register(self, kernel_id: str, known: dict[str, Any]) -> None:
        # With a file of the former process, the manager would not load the connection.
        Path(self._manager.connection_dir, f"kernel-{kernel_id}.json").unlink(missing_ok=True)
        _known[kernel_id] = known["provisioner"]
        environment = {**os.environ, **({_NOTEBOOK: known["notebook"]} if known["notebook"] else {})}
        folder = {"cwd": known["cwd"]} if known["cwd"] else {}
        try:
            await self._manager.start_kernel(kernel_id=kernel_id, kernel_name=known["name"], env=environment, **folder)
            kernel = self._manager.get_kernel(kernel_id)
        except Exception:  # noqa: BLE001 - the server must start, whatever is wrong with a kernel
            self._log.exception("Kernel %s is not found again", kernel_id)
            return
        self.restored += 1
        kernel.last_activity = datetime.fromisoformat(known["last_activity"])
        kernel.execution_state = known["state"]
        if known["state"] != "idle":
            _notice_idle(kernel)

    async def _stop_unknown(self, active: dict[str, ServiceContainer]) -> None:
        """Stop containers without a kernel, for example of a kernel that was starting when the former process ended."""
        owned = {known.container_id for kernel_id, known in RemoteKernel.known.items() if kernel_id in self._manager}
        for container in active.keys() - owned:
            self._log.info("Stopping %s, whose kernel is not known", container)
            try:
                await self._containers.kill(container)
            except StoreError as error:
                self._log.warning("%s could not be stopped: %s", container, error)


def _notice_idle(kernel: Any) -> None:
    """Set the state to idle when the kernel answers. It may have reported so while no server listened."""
    before = kernel.execution_state
    channel = kernel.connect_shell()

    def on_answer(_: Any) -> None:
        channel.close()
        if kernel.execution_state == before:
            kernel.execution_state = "idle"

    channel.on_recv(on_answer)
    # A kernel answers this request after the cells that it has received before.
    kernel.session.send(channel, "kernel_info_request")
