"""jupyter_client's own tests of provisioners and kernel managers, with kernels through yarnspawner's provisioner.

They come from the source distribution of the installed jupyter_client, which pip downloads once.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from localhadoop.paths import cache_directory

VERSION = importlib.metadata.version("jupyter_client")
OURS = Path(__file__).parents[1]

_NO_KEYS = "The keys are derived from the server's private file, with every policy of encryption. None is generated."
_START_FAILS = "The start itself fails, with the kernel's own message, because it returns only when the kernel listens."

# docs/kernels.md has this table as well.
CANNOT_APPLY = {
    "test_provisioning.py": {
        "TestRuntime::test_local_provisioner_pre_launch_generates_curve_keys_under_transport_encryption": _NO_KEYS,
        "TestRuntime::test_local_provisioner_pre_launch_generates_curve_keys_over_ipc": _NO_KEYS,
    },
    "test_kernelmanager.py": {},
    "test_restarter.py": {
        "test_restarter_gives_up": _START_FAILS,
        "test_async_restarter_gives_up": _START_FAILS,
    },
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    archive = cache_directory() / "sdists" / f"jupyter_client-{VERSION}.tar.gz"
    if not archive.exists():
        # pip verifies the checksum, and knows the site's mirror.
        wanted = ["--no-deps", "--no-binary", "jupyter_client", f"jupyter_client=={VERSION}"]
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(archive.parent), *wanted]
        done = subprocess.run(download, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            pytest.skip(
                f"The source distribution of jupyter_client {VERSION} cannot be downloaded: {done.stderr[-300:]}"
            )
    folder = tmp_path_factory.mktemp("jupyter_client")
    with tarfile.open(archive) as opened:
        if hasattr(tarfile, "data_filter"):  # Python 3.10.12, 3.11.4 and later
            opened.extraction_filter = tarfile.data_filter
        opened.extractall(folder)  # noqa: S202 - pip has verified it
    return folder / f"jupyter_client-{VERSION}"


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", CANNOT_APPLY)
def test_jupyter_client_tests(sources: Path, file: str) -> None:
    """The provisioner passes all tests of jupyter_client, except those that cannot apply."""
    for name, reason in CANNOT_APPLY[file].items():
        assert name.rpartition("::")[2] in (sources / "tests" / file).read_text(), f"{name} does not exist any longer"
        print(f"cannot apply: {name}: {reason}")
    left_out = [f"--deselect=tests/{file}::{name}" for name in CANNOT_APPLY[file]]
    # Their own tests are the package `tests`, so ours come as `support`.
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "-v", "-p", "support.provisioner_plugin"]
    settings = [
        "-c",
        os.devnull,
        "--rootdir=.",
        "-p",
        "no:random_order",
        "-o",
        "asyncio_mode=auto",
        "-o",
        "timeout=120",
    ]
    ended = subprocess.run(
        [*command, *settings, *left_out, f"tests/{file}"],
        cwd=sources,
        env=os.environ | {"PYTHONPATH": str(OURS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=880,
        check=False,
    )
    print(ended.stdout)
    failed = ended.returncode != 0  # pytest would show all of `ended` again
    assert not failed
    assert re.search(r"\d+ passed", ended.stdout)
