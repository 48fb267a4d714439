"""The command ``yarnspawner``."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Callable
from typing import NoReturn

import skein

from yarnspawner.cli.kernelspec_arguments import add_kernelspec
from yarnspawner.cli.log_arguments import add_logs, add_usage
from yarnspawner.kernels.request import PORTS, KernelError
from yarnspawner.singleuser.listening import ListenError, parse_port_range
from yarnspawner.skein_driver.rpc import ClusterError

# MiB. Importing ipykernel takes more.
_LEAST_MEMORY = 64
# The first port that is not reserved for the system.
_FIRST_PORT = 1024


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    # The command prints its own errors.
    logging.getLogger("yarnspawner").addHandler(logging.NullHandler())
    options = _parser().parse_args(arguments)
    module, _, function = options.run.partition(":")
    try:
        # Each action imports its own modules, so --help is fast.
        return int(getattr(importlib.import_module(module), function)(options))
    except (ClusterError, KernelError) as error:
        print(f"yarnspawner: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("yarnspawner: interrupted", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """Print a usage error in one line, with a reference to --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def _parser() -> _Parser:
    parser = _Parser(prog="yarnspawner", description="Jupyter on Hadoop YARN.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_kernel(commands)
    add_kernelspec(commands, memory=_memory, count=_count, port_range=_port_range)
    _add_applications(commands)
    _add_sweep(commands)
    add_logs(commands, count=_count, parents=[_config(), _login("", "If unset, those of the hub's configuration.")])
    add_usage(commands)
    _add_check(commands)
    return parser


def _add_check(commands: argparse._SubParsersAction[_Parser]) -> None:
    check = commands.add_parser(
        "check",
        help="check the hub's machine and its cluster, step by step, before users come",
        description=(
            "Checks Java, Kerberos, YARN, HDFS, impersonation and queues as the hub sees them. For what is wrong, prints the"
            " property, the file and the value to set. With --user, starts a real server and looks at nodes from"
            " containers; both are removed afterwards. Run it in the hub's folder, as the hub's account and with the hub's"
            " environment. Exit status: 0, or 1 if something is wrong."
        ),
        parents=[_config(""), _login("", "If unset, those of the hub's configuration.")],
    )
    check.add_argument("--user", default="", metavar="NAME", help="also check for this user of the hub")
    check.add_argument(
        "--nodes", type=_count(1), default=1, metavar="N", help="with --user, nodes to look at (default: %(default)s)"
    )
    check.add_argument(
        "--only", action="append", default=[], metavar="STEP", help="run only this step or group; may be repeated"
    )
    check.add_argument("--json", action="store_true", help="print one JSON document at the end instead of text")
    check.add_argument(
        "--support-bundle",
        default="",
        metavar="FILE",
        help="also write all of that, without secrets, to a .tar.gz file",
    )
    check.set_defaults(run="yarnspawner.cli.check:check")


def _add_applications(commands: argparse._SubParsersAction[_Parser]) -> None:
    applications = commands.add_parser(
        "applications",
        help="list the applications of a hub and the servers that they belong to",
        description=(
            "Lists the unfinished applications that have the tags of a hub, and the servers that they belong to. Run it in"
            " the hub's folder, as the hub's account. It changes nothing."
        ),
        parents=[_hub(), _login("", "If unset, those of the hub's configuration.")],
    )
    applications.set_defaults(run="yarnspawner.cli.hub:applications")


def _add_sweep(commands: argparse._SubParsersAction[_Parser]) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="stop the orphans of a hub: its applications that belong to no server",
        description=(
            "Stops the applications that have the tags of a hub and belong to none of its servers. Removes the files that"
            " finished applications left in HDFS. The hub does the same at intervals (sweep_interval). Run it in the hub's"
            " folder, as the hub's account, whether the hub runs or not. The lines of the audit log go to standard error."
        ),
        parents=[_hub(), _login("", "If unset, those of the hub's configuration.")],
    )
    sweep.add_argument("--dry-run", action="store_true", help="print what a sweep would do, and change nothing")
    sweep.add_argument(
        "--yes",
        action="store_true",
        help="stop the orphans even if they are more than half of the hub's applications, or if none of these belongs to"
        " a server; without this option, the database then counts as wrong",
    )
    sweep.add_argument(
        "--moved",
        action="store_true",
        help="use this once after you have moved the hub's database or folder: bind the hub's id to the new place, then"
        " sweep; restart the hub afterwards",
    )
    sweep.set_defaults(run="yarnspawner.cli.hub:sweep")


def _config(parts: str = ", with its database, cookie secret, principal and keytab") -> _Parser:
    hub = _Parser(add_help=False)
    hub.add_argument(
        "-f",
        "--config",
        default="jupyterhub_config.py",
        metavar="FILE",
        help=f"the hub's configuration file{parts} (default: %(default)s)",
    )
    return hub


