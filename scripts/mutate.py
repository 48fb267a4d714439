"""Mutation testing; see `mutate`, which starts this.

mutmut makes the mutants. Each is tested in a process forked from one that has the libraries loaded, in a temporary copy of
the checkout, by the unit tests of the module. There is a copy for each core, up to four. Texts, messages, log calls, annotations and decorators stay as they
are: tests assert what happens, not how it is said.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import libcst as cst
import pytest
from mutmut.mutation.file_mutation import create_mutations, deep_replace
from mutmut.mutation.mutators import operator_string

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutmut.mutation.file_mutation import Mutation

CHECKOUT = Path(__file__).resolve().parent.parent
COPIED = ("pyproject.toml", "yarnspawner", "localhadoop", "demo", "benchmarks", "tests", "docs")
LEAST = 90  # per cent
# A mutant is killed if its tests take this many times as long as without it, and at least so many seconds.
SLOWER = 5
LEAST_SECONDS = 10.0
MOST_PROCESSES = 4
UNSAID = re.compile(r"\b(?:log|_log|LOGGER|logging)\b\.|Refused\(|Error\(|Unavailable\(|Failed\(|Refusal\(|_refusal\(")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/mutate",
        description="Changes modules in small ways, and shows which changes the unit tests do not notice."
        f" Exits with 1 if they notice less than {LEAST} % in a module.",
    )
    parser.add_argument("modules", metavar="MODULE", nargs="+", help="such as yarnspawner/state/server_state.py")
    parser.add_argument("--sample", type=int, metavar="N", help="only so many mutants of each module, chosen at random")
    parser.add_argument("--seed", type=int, default=42, help="of that choice (default: %(default)s)")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="yarnspawner-mutate-") as folder:
            copies = [Path(folder) / str(number) for number in range(min(len(os.sched_getaffinity(0)), MOST_PROCESSES))]
            for copy in copies:
                copy.mkdir()
                for name in COPIED:
                    copy_in(CHECKOUT / name, copy / name)
            os.chdir(copies[0])
            load_libraries()
            scores = [score(copies, Path(name), options.sample, options.seed) for name in options.modules]
    except KeyboardInterrupt:
        return 130
    return 0 if min(scores) >= LEAST else 1


def copy_in(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    else:
        shutil.copy(source, target)


def load_libraries() -> None:
    """Import what the tests need, so that each forked process has it; nothing of the project."""
    import cryptography.x509  # noqa: F401
    import hypothesis  # noqa: F401
    import jupyterhub.app  # noqa: F401
    import skein  # noqa: F401
    import tornado.web  # noqa: F401


def score(copies: Sequence[Path], module: Path, sample: int | None, seed: int) -> float:
    """Test the mutants of a module; print and return how many per cent were killed."""
    module = module.resolve().relative_to(CHECKOUT) if module.is_absolute() else module
    source = (copies[0] / module).read_text()
    tests = tests_of(copies[0], module)
    if not tests:
        sys.exit(f"mutate: no unit test imports {module}")
    mutants = mutants_of(module, source)
    if sample is not None and sample < len(mutants):
        mutants = random.Random(seed).sample(mutants, sample)  # noqa: S311 - reproducible
    began = time.monotonic()
    # In every copy, which so has the compiled modules, and at the same time, as mutants run.
    if len(survivors_of(copies, module, [source] * len(copies), tests, compiled=True)) < len(copies):
        sys.exit(f"mutate: the tests of {module} fail without a mutant: {' '.join(tests)}")
    longest = max(LEAST_SECONDS, SLOWER * (time.monotonic() - began))
    for copy in copies:
        for compiled in (copy / module).parent.glob(f"__pycache__/{module.stem}.*"):
            compiled.unlink()
    survivors = survivors_of(copies, module, mutants, tests, longest)
    for copy in copies:
        (copy / module).write_text(source)
    for mutant in survivors:
        print("".join(difflib.unified_diff(*(text.splitlines(True) for text in (source, mutant)), str(module), n=1)))
    killed = 100 * (1 - len(survivors) / max(1, len(mutants)))
    print(f"{module}: {len(mutants) - len(survivors)} of {len(mutants)} killed, {killed:.0f} %", flush=True)
    return killed


def survivors_of(
    copies: Sequence[Path],
    module: Path,
    mutants: Sequence[str],
    tests: Sequence[str],
    longest: float = 300.0,
    *,
    compiled: bool = False,
) -> list[str]:
    """Test mutants of a module, one in each copy at a time; return those that survive.

    Args:
        copies: of the checkout.
        module: its path in a copy.
        mutants: texts of the module.
        tests: files.
        longest: seconds after which a mutant counts as killed.
        compiled: Python keeps what it compiles.
    """
    waiting, free = list(reversed(mutants)), list(copies)
    running: dict[int, tuple[Path, str, float]] = {}
    survivors: list[str] = []
    try:
        while waiting or running:
            while waiting and free:
                copy, mutant = free.pop(), waiting.pop()
                (copy / module).write_text(mutant)
                running[begin(copy, tests, compiled=compiled)] = (copy, mutant, time.monotonic() + longest)
            for process, (copy, mutant, until) in list(running.items()):
                done, code = os.waitpid(process, os.WNOHANG)
                if not done and time.monotonic() < until:
                    continue
                end(process, reaped=bool(done))
                del running[process]
                free.append(copy)
                if done and os.waitstatus_to_exitcode(code) == 0:
                    survivors.append(mutant)
                if not compiled:
                    tell(module, len(mutants) - len(waiting) - len(running), len(mutants), len(survivors))
            time.sleep(0.02)
    finally:
        for process in running:
            end(process, reaped=False)
    return survivors


def tell(module: Path, number: int, mutants: int, survivors: int) -> None:
    last = "\n" if number == mutants else ""
    words = f"\r{module}: {number} of {mutants}, {survivors} survived "
    print(words, end=last, file=sys.stderr, flush=True)


def mutants_of(module: Path, source: str) -> list[str]:
    """The module's text, once with each change."""
    tree, mutations, _, _ = create_mutations(str(module), source)
    # It makes nothing of the module outside of functions, but finds it.
    return sorted(
        {
            text
            for mutation in mutations
            if matters(tree, mutation)
            and (text := changed(tree, mutation)) != source
            and not UNSAID.search(first_difference(source, text))
        }
    )


