"""The command line: ``python -m benchmarks start|memory|upload|burst|stop|scale|list``.

Every module beside this one that has a function ``run`` is a benchmark: its name is the subcommand, and the first paragraph
of its docstring the help. See `Benchmark` for what it offers.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from benchmarks.results import Results

CHECKOUT = Path(__file__).resolve().parent.parent

# What makes a module a benchmark. The others may need packages that are not there yet, so they are not imported to see.
_RUN = re.compile(r"^def run\(", re.MULTILINE)

DESCRIPTION = """\
What yarnspawner costs, side by side with the bare cluster. Each runs on a real Hadoop of its own on this machine, unless
its help says otherwise, prints tables in Markdown and writes all values as JSON. The baseline runs in turns with what is
compared to it, so the ratios are worth more than the seconds.
"""

EPILOG = """\
environment:
  LOCALHADOOP_SIMPLE, LOCALHADOOP_KERBEROS   name of a cluster that `python -m localhadoop up` made, to be used and left
                                             running; it needs two nodes
  LOCALHADOOP_HADOOP                         version of Hadoop for those that are started

Exit status: 0, 1 (it failed, or a goal was missed), 2 (wrong usage).
"""


class Benchmark(Protocol):
    """A module of this package. What takes long to import, it imports in `run`: ``--help`` imports all of them.

    It may have a function ``add_arguments(parser)`` for options of its own, and ``DEFAULT_RUNS``, an integer.
    """

    __doc__: str

    def run(self, options: argparse.Namespace, results: Results) -> None:
        """Measure, and put tables into ``results``. Options of all: ``kerberos``, ``runs``, ``json``."""


def found() -> dict[str, Benchmark]:
    """The benchmarks by name."""
    names = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if _RUN.search(file.read_text()))
    return {name: cast("Benchmark", importlib.import_module(f"benchmarks.{name}")) for name in names}


def parser(offered: dict[str, Benchmark]) -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="python -m benchmarks", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw
    )
    subcommands = top.add_subparsers(dest="benchmark", required=True, metavar="|".join(offered))
    for name, benchmark in offered.items():
        first, _, _ = benchmark.__doc__.partition("\n\n")
        sub = subcommands.add_parser(
            name, help=" ".join(first.split()), description=benchmark.__doc__, formatter_class=raw
        )
        runs = getattr(benchmark, "DEFAULT_RUNS", 10)
        sub.add_argument(
            "--kerberos", action="store_true", help="on the secure kind, which needs root; default: simple"
        )
        sub.add_argument("--runs", type=int, default=runs, metavar="N", help="of each variant (default: %(default)s)")
        sub.add_argument(
            "--json", type=Path, metavar="FILE", help="where the values go (default: benchmark-NAME-KIND.json)"
        )
        if hasattr(benchmark, "add_arguments"):
            benchmark.add_arguments(sub)
    return top


def enter_environment() -> None:
    """Go on in the environment of the tests, whose installed copy of the project is then this checkout's.

    That copy is what hubs and containers run.
    """
    made = subprocess.run(
        [CHECKOUT / "scripts" / "environment", "--tests"], stdout=subprocess.PIPE, text=True, check=False
    )
    if made.returncode:
        sys.exit(1)
    folder = Path(made.stdout.strip())
    if Path(sys.prefix) != folder:
        os.chdir(CHECKOUT)
        python = str(folder / "bin" / "python")
        os.execv(python, [python, "-m", "benchmarks", *sys.argv[1:]])  # noqa: S606 - itself


def main(given: Sequence[str] | None = None) -> int:
    try:
        offered = found()
    except ImportError:  # a benchmark needs a package that this Python has not
        enter_environment()
        raise
    options = parser(offered).parse_args(given)
    enter_environment()
    results = Results(options.benchmark, "kerberos" if options.kerberos else "simple")
    try:
        offered[options.benchmark].run(options, results)
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130
    file = options.json or Path(f"benchmark-{results.benchmark}-{results.kind}.json")
    results.write(file)
    print(f"\nAll values: {file}", file=sys.stderr)
    for missed in results.missed:
        print(f"benchmarks: {missed}", file=sys.stderr)
    return 1 if results.missed else 0


if __name__ == "__main__":
    sys.exit(main())
