"""Jupyter's kernel provisioner for kernels in YARN containers of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Enum, Float, Unicode

from yarnspawner.common.kernel_protocol import CONNECTION_FILE
from yarnspawner.kernels.application_settings import ApplicationSettings
from yarnspawner.kernels.containers import KernelContainers, KernelRefused
from yarnspawner.kernels.kept import take_known
from yarnspawner.kernels.remote_kernel import INTERVAL, OBEDIENCE, LostKernel, RemoteKernel
from yarnspawner.singleuser.store import StoreError

_SECRETS = ("key", "curve_publickey", "curve_secretkey")


class YarnProvisioner(ApplicationSettings, KernelProvisionerBase):  # type: ignore[metaclass]
    """Runs a kernel in a YARN container of its own.

    - In a server that YarnSpawner has started, the container is added to the server's application.
    - If the kernelspec has a ``memory``, the kernel has an application of its own, with the ticket of the server's account.
    - The kernel's connection is encrypted. Its keys are derived, so none of them is sent or stored anywhere.
    - The kernel's own report tells of its end. If the application master does not answer, the kernel counts as running.
    - A kernel that ends by itself starts again in the same container, at the same address.
    - A kernel whose container YARN stopped is not restarted until the user asks for it.
    """

    size = Unicode(
        "",
        config=True,
        help="""
        Slug of the kernel's size in the hub's `kernel_profiles`. The launcher's kernelspecs set it. Default: the first size.
        """,
    )

    restart_policy = Enum(
        ["keep", "renew"],
        "keep",
        config=True,
        help="""
        What a restart of a kernel does with its container.

        With ``keep``, the new process runs in the same container. With ``renew``, YARN has to find another container, and
        clients have to connect again. Default: ``keep``.
        """,
    )

    start_timeout = Float(
        120.0,
        config=True,
        help="""
        Timeout, in seconds, for YARN to give a container to a kernel and for the kernel to listen. Default: 120.
        """,
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._kernel: RemoteKernel | None = None
        self._waited = True
        self._user_restarts = False

    # -- Launch

    @property
    def has_process(self) -> bool:
        """True from the launch until the end has been waited for. Called by `KernelManager.has_kernel`."""
        return self._kernel is not None and not self._waited

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Return the command with the connection file's path left open. Called by `KernelManager.pre_start_kernel`."""
        kwargs.pop("transport_encryption", None)  # the connection is encrypted in any case
        extra = kwargs.pop("extra_arguments", [])
        cmd = [*self.kernel_spec.argv, *extra]
        if self.parent is not None:
            path = os.path.realpath(self.parent.connection_file)
            cmd = [word.replace(path, CONNECTION_FILE) for word in self.parent.format_kernel_cmd(extra_arguments=extra)]
        return await super().pre_launch(cmd=cmd, **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel, wait until it listens, and return its address. Called by `KernelManager.launch_kernel`.

        A kernel that was started by the server's former process is not started, but found again.

        Raises:
            KernelRefused: with a message for the user. No container is left behind.
        """
        if (known := take_known(str(self.kernel_id))) is not None:
            await self.load_provisioner_info(known)
            return self.connection_info
        if self._kernel is None:
            self._kernel = self._find_kernel()
        kernel = self._kernel
        self._refuse_silent_restart(kernel, kwargs.get("env", {}).get("JPY_SESSION_NAME", ""))
        supported = self.kernel_spec.metadata.get("supported_encryption", [])
        # The container has the server's own environment already.
        added = {name: value for name, value in kwargs.get("env", {}).items() if os.environ.get(name) != value}
        launch = kernel.launch(cmd, added, str(kwargs.get("cwd") or Path.cwd()), can_encrypt="curve" in supported)
        self._user_restarts = False
        try:
            if self.restart_policy == "renew" or not await kernel.restart(launch, self.start_timeout):
                await kernel.start(launch, self.start_timeout)
        except StoreError as error:
            raise KernelRefused(f"YARN or the application master does not answer: {error}") from error
        self._waited = False
        if kernel.address is not None:
            self.log.info("Kernel %s runs on %s in %s", self.kernel_id, kernel.address.node, kernel.address.container)
        information: Any = kernel.connection
        self.connection_info = information
        return self.connection_info

    def _find_kernel(self) -> RemoteKernel:
        kernel_id = str(self.kernel_id)
        if not self.memory:
            return RemoteKernel(KernelContainers.current(), kernel_id, self.size, self.log)
        # Deferred: a server that YarnSpawner has started needs no access to YARN.
        from yarnspawner.kernels.application import KernelApplication
        from yarnspawner.kernels.cluster_thread import ClusterThread
        from yarnspawner.kernels.request import KernelError

        try:
            application = KernelApplication(self.application_request(), kernel_id, ClusterThread.shared())
        except KernelError as error:
            raise KernelRefused(str(error)) from None
        return RemoteKernel(application, kernel_id, "", self.log)

    def _refuse_silent_restart(self, kernel: RemoteKernel, notebook: str) -> None:
        """Raise if Jupyter restarts a kernel by itself although YARN stopped its container. The page of kernels then says why."""
        end = kernel.end
        if end is None or not end.final or self._user_restarts:
            return
        self._user_restarts = True  # Jupyter tries once
        name = notebook or str(self.kernel_id)
        RemoteKernel.lost.appendleft(LostKernel(name, kernel.size.text, end.message, time.time()))
        restarter = getattr(self.parent, "_restarter", None)
        if restarter is not None:
            restarter._fire_callbacks("dead")  # noqa: SLF001 - else Jupyter shows "Restarting" forever
        raise KernelRefused(f"{end.message} It is not restarted automatically; restart it yourself.")

    # -- Life

    async def poll(self) -> int | None:
        """Return None while the kernel runs, or if its state is unknown; else its exit status. Called by `KernelManager.is_alive`."""
        kernel = self._kernel
        if kernel is None or not kernel.present:
            return 0
        if kernel.end is not None:
            return kernel.end.status
        try:
            end = await kernel.find_end()
        except StoreError as error:
            self.log.debug("Kernel %s: its state is unknown: %s", self.kernel_id, error)
            return None
        if end is None:
            return None
        if end.message:
            self.log.warning("Kernel %s has ended: %s", self.kernel_id, end.message)
            # Jupyter Server shows it with the kernel.
            if self.parent is not None:
                self.parent.reason = end.message
        return end.status

    async def wait(self) -> int | None:
        """Wait until the kernel ends, and return its exit status. Called by `KernelManager.finish_shutdown`."""
        status = await self.poll()
        while status is None:
            await asyncio.sleep(INTERVAL)
            status = await self.poll()
        self._waited = True
        return status

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group. Called by `KernelManager.signal_kernel`."""
        if self._kernel and self._kernel.present and self._kernel.end is None and signum:
            with self._logged("the signal could not be sent"):
                await self._kernel.command("signal", number=signum)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel to end. Called by `KernelManager.finish_shutdown`."""
        await self.send_signal(signal.SIGTERM)

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel. Called by `KernelManager.kill_kernel`."""
        if self._kernel and self._kernel.present and self._kernel.end is None:
            with self._logged("it could not be killed"):
                await self._kernel.kill()

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Note that the user asked for it. Called by `KernelManager.request_shutdown`."""
        self._user_restarts = restart

    async def cleanup(self, restart: bool = False) -> None:
        """Release the container, unless the kernel restarts in it. Called by `KernelManager.cleanup_resources`."""
        if self._kernel is None or (restart and self.restart_policy == "keep"):
            return
        with self._logged("its container could not be released"):
            await self._kernel.release()

    @contextlib.contextmanager
    def _logged(self, failure: str) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            self.log.warning("Kernel %s: %s: %s", self.kernel_id, failure, error)

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """Return the seconds for a shutdown; word of the end takes up to a second. Called by `finish_shutdown`."""
        return recommended + OBEDIENCE

    # -- For a restart of the Jupyter server

    async def get_provisioner_info(self) -> dict[str, Any]:
        """Return what another server process needs to find the kernel again; it contains no keys."""
        information = await super().get_provisioner_info()
        information["connection_info"] = {
            name: value for name, value in self.connection_info.items() if name not in _SECRETS
        }
        return information | {"size": self.size, "kernel": self._kernel.to_dict() if self._kernel else None}

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        """Find the kernel again, with what `get_provisioner_info` of another process returned."""
        await super().load_provisioner_info(provisioner_info)
        self.size = provisioner_info["size"]
        if provisioner_info["kernel"] is not None:
            self._kernel = self._find_kernel()
            self._kernel.load(provisioner_info["kernel"])
            self._waited = not self._kernel.present
            information: Any = self._kernel.connection
            self.connection_info = information
