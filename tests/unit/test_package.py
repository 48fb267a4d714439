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
