"""Make a cluster's folder: all that its daemons and clients need, before the first of them is started."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from localhadoop import certificates, commands, configuration, isolation, kdc, native, ports, scripts, system
from localhadoop.errors import LocalHadoopError
from localhadoop.jars import JarCache, Lock
from localhadoop.java import Java, closed_to_others, find_java
from localhadoop.paths import cache_directory
from localhadoop.progress import Progress
from localhadoop.settings import Settings

ROOM = 300e6  # bytes for logs, HDFS and containers of a small cluster


def prepare(
    folder: Path, name: str, hadoop: str, port: int | None, choices: dict[str, Any], progress: Progress
) -> tuple[Settings, socket.socket]:
    """Fill ``folder``; the settings, and the socket that claims the ports.

    Raises :class:`LocalHadoopError`: no root, no Java, no jars, no room, no ports.
    """
    kerberos: bool = choices["kerberos"]
    lock = Lock.of(hadoop)
    if kerberos:
        system.require_root()
        if closed := closed_to_others(folder):
            raise LocalHadoopError(
                f"{closed} is closed to other users, but their containers must enter {folder}: open it (chmod o+x) or"
                " choose another folder"
            )
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise LocalHadoopError(f"no room in {folder}: {ROOM / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")
    isolated = choices["strict"] and isolation.available(progress)
    if kerberos:
        system.install_kerberos(progress)
        system.make_users(progress)
    java = java_for(kerberos, progress)
    progress.step(f"Hadoop {lock.version} on Java {java.release} ({java.home})")
    wanted = [artifact for artifact in lock.artifacts if kerberos or not artifact.is_native]
    paths = JarCache(cache_directory()).ensure(wanted, progress)
    jars = [str(path) for path, artifact in zip(paths, wanted, strict=True) if not artifact.is_native]
    chosen, claim = ports.choose(choices["nodes"], port)
    settings = Settings(
        name=name,
        directory=str(folder),
        hadoop=lock.version,
        java=str(java.home),
        ports=chosen,
        jars=jars,
        isolated=isolated,
        **choices,
    )
    try:
        write(settings)
        if settings.strict:
            certificates.create(settings)
        if settings.isolated:
            isolation.write(settings)
        if kerberos:
            natives = [path for path, artifact in zip(paths, wanted, strict=True) if artifact.is_native]
            native.install(natives, settings.native, settings.native_classes)
            kdc.create(settings)
    except BaseException:
        claim.close()
        raise
    return settings, claim


def java_for(kerberos: bool, progress: Progress) -> Java:
    """A Java that fits; for a Kerberos cluster, which needs the system's packages anyway, it is installed if missing."""
    try:
        return find_java(kerberos)
    except LocalHadoopError:
        if not kerberos or not system.can_install():
            raise
    system.install_java(progress)
    return find_java(kerberos)


def write(settings: Settings) -> None:
    """Write all files of the cluster but Kerberos' own."""
    folder = settings.folder
    for private in ("run", "data"):
        (folder / private).mkdir(mode=0o700)
    for public in ("logs", "tmp", "nodes", "lib", "daemons", "lib/web/webapps/hdfs", "lib/web/webapps/datanode"):
        (folder / public).mkdir(parents=True)
    (folder / "data" / "zookeeper").mkdir()
    for node in settings.node_managers:
        (folder / "nodes" / node).mkdir()
    settings.library.mkdir()
    for jar in settings.jars:
        (settings.library / Path(jar).name).symlink_to(jar)
    settings.save()
    configuration.write(settings, settings.conf)
    scripts.write(settings)
    for name in commands.names(settings):
        commands.write(settings, name)


def format_hdfs(settings: Settings) -> None:
    """Make an empty HDFS."""
    answer = subprocess.run(
        [*commands.daemon_command(settings, "namenode"), "-format", "-nonInteractive"],
        env=commands.environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=settings.folder / "daemons" / "namenode",
    )
    (settings.folder / "logs" / "format.log").write_text(answer.stdout + answer.stderr)
    if answer.returncode:
        raise LocalHadoopError(f"cannot format HDFS: {answer.stderr.strip().splitlines()[-1]}")
