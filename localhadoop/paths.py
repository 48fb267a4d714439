"""Where jars are cached and where clusters live."""

from __future__ import annotations

import os
import re
from pathlib import Path

from localhadoop.errors import LocalHadoopError


def is_root() -> bool:
    return os.geteuid() == 0


def cache_directory() -> Path:
    """The folder of the downloaded jars, shared by all clusters.

    ``$LOCALHADOOP_CACHE``, else ``/var/cache/localhadoop`` for root (containers of other users must read the jars, and
    they cannot enter root's home), else ``localhadoop`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """
    if given := os.environ.get("LOCALHADOOP_CACHE"):
        return Path(given).absolute()
    if is_root():
        return Path("/var/cache/localhadoop")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "localhadoop"


def clusters_directory() -> Path:
    """The folder that holds one folder per cluster.

    ``$LOCALHADOOP_HOME``, else ``/var/lib/localhadoop`` for root, else ``localhadoop`` in ``$XDG_STATE_HOME`` or
    ``~/.local/state``.
    """
    if given := os.environ.get("LOCALHADOOP_HOME"):
        return Path(given).absolute()
    if is_root():
        return Path("/var/lib/localhadoop")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state").absolute() / "localhadoop"


def cluster_directory(name: str) -> Path:
    """The folder of the cluster ``name``.

    Raises :class:`LocalHadoopError` for a name that is no plain file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", name):
        raise LocalHadoopError(
            f"{name!r} is no name for a cluster: use letters, digits, '-', '_' and '.', at most 63, beginning with a"
            " letter or digit"
        )
    return clusters_directory() / name
