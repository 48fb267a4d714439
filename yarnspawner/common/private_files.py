"""Pass secrets to the container as files that only the hub can read. They are removed after the submission."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def private_files(contents: Mapping[str, str | bytes]) -> Iterator[dict[str, str]]:
    """Write files into a temporary private folder (mode 0700) and remove it at the end of the ``with`` block.

    Args:
        contents: content of each file by its name.

    Yields:
        The absolute path of each file by its name.
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
