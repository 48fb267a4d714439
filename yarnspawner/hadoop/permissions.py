"""Which files of HDFS may be run by all users: those that nobody but the hub can replace."""

from __future__ import annotations

from collections.abc import Sequence

from yarnspawner.hadoop.filesystem import Entry, FileSystemError


def check_world_readable(way: Sequence[tuple[str, Entry]], hub_user: str) -> None:
    """Check that a file can be run by all users as the hub's own: all can reach it, and nobody else can replace it.

    YARN's own rule for public files is the first half of it (FSDownload.isPublic of the NodeManager).

    Args:
        way: the paths and entries from the root to the file, as far as they are there.
        hub_user: the hub's Hadoop user.

    Raises:
        FileSystemError: with the path that breaks the rule, and the rule.
    """
    if not way:
        raise FileSystemError("the file system's root cannot be read")
    trusted = {way[0][1].owner, hub_user}
    for path, entry in way:
        if entry.owner not in trusted:
            raise FileSystemError(
                f"{path} belongs to {entry.owner}, and not to {hub_user} or HDFS's superuser: it could be replaced"
            )
        # A sticky folder, such as /tmp: what is in it can be moved by its owner alone, and that is checked next.
        sticky = entry.folder and entry.mode & 0o1000 and entry.owner != hub_user
        if entry.mode & 0o022 and not sticky:
            raise FileSystemError(f"{path} can be changed by others (mode {entry.mode:o}): chmod go-w")
        needed = 0o001 if entry.folder else 0o004
        if not entry.mode & needed:
            raise FileSystemError(f"{path} is closed to other users (mode {entry.mode:o}), which YARN demands of it")
