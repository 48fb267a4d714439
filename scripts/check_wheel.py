"""Build the wheel and the sdist, and test the wheel in empty environments; see `check-wheel`, which starts this.

Standard library only. What is tested on each Python:

- the wheel and its dependencies install, with JupyterHub 5 and then with 6, and `pip check` is content
- `yarnspawner --help` works, and JupyterHub finds the spawner under the name "yarn"
- the unit tests pass on the installed wheel, without the checkout's package
- in an environment with the extra `singleuser` alone, both recipes and Jupyter's own programs start
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PYTHONS = [f"3.{minor}" for minor in range(10, 15)]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "yarnspawner")

# What unit tests read or import in addition to the package.
TESTED = ("benchmarks", "demo", "docs", "localhadoop", "scripts", "tests", "CONTRIBUTING.md", "CHANGELOG.md")
TESTED += ("README.md", "jupyterhub_config.example.py", "pyproject.toml")

# Tests of the checkout: its pages, its layout and its scripts.
OF_CHECKOUT = ("architecture", "containers", "docker_cluster", "documentation", "environment_script", "package")
OF_CHECKOUT += ("reference", "words")
QUICK = ("state", "settings", "yarn/test_tags.py", "yarn/test_orphans.py", "launch/test_specification.py")
QUICK += ("singleuser/test_imports.py", "cli/test_main.py", "options/test_limits.py", "hub/test_identity.py")

IMPORT = """\
import importlib.metadata, sys
import jupyterhub, yarnspawner
assert sys.prefix in yarnspawner.__file__, yarnspawner.__file__
[spawner] = importlib.metadata.entry_points(group="jupyterhub.spawners", name="yarn")
assert spawner.load() is yarnspawner.YarnSpawner
assert jupyterhub.__version__.startswith(sys.argv[1] + "."), jupyterhub.__version__
print(jupyterhub.__version__)
"""


class Failed(Exception):
    """What went wrong."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/check-wheel", description="Build and test the wheel and the sdist.")
    parser.add_argument("--all", action="store_true", help="run all unit tests, not only the quick ones")
    parser.add_argument("--python", action="append", metavar="V", choices=PYTHONS, help="only on this Python")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "dist", metavar="FOLDER", help="default: dist")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="check-wheel-", dir="/var/tmp") as name:
            folder = Path(name)
            wheel, sdist = build(folder, options.output.absolute())
            check_contents(wheel, sdist)
            check_pythons(folder, wheel, options.python or PYTHONS, required=bool(options.python), every=options.all)
    except Failed as error:
        print(f"check-wheel: {error}", file=sys.stderr)
        return 1
    return 0