def _hub() -> _Parser:
    hub = _Parser(add_help=False, parents=[_config()])
    hub.add_argument(
        "--grace",
        type=int,
        default=None,
        metavar="SECONDS",
        help="seconds until an application can be an orphan (default: the hub's sweep_grace)",
    )
    return hub


def _add_kernel(commands: argparse._SubParsersAction[_Parser]) -> None:
    kernel = commands.add_parser(
        "kernel",
        help="run an IPython kernel on the cluster",
        description=(
            "Runs an IPython kernel in a YARN container and opens a console to it. `exit` in the console shuts the kernel"
            " down. The connection is encrypted if both ends can encrypt."
        ),
        parents=[_login("")],
    )
    kernel.set_defaults(run="yarnspawner.kernels.command:start")
    kernel.add_argument("--queue", default="default", help="YARN queue (default: %(default)s)")
    kernel.add_argument(
        "--memory",
        type=_memory,
        default="2 GiB",
        metavar="SIZE",
        help="memory, such as 2GiB or 512MiB (default: %(default)s)",
    )
    kernel.add_argument("--vcores", type=_count(1), default=1, metavar="N", help="virtual cores (default: %(default)s)")
    kernel.add_argument("--gpus", type=_count(0), default=0, metavar="N", help="GPUs (default: %(default)s)")
    kernel.add_argument(
        "--environment",
        default="",
        metavar="ARCHIVE",
        help="Python environment: an archive made by conda-pack or venv-pack, local or in HDFS (hdfs:///...), or a folder"
        " that exists on every node (default: the Python that runs this command)",
    )
    kernel.add_argument(
        "--public",
        action="store_true",
        help="the archive in HDFS is readable by everyone, and each node keeps one copy for all users",
    )
    kernel.add_argument("--name", type=_name, default="kernel", help="the application's name (default: %(default)s)")
    kernel.add_argument(
        "--port-range",
        type=_port_range,
        default="",
        metavar="FIRST:LAST",
        help="range of ports for the kernel, at least five (default: any)",
    )
    kernel.add_argument(
        "--no-console", action="store_true", help="print the path of the connection file instead of opening a console"
    )
    encryption = kernel.add_mutually_exclusive_group()
    encryption.add_argument(
        "--require-encryption", action="store_true", help="fail if the connection cannot be encrypted"
    )
    encryption.add_argument(
        "--no-encryption",
        action="store_true",
        help="do not encrypt the connection, for clients without support, such as plain `jupyter console`",
    )

    # An option before the action must not be overwritten by the default after it.
    login = _login(argparse.SUPPRESS)
    actions = kernel.add_subparsers(title="other actions", metavar="list | connect | logs | stop")
    _add_action(actions, "list", "list_kernels", "list the kernels that run or are starting", [login], with_id=False)
    _add_action(actions, "connect", "connect", "open a console to a running kernel", [login])
    _add_action(actions, "logs", "logs", "show the output of a kernel's containers", [login])
    _add_action(actions, "stop", "stop", "shut a kernel down", [login])


def _login(
    default: str,
    without: str = "If unset, the command uses the ticket of kinit, or none if the cluster has no Kerberos.",
) -> _Parser:
    login = _Parser(add_help=False)
    group = login.add_argument_group("Kerberos", without)
    group.add_argument("--principal", default=default, help="log in as this principal; needs --keytab")
    group.add_argument("--keytab", default=default, metavar="FILE", help="keytab of the principal")
    return login


def _add_action(
    actions: argparse._SubParsersAction[_Parser],
    name: str,
    function: str,
    text: str,
    parents: list[_Parser],
    *,
    with_id: bool = True,
) -> None:
    action = actions.add_parser(name, help=text, description=text.capitalize() + ".", parents=parents)
    if with_id:
        action.add_argument("id", metavar="APPLICATION", help="application id")
    action.set_defaults(run=f"yarnspawner.kernels.command:{function}")


def _memory(text: str) -> int:
    """Return MiB from a number with a unit, or from a number of MiB, as in skein's specifications."""
    try:
        memory = int(skein.Resources(memory=text, vcores=1).memory)
    except ValueError:
        memory = 0
    if memory < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 2GiB or 512MiB")
    if memory < _LEAST_MEMORY:
        raise argparse.ArgumentTypeError(f"{memory} MiB is too little for a kernel, use for example 2GiB or 512MiB")
    return memory


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a name needs at least one character")
    return text


def _count(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return count


def _port_range(text: str) -> str:
    # The recipe's own check, before a container starts and fails.
    try:
        ports = list(parse_port_range(text))
    except ListenError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port range, such as 40000:40100") from None
    if text and len(ports) < len(PORTS):
        raise argparse.ArgumentTypeError(f"{text} has {len(ports)} ports, but a kernel needs {len(PORTS)}")
    if text and min(ports) < _FIRST_PORT:
        raise argparse.ArgumentTypeError(f"{text}: ports below {_FIRST_PORT} are reserved for the system")
    return text


if __name__ == "__main__":
    sys.exit(main())
