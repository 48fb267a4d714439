"""Identify the content of a local file."""

from __future__ import annotations

import hashlib
from pathlib import Path


def stat_signature(local: Path) -> tuple[int, ...]:
    """Return device, inode, size and modification time, which change with the file.

    Raises:
        OSError: the file cannot be read.
    """
    found = local.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def is_digest(name: str) -> bool:
    """Return True if a name is a hexadecimal SHA-256."""
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def sha256(local: Path) -> str:
    """Return the hexadecimal SHA-256 of a file. Blocks.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with local.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
