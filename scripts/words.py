"""Checks words: those that are not to be used, and sentences that are too long; see `words`, which starts this.

Markdown and HTML are checked without code, links and tags; of Python, the strings and the comments are.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parent.parent
VOCABULARY = Path(__file__).with_name("words.txt")

CHECKED = [
    "*.md",
    "docs/**/*.md",
    "jupyterhub_config.example.py",
    "yarnspawner/**/*.py",
    "yarnspawner/**/*.html",
    "localhadoop/**/*.py",
    "demo/**/*.py",
]
NOT_CHECKED = ["yarnspawner/hadoop/accounts.py"]  # it has the account "nobody"

LONGEST = 25  # words of a sentence on a page; the aim is 20

CODE = re.compile(r"^ *```.*?^ *```$|<!--.*?-->|^    .*?$|<(script|style).*?</\1>", re.DOTALL | re.MULTILINE)
MARKUP = re.compile(r"\]\([^)]*\)|^\([a-z-]+\)=$|<[^<>]*>|\{%.*?%\}|\{\{.*?\}\}|https?://\S+", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(`+)[^`]+\1")
# Where a sentence begins: after a full stop, in a new paragraph, item, heading or cell.
SENTENCE = re.compile(r"(?<=[.!?:])[\"”)*]*\s+|\n\s*\n|\n\s*(?:[-*]|\d+\.)\s|^#+ |\n#+ |\|", re.MULTILINE)


class Rule(NamedTuple):
    """A word that is not to be used, and what to use."""

    pattern: re.Pattern[str]
    advice: str


def rules() -> list[Rule]:
    """The vocabulary."""
    lines = [line for line in VOCABULARY.read_text().splitlines() if line and not line.startswith("#")]
    parts = [line.partition("->") for line in lines]
    return [
        Rule(re.compile(rf"\b(?:{words.strip()})\b".replace(" ", r"\s+"), re.IGNORECASE), advice.strip())
        for words, _, advice in parts
    ]


def blank(text: str, pattern: re.Pattern[str], by: str = "") -> str:
    """The text with what is found replaced, and lines where they were."""
    return pattern.sub(lambda found: by + "\n" * found[0].count("\n"), text)


def prose(page: str, *, indented: bool = True) -> str:
    """The words of a page, line by line."""
    code = CODE if indented else re.compile(CODE.pattern.replace("|^    .*?$", ""), CODE.flags)
    return blank(blank(blank(page, code), INLINE, "code"), MARKUP)


def texts(path: Path) -> list[tuple[int, str]]:
    """What is to be checked in a file: the line that it begins on, and the words."""
    source = path.read_text()
    if path.suffix != ".py":
        return [(1, prose(source, indented=path.suffix == ".md"))]
    found = [
        (node.lineno, prose(node.value.replace("``", "`"), indented=False))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found += [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    return sorted(found)


def complaints(path: Path, vocabulary: list[Rule]) -> list[str]:
    """What is wrong with the words of a file."""
    name = path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path
    found = []
    for first, text in texts(path):
        for rule in vocabulary:
            for match in rule.pattern.finditer(text):
                line = first + text.count("\n", 0, match.start())
                found.append(f"{name}:{line}: {' '.join(match[0].split())!r}: {rule.advice}")
        if path.suffix == ".md":
            found += [f"{name}:{line}: a sentence of {count} words" for line, count in long_sentences(text)]
    return found


def long_sentences(text: str) -> list[tuple[int, int]]:
    """The line and the number of words of each sentence that is too long."""
    found, start = [], 0
    for end in [*(match.span() for match in SENTENCE.finditer(text)), (len(text), len(text))]:
        count = len(re.findall(r"\w[\w'/.,-]*", text[start : end[0]]))
        if count > LONGEST:
            begins = start + len(text[start : end[0]]) - len(text[start : end[0]].lstrip())
            found.append((1 + text.count("\n", 0, begins), count))
        start = end[1]
    return found


def main() -> int:
    """Check files, and print what is wrong."""
    paths = [Path(word).resolve() for word in sys.argv[1:]]
    if not paths:
        checked = {path for pattern in CHECKED for path in CHECKOUT.glob(pattern)}
        paths = sorted(checked - {CHECKOUT / name for name in NOT_CHECKED})
    vocabulary = rules()
    found = [complaint for path in paths for complaint in complaints(path, vocabulary)]
    print("\n".join(found) or f"{len(paths)} files: no word of scripts/words.txt, no sentence over {LONGEST} words")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
