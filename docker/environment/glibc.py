"""Find which version of the C library the programs and libraries of a folder need."""

from __future__ import annotations

import os
import re
from pathlib import Path

Version = tuple[int, int]

_NEEDED = re.compile(rb"GLIBC_(\d+)\.(\d+)(?:\.\d+)?\0")


def parse(text: str) -> Version:
    """Return the version in a text such as "2.36" or "glibc 2.36".

    Raises:
        ValueError: there is none.
    """
    found = re.fullmatch(r"(?:glibc )?(\d+)\.(\d+)(?:\.\d+)?", text.strip())
    if not found:
        raise ValueError(f"{text!r} is no version of glibc, such as 2.36")
    return int(found[1]), int(found[2])


def of_this_system() -> Version:
    return parse(os.confstr("CS_GNU_LIBC_VERSION") or "")


def needed_by(content: bytes) -> Version:
    """Return the newest version whose symbols an ELF file names; (0, 0) if it is no ELF file or needs none.

    The names of needed versions are strings of the file, so no ELF reader is necessary.
    """
    if not content.startswith(b"\x7fELF"):
        return 0, 0
    return max(((int(major), int(minor)) for major, minor in _NEEDED.findall(content)), default=(0, 0))


def newer_than(folder: Path, limit: Version) -> dict[Path, Version]:
    """Return the files in a folder that need a newer C library than the limit, and which."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_symlink() or not file.is_file():
            continue
        with file.open("rb") as stream:
            if stream.read(4) != b"\x7fELF":
                continue
        version = needed_by(file.read_bytes())
        if version > limit:
            found[file.relative_to(folder)] = version
    return found
