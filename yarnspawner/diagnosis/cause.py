"""The catalogue of what goes wrong: the words by which Hadoop, Kerberos or a container's log say it, and what they mean.

Tables of rows, the first one that fits counts. The texts are those of Hadoop 3.3 to 3.5, skein 0.8 and MIT Kerberos; a
sample of each is in the tests.
"""

from __future__ import annotations

import re

ADMIN = "Please tell your administrator: "


class Cause:
    """One row of the catalogue.

    Args:
        patterns: regular expressions, any of which is found in what was said. They ignore case, and ``.`` matches a
            newline. The texts are the users' own in part, so what a pattern repeats has a bound or an unmistakable
            beginning: ``a.{0,500}?b``, not ``a.*b``, which takes seconds for thousands of ``a``.
        says: what it means, one sentence for the user. It may name ``{what}`` ("server" or "kernel"), ``{user}``, ``{queue}``, ``{hub}`` where they are
            known, ``{given}`` for the memory "it was given", and the named groups that all
            patterns of the row have.
        remedy: what to do, and who can.
    """

    def __init__(self, *patterns: str, says: str, remedy: str = "") -> None:
        self.patterns = [re.compile(pattern, re.IGNORECASE | re.DOTALL) for pattern in patterns]
        self.says = says
        self.remedy = remedy

    def find(self, text: str) -> dict[str, str] | None:
        """The named groups of the pattern that is found in a text; None if none is."""
        for pattern in self.patterns:
            if match := pattern.search(text):
                return {name: value or "" for name, value in match.groupdict().items()}
        return None
