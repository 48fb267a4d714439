"""Jupyter's runtime folder, where kernels that use ``transport=ipc`` have their sockets."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

# A socket's path may have 107 characters (unix(7)). jupyter_client appends "/kernel-<36 characters>-ipc-<number>".
_LONGEST = 50
_MANAGERS = ("KernelManager", "AsyncKernelManager", "IOLoopKernelManager", "AsyncIOLoopKernelManager")


@contextlib.contextmanager
def short_runtime_folder() -> Iterator[Callable[[Any, str], str]]:
    """Provide a function that replaces a runtime folder whose path is too long for sockets.

    The function takes Jupyter's configuration and the folder, and returns the folder to use. A replacement is private, in
    the system's folder for temporary files, and removed at the end.
    """
    made: list[str] = []

    def shorten(config: Any, folder: str) -> str:
        uses_sockets = any(config[name].get("transport") == "ipc" for name in _MANAGERS if name in config)
        if not uses_sockets or len(folder) <= _LONGEST:
            return folder
        made.append(tempfile.mkdtemp(prefix="jupyter-"))
        os.environ["JUPYTER_RUNTIME_DIR"] = made[-1]
        return made[-1]

    try:
        yield shorten
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
