"""The tutorial on a kernel without a hub, executed as it stands, on both kinds of cluster."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localhadoop import LocalHadoop, kdc
from tests.cluster.walkthrough import File, Step, Terminal, read

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "tutorials" / "remote-kernel.md"


@pytest.fixture(scope="module")
def wheels() -> Iterator[Path]:
    """The folder with the wheel that the page installs."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("yarnspawner", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
            source = CHECKOUT / part
            if source.is_dir():
                shutil.copytree(source, folder / "source" / part, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, folder / "source" / part)
        build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", name, str(folder / "source")]
        subprocess.run(build, check=True, timeout=200)
        shutil.rmtree(folder / "source")
        yield folder


# Each takes some five minutes; the secure kind has all that the other one has.
@pytest.fixture(params=["simple_cluster", "kerberos_cluster"])
def terminal(request: pytest.FixtureRequest, wheels: Path) -> Iterator[Terminal]:
    """Alice's, on an edge node, after kinit."""
    cluster: LocalHadoop = request.getfixturevalue(request.param)
    home = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="walkthrough-"))
    python = Path(os.path.realpath(sys.executable)).parent
    environment = cluster.environment() | {
        "HOME": str(home),
        "PATH": f"{cluster.directory / 'bin'}:{python}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    [wheel] = wheels.glob("*.whl")
    shutil.copy(wheel, home)
    become: Callable[[], None] | None = None
    if cluster.kerberos:
        identity = kdc.identity("alice")
        environment |= kdc.ticket(cluster.settings, "alice")
        os.chown(home, identity["user"], identity["group"])

        def become() -> None:
            os.setgroups(identity["extra_groups"])
            os.setgid(identity["group"])
            os.setuid(identity["user"])

    else:
        environment["HADOOP_USER_NAME"] = "alice"
    terminal = Terminal(home, environment, become, log=print)
    yield terminal
    terminal.close()
    # The page stops skein's driver at its end, which a failure does not reach.
    if (driver := home / ".skein" / "driver").exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(driver.read_text())["pid"], signal.SIGTERM)
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.full  # what `tests/cluster/test_kernel_command.py` has in short, the fast tier runs
@pytest.mark.timeout(2400)
def test_kernel_walkthrough(terminal: Terminal) -> None:
    """All steps of the tutorial work as they are written."""
    for step in read(PAGE):
        began = time.monotonic()
        match step:
            case File():
                terminal.write(step)
            case Step():
                terminal.type(step, timeout=400)
        print(f"    ({time.monotonic() - began:.1f} s)")


def test_walkthrough_has_all_parts() -> None:
    """The tutorial has all its parts; the test above would pass on a page whose blocks are not found."""
    steps = list(read(PAGE))
    cells = [cell for step in steps if isinstance(step, Step) for cell, _ in step.cells]
    assert {step.name for step in steps if isinstance(step, File)} == {"ipython-demo.yaml", "ipython-public.yaml"}
    assert sum(isinstance(step, Step) for step in steps) > 15
    assert cells.count("exit") == 4