def build(folder: Path, output: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist, outside of the checkout."""
    source, tools = folder / "source", folder / "tools"
    source.mkdir()
    for name in SOURCES:
        copy(name, source)
    run([sys.executable, "-m", "venv", str(tools)])
    run([*pip(tools), "build", "twine"])
    shutil.rmtree(output, ignore_errors=True)
    # Files in the archives are as old as the commit: the same commit gives the same archives.
    git = ["git", "-C", str(CHECKOUT), "log", "-1", "--format=%ct"]
    epoch = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "1577836800"
    run([str(tools / "bin/python"), "-m", "build", "--outdir", str(output), str(source)], SOURCE_DATE_EPOCH=epoch)
    [wheel], [sdist] = output.glob("*.whl"), output.glob("*.tar.gz")
    run([str(tools / "bin/twine"), "check", "--strict", str(wheel), str(sdist)])
    return wheel, sdist


def check_contents(wheel: Path, sdist: Path) -> None:
    """Compare the files of both archives with those of the checkout."""
    package = {
        str(file.relative_to(CHECKOUT))
        for file in (CHECKOUT / "yarnspawner").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    metadata = {"PKG-INFO", "setup.cfg", *SOURCES}
    in_sdist = {name for name in names - metadata if not name.startswith("yarnspawner.egg-info/")}
    for archive_name, content in ((wheel.name, in_wheel), (sdist.name, in_sdist)):
        if content != package:
            raise Failed(f"{archive_name}: unexpected {content - package or None}, missing {package - content or None}")
    for path in (wheel, sdist):
        print(f"{path.name}: {len(package)} files, {path.stat().st_size / 1000:.0f} kB")


def check_pythons(folder: Path, wheel: Path, versions: list[str], *, required: bool, every: bool) -> None:
    tests = folder / "tests-of-the-wheel"
    tests.mkdir()
    for name in TESTED:
        copy(name, tests)
    checked = []
    for version in versions:
        python = find(version)
        if python is None:
            if required:
                raise Failed(f"there is no Python {version} here")
            print(f"Python {version}: not on this machine, skipped")
            continue
        began = time.monotonic()
        check_server(folder / f"singleuser-{version}", python, wheel)
        found = check_hub(folder / f"hub-{version}", python, wheel, tests, every=every)
        print(f"Python {version}: {', '.join(found)}; {time.monotonic() - began:.0f} s", flush=True)
        checked.append(version)
    if not checked:
        raise Failed("no Python from 3.10 to 3.14 was found")


def check_server(environment: Path, python: str, wheel: Path) -> None:
    """Start the recipes where only the extra `singleuser` is installed."""
    run([python, "-m", "venv", str(environment)])
    run([*pip(environment), "-c", constraints("6"), f"{wheel}[singleuser]"])
    commands = environment / "bin"
    run([str(commands / "python"), "-m", "yarnspawner.singleuser", "--help"])
    run([str(commands / "python"), "-m", "yarnspawner.singleuser.kernel", "--help"])
    run([str(commands / "jupyterhub-singleuser"), "--version"])
    shutil.rmtree(environment)


def check_hub(environment: Path, python: str, wheel: Path, tests: Path, *, every: bool) -> list[str]:
    """Import the spawner under both JupyterHubs, and run the unit tests under the newer one."""
    run([python, "-m", "venv", str(environment)])
    commands = environment / "bin"
    found = []
    for jupyterhub, extras in (("5", ""), ("6", "[test]")):
        # tqdm is for localhadoop, which tests import from their folder.
        needed = [f"{wheel}{extras}", *(["tqdm"] if extras else [])]
        run([*pip(environment), "-c", constraints(jupyterhub), *needed])
        run([*pip(environment)[:-1], "check"])
        run([str(commands / "yarnspawner"), "--help"])
        found.append("JupyterHub " + run([str(commands / "python"), "-c", IMPORT, jupyterhub]).strip())
    units = tests / "tests" / "unit"
    chosen = [str(units)] if every else [str(units / name) for name in QUICK]
    left_out = [f"--ignore={units / f'test_{name}.py'}" for name in OF_CHECKOUT]
    pytest = [str(commands / "python"), "-m", "pytest", "-q", "-m", "not full", "-p", "no:cacheprovider"]
    said = run([*pytest, "--numprocesses=2", "--dist=worksteal", *left_out, *chosen], directory=tests)
    summary = re.findall(r"^=*\s*(\d+ passed[^=\n]*?)(?: in .*)?$", said, re.MULTILINE)
    found.append(f"unit tests: {summary[-1] if summary else 'no summary'}")
    shutil.rmtree(environment)
    return found


def find(version: str) -> str | None:
    """Return a Python of this version: one on PATH, or else the newest of pyenv's."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    of_pyenv = sorted(root.glob(f"versions/{version}.*/bin/python"), key=lambda path: path.stat().st_mtime)
    for candidate in (shutil.which(f"python{version}"), *map(str, reversed(of_pyenv))):
        # pyenv's own programs on PATH fail for a version that is installed and not switched on; Debian's may lack venv.
        code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
        if candidate:
            answer = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
            if answer.stdout.strip() == version:
                return candidate
    return None


def constraints(jupyterhub: str) -> str:
    return str(CHECKOUT / "scripts" / f"constraints-jupyterhub{jupyterhub}.txt")


def pip(environment: Path) -> list[str]:
    return [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]


def copy(name: str, target: Path) -> None:
    source = CHECKOUT / name
    if source.is_dir():
        shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target / name)


def run(command: list[str], directory: Path | str = "/", **variables: str) -> str:
    """Run a command away from the checkout, whose package must not be found; return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(
        command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"{' '.join(command)} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
