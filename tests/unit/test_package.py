"""What the wheel holds, and the check of a release's tag."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


def project(path):
    return tomllib.loads((ROOT / path).read_text())


def test_packages():
    """The wheel holds yarnspawner alone, and localhadoop cannot be published."""
    assert project("pyproject.toml")["tool"]["setuptools"]["packages"]["find"]["include"] == ["yarnspawner*"]
    assert "Private :: Do Not Upload" in project("localhadoop/pyproject.toml")["project"]["classifiers"]


def test_extras():
    """An extra names no project that only a clone has."""
    extras = project("pyproject.toml")["project"]["optional-dependencies"]
    assert not [name for names in extras.values() for name in names if "localhadoop" in name]


@pytest.mark.parametrize(
    ("tag", "heading", "complaint"),
    [
        ("v1.2.0", "## 1.2.0", ""),
        ("v1.2.1", "## 1.2.0", "the tag is v1.2.1, and the package's version is 1.2.0"),
        ("v1.2.0", "## 1.2.0 (not released yet)", "CHANGELOG.md has no section"),
    ],
)
def test_check_release(tmp_path, tag, heading, complaint):
    """A tag must fit the version, the changelog and the citation."""
    for folder in ("scripts", "yarnspawner"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "scripts" / "check-release", tmp_path / "scripts")
    (tmp_path / "yarnspawner" / "__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    (tmp_path / "CITATION.cff").write_text("version: 1.2.0\n")
    done = subprocess.run(
        [tmp_path / "scripts" / "check-release", tag], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == bool(complaint)
    assert complaint in done.stderr
    assert bool(done.stderr) == bool(complaint)


NO_HUB = """
import sys

HUB_ONLY = {"alembic", "certipy", "jupyterhub", "oauthlib", "pamela", "prometheus_client", "sqlalchemy"}


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HUB_ONLY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize(
    "use",
    [
        "import sys, yarnspawner; sys.argv = ['yarnspawner', 'kernel', '--help']; yarnspawner.main()",
        "import sys, yarnspawner; sys.argv = ['yarnspawner', 'kernelspec', '--help']; yarnspawner.main()",
        "import yarnspawner.kernels.application, yarnspawner.kernels.command, yarnspawner.kernels.start",
        "import yarnspawner.provisioner, yarnspawner.kernels.containers, yarnspawner.kernels.remote_kernel",
        "import yarnspawner.singleuser.kernel_app, yarnspawner.singleuser.kernel_container",
        "from yarnspawner.common.metrics import DRIVERS, timed_call\nDRIVERS.inc()\nwith timed_call('/a/b'): pass",
    ],
)
def test_without_hub(use):
    """Kernels run in environments that have this package and none of the hub's, as in docs/tutorials/remote-kernel.md."""
    done = subprocess.run(
        [sys.executable, "-c", NO_HUB + use], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
