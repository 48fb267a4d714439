"""How much work a regular expression does: a matcher that backtracks as Python's does, and counts its steps.

Seconds depend on the machine, steps do not. The matcher walks the tree that Python's own parser makes of a pattern. Bounds
of repeats above `CAP` count as `CAP`, so that texts of a few hundred characters show what long texts would do.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

parser: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
CAP = 16

Node = tuple[Any, Any]
Then = Callable[[int], bool]

_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_ONE_CHARACTER = ("LITERAL", "NOT_LITERAL", "ANY", "IN")
_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}


class TooMuch(Exception):
    """The limit of steps is reached."""


class Matcher:
    """Matches one text.

    Args:
        pattern: compiled.
        text: to search.
        limit: steps at which it raises TooMuch.
    """

    def __init__(self, pattern: re.Pattern[str], text: str, limit: int) -> None:
        self.steps = 0
        self._tree = _tree(pattern)
        self._flags = pattern.flags
        self._text = text
        self._limit = limit
        self._groups: dict[int, tuple[int, int]] = {}
        self._cache: dict[tuple[int, str], bool] = {}

    def find_all(self) -> list[tuple[int, int]]:
        """Return the spans of all matches, as ``finditer`` finds them; `steps` is the work."""
        spans: list[tuple[int, int]] = []
        start = 0
        first = self._tree[0] if self._tree and self._tree[0][0] in _ONE_CHARACTER else None
        while start <= len(self._text):
            end = self._at(start) if first is None or self._is(first, start) else None
            if end is not None:
                spans.append((start, end))
            start = end if end is not None and end > start else start + 1
        return spans

    def full(self) -> bool:
        """Return whether all of the text matches; `steps` is the work."""
        self._groups = {}
        return self._match(self._tree, 0, 0, lambda position: position == len(self._text))

    def _at(self, start: int) -> int | None:
        end: list[int] = []
        self._groups = {}
        matched = self._match(self._tree, 0, start, lambda position: not end.append(position))  # type: ignore[func-returns-value]
        return end[0] if matched else None

    def _step(self) -> None:
        self.steps += 1
        if self.steps > self._limit:
            raise TooMuch

    def _match(self, nodes: Sequence[Node], index: int, position: int, then: Then) -> bool:
        """Match the nodes from an index on, and what comes after them."""
        self._step()
        while index < len(nodes) and nodes[index][0] in _ONE_CHARACTER:
            if not self._is(nodes[index], position):
                return False
            index, position = index + 1, position + 1
            self._step()
        if index == len(nodes):
            return then(position)
        name, value = nodes[index]

        def rest(after: int) -> bool:
            return self._match(nodes, index + 1, after, then)

        if name in _REPEATS:
            return self._repeat(name, value, position, rest)
        if name == "SUBPATTERN":
            return self._group(value, position, rest)
        if name == "BRANCH":
            for branch in value[1]:  # noqa: SIM110  # a loop, since `any` takes of C's stack
                if self._match(branch, 0, position, rest):
                    return True
            return False
        if name == "AT":
            return self._boundary(str(value), position) and rest(position)
        if name in ("ASSERT", "ASSERT_NOT"):
            return self._look(value, position) is (name == "ASSERT") and rest(position)
        if name == "GROUPREF":
            start, end = self._groups.get(value, (0, -1))
            said = self._text[start:end]
            self.steps += len(said)
            return end >= 0 and self._text.startswith(said, position) and rest(position + len(said))
        raise NotImplementedError(name)

    def _group(self, value: Any, position: int, rest: Then) -> bool:
        number, _, _, inner = value
        before = self._groups.get(number)

        def close(after: int) -> bool:
            self._groups[number] = (position, after)
            return rest(after)

        if self._match(inner, 0, position, close):
            return True
        if before is not None:
            self._groups[number] = before
        return False

    def _look(self, value: Any, position: int) -> bool:
        direction, inner, width = value
        if direction > 0:
            return self._match(inner, 0, position, lambda _: True)
        return position >= width and self._match(inner, 0, position - width, lambda after: after == position)

    def _repeat(self, name: str, value: Any, position: int, rest: Then) -> bool:
        least, most, inner = int(value[0]), int(value[1]), value[2]
        most = most if value[1] == parser.MAXREPEAT else min(most, max(CAP, least))
        greedy = name == "MAX_REPEAT"
        if len(inner) == 1 and inner[0][0] in _ONE_CHARACTER:
            return self._run(inner[0], least, most, greedy, position, rest)

        def more(count: int, at: int, previous: int) -> bool:
            def again() -> bool:
                return (
                    count < most
                    and at != previous
                    and self._match(inner, 0, at, lambda after: more(count + 1, after, at))
                )

            if count < least:
                return again()
            return (again() or rest(at)) if greedy else (rest(at) or again())

        return more(0, position, -1)

    def _run(self, node: Node, least: int, most: int, greedy: bool, position: int, rest: Then) -> bool:
        count = 0
        if not greedy:
            while count < least and self._is(node, position + count):
                count += 1
            while count >= least:
                if rest(position + count):
                    return True
                if count >= most or not self._is(node, position + count):
                    return False
                count += 1
            return False
        while count < most and self._is(node, position + count):
            count += 1
        for length in range(count, least - 1, -1):  # noqa: SIM110  # `any` takes of C's stack
            if rest(position + length):
                return True
        return False

    def _is(self, node: Node, position: int) -> bool:
        self._step()
        if position >= len(self._text):
            return False
        key = (id(node), self._text[position])
        if key not in self._cache:
            self._cache[key] = accepts(node, key[1], self._flags)
        return self._cache[key]

    def _boundary(self, kind: str, position: int) -> bool:
        text, end = self._text, len(self._text)
        if kind == "AT_BEGINNING_STRING" or (kind == "AT_BEGINNING" and not self._flags & re.MULTILINE):
            return position == 0
        if kind == "AT_BEGINNING":
            return position == 0 or text[position - 1] == "\n"
        if kind == "AT_END_STRING":
            return position == end
        if kind == "AT_END":
            last = position == end or (position == end - 1 and text[position] == "\n")
            return last or bool(self._flags & re.MULTILINE and text[position] == "\n")
        before = position > 0 and bool(re.match(r"\w", text[position - 1]))
        after = position < end and bool(re.match(r"\w", text[position]))
        return (before != after) is (kind == "AT_BOUNDARY")


def _plain(nodes: Sequence[Node]) -> list[Node]:
    """Return the parser's nodes as lists with names, which are read faster."""
    found: list[Node] = []
    for node in nodes:
        name, value = str(node[0]), node[1]
        if name in _REPEATS or name == "SUBPATTERN":
            value = (*value[:-1], _plain(value[-1]))
        elif name == "BRANCH":
            value = (None, [_plain(branch) for branch in value[1]])
        elif name in ("ASSERT", "ASSERT_NOT"):
            value = (value[0], _plain(value[1]), value[1].getwidth()[0])
        found.append((name, value))
    return found


