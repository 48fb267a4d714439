"""Secrets on their way from the hub to the container: files that only the hub can read, gone when they are sent."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def private_files(contents: Mapping[str, str | bytes]) -> Iterator[dict[str, str]]:
    """Write files into a private folder (0700) for as long as the context lasts.

    Args:
        contents: file name to content.

    Yields:
        file name to absolute path.
    """
    folder = Path(tempfile.mkdtemp(prefix="yarnspawner-"))
    try:
        paths = {}
        for name, content in contents.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            paths[name] = str(path)
        yield paths
    finally:
        shutil.rmtree(folder, ignore_errors=True)
