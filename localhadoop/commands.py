"""How each daemon is started: its command, environment and description file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from localhadoop import configuration
from localhadoop.settings import Settings

MAIN_CLASSES = {
    "namenode": "org.apache.hadoop.hdfs.server.namenode.NameNode",
    "datanode": "org.apache.hadoop.hdfs.server.datanode.DataNode",
    "resourcemanager": "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
    "nodemanager": "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
    "zookeeper": "org.apache.zookeeper.server.ZooKeeperServerMain",
}

#: Heap in MiB: what each needs for some dozens of applications, so that a small machine has the rest for containers.
#: The ResourceManager takes more only for thousands, as in `benchmarks list --others`.
HEAPS = {"namenode": 256, "datanode": 192, "resourcemanager": 1024, "nodemanager": 256, "zookeeper": 96}

#: Hadoop reaches into these packages of Java 17.
OPENED = (
    "java.lang",
    "java.util",
    "java.util.concurrent",
    "java.io",
    "java.nio",
    "java.net",
    "java.text",
    "sun.nio.ch",
)
ADD_OPENS = [
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
    "--add-opens=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
]

#: Start fast and stay small: these JVMs are short of memory and cores, not of throughput.
SMALL_JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData"]

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def kind_of(daemon: str) -> str:
    """The sort of a daemon: ``nodemanager`` of ``nodemanager2``."""
    return daemon.rstrip("0123456789")


def names(settings: Settings) -> list[str]:
    """All daemons of a cluster, in the order in which they are started."""
    first = (["kdc"] if settings.kerberos else []) + (["zookeeper"] if settings.ha else [])
    return [*first, "namenode", "resourcemanager", *settings.node_managers, "datanode", *settings.resource_managers[1:]]


def environment(settings: Settings) -> dict[str, str]:
    """What daemons get, and through the NodeManager containers: nothing of the environment of the program that starts them."""
    variables = {
        "PATH": f"{settings.folder / 'bin'}:{SYSTEM_PATH}",
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        # As Hadoop's own scripts have it, also for containers (admin-env): each arena reserves 64 MiB of addresses.
        "MALLOC_ARENA_MAX": "4",
        **client_environment(settings),
    }
    if zone := os.environ.get("TZ"):
        variables["TZ"] = zone
    return variables


def client_environment(settings: Settings) -> dict[str, str]:
    """The variables by which a program finds the cluster, but for ``PATH``."""
    variables = {
        "JAVA_HOME": str(settings.java_home),
        "HADOOP_HOME": str(settings.folder),
        "HADOOP_CONF_DIR": str(settings.conf),
    }
    if settings.kerberos:
        variables["KRB5_CONFIG"] = str(settings.folder / "krb5.conf")
    return variables


def java_options(settings: Settings, heap: int) -> list[str]:
    """The options of a JVM of ``heap`` MiB."""
    native = [f"-Djava.library.path={settings.native}"] if settings.kerberos else []
    krb5 = [f"-Djava.security.krb5.conf={settings.folder}/krb5.conf"] if settings.kerberos else []
    return [f"-Xmx{heap}m", *SMALL_JVM, *ADD_OPENS, "-Djava.net.preferIPv4Stack=true", *native, *krb5]


def argument_file(arguments: Iterable[str]) -> str:
    """The text of a file of arguments (``java @FILE``): ``ps`` stays readable with class paths of 20,000 characters."""
    return "".join('"' + argument.replace("\\", r"\\").replace('"', r"\"") + '"\n' for argument in arguments)


def daemon_command(settings: Settings, name: str) -> list[str]:
    """The command line of a daemon."""
    if name == "kdc":
        return ["krb5kdc", "-n"]
    kind = kind_of(name)
    folder = settings.folder / "daemons" / name
    command = [f"{settings.java}/bin/java", f"-Dlocalhadoop.daemon={settings.name}/{name}", f"@{folder / 'java'}"]
    return [*command, MAIN_CLASSES[kind], *([str(folder / "conf" / "zoo.cfg")] if kind == "zookeeper" else [])]


def daemon_arguments(settings: Settings, name: str) -> list[str]:
    """The arguments of a daemon's JVM that would be too long for its command line."""
    first = [settings.folder / "daemons" / name / "conf", *([settings.native_classes] if settings.kerberos else [])]
    classpath = [*map(str, first), *settings.jars, str(settings.folder / "lib" / "web")]
    return [
        *java_options(settings, HEAPS[kind_of(name)]),
        "-Dhadoop.root.logger=INFO,console",
        # Jetty unpacks its pages there, and a daemon that is killed does not clean up.
        f"-Djava.io.tmpdir={settings.folder / 'tmp'}",
        "-Dzookeeper.admin.enableServer=false",
        "-cp",
        ":".join(classpath),
    ]


def write(settings: Settings, name: str) -> None:
    """Write what the supervisor needs to start the daemon."""
    folder = settings.folder / "daemons" / name
    folder.mkdir(parents=True, exist_ok=True)
    variables = environment(settings)
    if name == "kdc":
        variables["KRB5_KDC_PROFILE"] = str(settings.folder / "kerberos" / "kdc" / "kdc.conf")
    else:
        configuration.write(settings, folder / "conf", name)
        (folder / "java").write_text(argument_file(daemon_arguments(settings, name)))
    if name == "zookeeper":
        (folder / "conf" / "zoo.cfg").write_text(
            f"dataDir={settings.folder}/data/zookeeper\nclientPort={settings.ports['zookeeper']}\n"
            f"clientPortAddress={settings.ip('zookeeper')}\ntickTime=1000\nmaxClientCnxns=0\n"
        )
    description = {
        "command": daemon_command(settings, name),
        "environment": variables,
        "log": str(settings.folder / "logs" / f"{name}.log"),
    }
    (folder / "daemon.json").write_text(json.dumps(description, indent=1))
