"""Refuse archives that YARN cannot unpack, before they are uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import skein

from yarnspawner.launch.specification import SpecificationError

# YARN unpacks .jar, .zip, .tar.gz, .tgz and .tar (FSDownload and FileUtil of Hadoop 3).
_REFUSED = (".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.lzma", ".tar.zst", ".tzst", ".tar.lz4", ".7z", ".rar")
_MAGIC = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z"}


def check_archives(files: Mapping[str, Any]) -> None:
    """Check that YARN can unpack the archives among files. Blocks while it reads the beginning of local ones.

    A file whose type is given as ``"file"`` is not unpacked, and may be anything.

    Args:
        files: files by name in the container: path, URL, ``skein.File`` or its dict.

    Raises:
        SpecificationError: YARN cannot unpack one of them. The message names it.
    """
    for name, source in files.items():
        try:
            file = source if isinstance(source, skein.File) else skein.File.from_dict(source)
        except (TypeError, ValueError):
            continue  # skein reports the problem
        explicit = isinstance(source, dict) and str(source.get("type", "")).lower() == "file"
        url = urlsplit(file.source)
        # A fragment or a query does not change which file it is.
        suffix = next((suffix for suffix in _REFUSED if url.path.lower().endswith(suffix)), "")
        if str(file.type) == "ARCHIVE" and url.scheme == "file":
            suffix = suffix or _content(Path(url.path))
        if suffix and not explicit:
            raise SpecificationError(
                f"localize_files: {name!r}: YARN cannot unpack {file.source} ({suffix.lstrip('.')}). Pack it as .tar.gz or"
                ' .zip: conda pack -o environment.tar.gz. If it is no archive, give it the type "file".'
            )


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            begin = file.read(8)
    except OSError:
        return ""  # skein reports that it is missing
    return next((kind for magic, kind in _MAGIC.items() if begin.startswith(magic)), "")
