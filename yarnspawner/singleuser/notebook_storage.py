"""Find out where the notebooks of this server are stored, and show it in JupyterLab."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from yarnspawner.common.notebook_storage import CONTAINER, NODE, SHARED, STORAGES, VARIABLE, storage_notice
from yarnspawner.singleuser.environment import node_name

# Types of file systems that only one machine has. All others, such as nfs4, cifs, fuse.*, gpfs, lustre and ceph, count as
# shared: a notice that is wrong every day is soon ignored.
_OF_ONE_MACHINE = frozenset(
    "aufs bcachefs btrfs ext2 ext3 ext4 f2fs hfsplus jfs ntfs3 overlay ramfs reiserfs rootfs squashfs tmpfs ufs vfat xfs"
    " zfs".split()
)
# Those of a Docker image's own layers, or of memory. With a container, they are gone.
_OF_A_CONTAINER = frozenset({"aufs", "overlay", "ramfs", "tmpfs"})

# In /proc/self/mountinfo, spaces, tabs, newlines and backslashes are octal numbers. See proc(5).
_OCTAL = re.compile(r"\\([0-7]{3})")

_JUPYTER_FOLDER = Path(__file__).with_name("jupyter")
_PAGE_OPTION = "yarnspawnerNotice"


def detect_storage(folder: str, environ: Mapping[str, str], container_folder: str, mounts: str) -> str:
    """Return where a folder is stored: one of :data:`STORAGES`.

    Args:
        folder: of the notebooks.
        environ: environment of the container. What an admin has set counts.
        container_folder: the container's working folder.
        mounts: content of ``/proc/self/mountinfo``.
    """
    if (told := environ.get(VARIABLE)) in STORAGES:
        return str(told)
    path = os.path.realpath(folder)
    deleted = [container_folder, *environ.get("LOCAL_DIRS", "").split(",")]
    if any(_is_within(path, os.path.realpath(root)) for root in deleted if root):
        return CONTAINER
    kind = _file_system(path, mounts)
    if environ.get("YARN_CONTAINER_RUNTIME_TYPE") == "docker" and kind in _OF_A_CONTAINER:
        return CONTAINER
    return NODE if kind in _OF_ONE_MACHINE else SHARED


def storage_of(app: Any, container_folder: str) -> str:
    """Return where the notebooks of a Jupyter server are stored: one of :data:`STORAGES`."""
    from jupyter_server.services.contents.fileio import FileManagerMixin

    manager = app.contents_manager
    # Another manager keeps notebooks elsewhere: in HDFS, in an object store, in a database.
    if not isinstance(manager, FileManagerMixin) and VARIABLE not in os.environ:
        return SHARED
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        mounts = ""
    folder = getattr(manager, "root_dir", "") or app.root_dir
    return detect_storage(str(folder), os.environ, container_folder, mounts)


def install_labextension(environ: MutableMapping[str, str]) -> None:
    """Add yarnspawner's extension of JupyterLab to Jupyter's path. It shows what :func:`show_storage` sets."""
    environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (environ.get("JUPYTER_PATH"), str(_JUPYTER_FOLDER))))


def show_storage(app: Any, storage: str) -> None:
    """Let JupyterLab show a notice, on each of its pages, if the notebooks of a Jupyter server are not safe."""
    if notice := storage_notice(storage, node_name()):
        app.log.warning("%s", notice)
        app.web_app.settings.setdefault("page_config_data", {})[_PAGE_OPTION] = notice


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _file_system(path: str, mounts: str) -> str:
    """Return the type of the file system that a path is on; "" if no line of ``mountinfo`` says it."""
    longest, kind = -1, ""
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        # A later mount at the same place hides an earlier one.
        if _is_within(path, point) and len(point) >= longest:
            longest, kind = len(point), after.split(" ")[0]
    return kind
