"""Jupyter Server's page of the kernels in containers: what each holds, for how long it has been idle, and a Stop button.

The recipe enables it in servers whose hub offers such kernels. Elsewhere:
``jupyter server extension enable yarnspawner.kernels.page``.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web

from yarnspawner.common.units import duration, text
from yarnspawner.kernels.remote_kernel import RemoteKernel
from yarnspawner.kernels.wait_events import emit_waits
from yarnspawner.singleuser.store import StoreError

PATH = "yarnspawner/kernels"
"""The page's path below the server's base URL."""

_PAGE_OPTION = "yarnspawnerKernels"
_TEMPLATE = Path(__file__).resolve().parent.parent / "templates" / "kernels.html"
_MEBIBYTE = 1 << 20


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: Any) -> None:
    pattern = url_path_join(app.web_app.settings["base_url"], PATH)
    app.web_app.add_handlers(".*$", [(pattern, KernelsHandler)])
    # yarnspawner's extension of JupyterLab then offers the page.
    app.web_app.settings.setdefault("page_config_data", {})[_PAGE_OPTION] = PATH
    emit_waits(app.event_logger)


@dataclass(frozen=True)
class KernelRow:
    """One kernel on the page."""

    id: str
    notebook: str
    size: str
    holds: str
    """``8 GiB for 3 h, idle for 2 h 40 min``"""
    node: str
    state: str


def describe(kernel_id: str, kernel: RemoteKernel, model: Mapping[str, Any], notebook: str, now: float) -> KernelRow:
    """Return what the page says of a kernel.

    Args:
        kernel_id: its id.
        kernel: the kernel.
        model: Jupyter Server's model of the kernel; empty while it starts.
        notebook: path of its notebook; "" if unknown.
        now: seconds since the epoch.
    """
    holds = text("mem_limit", kernel.size.memory * _MEBIBYTE)
    if kernel.end is not None and kernel.end.message:
        state = kernel.end.message
    elif kernel.address is None:
        state = f"{kernel.progress.sentence} It has waited for {duration(now - kernel.progress.requested)}."
    else:
        state = str(model.get("execution_state", ""))
        if kernel.progress.requested:
            holds += f" for {duration(now - kernel.progress.requested)}"
        if state == "idle" and model.get("last_activity"):
            holds += f", idle for {duration(now - _seconds(model['last_activity']))}"
    node = kernel.address.node if kernel.address else ""
    return KernelRow(kernel_id, notebook, kernel.size.text, holds, node, state)


def lost_kernels(now: float) -> list[tuple[str, str, str, str]]:
    """Return notebook, size, time and reason of the last kernels that YARN has stopped, the latest first."""
    return [(one.name, one.size, f"{duration(now - one.ended)} ago", one.reason) for one in RemoteKernel.lost]


class KernelsHandler(JupyterHandler):
    """The page, and the form behind its Stop buttons."""

    auth_resource = "kernels"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Show the page."""
        notebooks = {one["kernel"]["id"]: one["path"] for one in await self.session_manager.list_sessions()}
        rows = [
            describe(kernel_id, kernel, self._model(kernel_id), notebooks.get(kernel_id, ""), time.time())
            for kernel_id, kernel in sorted(RemoteKernel.known.items(), key=lambda item: item[1].progress.requested)
            if kernel.present
        ]
        self.set_header("Cache-Control", "no-store")
        await self.finish(_template().render(rows=rows, lost=lost_kernels(time.time()), form=self.xsrf_form_html()))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Stop a kernel. The page's form needs Jupyter's protection against forged requests."""
        kernel_id = self.get_body_argument("kernel")
        if kernel_id in self.kernel_manager:
            await self.kernel_manager.shutdown_kernel(kernel_id)
        elif (kernel := RemoteKernel.known.get(kernel_id)) is not None:
            # Jupyter Server does not know a kernel while it starts.
            with contextlib.suppress(StoreError):
                await kernel.release()
        self.redirect(self.request.path)

    def _model(self, kernel_id: str) -> Mapping[str, Any]:
        if kernel_id not in self.kernel_manager:
            return {}
        model: Mapping[str, Any] = self.kernel_manager.kernel_model(kernel_id)
        return model


@functools.cache
def _template() -> jinja2.Template:
    return jinja2.Environment(autoescape=True).from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _seconds(moment: str) -> float:
    # Before Python 3.11, Z cannot be read.
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
