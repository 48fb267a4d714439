"""Arguments of ``yarnspawner kernelspec``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

# As Jupyter names kernelspecs.
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,100}")


def add_kernelspec(
    commands: Any,
    *,
    memory: Callable[[str], int],
    count: Callable[[int], Callable[[str], int]],
    port_range: Callable[[str], str],
) -> None:
    """Add the command.

    Args:
        commands: argparse's subcommands.
        memory, count, port_range: types of arguments.
    """

    def binary_memory(text: str) -> int:
        # As in kernel_profiles, 8 G is 8 GiB. For skein, it is 10^9 bytes.
        return memory(f"{text}iB" if text.strip()[-1:] in tuple("KMGT") else text)

    kernelspec = commands.add_parser("kernelspec", help="add kernels on the cluster to a Jupyter server without a hub")
    actions = kernelspec.add_subparsers(title="actions", metavar="install", required=True)
    install = actions.add_parser(
        "install",
        help="install a kernelspec",
        description=(
            "Installs a kernelspec for Jupyter servers on a machine with Hadoop's configuration. Each of its kernels runs in a"
            " YARN application of its own, with the Kerberos ticket of the server's account. `jupyter kernelspec list` and"
            " `jupyter kernelspec remove` show and remove it."
        ),
    )
    install.set_defaults(run="yarnspawner.kernels.kernelspec:install")
    install.add_argument("--name", type=_name, required=True, help="name of the kernelspec")
    install.add_argument(
        "--display-name", default="", metavar="TEXT", help="name in the launcher (default: with the size)"
    )
    install.add_argument(
        "--kernel",
        default="python3",
        metavar="NAME",
        help="kernelspec of the local kernel to run (default: %(default)s)",
    )
    install.add_argument(
        "--memory", type=binary_memory, required=True, metavar="SIZE", help="memory, such as 8G or 512M"
    )
    install.add_argument("--vcores", type=count(1), default=1, metavar="N", help="virtual cores (default: %(default)s)")
    install.add_argument("--gpus", type=count(0), default=0, metavar="N", help="GPUs (default: %(default)s)")
    install.add_argument("--queue", default="default", help="YARN queue (default: %(default)s)")
    install.add_argument(
        "--environment",
        default="",
        metavar="ARCHIVE",
        help="Python environment of the kernel, with yarnspawner: an archive made by conda-pack or venv-pack, local or in HDFS"
        " (hdfs:///...), or a folder that exists on every node (default: the Python that runs this command)",
    )
    install.add_argument(
        "--port-range",
        type=port_range,
        default="",
        metavar="FIRST:LAST",
        help="range of ports for the kernel, at least five (default: any)",
    )
    place = install.add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="install for this account (the default)")
    place.add_argument("--prefix", default="", metavar="FOLDER", help="install into this environment")
    place.add_argument("--sys-prefix", action="store_true", help="install into the environment of this command")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name: use letters, digits, '.', '_' and '-'")
    return text
