"""The arguments of ``yarnspawner logs`` and ``yarnspawner usage``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import timedelta
from typing import Any


def add_logs(
    commands: argparse._SubParsersAction[Any], *, count: Callable[[int], Callable[[str], int]], parents: list[Any]
) -> None:
    """Add ``yarnspawner logs``.

    Args:
        commands: the command's subcommands.
        count: returns a type of whole numbers, by the smallest one.
        parents: parsers of options that it shares with other subcommands.
    """
    logs = commands.add_parser(
        "logs",
        help="print the end of the log of a user's server, running or ended",
        description=(
            "Prints the end of the log of a user's server: of its last start, whether that runs, failed or was stopped. Run"
            " it in the hub's folder, as the hub's account. It changes nothing. YARN keeps the logs of ended servers only"
            " with log aggregation."
        ),
        parents=parents,
    )
    logs.add_argument("user", metavar="USER", help="the hub's name of the user")
    logs.add_argument(
        "server", metavar="SERVER", nargs="?", default="", help="name of the server (default: the default server)"
    )
    logs.add_argument("--lines", type=count(1), default=100, metavar="N", help="number of lines (default: %(default)s)")
    logs.add_argument(
        "--application", default="", metavar="ID", help="the log of this one of the server's last five starts"
    )
    logs.add_argument("--list", action="store_true", help="list the server's last five starts and their causes instead")
    logs.set_defaults(run="yarnspawner.cli.logs:logs")


def add_usage(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``yarnspawner usage``."""
    usage = commands.add_parser(
        "usage",
        help="sum the memory and cores of ended servers, from the audit log",
        description=(
            "Sums what servers used until they ended, from the audit log. The hub's own log serves as well. A server that still"
            " runs does not count yet."
        ),
    )
    usage.add_argument("files", nargs="+", metavar="FILE", help="audit logs, or - for standard input")
    usage.add_argument(
        "--since", type=_period, default="30d", metavar="PERIOD", help="such as 12h, 30d or 2w (default: %(default)s)"
    )
    usage.add_argument(
        "--by", choices=("user", "group", "queue", "profile"), default="user", help="what to sum (default: %(default)s)"
    )
    usage.add_argument("--csv", action="store_true", help="print CSV")
    usage.set_defaults(run="yarnspawner.cli.usage:usage")


_HOURS = {"h": 1, "d": 24, "w": 168}


def _period(text: str) -> timedelta:
    """Return a period from text such as ``30d``, ``12h`` or ``2w``."""
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or unit not in _HOURS or not 0 < int(number) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a period, such as 30d, 12h or 2w")
    return timedelta(hours=int(number) * _HOURS[unit])
