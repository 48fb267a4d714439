"""Upload large files of the admin to HDFS once, and share them among servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import skein

from yarnspawner.hadoop.accounts import FIRST_USER_ID
from yarnspawner.hadoop.uploads import UploadError, Uploads
from yarnspawner.launch.archives import check_archives
from yarnspawner.launch.local_files import as_file, check_local_files, local_path

# In bytes. A smaller file is uploaded with the application faster than an existing copy is found.
_LEAST = 1 << 20


async def upload_shared_files(
    files: Mapping[str, Any],
    uploads: Uploads,
    user: str,
    log: logging.Logger,
    tell: Callable[[str], None],
    *,
    lowest_uid: int = FIRST_USER_ID,
) -> dict[str, Any]:
    """Replace large local files by copies in HDFS, and upload the copies that are missing.

    All users share a file of public visibility. The user's servers share any other file. A file that cannot be shared
    is uploaded for this start only.

    Args:
        files: files by name in the container: path, URL, ``skein.File`` or its dict.
        uploads: the hub's uploads.
        user: the Hadoop user.
        log: the hub's logger.
        tell: shows a progress message to the user.
        lowest_uid: lowest uid of a user account.

    Returns:
        The files to localize, by name in the container.

    Raises:
        SpecificationError: users can change a file that the hub reads, or YARN cannot unpack an archive.
    """
    await asyncio.to_thread(check_local_files, files, lowest_uid)
    await asyncio.to_thread(check_archives, files)
    found = dict(files)
    for name, source in files.items():
        local = local_path(source)
        if local is None or not _is_large(local):
            continue
        file = as_file(source)
        public = str(file.visibility) == "PUBLIC"
        tell(f"Looking for {local.name} in HDFS, where it is put once.")
        try:
            url = await (uploads.public(local) if public else uploads.private(local, user))
        except UploadError as error:
            log.info("%s is uploaded for this start of %s alone: %s", local, user, error)
            # YARN would refuse a wider visibility: other users cannot read skein's upload for one application.
            found[name] = skein.File(file.source, type=file.type, visibility="application")
        else:
            found[name] = skein.File(url, type=file.type, visibility="public" if public else "private")
    return found


def _is_large(path: Path) -> bool:
    try:
        return path.stat().st_size >= _LEAST
    except OSError:
        return False  # skein reports that it is missing