_tree = cache(lambda pattern: _plain(parser.parse(pattern.pattern, pattern.flags)))


def accepts(node: Node, char: str, flags: int) -> bool:
    """Return whether a node that matches one character matches this one."""
    name, value = str(node[0]), node[1]
    if name == "ANY":
        return bool(flags & re.DOTALL) or char != "\n"
    forms = {char, char.lower(), char.upper()} if flags & re.IGNORECASE else {char}
    if name == "IN":
        negated = str(value[0][0]) == "NEGATE"
        return negated is not any(_in_set(item, forms, flags) for item in value[negated:])
    return any(ord(form) == value for form in forms if len(form) == 1) is (name == "LITERAL")


def _in_set(item: Node, forms: set[str], flags: int) -> bool:
    name, value = str(item[0]), item[1]
    if name == "CATEGORY":
        _, _, kind = str(value).partition("CATEGORY_")
        negated = kind.startswith("NOT_")
        found = re.match(_CATEGORIES[kind.removeprefix("NOT_")], min(forms), flags & re.ASCII)
        return bool(found) is not negated
    least, most = value if name == "RANGE" else (value, value)
    return any(least <= ord(form) <= most for form in forms if len(form) == 1)


def steps(pattern: re.Pattern[str], text: str, limit: int) -> int:
    """Return the work of finding all matches in a text, or of matching all of it, whichever is more.

    Raises:
        TooMuch: more than the limit.
    """
    searching, matching = Matcher(pattern, text, limit), Matcher(pattern, text, limit)
    searching.find_all()
    matching.full()
    return max(searching.steps, matching.steps)


