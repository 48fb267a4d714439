"""Jupyter's server on sockets that the recipe has bound."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Imported when the recipe is ready to report that it cannot be.
from jupyter_server.serverapp import ServerApp
from traitlets import default

from yarnspawner.singleuser.encryption import encrypt_kernels
from yarnspawner.singleuser.failure import RecipeError
from yarnspawner.singleuser.hub_wait import context_of, find_hub
from yarnspawner.singleuser.kernel_specs import kernel_settings
from yarnspawner.singleuser.listening import PORT_RANGE_VARIABLE, bind_first_free_port, parse_port_range
from yarnspawner.singleuser.restart import FormerProcess, keeper_of
from yarnspawner.singleuser.runtime_folder import short_runtime_folder

SERVICE_URL_VARIABLE = "JUPYTERHUB_SERVICE_URL"


class ListeningServer:
    """Mixin for Jupyter's ``ServerApp`` that uses sockets which are already bound.

    Jupyter by itself looks for a free port, lets it go and takes it again later, when somebody else may have it.
    A process that replaces another one has its sockets.
    """

    sockets: list[socket.socket]
    container_folder: str
    replaces_another: bool
    address: tuple[str, int]
    on_listening: Callable[[Any], None]
    shorten_runtime_folder: Callable[[Any, str], str]

    def _find_http_port(self: Any) -> None:
        # Arguments of the user's go before what the hub asks for.
        if (self.ip, self.port) != self.address and not self.replaces_another:
            for unused in self.sockets:
                unused.close()
            type(self).sockets = bind_first_free_port(self.ip, [self.port])
        self.port = self.sockets[0].getsockname()[1]

    def init_configurables(self: Any) -> None:
        # After all configuration has been read, and before the manager of the kernels is made from it.
        self.update_config(encrypt_kernels(self.config))
        self.runtime_dir = self.shorten_runtime_folder(self.config, self.runtime_dir)
        self.update_config(kernel_settings(self.config, os.environ, self.container_folder))
        super().init_configurables()  # type: ignore[misc]

    def _bind_http_server_tcp(self: Any) -> bool:
        return True  # in start_ioloop

    def start_ioloop(self: Any) -> None:
        if self.replaces_another and (keeper := keeper_of(self)) is not None:
            # Before the first request: Jupyter forgets the sessions of a kernel that it does not know.
            try:
                self.io_loop.run_sync(keeper.restore)
            except Exception:
                self.log.exception("The former server's kernels are not found again")
        self.http_server.add_sockets(self.sockets)
        # After all that can fail, such as the check of the hub's version and the refusal to run as root. A loop runs
        # its callbacks in order, so this one comes after the server's own.
        self.io_loop.add_callback(self.on_listening, self)
        super().start_ioloop()  # type: ignore[misc]


def _waits_for_hub(tell: Callable[[str], None]) -> Callable[[Any], Any]:
    """Return a check that replaces JupyterHub's own, which gives up after five requests."""

    async def check_hub_version(self: Any) -> None:
        url = getattr(self, "hub_api_url", "") or self.hub_auth.api_url
        auth = self.hub_auth
        try:
            version = await find_hub(url, tell, context_of(auth.keyfile, auth.certfile, auth.client_ca))
        except RecipeError as error:
            # Of other exceptions Jupyter says only that an extension could not be loaded.
            self.log.critical("%s", error)
            raise SystemExit(1) from error
        with contextlib.suppress(ImportError):
            from jupyterhub._version import __version__, _check_version

            _check_version(version or None, __version__, self.log)

    return check_hub_version


