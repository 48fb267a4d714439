"""Which of the admin's files are put into HDFS once, and what their servers get instead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import skein

from yarnspawner.hadoop.uploads import UploadError, Uploads
from yarnspawner.launch.local_files import check_local_files, local_path

# In bytes. What is smaller is sent along with the application in less time than it takes to look for it.
_LEAST = 1 << 20


async def upload_shared_files(
    files: Mapping[str, Any], uploads: Uploads, user: str, log: logging.Logger, tell: Callable[[str], None]
) -> dict[str, Any]:
    """The files with those that are local and large replaced by copies in HDFS, which are made where there are none.

    A file of public visibility is shared by all users. Any other one belongs to the user, and is shared by the user's
    servers. What cannot be shared stays as it is, and is uploaded for this one start.

    Args:
        files: name in the container to path or URL, ``skein.File`` or its dict.
        uploads: of the hub.
        user: the Hadoop user.
        tell: where the user is told what takes its time.

    Raises:
        SpecificationError: a user could change what the hub reads.
    """
    await asyncio.to_thread(check_local_files, files)
    found = dict(files)
    for name, source in files.items():
        local = local_path(source)
        if local is None or not _is_large(local):
            continue
        file = source if isinstance(source, skein.File) else skein.File.from_dict(source)
        public = str(file.visibility) == "PUBLIC"
        tell(f"Looking for {local.name} in HDFS, where it is put once.")
        try:
            url = await (uploads.public(local) if public else uploads.private(local, user))
        except UploadError as error:
            log.info("%s is uploaded for this start of %s alone: %s", local, user, error)
            # YARN would refuse it: what skein uploads for one application is closed to others.
            found[name] = skein.File(file.source, type=file.type, visibility="application")
        else:
            found[name] = skein.File(url, type=file.type, visibility="public" if public else "private")
    return found


def _is_large(path: Path) -> bool:
    try:
        return path.stat().st_size >= _LEAST
    except OSError:
        return False  # skein says that it is not there
