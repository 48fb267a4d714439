"""The commands in a cluster's ``bin``: ``yarn``, ``hdfs`` and ``hadoop``, with the usual subcommands of a client.

skein and other programs find Hadoop through ``yarn classpath --glob``.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from localhadoop.commands import argument_file, client_environment, java_options
from localhadoop.settings import Settings

CLI = "org.apache.hadoop.yarn.client.cli"
HDFS = "org.apache.hadoop.hdfs.tools"

#: Main class by subcommand; "+" where Hadoop's script passes the subcommand on as the first argument.
SUBCOMMANDS = {
    "yarn": {
        "application": f"+{CLI}.ApplicationCLI",
        "app": f"+{CLI}.ApplicationCLI",
        "applicationattempt": f"+{CLI}.ApplicationCLI",
        "container": f"+{CLI}.ApplicationCLI",
        "cluster": f"{CLI}.ClusterCLI",
        "logs": f"{CLI}.LogsCLI",
        "node": f"{CLI}.NodeCLI",
        "queue": f"{CLI}.QueueCLI",
        "rmadmin": f"{CLI}.RMAdminCLI",
        "schedulerconf": f"{CLI}.SchedConfCLI",
        "top": f"{CLI}.TopCLI",
        "version": "org.apache.hadoop.util.VersionInfo",
    },
    "hdfs": {
        "dfs": "org.apache.hadoop.fs.FsShell",
        "dfsadmin": f"{HDFS}.DFSAdmin",
        "fetchdt": f"{HDFS}.DelegationTokenFetcher",
        "fsck": f"{HDFS}.DFSck",
        "getconf": f"{HDFS}.GetConf",
        "groups": f"{HDFS}.GetGroups",
        "version": "org.apache.hadoop.util.VersionInfo",
    },
    "hadoop": {
        "conftest": "org.apache.hadoop.util.ConfTest",
        "dtutil": "org.apache.hadoop.security.token.DtUtilShell",
        "fs": "org.apache.hadoop.fs.FsShell",
        "jar": "org.apache.hadoop.util.RunJar",
        "kerbname": "org.apache.hadoop.security.HadoopKerberosName",
        "kdiag": "org.apache.hadoop.security.KDiag",
        "version": "org.apache.hadoop.util.VersionInfo",
    },
}

SCRIPT = """\
#!/bin/sh
# {command} of the cluster {name}.
{variables}
[ -n "${{HADOOP_CONF_DIR:-}}" ] || HADOOP_CONF_DIR={conf}
CLASSPATH=$HADOOP_CONF_DIR:{jars}
# As in Hadoop's own scripts (hadoop-functions.sh).
MALLOC_ARENA_MAX=${{MALLOC_ARENA_MAX:-4}}
export HADOOP_CONF_DIR CLASSPATH MALLOC_ARENA_MAX
subcommand=${{1:-}}
[ $# -gt 0 ] && shift
case $subcommand in
    classpath) echo "$CLASSPATH"; exit ;;
{cases}
    [a-z]*.*) main=$subcommand ;;
    *) echo "usage: {command} {subcommands}|CLASS ..." >&2; exit 2 ;;
esac
# As distributions of Hadoop set it. Java itself reserves a quarter of the machine's memory, for which YARN's check of
# virtual memory kills a container.
exec {java} -Xmx512m ${{HADOOP_CLIENT_OPTS:-}} ${{HADOOP_OPTS:-}} "$main" "$@"
"""

JAVA_SHELL = """\
#!/bin/sh
# Java that knows where the Kerberos of the cluster {name} is.
exec {java} -Djava.security.krb5.conf={krb5} "$@"
"""


def write(settings: Settings) -> None:
    """Write ``bin``, and the shell around Java where the cluster needs one."""
    folder = settings.folder / "bin"
    folder.mkdir(exist_ok=True)
    for command in SUBCOMMANDS:
        executable(folder / command, script(settings, command))
    (settings.folder / "lib" / "client").write_text(argument_file(java_options(settings, 256)))
    if settings.kerberos:
        write_java_shell(settings)
        source = Path(__file__).with_name("container_executor.py")
        target = settings.folder / "lib" / source.name
        shutil.copyfile(source, target)
        program = shlex.join([sys.executable, "-I", "-S", str(target)])
        executable(folder / "container-executor", f'#!/bin/sh\nexec {program} "$@"\n')


def script(settings: Settings, command: str) -> str:
    """The text of one of the commands."""
    subcommands = SUBCOMMANDS[command]
    cases = []
    for subcommand, main in subcommands.items():
        passed_on = f' set -- {subcommand} "$@";' if main.startswith("+") else ""
        cases.append(f"    {subcommand})  main={main.removeprefix('+')};{passed_on} ;;")
    variables = client_environment(settings)
    del variables["HADOOP_CONF_DIR"]  # a client may bring its own
    return SCRIPT.format(
        command=command,
        name=settings.name,
        variables="\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        conf=shlex.quote(str(settings.conf)),
        jars=shlex.quote(":".join(settings.jars)),
        cases="\n".join(cases),
        subcommands="|".join(["classpath", *subcommands]),
        java=shlex.join([f"{settings.java}/bin/java", f"@{settings.folder / 'lib' / 'client'}"]),
    )


def write_java_shell(settings: Settings) -> None:
    """Make the ``JAVA_HOME`` of :attr:`Settings.java_home`: the real one's folders, but for ``bin/java``."""
    real, shell = Path(settings.java), settings.java_home
    (shell / "bin").mkdir(parents=True, exist_ok=True)
    for source, target in ((real, shell), (real / "bin", shell / "bin")):
        for entry in source.iterdir():
            if entry.name not in ("bin", "java"):
                (target / entry.name).unlink(missing_ok=True)
                (target / entry.name).symlink_to(entry)
    krb5 = shlex.quote(str(settings.folder / "krb5.conf"))
    text = JAVA_SHELL.format(name=settings.name, java=shlex.quote(f"{real}/bin/java"), krb5=krb5)
    executable(shell / "bin" / "java", text)


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
