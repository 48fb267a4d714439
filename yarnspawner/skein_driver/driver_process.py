"""What a driver JVM is started with: the command, its class path, and what it may see of the hub's environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import skein

from yarnspawner.common.text import sanitize
from yarnspawner.skein_driver.rpc import LONGEST_MESSAGE, ClusterUnavailable

# Small and quick to start rather than fast in the long run; a driver that runs out of memory leaves and is replaced.
JAVA_OPTIONS = (
    "-Xms32m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
)
SKEIN_JAR = Path(skein.__file__).parent / "java" / "skein.jar"
# The name under which an application master finds it. Its class path has all jars of its folder.
SKEIN_JAR_NAME = ".yarnspawner-skein.jar"
# Comes first on the class path; its files say what they are for.
OWN_FILES = Path(__file__).parent / "driver"
# A driver uploads its --jar at each submission. So it is given one with nothing in it, and skein's own is among the
# application's files, where one copy in HDFS can serve all applications.
EMPTY_JAR = OWN_FILES / "empty.jar"

# A driver gets what Java, Kerberos and Hadoop read, and none of the hub's secrets.
_VARIABLES = {
    "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER",
    "JAVA_HOME", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS",
}  # fmt: skip
_PREFIXES = ("HADOOP_", "HDFS_", "YARN_", "KRB5", "LC_")

_CLASSPATH_TIMEOUT = 60.0


@dataclass(frozen=True)
class DriverSettings:
    """How to start a driver.

    ``principal`` and ``keytab`` are both set or both empty; empty means the ticket cache of the hub's own account.
    ``start_timeout`` is in seconds.
    """

    principal: str = ""
    keytab: str = ""
    java_options: tuple[str, ...] = JAVA_OPTIONS
    start_timeout: float = 60.0


def driver_command(settings: DriverSettings) -> list[str]:
    """Return the command that starts a driver, as skein's own ``_start_driver`` makes it. Raises ClusterUnavailable."""
    if bool(settings.principal) != bool(settings.keytab):
        raise ClusterUnavailable("Set both the principal and the keytab, or neither")
    command = [find_java(), "-Dskein.log.level=INFO"]
    native = Path(os.environ.get("HADOOP_HOME", "/nonexistent"), "lib", "native")
    if native.is_dir():
        command.append(f"-Djava.library.path={native}")
    # kinit follows this variable and Java does not.
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


def driver_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of the hub's environment a JVM may see."""
    return {name: value for name, value in environment.items() if name in _VARIABLES or name.startswith(_PREFIXES)}


def find_java() -> str:
    """Return the path of ``java``: that of JAVA_HOME if set, else that on the PATH. Raises ClusterUnavailable."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home, "bin", "java"))) if home else shutil.which("java")
    if java is None:
        where = f"JAVA_HOME is {home}, where there is no bin/java" if home else "JAVA_HOME is not set"
        raise ClusterUnavailable(f"No Java: {where}; set it in the hub's environment")
    return java


_classpaths: dict[tuple[str, str], str] = {}
_classpath_lock = threading.Lock()


def driver_classpath() -> str:
    """Return a driver's class path. Blocks. Raises ClusterUnavailable."""
    return f"{OWN_FILES}:{SKEIN_JAR}:{hadoop_classpath()}"


def hadoop_classpath() -> str:
    """Return what ``yarn classpath --glob`` says, asked once for each configuration. Blocks. Raises ClusterUnavailable."""
    yarn = shutil.which("yarn")
    if yarn is None:
        raise ClusterUnavailable(
            "No `yarn` command on the hub's PATH; install Hadoop's client, or add its bin folder to the PATH"
        )
    known = (yarn, os.environ.get("HADOOP_CONF_DIR", ""))
    with _classpath_lock:
        if known not in _classpaths:
            try:
                answer = subprocess.run(
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
                said = sanitize(getattr(error, "stderr", "") or str(error), LONGEST_MESSAGE)
                raise ClusterUnavailable(f"`{yarn} classpath` failed: {said}") from error
            _classpaths[known] = answer.stdout.strip()
        return _classpaths[known]


def forget_classpath() -> None:
    """Ask ``yarn classpath`` again next time: a driver that did not start may lack jars that an upgrade replaced."""
    _classpaths.clear()
