"""The command, class path and environment of a driver JVM."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import skein

from yarnspawner.common.text import sanitize
from yarnspawner.skein_driver.application_master import LAUNCHER_OPTIONS
from yarnspawner.skein_driver.rpc import LONGEST_MESSAGE, ClusterUnavailable

# Optimized for memory and start time, not for throughput. A driver that runs out of memory exits and is replaced.
JAVA_OPTIONS = (
    "-Xms32m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
)
SKEIN_JAR = Path(skein.__file__).parent / "java" / "skein.jar"
# Name of the jar in the container. The class path of an application master has all jars of its working directory.
SKEIN_JAR_NAME = ".yarnspawner-skein.jar"
# Comes first on the class path. Its files explain themselves.
OWN_FILES = Path(__file__).parent / "driver"
# A driver uploads its --jar with each submission, so it gets an empty one. skein's own jar is one of the application's
# files instead: then one copy in HDFS serves all applications.
EMPTY_JAR = OWN_FILES / "empty.jar"

# Only variables that Java, Kerberos and Hadoop read, so that the JVM gets none of the hub's secrets.
_VARIABLES = {
    "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER",
    "JAVA_HOME", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS",
}  # fmt: skip
_PREFIXES = ("HADOOP_", "HDFS_", "YARN_", "KRB5", "LC_")

_CLASSPATH_TIMEOUT = 60.0


@dataclass(frozen=True)
class DriverSettings:
    """How to start a driver.

    Attributes:
        principal: Kerberos principal of the hub. If principal and keytab are "", the driver uses the ticket cache of the
            hub's account.
        keytab: path of the principal's keytab.
        java_options: options of the JVM.
        start_timeout: seconds for a start.
    """

    principal: str = ""
    keytab: str = ""
    java_options: tuple[str, ...] = JAVA_OPTIONS
    start_timeout: float = 60.0


def driver_command(settings: DriverSettings) -> list[str]:
    """Return the command that starts a driver, like that of skein's ``_start_driver``.

    Raises:
        ClusterUnavailable: Java or the keytab is missing.
    """
    if bool(settings.principal) != bool(settings.keytab):
        raise ClusterUnavailable("Set both the principal and the keytab, or neither")
    command = [find_java(), "-Dskein.log.level=INFO"]
    native = Path(os.environ.get("HADOOP_HOME", "/nonexistent"), "lib", "native")
    if native.is_dir():
        command.append(f"-Djava.library.path={native}")
    if folder := _executable_folder():
        command.append(f"-Dcom.anaconda.skein.shaded.io.netty.native.workdir={folder}")
    # kinit reads this variable, Java does not.
    kerberos = os.environ.get("KRB5_CONFIG", "").split(":")[0]
    if kerberos:
        command.append(f"-Djava.security.krb5.conf={kerberos}")
    command += [*settings.java_options, "com.anaconda.skein.Driver", "--jar", str(EMPTY_JAR)]
    if settings.keytab:
        keytab = Path(settings.keytab).absolute()
        if not os.access(keytab, os.R_OK):
            reason = "cannot be read by the hub's account" if keytab.exists() else "does not exist"
            raise ClusterUnavailable(f"The keytab {keytab} {reason}")
        command += ["--keytab", str(keytab), "--principal", settings.principal]
    return command


def _executable_folder() -> str:
    """Return where the driver may unpack its native code if that is not the default; "" for the default.

    ``/tmp`` may be mounted noexec. Only the hub's account may write to the folder, or it is sticky.
    """
    if not _is_noexec(tempfile.gettempdir()):
        return ""
    folders = (os.environ.get("XDG_RUNTIME_DIR", ""), str(Path.cwd()), os.environ.get("HOME", ""), "/var/tmp")  # noqa: S108
    return next((folder for folder in folders if os.access(folder, os.W_OK) and not _is_noexec(folder)), "")


def _is_noexec(folder: str) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_NOEXEC)


def driver_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that a driver may have, and the options of Java's launcher."""
    allowed = {name: value for name, value in environment.items() if name in _VARIABLES or name.startswith(_PREFIXES)}
    return {**allowed, "JDK_JAVA_OPTIONS": f"{LAUNCHER_OPTIONS} {allowed.get('JDK_JAVA_OPTIONS', '')}".strip()}


def find_java() -> str:
    """Return the path of ``java`` in JAVA_HOME, or on the PATH if JAVA_HOME is not set.

    Raises:
        ClusterUnavailable: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home, "bin", "java"))) if home else shutil.which("java")
    if java is None:
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "JAVA_HOME is not set"
        raise ClusterUnavailable(f"No Java: {where}; set it in the hub's environment")
    return java


_classpaths: dict[tuple[str, str], str] = {}
_classpath_lock = threading.Lock()


def driver_classpath() -> str:
    """Return the class path of a driver. Blocks.

    Raises:
        ClusterUnavailable: ``yarn classpath`` failed.
    """
    return f"{OWN_FILES}:{SKEIN_JAR}:{hadoop_classpath()}"


def hadoop_classpath() -> str:
    """Return the cached output of ``yarn classpath --glob``. Blocks.

    Raises:
        ClusterUnavailable: the command failed.
    """
    yarn = shutil.which("yarn")
    if yarn is None:
        raise ClusterUnavailable(
            "No `yarn` command on the hub's PATH; install Hadoop's client, or add its bin folder to the PATH"
        )
    cache_key = (yarn, os.environ.get("HADOOP_CONF_DIR", ""))
    with _classpath_lock:
        if cache_key not in _classpaths:
            try:
                completed = subprocess.run(
                    [yarn, "classpath", "--glob"],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=_CLASSPATH_TIMEOUT,
                    check=True,
                )
            except subprocess.TimeoutExpired:
                raise ClusterUnavailable(f"`{yarn} classpath` did not answer in {_CLASSPATH_TIMEOUT:.0f} s") from None
            except (OSError, subprocess.CalledProcessError) as error:
                output = sanitize(getattr(error, "stderr", "") or str(error), LONGEST_MESSAGE)
                raise ClusterUnavailable(f"`{yarn} classpath` failed: {output}") from error
            _classpaths[cache_key] = completed.stdout.strip()
        return _classpaths[cache_key]


def clear_classpath_cache() -> None:
    """Run ``yarn classpath`` again at the next start. After an upgrade of Hadoop, the cached jars may be gone."""
    _classpaths.clear()
