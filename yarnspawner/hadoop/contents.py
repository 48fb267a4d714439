"""What identifies the content of a local file."""

from __future__ import annotations

import hashlib
from pathlib import Path


def identity(local: Path) -> tuple[int, ...]:
    """Return what changes whenever the file does. Raises OSError."""
    found = local.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def is_digest(name: str) -> bool:
    """Whether a name is a SHA-256 in hexadecimal digits."""
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def sha256(local: Path) -> str:
    """Return the SHA-256 of a file. Blocks. Raises OSError."""
    digest = hashlib.sha256()
    with local.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