def matters(tree: cst.Module, mutation: Mutation) -> bool:
    return not isinstance(mutation.original_node, cst.BaseString) or not list(operator_string(mutation.original_node))


def changed(tree: cst.Module, mutation: Mutation) -> str:
    replaced = deep_replace(tree, mutation.original_node, mutation.mutated_node)
    return replaced.code if isinstance(replaced, cst.Module) else ""


def first_difference(before: str, after: str) -> str:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((one for one, other in pairs if one != other), "")


def tests_of(copy: Path, module: Path) -> list[str]:
    """The unit tests that are named after a module and import it; where there are none, all that import it."""
    parts = module.with_suffix("").parts
    package, name = ".".join(parts[:-1]), parts[-1]
    imports = re.compile(
        rf"(?m)^\s*(?:from {package}\.{name} import|from {package} import .*\b{name}\b|import {package}\.{name}\b)"
    )
    found = [file for file in (copy / "tests" / "unit").rglob("test_*.py") if imports.search(file.read_text())]
    named = [file for file in found if re.fullmatch(rf"test_(fuzz_)?{name}\.py", file.name)]
    return [str(file.relative_to(copy)) for file in sorted(named or found, reverse=True)]


def begin(copy: Path, tests: Sequence[str], *, compiled: bool) -> int:
    """Run tests of a copy in a process of their own group; return its id."""
    process = os.fork()
    if not process:
        child(copy, tests, compiled=compiled)
    return process


def end(process: int, *, reaped: bool) -> None:
    """End what a process has started, and the process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    if not reaped:
        with contextlib.suppress(ProcessLookupError):  # it may have no group yet
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def child(copy: Path, tests: Sequence[str], *, compiled: bool) -> None:
    """End this forked process with pytest's status."""
    os.setsid()
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    os.environ["YARNSPAWNER_MUTANT"] = "1"
    sys.dont_write_bytecode = not compiled
    status = 1
    try:
        status = int(pytest.main(["-x", "-q", "--timeout=60", "-p", "no:cacheprovider", "--hypothesis-seed=0", *tests]))
    finally:
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
