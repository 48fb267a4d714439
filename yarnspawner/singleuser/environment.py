"""Environment of the process in the container: node name, folders and parent processes."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import MutableMapping
from pathlib import Path

from yarnspawner.singleuser.failure import RecipeError


def node_name() -> str:
    """Return YARN's name of the node, which other hosts can resolve."""
    return os.environ.get("NM_HOST") or socket.gethostname()


def node_address() -> str:
    """Return the node's IP address.

    Raises:
        RecipeError: the node's name has no address.
    """
    try:
        return socket.gethostbyname(node_name())
    except OSError as error:
        raise RecipeError(f"The name of this node, {node_name()}, has no address here: {error}.") from error


def ensure_writable_dirs(environ: MutableMapping[str, str], container_folder: str) -> None:
    """Ensure that Jupyter can write to its folders, and that no other user can read its connection files.

    The hub's script has done so. If the recipe is started without it, YARN sets HOME to ``/home/`` by default, which users
    cannot write to.

    - HOME is kept if it can be written to, else it is the account's own, else the container's folder
    - the runtime folder is kept if it is the user's, else it is one of the container's; either way it is private
    """
    if not _is_writable(environ.get("HOME", "")):
        own = _home_of_account()
        environ["HOME"] = own if _is_writable(own) else container_folder
    runtime = environ.get("JUPYTER_RUNTIME_DIR")
    if not (runtime and _make_private(Path(runtime))):
        environ["JUPYTER_RUNTIME_DIR"] = f"{container_folder}/.jupyter-runtime"
        _make_private(Path(environ["JUPYTER_RUNTIME_DIR"]))


def resolve_certificate_paths(environ: MutableMapping[str, str], container_folder: str) -> None:
    """Make the paths of ``internal_ssl`` absolute: the prologue may have changed the working directory."""
    for name in ("JUPYTERHUB_SSL_KEYFILE", "JUPYTERHUB_SSL_CERTFILE", "JUPYTERHUB_SSL_CLIENT_CA"):
        if environ.get(name):
            environ[name] = str(Path(container_folder) / environ[name])


def _home_of_account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def _is_writable(folder: str) -> bool:
    return Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _make_private(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError:
        return False
    return True
