"""What faults do to users: one row for each test of a fault, and the table of them in the documentation."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- The table is written by `pytest tests/cluster/faults --record`. -->"
END = "<!-- End of the table. -->"
HEAD = ("Fault", "What the user saw", "Recovered in", "Lost", "Left over")


@dataclass
class Outcome:
    """What one fault did.

    Attributes:
        fault: in words, the test's docstring.
        saw: what the user saw; the test has asserted it.
        lost: what the user lost.
        left: what was left over, as found after the test.
        seconds: from the fault to the recovery; None where nothing had to recover.
    """

    fault: str
    saw: str = ""
    lost: str = "nothing"
    left: str = "nothing"
    seconds: float | None = None
    _began: float = 0

    def begins(self) -> None:
        """The fault happens now."""
        self._began = time.monotonic()

    def recovered(self) -> None:
        """All is as it was before, or as good as it can be."""
        self.seconds = time.monotonic() - self._began

    def row(self) -> tuple[str, ...]:
        took = "at once" if self.seconds is None or self.seconds < 1 else f"{self.seconds:.0f} s"
        return self.fault, self.saw, took, self.lost, self.left

    def agrees(self, row: tuple[str, ...]) -> bool:
        """Whether the documentation says the same; how long it took differs from machine to machine."""
        mine = self.row()
        return (*mine[:2], *mine[3:]) == (*row[:2], *row[3:])


def documented() -> list[tuple[str, ...]]:
    """The rows of the documentation's table."""
    table = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table[2:]]


def record(outcomes: list[Outcome], order: list[str]) -> None:
    """Write rows into the documentation's table.

    Args:
        outcomes: of the tests that ran; the rows of others stay where they are.
        order: the faults of the tests that were collected, in which new rows find their place.
    """
    rows = {row[0]: row for row in documented()}
    places = list(rows)
    for outcome in outcomes:
        if outcome.fault not in rows:
            before = [fault for fault in order[: order.index(outcome.fault)] if fault in places]
            places.insert(places.index(before[-1]) + 1 if before else len(places), outcome.fault)
        rows[outcome.fault] = outcome.row()
    lines = [HEAD, tuple("---" for _ in HEAD), *(rows[fault] for fault in places)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    before_table, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before_table}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}")
