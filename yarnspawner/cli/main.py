"""The command ``yarnspawner``."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Callable
from typing import NoReturn

import skein

from yarnspawner.kernels.request import PORTS, KernelError
from yarnspawner.singleuser.listening import ListenError, parse_port_range
from yarnspawner.skein_driver.rpc import ClusterError

# MiB: less than the imports of ipykernel take.
_LEAST_MEMORY = 64
# The first that is not reserved for the system.
_FIRST_PORT = 1024


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    # The command prints its own errors.
    logging.getLogger("yarnspawner").addHandler(logging.NullHandler())
    options = _parser().parse_args(arguments)
    module, _, function = options.run.partition(":")
    try:
        # Each imports what it needs only when it is asked for: --help is quick.
        return int(getattr(importlib.import_module(module), function)(options))
    except (ClusterError, KernelError) as error:
        print(f"yarnspawner: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("yarnspawner: interrupted", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; --help has the rest."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def _parser() -> _Parser:
    parser = _Parser(prog="yarnspawner", description="Jupyter on Hadoop YARN.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_kernel(commands)
    _add_applications(commands)
    _add_sweep(commands)
    return parser


def _add_applications(commands: argparse._SubParsersAction[_Parser]) -> None:
    applications = commands.add_parser(
        "applications",
        help="list the applications of a hub, and whether a server owns them",
        description=(
            "Lists the unfinished applications that carry the tags of a hub: whose they are, and whether a server of the"
            " hub owns them. Run it in the hub's folder, as the hub's account; it changes nothing."
        ),
        parents=[_hub(), _login("", "Without these, those of the hub's configuration.")],
    )
    applications.set_defaults(run="yarnspawner.cli.hub:applications")


def _add_sweep(commands: argparse._SubParsersAction[_Parser]) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="end the applications of a hub that no server owns",
        description=(
            "Ends the applications that carry the tags of a hub and that none of its servers owns, and removes what ended"
            " ones left in HDFS, as the hub itself does from time to time (sweep_interval). It may run while the hub"
            " does, and while it does not. Run it in the hub's folder, as the hub's account. What was ended is written to"
            " standard error as lines of the audit."
        ),
        parents=[_hub(), _login("", "Without these, those of the hub's configuration.")],
    )
    sweep.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    sweep.add_argument(
        "--yes",
        action="store_true",
        help="end the orphans also where they are more than half of the hub's applications, or where none of these"
        " belongs to a server, which otherwise counts as a sign of a wrong database",
    )
    sweep.add_argument(
        "--moved",
        action="store_true",
        help="the hub's database or folder has moved on purpose: bind the hub's id to it where it is now, then sweep;"
        " start the hub again afterwards",
    )
    sweep.set_defaults(run="yarnspawner.cli.hub:sweep")


def _hub() -> _Parser:
    hub = _Parser(add_help=False)
    hub.add_argument(
        "-f",
        "--config",
        default="jupyterhub_config.py",
        metavar="FILE",
        help="the hub's configuration file, which says where its database and cookie secret are, and with which"
        " principal and keytab it logs in (default: %(default)s)",
    )
    hub.add_argument(
        "--grace",
        type=int,
        default=None,
        metavar="SECONDS",
        help="how old an application must be to count as an orphan (default: the hub's sweep_grace)",
    )
    return hub


def _add_kernel(commands: argparse._SubParsersAction[_Parser]) -> None:
    kernel = commands.add_parser(
        "kernel",
        help="run an IPython kernel on the cluster",
        description=(
            "Runs an IPython kernel in a YARN container and opens a console that is connected to it. `exit` in the console"
            " shuts the kernel down. The connection is encrypted if both ends can do that."
        ),
        parents=[_login("")],
    )
    kernel.set_defaults(run="yarnspawner.kernels.command:start")
    kernel.add_argument("--queue", default="default", help="YARN's queue (default: %(default)s)")
    kernel.add_argument(
        "--memory", type=_memory, default="2 GiB", metavar="SIZE", help="such as 2GiB or 512MiB (default: %(default)s)"
    )
    kernel.add_argument("--vcores", type=_count(1), default=1, metavar="N", help="virtual cores (default: %(default)s)")
    kernel.add_argument("--gpus", type=_count(0), default=0, metavar="N", help="GPUs (default: %(default)s)")
    kernel.add_argument(
        "--environment",
        default="",
        metavar="ARCHIVE",
        help="packed Python environment, made by conda-pack or venv-pack: a local file, or one in HDFS (hdfs:///...); or"
        " the folder of an environment that every node has (default: the Python that runs this command)",
    )
    kernel.add_argument(
        "--public",
        action="store_true",
        help="the archive in HDFS is readable for everyone, so that each node keeps one copy of it for all",
    )
    kernel.add_argument("--name", type=_name, default="kernel", help="the application's name (default: %(default)s)")
    kernel.add_argument(
        "--port-range",
        type=_port_range,
        default="",
        metavar="FIRST:LAST",
        help="ports for the kernel, which needs five (default: any)",
    )
    kernel.add_argument(
        "--no-console", action="store_true", help="print the connection file's path in place of opening a console"
    )
    encryption = kernel.add_mutually_exclusive_group()
    encryption.add_argument(
        "--require-encryption", action="store_true", help="fail where the connection cannot be encrypted"
    )
    encryption.add_argument(
        "--no-encryption",
        action="store_true",
        help="do not encrypt, for clients that cannot, such as `jupyter console` itself",
    )

    # What was given before the action is not to be overwritten by the defaults behind it.
    login = _login(argparse.SUPPRESS)
    actions = kernel.add_subparsers(title="what else there is", metavar="list | connect | logs | stop")
    _add_action(actions, "list", "list_kernels", "list the kernels that run or are starting", [login], with_id=False)
    _add_action(actions, "connect", "connect", "open a console on a kernel that runs", [login])
    _add_action(actions, "logs", "logs", "show what a kernel's containers wrote", [login])
    _add_action(actions, "stop", "stop", "shut a kernel down", [login])


def _login(
    default: str,
    without: str = "Without these, the ticket of kinit is used, or none where the cluster has no Kerberos.",
) -> _Parser:
    login = _Parser(add_help=False)
    group = login.add_argument_group("Kerberos", without)
    group.add_argument("--principal", default=default, help="log in as this principal; needs --keytab")
    group.add_argument("--keytab", default=default, metavar="FILE", help="its keytab")
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
        action.add_argument("id", metavar="APPLICATION", help="the application's id")
    action.set_defaults(run=f"yarnspawner.kernels.command:{function}")


def _memory(text: str) -> int:
    """MiB, from what skein's specifications allow: a number with a unit, or of MiB."""
    try:
        memory = int(skein.Resources(memory=text, vcores=1).memory)
    except ValueError:
        memory = 0
    if memory < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 2GiB or 512MiB")
    if memory < _LEAST_MEMORY:
        raise argparse.ArgumentTypeError(f"{memory} MiB is less than a kernel lives in; such as 2GiB or 512MiB")
    return memory


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a name has at least one letter")
    return text


def _count(least: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return int(text)

    return count


def _port_range(text: str) -> str:
    # The recipe's own rule, before a container is started for nothing.
    try:
        ports = list(parse_port_range(text))
    except ListenError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of ports, such as 40000:40100") from None
    if text and len(ports) < len(PORTS):
        raise argparse.ArgumentTypeError(f"{text} has {len(ports)} ports, and a kernel needs {len(PORTS)}")
    if text and min(ports) < _FIRST_PORT:
        raise argparse.ArgumentTypeError(f"{text}: ports below {_FIRST_PORT} are not for users")
    return text


if __name__ == "__main__":
    sys.exit(main())
