"""Where the notebooks of a server are stored, and what its user must know about it. Hub and container import this module."""

from __future__ import annotations

SHARED = "shared"
NODE = "node"
CONTAINER = "container"

STORAGES = (SHARED, NODE, CONTAINER)
"""Shared by all nodes; a disk of the server's node; a folder that YARN deletes when the server stops."""

VARIABLE = "YARNSPAWNER_NOTEBOOK_STORAGE"
"""Environment variable of the container: the storage that an admin has set."""

_REMEDY = (
    "Download what you want to keep. Administrators can mount shared home directories on all nodes, or set notebook_dir to a"
    " shared folder."
)


def storage_notice(storage: str, node: str) -> str:
    """Return what a server's user must know about the storage of the notebooks; "" if they are safe or it is unknown.

    Args:
        storage: one of :data:`STORAGES`, or "".
        node: name of the server's node; "" if it is unknown.
    """
    if storage == CONTAINER:
        return f"Notebooks are in the server's container. YARN deletes them when the server stops. {_REMEDY}"
    if storage == NODE:
        where = f"a disk of {node}" if node else "a disk of the server's node"
        return f"Notebooks are on {where} only. The next server can run on another node, without them. {_REMEDY}"
    return ""
