"""The documentation's own examples, as they stand on its pages."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK_OR_HEADING = re.compile(r"^ *```(\w+)\n(.*?)^ *```$|^(#+) ([^\n]+)$", re.DOTALL | re.MULTILINE)


def examples(page: Path, under: str = "", language: str = "python") -> list[str]:
    """The blocks of code in a language on a page.

    Args:
        page: of the documentation.
        under: only those below this heading, up to the next one of its rank or above.
        language: as the page calls it.
    """
    found = []
    rank = 0  # of the heading that this is about
    for match in _BLOCK_OR_HEADING.finditer(page.read_text()):
        block_language, block, marks, heading = match.groups()
        if marks and heading == under:
            rank = len(marks)
        elif marks and len(marks) <= rank:
            break
        elif block_language == language and (rank or not under):
            found.append(textwrap.dedent(block))
    return found