def serve(
    arguments: list[str],
    on_listening: Callable[[Any], None],
    on_waiting: Callable[[str], None],
    container_folder: str,
    former: FormerProcess | None,
) -> None:
    """Run JupyterHub's single-user server until it is stopped.

    Args:
        arguments: of ``jupyterhub-singleuser``.
        on_listening: called with the ``ServerApp`` on its event loop, once, when it listens.
        on_waiting: called with what the server waits for before that, and "" when it waits no more.
        container_folder: where the container began.
        former: the process that this one replaces.

    Raises:
        ListenError: no port is free.
        RecipeError: the hub's part of the environment is missing.
        SystemExit: Jupyter did not like something, and has logged what.
        ImportError: the environment lacks a package.
    """
    ListeningServer.sockets, ListeningServer.address = _listen_as_told(former)
    ListeningServer.on_listening = staticmethod(on_listening)
    ListeningServer.container_folder = container_folder
    ListeningServer.replaces_another = former is not None
    with short_runtime_folder() as shorten:
        ListeningServer.shorten_runtime_folder = staticmethod(shorten)
        application = _application(_waits_for_hub(on_waiting), _root_folder(container_folder))
        application.launch_instance([_renamed(argument) for argument in arguments])


def _renamed(argument: str) -> str:
    """Return an option of Jupyter's former server under its name of today."""
    return re.sub(r"^--NotebookApp\.", "--ServerApp.", argument)


def _root_folder(container_folder: str) -> Any:
    """Return the default of Jupyter's ``root_dir``; its configuration and options win.

    It is JupyterHub's ``notebook_dir``, or the folder of a ``cd`` in the prologue, or the user's home.
    """

    def root_dir(self: Any) -> str:
        if told := os.environ.get("JUPYTERHUB_ROOT_DIR"):
            # As in 0.4.0, where it was an argument in a shell.
            return str(Path(os.path.expandvars(told)).expanduser())
        folder = Path.cwd()
        moved = folder.resolve() != Path(container_folder).resolve()
        return str(folder) if moved else os.environ.get("HOME") or str(folder)

    return default("root_dir")(root_dir)


def _listen_as_told(former: FormerProcess | None) -> tuple[list[socket.socket], tuple[str, int]]:
    """Bind the address in the hub's service URL, and put the port into that variable, which Jupyter reads.

    The sockets of a former process are bound already.
    """
    told = os.environ.get(SERVICE_URL_VARIABLE)
    if not told:
        raise RecipeError(f"{SERVICE_URL_VARIABLE} is not set: only JupyterHub's spawner can start this.")
    url = urlsplit(told)
    host = url.hostname or ""
    if former is not None:
        sockets = former.sockets()
    else:
        ports = [url.port] if url.port else parse_port_range(os.environ.get(PORT_RANGE_VARIABLE, ""))
        sockets = bind_first_free_port(host, ports)
    port = sockets[0].getsockname()[1]
    netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # JupyterHub takes port 0 in it for 80.
    os.environ[SERVICE_URL_VARIABLE] = url._replace(netloc=netloc).geturl()
    return sockets, (host, port)


def _application(check: Callable[[Any], Any], root_folder: Any) -> Any:
    """Return JupyterHub's application, chosen by the environment, with a listening server."""
    from jupyterhub import singleuser

    if not hasattr(singleuser, "SingleUserNotebookApp"):
        # The default: an extension of Jupyter Server.
        from jupyterhub.singleuser.extension import JupyterHubSingleUser

        JupyterHubSingleUser.serverapp_class = type("ServerApp", (ListeningServer, ServerApp), {"_root": root_folder})
        JupyterHubSingleUser.check_hub_version = check
        return JupyterHubSingleUser

    # JUPYTERHUB_SINGLEUSER_EXTENSION=0: a subclass of it, JupyterLab's if there is one and no other is asked for.
    base = singleuser.SingleUserNotebookApp
    if not os.environ.get("JUPYTERHUB_SINGLEUSER_APP"):
        with contextlib.suppress(ImportError):
            base = importlib.import_module("jupyterlab.labhubapp").SingleUserLabApp
    if base is None or not issubclass(base, ServerApp):
        raise RecipeError("JUPYTERHUB_SINGLEUSER_APP must name an application of Jupyter Server.")
    return type(base.__name__, (ListeningServer, base), {"check_hub_version": check, "_root": root_folder})
