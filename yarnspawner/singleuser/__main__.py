"""The server recipe: a JupyterHub server in a YARN container.

``python -m yarnspawner.singleuser [options of jupyterhub-singleuser]``

The spawner finds a server by what this recipe publishes, so a server that is started otherwise
(``cmd = ["jupyterhub-singleuser"]``) is never found.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
import traceback
from typing import Any

from yarnspawner.common.protocol import (
    ADDRESS_KEY,
    ERROR_KEY,
    NOTEBOOKS_KEY,
    STATUS_KEY,
    STOP_KEY,
    Address,
    Failure,
    Notebooks,
    Restarted,
    RestartRequest,
    Waiting,
)
from yarnspawner.singleuser.descendants import guard
from yarnspawner.singleuser.early_publication import publish_early
from yarnspawner.singleuser.environment import ensure_writable_dirs, node_name, resolve_certificate_paths
from yarnspawner.singleuser.failure import RecipeError, Tail, explain, say
from yarnspawner.singleuser.fast_exit import FastExit
from yarnspawner.singleuser.imports import defer_grammar_import, defer_hub_imports, skip_yarn_configuration
from yarnspawner.singleuser.kernel_specs import install_kernelspecs
from yarnspawner.singleuser.log import LogLimit
from yarnspawner.singleuser.notebook_storage import install_labextension, show_storage, storage_of
from yarnspawner.singleuser.restart import Restart, keeper_of
from yarnspawner.singleuser.stop_watcher import StopWatcher
from yarnspawner.singleuser.store import NotInContainer, Store, StoreError

_NAME = "yarnspawner.singleuser"

_HELP = """\
python -m yarnspawner.singleuser [options of jupyterhub-singleuser]

Starts a JupyterHub server in the YARN container that this runs in. It listens on any free port, or on one of
YARNSPAWNER_PORT_RANGE=first:last. It publishes its address in the application's key-value store, where the hub reads it.
It stops or restarts in order when the hub requests it. If it cannot start, it publishes why. All options are those of
jupyterhub-singleuser:
"""

# Seconds for the hub to read a failure, which goes when the application ends.
_FAILURE_READ_TIMEOUT = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Run the server until it is stopped; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help", "--help-all"} & set(arguments):
        return _help(arguments)
    restart = Restart()
    try:
        store = Store()
    except (NotInContainer, ImportError) as error:
        say(_NAME, str(error))
        return 1
    LogLimit().watch()
    with contextlib.redirect_stderr(Tail(sys.stderr)) as tail:
        recipe = Recipe(store, restart)
        try:
            recipe.run(arguments)
            return 0
        # SystemExit is how Jupyter ends when something is wrong.
        except BaseException as error:  # noqa: BLE001
            if not isinstance(error, (RecipeError, SystemExit)):
                traceback.print_exc()
            failure = explain(error, tail.text)
            say(_NAME, failure.message)
            _report(store, failure)
            return 1


class Recipe:
    """Run a server in its container."""

    def __init__(self, store: Store, restart: Restart) -> None:
        self._store = store
        self._restart = restart
        self._watcher: StopWatcher | None = None
        self._waiting = ""

    def run(self, arguments: list[str]) -> None:
        """Serve until stopped. Any exception is a failure."""
        ensure_writable_dirs(os.environ, self._store.container_folder)
        resolve_certificate_paths(os.environ, self._store.container_folder)
        install_kernelspecs(os.environ, self._store.container_folder)
        install_labextension(os.environ)
        defer_grammar_import()
        # What is imported stays, so nothing is gained by looking for garbage among it until the server listens.
        gc.disable()
        defer_hub_imports()
        skip_yarn_configuration()
        # Late, and here: the import of Jupyter takes a second and is the first thing to go wrong.
        from yarnspawner.singleuser.server import serve

        try:
            serve(arguments, self._watch, self._wait, self._store.container_folder, self._restart.former)
        except BaseException as error:
            # Extensions may end the process of a server that listens and was asked to stop; that is no failure.
            ended = isinstance(error, SystemExit) and error.code in (0, None) and self._watcher is not None
            if not ended and not self._restart.pending:
                raise
        if self._restart.pending:
            self._restart.run()
        if self._watcher is None:
            raise RecipeError("Jupyter ended before it listened.")
        if self._watcher.unpublished:
            raise RecipeError(f"The server's address could not be published: {self._watcher.unpublished}")

    def _wait(self, message: str) -> None:
        """Publish what the server waits for, for the progress page."""
        if message == self._waiting:
            return
        self._waiting = message
        if message:
            say(_NAME, message)
        with contextlib.suppress(StoreError):  # the message is optional, so the server starts without it
            if message:
                self._store.put(STATUS_KEY, Waiting(message).to_bytes())
            else:
                self._store.discard(STATUS_KEY)

    def _watch(self, app: Any) -> None:
        address = Address("https" if app.certfile else "http", node_name(), app.port)
        storage = storage_of(app, self._store.container_folder)
        show_storage(app, storage)
        # The server is of no use before it is published, and what extensions begin now would slow the application master.
        values = {NOTEBOOKS_KEY: Notebooks(storage).to_bytes(), ADDRESS_KEY: address.to_bytes()}
        publish_early(self._store, values, app.sockets, address.host)
        gc.enable()

        def stop() -> None:
            app.io_loop.add_callback(app.stop)

        def restart(request: RestartRequest) -> None:
            self._restart.begin(app, request)

        self._watcher = StopWatcher(
            self._store,
            address,
            stop=stop,
            log=app.log,
            notebooks=Notebooks(storage),
            restart=restart,
            restarted=self._restarted(app),
        )
        self._watcher.start()

    def _restarted(self, app: Any) -> Restarted | None:
        """Return what to publish if this process has replaced another one."""
        if (former := self._restart.former) is None:
            return None
        keeper = keeper_of(app)
        return Restarted(former.request, keeper.restored if keeper is not None else 0)


def _report(store: Store, failure: Failure) -> None:
    """Publish why the server did not start, and give the hub time to read it."""
    try:
        store.put(ERROR_KEY, failure.to_bytes(), lasting=True)
        until = time.monotonic() + _FAILURE_READ_TIMEOUT
        while time.monotonic() < until and store.get(STOP_KEY) is None:
            time.sleep(0.5)
    except StoreError as error:
        say(_NAME, f"the failure could not be published: {error}")


def _help(arguments: list[str]) -> int:
    sys.stdout.write(_HELP)
    try:
        from jupyterhub.singleuser import main as jupyterhub_singleuser
    except ImportError as error:
        say(_NAME, f"these options cannot be shown: {error}")
        return 1
    jupyterhub_singleuser(arguments)
    return 0


if __name__ == "__main__":
    guard()
    leave = FastExit()
    leave(main())
