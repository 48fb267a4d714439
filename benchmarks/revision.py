"""An older revision of the package, which takes turns with today's in the same run.

Its hub runs in today's environment, with the older code before today's on the path of hub and containers. JupyterHub imports
the package before it reads its configuration, so the hub needs the path in its environment.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.results import CHECKOUT
from demo.hub import CONFIGURATION

# What of a revision is used: the package and its example configuration.
_PARTS = ("yarnspawner", CONFIGURATION.name)


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the older revision."""
    parser.add_argument(
        "--old", default="", metavar="REVISION", help="also measure this revision of Git, such as 7b7676f, in turns"
    )


@contextmanager
def unpacked(revision: str) -> Iterator[Path]:
    """A folder with the code of a revision, which every account can read, for the time of the context.

    Raises:
        subprocess.CalledProcessError: Git does not know the revision, or it lacks one of the parts.
    """
    with tempfile.TemporaryDirectory(prefix="yarnspawner-old-code-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        command = ["git", "-C", str(CHECKOUT), "archive", revision, *_PARTS]
        archive = subprocess.run(command, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder)  # noqa: S202 - of our own repository; Python 3.10 has no filter
        yield folder


def configuration(folder: Path) -> str:
    """Return the configuration of a hub that runs the code in a folder. The hub does not start with other code."""
    path = str(folder)
    return (
        f"import yarnspawner\nassert yarnspawner.__file__.startswith({path!r}), yarnspawner.__file__\nc = get_config()\n"
        f"load_subconfig({str(folder / CONFIGURATION.name)!r})\nc.Spawner.environment = {{'PYTHONPATH': {path!r}}}\n"
    )


def environment(folder: Path) -> dict[str, str]:
    """Return the environment variables of a hub that runs the code in a folder."""
    return {"PYTHONPATH": str(folder)}
