"""What a Kerberos cluster needs of the machine: root, a KDC's programs, users."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from localhadoop.commands import SYSTEM_PATH
from localhadoop.errors import LocalHadoopError
from localhadoop.paths import is_root
from localhadoop.progress import Progress
from localhadoop.settings import HUB, USERS

#: Programs of MIT Kerberos, and curl, which fetches web pages that want a ticket.
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit", "curl")
JAVA_PACKAGES = ("openjdk-17-jre-headless", "openjdk-21-jre-headless")
PACKAGES = ("krb5-kdc", "krb5-admin-server", "krb5-user", "curl")

#: YARN's executor refuses users below this one.
LOWEST_UID = 1000

POLICY = Path("/usr/sbin/policy-rc.d")


def require_root() -> None:
    """Refuse with :class:`LocalHadoopError` where this is not root."""
    if not is_root():
        raise LocalHadoopError("a kerberos cluster needs root: its containers run under each user's own uid")


def find(program: str) -> str | None:
    """The path of a program, also where Debian puts it off users' ``PATH``."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def missing_programs() -> list[str]:
    return [program for program in PROGRAMS if not find(program)]


def can_install() -> bool:
    return is_root() and shutil.which("apt-get") is not None


def install_kerberos(progress: Progress) -> None:
    """Install the KDC's Debian packages where one of the programs is missing, without starting the system's KDC.

    Raises :class:`LocalHadoopError` where that cannot be done.
    """
    missing = missing_programs()
    if not missing:
        return
    if not can_install():
        raise LocalHadoopError(f"{', '.join(missing)} are missing: install MIT Kerberos (server and client) and curl")
    install(PACKAGES, progress)
    if missing := missing_programs():
        raise LocalHadoopError(f"{', '.join(missing)} are missing, although {' '.join(PACKAGES)} are installed")


def install_java(progress: Progress) -> None:
    """Install the first Java that this Debian or Ubuntu has; raises :class:`LocalHadoopError` if it has none."""
    for package in JAVA_PACKAGES[:-1]:
        try:
            return install((package,), progress)
        except LocalHadoopError:
            continue
    return install(JAVA_PACKAGES[-1:], progress)


def install(packages: Sequence[str], progress: Progress) -> None:
    """Install Debian packages; raises :class:`LocalHadoopError` with apt's last line."""
    progress.step(f"Installing {' '.join(packages)} (apt-get)")
    with services_stay_down():
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
            answer = subprocess.run(
                ["apt-get", *command],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            # A failed update does not matter where the lists of yesterday still serve.
            if answer.returncode and command[0] == "install":
                said = (answer.stderr.strip() or answer.stdout.strip() or "no message").splitlines()[-1]
                raise LocalHadoopError(f"cannot install {' '.join(packages)}: {said}")


@contextmanager
def services_stay_down() -> Iterator[None]:
    """Debian's packages start no service in here (Debian policy, invoke-rc.d(8))."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def make_users(progress: Progress) -> None:
    """Make the operating system's accounts that are missing; they stay after the cluster.

    Raises :class:`LocalHadoopError` where one of the users is a system account or cannot be made.
    """
    person = ["--create-home", "--shell", "/bin/bash", "--user-group"]
    service = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--user-group"]
    hub = ["--system", "--create-home", "--home-dir", f"/var/lib/{HUB}", "--shell", "/bin/bash", "--user-group"]
    # HDFS and YARN look up their own groups as well.
    wanted = {**dict.fromkeys(USERS, person), HUB: hub, "hdfs": service, "yarn": service}
    missing = {name: options for name, options in wanted.items() if not uid_of(name)}
    if missing:
        progress.step(f"Making the users {', '.join(missing)}")
    for name, options in missing.items():
        answer = subprocess.run(["useradd", *options, name], capture_output=True, text=True, timeout=60, check=False)
        if answer.returncode:
            raise LocalHadoopError(f"cannot make the user {name}: {answer.stderr.strip()}")
        if name in USERS:
            Path(f"~{name}").expanduser().chmod(0o700)
    for name in USERS:
        if (uid_of(name) or 0) < LOWEST_UID:
            raise LocalHadoopError(f"the user {name} is a system account here (uid {uid_of(name)})")


def uid_of(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
