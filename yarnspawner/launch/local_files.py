"""Check which files of the hub's machine it may send to a user's container."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import skein

from yarnspawner.hadoop.accounts import FIRST_USER_ID
from yarnspawner.launch.specification import SpecificationError

# Linux's own limit (path_resolution(7)).
_MOST_LINKS = 40
# The group `users`. All users belong to it on SUSE, some on Debian, although its id is in the system range.
_USERS = 100


def as_file(source: Any) -> skein.File:
    """Return a source in ``localize_files`` as skein reads it.

    Raises:
        TypeError, ValueError: it is invalid.
    """
    return source if isinstance(source, skein.File) else skein.File.from_dict(source)


def local_path(source: Any) -> Path | None:
    """Return the local path that a source in ``localize_files`` names; None for a URL or an invalid source."""
    try:
        url = urlsplit(as_file(source).source)
    except (TypeError, ValueError):
        return None  # skein reports the problem
    return Path(unquote(url.path)) if url.scheme == "file" else None


def check_local_files(files: Mapping[str, Any], lowest_uid: int = FIRST_USER_ID) -> None:
    """Check that users cannot choose which file the hub reads.

    The hub follows links with its own permissions, so a user's link could point to its keytab.

    Args:
        files: files by name in the container: path, URL, ``skein.File`` or its dict.
        lowest_uid: lowest uid of a user account.

    Raises:
        SpecificationError: a user can change a path. The message names it.
    """
    for name, source in files.items():
        path = local_path(source)
        if path is not None and (found := changeable(path, lowest_uid)) is not None:
            raise SpecificationError(
                f"localize_files: {name!r}: the hub does not read {path}, because users can change {found}. Put the file"
                " into HDFS, or into a folder that only administrators can change."
            )


def changeable(path: Path, lowest_uid: int = FIRST_USER_ID) -> Path | None:
    """Return the first part of a path, or of its links' targets, that a user can replace; None if there is none."""
    lowest = min(lowest_uid, FIRST_USER_ID)
    pending = [Path(os.path.abspath(path))]  # noqa: PTH100 - resolve() would hide the links
    for _ in range(_MOST_LINKS):
        if not pending:
            return None
        way = pending.pop()
        for part in (*reversed(way.parents), way):
            try:
                found = part.lstat()
            except OSError:
                break  # a missing file cannot be read
            if _is_of_users(found, lowest):
                return part
            if stat.S_ISLNK(found.st_mode):
                pending.append(Path(os.path.abspath(part.parent / part.readlink())))  # noqa: PTH100 - as above
    return path


def _is_of_users(found: os.stat_result, lowest: int) -> bool:
    if found.st_uid >= lowest and found.st_uid != os.geteuid():
        return True
    # In a sticky folder such as /tmp, only an entry's owner can replace it. The caller checks the entry next.
    sticky = stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISVTX)
    if stat.S_ISLNK(found.st_mode) or sticky:
        return False
    by_group = found.st_mode & stat.S_IWGRP and _is_group_of_users(found.st_gid, lowest)
    return bool(found.st_mode & stat.S_IWOTH or by_group)


def _is_group_of_users(gid: int, lowest: int) -> bool:
    return gid != os.getegid() and (gid >= lowest or gid == _USERS)
