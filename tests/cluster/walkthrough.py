"""A page of the documentation, typed into a terminal as a reader would, and compared with what it says comes of it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pexpect

_BLOCK = re.compile(r"^```(?P<language>console|ipython|yaml)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_STORED = re.compile(r"# stored in (\S+)")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[=>]|\r")
_PROMPT = "the-next-step> "


@dataclass(frozen=True)
class Step:
    """One command, with the lines that the page shows below it; "..." stands for anything in a line."""

    typed: str
    shown: list[str]
    cells: list[tuple[str, list[str]]]
    """What is typed into the console that the command opens, and shown there."""


@dataclass(frozen=True)
class File:
    """A file that the reader writes."""

    name: str
    content: str


def read(page: Path) -> Iterator[Step | File]:
    """The steps of a page, in order."""
    steps: list[Step | File] = []
    for block in _BLOCK.finditer(page.read_text()):
        text = block["text"]
        if block["language"] == "yaml":
            stored = _STORED.search(text)
            assert stored, f"this file has no name:\n{text}"
            steps.append(File(stored[1], text))
        elif block["language"] == "console":
            steps += [Step(typed, shown, []) for typed, shown in _split(text, r"\$ ")]
        else:
            last = steps[-1]
            assert isinstance(last, Step), "there is no console to type this into"
            last.cells.extend(_split(text, r"In \[\d+\]: "))
    return iter(steps)


def _split(text: str, prompt: str) -> Iterator[tuple[str, list[str]]]:
    for part in re.split(rf"^{prompt}", text, flags=re.MULTILINE)[1:]:
        typed, *shown = part.rstrip().split("\n")
        yield typed, shown


class Terminal:
    """A shell in a folder, and what is typed into it."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        become: Callable[[], None] | None,
        log: Callable[[str], None],
    ) -> None:
        """``become`` makes the process another user's; ``log`` gets the session as a reader would see it."""
        self._folder = folder
        self._log = log
        self._shell = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile", "--noediting"],
            cwd=str(folder),
            # A terminal without colours and cursor movements: what is printed is what is compared.
            env={
                **environment,
                "PS1": _PROMPT,
                "TERM": "dumb",
                "PROMPT_TOOLKIT_NO_CPR": "1",
                "PYTHONWARNINGS": "ignore",
            },
            preexec_fn=become,
            encoding="utf-8",
            timeout=30,
            dimensions=(50, 220),
            echo=False,
        )
        self._shell.expect_exact(_PROMPT)

    def write(self, file: File) -> None:
        """Write a file into the folder."""
        (self._folder / file.name).write_text(file.content)
        self._log(f"({file.name} is written)")

    def type(self, step: Step, timeout: float) -> None:
        """Type a command and what belongs into its console; wait until it has ended well. Raises AssertionError."""
        self._log(f"$ {step.typed}")
        self._shell.sendline(step.typed)
        shown = step.shown
        for number, (cell, shown_next) in enumerate(step.cells, 1):
            self._compare(shown, self._until(rf"In \[{number}\]: ", timeout))
            self._log(f"In [{number}]: {cell}")
            self._shell.sendline(cell)
            shown, timeout = shown_next, 60
        self._compare(shown, self._until(re.escape(_PROMPT), timeout))
        self._shell.sendline("echo status=$?")
        assert "status=0" in self._until(re.escape(_PROMPT), 10), f"{step.typed!r} failed"

    def close(self) -> None:
        self._shell.close(force=True)

    def _compare(self, shown: list[str], output: str) -> None:
        """See that each line that the page shows is in the output; "..." stands for anything in a line."""
        self._log(textwrap.indent(output.strip(), "    "))
        for line in filter(str.strip, shown):
            pattern = ".*?".join(map(re.escape, line.split("...")))
            assert re.search(pattern, output), f"{line!r} is not in:\n{output}"

    def _until(self, pattern: str, timeout: float) -> str:
        """What is printed up to the pattern, without colours."""
        try:
            # A prompt in place of what was expected means that the command has ended.
            ended = self._shell.expect([pattern, re.escape(_PROMPT)], timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF):
            raise AssertionError(f"{pattern!r} did not come within {timeout} s of:\n{self._shell.before}") from None
        assert not ended, f"{pattern!r} did not come:\n{self._shell.before}"
        return _ESCAPE.sub("", self._shell.before)
