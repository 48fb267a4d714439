"""Which of the admin's files are put into HDFS once, and what their servers get instead."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import skein

from yarnspawner.hadoop.uploads import UploadError, Uploads

# In bytes. What is smaller is sent along with the application in less time than it takes to look for it.
_LEAST = 1 << 20


async def shared_files(
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
    """
    found = dict(files)
    for name, source in files.items():
        if (file := _large(source)) is None:
            continue
        local = _path(file)
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


def _large(source: Any) -> skein.File | None:
    """A file of this machine that is worth it."""
    try:
        file = source if isinstance(source, skein.File) else skein.File.from_dict(source)
        worth = file.source.startswith("file:") and _path(file).stat().st_size >= _LEAST
    except (TypeError, ValueError, OSError):
        return None  # skein says what is wrong with it
    return file if worth else None


def _path(file: skein.File) -> Path:
    return Path(unquote(urlsplit(file.source).path))
