"""Print the results: as text for a terminal, or as one JSON document."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any, TextIO
from xml.sax.saxutils import escape

from yarnspawner.check.result import Finished, Fix, Mark, Result
from yarnspawner.common.text import printable

_COLOURS = {Mark.OK: "32", Mark.WRONG: "1;31", Mark.WARNING: "33", Mark.UNKNOWN: "36"}
_NAME = 22
_INDENT = " " * (2 + 9 + _NAME)
_LEAST_WIDTH = 60
_MOST_WIDTH = 140


class TextReport:
    """Print each step as it finishes.

    Args:
        stream: where to print. Only a terminal gets colours.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._coloured = stream.isatty()
        self._group = ""
        columns = shutil.get_terminal_size().columns if self._coloured else 120
        self._width = min(max(columns, _LEAST_WIDTH), _MOST_WIDTH)

    def step(self, finished: Finished) -> None:
        """Print a step."""
        if finished.step.group != self._group:
            self._group = finished.step.group
            self._print(f"\n{self._group}")
        result = finished.result
        mark = result.mark.value.ljust(9)
        if self._coloured:
            mark = f"\x1b[{_COLOURS[result.mark]}m{mark}\x1b[0m"
        text = printable(result.finding)
        lines = textwrap.wrap(text, self._width - len(_INDENT), break_on_hyphens=False, break_long_words=False)
        self._print(f"  {mark}{finished.step.name.ljust(_NAME)}{lines[0] if lines else ''}")
        for line in lines[1:] + remedy_lines(result):
            self._print(f"{_INDENT}{line}")

    def end(self, finished: Sequence[Finished]) -> None:
        """Print how many steps have which mark."""
        counts = Counter(step.result.mark for step in finished)
        self._print("\n" + ", ".join(f"{counts[mark]} {mark.value}" for mark in Mark))

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def remedy_lines(result: Result) -> list[str]:
    """Return the properties to set and the commands to run, as lines to copy."""
    lines = []
    for file in dict.fromkeys(fix.file for fix in result.fixes):
        lines.append(f"Set in {file}:")
        lines += [f"  {_property(fix)}" for fix in result.fixes if fix.file == file]
    if result.commands:
        lines.append("Run:")
        lines += [f"  {printable(command)}" for command in result.commands]
    return lines


def _property(fix: Fix) -> str:
    if ".xml" not in fix.file:
        return printable(f"{fix.name} = {fix.value}")
    return printable(f"<property><name>{escape(fix.name)}</name><value>{escape(fix.value)}</value></property>")


def as_document(finished: Sequence[Finished], **about: Any) -> dict[str, Any]:
    """Return the results for ``--json`` and for the support bundle."""
    counts = Counter(step.result.mark for step in finished)
    return {
        "version": 1,
        **about,
        "ok": not counts[Mark.WRONG],
        "counts": {mark.value: counts[mark] for mark in Mark},
        "steps": [_step(step) for step in finished],
    }


def _step(finished: Finished) -> dict[str, Any]:
    result = finished.result
    return {
        "group": finished.step.group,
        "step": finished.step.name,
        "mark": result.mark.value,
        "finding": result.finding,
        "set": [{"file": fix.file, "property": fix.name, "value": fix.value} for fix in result.fixes],
        "run": list(result.commands),
        "facts": result.facts,
        "seconds": round(finished.seconds, 2),
    }
