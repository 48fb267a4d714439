"""Check that only the hub can replace a file in HDFS that all users run."""

from __future__ import annotations

from collections.abc import Sequence

from yarnspawner.hadoop.filesystem import Entry, FileSystemError


def check_world_readable(ancestors: Sequence[tuple[str, Entry]], hub_user: str) -> None:
    """Check that all users can read a file, and that only the hub and HDFS's superuser can replace it.

    YARN requires the first part for public files (FSDownload.isPublic of the NodeManager).

    Args:
        ancestors: paths and metadata from the root down to the file, as far as they exist.
        hub_user: the hub's Hadoop user.

    Raises:
        FileSystemError: a path breaks the rule; the message names both.
    """
    if not ancestors:
        raise FileSystemError("the file system's root cannot be read")
    trusted = {ancestors[0][1].owner, hub_user}
    for path, entry in ancestors:
        if entry.owner not in trusted:
            raise FileSystemError(
                f"{path} belongs to {entry.owner}, not to {hub_user} or HDFS's superuser: others could replace it"
            )
        # In a sticky folder such as /tmp, only the owner can rename a file, and the owner is checked next.
        sticky = entry.folder and entry.mode & 0o1000 and entry.owner != hub_user
        if entry.mode & 0o022 and not sticky:
            raise FileSystemError(f"{path} is writable for others (mode {entry.mode:o}): run chmod go-w")
        needed = 0o001 if entry.folder else 0o004
        if not entry.mode & needed:
            raise FileSystemError(
                f"{path} is not accessible for other users (mode {entry.mode:o}), but YARN requires it"
            )
