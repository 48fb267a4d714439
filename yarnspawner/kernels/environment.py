"""The Python environment of a kernel's application."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from yarnspawner.kernels.request import KernelError, is_archive


def find_environment(given: str) -> str:
    """Return the environment's absolute path or URL.

    Raises:
        KernelError: a local environment does not exist or cannot be used.
    """
    if not given or "://" in given:
        return given
    path = Path(given).absolute()
    if not path.exists():
        raise KernelError(f"{path} does not exist.")
    try:
        if not is_archive(given):
            if not (path / "bin" / "activate").exists():
                raise KernelError(f"{path} is not an environment: it has no bin/activate.")
        elif not (path.stat().st_size and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))):
            raise KernelError(f"{path} is not an archive that YARN can unpack.")
    except OSError as error:
        raise KernelError(f"{path} cannot be read: {error.strerror}.") from None
    return str(path)
