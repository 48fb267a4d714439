"""Refuse archives that YARN cannot unpack or that are broken, before they are uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yarnspawner.launch.local_files import as_file, local_path
from yarnspawner.launch.specification import SpecificationError

# YARN unpacks .jar, .zip, .tar.gz, .tgz and .tar (FSDownload and FileUtil of Hadoop 3).
_UNPACKED = (".jar", ".zip", ".tar.gz", ".tgz", ".tar")
_REFUSED = (".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.lzma", ".tar.zst", ".tzst", ".tar.lz4", ".7z", ".rar")
# The first bytes of archives that it unpacks, by the ends of their names. YARN chooses how to unpack by the name.
_BEGINS = {".tar.gz": b"\x1f\x8b", ".tgz": b"\x1f\x8b", ".zip": b"PK", ".jar": b"PK"}
# The first bytes of others.
_MAGIC = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf\x27\x1c": "7z"}


def check_archives(files: Mapping[str, Any]) -> None:
    """Check that YARN can unpack the archives among files. Blocks while it reads the beginning of local ones.

    The hub reads local files, so check first that users cannot choose them.

    A file whose type is given as ``"file"`` is not unpacked, and may be anything.

    Args:
        files: files by name in the container: path, URL, ``skein.File`` or its dict.

    Raises:
        SpecificationError: YARN cannot unpack one of them, or it is not the archive that its name promises. The message
            names it.
    """
    for name, source in files.items():
        try:
            file = as_file(source)
        except (TypeError, ValueError):
            continue  # skein reports the problem
        explicit = isinstance(source, dict) and str(source.get("type", "")).lower() == "file"
        # A fragment or a query does not change which file it is.
        written = urlsplit(file.source).path
        suffix = next((suffix for suffix in _REFUSED if written.lower().endswith(suffix)), "")
        archive = str(file.type) == "ARCHIVE"
        if archive and not suffix and not written.lower().endswith(_UNPACKED):
            # YARN would leave it as it is, without an error.
            suffix = "its name has none of the endings " + ", ".join(_UNPACKED)
        path = local_path(file) if archive else None
        begin = _begin(path) if path is not None else None
        if begin is not None:
            suffix = suffix or next((kind for magic, kind in _MAGIC.items() if begin.startswith(magic)), "")
        if suffix and not explicit:
            raise SpecificationError(
                f"localize_files: {name!r}: YARN cannot unpack {file.source} ({suffix.lstrip('.')}). Pack it as .tar.gz or"
                ' .zip: conda pack -o environment.tar.gz. If it is no archive, give it the type "file".'
            )
        if path is not None and begin is not None and not begin.startswith(_expected(path)):
            raise SpecificationError(
                f"localize_files: {name!r}: {path} is no archive, or it is broken. Create it again with venv-pack or"
                " conda-pack."
            )


def _expected(path: Path) -> bytes:
    return next((begins for suffix, begins in _BEGINS.items() if path.name.lower().endswith(suffix)), b"")


def _begin(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError:
        return None  # skein reports that it cannot be read
