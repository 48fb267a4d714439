"""Build an environment for users' servers, and pack it; `docker/make-environment` runs this in a container.

The container's operating system is that of the nodes. The archive is `jupyter-DIGEST.tar.gz`: the digest is over the lock, that is,
over all packages with their versions, the Python and the C library. The lock is written beside it, for the next build.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import glibc

BUILDER = Path(__file__).resolve().parent
PLACE = Path("/opt/jupyter")


class Refused(Exception):
    """Why no archive was written."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make-environment")
    parser.add_argument("--requirements", type=Path, metavar="FILE", help="packages in addition to Jupyter")
    parser.add_argument("--lock", type=Path, metavar="FILE", help="versions from an earlier build")
    parser.add_argument("--jupyterhub", choices=["5", "6"], default="6")
    parser.add_argument("--glibc", metavar="VERSION", help="C library of the oldest node; default: this system's")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()
    try:
        limit = glibc.parse(options.glibc) if options.glibc else glibc.of_this_system()
        install(options.requirements, options.lock, options.jupyterhub)
        check(PLACE, limit)
        archive = pack(options.output)
    except (Refused, ValueError) as error:
        print(f"make-environment: {error}", file=sys.stderr)
        return 1
    print(
        f"{archive.name}: {archive.stat().st_size / 1e6:.0f} MB, for glibc {limit[0]}.{limit[1]} or later",
        file=sys.stderr,
    )
    print(archive.name)
    return 0


def install(requirements: Path | None, lock: Path | None, jupyterhub: str) -> None:
    run([sys.executable, "-m", "venv", "--clear", str(PLACE)])
    constraints = lock or BUILDER / f"constraints-jupyterhub{jupyterhub}.txt"
    [wheel] = (BUILDER / "wheels").glob("yarnspawner-*.whl")
    more = ["-r", str(requirements)] if requirements else []
    pip = [str(PLACE / "bin" / "pip"), "--disable-pip-version-check", "--quiet"]
    run([*pip, "install", "--no-cache-dir", "-c", str(constraints), f"{wheel}[singleuser]", *more])
    run([*pip, "check"])
    run([str(PLACE / "bin" / "python"), "-m", "yarnspawner.singleuser", "--help"])


def check(folder: Path, limit: glibc.Version) -> None:
    """Refuse files that the nodes could not load."""
    if newer := glibc.newer_than(folder, limit):
        lines = [f"    {file}: glibc {version[0]}.{version[1]}" for file, version in list(newer.items())[:10]]
        more = f"\n    and {len(newer) - 10} others" if len(newer) > 10 else ""
        raise Refused(
            f"{len(newer)} files need a newer C library than the nodes' glibc {limit[0]}.{limit[1]}:\n"
            + "\n".join(lines)
            + f"{more}\nBuild on the nodes' own operating system, or choose older versions of these packages."
        )


def pack(output: Path) -> Path:
    lock = locked()
    digest = hashlib.sha256(lock.encode()).hexdigest()[:12]
    archive = output / f"jupyter-{digest}.tar.gz"
    command = [str(BUILDER / "bin" / "venv-pack"), "--quiet", "--force", "--prefix", str(PLACE), "--output"]
    partial = output / f".partial-{digest}.tar.gz"
    run([*command, str(partial)])
    partial.chmod(0o644)
    partial.rename(archive)
    (output / f"jupyter-{digest}.lock").write_text(lock)
    return archive


def locked() -> str:
    """Return the text of the lock: all packages and versions, after the platform as a comment."""
    freeze = run([str(PLACE / "bin" / "pip"), "--disable-pip-version-check", "freeze", "--exclude", "yarnspawner"])
    own = run([str(PLACE / "bin" / "python"), "-c", "import yarnspawner; print(yarnspawner.__version__)"]).strip()
    library = ".".join(map(str, glibc.of_this_system()))
    place = f"Python {platform.python_version()}, glibc {library}, {platform.machine()}"
    return f"# {place}, yarnspawner {own}\n{freeze}"


def run(command: list[str]) -> str:
    done = subprocess.run(command, env={**os.environ, "LC_ALL": "C.UTF-8"}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
