"""The recipes that run in the container. They start a server or a kernel and publish its address.

``python -m yarnspawner.singleuser`` starts a JupyterHub server, ``python -m yarnspawner.singleuser.kernel`` an IPython
kernel. Nothing here imports what belongs to the hub, except :mod:`yarnspawner.common.protocol`.
"""

import os
import sys


def _prefer_installed_modules() -> None:
    """Move the working folder to the end of Python's path.

    `python -m` puts it first. After a `cd` in the prologue, it can be a user's folder, where any file can have the name of a
    module. Modules that exist nowhere else, such as a site's contents manager, are still found there.
    """
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    # While `python -m` looks for the module to run, the argument is "-m", and the main module is not known yet.
    started = sys.argv[:1] == ["-m"] if main is None else main.name.startswith("yarnspawner.")
    if started and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 - without an import that the folder can replace
        sys.path.append(sys.path.pop(0))


_prefer_installed_modules()
