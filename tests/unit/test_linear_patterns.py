"""Every regular expression of the package does work in proportion to its text, whoever wrote that."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import yarnspawner
from tests.support.backtracking import CAP, Matcher, TooMuch, attacks, repeats, steps
from tests.support.fuzzing import many
from yarnspawner.state.server_state import _VALID

PACKAGE = Path(yarnspawner.__file__).parent
# Characters of a text, and steps for each of them.
SIZE = 256
STEPS = 5 * CAP
# Each text is tried at a quarter of its size first. Where the work is not in proportion to the text, that for each
# character grows as the size at least. So a text with less than half a quarter of STEPS there is not tried at its size.
SHORTER = 4

# Patterns that are not written where they are used, by file and expression, and what they can be.
ELSEWHERE: dict[tuple[str, str], list[str]] = {
    ("diagnosis/cause.py", "pattern"): [],  # the catalogue's, found as objects
    ("state/server_state.py", "_VALID[name]"): list(_VALID.values()),
    # The names of fields, which are ours.
    ("common/string_templates.py", "f'(?<![${{]){{({names})}}(?!}})'"): [r"(?<![${]){(username|prologue)}(?!})"],
    # An administrator's own, tried on at most 200 characters.
    ("options/profiles.py", "self.validation_regex"): [],
    ("options/profile_list.py", "texts.get('validation_regex', '')"): [],
}


def modules() -> Iterator[Any]:
    yield yarnspawner
    for found in pkgutil.walk_packages([str(PACKAGE)], "yarnspawner."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def patterns_in(value: Any, seen: dict[int, Any]) -> Iterator[re.Pattern[str]]:
    """Yield the compiled patterns that a value of the package has anywhere within."""
    if id(value) in seen:
        return
    seen[id(value)] = value  # kept, or another object could have its id
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, Mapping):
        for item in list(value.values()):
            yield from patterns_in(item, seen)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from patterns_in(item, seen)
    elif str(getattr(value, "__module__", "")).startswith("yarnspawner"):  # a class, or an object of one
        yield from patterns_in(dict(getattr(value, "__dict__", {})), seen)


def written_in_calls() -> Iterator[re.Pattern[str]]:
    """Yield the patterns that are written in calls of ``re``'s functions."""
    for file in sorted(PACKAGE.rglob("*.py")):
        name = str(file.relative_to(PACKAGE))
        source = file.read_text()
        for call in ast.walk(ast.parse(source)):
            function = call.func if isinstance(call, ast.Call) else None
            if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
                continue
            if function.value.id != "re" or function.attr == "escape":
                continue
            assert isinstance(call, ast.Call)
            argument = call.args[0]
            flags = "re.DOTALL" in (ast.get_source_segment(source, call) or "") and re.DOTALL
            if isinstance(argument, ast.Constant):
                yield re.compile(argument.value, flags)
            elif function.attr != "compile" or (name, ast.unparse(argument)) in ELSEWHERE:
                yield from map(re.compile, ELSEWHERE[name, ast.unparse(argument)])


def all_patterns() -> list[re.Pattern[str]]:
    """Return every pattern of the package once."""
    seen: dict[int, Any] = {}
    found = {pattern for module in modules() for pattern in patterns_in(dict(vars(module)), seen)}
    found |= set(written_in_calls())
    return sorted(found, key=lambda pattern: pattern.pattern)


PATTERNS = all_patterns()


@pytest.fixture(autouse=True)
def deep() -> Iterator[None]:
    """The matcher recurses for each turn of a group."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    yield
    sys.setrecursionlimit(limit)


def most_work(pattern: re.Pattern[str]) -> tuple[float, str]:
    """Return the most steps for a character of a text that is made against a pattern, or too many, and that text."""
    worst = (0.0, "")
    pairs = set(zip(attacks(pattern, SIZE // SHORTER), attacks(pattern, SIZE), strict=True))
    for short, text in sorted(pairs, key=lambda pair: len(pair[1])):
        if work(pattern, short, SIZE // SHORTER) > STEPS / SHORTER / 2:
            worst = max(worst, (work(pattern, text, SIZE), text))
        if worst[0] > STEPS:
            break
    return worst


def work(pattern: re.Pattern[str], text: str, size: int) -> float:
    """Return the steps for each character of a text, or of that size if the text is shorter; or infinity."""
    size = max(size, len(text))
    try:
        return steps(pattern, text, STEPS * size) / size
    except TooMuch:
        return float("inf")


def test_all_patterns_are_found() -> None:
    """The list has the patterns of modules, of the catalogue's rows and of calls."""
    written = {pattern.pattern for pattern in PATTERNS}
    assert {
        "exceeded the lifetime period",
        r"application_\d{1,19}_\d{1,10}",
        r"Dump of the process-tree for \S+ :\n(?:\s*\|-[^\n]*(?:\n|\Z))*",
    } <= written
    assert len(written) > 150


@pytest.mark.parametrize("pattern", list(filter(repeats, PATTERNS)), ids=lambda pattern: pattern.pattern[:50])
def test_work_is_linear(pattern: re.Pattern[str]) -> None:
    """No text that is made against a pattern takes more than some steps for each character."""
    work, text = most_work(pattern)
    assert work <= STEPS, f"{pattern.pattern!r} works too long on {text[:60]!r}..."


@pytest.mark.parametrize(
    "pattern",
    [
        "a.*b",
        r"\S+: command not found",
        r"(?:a+)+b",
        "(a|aa)+$",
        r"\s*\n",
        "Key table file .* not found",
        "denied: user=([^,]+), access",
        "a.*b.*c",
        r"^(?P<x>.*?)End (?P=x)",
    ],
)
def test_nonlinear_patterns(pattern: str) -> None:
    """The measure detects patterns whose work is not linear."""
    assert most_work(re.compile(pattern, re.DOTALL | re.MULTILINE))[0] > STEPS


@given(st.sampled_from(PATTERNS), st.data())
@many()
def test_measure_matches_like_python(pattern: re.Pattern[str], data: st.DataObject) -> None:
    """The matcher that counts steps is a matcher: it finds what ``re`` finds."""
    text = data.draw(st.from_regex(pattern) | st.sampled_from(sorted(set(attacks(pattern, 24)))))[:60]
    try:
        spans = Matcher(pattern, text, 1_000_000).find_all()
    except TooMuch:
        return
    if not re.search(r"\{\d*,?\d{2,}\}", pattern.pattern):  # whose bounds count as smaller
        assert spans[:1] == [match.span() for match in islice(pattern.finditer(text), 1)]