def attacks(pattern: re.Pattern[str], size: int) -> Iterator[str]:
    """Yield texts of about that many characters, made of what the pattern itself looks for.

    - runs of each of its characters, and of pairs of them
    - the shortest text before each repeat, again and again; once, with a run of what is repeated; and both in turn
    """
    tree = list(parser.parse(pattern.pattern, pattern.flags))
    flags = pattern.flags
    characters = sorted(set(_characters(tree, flags)))
    pumps = {*characters, *(a + b for a in characters[:6] for b in characters[:6])}
    for before, body in _before_repeats(tree, flags, ""):
        pumps.add(body)
        yield before + (body * size)[:size]
        yield before + (body * size)[:size] + "\0"
        yield before * (size // 4) + (body * size)[:size] + "\0"
        for again in (before, before + body, before + body * 3, before + body + "\n"):
            yield again * (size // 2) + "\0"
    yield from ((pump * size)[:size] + "\0" for pump in sorted(filter(None, pumps)))


def repeats(pattern: re.Pattern[str]) -> bool:
    """Return whether anything is repeated in a pattern; without, its work for each position is as long as itself at most."""
    return any(_before_repeats(list(parser.parse(pattern.pattern, pattern.flags)), pattern.flags, ""))


_SAMPLES = "ax/1.:-_ \n\t'\"=[]{}<>()|\x1b\x07@$,ä\0"


def _characters(nodes: Sequence[Node], flags: int) -> Iterator[str]:
    for node in nodes:
        name, value = str(node[0]), node[1]
        if name == "LITERAL":
            yield chr(value)
        elif name in _ONE_CHARACTER:
            yield from [char for char in _SAMPLES if accepts(node, char, flags)][:4]
            yield from [char for char in _SAMPLES if not accepts(node, char, flags)][:1]
        else:
            for inner in _inside(node):
                yield from _characters(inner, flags)


def _inside(node: Node) -> list[list[Node]]:
    name, value = str(node[0]), node[1]
    if name == "BRANCH":
        return [list(branch) for branch in value[1]]
    if name in _REPEATS or name == "SUBPATTERN":
        return [list(value[-1])]
    return [list(value[1])] if name in ("ASSERT", "ASSERT_NOT") else []


def _shortest(nodes: Sequence[Node], flags: int) -> str:
    """Return a short text that the nodes match, but for what they assert."""
    text = ""
    for node in nodes:
        name, value = str(node[0]), node[1]
        if name == "LITERAL":
            text += chr(value)
        elif name in _ONE_CHARACTER:
            text += next((char for char in _SAMPLES if accepts(node, char, flags)), "")
        elif name in _REPEATS:
            text += _shortest(list(value[2]), flags) * int(value[0])
        elif name in ("BRANCH", "SUBPATTERN"):
            text += _shortest(_inside(node)[0], flags)
    return text


def _before_repeats(nodes: Sequence[Node], flags: int, before: str) -> Iterator[tuple[str, str]]:
    """Yield what must come before each repeat, and what it repeats."""
    for node in nodes:
        name, value = str(node[0]), node[1]
        if name in _REPEATS:
            body = list(value[2])
            bodies = [_shortest(body, flags)]
            if len(body) == 1 and str(body[0][0]) in _ONE_CHARACTER:
                bodies = [char for char in _SAMPLES if accepts(body[0], char, flags)][:6]
            yield from ((before, text) for text in bodies if text)
        for inner in _inside(node):
            yield from _before_repeats(inner, flags, before)
        before += _shortest([node], flags)
